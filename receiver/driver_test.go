package receiver

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// fakeSite is a world in which every call takes a given time; it keeps what it was asked, in order.
type fakeSite struct {
	takes time.Duration

	mu    sync.Mutex
	calls []string
}

func (f *fakeSite) called(ctx context.Context, what string) {
	f.mu.Lock()
	f.calls = append(f.calls, what)
	f.mu.Unlock()
	select {
	case <-time.After(f.takes):
	case <-ctx.Done():
	}
}

func (f *fakeSite) Read(ctx context.Context, _ evidence.Ask) evidence.Round {
	f.called(ctx, "read")
	return evidence.Round{}
}

func (f *fakeSite) Sample(ctx context.Context, _ string) map[string]evidence.Reading[cluster.View] {
	f.called(ctx, "sample")
	return nil
}

func (f *fakeSite) Prove(ctx context.Context, _ evidence.VM) evidence.Proof {
	f.called(ctx, "prove")
	return evidence.Proof{Missing: []string{"nothing is proven here"}}
}

func (f *fakeSite) Sense(ctx context.Context, _ evidence.Ask) evidence.Vitals {
	f.called(ctx, "sense")
	return evidence.Vitals{}
}

func (f *fakeSite) Keep(ctx context.Context, _ evidence.Ask) evidence.Bundle {
	f.called(ctx, "keep")
	return evidence.Bundle{}
}

func (f *fakeSite) Do(ctx context.Context, _ remedy.Command, _ time.Time) remedy.Result {
	f.called(ctx, "do")
	return remedy.Result{Sent: true, Answered: ctx.Err() == nil, Unknown: ctx.Err() != nil}
}

func (f *fakeSite) IsLab(context.Context, string) (bool, error) { return true, nil }

func (f *fakeSite) did(what string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(f.calls), func(c string) bool { return c != what }))
}

const driverConfig = `credentials: {c: {username: u, password_env: HYPERVIGIL_TEST_PASSWORD}}
clusters:
  - name: hv-test
    reader: c
    operator: c
    guest_operator: c
    nodes: [{name: HV1, addresses: [127.0.0.1]}]
    virtual_machines:
      - {name: SQL01, guest: {address: 127.0.1.1}, sql_servers: [{instance: MSSQLSERVER, address: "127.0.1.1:1433", credential: c}]}
receiver:
  ledger: {path: ledger.db}
  webhook: {token_env: HYPERVIGIL_TEST_TOKEN}
  alertmanagers: ["http://127.0.0.1:9093"]
  policies: {standard: {}}
`

// testDriver makes a driver, inside a synctest bubble.
func testDriver(t *testing.T, site Site, commit Commit) *driver {
	t.Helper()
	cfg, err := config.Parse("test.yml", []byte(driverConfig))
	if err != nil {
		t.Fatal(err)
	}
	return newDriver(site, commit, incident.New(cfg, time.Now()), log.NewNopLogger(), newMetrics(prometheus.NewRegistry()))
}

// noLedger takes everything and keeps nothing.
func noLedger(context.Context, []ledger.Op) error { return nil }

// start runs a driver until end, which waits for it.
func start(d *driver) (end func()) {
	var run sync.WaitGroup
	run.Go(func() { d.run(nil) })
	return func() {
		d.stop()
		run.Wait()
	}
}

func firing(record string) incident.Notified {
	return incident.Notified{At: incident.At(time.Now()), Record: record, Alerts: []incident.NotifiedAlert{{
		Firing: true, StartsAt: time.Now(), Labels: map[string]string{
			"alertname": "SQLServerDown", "cluster": "hv-test", "vm": "SQL01", "sql_instance": "MSSQLSERVER", "fault": "service",
			"severity": "critical", "hypervigil": "act",
		},
	}}}
}

