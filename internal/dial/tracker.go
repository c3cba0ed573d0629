package dial

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// Phase is how far an attempt came. Phases are entered in this order; one may be skipped, none is entered twice.
type Phase int

// The phases. DialContext enters DNS and TCP by itself and leaves a connected attempt in TLS, the first thing that
// either protocol says; a protocol that speaks before TLS (TDS 7.4) enters Prelogin instead, and Login and Query are
// its own to enter.
const (
	PhaseNone     Phase = iota // nothing begun
	PhaseDNS                   // resolving the name
	PhaseTCP                   // waiting for the connection
	PhasePrelogin              // connected; the protocol's own greeting, before TLS
	PhaseTLS                   // connected; TLS handshake
	PhaseLogin                 // proving who we are
	PhaseQuery                 // waiting for an answer to a question
)

// String returns the name that the durations' metric shows.
func (p Phase) String() string {
	switch p {
	case PhaseNone:
		return "none"
	case PhaseDNS:
		return "dns"
	case PhaseTCP:
		return "tcp"
	case PhasePrelogin:
		return "prelogin"
	case PhaseTLS:
		return "tls"
	case PhaseLogin:
		return "login"
	case PhaseQuery:
		return "query"
	}
	return fmt.Sprintf("phase(%d)", int(p))
}

// newResolver returns the system's resolver: Go's own, which ends when its context does, and Windows' there.
func newResolver() *net.Resolver { return &net.Resolver{PreferGo: runtime.GOOS != "windows"} }

// resolver is the part of net.Resolver that a Tracker uses.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// contextDialer is the part of net.Dialer that a Tracker uses.
type contextDialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Tracker dials for one attempt at one peer, remembers how far it came, and can end it at any stage by closing
// whatever it opened. It is safe for concurrent use.
type Tracker struct {
	resolver resolver
	dialer   contextDialer
	names    *Names // nil where nothing is remembered

	mu      sync.Mutex
	phase   Phase
	since   time.Time // when phase was entered
	spent   map[Phase]time.Duration
	conns   map[*Conn]struct{}
	closed  bool
	silent  bool // a connection had unacknowledged bytes when CloseAll closed it
	read    int64
	written int64
}

// NewTracker returns a Tracker for one attempt.
func NewTracker() *Tracker {
	return &Tracker{
		// The Go resolver gives up when its context ends; the C library's holds a thread until it is done.
		resolver: newResolver(),
		dialer:   &net.Dialer{},
		spent:    make(map[Phase]time.Duration),
		conns:    make(map[*Conn]struct{}),
	}
}

// Watch closes every connection of the attempt when ctx ends. Call stop when the attempt is over: true means that
// nothing was closed and nothing will be; false that ctx came first and the connections are no longer usable.
//
//	stop := t.Watch(ctx)
//	…
//	if !stop() { return ctx.Err() }
//
// Watch the caller's context, not the one that a driver hands to its dialer: drivers cancel theirs on success.
func (t *Tracker) Watch(ctx context.Context) (stop func() bool) {
	forget := context.AfterFunc(ctx, t.CloseAll)
	return func() bool {
		if !forget() {
			return false
		}
		if ctx.Err() == nil {
			return true
		}
		// A context that ends wakes those who wait for it before it calls those who asked to be called. On a busy machine
		// an attempt was given up and stopped watching in between, and its connection stayed open for good.
		t.CloseAll()
		return false
	}
}

// CloseAll closes every connection of the attempt and lets no new one come to be. Where the operating system knows
// that the peer did not even acknowledge what it was sent, Classify will say so.
func (t *Tracker) CloseAll() {
	t.mu.Lock()
	t.closed = true
	conns := t.conns
	t.conns = make(map[*Conn]struct{})
	t.mu.Unlock()
	silent := false
	for c := range conns {
		silent = unacknowledged(c) || silent
	}
	if silent {
		// Before the connections close: whoever waits for one of them classifies as soon as it does.
		t.mu.Lock()
		t.silent = true
		t.mu.Unlock()
	}
	for c := range conns {
		c.close()
	}
}

// Unacknowledged reports whether CloseAll found that the peer's TCP had stopped acknowledging: the machine is off or
// cut off, and not merely hung. It is known on Linux only; elsewhere it is false.
func (t *Tracker) Unacknowledged() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.silent
}

// Enter records that the attempt reached p. A phase before the present one is ignored, so that a driver that opens
// a second connection does not set the attempt back.
func (t *Tracker) Enter(p Phase) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p > t.phase {
		t.enter(p)
	}
}

