// Package lockout keeps a wrong password from locking its account: what a peer has refused is not sent to it again until
// the secret is another one, or a back-off is over that any usual policy forgives. It asks nobody and reads no secret.
//
//	k := lockout.New(lockout.Machine, logger)
//	try, err := k.Try(ctx, "HV1", password) // *Held: the answer is the one that the peer gave last
//	…
//	try.Refused(err) // or Accepted, or Done where the peer said neither
//
// A Keeper belongs to one account, whoever uses it. It is safe for concurrent use, and starts no goroutine.
package lockout

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// The policy that nothing here may set off: an account is locked by the fifth wrong password (CIS benchmarks for Microsoft
// Windows Server, 1.2.2, "5 or fewer"), and its counter begins again with the first that comes more than fifteen minutes
// after the last (1.2.4, "15 or more minutes"; MS-SAMR 3.1.5.14.6). Logins of SQL Server follow their machine's policy.
//
// Two programs may use one account. Each tries once at any moment, and after that at the slots alone, which are moments of
// the clock and so the same for both: no more than four wrong passwords follow each other before the counter begins again.
// A retry every few minutes instead would never let it.
const (
	// window is how long after a wrong password another one adds to it.
	window = 15 * time.Minute
	// slot is the distance of two slots.
	slot = 20 * time.Minute
	// least is how long a refusal holds at least, so that one right before a slot is not followed by it.
	least = time.Minute
	// doubted and trusted are how many refusals within the window hold a domain's account back everywhere, not only where
	// it was refused: before anybody has accepted the secret, and after. One machine alone, or two of many, may have a
	// fault of their own.
	doubted = 2
	trusted = 4
)

// patience is how long a try excludes others with the same secret, as long as nobody has accepted it: a peer that refuses
// does so at once, and one that is silent for longer refuses nothing.
const patience = 200 * time.Millisecond

// Scope tells whose account it is.
type Scope int

// The scopes.
const (
	// Machine: each peer has an account of its own by that name, such as a login of SQL Server or a machine's local user.
	Machine Scope = iota
	// Domain: it is one account, whichever peer it is shown to.
	Domain
)

// String is the scope in small letters.
func (s Scope) String() string {
	switch s {
	case Machine:
		return "machine"
	case Domain:
		return "domain"
	}
	return fmt.Sprintf("Scope(%d)", int(s))
}

// Next is when a secret that was refused may be tried again: at the first slot that is not too close.
func Next(refused time.Time) time.Time {
	t := refused.Add(least).UTC()
	next := t.Truncate(slot)
	if next.Before(t) {
		next = next.Add(slot)
	}
	return next
}

// Held says that a secret was not sent. It holds what the peer said when it was sent last.
type Held struct {
	Err   error
	Until time.Time // when it may be sent again; zero where somebody else's try was waited for
}

// Error says what was refused and until when.
func (h *Held) Error() string {
	if h.Until.IsZero() {
		return h.Err.Error()
	}
	return fmt.Sprintf("%v; not tried again before %s unless the secret changes, so that the account is not locked", h.Err, h.Until.UTC().Format(time.RFC3339))
}

// Unwrap returns what the peer said.
func (h *Held) Unwrap() error { return h.Err }

// errPending says that a caller's time ended while he waited for what became of somebody else's try.
var errPending = errors.New("waiting for the outcome of another login with the same secret")

// Keeper knows what became of one account's secret. Make one with New; a nil Keeper holds nothing back.
type Keeper struct {
	scope  Scope
	logger log.Logger

	mu     sync.Mutex
	digest [sha256.Size]byte // of the secret that the rest is about
	places map[string]*place
	// account is what is known of a domain's account, wherever it was shown.
	account account
}

// account counts refusals that follow each other within the window, without anybody who accepts the secret.
type account struct {
	proven   bool // somebody has accepted it
	refusals int
	at       time.Time // of the last refusal
	err      error
	pending  *Try
}

// held reports until when the account may not be tried anywhere; zero where it may.
func (a *account) held(now time.Time) time.Time {
	limit := doubted
	if a.proven {
		limit = trusted
	}
	if until := Next(a.at); a.refusals >= limit && now.Before(until) {
		return until
	}
	return time.Time{}
}

