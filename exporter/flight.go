package exporter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
)

// grace is what a collector gets after the deadline to say why it has no answer. A collector that is silent then is
// abandoned: the HTTP answer goes out without it. It is more than what sqlhealth leaves its driver, so that a driver
// which is slow to notice costs no reason. It begins when this process notices the deadline, and passes in steps that
// stretch where the process gets no time, so that a machine too busy to run the collectors is not taken for collectors
// that hang.
const (
	grace      = 75 * time.Millisecond
	graceSteps = 15
)

// leftoverGrace is what the collectors left under way gets to end before it counts as hanging. Nobody waits for it.
const leftoverGrace = time.Second

// maxAbandoned bounds how many runs of one collector may hang at one target. Beyond, it is not run again until one of
// them returns: a driver that never comes back costs so many goroutines and no more.
const maxAbandoned = 3

// leftovers stands, where hanging collectors are counted, for what a session's collectors left under way.
const leftovers = "leftovers"

var (
	errAbandoned = errors.New("the collector did not end at its deadline")
	errNotRun    = fmt.Errorf("the collector was not run: %d earlier runs still hang", maxAbandoned)
)

// flightKey says which scrapes may share an answer. A scrape with ?debug=true wants a log of its own.
type flightKey struct {
	module, target string
	debug          bool
}

// outcome is how one collector fared.
type outcome struct {
	name     string
	result   probe.Result
	reason   dial.Reason
	duration time.Duration
	timeout  bool // the deadline ended it
	done     bool
}

// flight is one probe under way, with everybody who waits for it.
type flight struct {
	target   *target
	module   *config.Module
	start    time.Time
	timeout  time.Duration // what it was given, deadline - start
	deadline time.Time
	done     chan struct{} // closed when every collector has ended or was given up
	log      debugLog

	session    probe.Session
	collectors []probe.Collector // those of the session that the module names

	mu       sync.Mutex
	outcomes []outcome
	ended    time.Time
}

func newFlight(m *config.Module, t *target, timeout time.Duration) *flight {
	now := time.Now()
	f := &flight{target: t, module: m, start: now, timeout: timeout, deadline: now.Add(timeout), done: make(chan struct{}), session: t.session()}
	f.collectors = chosen(f.session.Collectors, m.Collectors)
	f.outcomes = make([]outcome, len(f.collectors))
	for i, c := range f.collectors {
		f.outcomes[i].name = c.Name
	}
	return f
}

// flights are the probes under way.
type flights struct {
	mu   sync.Mutex
	open map[flightKey]*flight
	hung map[hungKey]int
}

type hungKey struct{ target, collector string }

// abandoned counts the collectors that run beyond their deadline, by target.
func (f *flights) abandoned() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]int{}
	for k, n := range f.hung {
		out[k.target] += n
	}
	return out
}

func (f *flights) hang(k hungKey, by int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hung == nil {
		f.hung = map[hungKey]int{}
	}
	if f.hung[k] += by; f.hung[k] == 0 {
		delete(f.hung, k)
	}
}

func (f *flights) hangs(k hungKey) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hung[k]
}

// land takes a flight that has its answer out of those that may be boarded.
func (f *flights) land(k flightKey, landed *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[k] == landed {
		delete(f.open, k)
	}
}

// board returns the flight that answers this scrape: the one under way for the same module and target, or a new one.
// Only a flight that was given as much time is shared: what one in a hurry could not see is no answer for those who have
// the time to wait. The generation is released when the flight no longer needs it.
func (e *Exporter) board(g *generation, m *config.Module, t *target, timeout time.Duration, debug bool) *flight {
	key := flightKey{module: m.Name, target: t.name, debug: debug}
	e.flights.mu.Lock()
	defer e.flights.mu.Unlock()
	// A flight of the generation before may still be under way; its answer would be that of another configuration.
	if f, ok := e.flights.open[key]; ok && f.timeout >= timeout && g.targets[targetKey{f.target.prober, f.target.name}] == f.target {
		e.metrics.shared.Inc()
		g.users.Done()
		return f
	}
	f := newFlight(m, t, timeout)
	if e.flights.open == nil {
		e.flights.open = map[flightKey]*flight{}
	}
	e.flights.open[key] = f
	l := log.With(e.logger, "module", m.Name, "target", t.name)
	if debug {
		l = log.With(log.NewLogfmtLogger(&f.log), "t", log.DefaultTimestampUTC)
	}
	e.wg.Go(func() {
		defer g.users.Done()
		e.fly(f, l)
		e.metrics.probed(f)
		// Whoever asks once the answer is out gets a new one.
		e.flights.land(key, f)
		close(f.done)
	})
	return f
}

