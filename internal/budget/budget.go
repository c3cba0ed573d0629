// Package budget reckons how long it takes from a fault to the receiver's first command: the best, the typical and
// the worst case, by each part of the chain, from the configuration that Prometheus and Alertmanager really run with.
// It measures nothing and reads nothing but its arguments.
//
//	chain, err := budget.Read(budget.Sources{Prometheus: …, Rules: …, Alertmanager: …})
//	classes, err := chain.Reckon(budget.Given{Policy: policy, Info: info})
//
// A part that begins at a moment of its own (a scrape, an evaluation) is uniform over its interval: nothing at best,
// half of it typically, all of it at worst. The typical total is therefore the mean where parts follow one another; where
// the slower of two observers decides it is a little too small.
package budget

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// Span is a duration at best, typically and at worst.
type Span struct {
	Best    time.Duration `json:"best_ns"`
	Typical time.Duration `json:"typical_ns"`
	Worst   time.Duration `json:"worst_ns"`
}

// fixed is a span without luck in it.
func fixed(d time.Duration) Span { return Span{d, d, d} }

// phase is the wait for something that comes once in an interval, from a moment that knows nothing of it.
func phase(interval time.Duration) Span { return Span{0, interval / 2, interval} }

func (s Span) plus(o Span) Span {
	return Span{s.Best + o.Best, s.Typical + o.Typical, s.Worst + o.Worst}
}

func (s Span) minus(o Span) Span {
	return Span{s.Best - o.Best, s.Typical - o.Typical, s.Worst - o.Worst}
}

// atLeast is the later of two that run at the same time.
func (s Span) atLeast(o Span) Span {
	return Span{max(s.Best, o.Best), max(s.Typical, o.Typical), max(s.Worst, o.Worst)}
}

// Stage is one part of the way from the fault to the command.
type Stage struct {
	Name string `json:"name"`
	Span
	// Why says where the figure comes from: the job, the group, the guard. Given is set where it is neither read from a
	// configuration nor ours, but assumed.
	Why   string `json:"why"`
	Given bool   `json:"given,omitempty"`
}

// Class is the budget of one acting alert.
type Class struct {
	Fault  evidence.Fault `json:"fault"`
	Alert  string         `json:"alert"`
	Stages []Stage        `json:"stages"`
	Total  Span           `json:"total"`
	// Again is Alertmanager's group_interval: an alert whose group fires already, or did until a moment ago (Alertmanager
	// forgets an empty group every --dispatch.maintenance-interval, 30 s), waits for up to so long instead of its group_wait.
	Again time.Duration `json:"again_ns"`
	// Notes are what a reader of the figures must know.
	Notes []string `json:"notes,omitempty"`
}

// Given is what no configuration of Prometheus or Alertmanager says.
type Given struct {
	Policy *config.Policy
	// Info has the cluster's own settings: its heartbeat and its resiliency period.
	Info cluster.Info
	// GuestHeartbeat is how long after its guest died a host still calls the heartbeat OK.
	GuestHeartbeat time.Duration
}

// The receiver's own parts, as spans: one commit to disk and the webhook's way, and the last read before the command, which
// may be 500 ms old at most (G9).
var (
	notify     = Span{time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond}
	round      = Span{0, 50 * time.Millisecond, time.Second} // of those that answer
	revalidate = Span{time.Millisecond, 50 * time.Millisecond, guard.MaxReadAge}
)

// Reckon returns the budget of each acting alert of the chain, in the order of the fault classes.
func (c *Chain) Reckon(g Given) ([]Class, error) {
	var classes []Class
	for _, a := range c.alerts {
		class, err := c.class(a, g)
		if err != nil {
			return nil, fmt.Errorf("alert %s: %w", a.name, err)
		}
		classes = append(classes, class)
	}
	order := evidence.Faults()
	slices.SortStableFunc(classes, func(a, b Class) int {
		return cmp.Compare(slices.Index(order, a.Fault), slices.Index(order, b.Fault))
	})
	return classes, nil
}

func (c *Chain) class(a alert, g Given) (Class, error) {
	class := Class{Fault: evidence.Fault(a.labels["fault"]), Alert: a.name}
	if !class.Fault.Known() {
		return Class{}, fmt.Errorf("label fault is %q, which is no fault class", a.labels["fault"])
	}
	seen, err := c.detection(a.expr, want{group: a.group, fault: class.Fault, given: g})
	if err != nil {
		return Class{}, err
	}
	route, err := c.route(a.labels)
	if err != nil {
		return Class{}, err
	}
	class.Stages = slices.DeleteFunc(append(seen.stages(),
		Stage{Name: "evaluation", Span: phase(a.interval), Why: "group " + a.group + " every " + a.interval.String()},
		Stage{Name: "for", Span: fixed(a.wait), Why: "the alert's own for"},
		Stage{Name: "group_wait", Span: fixed(time.Duration(route.wait)), Why: "Alertmanager's receiver " + route.Receiver},
		Stage{Name: "webhook", Span: notify, Why: "sent, written down (fsync), answered 202", Given: true},
	), func(s Stage) bool { return s.Span == Span{} })
	least, why, decided := guard.Least(class.Fault, g.Policy, g.Info)
	if !decided {
		class.Notes = append(class.Notes, why+": no command follows, the total ends with the webhook")
	} else {
		rounds := Span{}
		rounds.Best, rounds.Worst = incident.Rounds(class.Fault)
		rounds.Typical = rounds.Best
		class.Stages = append(class.Stages, Stage{Name: "guards", Span: fixed(least).plus(rounds).plus(round), Why: why})
		if ladder := g.Policy.Ladder(string(class.Fault)); len(ladder) > 0 {
			kept := Span{}
			kept.Best, kept.Worst = incident.Keeping(class.Fault, remedy.Rung(ladder[0]))
			if kept.Worst > 0 {
				kept.Typical = min(kept.Best+round.Typical, kept.Worst)
				class.Stages = append(class.Stages, Stage{Name: "evidence", Span: kept, Why: "what " + ladder[0] + " would destroy is read before"})
			}
		}
		class.Stages = append(class.Stages,
			Stage{Name: "re-validation", Span: revalidate, Why: "G9: the read right before the command"},
		)
	}
	for _, s := range class.Stages {
		class.Total = class.Total.plus(s.Span)
	}
	class.Again = time.Duration(route.interval)
	return class, nil
}
