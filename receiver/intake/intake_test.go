package intake

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

func TestAcceptedIsWrittenDownBeforeItIsAnswered(t *testing.T) {
	t.Parallel()
	f := start(t, ledger.NewMemory(), nil)
	f.post(sample(t, "captured-0.31.1-one-resolved.json"), 202)

	handed := f.handed()
	if len(handed) != 1 {
		t.Fatalf("%d notifications handed on, want 1", len(handed))
	}
	n := handed[0]
	if n.Repeat || n.Record != "intake/00000000000000000001" || len(n.Alerts) != 2 || !n.At.Equal(f.clock) {
		t.Errorf("handed on: repeat %t, record %q, %d alerts, at %s", n.Repeat, n.Record, len(n.Alerts), n.At)
	}
	// After a crash right now it is there.
	pending, err := Pending(t.Context(), f.store.Crash())
	if diff := cmp.Diff([]Notification{n}, pending); err != nil || diff != "" {
		t.Errorf("Pending() after a crash: %v (-handed +pending):\n%s", err, diff)
	}
}

func TestPendingIsInTheOrderOfArrival(t *testing.T) {
	t.Parallel()
	f := start(t, ledger.NewMemory(), nil)
	for i := range 12 {
		f.post(body(fmt.Sprint("group", i), "firing", received), 202)
	}
	// Two were taken up: their records go in the batch of what came of them.
	if err := f.store.Commit(t.Context(), 1, []ledger.Op{{Key: f.handed()[0].Record}, {Key: f.handed()[5].Record}}); err != nil {
		t.Fatal(err)
	}
	pending, err := Pending(t.Context(), f.store)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(f.handed()[1:5], f.handed()[6:])
	if diff := cmp.Diff(want, pending); diff != "" {
		t.Errorf("Pending() (-want +got):\n%s", diff)
	}
}

func TestPendingNamesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	f := start(t, ledger.NewMemory(), nil)
	f.post(body("group", "firing", received), 202)
	if err := f.store.Commit(t.Context(), 1, []ledger.Op{{Key: sequenceKey(99), Value: []byte("{")}, {Key: "intake/x", Value: []byte("{}")}}); err != nil {
		t.Fatal(err)
	}
	pending, err := Pending(t.Context(), f.store)
	if len(pending) != 1 || err == nil || !strings.Contains(err.Error(), sequenceKey(99)) || !strings.Contains(err.Error(), "intake/x") {
		t.Errorf("Pending() = %d notifications, %v, want the good one and an error that names the others", len(pending), err)
	}
}

func TestRepeatIsAnsweredAndHandedOnButNotWritten(t *testing.T) {
	t.Parallel()
	f := start(t, ledger.NewMemory(), nil)
	firing, resolved := body("group", "firing", received), body("group", "resolved", received)
	for _, step := range []struct {
		name   string
		body   string
		after  time.Duration
		repeat bool
	}{
		{"first", firing, 0, false},
		{"the same", firing, time.Minute, true},
		{"the same from the other Alertmanager", strings.Replace(firing, `"version"`, `"externalURL":"http://other:9093","version"`, 1), 0, true},
		{"another group", body("other", "firing", received), 0, false},
		{"the same, late", firing, 23*time.Hour + 58*time.Minute, true},
		{"the same, a day after the first", firing, time.Minute, false},
		{"the same again", firing, 0, true},
		{"resolved", resolved, 0, false},
		{"resolved again", resolved, 0, true},
		{"fires again with the old start: its key is known, but it is news", firing, 0, false},
		{"and again", firing, 0, true},
		{"the same with alerts kept back", strings.Replace(firing, `"version"`, `"truncatedAlerts":3,"version"`, 1), 0, false},
		{"a later start", body("group", "firing", received.Add(time.Second)), 0, false},
		{"after the clock went back an hour", firing, -time.Hour, false},
	} {
		f.clock = f.clock.Add(step.after)
		before, written := len(f.handed()), len(f.keys("intake/"))
		f.post(step.body, 202)
		handed := f.handed()
		if len(handed) != before+1 {
			t.Fatalf("%s: %d handed on, want one more than %d", step.name, len(handed), before)
		}
		n := handed[before]
		if n.Repeat != step.repeat || (n.Record == "") != step.repeat {
			t.Errorf("%s: repeat = %t with record %q, want %t", step.name, n.Repeat, n.Record, step.repeat)
		}
		if got := len(f.keys("intake/")) - written; (got == 0) != step.repeat {
			t.Errorf("%s: %d records written", step.name, got)
		}
	}
}

