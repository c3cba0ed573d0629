package cluster

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	p := hyperVPeer(t)
	port := func(instance, name string, monitored any) wsmanserver.Instance {
		return row("Msvm_SyntheticEthernetPortSettingData", "InstanceID", "InstanceID", instance, "ElementName", name, "ClusterMonitored", monitored)
	}
	p.set(nsHyperV, "Msvm_SyntheticEthernetPortSettingData",
		port("Microsoft:"+vmID1+`\A1`, "Network Adapter", true),
		port("Microsoft:"+vmID1+`\A2`, "Network Adapter", false),
		port("Microsoft:"+vmID2+`\B1`, "Backup", nil),
		port(`Microsoft:Definition\6A45335D-4C3A-44B7-B61F-C9808BBDF8ED\Default`, "Dynamic Ethernet Port Default Settings", true),
		port(`Microsoft:9F9619FF-8B86-D011-B42D-00C04FC964FF\A1`, "of a checkpoint", true))
	got, err := p.host(t).Settings(t.Context())
	want := []VMSettings{
		{ID: vmID1, Name: "SQL01", Checkpoints: 1, Adapters: []Adapter{{"A1", "Network Adapter", is(true)}, {"A2", "Network Adapter", is(false)}}},
		{ID: vmID2, Name: "SQL02", Adapters: []Adapter{{"B1", "Backup", nil}}},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("Settings, %v (-want +got):\n%s", err, d)
	}
}

func TestReplications(t *testing.T) {
	t.Parallel()
	p := hyperVPeer(t)
	at := time.Date(2026, 7, 29, 14, 11, 0, 0, time.UTC)
	relation := func(instance string, state, health uint16, last time.Time) wsmanserver.Instance {
		return row("Msvm_ReplicationRelationship", "InstanceID", "InstanceID", instance, "ReplicationState", state, "ReplicationHealth", health, "LastReplicationTime", last)
	}
	p.set(nsHyperV, "Msvm_ReplicationRelationship",
		relation("Microsoft:"+vmID1+`\HVR\0`, 3, 1, at), relation("Microsoft:"+vmID1+`\HVR\1`, 8, 3, time.Time{}), relation(`Microsoft:gone\HVR\0`, 0, 0, at))
	h := p.host(t)
	got, err := h.Replications(t.Context())
	want := []Replication{
		{VMID: vmID1, VMName: "SQL01", Relationship: "0", State: 3, Health: 1, LastSuccess: at},
		{VMID: vmID1, VMName: "SQL01", Relationship: "1", State: 8, Health: 3},
		{VMID: "gone", Relationship: "0", LastSuccess: at},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("Replications, %v (-want +got):\n%s", err, d)
	}
	p.set(nsHyperV, "Msvm_ReplicationRelationship", row("Msvm_ReplicationRelationship", "InstanceID", "InstanceID", "Microsoft:"+vmID1+`\HVR\0`,
		"ReplicationState", uint16(3), "ReplicationHealth", nil, "LastReplicationTime", at))
	if got, err := h.Replications(t.Context()); Reason(err) != dial.Protocol {
		t.Errorf("Replications with NULL health = %+v, %v; want an error", got, err)
	}
}

func TestNamespace(t *testing.T) {
	t.Parallel()
	p := hyperVPeer(t)
	p.set(nsWindows, "Win32_ComputerSystem", row("Win32_ComputerSystem", "Name", "Name", "HV1"))
	p.set(nsHyperV, "Msvm_VirtualSystemManagementService", row("Msvm_VirtualSystemManagementService", "Name", "Name", "vmms"))
	h := p.host(t)
	got := map[string]dial.Reason{}
	for _, n := range Namespaces() {
		got[n] = Reason(h.Namespace(t.Context(), n))
	}
	want := map[string]dial.Reason{nsWindows: dial.Answered, nsHyperV: dial.Answered, nsCluster: dial.Namespace}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("namespaces (-want +got):\n%s", d)
	}
	if err := h.Namespace(t.Context(), "root/other"); err == nil {
		t.Error("Namespace(root/other) = nil, want an error: there is no question for it")
	}
}

