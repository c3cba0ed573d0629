package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
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
	found any // []netip.Addr, or []*net.SRV; never changed
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

// lookup asks the name server for a host's addresses, and the memory where that fails.
func (n *Names) lookup(ctx context.Context, r resolver, network, host string) ([]netip.Addr, error) {
	found, err := remembered(ctx, n, network+" "+host, host, func(ctx context.Context) ([]netip.Addr, error) {
		return r.LookupNetIP(ctx, network, host)
	})
	return slices.Clone(found), err // whoever asked may change his own
}

// LookupSRV asks the name server where a service of a domain is, and the memory where that fails; a nil Names has none. The
// records are in the order of priority and weight, and are not to be changed. As with net.Resolver, there may be records
// besides an error.
func (n *Names) LookupSRV(ctx context.Context, service, proto, domain string) ([]*net.SRV, error) {
	ask := func(ctx context.Context) ([]*net.SRV, error) {
		_, records, err := newResolver().LookupSRV(ctx, service, proto, domain)
		if len(records) > 0 {
			return records, nil // an error besides is about records that were left out
		}
		return nil, err
	}
	if n == nil {
		return ask(ctx)
	}
	name := "_" + service + "._" + proto + "." + domain
	return remembered(ctx, n, "srv "+name, name, ask)
}

// remembered asks by a question of its own, and the memory where that fails.
func remembered[T any](ctx context.Context, n *Names, key, host string, ask func(context.Context) ([]T, error)) ([]T, error) {
	kept, _ := n.kept(key).([]T)
	asking := ctx
	if deadline, ok := ctx.Deadline(); ok && kept != nil {
		var cancel context.CancelFunc
		asking, cancel = context.WithTimeout(ctx, time.Until(deadline)/staleShare)
		defer cancel()
	}
	found, err := ask(asking)
	if err == nil && len(found) > 0 {
		n.keep(key, host, found)
		return found, nil
	}
	var dns *net.DNSError
	if err == nil || errors.As(err, &dns) && dns.IsNotFound {
		n.forget(key)
		return found, err
	}
	if kept == nil || ctx.Err() != nil {
		return nil, err
	}
	n.fall(key, err)
	return kept, nil
}

// kept returns what is remembered; nil where that is nothing, or too old.
func (n *Names) kept(key string) any {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.known[key]
	if a == nil || time.Since(a.at) > maxStale {
		return nil
	}
	return a.found
}

// keep remembers an answer.
func (n *Names) keep(key, host string, found any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if old := n.known[key]; old != nil && old.stale {
		_ = level.Info(n.logger).Log("msg", "name resolved again", "host", host, "addresses", text(found))
	}
	n.known[key] = &answer{host: host, found: found, at: time.Now()}
}

// text is an answer for a reader.
func text(found any) string {
	records, ok := found.([]*net.SRV)
	if !ok {
		return fmt.Sprint(found)
	}
	var names []string
	for _, r := range records {
		names = append(names, net.JoinHostPort(r.Target, strconv.Itoa(int(r.Port))))
	}
	return fmt.Sprint(names)
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
	_ = level.Warn(n.logger).Log("msg", "name not resolved, last addresses used", "host", a.host, "addresses", text(a.found),
		"resolved_at", a.at.UTC().Format(time.RFC3339), "err", err)
}