func TestRestartRemembersDeliveriesAndSequence(t *testing.T) {
	t.Parallel()
	first := start(t, ledger.NewMemory(), nil)
	firing, resolved := body("group", "firing", received), body("group", "resolved", received)
	first.post(firing, 202)
	first.post(resolved, 202)
	var taken []ledger.Op
	for _, n := range first.handed() {
		taken = append(taken, ledger.Op{Key: n.Record})
	}
	if err := first.store.Commit(t.Context(), 1, taken); err != nil {
		t.Fatal(err)
	}

	second := start(t, first.store.Crash(), nil)
	second.post(resolved, 202)
	second.post(firing, 202)
	second.post(body("group", "firing", received.Add(time.Hour)), 202)
	var got []string
	for _, n := range second.handed() {
		got = append(got, n.Record)
	}
	// The first is a repeat. The sequence goes on although no intake record was left.
	if diff := cmp.Diff([]string{"", sequenceKey(3), sequenceKey(4)}, got); diff != "" {
		t.Errorf("records after the restart (-want +got):\n%s", diff)
	}

	// Records left in the intake count for the sequence, too.
	store := ledger.NewMemory()
	if err := store.Commit(t.Context(), 1, []ledger.Op{{Key: sequenceKey(41), Value: []byte("{}")}}); err != nil {
		t.Fatal(err)
	}
	third := start(t, store, nil)
	third.post(firing, 202)
	if got := third.handed()[0].Record; got != sequenceKey(42) {
		t.Errorf("record = %q, want %q", got, sequenceKey(42))
	}
}

func TestOldDeliveriesAreDeletedWithLaterWrites(t *testing.T) {
	t.Parallel()
	f := start(t, ledger.NewMemory(), nil)
	for i := range 100 {
		f.post(body(fmt.Sprint("group", i), "firing", received), 202)
	}
	f.clock = f.clock.Add(12 * time.Hour)
	f.post(body("group3", "firing", received.Add(time.Hour)), 202)
	f.clock = f.clock.Add(13 * time.Hour)
	for i, want := range []int{101 + 1 - pruneBatch, 101 + 2 - 100, 101 + 3 - 100} {
		f.post(body(fmt.Sprint("later", i), "firing", received), 202)
		if got := len(f.keys("delivery/")); got != want {
			t.Errorf("%d deliveries kept after write %d, want %d", got, i, want)
		}
	}
	if f.post(body("group3", "firing", received.Add(time.Hour)), 202); !f.handed()[len(f.handed())-1].Repeat {
		t.Error("a delivery of this day was forgotten")
	}
	if f.post(body("group0", "firing", received), 202); f.handed()[len(f.handed())-1].Repeat {
		t.Error("a delivery that was deleted is still known")
	}
	if len(f.handler.known.byKey) != len(f.keys("delivery/")) {
		t.Errorf("%d deliveries in memory and %d in the ledger", len(f.handler.known.byKey), len(f.keys("delivery/")))
	}
}

func TestDeliveriesAreBounded(t *testing.T) {
	t.Parallel()
	d := &deliveries{byKey: map[string]*delivery{}, latest: map[string]uint64{}, next: 1}
	for i := range uint64(maxDeliveries + 10) {
		d.add(fmt.Sprint(i), delivery{At: received, Sequence: i, Group: fmt.Sprint(i)})
	}
	old := d.expired(received, nil, &flight{})
	d.forget(old)
	if len(old) != 10 || len(d.byKey) != maxDeliveries || len(d.latest) != maxDeliveries || old[0].key != "0" {
		t.Errorf("%d forgotten, %d kept, %d groups, want the 10 oldest to go", len(old), len(d.byKey), len(d.latest))
	}
}

