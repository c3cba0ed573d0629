package sqlhealth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
	"github.com/hypervigil/hypervigil/internal/lab/wire"
)

// deadline is what a probe of a hung server gets; lateness what it may take longer.
const (
	deadline = 300 * time.Millisecond
	lateness = 100 * time.Millisecond
)

// ended tells when a goroutine saw the context end: on a busy machine that is later than its deadline, and only what
// comes on top is the prober's.
func ended(ctx context.Context) <-chan time.Time {
	out := make(chan time.Time, 1)
	go func() {
		<-ctx.Done()
		out <- time.Now()
	}()
	return out
}

// tries is how often a test of time may be repeated: a machine that gives us no time makes an answer late, or a phase
// unreached by the deadline. A prober that is at fault is so each time.
const tries = 3

// wantHang probes a server that hangs and judges when it returns, with what, and what it leaves behind. Each try is
// preceded by before.
func wantHang(t *testing.T, p *Prober, reason dial.Reason, phase dial.Phase, before ...func()) {
	t.Helper()
	patience := deadline
	if phase == dial.PhaseLogin || phase == dial.PhaseQuery || p.strict && phase == dial.PhasePrelogin {
		patience = time.Second // TLS has to be through by then
	}
	var trouble error
	for range tries {
		for _, f := range before {
			f()
		}
		trouble = hangs(t, p, patience, reason, phase)
		wantNothingLeft(t, p)
		if trouble == nil {
			return
		}
	}
	t.Error(trouble)
}

// hangs makes one try; the error says what was not as wanted.
func hangs(t *testing.T, p *Prober, patience time.Duration, reason dial.Reason, phase dial.Phase) error {
	t.Helper()
	ctx := within(t, patience)
	end := ended(ctx)
	got := p.Availability(ctx)
	switch late := time.Since(<-end); {
	case late > lateness:
		return fmt.Errorf("returned %v after its deadline, at most %v are allowed", late, lateness)
	case got.Up || got.Reason != reason || got.Phase != phase:
		return fmt.Errorf("up %v, reason %q, phase %v, want reason %q in phase %v: %w", got.Up, got.Reason, got.Phase, reason, phase, got.Err)
	case !errors.Is(got.Err, context.DeadlineExceeded):
		return fmt.Errorf("error is %w, want one of the deadline", got.Err)
	}
	return nil
}

// wantNothingLeft waits for the driver to end: on a busy machine it notices that its connection was closed a moment
// after the call has given it up. There is no event to wait for.
func wantNothingLeft(t *testing.T, p *Prober) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); p.Abandoned() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d attempts abandoned for good", p.Abandoned())
		}
	}
}

// TestHungStages holds the server at each point of a connection, in each mode.
func TestHungStages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		stage   tdsserver.Stage
		encrypt config.Encryption
		reason  dial.Reason
		phase   dial.Phase
	}{
		{tdsserver.Accepted, config.Optional, dial.LoginTimeout, dial.PhasePrelogin},
		{tdsserver.Accepted, config.Mandatory, dial.LoginTimeout, dial.PhasePrelogin},
		{tdsserver.Accepted, config.Strict, dial.TLSTimeout, dial.PhaseTLS},
		{tdsserver.PreloginRead, config.Mandatory, dial.LoginTimeout, dial.PhasePrelogin},
		{tdsserver.PreloginRead, config.Strict, dial.LoginTimeout, dial.PhasePrelogin},
		{tdsserver.TLSExpected, config.Optional, dial.TLSTimeout, dial.PhaseTLS},
		{tdsserver.TLSExpected, config.Mandatory, dial.TLSTimeout, dial.PhaseTLS},
		{tdsserver.TLSExpected, config.Strict, dial.TLSTimeout, dial.PhaseTLS},
		{tdsserver.LoginRead, config.Optional, dial.LoginTimeout, dial.PhaseLogin},
		{tdsserver.LoginRead, config.Mandatory, dial.LoginTimeout, dial.PhaseLogin},
		{tdsserver.LoginRead, config.Strict, dial.LoginTimeout, dial.PhaseLogin},
	} {
		for _, tls12 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v %s tls12=%v", tt.stage, tt.encrypt, tls12), func(t *testing.T) {
				t.Parallel()
				f := start(t, server{tls12: tls12, stage: func(ctx context.Context, s tdsserver.Stage) error {
					if s != tt.stage {
						return nil
					}
					<-ctx.Done()
					return ctx.Err()
				}})
				wantHang(t, f.prober(t, tt.encrypt), tt.reason, tt.phase)
			})
		}
	}
}

