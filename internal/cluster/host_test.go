package cluster

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

const (
	vmID1 = "6F9619FF-8B86-D011-B42D-00C04FC964FF"
	vmID2 = "7F9619FF-8B86-D011-B42D-00C04FC964FF"
)

// clusterPeer is a node of a cluster with two groups.
func clusterPeer(t *testing.T) *peer {
	t.Helper()
	p := newPeer(t)
	p.set(nsCluster, "MSCluster_Cluster", row("MSCluster_Cluster", "Name", "Name", "hv-cl1", "Fqdn", "hv-cl1.corp.example",
		"ClusterFunctionalLevel", uint32(11), "SameSubnetDelay", uint32(1000), "SameSubnetThreshold", uint32(10), "CrossSubnetDelay", uint32(2000),
		"CrossSubnetThreshold", uint32(20), "ResiliencyDefaultPeriod", uint32(240), "ResiliencyLevel", uint32(2), "AutoBalancerMode", uint32(2), "AutoBalancerLevel", uint32(1), "QuorumTypeValue", int32(-1), "WitnessDynamicWeight", uint32(1)))
	node := func(name string, state any, status uint32) wsmanserver.Instance {
		return row("MSCluster_Node", "Name", "Name", name, "State", state, "StatusInformation", status, "NodeDrainStatus", uint32(0),
			"NodeWeight", uint32(1), "DynamicWeight", uint32(1))
	}
	// -1 comes as a signed and as an unsigned number, NULL means as much.
	p.set(nsCluster, "MSCluster_Node", node("HV1", uint32(0), 0), node("HV2", uint32(4294967295), 1), node("HV3", int32(-1), 0), node("HV4", nil, 0))
	group := func(name, owner string, typ uint32) wsmanserver.Instance {
		return row("MSCluster_ResourceGroup", "Name", "Name", name, "Id", "{g-"+name+"}", "GroupType", typ, "State", int32(0), "OwnerNode", owner,
			"StatusInformation", uint64(0x600), "Priority", uint32(2000), "PersistentState", true, "DefaultOwner", uint32(4294967295),
			"FailoverThreshold", uint32(4294967295), "FailoverPeriod", uint32(6), "ResiliencyPeriod", uint32(0), "IsCore", false)
	}
	p.set(nsCluster, "MSCluster_ResourceGroup", group("SQL01", "HV1", 111), group("it's a \\ group", "HV2", 111))
	resource := func(name, typ, group string, private any) wsmanserver.Instance {
		return row("MSCluster_Resource", "Name", "Name", name, "Type", typ, "OwnerGroup", group, "OwnerNode", "HV1", "State", uint32(2),
			"StatusInformation", uint64(0x80), "LastOperationStatusCode", uint64(0), "PersistentState", typ == "Virtual Machine", "PrivateProperties", private)
	}
	p.set(nsCluster, "MSCluster_Resource",
		resource("Virtual Machine SQL01", "Virtual Machine", "SQL01", row("MSCluster_Property", "", "VmID", vmID1, "CheckHeartbeat", uint32(1), "OfflineAction", uint32(1))),
		resource("Virtual Machine Configuration SQL01", "Virtual Machine Configuration", "SQL01", row("MSCluster_Property", "", "VmID", vmID1)),
		resource("Virtual Machine new", "Virtual Machine", "new", nil),
	)
	return p
}

func is[T any](v T) *T { return &v }

