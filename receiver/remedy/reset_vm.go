package remedy

import "fmt"

// resetVM restarts the virtual machine where it is.
func resetVM() Spec {
	return Spec{Rung: ResetVM, Destructive: true, propose: func(_, vmID string) []string {
		return []string{fmt.Sprintf("Restart-VM -VM (Get-VM -Id %s) -Force", vmID)}
	}}
}
