package stage

import (
	"os/exec"
	"syscall"
)

// dieTogether makes the program end when we do, and keeps the terminal's Ctrl-C from it: we stop it ourselves, after
// those that ask it.
func dieTogether(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