// TestNothingIsDoneBeforeItIsOnDisk: while the ledger cannot be written no decision is in force and nothing is read
// for it; when it can be again, everything goes on by itself.
func TestNothingIsDoneBeforeItIsOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := &fakeSite{takes: time.Millisecond}
		var mu sync.Mutex
		broken, written := true, []string(nil)
		d := testDriver(t, site, func(_ context.Context, batch []ledger.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if broken {
				return errors.New("disk full")
			}
			for _, op := range batch {
				written = append(written, op.Key)
			}
			return nil
		})
		end := start(d)
		synctest.Wait()
		d.send(firing("intake/1"))
		time.Sleep(10 * time.Second)
		if n := d.state.Load().Incidents.Len(); n != 0 || site.did("read") != 0 {
			t.Errorf("%d incidents and %d reads while the ledger could not be written, want none", n, site.did("read"))
		}
		if n := testutil.ToFloat64(d.metrics.ledgerErrors); n < 5 {
			t.Errorf("%v errors counted in 10 s, want one each second", n)
		}
		mu.Lock()
		broken = false
		mu.Unlock()
		time.Sleep(2 * time.Second)
		if d.state.Load().Incidents.Len() != 1 || site.did("read") == 0 {
			t.Error("the decision was not taken up when the ledger could be written again")
		}
		mu.Lock()
		if !slices.Contains(written, "intake/1") {
			t.Errorf("written: %v, want the notification's record deleted with what came of it", written)
		}
		mu.Unlock()
		end()
	})
}

// TestAStaleCommandIsNotSent: a command whose read has grown too old stays here, and Step learns of it (G9).
func TestAStaleCommandIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := &fakeSite{}
		d := testDriver(t, site, noLedger)
		d.perform([]incident.Effect{incident.Send{NotAfter: time.Now().Add(-time.Millisecond), Command: remedy.Command{Method: remedy.StartService, Timeout: time.Second}}})
		e := (<-d.events).(incident.Commanded)
		if e.Result.Sent || e.Result.Failure != "stale" || site.did("do") != 0 {
			t.Errorf("result = %+v after %d commands, want it not sent as stale", e.Result, site.did("do"))
		}
		d.perform([]incident.Effect{incident.Send{NotAfter: time.Now().Add(time.Millisecond), Command: remedy.Command{Method: remedy.StartService, Timeout: time.Second}}})
		if e := (<-d.events).(incident.Commanded); !e.Result.Sent || site.did("do") != 1 {
			t.Errorf("result = %+v, want a fresh command sent", e.Result)
		}
		end(d)
	})
}

// end stops a driver that was not run.
func end(d *driver) {
	d.stop()
	d.wake.Stop()
	d.work.Wait()
}

// TestACommandOutlivesTheStop: what has begun comes back and is known, within its own time-out; nothing new begins.
func TestACommandOutlivesTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := &fakeSite{takes: 3 * time.Second}
		d := testDriver(t, site, noLedger)
		send := incident.Send{NotAfter: time.Now().Add(time.Hour), Command: remedy.Command{Method: remedy.StartService, Timeout: 10 * time.Second}}
		d.perform([]incident.Effect{send})
		time.Sleep(time.Second)
		d.stop()
		began := time.Now()
		d.work.Wait()
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("stop waited %s for the command, want the 2 s that it still took", took)
		}
		d.perform([]incident.Effect{send})
		d.work.Wait()
		if n := site.did("do"); n != 1 {
			t.Errorf("%d commands, want none to begin after the stop", n)
		}
		d.wake.Stop()
	})
}

// TestALostClaimIsTold: where the action's key exists, nothing of the step counts and Step is told.
func TestALostClaimIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testDriver(t, &fakeSite{}, func(context.Context, []ledger.Op) error { return ledger.ErrConflict })
		claim := incident.Put{Key: "action/x/001", Value: 1, IfAbsent: true, Incident: "x", Number: 1}
		if d.store([]incident.Effect{claim}, nil) {
			t.Error("the step was taken although its claim was lost")
		}
		if e := (<-d.events).(incident.ClaimLost); e.Incident != "x" || e.Number != 1 {
			t.Errorf("told %+v, want the claim that was lost", e)
		}
		end(d)
	})
}

// TestIgnoredAlertsAreCountedAndToldOnce: a flood of them is no flood of the log.
func TestIgnoredAlertsAreCountedAndToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testDriver(t, &fakeSite{}, noLedger)
		var b strings.Builder
		d.logger = log.NewLogfmtLogger(&b)
		for range 3 {
			for n := range mostIgnored + 50 {
				d.ignored(incident.Ignored{Reason: "not_in_inventory", Why: "unknown", Labels: map[string]string{"alertname": "A", "vm": strconv.Itoa(n)}})
			}
		}
		if got := testutil.ToFloat64(d.metrics.ignored.WithLabelValues("not_in_inventory")); got != 3*(mostIgnored+50) {
			t.Errorf("counted %v, want all %d", got, 3*(mostIgnored+50))
		}
		if got := strings.Count(b.String(), "\n"); got != mostIgnored+1 {
			t.Errorf("%d lines, want one for each of the first %d and one that says so", got, mostIgnored)
		}
		end(d)
	})
}

