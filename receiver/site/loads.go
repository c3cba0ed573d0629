package site

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// The span over which a host's load is a mean: shorter ones say little, and what lies further back is another story.
const (
	leastLoadSpan = 10 * time.Second
	mostLoadSpan  = 2 * time.Minute
	gaugeEvery    = time.Second // readings that are closer together add nothing to what is kept
)

// errNoSpan says that a host's running totals were read, and that there is nothing yet to subtract from them.
var errNoSpan = errors.New("its processors' totals were read for the first time in a while: the next reading tells how busy it is")

// gauge keeps a host's running totals, of which the newest difference says how busy it is. It is safe for concurrent use.
type gauge struct {
	mu   sync.Mutex
	seen []totals // oldest first
}

// totals are what all logical processors of a host ran since its start, and could have run, in one unit.
type totals struct {
	at        time.Time
	ran, base uint64
}

// since takes a reading in and returns how busy the host was since the newest one that is old enough. ok is false where
// there is none, or where the totals have begun anew.
func (g *gauge) since(now totals) (busy float64, over time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = slices.DeleteFunc(g.seen, func(t totals) bool {
		return now.at.Sub(t.at) > mostLoadSpan || t.base > now.base || t.ran > now.ran
	})
	for _, t := range slices.Backward(g.seen) {
		if over = now.at.Sub(t.at); over >= leastLoadSpan && now.base > t.base {
			busy, ok = float64(now.ran-t.ran)/float64(now.base-t.base), true
			break
		}
	}
	if n := len(g.seen); n == 0 || now.at.Sub(g.seen[n-1].at) >= gaugeEvery {
		g.seen = append(g.seen, now)
	}
	return busy, over, ok
}

// loads reads how busy the nodes are that are asked for, all at the same time.
func (q *question) loads(ctx context.Context) map[string]evidence.Reading[evidence.Load] {
	nodes := q.ask.Loads
	if len(nodes) == 0 {
		nodes = q.place.nodes
	}
	read := make([]evidence.Reading[evidence.Load], len(nodes))
	var work sync.WaitGroup
	for n, name := range nodes {
		if _, ok := q.place.hosts[name]; !ok {
			continue
		}
		work.Go(func() {
			read[n] = q.place.loads.within(q.ask.MaxAge, name, func() evidence.Reading[evidence.Load] {
				return reading(ctx, func(ctx context.Context) (evidence.Load, error) { return q.place.load(ctx, name) })
			})
		})
	}
	work.Wait()
	loads := make(map[string]evidence.Reading[evidence.Load], len(nodes))
	for n, name := range nodes {
		if _, ok := q.place.hosts[name]; ok {
			loads[name] = read[n]
		}
	}
	return loads
}

// load is how busy one node is. A host without a virtual machine that has dynamic memory has no balancer, and no pressure.
func (p *place) load(ctx context.Context, node string) (evidence.Load, error) {
	h := p.hosts[node]
	var l evidence.Load
	var ran cluster.ProcessorTime
	var balance cluster.MemoryBalance
	var count uint64
	var errs [3]error
	var work sync.WaitGroup
	at := time.Now() // with its monotonic part: a clock that is set makes no span
	work.Go(func() { ran, errs[0] = h.ProcessorTime(ctx) })
	work.Go(func() { count, errs[1] = h.LogicalProcessors(ctx) })
	work.Go(func() {
		if balance, errs[2] = h.MemoryBalance(ctx); errors.Is(errs[2], cluster.ErrNotFound) {
			errs[2] = nil
		}
	})
	work.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return l, err
	}
	busy, over, ok := p.gauges[node].since(totals{at: at, ran: ran.Total, base: ran.TotalBase})
	if !ok {
		return l, errNoSpan
	}
	return evidence.Load{Busy: busy, Over: over, Processors: int(count), Pressure: float64(balance.Pressure) / 100}, nil //nolint:gosec // a few thousand at most
}

// answers keeps what each node last answered to a question. The zero value is ready; it is safe for concurrent use.
type answers[T any] struct {
	mu   sync.Mutex
	last map[string]evidence.Reading[T]
}

// within returns the node's last answer where it is not older than that, and asks otherwise.
func (a *answers[T]) within(age time.Duration, node string, ask func() evidence.Reading[T]) evidence.Reading[T] {
	a.mu.Lock()
	last := a.last[node]
	a.mu.Unlock()
	if age > 0 && last.Known() && time.Since(last.At) <= age {
		return last
	}
	r := ask()
	if r.Known() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.last == nil {
			a.last = map[string]evidence.Reading[T]{}
		}
		a.last[node] = r
	}
	return r
}