// enter moves to p, whichever way; the caller holds the lock.
func (t *Tracker) enter(p Phase) {
	now := time.Now()
	if t.phase != PhaseNone {
		t.spent[t.phase] += now.Sub(t.since)
	}
	t.phase, t.since = p, now
}

// Phase returns how far the attempt came.
func (t *Tracker) Phase() Phase {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.phase
}

// Durations returns the time spent in each phase that was entered; the present one counts until now.
func (t *Tracker) Durations() map[Phase]time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[Phase]time.Duration, len(t.spent)+1)
	for p, d := range t.spent {
		out[p] = d
	}
	if t.phase != PhaseNone {
		out[t.phase] += time.Since(t.since)
	}
	return out
}

// ReadBytes returns how many bytes the peer sent.
func (t *Tracker) ReadBytes() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.read
}

// WrittenBytes returns how many bytes were handed to the operating system for the peer.
func (t *Tracker) WrittenBytes() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.written
}

// DialContext resolves the host of addr under ctx and tries its addresses in order, giving each an equal share of
// the time that is left. The connection counts its bytes in t and is closed by CloseAll. network is tcp, tcp4 or tcp6.
//
// Where every address failed the error is the one that says least: silence before a refusal before a router's
// word. A reset from a stale address would otherwise pass for proof of life of a machine that is silent.
func (t *Tracker) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dial %q: want host:port: %w", addr, err)
	}
	t.begin(PhaseDNS)
	addrs, err := t.resolve(ctx, network, host)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", host, err)
	}
	t.begin(PhaseTCP)
	var worst error
	for i, a := range addrs {
		c, err := t.dialOne(ctx, network, net.JoinHostPort(a.String(), port), len(addrs)-i)
		if err == nil {
			t.Enter(PhaseTLS)
			return c, nil
		}
		if worst == nil || weight(err) > weight(worst) {
			worst = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, worst
}

// begin enters a dialling phase unless the attempt is connected already.
func (t *Tracker) begin(p Phase) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.phase < PhasePrelogin {
		t.enter(p)
	}
}

// resolve returns the addresses of host in the resolver's order of preference.
func (t *Tracker) resolve(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	ipNetwork := "ip"
	switch network {
	case "tcp4":
		ipNetwork = "ip4"
	case "tcp6":
		ipNetwork = "ip6"
	}
	ask := t.resolver.LookupNetIP
	if t.names != nil {
		ask = func(ctx context.Context, network, host string) ([]netip.Addr, error) {
			return t.names.lookup(ctx, t.resolver, network, host)
		}
	}
	addrs, err := ask(ctx, ipNetwork, host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	return addrs, nil
}

// dialOne dials one address; left counts the addresses that share the remaining time, this one included.
func (t *Tracker) dialOne(ctx context.Context, network, addr string, left int) (*Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	nc, err := t.dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: nc}
	if err := t.Adopt(c); err != nil {
		return nil, err
	}
	return c, nil
}

// weight ranks dialling errors by how little they prove.
func weight(err error) int {
	switch {
	case timedOut(err):
		return 3
	case isAny(err, refused):
		return 2
	case isAny(err, unreachable):
		return 1
	}
	return 0
}

// Adopt makes c one of the attempt's connections: its bytes count here from now on, and CloseAll closes it. A pool
// hands a kept connection from one attempt to the next by this. Where the attempt was closed already, c is closed
// and the error is net.ErrClosed.
func (t *Tracker) Adopt(c *Conn) error {
	t.mu.Lock()
	closed := t.closed
	if !closed {
		t.conns[c] = struct{}{}
	}
	t.mu.Unlock()
	if closed {
		c.close()
		return fmt.Errorf("attempt is over: %w", net.ErrClosed)
	}
	c.owner.Store(t)
	return nil
}

// Release takes c out of the attempt, so that CloseAll leaves it open; it reports whether c was the attempt's and
// open. A pool keeps a connection only where Release says true.
func (t *Tracker) Release(c *Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.conns[c]
	delete(t.conns, c)
	if ok {
		c.owner.CompareAndSwap(t, nil)
	}
	return ok
}

// count adds bytes that went over one of the attempt's connections.
func (t *Tracker) count(read, written int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read += int64(read)
	t.written += int64(written)
}

// forget drops a closed connection.
func (t *Tracker) forget(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
}
