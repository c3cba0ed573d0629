package hang

import (
	"net"
	"sync"
	"time"
)

// line is a peer's end of a connection. It always reads, so that it knows when the client is gone whatever the peer
// waits for, and it can be slow.
type line struct {
	net.Conn
	gone chan struct{} // closed when the connection has ended
	pace time.Duration // between two bytes that are written; 0 sends as fast as it goes

	mu      sync.Mutex
	arrived sync.Cond
	unread  []byte // a client says little before it is answered
	err     error
}

func newLine(c net.Conn, pace time.Duration) *line {
	l := &line{Conn: c, gone: make(chan struct{}), pace: pace}
	l.arrived.L = &l.mu
	return l
}

// pump reads until the connection ends.
func (l *line) pump() {
	defer close(l.gone)
	b := make([]byte, 4096)
	for {
		n, err := l.Conn.Read(b)
		l.mu.Lock()
		l.unread = append(l.unread, b[:n]...)
		l.err = err
		l.arrived.Broadcast()
		l.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Read implements net.Conn.
func (l *line) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.unread) == 0 {
		if l.err != nil {
			return 0, l.err
		}
		l.arrived.Wait()
	}
	n := copy(b, l.unread)
	l.unread = l.unread[n:]
	return n, nil
}

// Write implements net.Conn, at the line's pace.
func (l *line) Write(b []byte) (int, error) {
	if l.pace == 0 {
		return l.Conn.Write(b)
	}
	tick := time.NewTicker(l.pace)
	defer tick.Stop()
	for i := range b {
		select {
		case <-tick.C:
		case <-l.gone:
			return i, net.ErrClosed
		}
		if _, err := l.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}