// The write that deletes an old delivery is slow, and the same delivery comes again meanwhile: the deletion must not
// take the new record away.
func TestADeliveryComesAgainWhileItsOldRecordIsDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var slow sync.Map
		f := start(t, ledger.NewMemory(), func(f *fixture, o *Options) {
			commit := o.Commit
			o.Commit = func(ctx context.Context, batch []ledger.Op) error {
				if _, yes := slow.LoadAndDelete(len(batch)); yes {
					time.Sleep(300 * time.Millisecond)
				}
				return commit(ctx, batch)
			}
		})
		f.post(body("group", "firing", received), 202)
		f.clock = f.clock.Add(25 * time.Hour)
		slow.Store(3, true) // a batch of three: record, delivery, and one deletion
		var wg sync.WaitGroup
		wg.Go(func() { f.post(body("other", "firing", received), 202) })
		synctest.Wait()
		f.post(body("group", "firing", received), 202)
		wg.Wait()
		if got := len(f.keys("delivery/")); got != 2 {
			t.Errorf("%d deliveries in the ledger, want both", got)
		}
		f.post(body("group", "firing", received), 202)
		if last := f.handed()[len(f.handed())-1]; !last.Repeat {
			t.Error("the delivery is not known")
		}
	})
}

func TestTheSameAtTheSameTimeIsWrittenOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		commits := 0
		f := start(t, ledger.NewMemory(), func(f *fixture, o *Options) {
			commit := o.Commit
			o.Commit = func(ctx context.Context, batch []ledger.Op) error {
				commits++
				time.Sleep(200 * time.Millisecond)
				return commit(ctx, batch)
			}
		})
		var wg sync.WaitGroup
		begun := time.Now()
		for range 5 {
			wg.Go(func() {
				f.post(body("group", "firing", received), 202)
				if waited := time.Since(begun); waited < 200*time.Millisecond {
					t.Errorf("answered after %s, before it was written", waited)
				}
			})
		}
		wg.Wait()
		repeats := 0
		for i, n := range f.handed() {
			if n.Repeat {
				repeats++
			} else if i != 0 {
				t.Error("a repeat was handed on before the original")
			}
		}
		if commits != 1 || len(f.handed()) != 5 || repeats != 4 {
			t.Errorf("%d commits, %d handed on, %d repeats, want 1, 5, 4", commits, len(f.handed()), repeats)
		}
	})
}

// The disk takes two and a half seconds: the sender hears 503 after one, tries again, and in the end the notification is there
// once and was handed on.
func TestASlowLedgerIsA503AndLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, ledger.NewMemory(), func(f *fixture, o *Options) {
			commit := o.Commit
			o.Commit = func(ctx context.Context, batch []ledger.Op) error {
				time.Sleep(2500 * time.Millisecond)
				if ctx.Err() != nil {
					t.Errorf("the write was given up: %v", ctx.Err())
				}
				return commit(ctx, batch)
			}
		})
		begun := time.Now()
		f.post(body("group", "firing", received), 503)
		if waited := time.Since(begun); waited != deadline {
			t.Errorf("503 after %s, want %s", waited, deadline)
		}
		f.post(body("group", "firing", received), 503)
		if len(f.handed()) != 0 {
			t.Errorf("handed on before it was written: %v", f.handed())
		}
		f.post(body("group", "firing", received), 202) // written while this one waits
		if handed := f.handed(); len(handed) != 2 || handed[0].Repeat || !handed[1].Repeat || len(f.keys("intake/")) != 1 {
			t.Errorf("handed on %d, %d records, want the original, a repeat and one record", len(f.handed()), len(f.keys("intake/")))
		}
	})
}

