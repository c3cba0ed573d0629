package eventlog

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine has a log and a clock.
type machine struct {
	now    time.Time
	events []cluster.Event
	err    error
	block  chan struct{}
	slow   func(events int) time.Duration // how long it takes to hand over so many
	most   int                            // that were asked for
}

func (m *machine) OperatingSystem(context.Context) (cluster.OperatingSystem, error) {
	return cluster.OperatingSystem{ComputerName: "HV1", LocalTime: m.now}, m.err
}

func (m *machine) Events(ctx context.Context, q cluster.EventQuery) ([]cluster.Event, error) {
	if m.block != nil {
		select {
		case <-m.block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	m.most = q.Most
	var out []cluster.Event
	for _, e := range m.events {
		if e.Log == q.Log && !e.At.Before(q.Since.Truncate(time.Second)) {
			out = append(out, e)
		}
	}
	if m.slow != nil {
		select {
		case <-time.After(m.slow(len(out))):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return out, m.err
}

// write adds an event; old logs keep whole seconds.
func (m *machine) write(log string, record, id uint32) {
	m.events = append(m.events, cluster.Event{Log: log, Record: record, ID: id, At: m.now.Truncate(time.Second)})
}

var start = time.Date(2026, 8, 1, 12, 0, 0, 300_000_000, time.UTC)

func byID(e cluster.Event) (string, bool) { return fmt.Sprint(e.ID), e.ID != 7 }

func counter(m *machine) *Counter {
	return New(m, []cluster.EventQuery{{Log: "System"}, {Log: "Application"}}, byID)
}

// read wants these counts.
func read(t *testing.T, c *Counter, want map[string]uint64) {
	t.Helper()
	got, since, err := c.Read(t.Context())
	if err != nil || !since.Equal(start) {
		t.Fatalf("Read = %v since %v, %v; want since %v", got, since, err, start)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// TestEachEventCountsOnce: whatever the second in which it came, and whatever the log's numbers do.
func TestEachEventCountsOnce(t *testing.T) {
	t.Parallel()
	m := &machine{now: start}
	m.write("System", 1, 1135) // before the first look, in its second
	c := counter(m)
	read(t, c, map[string]uint64{})
	m.write("System", 2, 1135) // after it, in its second
	m.write("Application", 2, 824)
	read(t, c, map[string]uint64{"1135": 1, "824": 1})
	read(t, c, map[string]uint64{"1135": 1, "824": 1})
	m.now = start.Add(time.Minute)
	m.write("System", 3, 1069)
	m.write("System", 4, 7) // nobody's
	read(t, c, map[string]uint64{"1135": 1, "824": 1, "1069": 1})
	m.write("System", 5, 1069)
	read(t, c, map[string]uint64{"1135": 1, "824": 1, "1069": 2})
	m.now, m.events = start.Add(time.Hour), nil // the log was cleared, its numbers begin again
	m.write("System", 1, 1069)
	read(t, c, map[string]uint64{"1135": 1, "824": 1, "1069": 3})
	// A late one with an earlier time is lost.
	m.events = append(m.events, cluster.Event{Log: "System", Record: 2, ID: 1069, At: start.Add(time.Minute)})
	read(t, c, map[string]uint64{"1135": 1, "824": 1, "1069": 3})
	if m.most != maxEvents {
		t.Errorf("asked for at most %d events, want %d", m.most, maxEvents)
	}
}

// TestWhatOneLookMissesTheNextFinds: a failure gives no counts, and loses none.
func TestWhatOneLookMissesTheNextFinds(t *testing.T) {
	t.Parallel()
	m := &machine{now: start, err: errors.New("no")}
	c := counter(m)
	if got, _, err := c.Read(t.Context()); err == nil || got != nil {
		t.Errorf("Read of a machine that does not answer = %v, %v", got, err)
	}
	m.err = nil
	read(t, c, map[string]uint64{})
	m.now = start.Add(time.Second)
	m.write("System", 1, 1135)
	m.err = errors.New("no")
	if got, _, err := c.Read(t.Context()); err == nil || got != nil {
		t.Errorf("Read of a machine that does not answer = %v, %v", got, err)
	}
	m.err = nil
	read(t, c, map[string]uint64{"1135": 1})
}

func TestAMachineWithoutAClock(t *testing.T) {
	t.Parallel()
	if _, _, err := counter(&machine{}).Read(t.Context()); err == nil {
		t.Error("Read = nil error where the machine says no time")
	}
}

// TestNobodyWaitsLongerThanHisContext: a look that hangs costs those behind it their own time, no more, and counts
// nothing twice.
func TestNobodyWaitsLongerThanHisContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &machine{now: start}
		c := counter(m)
		read(t, c, map[string]uint64{})
		m.block = make(chan struct{})
		m.write("System", 1, 1135)
		first := make(chan error, 1)
		go func() {
			_, _, err := c.Read(t.Context())
			first <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if _, _, err := c.Read(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("Read behind one that hangs: %v after %s, want its own deadline", err, time.Since(begun))
		}
		close(m.block)
		if err := <-first; err != nil {
			t.Error(err)
		}
		read(t, c, map[string]uint64{"1135": 1})
	})
}

// TestABacklogDoesNotBlindForGood: what cannot be handed over in the time that a scrape has is given up after a quarter
// of an hour. The counts begin anew, and since tells it.
func TestABacklogDoesNotBlindForGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &machine{now: start, slow: func(events int) time.Duration { return time.Duration(events) * time.Second }}
		c := counter(m)
		m.now = start.Add(-time.Minute)
		read := func() (map[string]uint64, time.Time, error) {
			time.Sleep(time.Minute)
			m.now = m.now.Add(time.Minute)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			return c.Read(ctx)
		}
		if _, since, err := read(); err != nil || !since.Equal(start) {
			t.Fatalf("Read since %v, %v", since, err)
		}
		m.now = m.now.Add(time.Second)
		for i := range uint32(100) { // a hundred seconds' worth
			m.write("System", i, 1069)
		}
		last := time.Now() // when a look succeeded
		for {
			counts, since, err := read()
			failed := time.Since(last)
			if err == nil {
				if failed < maxBacklog || failed > maxBacklog+3*time.Minute {
					t.Errorf("began anew after %s, want little more than %s", failed, maxBacklog)
				}
				if !since.Equal(m.now) || len(counts) != 0 {
					t.Errorf("counts = %v since %v, want none since %v", counts, since, m.now)
				}
				break
			}
			if failed > time.Hour {
				t.Fatalf("blind for %s: %v", failed, err)
			}
		}
		m.events = append(m.events, cluster.Event{Log: "System", Record: 101, ID: 1069, At: m.now.Add(time.Second)})
		if counts, _, err := read(); err != nil || counts["1069"] != 1 {
			t.Errorf("after it: %v, %v, want the one event that is new", counts, err)
		}
	})
}

// TestAMachineThatWasAwayKeepsItsCounts, however long it was: what it wrote meanwhile is what matters most.
func TestAMachineThatWasAwayKeepsItsCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &machine{now: start}
		c := counter(m)
		read(t, c, map[string]uint64{})
		m.now = start.Add(time.Second)
		m.write("System", 1, 1135)
		m.err = errors.New("no")
		for range 3 {
			time.Sleep(maxBacklog)
			if got, _, err := c.Read(t.Context()); !errors.Is(err, m.err) || got != nil {
				t.Errorf("Read of a machine that does not answer = %v, %v", got, err)
			}
		}
		m.err = nil
		read(t, c, map[string]uint64{"1135": 1})
	})
}
