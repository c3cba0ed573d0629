package remedy

import "fmt"

// whitePaper is what the monitoring of 2010 did for every fault of an application or a guest: a quick migration of the
// virtual machine, and its restart on the other node. It takes the guest along as it is and restarts it there, so that it
// cures what a reset cures and what a move cures, at the price of both: the save of all memory first, and the loss of all
// that was open. It is here to be compared with, in no default ladder, and for whoever does not care which of the two it
// was.
func whitePaper() Spec {
	return Spec{
		Rung: WhitePaper, Destructive: true,
		plan: func(c Case) ([]Command, error) {
			move, err := c.move(Save)
			if err != nil {
				return nil, err
			}
			// Bound to the destination: should the move not come to it, nothing is restarted.
			reset, err := c.vmOn(c.Destination, ResetSystem, resetCmdlet+" -ComputerName %[2]s) -Force")
			if err != nil {
				return nil, err
			}
			reset.LeastRun = LeastResumed
			return []Command{move, reset}, nil
		},
		propose: func(group, vmID string) []string {
			return []string{
				fmt.Sprintf("Move-ClusterVirtualMachineRole -Name %s -MigrationType %s", quote(group), Save.migrationType()),
				fmt.Sprintf(resetCmdlet+") -Force", vmID),
			}
		},
	}
}