// net/http ends the context of a sender who has only closed his half of the connection.
func TestASenderWhoEndedHisHalfIsAnswered(t *testing.T) {
	t.Parallel()
	f := start(t, ledger.NewMemory(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := f.serve(request(body("group", "firing", received)).WithContext(ctx)).StatusCode; got != 202 {
		t.Errorf("status = %d, want 202", got)
	}
}

func TestALedgerThatFailsIsA503AndNothingIsRemembered(t *testing.T) {
	t.Parallel()
	for _, failure := range []ledger.Failure{ledger.Absent, ledger.UnknownLost, ledger.UnknownKept} {
		t.Run(failure.String(), func(t *testing.T) {
			t.Parallel()
			f := start(t, ledger.NewMemory(), nil)
			f.store.FailCommits(func([]ledger.Op) ledger.Failure { return failure })
			f.post(body("group", "firing", received), 503)
			f.post(body("group", "firing", received), 503)
			if len(f.handed()) != 0 {
				t.Errorf("handed on although it was not written: %v", f.handed())
			}
			if failure != ledger.Absent {
				return
			}
			f.store.FailCommits(nil)
			f.post(body("group", "firing", received), 202)
			if handed := f.handed(); len(handed) != 1 || handed[0].Repeat || handed[0].Record != sequenceKey(3) {
				t.Errorf("handed on %+v, want the original in record 3", f.handed())
			}
		})
	}
}

// A deletion that failed with its write is tried again with the next.
func TestAFailedWriteKeepsWhatItWouldHaveDeleted(t *testing.T) {
	t.Parallel()
	f := start(t, ledger.NewMemory(), nil)
	f.post(body("old", "firing", received), 202)
	f.clock = f.clock.Add(25 * time.Hour)
	f.store.FailCommits(func([]ledger.Op) ledger.Failure { return ledger.Absent })
	f.post(body("new", "firing", received), 503)
	f.post(body("old", "firing", received), 503)
	f.store.FailCommits(nil)
	f.post(body("new", "firing", received), 202)
	if got := len(f.keys("delivery/")); got != 1 {
		t.Errorf("%d deliveries in the ledger, want the new one", got)
	}
	if len(f.handler.known.byKey) != 1 || len(f.handler.known.latest) != 1 {
		t.Errorf("%d deliveries and %d groups in memory, want 1 and 1", len(f.handler.known.byKey), len(f.handler.known.latest))
	}
}

func TestAHangingLedgerDoesNotFillTheMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := start(t, ledger.NewMemory(), func(_ *fixture, o *Options) {
			o.Commit = func(context.Context, []ledger.Op) error {
				<-release
				return errors.New("given up")
			}
		})
		var wg sync.WaitGroup
		for i := range maxFlights {
			wg.Go(func() { f.post(body(fmt.Sprint("group", i), "firing", received), 503) })
		}
		synctest.Wait()
		begun := time.Now()
		f.post(body("one too many", "firing", received), 503)
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("refused after %s, want at once", waited)
		}
		wg.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.handler.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close() = %v, want context.DeadlineExceeded", err)
		}
		close(release)
	})
}

func TestClosedHandlerRefuses(t *testing.T) {
	t.Parallel()
	f := start(t, ledger.NewMemory(), nil)
	f.post(body("group", "firing", received), 202)
	if err := f.handler.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.post(body("other", "firing", received), 503)
}

func TestPanicIsNeverAnAcceptance(t *testing.T) {
	t.Parallel()
	t.Run("of the commit", func(t *testing.T) {
		t.Parallel()
		f := start(t, ledger.NewMemory(), func(_ *fixture, o *Options) {
			o.Commit = func(context.Context, []ledger.Op) error { panic("disk") }
		})
		f.post(body("group", "firing", received), 503)
		f.post(body("group", "firing", received), 503)
	})
	t.Run("of the one it is handed to", func(t *testing.T) {
		t.Parallel()
		broken := true
		f := start(t, ledger.NewMemory(), func(_ *fixture, o *Options) {
			hand := o.Accepted
			o.Accepted = func(n Notification) {
				if broken {
					panic("driver")
				}
				hand(n)
			}
		})
		f.post(body("group", "firing", received), 503)
		f.post(body("group", "firing", received), 503)
		broken = false
		f.post(body("group", "firing", received), 202)
		if handed := f.handed(); len(handed) != 1 || !handed[0].Repeat || len(f.keys("intake/")) != 1 {
			t.Errorf("handed on %+v with %d records, want one repeat and one record", handed, len(f.keys("intake/")))
		}
	})
	t.Run("of the reading", func(t *testing.T) {
		t.Parallel()
		f := start(t, ledger.NewMemory(), nil)
		r := request("")
		r.Body, r.ContentLength = io.NopCloser(panicReader{}), 2
		if got := f.serve(r).StatusCode; got != 503 {
			t.Errorf("status = %d, want 503", got)
		}
		if !strings.Contains(f.log.String(), "panic: of the reader") {
			t.Errorf("the log does not name the panic:\n%s", f.log)
		}
	})
}

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("of the reader") }

