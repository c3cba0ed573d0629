//go:build e2e && unix

package e2e

import (
	"errors"
	"syscall"
	"testing"
)

// gone checks that a process exists no more.
func gone(t *testing.T, name string, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("%s, process %d, is still there (%v)", name, pid, err)
	}
}