// TestASettingThatIsNoNumberCostsOnlyItself: the view is what decisions rest on, and a setting is not.
func TestASettingThatIsNoNumberCostsOnlyItself(t *testing.T) {
	t.Parallel()
	p := clusterPeer(t)
	p.set(nsCluster, "MSCluster_Resource", row("MSCluster_Resource", "Name", "Name", "Virtual Machine SQL01", "Type", "Virtual Machine", "OwnerGroup", "SQL01",
		"OwnerNode", "HV1", "State", uint32(2), "StatusInformation", uint64(0), "LastOperationStatusCode", uint64(0), "PersistentState", nil,
		"PrivateProperties", row("MSCluster_Property", "", "VmID", vmID1, "CheckHeartbeat", "yes", "OfflineAction", uint32(2))))
	v, err := p.host(t).View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Resource{{Name: "Virtual Machine SQL01", Type: "Virtual Machine", Group: "SQL01", Owner: "HV1", State: ResourceOnline, VMID: vmID1, OfflineAction: is[uint32](2)}}
	if d := cmp.Diff(want, v.Resources); d != "" {
		t.Errorf("resources (-want +got):\n%s", d)
	}
}

func TestWitness(t *testing.T) {
	t.Parallel()
	p := clusterPeer(t)
	h := p.host(t)
	quorum := func(part any) {
		p.set(nsCluster, "MSCluster_ClusterToQuorumResource", row("MSCluster_ClusterToQuorumResource", "PartComponent",
			"GroupComponent", wsmanserver.Reference{Class: "MSCluster_Cluster", Keys: wsmanserver.Selectors{{Name: "Name", Value: "hv-cl1"}}}, "PartComponent", part))
	}
	to := func(name string) wsmanserver.Reference {
		return wsmanserver.Reference{Class: "MSCluster_Resource", Keys: wsmanserver.Selectors{{Name: "Name", Value: name}}}
	}
	quorum(to("Virtual Machine new"))
	if r, err := h.Witness(t.Context()); err != nil || r.Name != "Virtual Machine new" || r.State != ResourceOnline {
		t.Errorf("Witness = %+v, %v; want the resource that the association names", r, err)
	}
	quorum(to("gone"))
	if r, err := h.Witness(t.Context()); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("Witness = %+v, %v; a witness without its resource is an error, and not a cluster without a witness", r, err)
	}
	p.set(nsCluster, "MSCluster_ClusterToQuorumResource")
	if _, err := h.Witness(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Errorf("Witness of a cluster without one: %v, want ErrNotFound", err)
	}
}

func TestView(t *testing.T) {
	t.Parallel()
	v, err := clusterPeer(t).host(t).View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := View{
		By: "HV1",
		Info: Info{
			Name: "hv-cl1", FQDN: "hv-cl1.corp.example", FunctionalLevel: 11, SameSubnetDelay: time.Second, SameSubnetThreshold: 10,
			CrossSubnetDelay: 2 * time.Second, CrossSubnetThreshold: 20, ResiliencyDefaultPeriod: 4 * time.Minute, ResiliencyLevel: 2,
			AutoBalancerMode: 2, AutoBalancerLevel: 1, QuorumType: -1, WitnessDynamicWeight: 1,
		},
		Nodes: []Node{
			{Name: "HV1", State: NodeUp, Weight: 1, DynamicWeight: 1},
			{Name: "HV2", State: NodeUnknown, Status: NodeIsolated, Weight: 1, DynamicWeight: 1},
			{Name: "HV3", State: NodeUnknown, Weight: 1, DynamicWeight: 1},
			{Name: "HV4", State: NodeUnknown, Weight: 1, DynamicWeight: 1},
		},
		Groups: []Group{
			{
				Name: "SQL01", ID: "g-SQL01", Type: GroupTypeVM, State: GroupOnline, Owner: "HV1", Status: GroupOSHeartbeat | GroupApplicationReady,
				Priority: 2000, PersistentState: true, DefaultOwner: 1<<32 - 1, FailoverThreshold: 1<<32 - 1, FailoverPeriod: 6 * time.Hour,
			},
			{
				Name: "it's a \\ group", ID: "g-it's a \\ group", Type: GroupTypeVM, State: GroupOnline, Owner: "HV2", Status: GroupOSHeartbeat | GroupApplicationReady,
				Priority: 2000, PersistentState: true, DefaultOwner: 1<<32 - 1, FailoverThreshold: 1<<32 - 1, FailoverPeriod: 6 * time.Hour,
			},
		},
		Resources: []Resource{
			{Name: "Virtual Machine SQL01", Type: "Virtual Machine", Group: "SQL01", Owner: "HV1", State: ResourceOnline, Status: ResourceOSHeartbeat, VMID: vmID1, PersistentState: is(true), CheckHeartbeat: is[uint32](1), OfflineAction: is[uint32](1)},
			{Name: "Virtual Machine Configuration SQL01", Type: "Virtual Machine Configuration", Group: "SQL01", Owner: "HV1", State: ResourceOnline, Status: ResourceOSHeartbeat, PersistentState: is(false)},
			{Name: "Virtual Machine new", Type: "Virtual Machine", Group: "new", Owner: "HV1", State: ResourceOnline, Status: ResourceOSHeartbeat, PersistentState: is(true)},
		},
	}
	if d := cmp.Diff(want, v); d != "" {
		t.Errorf("View (-want +got):\n%s", d)
	}
}

