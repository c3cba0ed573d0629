package hang

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter"
	"github.com/hypervigil/hypervigil/internal/lab"
)

// Options of Run. Dir, For and Every are required.
type Options struct {
	// Dir takes certificates and the configuration.
	Dir string
	// For is how long the peers are scraped, Every how often each.
	For, Every time.Duration
	// Timeout is the modules'; 900 ms, mssql_availability's own, where zero.
	Timeout time.Duration
	// Realm adds hosts and SQL Servers that take tickets, and KDCs that hang; without one there are none.
	Realm *Realm
	// AnyTime takes an answer at any time for one in time: the race detector makes TLS take ten times as long, on both
	// sides, and what this process had no time for says nothing. Everything else is judged.
	AnyTime bool
}

// Result is what Run saw.
type Result struct {
	Targets, Scrapes int
	// Late counts the answers that came later than Lateness and were asked for again, which count as scrapes as well.
	Late int
	// Lates are the times beyond the deadline, sorted, as this process had time for them; Wall the same by the clock.
	Lates, Wall []time.Duration
	// Troubles say what was not as it has to be.
	Troubles []string
}

// The bounds. Nothing of the exporter's may be left, and what its caches took in is bounded. A machine that gives this
// process no time makes an answer late, and a prober that is at fault is late each time: tries is how often in a row, a
// while apart, a target must be late to count as such. Of all answers no more than one in lateShare may be: on two cores
// none of 1,868 was with a load of nine, and 28 of 1,893 with one of twenty-two.
const (
	tries     = 3
	lateShare = 20
	mostHeap  = 4 << 20
	// patientTries is the same where any time is in time, and only the stage counts.
	patientTries = 8
	idleAfter    = 3 * time.Minute // five missed scrapes close the stream of the diagnostics
)

// Run has every peer scraped at once, over and over, and judges. The error says that the experiment could not be made.
func Run(ctx context.Context, o Options) (result Result, err error) {
	if o.Timeout == 0 {
		o.Timeout = 900 * time.Millisecond
	}
	ca, err := lab.NewAuthority(o.Dir)
	if err != nil {
		return Result{}, err
	}
	p, err := openPeers(ca, o.Realm)
	if err != nil {
		return Result{}, err
	}
	defer p.close()
	var centers []center
	if o.Realm != nil {
		if centers, err = openCenters(ca, o.Realm); err != nil {
			return Result{}, err
		}
		defer peersOf(centers).close()
	}
	path, err := writeConfig(o.Dir, p, centers, o.Realm, ca.File(), o.Timeout)
	if err != nil {
		return Result{}, err
	}
	e, err := exporter.New(exporter.Options{ConfigFile: path, Logger: log.NewNopLogger(), Registry: prometheus.NewPedanticRegistry()})
	if err != nil {
		return Result{}, err
	}
	closing := sync.OnceValue(func() error {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return e.Close(end)
	})
	defer func() { err = errors.Join(err, closing()) }()
	r := &running{handler: e.Handler(), targets: targets(o.Realm != nil), timeout: o.Timeout, anyTime: o.AnyTime, reasons: map[target]map[string]int{}}
	for _, c := range centers {
		p = append(p, c.host, c.instance)
	}
	if err := r.run(ctx, o, p); err != nil {
		return Result{}, err
	}
	err = r.judgeTickets(p, centers, closing)
	return r.result, err
}

// run scrapes and judges.
func (r *running) run(ctx context.Context, o Options, p peers) error {
	// Once before it counts: caches fill at the first time and never again.
	// Not the streams: one that was asked once waits for minutes for the next time.
	r.round(ctx, slices.DeleteFunc(slices.Clone(r.targets), func(t target) bool { return t.module == "mssql_diagnostics" }), 0, o.Every)
	before, err := r.settle(ctx, p)
	if err != nil {
		return err
	}
	r.result = Result{Targets: len(r.targets)}
	clear(r.reasons)
	r.round(ctx, r.targets, o.For, o.Every)
	after, err := r.settle(ctx, p)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.judge(before, after)
	return nil
}

// running is a Run under way.
type running struct {
	handler http.Handler
	targets []target
	timeout time.Duration
	anyTime bool

	mu      sync.Mutex
	result  Result
	reasons map[target]map[string]int
}

