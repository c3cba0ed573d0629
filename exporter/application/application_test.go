package application

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/probe/probetest"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an application with fixed signs.
type fake struct {
	reach    error
	answer   Answer
	get      error
	services []cluster.Service
	err      error
}

func (f fake) Services(_ context.Context, names []string) ([]cluster.Service, error) {
	if !slices.Equal(names, []string{"W3SVC"}) {
		return nil, fmt.Errorf("asked for %q", names)
	}
	return f.services, f.err
}

func (f fake) options(a config.Application) Options {
	return Options{
		Cluster: "hv-cl1", VM: &config.VirtualMachine{Name: "APP01", Application: &a}, Services: f,
		Reach: func(context.Context, string) (time.Duration, error) { return time.Second / 8, f.reach },
		Get:   func(context.Context, string) (Answer, error) { return f.answer, f.get },
	}
}

var all = config.Application{TCP: "app01:443", HTTP: "https://app01/health", WindowsService: "W3SVC"}

func collector(t *testing.T, o Options, name string) probe.Collector {
	t.Helper()
	c := Collectors(o)
	i := slices.IndexFunc(c, func(c probe.Collector) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("there is no collector %s", name)
	}
	return c[i]
}

func TestGolden(t *testing.T) {
	t.Parallel()
	reason := func(r dial.Reason) error { return &probe.Error{Why: r, Err: errors.New("no")} }
	well := fake{
		answer:   Answer{Status: 204, Took: time.Second / 4, Expiry: time.Unix(1_800_000_000, 0)},
		services: []cluster.Service{{Name: "w3svc", State: cluster.ServiceRunning, StartMode: "Auto"}},
	}
	for _, tc := range []struct {
		name, collector string
		source          fake
		fails           bool
	}{
		{"tcp", "tcp", well, false},
		{"tcp_timeout", "tcp", fake{reach: reason(dial.TCPTimeout)}, false},
		{"tcp_name", "tcp", fake{reach: reason(dial.DNS)}, true},
		{"http", "http", well, false},
		{"http_moved", "http", fake{answer: Answer{Status: 302}}, false},
		{"http_refused", "http", fake{get: reason(dial.Refused)}, true},
		{"http_certificate", "http", fake{get: reason(dial.TLS)}, true},
		{"windows_service", "windows_service", well, false},
		{"windows_service_none", "windows_service", fake{}, false},
		{"windows_service_silent", "windows_service", fake{err: reason(dial.TCPTimeout)}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := collector(t, tc.source.options(all), tc.collector).Collect(t.Context(), log.NewNopLogger())
			if (r.Err != nil) != tc.fails {
				t.Errorf("Collect() = %v, want failure %t", r.Err, tc.fails)
			}
			probetest.Golden(t, tc.name, r.Metrics)
		})
	}
}

// TestWhatIsNotGivenIsNotAsked: a sign that the inventory does not give has no series and does not fail.
func TestWhatIsNotGivenIsNotAsked(t *testing.T) {
	t.Parallel()
	no := fake{reach: errors.New("asked"), get: errors.New("asked"), err: errors.New("asked")}
	for _, c := range Collectors(no.options(config.Application{})) {
		if r := c.Collect(t.Context(), log.NewNopLogger()); r.Err != nil || len(r.Metrics) != 0 {
			t.Errorf("%s: %d series, %v; want none", c.Name, len(r.Metrics), r.Err)
		}
	}
}

// TestSilenceHasHalfOfTheTime: that nobody takes the connection is an answer, and there is time to give it.
func TestSilenceHasHalfOfTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := fake{}.options(all)
		o.Reach = func(ctx context.Context, _ string) (time.Duration, error) {
			<-ctx.Done()
			return 0, &probe.Error{Why: dial.TCPTimeout, Err: ctx.Err()}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		start := time.Now()
		r := collector(t, o, "tcp").Collect(ctx, log.NewNopLogger())
		if took := time.Since(start); r.Err != nil || took != 2*time.Second {
			t.Errorf("Collect() = %v after %s, want no error after half of the time", r.Err, took)
		}
	})
}
