package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNearestRank has the ranks at which a rounding would give the neighbour.
func TestNearestRank(t *testing.T) {
	t.Parallel()
	upTo := func(n int) []int {
		var list []int
		for i := n; i > 0; i-- { // not sorted
			list = append(list, i)
		}
		return list
	}
	for _, c := range []struct {
		n    int
		p    float64
		want int
	}{
		{0, 50, 0},
		{1, 0, 1},
		{1, 99, 1},
		{2, 50, 1},
		{3, 50, 2},
		{4, 75, 3},
		{10, 99, 10},
		{100, 0, 1},
		{100, 1, 1},
		{100, 99, 99},
		{100, 100, 100},
		{101, 99, 100},
		{1000, 99, 990},
		{6000, 99, 5940},
		{2000, 99.9, 1998},
	} {
		if got := percentile(upTo(c.n), c.p); got != c.want {
			t.Errorf("percentile %v of 1 to %d is %d, want %d", c.p, c.n, got, c.want)
		}
	}
	list := []float64{3, 1, 2}
	if got := median(list); got != 2 || list[0] != 3 {
		t.Errorf("the median of %v is %v; the list stays as it was", list, got)
	}
}

// TestVerdicts has figures at, above and below their goals, and rows that could not be measured.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		f    figure
		want bool
	}{
		{"at most, equal", atMost("a", 1.2, "×", 1.2), true},
		{"at most, above", atMost("a", 1.2000001, "×", 1.2), false},
		{"at most, not a number", atMost("a", math.NaN(), "×", 1.2), false},
		{"at least, equal", atLeast("a", 5, "×", 5), true},
		{"at least, below", atLeast("a", 4.99, "×", 5), false},
		{"at least, not a number", atLeast("a", math.NaN(), "×", 5), false},
		{"a fact", fact("a", 1e9, "ms"), true},
	} {
		r := result{Name: "r", outcome: outcome{Figures: []figure{fact("b", 1, ""), c.f}}}
		if got := r.met(); got != c.want {
			t.Errorf("%s: met %v, want %v", c.name, got, c.want)
		}
		var b bytes.Buffer
		r.print(&b)
		if got := strings.Contains(b.String(), "MISSED"); got == c.want {
			t.Errorf("%s: printed as %s", c.name, &b)
		}
		r.Error = "no peer"
		if r.met() {
			t.Errorf("%s: a row that was not measured counts as met", c.name)
		}
	}
}

// TestReport writes what was missed, and finds it again.
func TestReport(t *testing.T) {
	t.Parallel()
	b := &bench{dir: t.TempDir(), out: &bytes.Buffer{}}
	good := b.run(t.Context(), row{"good", "a good one", func(context.Context, *bench) (outcome, error) {
		return outcome{Samples: 3, Figures: []figure{atMost("f", 1, "ms", 2)}}, nil
	}})
	broken := b.run(t.Context(), row{"broken", "a broken one", func(context.Context, *bench) (outcome, error) {
		return outcome{}, errors.New("no peer")
	}})
	r := newReport()
	r.Rows = []result{good}
	var out bytes.Buffer
	if !r.finish(&out, b.dir) || !strings.Contains(out.String(), "every goal reached") {
		t.Errorf("a run without a fault ends with %s", &out)
	}
	r.Rows = append(r.Rows, broken)
	out.Reset()
	if r.finish(&out, b.dir) || !strings.Contains(out.String(), "goal missed: broken") || strings.Contains(out.String(), "good") {
		t.Errorf("a run with a row that was not measured ends with %s", &out)
	}
	if err := r.write(b.dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(b.dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var again report
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, &again, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("read otherwise than written (-written +read):\n%s", diff)
	}
}

// TestCommit is that of the Makefile's build.
func TestCommit(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{{"1.0-3-gabc", "abc", "abc"}, {"1.0-3-gabc-dirty", "abc", "abc+"}, {"unknown", "unknown", "unknown"}} {
		if got := commit(c[0], c[1]); got != c[2] {
			t.Errorf("commit(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

// TestParseBenchmarks has what go test printed, and what stands between it.
func TestParseBenchmarks(t *testing.T) {
	t.Parallel()
	got := parseBenchmarks(`goos: linux
BenchmarkDecision/open=100-2         	    2000	    333012 ns/op	     12345 kept-B	   90000 B/op	     812 allocs/op
BenchmarkDecision/open=100-2         	    2000	    334000.5 ns/op	     12345 kept-B	   90000 B/op	     812 allocs/op
BenchmarkOne 	 1	 2 ns/op
Benchmark is a word
BenchmarkBroken-2 --- FAIL: it is
PASS
`)
	want := map[string][]benchFigures{
		"BenchmarkDecision/open=100": {
			{"ns/op": 333012, "kept-B": 12345, "B/op": 90000, "allocs/op": 812},
			{"ns/op": 334000.5, "kept-B": 12345, "B/op": 90000, "allocs/op": 812},
		},
		"BenchmarkOne": {{"ns/op": 2}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read otherwise (-want +got):\n%s", diff)
	}
	if list, err := unit(got["BenchmarkDecision/open=100"], "ns/op"); err != nil || !cmp.Equal(list, []float64{333012, 334000.5}) {
		t.Errorf("ns/op are %v, %v", list, err)
	}
	for _, missing := range []string{"p99-ms", "ns/op"} {
		if list, err := unit(got["BenchmarkOne"][:map[string]int{"p99-ms": 1}[missing]], missing); err == nil {
			t.Errorf("a benchmark without %s has %v", missing, list)
		}
	}
}

// TestWebhookFigures has refusals, which are quick and no success, and floors beside the one from which a limit holds.
func TestWebhookFigures(t *testing.T) {
	t.Parallel()
	same := func(ms float64) []float64 {
		list := make([]float64, 200)
		for i := range list {
			list[i] = ms
		}
		return list
	}
	for _, c := range []struct {
		name        string
		floor, took float64
		refused     int
		want        []bool // the refusals, the ratio, the limit
	}{
		{"well", 5, 10, 0, []bool{true, true, true}},
		{"twice and a bit", 5, 10.1, 0, []bool{true, false, false}},
		{"a busy disk", 5.1, 10.2, 0, []bool{true, true, true}},
		{"two of 200 refused", 5, 9, 2, []bool{false, true, true}},
		{"more than one in a hundred refused", 5, 9, 3, []bool{false, false, false}},
		{"the same on a busy disk", 900, 1000, 100, []bool{false, false, true}},
	} {
		f := webhookFigures(same(c.floor), same(c.took), c.refused)
		got := []bool{f[2].Met, f[4].Met, f[5].Met}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: met (-want +got):\n%s", c.name, diff)
		}
	}
}