// TestAFencedReceiverStops: once the ledger has refused its epoch, a receiver takes no step, sends nothing, and ends.
func TestAFencedReceiverStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := ledger.NewMemory()
		if err := store.Commit(t.Context(), epoch+1, nil); err != nil { // another receiver took over
			t.Fatal(err)
		}
		site := &fakeSite{}
		commits := 0
		d := testDriver(t, site, func(ctx context.Context, batch []ledger.Op) error {
			commits++
			return store.Commit(ctx, epoch, batch)
		})
		before := d.state.Load()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			d.run([]incident.Effect{
				incident.Put{Key: "action/x/001", Value: 1},
				incident.Send{Incident: "x", Number: 1, NotAfter: time.Now().Add(time.Minute), Command: remedy.Command{Timeout: time.Minute}},
			})
		}()
		<-ended
		d.perform([]incident.Effect{incident.Send{Incident: "x", Number: 1, NotAfter: time.Now().Add(time.Minute), Command: remedy.Command{Timeout: time.Minute}}})
		d.work.Wait()
		if n := site.did("do"); n != 0 || commits != 1 || !d.fenced.Load() || d.state.Load() != before {
			t.Errorf("%d commands, %d commits, fenced %t; want it to stop at the first refusal and to send nothing", n, commits, d.fenced.Load())
		}
		if store.List(t.Context(), "action/", func(key string, _ []byte) error { return errors.New(key) }) != nil {
			t.Error("the fenced receiver wrote")
		}
	})
}

// TestTheClockWakesStep: without any event the driver samples and proves by its own timer.
func TestTheClockWakesStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := &fakeSite{takes: time.Millisecond}
		d := testDriver(t, site, noLedger)
		finish := start(d)
		time.Sleep(time.Minute)
		finish()
		if site.did("sample") < 5 || site.did("prove") < 5 {
			t.Errorf("%d samples and %d proofs in a minute, want one at least every 10 s", site.did("sample"), site.did("prove"))
		}
	})
}

// TestAnAnswerAtTheStopIsKept: what a command answered while the receiver was stopping is on disk, and not looked up in
// the next life.
func TestAnAnswerAtTheStopIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var written []string
		d := testDriver(t, &fakeSite{takes: 3 * time.Second}, func(ctx context.Context, batch []ledger.Op) error {
			mu.Lock()
			defer mu.Unlock()
			for _, op := range batch {
				written = append(written, op.Key)
			}
			return ctx.Err()
		})
		s := *d.state.Load()
		command := remedy.Command{Method: remedy.StartService, VM: evidence.VM{Cluster: "hv-test", Name: "SQL01"}, Service: "MSSQLSERVER", Timeout: 10 * time.Second}
		s.Incidents = s.Incidents.With(incident.Incident{
			ID: "x", Subject: evidence.Subject{VM: command.VM, Instance: "MSSQLSERVER", Fault: evidence.Service}, Phase: incident.Acting,
			Actions: []incident.Action{{Number: 1, Rung: remedy.RestartService, Command: command, State: incident.Issued, Claimed: time.Now(), Issued: time.Now()}},
		})
		d.state.Store(&s)
		finish := start(d)
		d.perform([]incident.Effect{incident.Send{Incident: "x", Number: 1, Command: command, NotAfter: time.Now().Add(time.Hour)}})
		time.Sleep(time.Second)
		finish()
		i, _ := d.state.Load().Incidents.Get("x")
		if got := i.Actions[0].State; got != incident.Observed {
			t.Errorf("the action is %s after the stop, want %s", got, incident.Observed)
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.ContainsFunc(written, func(key string) bool { return strings.HasPrefix(key, "action/") }) {
			t.Errorf("written: %v, want the action", written)
		}
	})
}

// TestARepeatNeverWaits: while the ledger is sick the queue fills, and what Alertmanager repeats must not pile up.
func TestARepeatNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testDriver(t, &fakeSite{}, noLedger)
		for range 2 * queueLength {
			d.hint(firing("")) // would block here for ever
		}
		if n := len(d.events); n != queueLength {
			t.Errorf("%d events wait, want the queue's %d", n, queueLength)
		}
		end(d)
	})
}