// round scrapes the targets, each from a moment of its own on, until the time is over; once where there is none.
func (r *running) round(ctx context.Context, of []target, during, every time.Duration) {
	end := time.Now().Add(during)
	var all sync.WaitGroup
	for _, t := range of {
		all.Go(func() {
			next := time.Now().Add(rand.N(every)) // the phase
			for {
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(next)):
				}
				r.probe(ctx, t, every)
				if next = next.Add(every); time.Now().After(end) {
					return
				}
			}
		})
	}
	all.Wait()
}

// probe scrapes a target, again after a while where it was late.
func (r *running) probe(ctx context.Context, t target, every time.Duration) {
	for try := 1; ; try++ {
		a, err := scrape(ctx, r.handler, t.module, t.name, r.timeout)
		if ctx.Err() != nil || r.note(t, a, err, try) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rand.N(every)):
		}
	}
}

// note takes one answer in; false asks for another.
func (r *running) note(t target, a answer, err error, try int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Scrapes++
	if err != nil {
		r.trouble("%s of %s: %v", t.module, t.name, err)
		return true
	}
	if a.success {
		r.trouble("%s of %s succeeded: the peer did not hang", t.module, t.name)
	}
	if r.reasons[t] == nil {
		r.reasons[t] = map[string]int{}
	}
	for reason := range a.reasons {
		r.reasons[t][reason]++
	}
	r.result.Lates = append(r.result.Lates, a.late)
	r.result.Wall = append(r.result.Wall, max(0, a.took-r.timeout))
	if r.anyTime { // and so few answers that a target is asked again until it has told its stage
		return t.reason == "" || r.reasons[t][string(t.reason)] > 0 || try == patientTries
	}
	if a.late <= Lateness {
		return true
	}
	r.result.Late++
	if try == tries {
		r.trouble("%s of %s answered %v after its deadline, and %d times before it was late as well", t.module, t.name, a.late, tries-1)
	}
	return try == tries
}

// trouble is called with the lock held. A few tell enough.
func (r *running) trouble(format string, args ...any) {
	if len(r.result.Troubles) < 20 {
		r.result.Troubles = append(r.result.Troubles, fmt.Sprintf(format, args...))
	}
}

// settle waits until nothing works for a probe any more, and returns what is left then, or when patience is over. There
// is no event to wait for: that is the point.
func (r *running) settle(ctx context.Context, p peers) (left, error) {
	end := time.Now().Add(idleAfter)
	for {
		l, err := p.count()
		if err != nil || ctx.Err() != nil {
			return l, errors.Join(err, ctx.Err())
		}
		if l.none() || time.Now().After(end) {
			return l, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// judge looks at the whole.
func (r *running) judge(before, after left) {
	slices.Sort(r.result.Lates)
	slices.Sort(r.result.Wall)
	if r.result.Late*lateShare > r.result.Scrapes {
		r.trouble("%d of %d answers came more than %v after their deadline, at most one in %d may", r.result.Late, r.result.Scrapes, Lateness, lateShare)
	}
	for _, t := range r.targets {
		if t.reason == "" {
			continue
		}
		// Not each time: on a busy machine the deadline can come before the stage.
		if seen := r.reasons[t]; seen[string(t.reason)] == 0 {
			r.trouble("%s of %s: reasons %v, and never %s", t.module, t.name, seen, t.reason)
		}
	}
	if !after.none() {
		r.trouble("left afterwards: %v", after)
	}
	if after.heap > before.heap+mostHeap {
		r.trouble("the heap grew from %d to %d bytes, at most %d are allowed", before.heap, after.heap, mostHeap)
	}
}

// judgeTickets looks at what waits for KDCs that hang, which goes on for whoever needs a ticket next: it is bounded by the
// accounts and not by the scrapes, and ends with the exporter.
func (r *running) judgeTickets(p peers, centers []center, closing func() error) error {
	var kdcs peers
	for _, c := range centers {
		kdcs = append(kdcs, c.kdc)
	}
	waits, err := kdcs.count()
	if err != nil {
		return err
	}
	for name, n := range waits.sockets {
		if n > kdcConnections {
			r.trouble("%d connections to %s, want %d for its account at most", n, name, kdcConnections)
		}
	}
	if most := kdcGoroutines * len(kdcs); waits.tickets > most {
		r.trouble("%d goroutines fetch tickets, want %d at most", waits.tickets, most)
	}
	if err := closing(); err != nil {
		return err
	}
	end, err := slices.Concat(p, kdcs).count()
	if err == nil && (!end.none() || end.tickets > 0) {
		r.trouble("left after the exporter was closed: %v", end)
	}
	return err
}