// noBody fails the test when it is read.
type noBody struct{ t *testing.T }

func (b noBody) Read([]byte) (int, error) {
	b.t.Error("the body was read")
	return 0, io.EOF
}

func (noBody) Close() error { return nil }

func TestCredentials(t *testing.T) {
	t.Parallel()
	verified := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
	type credential struct {
		authorization []string
		tls           *tls.ConnectionState
	}
	for _, asked := range []struct {
		name   string
		change func(*fixture, *Options)
		right  []credential
		wrong  []credential
	}{
		{
			"token", nil,
			[]credential{{authorization: []string{"Bearer the-right-token"}}, {authorization: []string{"bearer the-right-token"}}},
			[]credential{
				{},
				{tls: verified},
				{authorization: []string{""}},
				{authorization: []string{"Bearer"}},
				{authorization: []string{"Bearer "}},
				{authorization: []string{"Bearer the-right-toke"}},
				{authorization: []string{"Bearer the-right-token "}},
				{authorization: []string{"Bearer  the-right-token"}},
				{authorization: []string{"Bearer The-right-token"}},
				{authorization: []string{"the-right-token"}},
				{authorization: []string{"Basic the-right-token"}},
				{authorization: []string{"Basic dGhlLXJpZ2h0LXRva2VuOg=="}},
				{authorization: []string{"Bearer the-right-token", "Bearer the-right-token"}},
				{authorization: []string{"Bearer wrong", "Bearer the-right-token"}},
			},
		},
		{
			"certificate",
			func(_ *fixture, o *Options) { o.Token, o.RequireClientCert = nil, true },
			[]credential{{tls: verified}},
			[]credential{
				{},
				{authorization: []string{"Bearer the-right-token"}},
				{tls: &tls.ConnectionState{}},
				{tls: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}}, // shown, not verified
			},
		},
		{
			"both",
			func(_ *fixture, o *Options) { o.RequireClientCert = true },
			[]credential{{authorization: []string{"Bearer the-right-token"}, tls: verified}},
			[]credential{
				{},
				{authorization: []string{"Bearer the-right-token"}},
				{tls: verified},
				{authorization: []string{"Bearer wrong"}, tls: verified},
				{authorization: []string{"Bearer the-right-token"}, tls: &tls.ConnectionState{}},
			},
		},
	} {
		t.Run(asked.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, ledger.NewMemory(), asked.change)
			for i, c := range asked.right {
				r := request(body(fmt.Sprint("group", i), "firing", received))
				r.Header["Authorization"], r.TLS = c.authorization, c.tls
				if got := f.serve(r); got.StatusCode != 202 {
					t.Errorf("status = %d with %+v, want 202", got.StatusCode, c)
				}
			}
			for _, c := range asked.wrong {
				r := request("")
				r.Header["Authorization"], r.TLS, r.Body, r.ContentLength = c.authorization, c.tls, noBody{t}, 100
				got := f.serve(r)
				if got.StatusCode != 401 || got.Header.Get("WWW-Authenticate") != "Bearer" {
					t.Errorf("status = %d, WWW-Authenticate %q with %+v, want 401, Bearer", got.StatusCode, got.Header.Get("WWW-Authenticate"), c)
				}
			}
			if got := len(f.handed()); got != len(asked.right) {
				t.Errorf("%d handed on, want %d", got, len(asked.right))
			}
			if strings.Contains(f.log.String(), goodToken.Reveal()) {
				t.Errorf("the token is in the log:\n%s", f.log)
			}
		})
	}
}

