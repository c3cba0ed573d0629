package hyperv

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/probe/probetest"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/wsman"
)

// fake is a host with fixed answers.
type fake struct {
	os           cluster.OperatingSystem
	vms          []cluster.VirtualMachine
	err          error
	namespaces   map[string]error // nil answers
	services     []cluster.Service
	settings     []cluster.VMSettings
	replications []cluster.Replication
	uplinks      []cluster.Uplink
	memory       cluster.MemoryBalance
	processors   cluster.ProcessorTime
	devices      []cluster.StorageDevice
	adapters     []cluster.NetworkAdapter
	heartbeats   []cluster.Heartbeats
	pauses       []cluster.VolumePauses
	failures     cluster.ResourceFailures
	reconnects   uint64
	events       func(cluster.EventQuery) []cluster.Event
}

var _ Source = fake{}

func (f fake) OperatingSystem(context.Context) (cluster.OperatingSystem, error) { return f.os, f.err }

func (f fake) VirtualMachines(context.Context) ([]cluster.VirtualMachine, error) { return f.vms, f.err }

func (f fake) Namespace(_ context.Context, name string) error { return f.namespaces[name] }

func (f fake) Services(context.Context, []string) ([]cluster.Service, error) {
	return f.services, f.err
}

func (f fake) Settings(context.Context) ([]cluster.VMSettings, error) { return f.settings, f.err }

func (f fake) Replications(context.Context) ([]cluster.Replication, error) {
	return f.replications, f.err
}

func (f fake) Uplinks(context.Context) ([]cluster.Uplink, error) { return f.uplinks, f.err }

func (f fake) MemoryBalance(context.Context) (cluster.MemoryBalance, error) { return f.memory, f.err }

func (f fake) LogicalProcessors(context.Context) (uint64, error) { return 64, f.err }

func (f fake) ProcessorTime(context.Context) (cluster.ProcessorTime, error) {
	return f.processors, f.err
}

func (f fake) StorageDevices(context.Context) ([]cluster.StorageDevice, error) {
	return f.devices, f.err
}

func (f fake) NetworkAdapters(context.Context) ([]cluster.NetworkAdapter, error) {
	return f.adapters, f.err
}

func (f fake) Heartbeats(context.Context) ([]cluster.Heartbeats, error) { return f.heartbeats, f.err }

func (f fake) VolumePauses(context.Context) ([]cluster.VolumePauses, error) { return f.pauses, f.err }

func (f fake) ResourceFailures(context.Context) (cluster.ResourceFailures, error) {
	return f.failures, f.err
}

func (f fake) Reconnects(context.Context) (uint64, error) { return f.reconnects, f.err }

func (f fake) Events(_ context.Context, q cluster.EventQuery) ([]cluster.Event, error) {
	if f.events == nil {
		return nil, f.err
	}
	return f.events(q), f.err
}

