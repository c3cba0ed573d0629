package exporter

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// TestGatherAsARegistryDoes compares with a prometheus.Registry, what contradicts itself among it.
func TestGatherAsARegistryDoes(t *testing.T) {
	t.Parallel()
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, prometheus.Labels{"vm": `S"QL`})
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
		return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	a, b := desc("a_total", `A "quoted" \ help, of two
lines.`, "x", "y"), desc("b", "B.", "x")
	metrics := []prometheus.Metric{
		gauge(b, 3, "z"), prometheus.MustNewConstMetric(a, prometheus.CounterValue, 1, "2", "1"), gauge(b, 4, "a"),
		prometheus.MustNewConstMetric(a, prometheus.CounterValue, 2, "1", "2"), prometheus.MustNewConstMetric(a, prometheus.CounterValue, 3, "1", "1"),
		gauge(b, 5, "z"), gauge(desc("b", "B."), 6), gauge(a, 7, "9", "9"), gauge(desc("b", "C.", "x"), 8, "c"), gauge(desc("b", "B.", "w"), 9, "zz"),
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectorOf(metrics))
	want, wantErr := registry.Gather()
	got, err := gather(&target{}, metrics)
	if diff := cmp.Diff(text(t, want), text(t, got)); diff != "" {
		t.Errorf("a registry gathers otherwise (-registry +got):\n%s", diff)
	}
	if wantErr == nil || err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("errors %v, want three as the registry has: %v", err, wantErr)
	}
	if got, err := gather(&target{}, nil); len(got) != 0 || err != nil {
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

// collectorOf collects what it is.
type collectorOf []prometheus.Metric

var _ prometheus.Collector = collectorOf(nil)

func (collectorOf) Describe(chan<- *prometheus.Desc) {}

func (c collectorOf) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c {
		ch <- m
	}
}

// TestGatherRefusesWhatItDoesNotKnow has a histogram, and a description that tells nothing.
func TestGatherRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	h := prometheus.MustNewConstHistogram(prometheus.NewDesc("h", "H.", nil, nil), 1, 1, map[float64]uint64{1: 1})
	if got, err := gather(&target{}, []prometheus.Metric{h}); len(got) != 0 || err == nil {
		t.Errorf("of a histogram: %v, %v", got, err)
	}
	for _, s := range []string{"", "Desc{", `Desc{fqName: "a`, `Desc{fqName: "a", constLabels: {}}`} {
		if f, err := parseDesc(s); err == nil {
			t.Errorf("parseDesc(%q) = %v", s, f)
		}
	}
}