func TestGroupView(t *testing.T) {
	t.Parallel()
	h := clusterPeer(t).host(t)
	v, err := h.GroupView(t.Context(), `it's a \ group`)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Groups) != 1 || v.Groups[0].Owner != "HV2" || len(v.Nodes) != 4 || v.By != "HV1" || v.Info.SameSubnetThreshold == 0 {
		t.Errorf("GroupView = %+v", v)
	}
	if v, err := h.GroupView(t.Context(), "none"); err != nil || len(v.Groups) != 0 || len(v.Nodes) != 4 {
		t.Errorf("GroupView of no group = %+v, %v; want the nodes without a group", v, err)
	}
}

func TestGroupVM(t *testing.T) {
	t.Parallel()
	h := clusterPeer(t).host(t)
	r, err := h.GroupVM(t.Context(), "SQL01")
	if err != nil || r.VMID != vmID1 || r.Owner != "HV1" {
		t.Errorf("GroupVM(SQL01) = %+v, %v; want VM %s on HV1", r, err, vmID1)
	}
	if r, err := h.GroupVM(t.Context(), "new"); err != nil || r.VMID != "" {
		t.Errorf("GroupVM of a resource without properties = %+v, %v; want no id and no error", r, err)
	}
	if _, err := h.GroupVM(t.Context(), "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("GroupVM of no group = %v, want %v", err, ErrNotFound)
	}
}

// TestNoGoodSignFromNothing: a property whose zero value is a good sign must not be NULL.
func TestNoGoodSignFromNothing(t *testing.T) {
	t.Parallel()
	for _, property := range []string{"StatusInformation", "PersistentState", "FailoverThreshold"} {
		p := clusterPeer(t)
		rows := p.classes[strings.ToLower(nsCluster+"/MSCluster_ResourceGroup")]
		for i := range rows[0].Properties {
			if rows[0].Properties[i].Name == property {
				rows[0].Properties[i].Value = nil
			}
		}
		_, err := p.host(t).View(t.Context())
		if Reason(err) != dial.Protocol || !strings.Contains(fmt.Sprint(err), property) {
			t.Errorf("View with NULL %s = %v, want an error that names it", property, err)
		}
	}
}

func TestMissingClassIsNamespace(t *testing.T) {
	t.Parallel()
	_, err := newPeer(t).host(t).View(t.Context())
	if got := Reason(err); got != dial.Namespace {
		t.Errorf("Reason(%v) = %q, want %q", err, got, dial.Namespace)
	}
}

