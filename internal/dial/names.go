package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// maxStale is how long an answer of the name server is used after it was given: longer than a name server is away, and
// not so long that an address has become another machine's. Whose it is, its certificate tells.
const maxStale = 24 * time.Hour

// staleShare is the part of the time that is left which a lookup may take where there is an earlier answer: the rest has
// to do for the connection.
const staleShare = 4

// Names remembers the last good answer for each name, so that a name server that fails does not make us blind: a fault of
// the network is when both happen together. A name server that says that a name does not exist is believed. The zero
// value is of no use; make one with NewNames. It is safe for concurrent use.
type Names struct {
	logger log.Logger

	mu    sync.Mutex
	known map[string]*answer // by network and host
}

// answer is what a name resolved to.
type answer struct {
	host  string
	addrs []netip.Addr
	at    time.Time
	stale bool // the last lookup failed
}

// NewNames returns an empty memory. It tells the logger when it begins to answer from memory, and when that ends.
func NewNames(l log.Logger) *Names { return &Names{logger: l, known: map[string]*answer{}} }

// NewTracker returns a Tracker that shares the memory; of a nil Names it has none.
func (n *Names) NewTracker() *Tracker {
	t := NewTracker()
	t.names = n
	return t
}

// Stale lists the hosts whose last lookup failed and which are answered from memory, in order.
func (n *Names) Stale() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, a := range n.known {
		if a.stale && !slices.Contains(out, a.host) {
			out = append(out, a.host)
		}
	}
	slices.Sort(out)
	return out
}

// lookup asks the name server, and the memory where that fails.
func (n *Names) lookup(ctx context.Context, r resolver, network, host string) ([]netip.Addr, error) {
	key := network + " " + host
	kept := n.kept(key)
	asking := ctx
	if deadline, ok := ctx.Deadline(); ok && kept != nil {
		var cancel context.CancelFunc
		asking, cancel = context.WithTimeout(ctx, time.Until(deadline)/staleShare)
		defer cancel()
	}
	addrs, err := r.LookupNetIP(asking, network, host)
	if err == nil && len(addrs) > 0 {
		n.keep(key, host, addrs)
		return addrs, nil
	}
	var dns *net.DNSError
	if err == nil || errors.As(err, &dns) && dns.IsNotFound {
		n.forget(key)
		return addrs, err
	}
	if kept == nil || ctx.Err() != nil {
		return nil, err
	}
	n.fall(key, err)
	return kept, nil
}

// kept returns what is remembered, unless it is too old.
func (n *Names) kept(key string) []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.known[key]
	if a == nil || time.Since(a.at) > maxStale {
		return nil
	}
	return slices.Clone(a.addrs)
}

// keep remembers an answer.
func (n *Names) keep(key, host string, addrs []netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if old := n.known[key]; old != nil && old.stale {
		_ = level.Info(n.logger).Log("msg", "name resolved again", "host", host, "addresses", fmt.Sprint(addrs))
	}
	n.known[key] = &answer{host: host, addrs: slices.Clone(addrs), at: time.Now()}
}

// forget drops a name that does not exist any more.
func (n *Names) forget(key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.known, key)
}

// fall notes that a name is answered from memory, and tells it the first time.
func (n *Names) fall(key string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.known[key]
	if a == nil || a.stale {
		return
	}
	a.stale = true
	_ = level.Warn(n.logger).Log("msg", "name not resolved, last addresses used", "host", a.host, "addresses", fmt.Sprint(a.addrs),
		"resolved_at", a.at.UTC().Format(time.RFC3339), "err", err)
}
