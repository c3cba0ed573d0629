package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/budget"
)

func TestThePercentilesAreThoseOfTheNearestRank(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		list     []float64
		p50, p95 float64
	}{
		{list: []float64{7}, p50: 7, p95: 7},
		{list: []float64{4, 1, 3, 2}, p50: 2, p95: 4},
		{list: []float64{20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, p50: 10, p95: 19},
	} {
		if got := nearestRank(tt.list, 50); got != tt.p50 {
			t.Errorf("median of %v = %v, want %v", tt.list, got, tt.p50)
		}
		if got := nearestRank(tt.list, 95); got != tt.p95 {
			t.Errorf("95th percentile of %v = %v, want %v", tt.list, got, tt.p95)
		}
	}
}

// TestAMachineIsLeftAloneUntilAlertmanagerHasForgottenIt: until then its alert waits for group_interval, which is no time from
// a fault of a machine that was well.
func TestAMachineIsLeftAloneUntilAlertmanagerHasForgottenIt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	x := &trials{
		measurement: &measurement{result: &result{again: 10 * time.Second}},
		well:        map[string]time.Time{"SQL01": now.Add(-12 * time.Second), "SQL02": now.Add(-time.Minute)},
	}
	for vm, want := range map[string]time.Duration{"SQL01": 30 * time.Second, "SQL02": 0, "SQL04": 0} {
		if got := x.idle(vm, now); got != want {
			t.Errorf("idle(%s) = %s, want %s", vm, got, want)
		}
	}
}

// TestARowIsMissedByAnyOfItsPromises: median, 95th percentile, and each sample within what was reckoned.
func TestARowIsMissedByAnyOfItsPromises(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	samples := func(list ...float64) (all []sample) {
		for _, d := range list {
			all = append(all, sample{VM: "SQL01", At: at, FirstCommand: &d})
		}
		return all
	}
	never := sample{VM: "SQL01", At: at, Why: "waited 1m6s for the first command for SQL01"}
	for _, tt := range []struct {
		name    string
		samples []sample
		broken  string
		misses  []string
	}{
		{"all is as promised", samples(2, 3, 4), "", nil},
		{"no sample", nil, "", []string{"no trial has ended"}},
		{"broken off", samples(2, 3, 4), "chain 2: the disk is full", []string{"broken off: chain 2: the disk is full"}},
		{"a slow median", samples(2, 4, 4), "", []string{"the median, 4.00 s, is above 3.5s"}},
		{"a slow tail", samples(2, 3, 5.5), "", []string{"the 95th percentile, 5.50 s, is above 5s"}},
		{"a command that never came", append(samples(2, 3), never), "", []string{
			"SQL01 at 03:04:05: no command: waited 1m6s for the first command for SQL01", "the 95th percentile, +Inf s, is above 5s",
		}},
		{"sooner than can be", samples(0.5, 3, 3), "", []string{"SQL01 at 03:04:05: 0.50 s are outside of the reckoned 1.00 to 6.00 s"}},
		{"later than can be", samples(3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 7), "", []string{"SQL01 at 03:04:05: 7.00 s are outside of the reckoned 1.00 to 6.00 s"}},
	} {
		r := &result{
			row:      row{Name: "service-fast", N: 3, Median: 3500 * time.Millisecond, P95: 5 * time.Second},
			Reckoned: budget.Span{Best: time.Second, Typical: 3 * time.Second, Worst: 6 * time.Second}, Samples: tt.samples, Broken: tt.broken,
		}
		r.judge()
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("%s: the report cannot be written: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.misses, r.Misses); diff != "" {
			t.Errorf("%s: misses (-want +got):\n%s", tt.name, diff)
		}
		var out bytes.Buffer
		all := report{Results: []*result{r}}
		if met := all.print(&out); met != (tt.misses == nil) {
			t.Errorf("%s: met = %t\n%s", tt.name, met, out.String())
		}
		for _, m := range tt.misses {
			if !strings.Contains(out.String(), m) {
				t.Errorf("%s: %q is not printed:\n%s", tt.name, m, out.String())
			}
		}
	}
}
