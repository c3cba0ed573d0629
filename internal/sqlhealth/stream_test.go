package sqlhealth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/sqlengine"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
	"github.com/hypervigil/hypervigil/internal/lab/wire"
)

// stream is one whose health check's time-out is short enough for a test; it is closed at the end.
func stream(t *testing.T, p *Prober, timeout time.Duration) *Stream {
	t.Helper()
	s := NewStream(p, 0)
	s.timeout, s.every = timeout, timeout/3
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if h := s.Health(t.Context()); h.Err == nil || h.Known {
			t.Errorf("after Close: %+v", h)
		}
	})
	return s
}

// verdict is a Health on one line.
func verdict(h Health) string {
	level, reason := "unknown", ""
	if h.Known {
		level = fmt.Sprintf("level %d", h.Level)
	}
	if h.Err != nil {
		reason = ", " + string(h.Err.Reason)
	}
	return fmt.Sprintf("%s, fresh %t%s", level, h.Fresh, reason)
}

// eventually asks until the verdict is the one wanted.
func eventually(t *testing.T, s *Stream, want string) Health {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		h := s.Health(within(t, 2*time.Second))
		if got := verdict(h); got == want {
			return h
		} else if time.Now().After(end) {
			t.Fatalf("verdict = %q (%v), want %q", got, h.Err, want)
		}
	}
}

// set is one of sp_server_diagnostics, with the states of system, resource and query_processing, and behind the
// instance's components those of an availability group of a misleading name.
func set(states ...int64) tdsserver.Result {
	text := tdsserver.Type{Kind: tdsserver.NVarChar, Length: tdsserver.Max}
	out := tdsserver.Result{Columns: []tdsserver.Column{
		{Name: "creation_time", Type: tdsserver.Type{Kind: tdsserver.DateTime}},
		{Name: "component_type", Type: text},
		{Name: "component_name", Type: text},
		{Name: "state", Type: tdsserver.Type{Kind: tdsserver.Int}},
		{Name: "state_desc", Type: text},
		{Name: "data", Type: text},
		{Name: "one more", Type: text},
	}}
	row := func(kind, name string, state int64, data any) {
		out.Rows = append(out.Rows, []any{started(), kind, name, state, "", data, nil})
	}
	row("Always On:AvailabilityGroup", "system", 3, "<x/>")
	for i, name := range []string{"system", "resource", "query_processing"} {
		row("instance", name, states[i], `<d maxWorkers="512"/>`)
	}
	row("instance", "io_subsystem", 1, nil)
	row("instance", "events", 0, nil)
	return out
}

// sets gives what a test sends.
func sets(first tdsserver.Result, rest <-chan tdsserver.Result) tdsserver.Response {
	first.More = func(ctx context.Context) (tdsserver.Result, bool) {
		select {
		case r, ok := <-rest:
			return r, ok
		case <-ctx.Done():
			return tdsserver.Result{}, false
		}
	}
	return tdsserver.Response{Results: []tdsserver.Result{first}}
}

