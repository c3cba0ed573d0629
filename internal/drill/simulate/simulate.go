// Package simulate plays the receiver's mind against the lab's cluster model, in virtual time, through random
// schedules, and judges every step. It is the proof, such as a simulation can give it, that the receiver does no harm
// and does not sleep either.
//
//	report, err := simulate.Run(simulate.Options{Schedules: 100_000, Seed: 1})
//	report.Write(os.Stdout)
//
// What is real: incident.Step, the guards, the remedies' plans, the ledger's keys and records, and the conditions of
// its batches, over ledger.Memory. What is played: the cluster, its guests and SQL Servers (internal/lab/model), what
// receiver/site would have read of them (site.go), Prometheus and Alertmanager (alerts.go), and everything that goes
// wrong (apply.go): faults, lost answers, blind observers, people, crashes of the receiver at chosen steps. A schedule
// is data (Schedule); one that fails is shrunk by dropping what is not needed to fail.
//
// The judge (judge.go, outcome.go) never asks a guard. It knows the truth of the model at the moment of each read, the
// trace of what was sent, and the configuration; from these it computes budgets, cool-downs and vetoes anew.
//
// Durations are virtual; nothing sleeps and nothing reads a clock. One schedule is one goroutine; Run uses several
// goroutines for independent schedules, and its result depends on the seed alone.
//
// # Mutants
//
// A judge that cannot fail proves nothing. Mutate makes each guard say yes, one at a time, and expects the simulation
// to fail. The seam for it lies in package guard behind the build tag "mutate": without the tag a verdict passes
// through a function that returns it unchanged, and there is no flag, variable or field by which a shipped receiver
// could be told anything else. "make mutate" builds a program of its own, for itself.
package simulate

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Options say how much is played.
type Options struct {
	Schedules int
	// Seed is the first schedule's; the n-th has Seed + n.
	Seed uint64
	// Workers is how many schedules are played at once; one per processor where zero.
	Workers int
	// Stop ends the run at the first failure, in the order of the seeds.
	Stop bool
}

func (o *Options) validate() error {
	if o.Schedules < 1 {
		return errors.New("simulate: at least one schedule is needed")
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	return nil
}

// batch is how many schedules a worker takes at a time.
const batch = 16

// Run plays schedules and returns what happened. It returns an error only where it could not play.
func Run(o Options) (Report, error) {
	if err := o.validate(); err != nil {
		return Report{}, err
	}
	bases, err := newBases()
	if err != nil {
		return Report{}, err
	}
	var (
		next    atomic.Int64
		failed  atomic.Int64 // the first schedule that failed, plus one
		work    sync.WaitGroup
		reports = make([]Report, o.Workers)
	)
	for w := range reports {
		work.Go(func() {
			for {
				from := int(next.Add(batch)) - batch
				if from >= o.Schedules || o.Stop && failed.Load() > 0 {
					return
				}
				for n := from; n < min(from+batch, o.Schedules); n++ {
					r := bases.play(generate(o.Seed+uint64(n)), nil) //nolint:gosec // n is not negative
					reports[w].add(n, r)
					if len(r.violations) > 0 {
						failed.CompareAndSwap(0, int64(n)+1)
					}
				}
			}
		})
	}
	work.Wait()
	report := Report{Seed: o.Seed}
	for _, r := range reports {
		report.merge(r)
	}
	slices.SortFunc(report.Failures, func(a, b Failure) int { return cmp.Compare(a.Number, b.Number) })
	return report, nil
}

// Explain plays the schedule of one seed again, shrinks it to what it needs to break the same invariant, and returns
// the failure with its history. It reports false where the schedule does not fail.
func Explain(seed uint64) (Failure, bool, error) {
	bases, err := newBases()
	if err != nil {
		return Failure{}, false, err
	}
	s := generate(seed)
	r := bases.play(s, nil)
	if len(r.violations) == 0 {
		return Failure{}, false, nil
	}
	s = bases.shrink(s, r.violations[0].Invariant)
	var t trace
	r = bases.play(s, &t)
	if len(r.violations) == 0 {
		return Failure{}, false, fmt.Errorf("schedule %d failed and does not any more: it is not a function of its seed", seed)
	}
	return Failure{Violation: r.violations[0], Seed: seed, Schedule: s, History: t.String()}, true, nil
}

// shrink drops steps, first many at once and then one by one, for as long as the same invariant breaks.
func (b *bases) shrink(s Schedule, i Invariant) Schedule {
	breaks := func(s Schedule) bool {
		return slices.ContainsFunc(b.play(s, nil).violations, func(v Violation) bool { return v.Invariant == i })
	}
	if calm := s; s.Calm != "" {
		calm.Calm = ""
		if breaks(calm) {
			s = calm
		}
	}
	if fed := s; s.Starved != "" {
		fed.Starved = ""
		if breaks(fed) {
			s = fed
		}
	}
	for size := max(1, len(s.Ops)/2); ; size = max(1, size/2) {
		before := len(s.Ops)
		for at := 0; at < len(s.Ops); {
			shorter := s
			shorter.Ops = slices.Delete(slices.Clone(s.Ops), at, min(at+size, len(s.Ops)))
			if breaks(shorter) {
				s = shorter
			} else {
				at += size
			}
		}
		// One by one until none can be dropped: what was needed for one that is gone may be needed no more.
		if size == 1 && len(s.Ops) == before {
			return s
		}
	}
}
