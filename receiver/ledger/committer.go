package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The bounds of what is written in one commit of the store. They keep a long queue from becoming one long wait.
const (
	maxGroupOps   = 4 << 10
	maxGroupBytes = 8 << 20
)

// Committer lets many goroutines commit to one Store: whatever queued during the last commit is written in the next
// one, with one sync, in the order of arrival. There is no timer: a batch that finds the store idle is written at
// once. Each batch stays atomic, and its conditions are its own: one that conflicts fails for its caller only.
//
// It is a prometheus.Collector of its own metrics.
type Committer struct {
	store   Store
	epoch   uint64
	metrics committerMetrics

	mu     sync.Mutex
	queue  []*request
	closed bool

	wake chan struct{} // holds a token while there may be work
	done chan struct{} // closed when the goroutine has ended
}

// request is one caller's batch. Its answer goes to done, which has room for it.
type request struct {
	batch []Op
	done  chan error
}

var _ prometheus.Collector = (*Committer)(nil)

// NewCommitter starts a committer that writes with one epoch. The store stays the caller's: close it after the
// committer.
func NewCommitter(store Store, epoch uint64) *Committer {
	c := &Committer{
		store: store, epoch: epoch, metrics: newCommitterMetrics(),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go c.run()
	return c
}

// Commit returns when the batch is durable or has failed. Where the context ends first, a batch still queued is taken
// back, and nothing of it is written; of one that is being written the outcome is unknown, and the error an
// *UnknownError. The caller leaves the batch and its values unchanged from then on.
func (c *Committer) Commit(ctx context.Context, batch []Op) error {
	if err := Validate(batch); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	r := &request{batch: batch, done: make(chan error, 1)}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	c.queue = append(c.queue, r)
	c.mu.Unlock()
	c.signal()
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
	}
	if c.withdraw(r) {
		return fmt.Errorf("commit: nothing was written: %w", ctx.Err())
	}
	select {
	case err := <-r.done:
		return err
	default:
		return &UnknownError{Err: ctx.Err()}
	}
}

// Close writes what is queued, refuses what comes later with ErrClosed, and waits for the end.
func (c *Committer) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.signal()
	<-c.done
	return nil
}

func (c *Committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// withdraw takes a batch out of the queue; false where it is there no more.
func (c *Committer) withdraw(r *request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.queue, r)
	if i < 0 {
		return false
	}
	c.queue = slices.Delete(c.queue, i, i+1)
	return true
}

func (c *Committer) run() {
	defer close(c.done)
	for {
		<-c.wake
		for {
			group := c.take()
			if len(group) == 0 {
				break
			}
			c.write(group)
		}
		c.mu.Lock()
		end := c.closed && len(c.queue) == 0
		c.mu.Unlock()
		if end {
			return
		}
	}
}

// take removes the next group from the queue: as many batches as fit together.
func (c *Committer) take() []*request {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := fit(c.queue)
	group := slices.Clone(c.queue[:n])
	c.queue = slices.Delete(c.queue, 0, n)
	return group
}

// fit counts the batches at the front of a queue that mean the same written together as one after the other: no two
// of them name the same key, so that each condition asked of the state before them all is asked of the right one.
func fit(queue []*request) int {
	if len(queue) < 2 {
		return len(queue)
	}
	ops, size := 0, 0
	owner := map[string]int{}
	for i, r := range queue {
		ops += len(r.batch)
		for _, op := range r.batch {
			size += len(op.Key) + len(op.Value)
			if by, taken := owner[op.Key]; taken && by != i {
				return i
			}
			owner[op.Key] = i
		}
		if i > 0 && (ops > maxGroupOps || size > maxGroupBytes) {
			return i
		}
	}
	return len(queue)
}

// write commits a group. Where a condition in it does not hold, the batches with conditions are written alone, and
// the runs of those without together.
func (c *Committer) write(group []*request) {
	err := c.commit(group)
	if len(group) == 1 || !errors.Is(err, ErrConflict) {
		answer(group, err)
		return
	}
	for len(group) > 0 {
		n := 0
		for n < len(group) && !conditional(group[n].batch) {
			n++
		}
		n = max(n, 1)
		answer(group[:n], c.commit(group[:n]))
		group = group[n:]
	}
}

func conditional(batch []Op) bool {
	return slices.ContainsFunc(batch, func(op Op) bool { return op.IfAbsent })
}

func answer(group []*request, err error) {
	for _, r := range group {
		r.done <- err
	}
}

// commit is one commit of the store. It belongs to several callers, so no one's context may break it off; the store
// bounds its own waits.
func (c *Committer) commit(group []*request) error {
	batch := slices.Clone(group[0].batch)
	for _, r := range group[1:] {
		batch = append(batch, r.batch...)
	}
	begun := time.Now()
	err := c.store.Commit(context.Background(), c.epoch, batch)
	c.metrics.observe(len(group), time.Since(begun), err)
	return err
}

// committerMetrics tell how the disk does.
type committerMetrics struct {
	duration prometheus.Histogram
	batches  prometheus.Histogram
	results  *prometheus.CounterVec
}

func newCommitterMetrics() committerMetrics {
	m := committerMetrics{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "hypervigil_ledger_commit_duration_seconds",
			Help:    "Duration of one commit to the ledger, sync included.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 5}, NativeHistogramBucketFactor: 1.1,
		}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "hypervigil_ledger_commit_batches",
			Help:    "Batches that shared one commit to the ledger.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}, NativeHistogramBucketFactor: 1.1,
		}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hypervigil_ledger_commits_total",
			Help: "Commits to the ledger by result: ok, conflict, fenced, failed (nothing was written), unknown.",
		}, []string{"result"}),
	}
	for _, result := range []string{"ok", "conflict", "fenced", "failed", "unknown"} {
		m.results.WithLabelValues(result)
	}
	return m
}

func (m committerMetrics) observe(batches int, took time.Duration, err error) {
	m.duration.Observe(took.Seconds())
	m.batches.Observe(float64(batches))
	result := "failed"
	if _, unknown := errors.AsType[*UnknownError](err); unknown {
		result = "unknown"
	}
	switch {
	case err == nil:
		result = "ok"
	case errors.Is(err, ErrConflict):
		result = "conflict"
	case errors.Is(err, ErrFenced):
		result = "fenced"
	}
	m.results.WithLabelValues(result).Inc()
}

// Describe implements prometheus.Collector.
func (c *Committer) Describe(ch chan<- *prometheus.Desc) {
	c.metrics.duration.Describe(ch)
	c.metrics.batches.Describe(ch)
	c.metrics.results.Describe(ch)
}

// Collect implements prometheus.Collector.
func (c *Committer) Collect(ch chan<- prometheus.Metric) {
	c.metrics.duration.Collect(ch)
	c.metrics.batches.Collect(ch)
	c.metrics.results.Collect(ch)
}