// TestStream shows set after set of one connection, at once and not only when the next one comes.
func TestStream(t *testing.T) {
	t.Parallel()
	rest := make(chan tdsserver.Result)
	texts := make(chan string, 10)
	h := handler{query: func(_ context.Context, _ *tdsserver.Session, r tdsserver.Request) tdsserver.Response {
		texts <- r.Text
		return sets(set(1, 2, 1), rest)
	}}
	s := stream(t, start(t, server{handler: h}).prober(t, config.Strict), time.Minute)
	got := s.Health(within(t, 10*time.Second))
	if v := verdict(got); v != "level 0, fresh true" {
		t.Fatalf("verdict = %q (%v)", v, got.Err)
	}
	want := []Component{
		{"system", ComponentClean, 0, map[string]float64{"maxworkers": 512}},
		{"resource", ComponentWarning, 0, map[string]float64{"maxworkers": 512}},
		{"query_processing", ComponentClean, 0, map[string]float64{"maxworkers": 512}},
		{"io_subsystem", ComponentClean, 0, map[string]float64{}},
		{"events", ComponentUnknown, 0, nil},
	}
	if diff := cmp.Diff(want, got.Set.Components); diff != "" {
		t.Errorf("set (-want +got)\n%s", diff)
	}
	if age := time.Since(got.Set.Received); age < 0 || age > time.Minute {
		t.Errorf("received %v ago", age)
	}
	for _, tt := range []struct {
		set  tdsserver.Result
		want string
		rows [3]int // of sets that call system, resource and query_processing an error
	}{
		{set(1, 1, 3), "level 5, fresh true", [3]int{0, 0, 1}},
		{set(1, 3, 3), "level 4, fresh true", [3]int{0, 1, 2}},
		{set(3, 3, 1), "level 3, fresh true", [3]int{1, 2, 0}},
		{set(0, 3, 1), "unknown, fresh true", [3]int{0, 3, 0}},
		{set(1, 1, 7), "unknown, fresh true", [3]int{}},
		{set(1, 1, 1), "level 0, fresh true", [3]int{}},
	} {
		before := got.Set.Received
		rest <- tt.set
		for end := time.Now().Add(30 * time.Second); got.Set.Received.Equal(before) && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			got = s.Health(within(t, 2*time.Second))
		}
		if v := verdict(got); v != tt.want {
			t.Errorf("verdict = %q (%v), want %q", v, got.Err, tt.want)
		}
		for i, name := range []string{"system", "resource", "query_processing"} {
			if n := got.Set.Components[i].ErrorSets; got.Set.Components[i].Name != name || n != tt.rows[i] {
				t.Errorf("%s: %d sets in a row call it an error, want %d", name, n, tt.rows[i])
			}
		}
	}
	if text := <-texts; text != "EXEC sys.sp_server_diagnostics @repeat_interval = 20" || len(texts) > 0 {
		t.Errorf("asked %q and %d more", text, len(texts))
	}
}

// TestErrorsInARow: sets with an unseen time between them are not in a row.
func TestErrorsInARow(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_700_000_000, 0)
	var last Set
	for _, tt := range []struct {
		after time.Duration
		state ComponentState
		want  int
	}{
		{0, ComponentError, 1},
		{10 * time.Second, ComponentError, 2},
		{40 * time.Second, ComponentError, 3}, // 30 s later: still fresh
		{71 * time.Second, ComponentError, 1}, // 31 s later
		{80 * time.Second, ComponentWarning, 0},
		{90 * time.Second, ComponentError, 1},
		{100 * time.Second, ComponentUnknown, 0},
	} {
		next := Set{Received: began.Add(tt.after), Components: []Component{{Name: "news", State: ComponentError}, {Name: ComponentSystem, State: tt.state}}}
		if tt.after == 10*time.Second {
			next.Components = append(next.Components, Component{Name: ComponentResource, State: ComponentError})
		}
		next.countErrors(last, 30*time.Second)
		if got := next.Components[1].ErrorSets; got != tt.want {
			t.Errorf("after %v: %d in a row, want %d", tt.after, got, tt.want)
		}
		if tt.after == 10*time.Second && next.Components[2].ErrorSets != 1 {
			t.Errorf("a component that was not there before: %d in a row, want 1", next.Components[2].ErrorSets)
		}
		last = next
	}
}

// TestStreamOfTheEngine runs the stream against the simulated instance.
func TestStreamOfTheEngine(t *testing.T) {
	t.Parallel()
	m := &model{more: func(s *sqlengine.Snapshot) { s.Diagnostics.Resource = sqlengine.ComponentError }}
	s := NewStream(start(t, server{model: m}).prober(t, config.Mandatory), 20*time.Second)
	defer s.Close()
	if s.every != 6*time.Second {
		t.Errorf("a set every %v, want a third of the time-out in whole seconds", s.every)
	}
	h := s.Health(within(t, 10*time.Second))
	if v := verdict(h); v != "level 4, fresh true" {
		t.Fatalf("verdict = %q (%v)", v, h.Err)
	}
	for _, c := range h.Set.Components {
		if c.Name == ComponentResource && (c.Values["Available Physical Memory"] != 4<<30 || c.Values["outofmemoryexceptions"] != 1) {
			t.Errorf("figures of resource = %v", c.Values)
		}
	}
}

