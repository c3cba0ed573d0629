package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// VMSettings are what somebody set on a virtual machine of a host, as far as a move or a restart of it is concerned.
type VMSettings struct {
	ID          string
	Name        string
	Checkpoints int // those a person made (Microsoft:Hyper-V:Snapshot:Realized), not those of backups and replicas
	Adapters    []Adapter
}

// Adapter is a synthetic network adapter of a virtual machine.
type Adapter struct {
	ID   string // the device's part of InstanceID
	Name string // ElementName, which two adapters of one machine may share
	// Monitored is ClusterMonitored: the cluster live-migrates the virtual machine when the adapter's network is lost
	// (learn.microsoft.com, "Msvm_SyntheticEthernetPortSettingData class"; the cmdlet's parameter is
	// NotMonitoredInCluster). nil where Hyper-V does not say.
	Monitored *bool
}

// The types of settings (learn.microsoft.com, "Msvm_VirtualSystemSettingData class").
const (
	typeRealized   = "Microsoft:Hyper-V:System:Realized"
	typeCheckpoint = "Microsoft:Hyper-V:Snapshot:Realized"
)

// Settings reads the settings of every virtual machine of the host.
func (h *Host) Settings(ctx context.Context) ([]VMSettings, error) {
	type setting struct{ id, name, typ string }
	type port struct {
		instance string
		adapter  Adapter
	}
	var settings []setting
	var ports []port
	err := together(
		ctx,
		into(&settings, func(ctx context.Context) ([]setting, error) {
			return all(ctx, &h.machine, nsHyperV, "SELECT VirtualSystemIdentifier, ElementName, VirtualSystemType FROM Msvm_VirtualSystemSettingData",
				func(f *fields) setting {
					return setting{guid(f.text("VirtualSystemIdentifier")), f.text("ElementName"), f.text("VirtualSystemType")}
				})
		}),
		into(&ports, func(ctx context.Context) ([]port, error) {
			return all(ctx, &h.machine, nsHyperV, "SELECT InstanceID, ElementName, ClusterMonitored FROM Msvm_SyntheticEthernetPortSettingData",
				func(f *fields) port {
					return port{f.mustText("InstanceID"), Adapter{Name: f.text("ElementName"), Monitored: optional(f.object.Bool, "ClusterMonitored")}}
				})
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("read the settings of the virtual machines of %s: %w", h.name, err)
	}
	var out []VMSettings
	at := map[string]int{}
	for _, s := range settings {
		if s.typ == typeRealized {
			at[strings.ToUpper(s.id)] = len(out)
			out = append(out, VMSettings{ID: s.id, Name: s.name})
		}
	}
	for _, s := range settings {
		if i, ok := at[strings.ToUpper(s.id)]; ok && s.typ == typeCheckpoint {
			out[i].Checkpoints++
		}
	}
	for _, p := range ports {
		// The settings of a checkpoint and the definitions of a host's defaults are instances too; theirs is another id.
		id, device := instanceID(p.instance)
		if i, ok := at[strings.ToUpper(id)]; ok {
			p.adapter.ID = device
			out[i].Adapters = append(out[i].Adapters, p.adapter)
		}
	}
	return out, nil
}

// instanceID takes Microsoft:<id of the virtual machine>\<the rest> apart (learn.microsoft.com,
// "Msvm_SyntheticEthernetPortSettingData class", InstanceID).
func instanceID(s string) (vm, rest string) {
	s = strings.TrimPrefix(s, "Microsoft:")
	vm, rest, _ = strings.Cut(s, `\`)
	return guid(vm), rest
}

// Replication is Msvm_ReplicationRelationship: how the replica of a virtual machine does.
type Replication struct {
	VMID, VMName string
	Relationship string // 0, or 1 for an extended replica
	State        uint16
	Health       uint16
	LastSuccess  time.Time // zero where there was none yet
}

// Replications reads the replication relationships of the host's virtual machines; most hosts have none.
func (h *Host) Replications(ctx context.Context) ([]Replication, error) {
	var out []Replication
	var vms []VirtualMachine
	err := together(
		ctx,
		into(&out, func(ctx context.Context) ([]Replication, error) {
			return all(ctx, &h.machine, nsHyperV, "SELECT InstanceID, ReplicationState, ReplicationHealth, LastReplicationTime FROM Msvm_ReplicationRelationship",
				func(f *fields) Replication {
					id, rest := instanceID(f.mustText("InstanceID"))
					return Replication{
						VMID: id, Relationship: strings.TrimPrefix(rest, `HVR\`), State: must(f, f.object.Uint16, "ReplicationState"),
						Health: must(f, f.object.Uint16, "ReplicationHealth"), LastSuccess: f.time("LastReplicationTime"),
					}
				})
		}),
		into(&vms, func(ctx context.Context) ([]VirtualMachine, error) { return h.computerSystems(ctx, "") }),
	)
	if err != nil {
		return nil, fmt.Errorf("read the replication of the virtual machines of %s: %w", h.name, err)
	}
	for i := range out {
		n := slices.IndexFunc(vms, func(vm VirtualMachine) bool { return strings.EqualFold(vm.ID, out[i].VMID) })
		if n >= 0 {
			out[i].VMName = vms[n].Name
		}
	}
	return out, nil
}

// NamespaceWindows is the namespace of Windows itself, its performance counters among it.
const NamespaceWindows = nsWindows

// The namespaces that a host is asked about, and the class in each that costs least and has one instance.
var namespaces = []struct{ name, class string }{
	{nsWindows, "Win32_ComputerSystem"},
	{nsHyperV, "Msvm_VirtualSystemManagementService"},
	{nsCluster, "MSCluster_Cluster"},
}

// Namespaces lists the WMI namespaces of a host that Namespace can ask.
func Namespaces() []string {
	out := make([]string, len(namespaces))
	for i, n := range namespaces {
		out[i] = n.name
	}
	return out
}

// Namespace asks the provider behind one of Namespaces the cheapest question there is. On cluster nodes one namespace
// may hang while others answer.
func (h *Host) Namespace(ctx context.Context, name string) error {
	for _, n := range namespaces {
		if n.name != name {
			continue
		}
		if _, err := one(ctx, &h.machine, n.name, "SELECT Name FROM "+n.class, func(f *fields) string { return f.text("Name") }); err != nil {
			return fmt.Errorf("ask the namespace %s of %s: %w", name, h.name, err)
		}
		return nil
	}
	return fmt.Errorf("there is no question for the namespace %s", name)
}
