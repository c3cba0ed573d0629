// Package conformance compares what Hypervigil relies on with what a cluster does: the same assertions for real hosts
// and for the lab. Each says what we rely on and where we have it from, and comes back with a result and the evidence
// as it came over the wire, in which every name of the site's is replaced (Mask). It reads, and changes something only
// where a virtual machine was named for that twice.
//
//	site, err := conformance.Open(cfg, options)
//	report := site.Run(ctx)
//	err = report.Write(dir)
//
// A Site is used by one goroutine. Its calls end at the deadlines it gives them.
package conformance

import (
	"context"
	"fmt"
	"time"
)

// Result is what became of an assertion.
type Result string

// The results. Unseen means that the site has nothing to look at, or refuses to be asked.
const (
	Holds  Result = "holds"
	Fails  Result = "fails"
	Unseen Result = "unseen"
)

// Finding is what an assertion found out at one machine. Says and Evidence may hold names: they are masked later.
type Finding struct {
	Result   Result
	Says     string
	Evidence []string
}

func holds(evidence []string, format string, args ...any) Finding {
	return Finding{Holds, fmt.Sprintf(format, args...), evidence}
}

func fails(evidence []string, format string, args ...any) Finding {
	return Finding{Fails, fmt.Sprintf(format, args...), evidence}
}

func unseen(format string, args ...any) Finding {
	return Finding{Unseen, fmt.Sprintf(format, args...), nil}
}

// Assertion is one thing that we rely on.
type Assertion struct {
	Name   string
	Relies string // what we rely on, in a sentence
	Source string // where we have it from, or "UNVERIFIED" and what is said about it
	// Exactly one of these is set: what to look at once for each machine of that kind.
	Node     func(ctx context.Context, s *Site, n *node) Finding
	Guest    func(ctx context.Context, s *Site, g *guest) Finding
	Instance func(ctx context.Context, s *Site, i *instance) Finding
	// Changes marks one that changes something; it is looked at only for the virtual machine that was named twice.
	Changes bool
}

// Assertions lists all of them, in the order in which they are looked at: what changes something comes last.
func Assertions() []Assertion {
	var all []Assertion
	for _, part := range [][]Assertion{nodeAssertions(), nodeReads(), guestAssertions(), instanceAssertions(), changingAssertions()} {
		all = append(all, part...)
	}
	return all
}

// Outcome is an assertion at one machine, as it is reported.
type Outcome struct {
	Name     string        `json:"name"`
	At       string        `json:"at"`
	Result   Result        `json:"result"`
	Says     string        `json:"says"`
	Relies   string        `json:"relies_on"`
	Source   string        `json:"source"`
	Evidence []string      `json:"evidence,omitempty"`
	Took     time.Duration `json:"took_ns"`
}

// timeout bounds one assertion that only reads.
const timeout = 30 * time.Second

// Run looks at everything, one after the other, so that the site sees no load of ours. Where ctx ends, what was not
// looked at is unseen.
func (s *Site) Run(ctx context.Context) Report {
	r := Report{Assertions: len(Assertions())}
	for _, a := range Assertions() {
		switch {
		case a.Node != nil:
			for _, n := range s.nodes {
				r.add(s.look(ctx, a, n.name, func(ctx context.Context) Finding { return a.Node(ctx, s, n) }))
			}
		case a.Guest != nil && a.Changes:
			if s.victim == nil {
				r.add(s.look(ctx, a, "", func(context.Context) Finding {
					return unseen("not asked for: %s and %s have to name the same virtual machine", EnvVictim, EnvVictimAgain)
				}))
				continue
			}
			r.add(s.look(ctx, a, s.victim.name, func(ctx context.Context) Finding { return a.Guest(ctx, s, s.victim) }))
		case a.Guest != nil:
			for _, g := range s.guests {
				r.add(s.look(ctx, a, g.name, func(ctx context.Context) Finding { return a.Guest(ctx, s, g) }))
			}
		case a.Instance != nil:
			for _, i := range s.instances {
				r.add(s.look(ctx, a, i.vm+"/"+i.name, func(ctx context.Context) Finding { return a.Instance(ctx, s, i) }))
			}
		}
	}
	r.mask(s.mask)
	return r
}

// look is one assertion at one machine.
func (s *Site) look(ctx context.Context, a Assertion, at string, do func(context.Context) Finding) Outcome {
	limit := timeout
	if a.Changes {
		limit = s.patience
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	f := Finding{Result: Unseen, Says: "not looked at: the time was over"}
	if ctx.Err() == nil {
		f = do(ctx)
	}
	return Outcome{a.Name, at, f.Result, f.Says, a.Relies, a.Source, f.Evidence, time.Since(began)}
}
