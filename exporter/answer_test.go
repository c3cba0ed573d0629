package exporter

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hypervigil/hypervigil/exporter/probe"
)

// TestAnswerAsPromhttpDoes compares head and text with promhttp's for what clients ask for, one after the other through the
// same writers and at the same time.
func TestAnswerAsPromhttpDoes(t *testing.T) {
	t.Parallel()
	d := probe.NewDescs(nil, prometheus.Labels{"vm": "SQL01"})
	var s probe.Set
	s.States(d.New("state", "S.", "state"), []string{"on", probe.Other}, "on")
	s.Counter(d.New("n_total", "N."), 2)
	s.Gauge(d.New("z", "Z.", "x"), 3, strings.Repeat("z", 100<<10)) // more than any buffer
	f, err := gather(s)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectorOf(s))
	peer := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	var mine writers
	var wg sync.WaitGroup
	for _, accept := range []string{
		"", "*/*", "text/plain", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.4,*/*;q=0.3",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;q=0.5",
		"text/plain;version=1.0.0;escaping=allow-utf-8,*/*;q=0.2",
	} {
		for _, encoding := range []string{"", "gzip", "identity", "zstd, gzip;q=0.5", "gzip;q=0", "deflate"} {
			wg.Go(func() {
				r := httptest.NewRequest(http.MethodGet, "/probe", nil)
				r.Header.Set("Accept", accept)
				r.Header.Set("Accept-Encoding", encoding)
				got, want := httptest.NewRecorder(), httptest.NewRecorder()
				peer.ServeHTTP(want, r)
				if err := mine.write(got, r, f); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(want.Header(), got.Header()); diff != "" {
					t.Errorf("accept %q, %q: another head (-promhttp +got):\n%s", accept, encoding, diff)
				}
				if diff := cmp.Diff(body(t, want), body(t, got)); diff != "" {
					t.Errorf("accept %q, %q: another text (-promhttp +got):\n%.1000s", accept, encoding, diff)
				}
			})
		}
	}
	wg.Wait()
}

// body is what a client makes of an answer.
func body(t *testing.T, r *httptest.ResponseRecorder) string {
	t.Helper()
	if r.Header().Get("Content-Encoding") != "gzip" {
		return r.Body.String()
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		t.Error(err)
		return ""
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func TestAcceptsGzip(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP ;Q=0.1": true, "x-gzip": true, "gzip;q=0": false, "gzip; q=0.000": false, "gzip;q=x": false, "*": true, "*;q=0": false,
		"br, gzip;q=1.0": true, "gzip;q=0, *": false, "*, gzip;q=0": false, "gzippy": false, "deflate": false, ",,gzip": true,
	} {
		if got := acceptsGzip(header); got != want {
			t.Errorf("acceptsGzip(%q) = %v", header, got)
		}
	}
}

// gone is a client that has hung up.
type gone struct{ http.ResponseWriter }

var errGone = errors.New("gone")

func (gone) Write([]byte) (int, error) { return 0, errGone }

// TestAnswerToAClientThatIsGone leaves nothing behind in what the next answer is written through.
func TestAnswerToAClientThatIsGone(t *testing.T) {
	t.Parallel()
	var s probe.Set
	s.Gauge(probe.NewDescs(nil, nil).New("a", "A."), 1)
	f, err := gather(s)
	if err != nil {
		t.Fatal(err)
	}
	var mine writers
	for _, encoding := range []string{"", "gzip"} {
		r := httptest.NewRequest(http.MethodGet, "/probe", nil)
		r.Header.Set("Accept-Encoding", encoding)
		if err := mine.write(gone{httptest.NewRecorder()}, r, f); !errors.Is(err, errGone) {
			t.Errorf("%q: %v", encoding, err)
		}
		w := httptest.NewRecorder()
		if err := mine.write(w, r, f); err != nil {
			t.Error(err)
		}
		if got, want := body(t, w), "# HELP a A.\n# TYPE a gauge\na 1\n"; got != want {
			t.Errorf("%q: then %q, want %q", encoding, got, want)
		}
	}
}
