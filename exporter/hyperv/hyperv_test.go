package hyperv

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/probe/probetest"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
)

// fake is a host with fixed answers.
type fake struct {
	os  cluster.OperatingSystem
	vms []cluster.VirtualMachine
	err error
}

var _ Source = fake{}

func (f fake) OperatingSystem(context.Context) (cluster.OperatingSystem, error) { return f.os, f.err }

func (f fake) VirtualMachines(context.Context) ([]cluster.VirtualMachine, error) { return f.vms, f.err }

var inventory = &config.Cluster{
	Name:  "hv-cl1",
	Nodes: []*config.Node{{Name: "HV1"}},
	VirtualMachines: []*config.VirtualMachine{
		{Name: "SQL01", VMName: "sql01-production"},
		{Name: "SQL02"},
	},
}

func healthy() fake {
	return fake{
		os: cluster.OperatingSystem{
			ComputerName: "HV1", Version: "10.0.20348", Build: "20348", LastBoot: time.Unix(1_700_000_000, 0),
			MemoryTotal: 256 << 30, MemoryFree: 64 << 30,
		},
		vms: []cluster.VirtualMachine{
			{
				ID: "11111111-aaaa-0000-0000-000000000001", Name: "SQL01-Production", Host: "HV1", State: cluster.VMRunning, HealthState: 5,
				OperationalStatus: []uint16{2, 32774, 7}, Heartbeat: cluster.HeartbeatOK, ApplicationHealth: 2, ProcessorLoad: 25, MemoryUsage: 8 << 30,
				Uptime: 90 * time.Minute, LastStateChange: time.Unix(1_700_000_100, 500_000_000),
			},
			{
				ID: "22222222-aaaa-0000-0000-000000000002", Name: "SQL02", Host: "HV1", State: 32785, HealthState: 25,
				OperationalStatus: []uint16{3}, Heartbeat: 99,
			},
			{ID: "33333333-aaaa-0000-0000-000000000003", Name: "somebody else's", Host: "HV1", State: cluster.VMOff, HealthState: 5, OperationalStatus: []uint16{2}},
		},
	}
}

// collect runs the named collector, and leaves durations, which differ from run to run, out of what it returns.
func collect(t *testing.T, f fake, name string) ([]prometheus.Metric, error) {
	t.Helper()
	for _, c := range Collectors(Options{Source: f, Cluster: inventory, Node: "HV1"}) {
		if c.Name == name {
			r := c.Collect(t.Context(), log.NewNopLogger())
			return slices.DeleteFunc(r.Metrics, func(m prometheus.Metric) bool {
				return strings.Contains(m.Desc().String(), "hyperv_wmi_namespace_duration_seconds")
			}), r.Err
		}
	}
	t.Fatalf("there is no collector %s", name)
	return nil, nil
}

func TestGolden(t *testing.T) {
	t.Parallel()
	refused := fake{err: &probe.Error{Why: dial.Refused, Err: errors.New("refused")}}
	silent := fake{err: &probe.Error{Why: dial.TCPTimeout, Err: errors.New("silent")}}
	// One whose guest has no heartbeat service, one of which the host told no summary.
	blind := healthy()
	blind.vms[0].Heartbeat = cluster.HeartbeatAbsent
	blind.vms[1] = cluster.VirtualMachine{ID: blind.vms[1].ID, Name: blind.vms[1].Name, Host: "HV1", State: cluster.VMRunning, HealthState: 5}
	twins := healthy()
	twins.vms[2].Name = "SQL02"
	for _, tc := range []struct {
		name, collector string
		source          fake
		fails           bool
	}{
		{"host", "host", healthy(), false},
		{"host_refused", "host", refused, true},
		{"host_silent", "host", silent, true},
		{"vms", "vms", healthy(), false},
		{"vms_refused", "vms", refused, true},
		{"vms_twins", "vms", twins, false},
		{"vms_blind", "vms", blind, false},
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

func TestEveryVMStateHasALabel(t *testing.T) {
	t.Parallel()
	for code := range 1 << 16 {
		if got := vmState(cluster.VMState(code)); !slices.Contains(vmStates, got) {
			t.Fatalf("vmState(%d) = %q, which is not in the set", code, got)
		}
	}
	for code, want := range map[cluster.VMState]string{1: probe.Other, 5: probe.Other, 32768: "critical", 32773: "saving", 32781: "critical", 32796: "critical", 65535: "critical"} {
		if got := vmState(code); got != want {
			t.Errorf("vmState(%d) = %q, want %q", code, got, want)
		}
	}
}