// hyperVPeer is a host with two virtual machines and a checkpoint.
func hyperVPeer(t *testing.T) *peer {
	t.Helper()
	p := newPeer(t)
	since := time.Date(2026, 7, 29, 14, 11, 0, 19976000, time.UTC)
	system := func(name, element string, state uint16, status []uint16, on, changed any) wsmanserver.Instance {
		return row("Msvm_ComputerSystem", "Name", "Name", name, "ElementName", element, "EnabledState", state, "HealthState", uint16(5),
			"OperationalStatus", status, "OnTimeInMilliseconds", on, "TimeOfLastStateChange", changed)
	}
	p.set(nsHyperV, "Msvm_ComputerSystem",
		system("HV1", "HV1", 2, []uint16{2}, nil, nil),
		system(vmID1, "SQL01", 2, []uint16{2, 32774}, uint64(61000), since),
		system(vmID2, "SQL02", 3, []uint16{2}, uint64(0), time.Time{}))
	summary := func(name, element string, heartbeat, load any, up, memory uint64) wsmanserver.Instance {
		var available any
		if up > 0 {
			available = int32(-5)
		}
		return row("Msvm_SummaryInformation", "Name", "Name", name, "ElementName", element, "Heartbeat", heartbeat, "ApplicationHealth", uint16(2),
			"ProcessorLoad", load, "MemoryUsage", memory, "MemoryAvailable", available, "SwapFilesInUse", up > 0, "UpTime", up, "NumberOfProcessors", uint16(up/15000), "ThumbnailImage", []uint8{1, 2, 3})
	}
	p.set(nsHyperV, "Msvm_SummaryInformation",
		summary(strings.ToLower(vmID1), "SQL01", uint16(2), uint16(7), 60000, 4096),
		summary(vmID2, "SQL02", nil, nil, 0, 0),
		summary("9F9619FF-8B86-D011-B42D-00C04FC964FF", "SQL01 - checkpoint", uint16(2), uint16(0), 0, 0))
	setting := func(vm, element, typ, bios string) wsmanserver.Instance {
		return row("Msvm_VirtualSystemSettingData", "InstanceID", "InstanceID", "Microsoft:"+vm+typ, "VirtualSystemIdentifier", vm, "ElementName", element,
			"VirtualSystemType", "Microsoft:Hyper-V:"+typ, "BIOSGUID", bios)
	}
	p.set(nsHyperV, "Msvm_VirtualSystemSettingData",
		setting(vmID1, "SQL01", "System:Realized", "{FF19966F-868B-11D0-B42D-00C04FC964FF}"),
		setting(vmID1, "SQL01", "Snapshot:Realized", "{00000000-868B-11D0-B42D-00C04FC964FF}"),
		setting(vmID2, "SQL02", "System:Realized", "{EE19966F-868B-11D0-B42D-00C04FC964FF}"))
	return p
}

