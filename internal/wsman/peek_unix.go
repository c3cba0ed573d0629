//go:build unix

package wsman

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// peek looks whether an idle connection is quiet, as it should be: a peer that closed it, reset it or said something
// unasked has made it useless. known is false where we cannot look.
func peek(c *dial.Conn) (known, quiet bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false, false
	}
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		quiet = errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EWOULDBLOCK)
		return true // never wait
	})
	return err == nil, quiet && err == nil
}
