package wire

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"syscall"
)

// Port is a TCP port whose behaviour can be set while it is in use. It is a net.Listener: Accept hands out the
// connections of clients that came while it was Answering, and blocks under every other behaviour.
type Port struct {
	addr    *net.TCPAddr
	reserve reservation

	setting sync.Mutex // one Set or Close at a time

	mu        sync.Mutex
	arrived   sync.Cond // on mu: something is pending, or the Port is closed
	behaviour Behaviour
	closed    bool
	pending   []*conn            // accepted from the kernel, not yet by the server
	conns     map[*conn]struct{} // every connection whose socket is open

	// Guarded by setting.
	ln       *net.TCPListener // nil while Refusing
	accepted sync.WaitGroup   // the accept loop of ln
}

var _ net.Listener = (*Port)(nil)

// Listen opens a port that is Answering. addr is host:port with an IP address; port 0 lets the system choose one.
// A number that another socket holds is refused, a Port's that is Refusing included.
func Listen(addr string) (*Port, error) {
	want, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("wire: listen on %q: %w", addr, err)
	}
	r, ln, err := open(want)
	if err != nil {
		return nil, fmt.Errorf("wire: listen on %q: %w", addr, err)
	}
	p := &Port{addr: ln.Addr().(*net.TCPAddr), reserve: r, conns: map[*conn]struct{}{}}
	p.arrived.L = &p.mu
	p.serve(ln)
	return p, nil
}

// Addr returns the port's address; it never changes.
func (p *Port) Addr() net.Addr { return p.addr }

// Behaviour returns the behaviour set last.
func (p *Port) Behaviour() Behaviour {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.behaviour
}

// Accept waits for a client. It returns net.ErrClosed after Close.
func (p *Port) Accept() (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.pending) == 0 && !p.closed {
		p.arrived.Wait()
	}
	if p.closed {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: p.addr, Err: net.ErrClosed}
	}
	c := p.pending[0]
	p.pending = p.pending[1:]
	return c, nil
}

// Set changes the behaviour. When it returns, every client that connects from now on meets b, and the open
// connections are as b says. After an error the Port behaves as before.
func (p *Port) Set(b Behaviour) error {
	p.setting.Lock()
	defer p.setting.Unlock()
	p.mu.Lock()
	was, closed := p.behaviour, p.closed
	p.mu.Unlock()
	switch {
	case !b.valid():
		return fmt.Errorf("wire: no such behaviour: %s", b)
	case closed:
		return fmt.Errorf("wire: set %s to %s: %w", p.addr, b, net.ErrClosed)
	case b == was:
		return nil
	}
	if err := supported(b); err != nil {
		return err
	}
	if err := p.change(was, b); err != nil {
		return fmt.Errorf("wire: set %s from %s to %s: %w", p.addr, was, b, err)
	}
	return nil
}

// change brings the listening socket, then the connections, into the state that b wants.
func (p *Port) change(was, b Behaviour) error {
	switch b {
	case Refusing:
		p.become(b)
		p.unserve()
		for _, c := range p.open() {
			c.reset()
		}
	case Answering:
		if was == Hung {
			p.become(b)
			for _, c := range p.open() {
				c.reset()
			}
			return nil
		}
		// A listener of its own, so that no handshake of the time before the silence is completed now. It opens
		// before the old one closes: no client in between is refused.
		ln, err := p.reserve.listen(p.addr, false)
		if err != nil {
			return err
		}
		p.unserve()
		for _, c := range p.open() {
			c.reset()
		}
		p.become(b)
		p.serve(ln)
	case Unanswered, Hung:
		silent := b == Unanswered
		if p.ln == nil {
			ln, err := p.reserve.listen(p.addr, silent)
			if err != nil {
				return err
			}
			p.become(b)
			p.serve(ln)
			return nil
		}
		if err := silence(p.ln, silent); err != nil {
			return err
		}
		p.become(b)
		for _, c := range p.open() {
			c.freeze(silent)
		}
	}
	return nil
}

// become sets the behaviour that new connections meet. What no server has accepted yet, none will.
func (p *Port) become(b Behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behaviour = b
	p.pending = nil
}

// open returns the connections whose sockets are open.
func (p *Port) open() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.conns))
}

// serve starts the accept loop of ln.
func (p *Port) serve(ln *net.TCPListener) {
	p.ln = ln
	p.accepted.Go(func() { p.acceptFrom(ln) })
}

// unserve closes the listener and waits for its accept loop.
func (p *Port) unserve() {
	if p.ln == nil {
		return
	}
	_ = deafen(p.ln) // closed it is in any case
	p.ln.Close()
	p.accepted.Wait()
	p.ln = nil
}

// acceptFrom takes connections from the kernel until ln is closed. It always does, so that the accept queue is
// empty whatever the behaviour and however slow the server.
func (p *Port) acceptFrom(ln *net.TCPListener) {
	for {
		tcp, err := ln.AcceptTCP()
		if err != nil {
			// A client that gave up before it was accepted says nothing of the listener.
			if errors.Is(err, syscall.ECONNABORTED) {
				continue
			}
			return
		}
		p.admit(tcp)
	}
}

// admit files a new connection under the present behaviour.
func (p *Port) admit(tcp *net.TCPConn) {
	c := newConn(p, tcp)
	p.mu.Lock()
	p.conns[c] = struct{}{}
	b, closed := p.behaviour, p.closed
	if b == Answering && !closed {
		p.pending = append(p.pending, c)
		p.arrived.Signal()
	}
	p.mu.Unlock()
	switch {
	case closed || b == Refusing:
		c.reset()
	case b.frozen():
		// A Set that came in between finds the connection in p.conns; reset and freeze may come in any order.
		c.freeze(b == Unanswered)
	}
}

// forget drops a connection whose socket was closed.
func (p *Port) forget(c *conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// Close releases the number. Connections that are frozen or that no server accepted are reset; the others belong
// to the server.
func (p *Port) Close() error {
	p.setting.Lock()
	defer p.setting.Unlock()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return &net.OpError{Op: "close", Net: "tcp", Addr: p.addr, Err: net.ErrClosed}
	}
	p.closed = true
	orphans := p.pending
	p.pending = nil
	if p.behaviour.frozen() {
		orphans = slices.Collect(maps.Keys(p.conns))
	}
	p.arrived.Broadcast()
	p.mu.Unlock()
	p.unserve()
	for _, c := range orphans {
		c.reset()
	}
	return p.reserve.close()
}
