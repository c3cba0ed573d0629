package wire

import (
	"net"
	"sync"
	"time"
)

// past is a deadline that wakes whoever is blocked in the kernel.
var past = time.Unix(1, 0)

// conn is a server's end of a connection that can freeze. A frozen connection never thaws: it ends in a reset.
type conn struct {
	*socket
	port *Port

	writing sync.Mutex // held while the kernel is given bytes

	mu     sync.Mutex
	frozen bool
	shut   bool          // the socket is closed
	over   bool          // the server closed it, or it was reset
	done   chan struct{} // closed when over
}

// socket is the part of *net.TCPConn that needs no gate. Embedding it, not net.Conn, keeps io.ReaderFrom and
// SyscallConn away, which would pass the gate by.
type socket struct{ tcp *net.TCPConn }

// LocalAddr returns the server's address.
func (s *socket) LocalAddr() net.Addr { return s.tcp.LocalAddr() }

// RemoteAddr returns the client's address.
func (s *socket) RemoteAddr() net.Addr { return s.tcp.RemoteAddr() }

var _ net.Conn = (*conn)(nil)

// newConn wraps an accepted connection.
func newConn(p *Port, tcp *net.TCPConn) *conn {
	return &conn{socket: &socket{tcp}, port: p, done: make(chan struct{})}
}

// Read reads; while the connection is frozen it blocks, deadlines notwithstanding: a frozen machine has no clock.
func (c *conn) Read(b []byte) (int, error) {
	if c.isFrozen() {
		return 0, c.wait("read")
	}
	n, err := c.tcp.Read(b)
	if err != nil && c.isFrozen() {
		return n, c.wait("read")
	}
	return n, err
}

// Write writes; while the connection is frozen it blocks, deadlines notwithstanding.
func (c *conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	if c.isFrozen() {
		c.writing.Unlock()
		return 0, c.wait("write")
	}
	n, err := c.tcp.Write(b)
	c.writing.Unlock()
	if err != nil && c.isFrozen() {
		return n, c.wait("write")
	}
	return n, err
}

// Close closes the connection. A frozen one is closed to the server only: the client must not see a FIN.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.over {
		c.mu.Unlock()
		return c.closedError("close")
	}
	c.over = true
	close(c.done)
	if c.frozen {
		c.mu.Unlock()
		return nil
	}
	c.shut = true
	err := c.tcp.Close()
	c.mu.Unlock()
	c.port.forget(c)
	return err
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error { return c.deadline(c.tcp.SetDeadline, t) }

// SetReadDeadline sets the deadline of Read.
func (c *conn) SetReadDeadline(t time.Time) error { return c.deadline(c.tcp.SetReadDeadline, t) }

// SetWriteDeadline sets the deadline of Write.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.deadline(c.tcp.SetWriteDeadline, t) }

// deadline sets one, unless the connection is frozen: then the socket's deadline is what keeps the kernel out.
func (c *conn) deadline(set func(time.Time) error, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen && !c.shut {
		return nil
	}
	return set(t)
}

// isFrozen reports whether the connection is frozen.
func (c *conn) isFrozen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frozen
}

// wait blocks until the frozen connection is over.
func (c *conn) wait(op string) error {
	<-c.done
	return c.closedError(op)
}

// closedError is what a server gets from a connection that is over.
func (c *conn) closedError(op string) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: net.ErrClosed}
}

// freeze stops all bytes in both directions. When it returns, no write is under way. silent says that not even
// acknowledgements leave.
func (c *conn) freeze(silent bool) {
	c.mu.Lock()
	if c.shut {
		c.mu.Unlock()
		return
	}
	c.frozen = true
	// Neither can fail on an open socket of ours; where the filter is not known, Set said so before.
	_ = silence(c.tcp, silent)
	_ = c.tcp.SetDeadline(past)
	c.mu.Unlock()
	// A write that was under way returns at once, its deadline being past.
	c.writing.Lock()
	defer c.writing.Unlock()
}

// reset ends the connection with an RST.
func (c *conn) reset() {
	c.mu.Lock()
	if c.shut {
		c.mu.Unlock()
		return
	}
	c.shut = true
	_ = c.tcp.SetLinger(0) // a close now sends RST, and drops what was not sent
	c.tcp.Close()
	if !c.over {
		c.over = true
		close(c.done)
	}
	c.mu.Unlock()
	c.port.forget(c)
}