// A token that is gone at run time lets nobody in.
func TestAnEmptyTokenMatchesNothing(t *testing.T) {
	t.Parallel()
	var current changing
	current.set("first")
	f := start(t, ledger.NewMemory(), func(_ *fixture, o *Options) { o.Token = &current })
	try := func(header string, want int) {
		t.Helper()
		r := request(body("group", "firing", received))
		r.Header.Set("Authorization", header)
		if got := f.serve(r).StatusCode; got != want {
			t.Errorf("status = %d with %q, want %d", got, header, want)
		}
	}
	try("Bearer first", 202)
	current.set("second")
	try("Bearer first", 401)
	try("Bearer second", 202)
	current.set("")
	try("Bearer ", 401)
	try("Bearer second", 401)
	try("", 401)
}

type changing struct {
	mu    sync.Mutex
	value string
}

func (c *changing) set(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value = s
}

func (c *changing) Reveal() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value
}

func TestChecksComeInOrder(t *testing.T) {
	t.Parallel()
	f := start(t, ledger.NewMemory(), nil)
	// Each request has every fault from its step on; the first names the answer.
	r := func() *http.Request {
		r := request(strings.Repeat("x", maxBody+1))
		r.Header.Set("Content-Encoding", "gzip")
		return r
	}
	big := r()
	big.Header.Del("Content-Encoding")
	token := r()
	token.Header.Set("Authorization", "Bearer wrong")
	method := r()
	method.Header.Del("Authorization")
	method.Method = http.MethodGet
	uri := r()
	uri.Method, uri.RequestURI = http.MethodGet, "/other"
	for _, test := range []struct {
		name string
		r    *http.Request
		want int
	}{{"path", uri, 404}, {"method", method, 405}, {"credential", token, 401}, {"encoding", r(), 415}, {"size", big, 413}, {"content", request("x"), 400}} {
		if got := f.serve(test.r); got.StatusCode != test.want {
			t.Errorf("%s: status = %d, want %d", test.name, got.StatusCode, test.want)
		}
	}
}