// kept is a listener that keeps what it accepts, so that a test can kill it.
type kept struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (k *kept) Accept() (net.Conn, error) {
	c, err := k.Listener.Accept()
	if err == nil {
		k.mu.Lock()
		k.conns = append(k.conns, c)
		k.mu.Unlock()
	}
	return c, err
}

// kill closes the connections there are and returns how many there ever were.
func (k *kept) kill() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.conns {
		c.Close()
	}
	return len(k.conns)
}

// TestStreamSurvivesAKilledConnection: the last set stands meanwhile, and the next call opens another connection.
func TestStreamSurvivesAKilledConnection(t *testing.T) {
	t.Parallel()
	l := &kept{Listener: listen(t)}
	h := handler{query: func(context.Context, *tdsserver.Session, tdsserver.Request) tdsserver.Response {
		return sets(set(1, 3, 1), nil)
	}}
	s := stream(t, start(t, server{handler: h, listener: l}).prober(t, config.Strict), time.Minute)
	first := eventually(t, s, "level 4, fresh true")
	for want := 1; want < 4; want++ {
		if n := l.kill(); n != want {
			t.Errorf("%d connections, want %d", n, want)
		}
		s.mu.Lock()
		r := s.run
		s.mu.Unlock()
		for end := false; !end; time.Sleep(time.Millisecond) { // the reader notices on its own
			s.mu.Lock()
			end = r.ended
			s.mu.Unlock()
		}
		// What the dead connection brought is fresh for a while, and not of the one that stands now.
		s.mu.Lock()
		next := &run{attempt: newAttempt(s.prober), first: make(chan struct{})}
		s.mu.Unlock()
		if h := s.judge(within(t, time.Nanosecond), next); !h.Fresh || h.Current {
			t.Errorf("on another connection: fresh %t, current %t, want fresh and of the one before", h.Fresh, h.Current)
		}
		if h := s.judge(within(t, time.Nanosecond), r); !h.Fresh || h.Current {
			t.Errorf("on the one that ended: fresh %t, current %t, want fresh and not current", h.Fresh, h.Current)
		}
		if r.err.Reason != dial.Protocol || r.err.Phase != dial.PhaseQuery {
			t.Errorf("ended with %v (%s)", r.err, r.err.Reason)
		}
		newest := eventually(t, s, "level 4, fresh true")
		if !newest.Set.Received.After(first.Set.Received) {
			t.Error("no new set of the new connection")
		}
		first = newest
	}
	if !first.Current {
		t.Error("a set of the connection that stands is not called current")
	}
}

