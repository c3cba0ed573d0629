package site

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// TestAGaugeTellsWhatRanInBetween, over a span that is neither too short nor another story.
func TestAGaugeTellsWhatRanInBetween(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	type reading struct {
		at        time.Duration
		ran, base uint64
		busy      float64
		over      time.Duration // zero: it tells nothing
	}
	for name, readings := range map[string][]reading{
		"the first one":             {{0, 0, 0, 0, 0}},
		"too soon after it":         {{0, 0, 0, 0, 0}, {9 * time.Second, 5, 9, 0, 0}},
		"half of its time":          {{0, 100, 1000, 0, 0}, {10 * time.Second, 105, 1010, 0.5, 10 * time.Second}},
		"since the newest":          {{0, 0, 0, 0, 0}, {20 * time.Second, 0, 20, 0, 20 * time.Second}, {40 * time.Second, 20, 40, 1, 20 * time.Second}},
		"close readings":            {{0, 0, 0, 0, 0}, {10 * time.Second, 0, 10, 0, 10 * time.Second}, {15 * time.Second, 5, 15, 1.0 / 3, 15 * time.Second}},
		"too long ago":              {{0, 0, 0, 0, 0}, {121 * time.Second, 60, 121, 0, 0}},
		"it was started in between": {{0, 500, 1000, 0, 0}, {20 * time.Second, 2, 20, 0, 0}, {40 * time.Second, 12, 40, 0.5, 20 * time.Second}},
		"counters that stand still": {{0, 500, 1000, 0, 0}, {20 * time.Second, 500, 1000, 0, 0}},
	} {
		g := &gauge{}
		for n, r := range readings {
			busy, over, ok := g.since(totals{at: began.Add(r.at), ran: r.ran, base: r.base})
			if ok != (r.over > 0) || ok && (busy != r.busy || over != r.over) {
				t.Errorf("%s, reading %d: %v over %s, %t; want %v over %s", name, n, busy, over, ok, r.busy, r.over)
			}
		}
	}
}

// TestReadOfLoads, over the wire: a starved host is known from one that is not once its totals can be compared, and what a
// node has just said is not asked again where it need not be.
func TestReadOfLoads(t *testing.T) {
	t.Parallel()
	l, s := labSite(t, nil)
	ask := evidence.Ask{
		VM: evidence.VM{Cluster: "hv-lab", Name: "SQL01"}, Instance: evidence.NoInstance, Timeout: 5 * time.Second,
		Parts: []evidence.Part{evidence.PartLoads, evidence.PartHost}, Owner: "HV1",
	}
	first := s.Read(t.Context(), ask)
	for node, r := range first.Loads {
		if r.Known() || r.Failure != dial.Other {
			t.Errorf("%s at the first reading: %+v, want nothing known yet", node, r)
		}
	}
	// As if the first reading had been made a while ago.
	for _, g := range s.clusters["hv-lab"].gauges {
		for n := range g.seen {
			g.seen[n].at = g.seen[n].at.Add(-leastLoadSpan)
		}
	}
	if _, err := l.Inject(model.Request{Fault: model.HostStarved, Node: "HV1"}); err != nil {
		t.Fatal(err)
	}
	r := s.Read(t.Context(), ask)
	for began := time.Now(); r.Loads["HV1"].Value.Busy <= r.Loads["HV2"].Value.Busy && time.Since(began) < 30*time.Second; r = s.Read(t.Context(), ask) {
	}
	if len(r.Loads) != 3 || !r.Loads["HV1"].Known() || !r.Loads["HV2"].Known() {
		t.Fatalf("loads = %+v, want those of three nodes", r.Loads)
	}
	starved, calm := r.Loads["HV1"].Value, r.Loads["HV2"].Value
	if starved.Pressure <= 1 || starved.Busy <= calm.Busy || calm.Pressure >= 1 || starved.Processors != 16 || starved.Over < leastLoadSpan {
		t.Errorf("HV1 %+v, HV2 %+v, want HV1 starved", starved, calm)
	}
	if v := r.Host.Value; v.Processors != 4 || v.Host != "HV1" {
		t.Errorf("the virtual machine: %+v, want four processors", v)
	}
	ask.MaxAge, ask.Loads = time.Minute, []string{"HV1", "nowhere"}
	if again := s.Read(t.Context(), ask).Loads; len(again) != 1 || !again["HV1"].At.Equal(r.Loads["HV1"].At) {
		t.Errorf("asked again: %+v, want HV1's answer of before alone", again)
	}
}