func TestSizeAndEncoding(t *testing.T) {
	t.Parallel()
	f := start(t, ledger.NewMemory(), nil)
	pad := func(size int) string {
		b := body("group", "firing", received)
		return b + strings.Repeat(" ", size-len(b))
	}
	f.post(pad(maxBody), 202)
	f.post(pad(maxBody+1), 413)

	chunked := request("")
	chunked.Body, chunked.ContentLength = io.NopCloser(strings.NewReader(pad(maxBody+1))), -1
	if got := f.serve(chunked).StatusCode; got != 413 {
		t.Errorf("status of a long body without a length = %d, want 413", got)
	}
	lying := request("")
	lying.Body, lying.ContentLength = noBody{t}, maxBody+1
	if got := f.serve(lying).StatusCode; got != 413 {
		t.Errorf("status of a body announced as too long = %d, want 413", got)
	}
	short := request("")
	short.Body, short.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(`{"version":"4"`), brokenReader{})), 1000
	if got := f.serve(short).StatusCode; got != 400 {
		t.Errorf("status of a body that breaks off = %d, want 400", got)
	}

	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 8 {
		if _, err := z.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, encoding := range []string{"gzip", "identity", "br", ""} {
		r := request(bomb.String())
		r.Header["Content-Encoding"] = []string{encoding}
		if got := f.serve(r).StatusCode; got != 415 {
			t.Errorf("status with Content-Encoding %q = %d, want 415", encoding, got)
		}
	}
	f.post(bomb.String(), 400) // compressed, but not called so
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAnswersHaveHeaders(t *testing.T) {
	t.Parallel()
	f := start(t, ledger.NewMemory(), nil)
	r := request("")
	r.Method = http.MethodPut
	got := f.serve(r)
	if got.StatusCode != 405 || got.Header.Get("Allow") != "POST" {
		t.Errorf("status = %d, Allow %q, want 405, POST", got.StatusCode, got.Header.Get("Allow"))
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Location": ""} {
		if got := got.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	f := start(t, ledger.NewMemory(), nil)
	problems, err := testutil.GatherAndLint(f.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	const all = `
# HELP hypervigil_receiver_last_notification_timestamp_seconds When the last notification was accepted, repeats included; 0 if none was since the start.
# TYPE hypervigil_receiver_last_notification_timestamp_seconds gauge
hypervigil_receiver_last_notification_timestamp_seconds %s
# HELP hypervigil_receiver_notification_alerts_dropped_total Alerts in accepted notifications that were not kept: unknown status, labels beyond their bounds, a time that cannot be.
# TYPE hypervigil_receiver_notification_alerts_dropped_total counter
hypervigil_receiver_notification_alerts_dropped_total{reason="size"} 0
hypervigil_receiver_notification_alerts_dropped_total{reason="status"} %d
hypervigil_receiver_notification_alerts_dropped_total{reason="time"} 0
# HELP hypervigil_receiver_notification_alerts_total Alerts in accepted notifications, repeats included, by their own status.
# TYPE hypervigil_receiver_notification_alerts_total counter
hypervigil_receiver_notification_alerts_total{status="firing"} %d
hypervigil_receiver_notification_alerts_total{status="resolved"} %d
# HELP hypervigil_receiver_notification_alerts_truncated_total Alerts that Alertmanager kept back from accepted notifications because of max_alerts.
# TYPE hypervigil_receiver_notification_alerts_truncated_total counter
hypervigil_receiver_notification_alerts_truncated_total %d
# HELP hypervigil_receiver_notification_bytes_total Bytes of the bodies that were read whole.
# TYPE hypervigil_receiver_notification_bytes_total counter
hypervigil_receiver_notification_bytes_total %d
# HELP hypervigil_receiver_notifications_total Requests to the webhook by result: accepted, duplicate, malformed, unauthorized, not_found, method_not_allowed, too_large, encoded, unavailable, panic.
# TYPE hypervigil_receiver_notifications_total counter
hypervigil_receiver_notifications_total{result="accepted"} %d
hypervigil_receiver_notifications_total{result="duplicate"} %d
hypervigil_receiver_notifications_total{result="encoded"} %[9]d
hypervigil_receiver_notifications_total{result="malformed"} %[9]d
hypervigil_receiver_notifications_total{result="method_not_allowed"} %[9]d
hypervigil_receiver_notifications_total{result="not_found"} %[9]d
hypervigil_receiver_notifications_total{result="panic"} 0
hypervigil_receiver_notifications_total{result="too_large"} %[9]d
hypervigil_receiver_notifications_total{result="unauthorized"} %[9]d
hypervigil_receiver_notifications_total{result="unavailable"} %[9]d
`
	names := []string{
		"hypervigil_receiver_last_notification_timestamp_seconds", "hypervigil_receiver_notification_alerts_dropped_total",
		"hypervigil_receiver_notification_alerts_total", "hypervigil_receiver_notification_alerts_truncated_total",
		"hypervigil_receiver_notification_bytes_total", "hypervigil_receiver_notifications_total",
	}
	if err := testutil.GatherAndCompare(f.registry, strings.NewReader(fmt.Sprintf(all, "0", 0, 0, 0, 0, 0, 0, 0, 0)), names...); err != nil {
		t.Errorf("at the start: %v", err)
	}
	both, truncated := sample(t, "captured-0.31.1-one-resolved.json"), sample(t, "captured-0.31.1-truncated.json")
	f.post(both, 202)
	f.post(both, 202)
	f.post(truncated, 202)
	bad := `{"version":"4","alerts":[{}]}`
	f.post(bad, 202)
	f.post("x", 400)
	change := func(alter func(*http.Request)) {
		r := request("")
		alter(r)
		f.serve(r)
	}
	change(func(r *http.Request) { r.Method = http.MethodGet })
	change(func(r *http.Request) { r.RequestURI = "/" })
	change(func(r *http.Request) { r.Header.Del("Authorization") })
	change(func(r *http.Request) { r.ContentLength = maxBody + 1 })
	change(func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") })
	f.store.FailCommits(func([]ledger.Op) ledger.Failure { return ledger.Absent })
	down := body("group", "firing", received)
	f.post(down, 503)
	bytes := 2*len(both) + len(truncated) + len(bad) + len("x") + len(down)
	want := fmt.Sprintf(all, "1.7954256e+09", 1, 3, 2, 1, bytes, 3, 1, 1)
	if err := testutil.GatherAndCompare(f.registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(f.handler.metrics.duration); n != 1 {
		t.Errorf("%d histograms of the duration, want 1", n)
	}
}

func TestRefusalsAreLoggedOnceInAWhile(t *testing.T) {
	t.Parallel()
	f := start(t, ledger.NewMemory(), nil)
	lines := func() int { return strings.Count(f.log.String(), "notification refused") }
	for range 50 {
		f.post("x", 400)
	}
	if lines() != 1 {
		t.Errorf("%d lines for 50 refusals, want 1:\n%s", lines(), f.log)
	}
	bad := request("")
	bad.Header.Set("Authorization", "Bearer my-mistyped-token")
	f.serve(bad)
	if lines() != 2 {
		t.Errorf("%d lines after a refusal of another kind, want 2", lines())
	}
	f.clock = f.clock.Add(logEvery)
	f.post("x", 400)
	if lines() != 3 || !strings.Contains(f.log.String(), "like_it_before=49") {
		t.Errorf("%d lines, want 3, the last with those not logged:\n%s", lines(), f.log)
	}
	if strings.Contains(f.log.String(), "my-mistyped-token") {
		t.Errorf("a token is in the log:\n%s", f.log)
	}
}

func TestNewRefusesWhatWouldBiteLater(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"no credential", func(o *Options) { o.Token = nil }, "anybody could post"},
		{"empty token", func(o *Options) { o.Token = token("") }, "token is empty"},
		{"relative path", func(o *Options) { o.Path = "webhook" }, "can name exactly"},
		{"slash at the end", func(o *Options) { o.Path = "/webhook/" }, "can name exactly"},
		{"path to be escaped", func(o *Options) { o.Path = "/web hook" }, "can name exactly"},
		{"path with dots", func(o *Options) { o.Path = "/a/../webhook" }, "can name exactly"},
		{"no Commit", func(o *Options) { o.Commit = nil }, "Commit"},
		{"no Store", func(o *Options) { o.Store = nil }, "Store"},
		{"no Accepted", func(o *Options) { o.Accepted = nil }, "Accepted"},
		{"no Logger", func(o *Options) { o.Logger = nil }, "Logger"},
		{"no Registerer", func(o *Options) { o.Registerer = nil }, "Registerer"},
		{"metrics taken", func(o *Options) {
			o.Registerer.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "hypervigil_receiver_notification_bytes_total", Help: "Theirs."}))
		}, "register metrics"},
		{"delivery that cannot be read", func(o *Options) { o.Store = put(t, "delivery/x", "{") }, "delivery/x"},
		{"delivery of another shape", func(o *Options) { o.Store = put(t, "delivery/x/y", "{}") }, "delivery/x/y"},
		{"sequence that is none", func(o *Options) { o.Store = put(t, "intake/x", "{}") }, "intake/x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := Options{
				Token: goodToken, Commit: func(context.Context, []ledger.Op) error { return nil }, Store: ledger.NewMemory(),
				Accepted: func(Notification) {}, Logger: log.NewNopLogger(), Registerer: prometheus.NewRegistry(),
			}
			test.change(&o)
			if _, err := New(o); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New() = %v, want an error with %q", err, test.want)
			}
		})
	}
}

func put(t *testing.T, key, value string) Lister {
	t.Helper()
	m := ledger.NewMemory()
	if err := m.Commit(t.Context(), 1, []ledger.Op{{Key: key, Value: []byte(value)}}); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNotificationRecordIsStable(t *testing.T) {
	t.Parallel()
	n := decoded(t, body("group", "firing", received))
	n.Record, n.Repeat = "never stored", true
	record, err := n.encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"at":"2026-11-23T09:20:00Z","delivery_key":"` + n.DeliveryKey + `","group_key":"group","receiver":"","external_url":"","truncated_alerts":0,` +
		`"alerts":[{"status":"firing","labels":{"alertname":"A","vm":"group"},"starts_at":"2026-11-23T09:20:00Z","fingerprint":"0000000000000005"}]}`
	if string(record) != want || !json.Valid(record) {
		t.Errorf("record = %s, want %s", record, want)
	}
}