// TestHungQuery lets the statement run for ever and ignores the attention, if one comes.
func TestHungQuery(t *testing.T) {
	t.Parallel()
	for _, encrypt := range []config.Encryption{config.Optional, config.Mandatory, config.Strict} {
		t.Run(string(encrypt), func(t *testing.T) {
			t.Parallel()
			hungUp, release := make(chan struct{}, tries), make(chan struct{})
			f := start(t, server{handler: handler{query: func(ctx context.Context, _ *tdsserver.Session, _ tdsserver.Request) tdsserver.Response {
				go func() { <-ctx.Done(); hungUp <- struct{}{} }()
				<-release
				return tdsserver.Response{}
			}}})
			t.Cleanup(func() { close(release) }) // before the server waits for its handler
			wantHang(t, f.prober(t, encrypt), dial.QueryTimeout, dial.PhaseQuery)
			if !t.Failed() {
				<-hungUp // the connection was closed
			}
		})
	}
}

// TestHungWire has the machine itself hang or vanish, before the connection and in the middle of a statement.
func TestHungWire(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		behaviour wire.Behaviour
		during    bool // a statement
		encrypt   config.Encryption
		reason    dial.Reason
		phase     dial.Phase
	}{
		{wire.Unanswered, false, config.Strict, dial.TCPTimeout, dial.PhaseTCP},
		{wire.Unanswered, false, config.Mandatory, dial.TCPTimeout, dial.PhaseTCP},
		{wire.Hung, false, config.Strict, dial.TLSTimeout, dial.PhaseTLS},
		{wire.Hung, false, config.Mandatory, dial.LoginTimeout, dial.PhasePrelogin},
		{wire.Hung, true, config.Strict, dial.QueryTimeout, dial.PhaseQuery},
		{wire.Unanswered, true, config.Mandatory, dial.QueryTimeout, dial.PhaseQuery},
	} {
		t.Run(fmt.Sprintf("%v during=%v %s", tt.behaviour, tt.during, tt.encrypt), func(t *testing.T) {
			t.Parallel()
			port, err := wire.Listen("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { port.Close() })
			set := func(b wire.Behaviour) {
				var unsupported *wire.UnsupportedError
				if err := port.Set(b); errors.As(err, &unsupported) {
					t.Skip(err)
				} else if err != nil {
					t.Error(err)
				}
			}
			s := server{listener: port}
			if tt.during {
				s.handler.query = func(ctx context.Context, _ *tdsserver.Session, _ tdsserver.Request) tdsserver.Response {
					set(tt.behaviour)
					return tdsserver.Response{}
				}
			}
			wantHang(t, start(t, s).prober(t, tt.encrypt), tt.reason, tt.phase, func() {
				if tt.during {
					set(wire.Answering)
				} else {
					set(tt.behaviour)
				}
			})
		})
	}
}

// slow delays each byte that the server sends.
type slow struct{ net.Listener }

func (l slow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &slowConn{Conn: c, closed: make(chan struct{})}, nil
}

type slowConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *slowConn) Write(b []byte) (int, error) {
	for i := range b {
		select {
		case <-time.After(deadline / 10):
		case <-c.closed:
			return i, net.ErrClosed
		}
		if _, err := c.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

func (c *slowConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// TestTrickle has bytes come so slowly that every single read is in time and the whole never is.
func TestTrickle(t *testing.T) {
	t.Parallel()
	for encrypt, want := range map[config.Encryption]struct {
		reason dial.Reason
		phase  dial.Phase
	}{
		config.Strict:    {dial.TLSTimeout, dial.PhaseTLS},
		config.Mandatory: {dial.LoginTimeout, dial.PhasePrelogin},
	} {
		t.Run(string(encrypt), func(t *testing.T) {
			t.Parallel()
			f := start(t, server{listener: slow{listen(t)}})
			wantHang(t, f.prober(t, encrypt), want.reason, want.phase)
		})
	}
}

// TestSilence has a peer that takes all it is given and never answers; it sees the connection closed.
func TestSilence(t *testing.T) {
	t.Parallel()
	for _, encrypt := range []config.Encryption{config.Strict, config.Mandatory} {
		l := listen(t)
		closed := make(chan error, 1)
		go func() {
			c, err := l.Accept()
			if err == nil {
				defer c.Close()
				_, err = io.Copy(io.Discard, c)
			}
			closed <- err
		}()
		p := fixture{addr: l.Addr().String()}.prober(t, encrypt)
		ctx := within(t, deadline)
		if _, err := p.Databases(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("databases = %v, want the deadline", err)
		}
		<-closed
	}
}

// TestCancelled shows that a caller who gives up learns nothing about the server.
func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f := start(t, server{handler: handler{query: func(ctx context.Context, _ *tdsserver.Session, _ tdsserver.Request) tdsserver.Response {
		cancel()
		<-ctx.Done()
		return tdsserver.Response{}
	}}})
	got := f.prober(t, config.Strict).Availability(ctx)
	if got.Up || got.Reason != dial.Other || !errors.Is(got.Err, context.Canceled) {
		t.Errorf("got %+v, want reason other", got)
	}
	got = f.prober(t, config.Strict).Availability(ctx)
	if got.Up || got.Reason != dial.Other || !errors.Is(got.Err, context.Canceled) || got.Phase != dial.PhaseNone {
		t.Errorf("with a context that had ended: %+v, want reason other", got)
	}
}

// TestHungUp shows what a closed or nonsensical connection is taken for at each stage.
func TestHungUp(t *testing.T) {
	t.Parallel()
	for stage := tdsserver.Accepted; stage <= tdsserver.LoginRead; stage++ {
		for _, encrypt := range []config.Encryption{config.Optional, config.Mandatory, config.Strict} {
			f := start(t, server{stage: func(_ context.Context, s tdsserver.Stage) error {
				if s == stage {
					return errors.New("dropped")
				}
				return nil
			}})
			if got := f.prober(t, encrypt).Availability(within(t, 5*time.Second)); got.Up || got.Reason != dial.Protocol {
				t.Errorf("dropped at %v, %s: %+v, want reason protocol", stage, encrypt, got)
			}
		}
	}
	f := start(t, server{handler: handler{query: func(context.Context, *tdsserver.Session, tdsserver.Request) tdsserver.Response {
		return tdsserver.Response{HangUp: true}
	}}})
	if got := f.prober(t, config.Strict).Availability(within(t, 5*time.Second)); got.Up || got.Reason != dial.Protocol || got.Phase != dial.PhaseQuery {
		t.Errorf("dropped in the statement: %+v, want reason protocol", got)
	}

	l := listen(t)
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(c, make([]byte, 8))
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request")
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	})
	for encrypt, want := range map[config.Encryption]dial.Reason{config.Mandatory: dial.Protocol, config.Strict: dial.TLS} {
		if got := (fixture{addr: l.Addr().String()}).prober(t, encrypt).Availability(within(t, 5*time.Second)); got.Up || got.Reason != want {
			t.Errorf("a web server, %s: %+v, want reason %s", encrypt, got, want)
		}
	}
	l.Close()
	served.Wait()
}

// TestConnect is the sweep's question.
func TestConnect(t *testing.T) {
	t.Parallel()
	port, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	p := fixture{addr: port.Addr().String()}.prober(t, config.Strict)
	for behaviour, want := range map[wire.Behaviour]dial.Reason{
		wire.Answering: dial.Answered, wire.Refusing: dial.Refused, wire.Hung: dial.Answered, wire.Unanswered: dial.TCPTimeout,
	} {
		if err := port.Set(behaviour); err != nil {
			var unsupported *wire.UnsupportedError
			if errors.As(err, &unsupported) {
				continue
			}
			t.Fatal(err)
		}
		if got := p.Connect(within(t, deadline)); got != want {
			t.Errorf("%v: reason %q, want %q", behaviour, got, want)
		}
	}
	unknown := fixture{addr: "no-such-host.invalid:1433"}.prober(t, config.Strict)
	if got := unknown.Connect(within(t, 5*time.Second)); got != dial.DNS {
		t.Errorf("unknown host: reason %q, want dns", got)
	}
	if got := unknown.Availability(within(t, 5*time.Second)); got.Reason != dial.DNS || got.Phase != dial.PhaseDNS {
		t.Errorf("unknown host: %+v, want reason dns", got)
	}
	if err := port.Set(wire.Refusing); err == nil {
		if got := p.Availability(within(t, 5*time.Second)); got.Reason != dial.Refused || got.Phase != dial.PhaseTCP {
			t.Errorf("refused: %+v", got)
		}
	}
}

