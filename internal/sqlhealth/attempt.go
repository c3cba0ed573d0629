package sqlhealth

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lockout"
)

// grace is how long a call waits for the driver to notice that its connection has been closed. It leaves most of the
// promised 100 ms to a busy machine: a caller who has to answer without us answers without the reason.
const grace = 25 * time.Millisecond

// maxAbandoned bounds how many attempts at one instance may be abandoned. Beyond, none is begun until one of them ends:
// a driver that never comes back costs so many goroutines, besides those that were under way together, and no more.
const maxAbandoned = 4

// errHung says that the driver is stuck. That is a fault of ours, and says nothing about SQL Server.
var errHung = fmt.Errorf("not attempted: %d earlier attempts hang in the driver", maxAbandoned)

// attempt is one login and what is asked after it.
type attempt struct {
	prober   *Prober
	began    time.Time
	tracker  *dial.Tracker
	progress *progress
	secret   config.Secret
	// waiting is true while a ticket is waited for: what is silent then is not SQL Server.
	waiting atomic.Bool
	// held is set where the secret was not sent; try is the secret on its way otherwise.
	held atomic.Pointer[lockout.Held]
	try  *lockout.Try // used by the driver's goroutine alone
}

func newAttempt(p *Prober) *attempt {
	t := p.names.NewTracker()
	return &attempt{prober: p, began: time.Now(), tracker: t, progress: &progress{tracker: t, strict: p.strict}}
}

// durations is how long the attempt was in each phase that it entered.
func (a *attempt) durations() map[dial.Phase]time.Duration {
	out := make(map[dial.Phase]time.Duration)
	for p, d := range a.tracker.Durations() {
		if p == dial.PhaseDNS || p == dial.PhaseTCP {
			out[p] = d
		}
	}
	a.progress.durations(out)
	return out
}

// How an attempt's goroutine and the call that waits for it part.
const (
	together int32 = iota
	finished
	abandoned
)

// perform logs in, asks, and returns when that is done or ctx has ended. The driver runs without a context: its own
// handling of one sends an attention and waits for the server to confirm it. Here the connection is closed under it,
// which ends whatever it waits for.
func perform[T any](ctx context.Context, a *attempt, ask func(*session) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if a.prober.Abandoned() >= maxAbandoned {
		return none, errHung
	}
	var secret config.Secret
	if a.prober.password != nil {
		var err error
		if secret, err = a.prober.password(); err != nil {
			return none, fmt.Errorf("%w: %w", errPassword, err)
		}
	}
	a.secret = secret
	defer a.tracker.Watch(ctx)()
	answers := make(chan answer, 1) // so that an abandoned goroutine can end
	var parting atomic.Int32
	go func() {
		v, err := converse(ctx, a, secret, ask)
		if err != nil {
			a.tracker.CloseAll()
		}
		answers <- answer{v, err}
		if !parting.CompareAndSwap(together, finished) {
			a.prober.abandoned.Add(-1)
		}
	}()
	select {
	case got := <-answers:
		return got.value, got.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case got := <-answers:
		return got.value, got.err
	case <-timer.C:
	}
	a.prober.abandoned.Add(1)
	if !parting.CompareAndSwap(together, abandoned) {
		a.prober.abandoned.Add(-1)
	}
	return none, ctx.Err()
}

// converse is the part of an attempt in which the driver runs.
func converse[T any](ctx context.Context, a *attempt, secret config.Secret, ask func(*session) (T, error)) (T, error) {
	var none T
	cfg := a.prober.config
	if a.prober.prove == nil {
		cfg.Password = secret.Reveal()
	} else {
		cfg.ProtocolParameters = map[string]any{providerName: a.prober.prove(ctx, a)}
	}
	cfg.TLSConfig = cfg.TLSConfig.Clone() // the driver writes into it
	cfg.TLSConfig.VerifyConnection = a.progress.certificate
	a.prober.certificates.Hook(cfg.TLSConfig)
	connector := mssql.NewConnectorConfig(cfg)
	connector.Dialer = a.dialer(ctx)
	defer func() { a.try.Done() }()
	dc, err := connector.Connect(context.WithoutCancel(ctx))
	a.outcome(err)
	if err != nil {
		a.prober.certificates.Failed(err)
		return none, err
	}
	a.progress.asking()
	v, err := ask(&session{dc})
	if err != nil {
		// The driver's Close would give its buffers to the next connection while its reader may still be using
		// them. The socket is closed by the caller, and the buffers are left to the garbage collector.
		return none, err
	}
	// The answer is there; whether the goodbye gets through does not matter.
	_ = dc.Close()
	return v, nil
}

// dialer dials once, under the context of the call and not the one that the driver gives it.
func (a *attempt) dialer(ctx context.Context) dialFunc {
	dialled := false
	return func(network, addr string) (net.Conn, error) {
		if dialled {
			return nil, errRouted
		}
		dialled = true
		c, err := a.tracker.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		a.progress.connected()
		// Only now: a port that is refused is seen even while the secret is held back.
		if err := a.admit(ctx); err != nil {
			return nil, err
		}
		return &conn{Conn: c, progress: a.progress}, nil
	}
}

// admit asks whether the secret may be shown to this instance.
func (a *attempt) admit(ctx context.Context) error {
	if a.prober.password == nil {
		return nil // tickets have rules of their own
	}
	try, err := a.prober.lockout.Try(ctx, a.prober.address, a.secret.Reveal())
	var held *lockout.Held
	if errors.As(err, &held) {
		a.progress.proving() // as far as the refusal came
		a.held.Store(held)
		a.tracker.CloseAll()
		return err
	}
	a.try = try
	return nil
}

// outcome tells what became of the secret: SQL Server let it in, refused it, or said nothing about it.
func (a *attempt) outcome(err error) {
	var server mssql.Error
	switch {
	case err == nil:
		a.try.Accepted()
	case errors.As(err, &server):
		if number, reason, _ := numbered(server, dial.PhaseLogin); reason == dial.Auth && refusesSecret(number) {
			a.try.Refused(errors.New(a.redact(err)))
		}
	}
}

// dialFunc is the driver's dialer. It resolves names itself.
type dialFunc func(network, addr string) (net.Conn, error)

var _ mssql.HostDialer = dialFunc(nil)

// DialContext dials.
func (f dialFunc) DialContext(_ context.Context, network, addr string) (net.Conn, error) {
	return f(network, addr)
}

// HostName makes the driver leave the resolving of names to the dialer.
func (dialFunc) HostName() string { return "" }

// session is a connection that has logged in.
type session struct{ conn driver.Conn }
