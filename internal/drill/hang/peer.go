package hang

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/wire"
)

// pace is that of a trickle.
const pace = time.Second

// peer is one address that hangs in one way.
type peer struct {
	kind kind
	way  Way
	port *wire.Port
	work sync.WaitGroup

	mu     sync.Mutex
	lines  map[*line]struct{}
	closed bool
}

// newPeer opens a peer; its certificate is of the authority.
func newPeer(k kind, w Way, ca *lab.Authority) (*peer, error) {
	secure, err := ca.Issue(k.machine(w))
	if err != nil {
		return nil, err
	}
	var serve func(*line)
	if k.sql() {
		serve = sqlServer{w, secure}.serve
	} else {
		serve = winRM{w, secure}.serve
	}
	port, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if w == SYN {
		if err := port.Set(wire.Unanswered); err != nil {
			return nil, errors.Join(err, port.Close())
		}
	}
	peer := &peer{kind: k, way: w, port: port, lines: map[*line]struct{}{}}
	// Only SQL Server's trickle is one from the first byte on: see Way.reason.
	slow := time.Duration(0)
	if w == Trickle && k.sql() {
		slow = pace
	}
	peer.work.Go(func() { peer.accept(serve, slow) })
	return peer, nil
}

// machine is the name of the peer in the inventory.
func (k kind) machine(w Way) string { return fmt.Sprintf("%s-%s", k, w) }

func (p *peer) accept(serve func(*line), slow time.Duration) {
	for {
		c, err := p.port.Accept()
		if err != nil {
			return
		}
		l := newLine(c, slow)
		if !p.add(l) {
			c.Close()
			return
		}
		p.work.Go(l.pump)
		p.work.Go(func() {
			defer p.remove(l)
			defer l.Close()
			serve(l)
		})
	}
}

func (p *peer) add(l *line) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.lines[l] = struct{}{}
	}
	return !p.closed
}

func (p *peer) remove(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lines, l)
}

// number is the peer's port.
func (p *peer) number() int { return p.port.Addr().(*net.TCPAddr).Port }

// address is where the peer is.
func (p *peer) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.number())) }

// close ends every connection and waits for all that the peer started.
func (p *peer) close() {
	_ = p.port.Close() // it is closed once
	p.mu.Lock()
	p.closed = true
	for l := range p.lines {
		_ = l.Close()
	}
	p.mu.Unlock()
	p.work.Wait()
}

// peers are one of each kind.
type peers []*peer

// openPeers opens all of them: six ways of each kind.
func openPeers(ca *lab.Authority) (peers, error) {
	var all peers
	for _, w := range Ways() {
		for _, k := range kinds() {
			one, err := newPeer(k, w, ca)
			if err != nil {
				all.close()
				return nil, fmt.Errorf("open the peer %s: %w", k.machine(w), err)
			}
			all = append(all, one)
		}
	}
	return all, nil
}

func (p peers) close() {
	for _, one := range p {
		one.close()
	}
}

// of returns the peer of that kind.
func (p peers) of(k kind, w Way) *peer {
	for _, one := range p {
		if one.kind == k && one.way == w {
			return one
		}
	}
	return nil
}