func value[T any](v T) *T { return &v }

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
			ComputerName: "HV1", Version: "10.0.20348", Build: "20348", LastBoot: time.Unix(1_700_000_000, 0), LocalTime: time.Unix(1_700_000_500, 0),
			MemoryTotal: 256 << 30, MemoryFree: 64 << 30,
		},
		vms: []cluster.VirtualMachine{
			{
				ID: "11111111-aaaa-0000-0000-000000000001", Name: "SQL01-Production", Host: "HV1", State: cluster.VMRunning, HealthState: 5,
				OperationalStatus: []uint16{2, 32774, 7}, Heartbeat: cluster.HeartbeatOK, ApplicationHealth: 2, ProcessorLoad: 25, MemoryUsage: 8 << 30,
				MemoryAvailable: value[int32](-10), SmartPaging: true,
				Uptime: 90 * time.Minute, LastStateChange: time.Unix(1_700_000_100, 500_000_000),
			},
			{
				ID: "22222222-aaaa-0000-0000-000000000002", Name: "SQL02", Host: "HV1", State: 32785, HealthState: 25,
				OperationalStatus: []uint16{3, merging}, Heartbeat: 99,
			},
			{ID: "33333333-aaaa-0000-0000-000000000003", Name: "somebody else's", Host: "HV1", State: cluster.VMOff, HealthState: 5, OperationalStatus: []uint16{2}},
		},
		services: []cluster.Service{{Name: "vmms", State: cluster.ServiceRunning}, {Name: "ClusSvc", State: cluster.ServiceStopPending}, {Name: "WinRM", State: cluster.ServiceRunning}},
		settings: []cluster.VMSettings{
			{ID: "11111111-aaaa-0000-0000-000000000001", Name: "sql01-production", Checkpoints: 2, Adapters: []cluster.Adapter{
				{ID: "A1", Name: "Network Adapter", Monitored: value(true)}, {ID: "A2", Name: "Network Adapter", Monitored: value(false)}, {ID: "A3", Name: "old"},
			}},
			{ID: "33333333-aaaa-0000-0000-000000000003", Name: "somebody else's", Checkpoints: 7},
		},
		replications: []cluster.Replication{
			{VMID: "11111111-aaaa-0000-0000-000000000001", VMName: "SQL01-Production", Relationship: "0", State: 3, Health: 1, LastSuccess: time.Unix(1_700_000_400, 0)},
			{VMID: "11111111-aaaa-0000-0000-000000000001", VMName: "SQL01-Production", Relationship: "1", State: 99, Health: 9},
			{VMID: "33333333-aaaa-0000-0000-000000000003", VMName: "somebody else's", Relationship: "0", State: 8, Health: 3},
		},
		uplinks: []cluster.Uplink{
			{Name: "Ethernet 1", Media: cluster.MediaConnected, Bound: value(false)},
			{Name: "Ethernet 2", Media: cluster.MediaDisconnected, Bound: value(true)},
			{Name: "Ethernet 3"},
			{Name: "Ethernet 4", Media: 9},
		},
		memory:     cluster.MemoryBalance{Available: 32 << 30, Pressure: 85},
		processors: cluster.ProcessorTime{Guest: 10, GuestBase: 100, Hypervisor: 2, HypervisorBase: 100, Idle: 88, IdleBase: 100, Total: 12, TotalBase: 100},
		devices:    []cluster.StorageDevice{{Name: "C:-ClusterStorage-Volume1-SQL01.vhdx", Errors: 3, Queue: 4}},
		heartbeats: []cluster.Heartbeats{{Route: "10.0.0.11 10.0.0.12", Missing: 3, Limit: 10}},
		pauses:     []cluster.VolumePauses{{Volume: "Volume1", Disk: 1, Network: 2, Other: 3}},
		failures:   cluster.ResourceFailures{All: 5, Deadlocks: 1},
		reconnects: 4,
		adapters:   []cluster.NetworkAdapter{{Name: "SQL01_Network Adapter_1--2", DroppedIncoming: 5, DroppedOutgoing: 6}},
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
	twins := healthy()
	twins.vms[2].Name = "SQL02"
	hung := healthy()
	hung.namespaces = map[string]error{"root/MSCluster": &probe.Error{Why: dial.ProviderHung, Err: errors.New("hung")}}
	denied := healthy()
	denied.namespaces = map[string]error{"root/MSCluster": &probe.Error{Why: dial.Permission, Err: errors.New("denied")}}
	unsupported, broken, static := healthy(), healthy(), healthy()
	unsupported.err = &wsman.Fault{Code: 0x80041010}
	broken.err, broken.namespaces = unsupported.err, map[string]error{cluster.NamespaceWindows: unsupported.err}
	static.err = cluster.ErrNotFound
	for _, tc := range []struct {
		name, collector string
		source          fake
		fails           bool
	}{
		{"namespaces", "namespaces", healthy(), false},
		{"namespaces_hung", "namespaces", hung, false},
		{"namespaces_denied", "namespaces", denied, true},
		{"host", "host", healthy(), false},
		{"host_refused", "host", refused, true},
		{"host_silent", "host", silent, true},
		{"services", "services", healthy(), false},
		{"services_silent", "services", silent, true},
		{"vms", "vms", healthy(), false},
		{"vms_refused", "vms", refused, true},
		{"vms_twins", "vms", twins, false},
		{"settings", "settings", healthy(), false},
		{"settings_silent", "settings", silent, true},
		{"replication", "replication", healthy(), false},
		{"replication_silent", "replication", silent, true},
		{"uplinks", "uplinks", healthy(), false},
		{"uplinks_silent", "uplinks", silent, true},
		{"memory", "memory", healthy(), false},
		{"memory_static", "memory", static, false},
		{"memory_unsupported", "memory", unsupported, false},
		{"memory_broken", "memory", broken, true},
		{"processors", "processors", healthy(), false},
		{"storage", "storage", healthy(), false},
		{"adapters", "adapters", healthy(), false},
		{"adapters_silent", "adapters", silent, true},
		{"heartbeats", "heartbeats", healthy(), false},
		{"csv", "csv", healthy(), false},
		{"resource_failures", "resource_failures", healthy(), false},
		{"reconnects", "reconnects", healthy(), false},
		{"reconnects_unsupported", "reconnects", unsupported, false},
		{"events", "events", healthy(), false},
		{"events_silent", "events", silent, true},
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

// TestNamespacesHaveHalfOfTheTime: one that hangs is an answer, and leaves the collector its own time to give it.
func TestNamespacesHaveHalfOfTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		start := time.Now()
		r := namespacesCollector(Options{Source: hanging{healthy()}, Cluster: inventory, Node: "HV1"}, probe.NewDescs(nil, Labels("hv-cl1", "HV1"))).Collect(ctx, log.NewNopLogger())
		if took := time.Since(start); r.Err != nil || took != 2*time.Second {
			t.Errorf("Collect() = %v after %s, want no error after half of the time", r.Err, took)
		}
		if n := len(r.Metrics); n != 2*len(cluster.Namespaces()) {
			t.Errorf("%d series, want both of each namespace", n)
		}
	})
}

// hanging is a host whose cluster's provider never answers.
type hanging struct{ fake }

func (h hanging) Namespace(ctx context.Context, name string) error {
	if name != "root/MSCluster" {
		return nil
	}
	<-ctx.Done()
	return &probe.Error{Why: dial.QueryTimeout, Err: ctx.Err()}
}

func TestEventsCountWhatIsOursFromTheFirstLookOn(t *testing.T) {
	t.Parallel()
	f := healthy()
	var log []cluster.Event
	f.events = func(q cluster.EventQuery) []cluster.Event {
		if q.Log != "System" || q.Source != "Microsoft-Windows-FailoverClustering" || q.First > 1069 || q.Last < 1673 {
			t.Errorf("asked for %+v", q)
		}
		return log
	}
	i := slices.IndexFunc(Collectors(Options{Source: f, Cluster: inventory, Node: "HV1"}), func(c probe.Collector) bool { return c.Name == "events" })
	events := Collectors(Options{Source: f, Cluster: inventory, Node: "HV1"})[i]
	look := func() []prometheus.Metric {
		r := events.Collect(t.Context(), nopLogger)
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		return r.Metrics
	}
	look()
	for n, id := range []uint32{1135, 1135, 1254, 1100} {
		log = append(log, cluster.Event{ID: id, Record: uint32(n), At: f.os.LocalTime.Add(time.Minute)})
	}
	probetest.Golden(t, "events_counted", look())
}

var nopLogger = log.NewNopLogger()

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