// place is what is known of one peer.
type place struct {
	proven  bool
	refused error
	until   time.Time
	pending *Try
}

// New returns the Keeper of an account. The logger is told what is held back, and when that ends.
func New(s Scope, l log.Logger) *Keeper {
	return &Keeper{scope: s, logger: l, places: map[string]*place{}}
}

// Try asks whether a secret may be shown to a peer, and waits a moment for the outcome of another try. The error is a
// *Held. Whoever gets a Try ends it by one of its methods.
func (k *Keeper) Try(ctx context.Context, peer, secret string) (*Try, error) {
	if k == nil {
		return nil, nil
	}
	digest := sha256.Sum256([]byte(secret))
	for {
		try, held, pending := k.decide(time.Now(), peer, digest)
		switch {
		case held != nil:
			return nil, held
		case try != nil:
			return try, nil
		}
		timer := time.NewTimer(time.Until(pending.began.Add(patience)))
		select {
		case <-pending.over:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, &Held{Err: errPending}
		}
		timer.Stop()
	}
}

// decide is the rule: it returns a try, or why there is none, or whose outcome to wait for.
func (k *Keeper) decide(now time.Time, peer string, digest [sha256.Size]byte) (*Try, *Held, *Try) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if digest != k.digest {
		k.digest, k.account = digest, account{}
		clear(k.places)
	}
	p := k.places[peer]
	if p == nil {
		p = &place{}
		k.places[peer] = p
	}
	if now.Before(p.until) {
		return nil, &Held{Err: p.refused, Until: p.until}, nil
	}
	pending, doubtful := &p.pending, !p.proven
	if k.scope == Domain {
		if until := k.account.held(now); !until.IsZero() {
			return nil, &Held{Err: k.account.err, Until: until}, nil
		}
		pending, doubtful = &k.account.pending, !k.account.proven || k.account.refusals > 0
	}
	t := &Try{keeper: k, peer: peer, digest: digest, began: now, over: make(chan struct{})}
	if doubtful {
		if (*pending).excludes(now) {
			return nil, nil, *pending
		}
		*pending = t
	}
	return t, nil, nil
}

// Try is a secret on its way to a peer. A nil Try, of a nil Keeper, does nothing.
type Try struct {
	keeper *Keeper
	peer   string
	digest [sha256.Size]byte
	began  time.Time
	once   sync.Once
	over   chan struct{}
}

// excludes reports whether others wait for the try.
func (t *Try) excludes(now time.Time) bool {
	if t == nil || now.Sub(t.began) >= patience {
		return false
	}
	select {
	case <-t.over:
		return false
	default:
		return true
	}
}

// end records an outcome, once, unless the secret has changed meanwhile.
func (t *Try) end(outcome func(*Keeper, *place)) {
	if t == nil {
		return
	}
	t.once.Do(func() {
		k := t.keeper
		k.mu.Lock()
		defer k.mu.Unlock()
		if p := k.places[t.peer]; p != nil && k.digest == t.digest {
			outcome(k, p)
		}
		close(t.over)
	})
}

// Done says that the peer neither accepted the secret nor refused it.
func (t *Try) Done() { t.end(func(*Keeper, *place) {}) }

// Accepted says that the peer accepted it.
func (t *Try) Accepted() {
	t.end(func(k *Keeper, p *place) {
		if p.refused != nil {
			_ = level.Info(k.logger).Log("msg", "secret accepted again", "peer", t.peer)
		}
		k.account = account{proven: true}
		*p = place{proven: true}
	})
}

// Refused says that the peer refused it, by a word of its own, and what that was; the error holds no secret.
func (t *Try) Refused(err error) {
	t.end(func(k *Keeper, p *place) {
		now := time.Now()
		p.proven, p.refused, p.until = false, err, Next(now)
		a := &k.account
		if now.Sub(a.at) > window {
			a.refusals = 0
		}
		a.refusals++
		a.at, a.err = now, err
		_ = level.Warn(k.logger).Log("msg", "secret refused and held back", "peer", t.peer, "until", p.until.Format(time.RFC3339), "err", err)
	})
}