// TestStreamOpensNoSecondConnection for callers that come at once.
func TestStreamOpensNoSecondConnection(t *testing.T) {
	t.Parallel()
	l := &kept{Listener: listen(t)}
	s := stream(t, start(t, server{listener: l}).prober(t, config.Strict), time.Minute)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			h := s.Health(within(t, 10*time.Second))
			if v := verdict(h); v != "level 0, fresh true" {
				t.Errorf("verdict = %q (%v)", v, h.Err)
			}
		})
	}
	all.Wait()
	if n := l.kill(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestStreamIsClosedWhenNobodyAsks after five missed calls, and opened again.
func TestStreamIsClosedWhenNobodyAsks(t *testing.T) {
	t.Parallel()
	over := make(chan struct{}, 10)
	h := handler{query: func(ctx context.Context, _ *tdsserver.Session, _ tdsserver.Request) tdsserver.Response {
		first := set(1, 1, 1)
		first.More = func(ctx context.Context) (tdsserver.Result, bool) {
			<-ctx.Done()
			over <- struct{}{}
			return tdsserver.Result{}, false
		}
		return tdsserver.Response{Results: []tdsserver.Result{first}}
	}}
	s := stream(t, start(t, server{handler: h}).prober(t, config.Strict), time.Minute)
	s.least = 400 * time.Millisecond // of a gap: a busy machine must not take two seconds between two calls
	for range 2 {
		var last time.Time
		for range 4 {
			last = time.Now()
			if v := verdict(s.Health(within(t, 10*time.Second))); v != "level 0, fresh true" {
				t.Errorf("verdict = %q", v)
			}
			time.Sleep(s.least / 10)
		}
		<-over
		if after := time.Since(last); after < (missed-1)*s.least {
			t.Errorf("closed %v after the last call, want %v", after, missed*s.least)
		}
	}
}

// TestStreamLevels of an instance that gives no sets: which level, or none, each kind of trouble is.
func TestStreamLevels(t *testing.T) {
	t.Parallel()
	refuse := func(number int32) server {
		return server{handler: handler{login: func(context.Context, tdsserver.Login) *tdsserver.Error {
			return &tdsserver.Error{Number: number, Class: 16, State: 1, Message: "No."}
		}}}
	}
	hang := func(ctx context.Context) { <-ctx.Done() }
	for _, tt := range []struct {
		name   string
		server server
		want   string
		forbid string // must never be the verdict, for twice the time-out
	}{
		{"wrong password", refuse(18456), "unknown, fresh false, auth", "level"},
		{"paused", refuse(17142), "unknown, fresh false, other", "level"},
		{"starting", refuse(17187), "unknown, fresh false, other", "level"},
		{"being stopped", refuse(17188), "unknown, fresh false, other", "level"},
		{"no thread left", refuse(17189), "level 2, fresh false, other", ""},
		{"login hangs", server{handler: handler{login: func(ctx context.Context, _ tdsserver.Login) *tdsserver.Error { hang(ctx); return nil }}}, "level 2, fresh false, login_timeout", ""},
		{"hangs at accept", server{stage: func(ctx context.Context, s tdsserver.Stage) error {
			if s == tdsserver.Accepted {
				hang(ctx)
			}
			return ctx.Err()
		}}, "level 2, fresh false, tls_timeout", ""},
		{"no set", server{handler: handler{query: func(ctx context.Context, _ *tdsserver.Session, _ tdsserver.Request) tdsserver.Response {
			hang(ctx)
			return tdsserver.Response{}
		}}}, "level 2, fresh false, query_timeout", ""},
		{"not granted", server{model: &model{more: func(s *sqlengine.Snapshot) { s.Lacks = sqlengine.ServerState }}}, "unknown, fresh false, permission", "level"},
		{"no procedure", server{handler: handler{query: func(context.Context, *tdsserver.Session, tdsserver.Request) tdsserver.Response {
			return tdsserver.Fail(&tdsserver.Error{Number: 2812, Class: 16, State: 62, Message: "Could not find stored procedure."})
		}}}, "unknown, fresh false, other", "level"},
		{"of another shape", server{handler: handler{query: func(context.Context, *tdsserver.Session, tdsserver.Request) tdsserver.Response {
			r := set(1, 1, 1)
			for i := range r.Rows {
				r.Rows[i] = r.Rows[i][:3]
			}
			r.Columns = r.Columns[:3]
			return sets(r, nil)
		}}}, "unknown, fresh false, protocol", "level"},
		{"ends by itself", server{handler: handler{query: func(context.Context, *tdsserver.Session, tdsserver.Request) tdsserver.Response {
			r := set(1, 1, 1)
			r.Rows = nil
			return tdsserver.Response{Results: []tdsserver.Result{r}}
		}}}, "unknown, fresh false, protocol", "level"},
		{"hangs up", server{handler: handler{query: func(context.Context, *tdsserver.Session, tdsserver.Request) tdsserver.Response {
			return tdsserver.Response{HangUp: true}
		}}}, "level 2, fresh false, protocol", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			reason := tt.want[strings.LastIndex(tt.want, ","):]
			timeout := 300 * time.Millisecond
			if tt.forbid != "" {
				timeout = time.Second // a busy machine must not take a third of it for one login
			}
			s := stream(t, start(t, tt.server).prober(t, config.Strict), timeout)
			eventually(t, s, tt.want)
			for end := time.Now().Add(2 * timeout); tt.forbid != "" && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				v := verdict(s.Health(within(t, time.Second)))
				// For another reason, that of a time-out, it is the machine that is too busy for the answer to come.
				if strings.HasPrefix(v, tt.forbid) && strings.HasSuffix(v, reason) {
					t.Fatalf("verdict = %q", v)
				}
			}
		})
	}
}