func TestVirtualMachines(t *testing.T) {
	t.Parallel()
	h := hyperVPeer(t).host(t)
	got, err := h.VirtualMachines(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []VirtualMachine{
		{
			ID: vmID1, Name: "SQL01", Host: "HV1", State: VMRunning, HealthState: 5, OperationalStatus: []uint16{2, 32774}, Heartbeat: HeartbeatOK,
			ApplicationHealth: 2, ProcessorLoad: 7, Processors: 4, MemoryUsage: 4 << 30, MemoryAvailable: is[int32](-5), SmartPaging: true, Uptime: time.Minute,
			LastStateChange: time.Date(2026, 7, 29, 14, 11, 0, 19976000, time.UTC), BIOSGUID: "FF19966F-868B-11D0-B42D-00C04FC964FF",
		},
		{
			ID: vmID2, Name: "SQL02", Host: "HV1", State: VMOff, HealthState: 5, OperationalStatus: []uint16{2}, Heartbeat: HeartbeatAbsent,
			ApplicationHealth: 2, BIOSGUID: "EE19966F-868B-11D0-B42D-00C04FC964FF",
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("VirtualMachines (-want +got):\n%s", d)
	}
	for _, by := range []string{"SQL01", strings.ToLower(vmID1), "{" + vmID1 + "}"} {
		vm, err := h.VirtualMachine(t.Context(), by)
		if err != nil {
			t.Errorf("VirtualMachine(%s) = %v", by, err)
			continue
		}
		if d := cmp.Diff(want[0], vm); d != "" {
			t.Errorf("VirtualMachine(%s) (-want +got):\n%s", by, d)
		}
	}
	for _, by := range []string{"SQL03", "HV1", "00000000-8B86-D011-B42D-00C04FC964FF"} {
		if vm, err := h.VirtualMachine(t.Context(), by); !errors.Is(err, ErrNotFound) {
			t.Errorf("VirtualMachine(%s) = %+v, %v, want %v", by, vm, err, ErrNotFound)
		}
	}
}

func TestVirtualMachineOfAnAmbiguousName(t *testing.T) {
	t.Parallel()
	p := hyperVPeer(t)
	rows := p.classes[strings.ToLower(nsHyperV+"/Msvm_ComputerSystem")]
	rows[2].Properties[1].Value = "SQL01"
	if vm, err := p.host(t).VirtualMachine(t.Context(), "SQL01"); err == nil || !strings.Contains(err.Error(), vmID2) {
		t.Errorf("VirtualMachine = %+v, %v, want an error that names both", vm, err)
	}
}

func TestOwnersNetworksAndVolumes(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	ref := func(class, name string) wsmanserver.Reference {
		return wsmanserver.Reference{Class: class, Keys: wsmanserver.Selectors{{Name: "Name", Value: name}}}
	}
	owner := func(class, whole, name, node string) wsmanserver.Instance {
		return row(class, "", "GroupComponent", ref(whole, name), "PartComponent", ref("MSCluster_Node", node))
	}
	p.set(nsCluster, "MSCluster_ResourceToPossibleOwner",
		owner("MSCluster_ResourceToPossibleOwner", "MSCluster_Resource", "Virtual Machine SQL01", "HV1"),
		owner("MSCluster_ResourceToPossibleOwner", "MSCluster_Resource", "Virtual Machine SQL01", "HV2"))
	p.set(nsCluster, "MSCluster_ResourceGroupToPreferredNode",
		owner("MSCluster_ResourceGroupToPreferredNode", "MSCluster_ResourceGroup", "SQL01", "HV2"),
		owner("MSCluster_ResourceGroupToPreferredNode", "MSCluster_ResourceGroup", "SQL01", "HV1"))
	p.set(nsCluster, "MSCluster_Network", row("MSCluster_Network", "Name", "Name", "LAN", "Address", "10.0.0.0", "Role", uint32(3), "State", uint32(4294967295)))
	p.set(nsCluster, "MSCluster_NetworkInterface", row("MSCluster_NetworkInterface", "Name", "Name", "HV1 - LAN", "Node", "HV1", "Network", "LAN",
		"Adapter", "Ethernet", "Address", "10.0.0.11", "State", uint32(3)))
	p.set(nsCluster, "MSCluster_ClusterSharedVolume", row("MSCluster_ClusterSharedVolume", "Name", "Name", "Volume1", "VolumeName", `\\?\Volume{1}\`, "FaultState", uint32(1)))
	h := p.host(t)
	possible, err := h.PossibleOwners(t.Context())
	if d := cmp.Diff(map[string][]string{"Virtual Machine SQL01": {"HV1", "HV2"}}, possible); err != nil || d != "" {
		t.Errorf("PossibleOwners, %v (-want +got):\n%s", err, d)
	}
	possible, err = h.PossibleOwnersOf(t.Context(), []string{"virtual machine sql01", "Nothing"})
	if d := cmp.Diff(map[string][]string{"virtual machine sql01": {"HV1", "HV2"}}, possible); err != nil || d != "" {
		t.Errorf("PossibleOwnersOf, %v (-want +got):\n%s", err, d)
	}
	preferred, err := h.PreferredOwners(t.Context())
	if d := cmp.Diff(map[string][]string{"SQL01": {"HV2", "HV1"}}, preferred); err != nil || d != "" {
		t.Errorf("PreferredOwners, %v (-want +got):\n%s", err, d)
	}
	networks, err := h.Networks(t.Context())
	if d := cmp.Diff([]Network{{"LAN", "10.0.0.0", NetworkRoleBoth, NetworkUnknown}}, networks); err != nil || d != "" {
		t.Errorf("Networks, %v (-want +got):\n%s", err, d)
	}
	interfaces, err := h.NetworkInterfaces(t.Context())
	if d := cmp.Diff([]NetworkInterface{{"HV1 - LAN", "HV1", "LAN", "Ethernet", "10.0.0.11", InterfaceUp}}, interfaces); err != nil || d != "" {
		t.Errorf("NetworkInterfaces, %v (-want +got):\n%s", err, d)
	}
	volumes, err := h.SharedVolumes(t.Context())
	if d := cmp.Diff([]SharedVolume{{"Volume1", `\\?\Volume{1}\`, VolumeFaultRedirected}}, volumes); err != nil || d != "" {
		t.Errorf("SharedVolumes, %v (-want +got):\n%s", err, d)
	}
	p.set(nsCluster, "MSCluster_DiskPartition", row("MSCluster_DiskPartition", "Path", "Path", "P1", "VolumeLabel", "Data",
		"VolumeGuid", "{6F0D3A2E-0000-4000-8000-000000000001}", "TotalSize", uint32(2048), "FreeSpace", uint32(1)))
	partitions, err := h.Partitions(t.Context())
	if d := cmp.Diff([]Partition{{"P1", "Data", "6F0D3A2E-0000-4000-8000-000000000001", 2 << 30, 1 << 20}}, partitions); err != nil || d != "" {
		t.Errorf("Partitions, %v (-want +got):\n%s", err, d)
	}
	p.set(nsCluster, "MSCluster_DiskPartition", row("MSCluster_DiskPartition", "Path", "Path", "P1", "TotalSize", uint32(1)))
	if _, err := h.Partitions(t.Context()); err == nil {
		t.Error("a partition that does not say what is free was taken")
	}
}

func TestIdentifyAndOperatingSystem(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	boot := time.Date(2026, 4, 15, 16, 28, 43, 488171000, time.UTC)
	p.set(nsWindows, "Win32_OperatingSystem", row("Win32_OperatingSystem", "", "CSName", "HV1", "Version", "10.0.20348", "BuildNumber", "20348",
		"LastBootUpTime", boot, "LocalDateTime", boot.Add(time.Hour), "TotalVisibleMemorySize", uint64(1024), "FreePhysicalMemory", uint64(512),
		"TotalVirtualMemorySize", uint64(2048), "FreeVirtualMemory", uint64(256)))
	h := p.host(t)
	id, err := h.Identify(t.Context())
	if err != nil || !id.Lab() {
		t.Errorf("Identify = %+v, %v, want the lab", id, err)
	}
	if (Identity{ProductVendor: "Microsoft Corporation"}).Lab() {
		t.Error("Windows is taken for the lab")
	}
	os, err := h.OperatingSystem(t.Context())
	want := OperatingSystem{"HV1", "10.0.20348", "20348", boot, boot.Add(time.Hour), 1 << 20, 1 << 19, 1 << 21, 1 << 18}
	if d := cmp.Diff(want, os); err != nil || d != "" {
		t.Errorf("OperatingSystem, %v (-want +got):\n%s", err, d)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	o := Options{Name: "HV1", Addresses: []string{"hv1"}, Scheme: "kerberos"}
	if _, err := NewHost(o); err == nil || !strings.Contains(err.Error(), "host HV1") || !strings.Contains(err.Error(), "kerberos") {
		t.Errorf("NewHost = %v, want an error that names the host and the scheme", err)
	}
	if _, err := NewGuest(Options{Name: "SQL01"}); err == nil || !strings.Contains(err.Error(), "guest SQL01") {
		t.Errorf("NewGuest = %v, want an error that names the guest", err)
	}
}