func TestCounters(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	h := p.host(t)
	if _, err := h.MemoryBalance(t.Context()); !Unsupported(err) {
		t.Errorf("MemoryBalance of a host without the class: %v, want one that is unsupported", err)
	}
	set := func(class string, rows ...wsmanserver.Instance) { p.set(nsWindows, perfRaw+class, rows...) }
	set(ClassDynamicMemory)
	if _, err := h.MemoryBalance(t.Context()); !errors.Is(err, ErrNotFound) || Unsupported(err) {
		t.Errorf("MemoryBalance of a host without dynamic memory: %v, want ErrNotFound", err)
	}
	set(ClassDynamicMemory, row(perfRaw+ClassDynamicMemory, "Name", "Name", "System Balancer", "AvailableMemory", uint32(3), "AveragePressure", uint32(80)))
	if got, err := h.MemoryBalance(t.Context()); err != nil || got != (MemoryBalance{3 << 20, 80}) {
		t.Errorf("MemoryBalance = %+v, %v", got, err)
	}
	processor := func(name string, n uint64) wsmanserver.Instance {
		return row(perfRaw+ClassProcessors, "Name", "Name", name, "PercentGuestRunTime", n, "PercentGuestRunTime_Base", n+1, "PercentHypervisorRunTime", n+2,
			"PercentHypervisorRunTime_Base", n+3, "PercentIdleTime", n+4, "PercentIdleTime_Base", n+5, "PercentTotalRunTime", n+6, "PercentTotalRunTime_Base", n+7)
	}
	set(ClassProcessors, processor("Hv LP 0", 100), processor("_Total", 200))
	if got, err := h.ProcessorTime(t.Context()); err != nil || got != (ProcessorTime{200, 201, 202, 203, 204, 205, 206, 207}) {
		t.Errorf("ProcessorTime = %+v, %v", got, err)
	}
	set(ClassHypervisor, row(perfRaw+ClassHypervisor, "Name", "Name", "", "LogicalProcessors", uint64(64)))
	if got, err := h.LogicalProcessors(t.Context()); err != nil || got != 64 {
		t.Errorf("LogicalProcessors = %d, %v", got, err)
	}
	set(ClassStorage, row(perfRaw+ClassStorage, "Name", "Name", "C:-disk.vhdx", "ErrorCount", uint32(2), "QueueLength", uint64(5)))
	if got, err := h.StorageDevices(t.Context()); err != nil || len(got) != 1 || got[0] != (StorageDevice{"C:-disk.vhdx", 2, 5}) {
		t.Errorf("StorageDevices = %+v, %v", got, err)
	}
	set(ClassAdapters, row(perfRaw+ClassAdapters, "Name", "Name", "a", "DroppedPacketsIncomingPersec", uint64(7), "DroppedPacketsOutgoingPersec", uint64(8)))
	if got, err := h.NetworkAdapters(t.Context()); err != nil || len(got) != 1 || got[0] != (NetworkAdapter{"a", 7, 8}) {
		t.Errorf("NetworkAdapters = %+v, %v", got, err)
	}
	cpu := func(name string, idle uint64) wsmanserver.Instance {
		return row(perfRaw+ClassGuestProcessor, "Name", "Name", name, "PercentIdleTime", idle)
	}
	set(ClassGuestProcessor, cpu("0", 10), cpu("1", 20), cpu("_Total", 15))
	set(ClassGuestSystem, row(perfRaw+ClassGuestSystem, "Name", "Name", "", "ProcessorQueueLength", uint32(9)))
	if got, err := p.guest(t).Load(t.Context()); err != nil || got != (GuestLoad{2, 30, 9}) {
		t.Errorf("Load = %+v, %v", got, err)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	at := time.Date(2026, 4, 15, 16, 28, 43, 0, time.UTC)
	event := func(record uint32, log, source string, id uint16, at time.Time, data any) wsmanserver.Instance {
		return row("Win32_NTLogEvent", "RecordNumber", "RecordNumber", record, "Logfile", log, "EventCode", id, "SourceName", source,
			"TimeGenerated", at, "InsertionStrings", []string{"x"}, "Data", data)
	}
	p.set(nsWindows, "Win32_NTLogEvent",
		event(1, "System", EventSourceCluster, 1135, at, nil),
		event(2, "System", EventSourceCluster, 1135, at.Add(-time.Second), nil), // before
		event(3, "System", "somebody", 1135, at, nil),
		event(4, "System", EventSourceCluster, 1000, at, nil), // beyond the range
		event(5, "Application", "MSSQLSERVER", 824, at.Add(time.Second), []uint8{0x38, 3, 0, 0, 24, 0, 0, 255}))
	h := p.host(t)
	got, err := h.Events(t.Context(), EventQuery{Log: "System", Source: EventSourceCluster, First: 1069, Last: 1254, Since: at.Add(900 * time.Millisecond)})
	want := []Event{{Log: "System", ID: 1135, Source: EventSourceCluster, At: at, Strings: []string{"x"}, Record: 1}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("Events of the cluster, %v (-want +got):\n%s", err, d)
	}
	got, err = h.Events(t.Context(), EventQuery{Log: "Application", Source: "MSSQLSERVER", Since: at})
	want = []Event{{Log: "Application", ID: 824, Source: "MSSQLSERVER", At: at.Add(time.Second), Strings: []string{"x"}, Record: 5, Data: []byte{0x38, 3, 0, 0, 24, 0, 0, 255}}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("Events of SQL Server, %v (-want +got):\n%s", err, d)
	}
	p.set(nsWindows, "Win32_NTLogEvent",
		event(5, "Application", "MSSQLSERVER", 824, at, nil), event(6, "Application", "MSSQLSERVER", 824, at, nil), event(7, "Application", "MSSQLSERVER", 824, at, nil))
	if got, err := h.Events(t.Context(), EventQuery{Log: "Application", Source: "MSSQLSERVER", Since: at, Most: 3}); err != nil || len(got) != 3 {
		t.Errorf("Events as many as the limit = %+v, %v", got, err)
	}
	if got, err := h.Events(t.Context(), EventQuery{Log: "Application", Source: "MSSQLSERVER", Since: at, Most: 2}); err == nil || got != nil || !strings.Contains(err.Error(), "more than 2 events since 2026-04-15T16:28:43Z") {
		t.Errorf("Events beyond the limit = %+v, %v; want an error that names it", got, err)
	}
	p.set(nsWindows, "Win32_NTLogEvent", event(5, "Application", "MSSQLSERVER", 824, at, []uint16{256}))
	if got, err := h.Events(t.Context(), EventQuery{Log: "Application", Source: "MSSQLSERVER", Since: at}); Reason(err) != dial.Protocol {
		t.Errorf("Events with a byte of 256 = %+v, %v; want an error", got, err)
	}
}
