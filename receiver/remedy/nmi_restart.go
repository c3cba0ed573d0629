package remedy

import "fmt"

// nmiRestart makes a dead guest's kernel stop with an error, so that it writes a dump of what it hung in, and restarts.
// Both are the guest's own settings, which cannot be read from outside (HKLM\SYSTEM\CurrentControlSet\Control\CrashControl,
// CrashDumpEnabled and AutoReboot: both on by default): where it does not restart within DumpTimeout the rung has failed
// and the next one of the ladder, a reset, may follow.
func nmiRestart() Spec {
	return Spec{
		Rung: NMIRestart, Destructive: true,
		plan: func(c Case) ([]Command, error) {
			return c.vmCommand(InjectNMI, nmiCmdlet+" -ComputerName %[2]s) -InjectNonMaskableInterrupt -Force")
		},
		propose: func(_, vmID string) []string {
			return []string{fmt.Sprintf(nmiCmdlet+") -InjectNonMaskableInterrupt -Force", vmID)}
		},
	}
}

const nmiCmdlet = "Debug-VM -VM (Get-VM -Id %[1]s"