// TestWhatIsNoSilence: SQL Server spoke and the fault lies elsewhere, as against a connection that it closed.
func TestWhatIsNoSilence(t *testing.T) {
	t.Parallel()
	p := fixture{addr: "127.0.0.1:1433"}.prober(t, config.Strict)
	for _, tt := range []struct {
		err, last error // of the attempt, and of its connection
		want      bool
	}{
		{fmt.Errorf("dial: %w", errRouted), nil, false},
		{fmt.Errorf("%w: 3 columns", errShape), net.ErrClosed, false},
		{errTooLarge, errTooLarge, false},
		{errors.New("the driver's own words"), errTooLarge, false},
		{errStreamEnded, nil, false},
		{errStreamEnded, io.EOF, true},
		{io.EOF, io.EOF, true},
		{syscall.ECONNRESET, syscall.ECONNRESET, true},
	} {
		a := newAttempt(p)
		a.progress.connected()
		a.progress.asking()
		a.progress.lastErr = tt.last
		e := a.judge(t.Context(), tt.err)
		if got := isSilence(e); got != tt.want || e.Reason != dial.Protocol {
			t.Errorf("%v after %v: silence %t, reason %q, want %t and protocol", tt.err, tt.last, got, e.Reason, tt.want)
		}
	}
}

// TestStreamAndTheNetwork: a port that refuses is level 1, at once and also while the last set is fresh. A machine that
// does not answer is no level however long it lasts, nor is the moment in which it answers again.
func TestStreamAndTheNetwork(t *testing.T) {
	t.Parallel()
	port, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { port.Close() })
	const timeout = 600 * time.Millisecond
	answers := make(chan struct{}, 1)
	h := handler{query: func(ctx context.Context, _ *tdsserver.Session, _ tdsserver.Request) tdsserver.Response {
		select {
		case <-answers:
			return sets(set(1, 1, 1), nil)
		case <-ctx.Done():
			return tdsserver.Response{}
		}
	}}
	answers <- struct{}{}
	f := start(t, server{handler: h, listener: port})
	s := stream(t, f.prober(t, config.Strict), timeout)
	eventually(t, s, "level 0, fresh true")
	behave := func(b wire.Behaviour) {
		t.Helper()
		if err := port.Set(b); err != nil {
			t.Skip(err)
		}
	}
	behave(wire.Refusing)
	if got := verdict(s.Health(within(t, 5*time.Second))); !strings.HasPrefix(got, "level 1") {
		// The reader may not have noticed yet; then the next call asks again.
		eventually(t, s, "level 1, fresh true, tcp_refused")
	}
	eventually(t, s, "level 1, fresh false, tcp_refused")
	behave(wire.Unanswered)
	for end := time.Now().Add(3 * timeout); time.Now().Before(end); {
		if v := verdict(s.Health(within(t, 4*connectTime))); strings.HasPrefix(v, "level 2") {
			t.Fatalf("verdict = %q of a machine that does not answer", v)
		}
	}
	back := time.Now()
	behave(wire.Answering)
	for {
		v := verdict(s.Health(within(t, 4*connectTime)))
		if strings.HasPrefix(v, "level 2") {
			if after := time.Since(back); after < timeout {
				t.Errorf("verdict = %q %v after the machine came back, want none before %v", v, after, timeout)
			}
			break
		}
		if time.Since(back) > 30*time.Second {
			t.Fatalf("verdict = %q, want level 2 of one that gives no set", v)
		}
	}
	behave(wire.Hung)
	eventually(t, s, "level 2, fresh false, tls_timeout")
}

