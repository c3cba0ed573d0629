package dial

import "golang.org/x/sys/unix"

// unacknowledged reports whether the peer's TCP has not acknowledged what was sent, although the kernel sent it
// again: a machine that is off or cut off, not one whose program hangs (tcp(7), TCP_INFO).
func unacknowledged(c *Conn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		silent = err == nil && info.Unacked > 0 && info.Retransmits > 0
	})
	return err == nil && silent
}