// stick begins an attempt in which the driver does not notice its closed connection until release is closed, gives it
// up once the driver is in it, and returns how much later the call came back.
func stick(t *testing.T, p *Prober, release <-chan struct{}) (late time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	end := ended(ctx)
	_, err := perform(ctx, newAttempt(p), func(*session) (int, error) {
		cancel()
		<-release
		return 1, nil
	})
	late = time.Since(<-end)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("perform = %v, want that it was given up", err)
	}
	return late
}

// TestAbandoned shows that a driver which does not notice its closed connection is left behind, counted, and
// forgotten when it ends; and that there are no more attempts once several are.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	p := start(t, server{}).prober(t, config.Strict)
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	soonest := time.Hour // of several tries: a busy machine makes some of them late
	for i := range maxAbandoned {
		soonest = min(soonest, stick(t, p, release))
		if n := p.Abandoned(); n != i+1 {
			t.Errorf("%d abandoned, want %d", n, i+1)
		}
	}
	if soonest > lateness {
		t.Errorf("returned %v after its end at best, at most %v are allowed", soonest, lateness)
	}
	s := stream(t, p, time.Minute)
	for range 3 {
		if a := p.Availability(within(t, time.Minute)); a.Reason != dial.ProviderHung || a.Phase != dial.PhaseNone || a.Up {
			t.Errorf("with a driver that is stuck: %+v, want reason provider_hung and no attempt", a)
		}
		if v := verdict(s.Health(within(t, time.Minute))); v != "unknown, fresh false, provider_hung" {
			t.Errorf("verdict of a stream whose driver is stuck = %q", v)
		}
	}
	if n := p.Abandoned(); n != maxAbandoned {
		t.Errorf("%d abandoned, want %d and no more", n, maxAbandoned)
	}
	free()
	wantNothingLeft(t, p)
	if a := p.Availability(within(t, time.Minute)); !a.Up {
		t.Errorf("once the driver is back: %v", a.Err)
	}
	eventually(t, s, "level 0, fresh true")
}

// interrupted is a context that has woken those who wait for its end, and was interrupted before it called those who asked
// to be called, as happens to a process that the machine gives no time.
type interrupted struct {
	context.Context
	done chan struct{}
}

func (i interrupted) Done() <-chan struct{}             { return i.done }
func (interrupted) AfterFunc(func()) (stop func() bool) { return func() bool { return true } }

func (i interrupted) Err() error {
	select {
	case <-i.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestNothingIsLeftWhereTheDeadlineIsInterrupted has the attempt be given up before anybody has closed its connection: two
// goroutines and the connection stayed for as long as the server said nothing.
func TestNothingIsLeftWhereTheDeadlineIsInterrupted(t *testing.T) {
	t.Parallel()
	asked, hungUp := make(chan struct{}), make(chan struct{})
	f := start(t, server{handler: handler{query: func(ctx context.Context, _ *tdsserver.Session, _ tdsserver.Request) tdsserver.Response {
		close(asked)
		<-ctx.Done()
		close(hungUp)
		return tdsserver.Response{}
	}}})
	p := f.prober(t, config.Strict)
	ctx := interrupted{t.Context(), make(chan struct{})}
	go func() {
		<-asked
		close(ctx.done)
	}()
	if a := p.Availability(ctx); a.Up || a.Reason != dial.QueryTimeout {
		t.Errorf("Availability = %+v, want a time-out of the query", a)
	}
	select {
	case <-hungUp:
	case <-time.After(10 * time.Second):
		t.Error("the connection is still open")
	}
	wantNothingLeft(t, p)
}
