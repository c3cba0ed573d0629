package guest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/probe/probetest"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/wsman"
)

// fake is a guest with fixed answers, which notes what it was asked for.
type fake struct {
	os       cluster.OperatingSystem
	services []cluster.Service
	err      error
	asked    *[]string
	load     cluster.GuestLoad
	loadErr  error
	events   func(cluster.EventQuery) []cluster.Event
}

var _ Source = fake{}

func (f fake) OperatingSystem(context.Context) (cluster.OperatingSystem, error) { return f.os, f.err }

func (f fake) Services(_ context.Context, names []string) ([]cluster.Service, error) {
	if f.asked != nil {
		*f.asked = names
	}
	return f.services, f.err
}

func (f fake) Load(context.Context) (cluster.GuestLoad, error) {
	return f.load, errors.Join(f.err, f.loadErr)
}

func (f fake) Events(_ context.Context, q cluster.EventQuery) ([]cluster.Event, error) {
	if f.events == nil {
		return nil, f.err
	}
	return f.events(q), f.err
}

// options are those of SQL01 with two instances; its addresses do what reached says.
func options(f fake) Options {
	reached := map[string]error{
		"sql01:5986": nil, "sql01:1433": &probe.Error{Why: dial.Refused, Err: errors.New("refused")}, "sql01:1434": &probe.Error{Why: dial.TCPTimeout, Err: errors.New("silent")},
	}
	return Options{Source: f, Cluster: "hv-cl1", VM: &config.VirtualMachine{
		Name: "SQL01", Guest: config.Guest{Address: "sql01"},
		SQLServers: []*config.SQLServer{{Instance: "MSSQLSERVER", Address: "sql01:1433"}, {Instance: "SALES", Address: "sql01:1434"}},
	}, Reach: func(_ context.Context, address string) (time.Duration, error) {
		err, ok := reached[address]
		if !ok {
			err = fmt.Errorf("nobody is at %s", address)
		}
		return time.Second / 8, err
	}}
}

func collect(t *testing.T, f fake, name string) ([]prometheus.Metric, error) {
	t.Helper()
	for _, c := range Collectors(options(f)) {
		if c.Name == name {
			r := c.Collect(t.Context(), log.NewNopLogger())
			return r.Metrics, r.Err
		}
	}
	t.Fatalf("there is no collector %s", name)
	return nil, nil
}

func TestGolden(t *testing.T) {
	t.Parallel()
	well := fake{
		os: cluster.OperatingSystem{
			ComputerName: "SQL01", Version: "10.0.20348", Build: "20348", LastBoot: time.Unix(1_700_000_000, 0), LocalTime: time.Unix(1_700_000_500, 0),
			MemoryTotal: 16 << 30, MemoryFree: 4 << 30, CommitLimit: 20 << 30, CommitFree: 1 << 30,
		},
		services: []cluster.Service{
			{Name: "MSSQLSERVER", State: cluster.ServiceRunning, StartMode: "Auto", ProcessID: 4711},
			{Name: "sqlserveragent", State: cluster.ServiceStopped, StartMode: "Manual", ExitCode: 1077},
			{Name: "MSSQL$SALES", State: cluster.ServiceStartPending, StartMode: "Delayed", ProcessID: 12, ExitCode: 1066, SpecificCode: 17113},
		},
		load: cluster.GuestLoad{Processors: 4, Idle: 25_000_000, Queue: 12},
	}
	unsupported := well
	unsupported.loadErr = &wsman.Fault{Code: 0x80041010}
	hung := fake{err: &probe.Error{Why: dial.TLSTimeout, Err: errors.New("silent")}}
	silent := fake{err: &probe.Error{Why: dial.Unreachable, Err: errors.New("no route")}}
	for _, tc := range []struct {
		name, collector string
		source          fake
		fails           bool
	}{
		{"os", "os", well, false},
		{"os_hung", "os", hung, true},
		{"os_unreachable", "os", silent, true},
		{"services", "services", well, false},
		{"services_hung", "services", hung, true},
		{"tcp", "tcp", hung, false}, // it asks the guest nothing
		{"load", "load", well, false},
		{"load_unsupported", "load", unsupported, false},
		{"load_hung", "load", hung, true},
		{"events", "events", well, false},
		{"events_hung", "events", hung, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			metrics, err := collect(t, tc.source, tc.collector)
			if (err != nil) != tc.fails {
				t.Errorf("Collect() = %v, want failure %t", err, tc.fails)
			}
			probetest.Golden(t, tc.name, metrics)
		})
	}
}

