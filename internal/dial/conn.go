package dial

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
)

// errNotSyscall says that a connection has no descriptor to look at.
var errNotSyscall = errors.New("connection has no file descriptor")

// Conn is a connection that counts its bytes in the attempt it belongs to.
type Conn struct {
	net.Conn
	owner atomic.Pointer[Tracker]
}

var (
	_ net.Conn     = (*Conn)(nil)
	_ syscall.Conn = (*Conn)(nil)
)

// Read reads from the peer.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if t := c.owner.Load(); t != nil && n > 0 {
		t.count(n, 0)
	}
	return n, err
}

// Write writes to the peer.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if t := c.owner.Load(); t != nil && n > 0 {
		t.count(0, n)
	}
	return n, err
}

// Close closes the connection; its attempt forgets it.
func (c *Conn) Close() error {
	if t := c.owner.Load(); t != nil {
		t.forget(c)
	}
	return c.Conn.Close()
}

// close closes the connection on behalf of its attempt, which has forgotten it. It drops what was not yet sent: a
// dead peer would otherwise keep the socket in the operating system for minutes.
func (c *Conn) close() {
	if tc, ok := c.Conn.(*net.TCPConn); ok {
		// An error here only means that the socket is gone already.
		_ = tc.SetLinger(0)
	}
	_ = c.Conn.Close()
}

// SyscallConn gives access to the descriptor, to look at a kept connection without reading from it.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errNotSyscall
}
