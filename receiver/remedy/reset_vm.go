package remedy

import "fmt"

// resetVM restarts the virtual machine where it is, as the button of a machine does. The cluster's resource stays
// online, and nothing persistent changes.
func resetVM() Spec {
	return Spec{
		Rung: ResetVM, Destructive: true,
		plan: func(c Case) ([]Command, error) {
			return c.vmCommand(ResetSystem, resetCmdlet+" -ComputerName %[2]s) -Force")
		},
		propose: func(_, vmID string) []string {
			return []string{fmt.Sprintf(resetCmdlet+") -Force", vmID)}
		},
	}
}

const resetCmdlet = "Restart-VM -VM (Get-VM -Id %[1]s"