// TestATCPAddressThatIsNotKnownIsOurTrouble: the collector fails, and says what it learnt of the others.
func TestATCPAddressThatIsNotKnownIsOurTrouble(t *testing.T) {
	t.Parallel()
	o := options(fake{})
	o.VM.SQLServers[0].Address = "elsewhere:1433"
	i := slices.IndexFunc(Collectors(o), func(c probe.Collector) bool { return c.Name == "tcp" })
	r := Collectors(o)[i].Collect(t.Context(), log.NewNopLogger())
	if r.Err == nil || len(r.Metrics) != 2*6 {
		t.Errorf("Collect() = %d series, %v; want those of the other two, and why not all", len(r.Metrics), r.Err)
	}
}

// TestEventsCountSevereErrors: by instance and severity, each once, and what cannot be read as such.
func TestEventsCountSevereErrors(t *testing.T) {
	t.Parallel()
	f := fake{os: cluster.OperatingSystem{LocalTime: time.Unix(1_700_000_500, 0)}}
	var written []cluster.Event
	f.events = func(q cluster.EventQuery) []cluster.Event {
		var out []cluster.Event
		for _, e := range written {
			if e.Source == q.Source && q.Log == "Application" {
				out = append(out, e)
			}
		}
		return out
	}
	i := slices.IndexFunc(Collectors(options(f)), func(c probe.Collector) bool { return c.Name == "events" })
	events := Collectors(options(f))[i]
	look := func() []prometheus.Metric {
		r := events.Collect(t.Context(), log.NewNopLogger())
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		return r.Metrics
	}
	look()
	for n, e := range []struct {
		source string
		id     uint32
		data   []byte
	}{
		{"MSSQLSERVER", 824, []byte{0x38, 3, 0, 0, 24, 0, 0, 0, 6, 0}},
		{"MSSQLSERVER", 824, []byte{0x38, 3, 0, 0, 24, 0, 0, 0}},
		{"MSSQLSERVER", 18456, []byte{0x18, 0x48, 0, 0, 14, 0, 0, 0}}, // a login that failed
		{"MSSQL$SALES", 701, []byte{0xbd, 2, 0, 0, 17, 0, 0, 0}},
		{"MSSQL$SALES", 701, nil},                                // no data
		{"MSSQL$SALES", 701, []byte{0, 0, 0, 0, 24, 0, 0, 0}},    // of another number
		{"MSSQL$SALES", 701, []byte{0xbd, 2, 0, 0, 26, 0, 0, 0}}, // no severity there is
		{"SQLSERVERAGENT", 824, []byte{0x38, 3, 0, 0, 24, 0, 0, 0}},
	} {
		written = append(written, cluster.Event{Source: e.source, ID: e.id, Data: e.data, Record: uint32(n), At: f.os.LocalTime.Add(time.Minute)})
	}
	probetest.Golden(t, "events_counted", look())
}

func TestServicesAsksForEngineAndAgentOfEachInstance(t *testing.T) {
	t.Parallel()
	var asked []string
	if _, err := collect(t, fake{asked: &asked}, "services"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"MSSQLSERVER", "SQLSERVERAGENT", "MSSQL$SALES", "SQLAgent$SALES"}, asked); diff != "" {
		t.Errorf("services asked for (-want +got):\n%s", diff)
	}
}
