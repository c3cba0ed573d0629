package wsfc

import (
	"context"
	"errors"
	"fmt"
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

// first returns the view of the first node, in this order, that answers and shows quorum. The first node is asked at
// once, the next one when one has failed or shows no quorum, and one more in any case after each quarter of the time,
// so that two dead nodes do not hide a cluster that lives. Where no view shows quorum, the first that came is
// returned; where none came, the error is that of the node asked first.
func (r *reader) first(ctx context.Context, l log.Logger, nodes []string) (answer, error) {
	if len(nodes) == 0 {
		return answer{}, errNoNodes
	}
	hedge := time.NewTicker(quarter(ctx))
	defer hedge.Stop()
	answers := make(chan answer, len(nodes))
	next, open := 0, 0
	ask := func() {
		if next == len(nodes) || ctx.Err() != nil {
			return
		}
		q := r.ask(ctx, nodes[next])
		next, open = next+1, open+1
		r.wg.Go(func() {
			<-q.done
			answers <- q.answer
		})
	}
	ask()
	if open == 0 {
		return answer{}, ctx.Err()
	}
	var fallback, failed *answer
	for open > 0 {
		select {
		case <-hedge.C:
			level.Debug(l).Log("msg", "no answer yet, one more node asked", "asked", next)
			ask()
		case a := <-answers:
			open--
			switch {
			case a.err != nil:
				level.Debug(l).Log("msg", "node did not give its view", "node", a.node, "err", a.err)
				if failed == nil || a.node == nodes[0] {
					failed = &a
				}
			case !hasQuorum(a.view):
				level.Debug(l).Log("msg", "node's view shows no quorum", "node", a.node)
				if fallback == nil {
					fallback = &a
				}
			default:
				return a, nil
			}
			ask()
		}
	}
	if fallback != nil {
		return *fallback, nil
	}
	return answer{}, fmt.Errorf("ask %s: %w", failed.node, failed.err)
}

// quarter is a quarter of the time that is left; without a deadline, one second.
func quarter(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Second
	}
	return max(time.Until(deadline)/4, time.Millisecond)
}
