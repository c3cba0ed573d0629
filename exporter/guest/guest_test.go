package guest

import (
	"context"
	"errors"
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
)

// fake is a guest with fixed answers, which notes what it was asked for.
type fake struct {
	os       cluster.OperatingSystem
	services []cluster.Service
	err      error
	asked    *[]string
}

var _ Source = fake{}

func (f fake) OperatingSystem(context.Context) (cluster.OperatingSystem, error) { return f.os, f.err }

func (f fake) Services(_ context.Context, names []string) ([]cluster.Service, error) {
	if f.asked != nil {
		*f.asked = names
	}
	return f.services, f.err
}

func collect(t *testing.T, f fake, name string) ([]prometheus.Metric, error) {
	t.Helper()
	vm := &config.VirtualMachine{Name: "SQL01", SQLServers: []*config.SQLServer{{Instance: "MSSQLSERVER"}, {Instance: "SALES"}}}
	for _, c := range Collectors(Options{Source: f, Cluster: "hv-cl1", VM: vm}) {
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
			ComputerName: "SQL01", Version: "10.0.20348", Build: "20348", LastBoot: time.Unix(1_700_000_000, 0), MemoryTotal: 16 << 30, MemoryFree: 4 << 30,
		},
		services: []cluster.Service{
			{Name: "MSSQLSERVER", State: cluster.ServiceRunning, StartMode: "Auto", ProcessID: 4711},
			{Name: "sqlserveragent", State: cluster.ServiceStopped, StartMode: "Manual", ExitCode: 1077},
			{Name: "MSSQL$SALES", State: cluster.ServiceStartPending, StartMode: "Delayed", ProcessID: 12, ExitCode: 1066, SpecificCode: 17113},
		},
	}
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
