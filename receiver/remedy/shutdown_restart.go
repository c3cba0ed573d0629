package remedy

import "fmt"

// shutdownRestart restarts a guest that still answers in good order: its services are stopped, SQL Server among them,
// and it boots again. The virtual machine runs on meanwhile, so that the cluster sees nothing of it; see
// cluster.Host.RebootGuest for why it is no shutdown followed by a start.
func shutdownRestart() Spec {
	return Spec{
		Rung: ShutdownRestart, Destructive: true,
		plan: func(c Case) ([]Command, error) {
			return c.vmCommand(RebootGuest, rebootCmdlet+" -ComputerName %[2]s) -Type Reboot -Force")
		},
		propose: func(_, vmID string) []string {
			return []string{fmt.Sprintf(rebootCmdlet+") -Type Reboot -Force", vmID)}
		},
	}
}

const rebootCmdlet = "Restart-VM -VM (Get-VM -Id %[1]s"
