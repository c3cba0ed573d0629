package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/prometheus/common/version"

	"github.com/hypervigil/hypervigil/internal/budget"
	"github.com/hypervigil/hypervigil/internal/drill/stage"
)

// report is everything measured in one run.
type report struct {
	Began    time.Time `json:"began"`
	Program  string    `json:"program"`
	Platform string    `json:"platform"`
	Cores    int       `json:"cores"`
	Seed     uint64    `json:"seed"` // repeats the moments of the faults
	Results  []*result `json:"rows"`
}

// result is what a row came to.
type result struct {
	row
	// Overrides are the defaults that were not used.
	Overrides []stage.Override `json:"overrides"`
	// Reckoned is the interval that the budget gives for the files that ran, Alert the alert that it is of.
	Reckoned budget.Span   `json:"reckoned"`
	Alert    string        `json:"alert"`
	again    time.Duration // Alertmanager's group_interval
	Samples  []sample      `json:"samples"` // in the order in which they ended
	// Broken is why not every trial was made.
	Broken string `json:"broken,omitempty"`
	// Seconds is how long the row took, OwnCores how many processors everything that it started kept busy, 0 where the system
	// does not tell.
	Seconds  float64 `json:"seconds"`
	OwnCores float64 `json:"own_cores"`

	MedianSeconds *float64 `json:"median_seconds"` // nearest rank; null without a sample, or where it is one without a command
	P95Seconds    *float64 `json:"p95_seconds"`
	Met           bool     `json:"met"`
	Misses        []string `json:"misses,omitempty"`
}

// sample is one trial. Seconds count from the fault.
type sample struct {
	Number int       `json:"number"`
	Chain  int       `json:"chain"`
	VM     string    `json:"vm"`
	At     time.Time `json:"at"` // of the fault, by the lab's clock
	// After is how long after the receiver was ready, drawn at random.
	After float64 `json:"after_seconds"`
	// Detection is to the first accepted notification, by the receiver's word; null where it was not told.
	Detection    *float64 `json:"detection_seconds"`
	FirstCommand *float64 `json:"first_command_seconds"` // null where none came
	Command      string   `json:"command,omitempty"`
	// Why is why none came, or why the chain could not be used again.
	Why string `json:"why,omitempty"`
	// Load is the machine's average over the minute before the fault; 0 where the system does not tell.
	Load float64 `json:"load"`
}

func newReport(seed uint64) *report {
	return &report{
		Began: time.Now().UTC(), Program: version.Info(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Seed: seed,
	}
}

// write replaces report.json, whole or not at all.
func (r *report) write(dir string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "report.json")
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// nearestRank is the nearest-rank percentile: the smallest sample that at least p of 100 are not above. There is one at least.
func nearestRank(list []float64, p float64) float64 {
	s := slices.Sorted(slices.Values(list))
	rank := int(math.Ceil(p / 100 * float64(len(s))))
	return s[max(rank, 1)-1]
}

// finite is what JSON can say of a duration.
func finite(d float64) *float64 {
	if math.IsInf(d, 0) {
		return nil
	}
	return &d
}

// durations are the samples'; one without a command took for ever.
func (r *result) durations() []float64 {
	list := make([]float64, 0, len(r.Samples))
	for _, s := range r.Samples {
		if s.FirstCommand == nil {
			list = append(list, math.Inf(1))
		} else {
			list = append(list, *s.FirstCommand)
		}
	}
	return list
}

// judge computes what the samples say and whether it is what was promised.
func (r *result) judge() {
	r.Met, r.Misses, r.MedianSeconds, r.P95Seconds = true, nil, nil, nil
	miss := func(format string, args ...any) {
		r.Met = false
		r.Misses = append(r.Misses, fmt.Sprintf(format, args...))
	}
	if r.Broken != "" {
		miss("broken off: %s", r.Broken)
	}
	if len(r.Samples) == 0 {
		miss("no trial has ended")
		return
	}
	for _, s := range r.Samples {
		if s.FirstCommand == nil {
			miss("%s at %s: no command: %s", s.VM, s.At.Format(time.TimeOnly), s.Why)
		} else if d := *s.FirstCommand; d < r.Reckoned.Best.Seconds() || d > r.Reckoned.Worst.Seconds() {
			miss("%s at %s: %.2f s are outside of the reckoned %.2f to %.2f s", s.VM, s.At.Format(time.TimeOnly), d, r.Reckoned.Best.Seconds(), r.Reckoned.Worst.Seconds())
		}
	}
	list := r.durations()
	median, p95 := nearestRank(list, 50), nearestRank(list, 95)
	r.MedianSeconds, r.P95Seconds = finite(median), finite(p95)
	if g := r.Median; g > 0 && median > g.Seconds() {
		miss("the median, %.2f s, is above %s", median, g)
	}
	if g := r.P95; g > 0 && p95 > g.Seconds() {
		miss("the 95th percentile, %.2f s, is above %s", p95, g)
	}
}

// loads are the machine's at each sample.
func (r *result) loads() []float64 {
	list := make([]float64, 0, len(r.Samples))
	for _, s := range r.Samples {
		list = append(list, s.Load)
	}
	return list
}

// print writes the table, and what was missed.
func (r *report) print(w io.Writer) (met bool) {
	met = true
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "\nseconds from fault to first command\tn\tleast\tmedian\tp95\tmost\tgoal\treckoned: best, typical, worst\t")
	for _, x := range r.Results {
		met = met && x.Met
		word := "met"
		if !x.Met {
			word = "MISSED"
		}
		if len(x.Samples) == 0 {
			fmt.Fprintf(tw, "  %s\t0\t\t\t\t\t\t\t%s\n", x.Name, word)
			continue
		}
		list := x.durations()
		goal := "the interval"
		if x.Median > 0 {
			goal = fmt.Sprintf("%s / %s", x.Median, x.P95)
		}
		fmt.Fprintf(tw, "  %s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%s\t%.2f, %.2f, %.2f\t%s\n", x.Name, len(list), slices.Min(list), nearestRank(list, 50), nearestRank(list, 95), slices.Max(list),
			goal, x.Reckoned.Best.Seconds(), x.Reckoned.Typical.Seconds(), x.Reckoned.Worst.Seconds(), word)
	}
	tw.Flush()
	for _, x := range r.Results {
		if len(x.Samples) > 0 {
			loads := x.loads()
			fmt.Fprintf(w, "%s: %.0f s with %d chains, which used %.2f cores; the machine's load was %.1f to %.1f, median %.1f\n", x.Name, x.Seconds, x.Chains, x.OwnCores,
				slices.Min(loads), slices.Max(loads), nearestRank(loads, 50))
		}
		if len(x.Samples) < x.N {
			fmt.Fprintf(w, "%s: %d trials of the %d that make the row's own number\n", x.Name, len(x.Samples), x.N)
		}
		for _, m := range x.Misses {
			fmt.Fprintf(w, "%s: %s\n", x.Name, m)
		}
	}
	return met
}
