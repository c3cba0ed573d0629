// Package eventlog counts the events of a Windows event log from the moment of its first look on.
//
//	counter := eventlog.New(source, queries, classify)
//	counts, since, err := counter.Read(ctx)
//
// The counts live in the process: a restart or a reload of the configuration begins again at 0, with the events that
// come after its first look; those between are counted by nobody. So does a machine that answers, but has not been able
// to hand over what is new for a quarter of an hour: the longer nothing is read the more there is, and it would never be
// read again. The log's own clock decides, not ours. What a machine writes late, with a time before that of the newest
// event read, is lost.
package eventlog

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// maxBacklog is how long, by our clock, no look may succeed before a further failure makes the counter begin anew.
const maxBacklog = 15 * time.Minute

// maxEvents bounds what is held in memory of one log in one look. A log that has more since the last look is a storm,
// whose exact count nobody needs.
const maxEvents = 10_000

// Source is the machine whose log is read.
type Source interface {
	OperatingSystem(ctx context.Context) (cluster.OperatingSystem, error)
	Events(ctx context.Context, q cluster.EventQuery) ([]cluster.Event, error)
}

// Counter counts the events of one machine. It is safe for concurrent use; one reads at a time, the others wait for it
// no longer than their contexts last.
type Counter struct {
	source   Source
	queries  []cluster.EventQuery
	classify func(cluster.Event) (key string, ok bool)

	turn  chan struct{} // held by who reads
	state               // of who holds it
}

// state is what one read leaves to the next.
type state struct {
	first  time.Time // the machine's time of the first look
	logs   []mark    // by query
	looked time.Time // when the last look that succeeded began, by our clock
	counts map[string]uint64
}

// mark is how far a log was read: every event before this second, and of the second itself those with these numbers.
type mark struct {
	second time.Time
	seen   map[uint32]bool
}

// New returns a counter that has seen nothing. Since of the queries is not used. classify says under which key an event
// counts, if it does.
func New(source Source, queries []cluster.EventQuery, classify func(cluster.Event) (string, bool)) *Counter {
	return &Counter{source: source, queries: queries, classify: classify, turn: make(chan struct{}, 1)}
}

// Read looks for what is new and returns the counts since the first look, by key; a key that never came is not there.
// Where a log could not be read there are no counts, and the next look finds what this one missed; but where that has
// been so for maxBacklog, the counts begin anew and since tells it.
func (c *Counter) Read(ctx context.Context) (counts map[string]uint64, since time.Time, err error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, time.Time{}, fmt.Errorf("wait for an earlier look at the log: %w", ctx.Err())
	}
	if c.first.IsZero() {
		if err := c.begin(ctx); err != nil {
			return nil, time.Time{}, err
		}
	} else if err := c.lookOrBegin(ctx); err != nil {
		return nil, time.Time{}, err
	}
	return maps.Clone(c.counts), c.first, nil
}

// lookOrBegin looks, and begins anew where too long a time could not be looked at. The look has half the time that is
// left then. A machine that was away keeps its counts: while it is, it cannot be begun with either, and once it is back
// the look comes first.
func (c *Counter) lookOrBegin(ctx context.Context) error {
	if time.Since(c.looked) <= maxBacklog {
		return c.look(ctx)
	}
	half, cancel := ctx, context.CancelFunc(func() {})
	if deadline, ok := ctx.Deadline(); ok {
		half, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
	}
	err := c.look(half)
	cancel()
	if err == nil {
		return nil
	}
	if again := c.begin(ctx); again != nil {
		return fmt.Errorf("%w; begin anew: %w", err, again)
	}
	return nil
}

// begin takes the machine's present second for the beginning. What the log has of that second already is not counted.
func (c *Counter) begin(ctx context.Context) error {
	now := time.Now()
	os, err := c.source.OperatingSystem(ctx)
	if err != nil {
		return fmt.Errorf("read the machine's clock: %w", err)
	}
	if os.LocalTime.IsZero() {
		return fmt.Errorf("%s does not say what time it is", os.ComputerName)
	}
	logs := make([]mark, len(c.queries))
	for i := range c.queries {
		logs[i] = mark{os.LocalTime.Truncate(time.Second), map[uint32]bool{}}
		if _, err := c.since(ctx, i, &logs[i]); err != nil {
			return err
		}
	}
	c.state = state{first: os.LocalTime, logs: logs, looked: now, counts: map[string]uint64{}}
	return nil
}

// look counts what is new, of all logs or of none.
func (c *Counter) look(ctx context.Context) error {
	now := time.Now()
	logs := make([]mark, len(c.logs))
	var events []cluster.Event
	for i := range c.queries {
		logs[i] = mark{c.logs[i].second, maps.Clone(c.logs[i].seen)}
		read, err := c.since(ctx, i, &logs[i])
		if err != nil {
			return err
		}
		events = append(events, read...)
	}
	c.logs, c.looked = logs, now
	for _, e := range events {
		if key, ok := c.classify(e); ok {
			c.counts[key]++
		}
	}
	return nil
}

// since returns the events of a query after a mark, and moves the mark behind them.
func (c *Counter) since(ctx context.Context, query int, m *mark) ([]cluster.Event, error) {
	q := c.queries[query]
	q.Since, q.Most = m.second, maxEvents
	all, err := c.source.Events(ctx, q)
	if err != nil {
		return nil, err
	}
	var fresh []cluster.Event
	newest := m.second
	for _, e := range all {
		second := e.At.Truncate(time.Second)
		if second.Before(m.second) || second.Equal(m.second) && m.seen[e.Record] {
			continue
		}
		fresh = append(fresh, e)
		if second.After(newest) {
			newest = second
		}
	}
	if newest.After(m.second) {
		m.second, m.seen = newest, map[uint32]bool{}
	}
	for _, e := range fresh {
		if e.At.Truncate(time.Second).Equal(m.second) {
			m.seen[e.Record] = true
		}
	}
	return fresh, nil
}