// fly runs the collectors of a flight and returns at the deadline and its grace at the latest. What hangs beyond that is
// left to a goroutine of the exporter's, and counted.
func (e *Exporter) fly(f *flight, l log.Logger) {
	inflight := e.metrics.inflight.WithLabelValues(f.target.prober.String())
	inflight.Inc()
	defer inflight.Dec()
	ctx, cancel := context.WithDeadline(e.ctx, f.deadline)
	// Held by what runs alone: what a session has read of a large cluster is of no use to the answer, and larger than it.
	collectors, wait := f.collectors, f.session.Wait
	f.collectors, f.session = nil, probe.Session{}
	var run []int
	stuck := e.flights.hangs(hungKey{f.target.name, leftovers}) >= maxAbandoned
	for i, c := range collectors {
		if stuck || e.flights.hangs(hungKey{f.target.name, c.Name}) >= maxAbandoned {
			f.finish(i, outcome{name: c.Name, result: probe.Result{Err: errNotRun}, reason: dial.ProviderHung, done: true})
			continue
		}
		run = append(run, i)
	}
	all := make(chan struct{})
	over := func() {
		close(all)
		cancel()
		e.finishLeftovers(f.target.name, wait)
	}
	// The last collector to end does what comes after them: a goroutine that only waits for the others would cost every
	// probe one more turn of the scheduler.
	var running atomic.Int32
	running.Store(int32(len(run))) //nolint:gosec // a prober has some ten
	for _, i := range run {
		e.wg.Go(func() {
			e.collect(ctx, f, i, collectors[i], l)
			if running.Add(-1) == 0 {
				over()
			}
		})
	}
	if len(run) == 0 {
		e.wg.Go(over)
	}
	select {
	case <-all:
	case <-ctx.Done():
		waitInSteps(all)
	}
	for _, name := range f.end() {
		e.abandon(hungKey{f.target.name, name})
		level.Debug(l).Log("msg", "collector abandoned", "collector", name)
	}
}

// waitInSteps waits for the collectors, or until the grace has passed. A ticker drops the ticks that nobody takes.
func waitInSteps(all <-chan struct{}) {
	step := time.NewTicker(grace / graceSteps)
	defer step.Stop()
	for range graceSteps {
		select {
		case <-all:
			return
		case <-step.C:
		}
	}
}

// abandon counts something that hangs.
func (e *Exporter) abandon(k hungKey) {
	e.flights.hang(k, 1)
	e.metrics.abandonedTotal.Inc()
}

// finishLeftovers waits for what the collectors have left under way, and counts it while it hangs.
func (e *Exporter) finishLeftovers(target string, wait func()) {
	if wait == nil {
		return
	}
	k := hungKey{target, leftovers}
	late := time.AfterFunc(leftoverGrace, func() { e.abandon(k) })
	wait()
	if !late.Stop() {
		e.flights.hang(k, -1)
	}
}

// collect runs one collector. A panic in one is that one's failure and not the exporter's.
func (e *Exporter) collect(ctx context.Context, f *flight, i int, c probe.Collector, l log.Logger) {
	start := time.Now()
	var result probe.Result
	defer func() {
		if p := recover(); p != nil {
			level.Error(e.logger).Log("msg", "collector panicked", "module", f.module.Name, "target", f.target.name, "collector", c.Name, "panic", p, "stack", string(debug.Stack()))
			result = probe.Result{Err: &probe.Error{Why: dial.Other, Err: errors.New("the collector panicked; the exporter's log says where")}}
		}
		o := outcome{name: c.Name, result: result, duration: time.Since(start), done: true}
		said := []any{"msg", "collector ended", "collector", c.Name, "duration", o.duration}
		if result.Err != nil {
			o.reason = probe.Reason(result.Err)
			o.timeout = ctx.Err() != nil
			said = append(said, "reason", string(o.reason), "err", result.Err)
		}
		if !f.finish(i, o) {
			e.flights.hang(hungKey{f.target.name, c.Name}, -1)
		}
		level.Debug(l).Log(said...)
	}()
	result = c.Collect(ctx, log.With(l, "collector", c.Name))
}

// finish notes how a collector fared; false means that the answer has gone out without it.
func (f *flight) finish(i int, o outcome) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended.IsZero() {
		return false
	}
	f.outcomes[i] = o
	return true
}

// end closes the flight, whose outcomes do not change from here on, and returns the collectors that are abandoned.
func (f *flight) end() (abandoned []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = time.Now()
	for i := range f.outcomes {
		if o := &f.outcomes[i]; !o.done {
			abandoned = append(abandoned, o.name)
			f.giveUp(o, f.ended)
		}
	}
	return abandoned
}

// giveUp makes the outcome of a collector without an answer.
func (f *flight) giveUp(o *outcome, now time.Time) {
	o.result = probe.Result{Err: errAbandoned}
	o.reason, o.timeout, o.duration = dial.ProviderHung, true, now.Sub(f.start)
}

// wait returns what is known when the flight has ended, or when ctx has.
func (f *flight) wait(ctx context.Context) (outcomes []outcome, took time.Duration) {
	select {
	case <-f.done:
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	outcomes = slices.Clone(f.outcomes)
	now := f.ended
	if now.IsZero() {
		now = time.Now()
		for i := range outcomes {
			if !outcomes[i].done {
				f.giveUp(&outcomes[i], now)
			}
		}
	}
	return outcomes, now.Sub(f.start)
}

// chosen returns the collectors that a module names, or all.
func chosen(all []probe.Collector, names []string) []probe.Collector {
	if len(names) == 0 {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(c probe.Collector) bool { return !slices.Contains(names, c.Name) })
}

// modules lists the names of the modules in order.
func (g *generation) modules() []string {
	return slices.Sorted(maps.Keys(g.config.Exporter.Modules))
}
