// Package probetest compares what a collector answers with a golden file. Only tests import it.
//
// go test ./exporter/... -update rewrites the files.
package probetest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fixed collects what it holds, and describes it, so that a pedantic registry checks one against the other.
type fixed []prometheus.Metric

// Describe implements prometheus.Collector.
func (f fixed) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(f, ch) }

// Collect implements prometheus.Collector.
func (f fixed) Collect(ch chan<- prometheus.Metric) {
	for _, m := range f {
		ch <- m
	}
}

// Golden compares the metrics with testdata/name.prom and checks them by promlint.
func Golden(t *testing.T, name string, metrics []prometheus.Metric) {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(fixed(metrics)); err != nil {
		t.Fatalf("the metrics contradict each other: %v", err)
	}
	GoldenGatherer(t, name, r)
}

// GoldenGatherer is Golden for what is gathered already.
func GoldenGatherer(t *testing.T, name string, g prometheus.Gatherer) {
	t.Helper()
	path := filepath.Join("testdata", name+".prom")
	if *update {
		families, err := g.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		for _, f := range families {
			if _, err := expfmt.MetricFamilyToText(&got, f); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := testutil.GatherAndCompare(g, bytes.NewReader(want)); err != nil {
		t.Errorf("%s differs (go test -update rewrites it): %v", path, err)
	}
	problems, err := testutil.GatherAndLint(g)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
