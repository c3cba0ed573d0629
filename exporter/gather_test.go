package exporter

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/hypervigil/hypervigil/exporter/probe"
)

// TestGatherAsARegistryDoes compares with a prometheus.Registry, what contradicts itself among it.
func TestGatherAsARegistryDoes(t *testing.T) {
	t.Parallel()
	descs := probe.NewDescs(nil, prometheus.Labels{"vm": `S"QL`, "cluster": "c"})
	desc := descs.New
	var s probe.Set
	a, b := desc("a_total", `A "quoted" \ help, of two
lines.`, "x", "y"), desc("b", "B.", "x")
	s.Gauge(b, 3, "z")
	s.Counter(a, 1, "2", "1")
	s.Gauge(b, 4, "a")
	s.Counter(a, 2, "1", "2")
	s.Counter(a, 3, "1", "1")
	s.Gauge(b, 5, "z")
	s.Gauge(desc("b", "B."), 6)
	s.Gauge(a, 7, "9", "9")
	s.Gauge(desc("b", "C.", "x"), 8, "c")
	s.Gauge(desc("b", "B.", "w"), 9, "zz")
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectorOf(s))
	want, wantErr := registry.Gather()
	got, err := gather(s)
	if diff := cmp.Diff(text(t, want), answered(t, got)); diff != "" {
		t.Errorf("a registry gathers otherwise (-registry +got):\n%s", diff)
	}
	if wantErr == nil || err == nil || strings.Count(err.Error(), "\n") != 2 || !strings.Contains(err.Error(), `metric b cluster="c" vm="S\"QL" x="z" was`) {
		t.Errorf("errors %v, want three as the registry has: %v", err, wantErr)
	}
	if got, err := gather(nil); len(got) != 0 || err != nil {
		t.Errorf("of nothing: %v, %v", got, err)
	}
}

// text is how Prometheus would get the families.
func text(t *testing.T, families []*dto.MetricFamily) string {
	t.Helper()
	var b strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Error(err)
		}
	}
	return b.String()
}

// answered is what Prometheus gets.
func answered(t *testing.T, f families) string {
	t.Helper()
	var b strings.Builder
	if err := f.write(&b, expfmt.NewFormat(expfmt.TypeTextPlain)); err != nil {
		t.Error(err)
	}
	return b.String()
}

// collectorOf collects what it is.
type collectorOf []prometheus.Metric

var _ prometheus.Collector = collectorOf(nil)

func (collectorOf) Describe(chan<- *prometheus.Desc) {}

func (c collectorOf) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c {
		ch <- m
	}
}

// TestGatherRefusesWhatItDoesNotKnow has a histogram: no prober makes one.
func TestGatherRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	h := prometheus.MustNewConstHistogram(prometheus.NewDesc("h", "H.", nil, nil), 1, 1, map[float64]uint64{1: 1})
	if got, err := gather([]prometheus.Metric{h}); len(got) != 0 || err == nil {
		t.Errorf("of a histogram: %v, %v", got, err)
	}
}
