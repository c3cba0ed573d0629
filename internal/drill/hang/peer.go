package hang

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/sspi"
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

// newPeer opens a peer; its certificate is of the authority, and an acceptor, where there is one, judges who wants in.
func newPeer(k kind, w Way, ca *lab.Authority, a *sspi.Acceptor) (*peer, error) {
	secure, err := ca.Issue(k.machine(w))
	if err != nil {
		return nil, err
	}
	// Only SQL Server's trickle is one from the first byte on: see Way.reason.
	if k.sql() {
		slow := time.Duration(0)
		if w == Trickle {
			slow = pace
		}
		return listen(k, w, sqlServer{w, secure, a}.serve, slow)
	}
	s, err := newWinRM(w, secure, a)
	if err != nil {
		return nil, err
	}
	return listen(k, w, s.serve, 0)
}

// listen opens a peer that serves its connections so. slow is the pace of all that it says.
func listen(k kind, w Way, serve func(*line), slow time.Duration) (*peer, error) {
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

// openPeers opens all of them: six ways of each kind. Those that take tickets are of the realm, which may be nil.
func openPeers(ca *lab.Authority, realm *Realm) (peers, error) {
	judges, err := acceptors(realm)
	if err != nil {
		return nil, err
	}
	var all peers
	for _, w := range Ways() {
		for _, k := range kinds(realm != nil) {
			one, err := newPeer(k, w, ca, judges[k])
			if err != nil {
				all.close()
				return nil, fmt.Errorf("open the peer %s: %w", k.machine(w), err)
			}
			all = append(all, one)
		}
	}
	return all, nil
}

// acceptors are who judges a handshake, for the kinds that have one.
func acceptors(realm *Realm) (map[kind]*sspi.Acceptor, error) {
	passwords, err := sspi.New(sspi.Options{Password: func(string) (string, bool) { return password, true }, Domain: "CORP", Computer: "HANG"})
	if err != nil || realm == nil {
		return map[kind]*sspi.Acceptor{ntlm: passwords}, err
	}
	tickets, err := sspi.New(sspi.Options{Keytab: realm.Services, Realm: realm.Name})
	return map[kind]*sspi.Acceptor{ntlm: passwords, kerberos: tickets, tdsKerberos: tickets}, err
}

func (p peers) close() {
	for _, one := range p {
		one.close()
	}
}

// all are those of a kind.
func (p peers) all(k kind) peers {
	return slices.DeleteFunc(slices.Clone(p), func(one *peer) bool { return one.kind != k })
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