// TestCallersWithoutTime see no level themselves, and do not keep it from another: neither what they saw of the port nor
// how far the attempt was says anything.
func TestCallersWithoutTime(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	h := handler{query: func(ctx context.Context, _ *tdsserver.Session, _ tdsserver.Request) tdsserver.Response {
		<-ctx.Done()
		return tdsserver.Response{}
	}}
	s := stream(t, start(t, server{handler: h}).prober(t, config.Strict), time.Second)
	eventually(t, s, "level 2, fresh false, query_timeout")
	type row struct{ owing, accepting time.Time }
	seen := func() row {
		s.mu.Lock()
		defer s.mu.Unlock()
		return row{s.owing, s.accepting}
	}
	before := seen()
	for range 2 {
		for ended := false; !ended; time.Sleep(time.Millisecond) { // so that the next call is there when an attempt begins
			s.mu.Lock()
			ended = s.run.ended
			s.mu.Unlock()
		}
		for _, ctx := range []context.Context{over, within(t, time.Millisecond)} {
			if h := s.Health(ctx); h.Known {
				t.Errorf("verdict of a caller without time = %q", verdict(h))
			}
		}
		if after := seen(); after != before {
			t.Fatalf("owing and accepting since %v after a caller without time, want %v", after, before)
		}
	}
	eventually(t, s, "level 2, fresh false, query_timeout")
	if after := seen(); after != before {
		t.Errorf("owing and accepting since %v in the end, want %v", after, before)
	}
}

// TestFigures reads what SQL Server sends, and bears what it does not.
func TestFigures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		data string
		want map[string]float64
	}{
		{`<system systemCpuUtilization="11" BadPagesDetected="2" sickSpinlockType="none" LastBadPageAddress="0x0"><x systemCpuUtilization="99"/></system>`, map[string]float64{"systemcpuutilization": 11, "badpagesdetected": 2}},
		{`<?xml version="1.0" encoding="utf-16"?><r a="1"/>`, map[string]float64{"a": 1}},
		{`<resource a="1"><memoryReport><entry description="Working Set" value="7"/><entry description="x" value="y"/><entry value="3`, map[string]float64{"a": 1, "Working Set": 7}},
		{`<q a="1"` + strings.Repeat(" ", maxData) + `b="2"/>`, map[string]float64{}},
		{"", map[string]float64{}},
		{"no xml", map[string]float64{}},
		{`<a b="1"><c></a>`, map[string]float64{"b": 1}},
	} {
		if diff := cmp.Diff(tt.want, figures(tt.data)); diff != "" {
			t.Errorf("figures(%.80q) (-want +got)\n%s", tt.data, diff)
		}
	}
}

func FuzzFigures(f *testing.F) {
	f.Add(`<system systemCpuUtilization="11"><entry description="Working Set" value="7"/></system>`)
	f.Add(`<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x [<!ENTITY a "b">]><r a="&a;"/>`)
	f.Fuzz(func(_ *testing.T, data string) { figures(data) })
}

// TestTooLargeAnAnswer shows that an answer without an end is cut off, by the limit's name.
func TestTooLargeAnAnswer(t *testing.T) {
	t.Parallel()
	big := tdsserver.Result{
		Columns: []tdsserver.Column{{Name: "x", Type: tdsserver.Type{Kind: tdsserver.NVarChar, Length: tdsserver.Max}}},
		Rows:    [][]any{{strings.Repeat("x", 1<<20)}},
	}
	h := handler{query: func(context.Context, *tdsserver.Session, tdsserver.Request) tdsserver.Response {
		first := big
		first.More = func(ctx context.Context) (tdsserver.Result, bool) { return big, ctx.Err() == nil }
		return tdsserver.Response{Results: []tdsserver.Result{first}}
	}}
	p := start(t, server{handler: h}).prober(t, config.Strict)
	_, failures := p.DatabaseReport(within(t, time.Minute))
	if diff := cmp.Diff([]string{"read the databases: protocol"}, parts(failures)); diff != "" || !strings.Contains(failures[0].Error(), "64 MiB") {
		t.Errorf("missing (-want +got)\n%s\n%v", diff, failures)
	}
	wantNothingLeft(t, p)
}
