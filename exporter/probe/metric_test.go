package probe

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// written is what a metric writes of itself: kind, value and labels in their order.
func written(t *testing.T, m prometheus.Metric) string {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	switch {
	case out.Gauge != nil && out.Counter == nil:
		fmt.Fprintf(&b, "gauge %v", out.Gauge.GetValue())
	case out.Counter != nil && out.Gauge == nil:
		fmt.Fprintf(&b, "counter %v", out.Counter.GetValue())
	}
	for _, l := range out.Label {
		fmt.Fprintf(&b, " %s=%q", l.GetName(), l.GetValue())
	}
	return b.String()
}

// TestMetricsOfTargetsThatShareDescriptions writes those of two targets in turn: each has its own labels, in the order of
// all names whichever were given first.
func TestMetricsOfTargetsThatShareDescriptions(t *testing.T) {
	t.Parallel()
	c := NewCatalog()
	var s Set
	for _, vm := range []string{"SQL01", "SQL02"} {
		d := NewDescs(c, prometheus.Labels{"vm": vm, "cluster": "hv-cl1"})
		s.Gauge(d.New("m", "M.", "zone", "a"), 1, "last", "first")
		s.Counter(d.New("n_total", "N."), 2)
		s.Bool(d.New("m", "M.", "a", "zone"), true, "first", "last")
	}
	var got []string
	for _, m := range s {
		got = append(got, written(t, m))
	}
	want := []string{
		`gauge 1 a="first" cluster="hv-cl1" vm="SQL01" zone="last"`, `counter 2 cluster="hv-cl1" vm="SQL01"`, `gauge 1 a="first" cluster="hv-cl1" vm="SQL01" zone="last"`,
		`gauge 1 a="first" cluster="hv-cl1" vm="SQL02" zone="last"`, `counter 2 cluster="hv-cl1" vm="SQL02"`, `gauge 1 a="first" cluster="hv-cl1" vm="SQL02" zone="last"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("written otherwise (-want +got):\n%s", diff)
	}
	if s[0].Desc() != s[3].Desc() || s[0].Desc() == s[2].Desc() {
		t.Error("two targets do not share a description, or two with other labels do")
	}
	if len(c.known) != 3 {
		t.Errorf("%d descriptions for two targets, want 3", len(c.known))
	}
}

// TestDescriptionsThatDiffer are each their own, though their texts in a row read alike.
func TestDescriptionsThatDiffer(t *testing.T) {
	t.Parallel()
	c := NewCatalog()
	one, two := NewDescs(c, prometheus.Labels{"vm": "a"}), NewDescs(c, prometheus.Labels{"node": "a"})
	list := []Desc{one.New("m", "Help."), one.New("m", "Help.", "vm2"), one.New("m", "Other."), one.New("n", "Help."), two.New("m", "Help."), one.New("m", "Help.", "x", "y"), one.New("m", "Help.", "y", "x")}
	seen := map[*common]int{}
	for i, d := range list {
		if j, ok := seen[d.common]; ok {
			t.Errorf("%d and %d are one description", j, i)
		}
		seen[d.common] = i
	}
}

// TestLabelsThatAreNotUTF8 come from a peer that lies about its encoding; the caller's own are left alone.
func TestLabelsThatAreNotUTF8(t *testing.T) {
	t.Parallel()
	d := NewDescs(nil, prometheus.Labels{"vm": "S\xffQL"})
	var s Set
	mine := []string{"a\xfeb"}
	s.Gauge(d.New("m", "M.", "x"), 1, mine...)
	if got, want := written(t, s[0]), `gauge 1 vm="S\ufffdQL" x="a\ufffdb"`; strings.ReplaceAll(got, "\ufffd", `\ufffd`) != want {
		t.Errorf("written as %s, want %s", got, want)
	}
	if utf8.ValidString(mine[0]) {
		t.Error("the caller's label was changed")
	}
}

// TestAnotherNumberOfLabels is a mistake that a collector's panic shows.
func TestAnotherNumberOfLabels(t *testing.T) {
	t.Parallel()
	d := NewDescs(nil, nil).New("m", "M.", "x")
	for _, labels := range [][]string{nil, {"a", "b"}} {
		func() {
			defer func() {
				if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "metric m has the labels") {
					t.Errorf("%q: panic %v", labels, p)
				}
			}()
			new(Set).Gauge(d, 1, labels...)
		}()
	}
}

// TestATargetCostsNoDescriptions bounds what a hundred descriptions of one more target take: what it kept of each by
// itself, half a kilobyte, made most of an exporter's memory.
func TestATargetCostsNoDescriptions(t *testing.T) { //nolint:paralleltest // measures the heap
	c := NewCatalog()
	const targets, each = 1000, 100
	kept := make([][each]Desc, targets)
	add := func(n int) {
		d := NewDescs(c, prometheus.Labels{"vm": fmt.Sprint(n)})
		for i := range each {
			kept[n][i] = d.New(fmt.Sprintf("metric_%d", i), strings.Repeat("Help. ", 20), "label")
		}
	}
	add(0)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for n := 1; n < targets; n++ {
		add(n)
	}
	after := heap()
	runtime.KeepAlive(kept)
	if perTarget := (int64(after) - int64(before)) / (targets - 1); perTarget > 4096 { //nolint:gosec // sizes of a heap
		t.Errorf("%d bytes for each more target with %d descriptions, want at most 4096", perTarget, each)
	}
}
