package simulate

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Failure is a schedule that broke an invariant. Schedule and History are filled in by Explain.
type Failure struct {
	Violation
	Number   int // of the schedule in its run
	Seed     uint64
	Schedule Schedule
	History  string
}

// Write prints the failure: what it takes to break the invariant, and everything that happened on the way.
func (f Failure) Write(out io.Writer) {
	fmt.Fprintf(out, "\nschedule of seed %d broke: %s\n", f.Seed, f.Violation)
	if f.History == "" {
		return
	}
	fmt.Fprintf(out, "what it takes (variant %q", variants()[f.Schedule.Variant].name)
	if f.Schedule.Calm != "" {
		fmt.Fprintf(out, "; SQL Server of %s dies at 0", f.Schedule.Calm)
	}
	if f.Schedule.Starved != "" {
		fmt.Fprintf(out, "; the host of %s is used up at 0", f.Schedule.Starved)
	}
	fmt.Fprintln(out, "):")
	for _, o := range f.Schedule.Ops {
		fmt.Fprintf(out, "  %s\n", o)
	}
	fmt.Fprintf(out, "history:\n%s", f.History)
}

// Report is what many schedules came to.
type Report struct {
	Seed      uint64
	Schedules int
	Failures  []Failure
	Events    map[string]int
	Commands  map[string]int
	Refusals  map[string]int
	Phases    map[string]int
	Cures     map[string]int
	Points    map[string]int
	Reached   map[string]int // schedules that reached it
	Crashes   int
	Span      time.Duration
}

func (r *Report) add(n int, s result) {
	r.Schedules++
	r.Crashes += s.crashes
	r.Span += s.span
	sum(&r.Events, s.events)
	sum(&r.Commands, s.commands)
	sum(&r.Refusals, s.refusals)
	sum(&r.Phases, s.phases)
	sum(&r.Cures, s.cures)
	points := map[string]int{}
	for p, n := range s.points {
		points[string(p)] = n
	}
	sum(&r.Points, points)
	reached := map[string]int{}
	for what := range s.reached {
		reached[what] = 1
	}
	sum(&r.Reached, reached)
	if len(s.violations) > 0 {
		r.Failures = append(r.Failures, Failure{Violation: s.violations[0], Number: n, Seed: s.seed})
	}
}

func sum(into *map[string]int, of map[string]int) {
	if *into == nil {
		*into = map[string]int{}
	}
	for name, n := range of {
		(*into)[name] += n
	}
}

func (r *Report) merge(o Report) {
	r.Schedules += o.Schedules
	r.Crashes += o.Crashes
	r.Span += o.Span
	r.Failures = append(r.Failures, o.Failures...)
	sum(&r.Events, o.Events)
	sum(&r.Commands, o.Commands)
	sum(&r.Refusals, o.Refusals)
	sum(&r.Phases, o.Phases)
	sum(&r.Cures, o.Cures)
	sum(&r.Points, o.Points)
	sum(&r.Reached, o.Reached)
}

// Write prints the report.
func (r *Report) Write(out io.Writer) {
	fmt.Fprintf(out, "seed %d, %d schedules, %.0f hours of the cluster's time, %d crashes of the receiver\n", r.Seed, r.Schedules, r.Span.Hours(), r.Crashes)
	table(out, "what happened", r.Events)
	table(out, "commands that may have left, by rung and method", r.Commands)
	table(out, "steps of the receiver", r.Points)
	table(out, "incidents that entered a state", r.Phases)
	table(out, "incidents that closed, by who healed", r.Cures)
	table(out, "refusals and holds that began, by guard", r.Refusals)
	fmt.Fprintln(out, "share of schedules that reached")
	for _, name := range slices.Sorted(maps.Keys(r.Reached)) {
		fmt.Fprintf(out, "  %-42s %6.2f %%\n", name, 100*float64(r.Reached[name])/float64(r.Schedules))
	}
	fmt.Fprintf(out, "failed: %d\n", len(r.Failures))
}

func table(out io.Writer, title string, of map[string]int) {
	fmt.Fprintln(out, title)
	for _, name := range slices.Sorted(maps.Keys(of)) {
		fmt.Fprintf(out, "  %-42s %9d\n", strings.TrimSpace(name), of[name])
	}
}
