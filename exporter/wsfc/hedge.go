package wsfc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// errNoNodes cannot happen with a validated configuration.
var errNoNodes = errors.New("the cluster has no nodes")

// hasQuorum reports whether the view shows a majority of votes on its own side.
func hasQuorum(v cluster.View) bool {
	current, needed := v.Votes()
	return current >= needed
}

// from is what one node answered to a question, or why there is no answer.
type from[T any] struct {
	node  string
	value T
	err   error
}

// first returns the view of the first node, in this order, that answers and shows quorum, as the function first does.
func (r *reader) first(ctx context.Context, l log.Logger, nodes []string) (answer, error) {
	return first(ctx, l, &r.wg, nodes, func(node string) func() answer {
		q := r.ask(ctx, node)
		return func() answer {
			<-q.done
			return q.answer
		}
	}, hasQuorum)
}

// hedged returns what the first node, in this order, answers to a question that no other collector asks.
func hedged[T any](ctx context.Context, l log.Logger, r *reader, nodes []string, read func(context.Context, Source) (T, error)) (from[T], error) {
	return first(ctx, l, &r.wg, nodes, func(node string) func() from[T] {
		return func() from[T] {
			v, err := read(ctx, r.sources[node])
			return from[T]{node, v, err}
		}
	}, func(T) bool { return true })
}

// first returns the answer of the first node, in this order, that gives a good one. The first node is asked at once,
// the next one when one has failed or gave none that is good, and one more in any case after each quarter of the time,
// so that two dead nodes do not hide a cluster that lives. Where no answer is good, the first that came is returned;
// where none came, the error is that of the node asked first. ask begins to ask and returns what waits for the answer;
// wg waits for the nodes that nobody waits for any more.
func first[T any](ctx context.Context, l log.Logger, wg *sync.WaitGroup, nodes []string, ask func(string) func() from[T], good func(T) bool) (from[T], error) {
	if len(nodes) == 0 {
		return from[T]{}, errNoNodes
	}
	hedge := time.NewTicker(quarter(ctx))
	defer hedge.Stop()
	answers := make(chan from[T], len(nodes))
	next, open := 0, 0
	begin := func() {
		if next == len(nodes) || ctx.Err() != nil {
			return
		}
		wait := ask(nodes[next])
		next, open = next+1, open+1
		wg.Go(func() { answers <- wait() })
	}
	begin()
	if open == 0 {
		return from[T]{}, ctx.Err()
	}
	var fallback, failed *from[T]
	for open > 0 {
		select {
		case <-hedge.C:
			level.Debug(l).Log("msg", "no answer yet, one more node asked", "asked", next)
			begin()
		case a := <-answers:
			open--
			switch {
			case a.err != nil:
				level.Debug(l).Log("msg", "node did not answer", "node", a.node, "err", a.err)
				if failed == nil || a.node == nodes[0] {
					failed = &a
				}
			case !good(a.value):
				level.Debug(l).Log("msg", "node's view shows no quorum", "node", a.node)
				if fallback == nil {
					fallback = &a
				}
			default:
				return a, nil
			}
			begin()
		}
	}
	if fallback != nil {
		return *fallback, nil
	}
	return from[T]{}, fmt.Errorf("ask %s: %w", failed.node, failed.err)
}

// quarter is a quarter of the time that is left; without a deadline, one second.
func quarter(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Second
	}
	return max(time.Until(deadline)/4, time.Millisecond)
}
