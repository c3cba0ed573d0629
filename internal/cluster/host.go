package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// Host is a Hyper-V host, node of the cluster.
type Host struct{ machine }

// NewHost checks the options. It connects to nothing.
func NewHost(o Options) (*Host, error) {
	m, err := newMachine(o)
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", o.Name, err)
	}
	return &Host{m}, nil
}

// The projections of the cluster's classes: names that Windows Server 2019 and 23H2 both have (microsoft/wmi's
// bindings). A name that a server does not know costs the whole answer.
const (
	selectCluster = "SELECT Name, Fqdn, ClusterFunctionalLevel, SameSubnetDelay, SameSubnetThreshold, CrossSubnetDelay, " +
		"CrossSubnetThreshold, ResiliencyDefaultPeriod, ResiliencyLevel, AutoBalancerMode, AutoBalancerLevel, QuorumTypeValue, " +
		"WitnessDynamicWeight FROM MSCluster_Cluster"
	selectNodes  = "SELECT Name, State, StatusInformation, NodeDrainStatus, NodeWeight, DynamicWeight FROM MSCluster_Node"
	selectGroups = "SELECT Name, Id, GroupType, State, OwnerNode, StatusInformation, Priority, PersistentState, DefaultOwner, " +
		"FailoverThreshold, FailoverPeriod, ResiliencyPeriod, IsCore FROM MSCluster_ResourceGroup"
	selectResources = "SELECT Name, Type, OwnerGroup, OwnerNode, State, StatusInformation, LastOperationStatusCode, PersistentState " +
		"FROM MSCluster_Resource"
	selectPrivate = "SELECT Name, PrivateProperties FROM MSCluster_Resource WHERE Type = 'Virtual Machine'"
)

// View reads the cluster as this node sees it. The parts are asked at the same time, and so are at most one round
// trip apart.
func (h *Host) View(ctx context.Context) (View, error) {
	v := View{By: h.name}
	var private map[string]Resource
	err := together(
		ctx,
		into(&v.Info, h.info),
		into(&v.Nodes, h.nodes),
		into(&v.Groups, func(ctx context.Context) ([]Group, error) { return h.groups(ctx, "") }),
		into(&v.Resources, func(ctx context.Context) ([]Resource, error) { return h.resources(ctx, "") }),
		into(&private, h.privateProperties),
	)
	if err != nil {
		return View{}, fmt.Errorf("read the cluster: %w", err)
	}
	for i := range v.Resources {
		if r := &v.Resources[i]; r.Type == typeVM {
			p := private[r.Name]
			r.VMID, r.CheckHeartbeat, r.OfflineAction = p.VMID, p.CheckHeartbeat, p.OfflineAction
		}
	}
	return v, nil
}

// selectOpinion is what nodes can disagree about in a group.
const selectOpinion = "SELECT Name, State, OwnerNode FROM MSCluster_ResourceGroup"

// Opinion reads what this node says of the settings, of the nodes, and of owner and state of the groups that of wants:
// as much of a View as tells whether nodes agree. A large cluster's whole view is tens of megabytes from each of its
// nodes; this is a tenth, of which little is kept.
func (h *Host) Opinion(ctx context.Context, of func(group string) bool) (View, error) {
	v := View{By: h.name}
	err := together(
		ctx,
		into(&v.Info, h.info),
		into(&v.Nodes, h.nodes),
		into(&v.Groups, func(ctx context.Context) ([]Group, error) { return h.opinions(ctx, of) }),
	)
	if err != nil {
		return View{}, fmt.Errorf("read what the node says: %w", err)
	}
	return v, nil
}

// opinions reads name, owner and state of the groups that of wants. An owner's name is kept once, not with each group.
func (h *Host) opinions(ctx context.Context, of func(group string) bool) ([]Group, error) {
	var out []Group
	owners := map[string]string{}
	_, err := all(ctx, &h.machine, nsCluster, selectOpinion, func(f *fields) struct{} {
		name := must(f, f.object.Text, "Name")
		if !of(name) {
			return struct{}{}
		}
		owner, _ := read(f, f.object.Text, "OwnerNode")
		kept, ok := owners[owner]
		if !ok {
			kept = strings.Clone(owner)
			owners[kept] = kept
		}
		out = append(out, Group{Name: strings.Clone(name), State: GroupState(f.state("State")), Owner: kept})
		return struct{}{}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GroupView reads the settings, the nodes and one group, no more: what a decision about one virtual machine needs, and
// what is read again right before a command. The group's name is the cluster's; where there is no such group, the view
// has none.
func (h *Host) GroupView(ctx context.Context, group string) (View, error) {
	v := View{By: h.name}
	err := together(
		ctx,
		into(&v.Info, h.info),
		into(&v.Nodes, h.nodes),
		into(&v.Groups, func(ctx context.Context) ([]Group, error) {
			return h.groups(ctx, " WHERE Name = "+wsman.Quote(group))
		}),
	)
	if err != nil {
		return View{}, fmt.Errorf("read group %s: %w", group, err)
	}
	return v, nil
}

// info reads MSCluster_Cluster. What guards wait by may not be NULL: zero would mean not to wait.
func (h *Host) info(ctx context.Context) (Info, error) {
	return one(ctx, &h.machine, nsCluster, selectCluster, func(f *fields) Info {
		return Info{
			Name: f.mustText("Name"), FQDN: f.text("Fqdn"), FunctionalLevel: f.uint32("ClusterFunctionalLevel"),
			SameSubnetDelay: f.mustCount("SameSubnetDelay", time.Millisecond), SameSubnetThreshold: f.mustUint32("SameSubnetThreshold"),
			CrossSubnetDelay: f.mustCount("CrossSubnetDelay", time.Millisecond), CrossSubnetThreshold: f.mustUint32("CrossSubnetThreshold"),
			ResiliencyDefaultPeriod: f.mustCount("ResiliencyDefaultPeriod", time.Second), ResiliencyLevel: f.uint32("ResiliencyLevel"),
			AutoBalancerMode: f.uint32("AutoBalancerMode"), AutoBalancerLevel: f.uint32("AutoBalancerLevel"),
			QuorumType: int64(f.state("QuorumTypeValue")), WitnessDynamicWeight: f.uint32("WitnessDynamicWeight"),
		}
	})
}

// nodes reads MSCluster_Node. The status bits may not be NULL: none set is a good sign.
func (h *Host) nodes(ctx context.Context) ([]Node, error) {
	return all(ctx, &h.machine, nsCluster, selectNodes, func(f *fields) Node {
		return Node{
			Name: f.mustText("Name"), State: NodeState(f.state("State")), Status: NodeStatus(f.mustUint32("StatusInformation")),
			DrainStatus: f.uint32("NodeDrainStatus"), Weight: f.uint32("NodeWeight"), DynamicWeight: f.uint32("DynamicWeight"),
		}
	})
}

// groups reads MSCluster_ResourceGroup.
func (h *Host) groups(ctx context.Context, where string) ([]Group, error) {
	return all(ctx, &h.machine, nsCluster, selectGroups+where, func(f *fields) Group {
		return Group{
			Name: f.mustText("Name"), ID: guid(f.text("Id")), Type: f.uint32("GroupType"),
			State: GroupState(f.state("State")), Owner: f.text("OwnerNode"), Status: GroupStatus(f.mustUint64("StatusInformation")),
			Priority: f.uint32("Priority"), PersistentState: f.mustBool("PersistentState"), DefaultOwner: f.uint32("DefaultOwner"),
			FailoverThreshold: f.mustUint32("FailoverThreshold"), FailoverPeriod: f.count("FailoverPeriod", time.Hour),
			ResiliencyPeriod: f.count("ResiliencyPeriod", time.Second), IsCore: f.bool("IsCore"),
		}
	})
}

// typeVM is MSCluster_Resource.Type of a virtual machine; it is not localised.
const typeVM = "Virtual Machine"

// resources reads MSCluster_Resource.
func (h *Host) resources(ctx context.Context, where string) ([]Resource, error) {
	return all(ctx, &h.machine, nsCluster, selectResources+where, func(f *fields) Resource {
		return Resource{
			Name: f.mustText("Name"), Type: f.text("Type"), Group: f.text("OwnerGroup"), Owner: f.text("OwnerNode"),
			State: ResourceState(f.state("State")), Status: ResourceStatus(f.uint64("StatusInformation")),
			LastStatus: f.uint64("LastOperationStatusCode"), PersistentState: optional(f.object.Bool, "PersistentState"),
		}
	})
}

// privateProperties reads those of the virtual machines' resources, and of no others: the cluster service asks each
// resource for them. It returns them by the resource's name.
func (h *Host) privateProperties(ctx context.Context) (map[string]Resource, error) {
	out := make(map[string]Resource)
	_, err := all(ctx, &h.machine, nsCluster, selectPrivate, func(f *fields) struct{} {
		out[f.mustText("Name")] = f.private()
		return struct{}{}
	})
	return out, err
}

// GroupVM reads which virtual machine a group holds (VMID) and who owns it. ErrNotFound means that the group holds
// none; a group that holds two could mean either, and is an error.
func (h *Host) GroupVM(ctx context.Context, group string) (Resource, error) {
	r, err := one(ctx, &h.machine, nsCluster, "SELECT Name, OwnerGroup, OwnerNode, State, PrivateProperties FROM MSCluster_Resource "+
		"WHERE Type = 'Virtual Machine' AND OwnerGroup = "+wsman.Quote(group), func(f *fields) Resource {
		r := Resource{
			Name: f.mustText("Name"), Type: typeVM, Group: f.text("OwnerGroup"), Owner: f.text("OwnerNode"), State: ResourceState(f.state("State")),
		}
		p := f.private()
		r.VMID, r.CheckHeartbeat, r.OfflineAction = p.VMID, p.CheckHeartbeat, p.OfflineAction
		return r
	})
	if err != nil {
		return Resource{}, fmt.Errorf("read the virtual machine of group %s: %w", group, err)
	}
	return r, nil
}

// private reads the private properties of a virtual machine's resource. VMID is empty where it has none yet. The
// settings beside it are for whoever reads them: what is wrong with one costs that one.
func (f *fields) private() Resource {
	private, ok := read(f, f.object.Object, "PrivateProperties")
	if !ok {
		return Resource{}
	}
	in := fields{object: private}
	r := Resource{
		VMID: guid(in.text("VmID")), CheckHeartbeat: optional(private.Uint32, "CheckHeartbeat"), OfflineAction: optional(private.Uint32, "OfflineAction"),
	}
	if f.err == nil {
		f.err = in.err
	}
	return r
}

// VMResources reads the resources that are virtual machines, without their private properties.
func (h *Host) VMResources(ctx context.Context) ([]Resource, error) {
	return h.resources(ctx, " WHERE Type = "+wsman.Quote(typeVM))
}

// possibleOwner is the class that joins a resource (GroupComponent) and a node that may own it (PartComponent).
const possibleOwner = "MSCluster_ResourceToPossibleOwner"

// PossibleOwners reads which nodes may own each resource, by the resource's name. That is a row for each pair: a million
// in the largest cluster. See PossibleOwnersOf.
func (h *Host) PossibleOwners(ctx context.Context) (map[string][]string, error) {
	return h.association(ctx, possibleOwner)
}

// OwnersOf reads which nodes may own one resource.
func (h *Host) OwnersOf(ctx context.Context, resource string) ([]string, error) {
	whole := wsman.Reference{Class: "MSCluster_Resource", Selectors: []wsman.Selector{{Name: "Name", Value: resource}}}
	return each(&h.machine, h.client.References(ctx, nsCluster, whole, possibleOwner, "GroupComponent"), func(f *fields) string { return f.key("PartComponent", "Name") })
}

// ownersAtOnce is how many resources are asked about at the same time.
const ownersAtOnce = 4

// PossibleOwnersOf reads which nodes may own these resources, by their name, one question for each. Where the machine
// does not take such a question, it reads all rows. A resource that no node may own, or that is not there, is not in the
// answer.
func (h *Host) PossibleOwnersOf(ctx context.Context, resources []string) (map[string][]string, error) {
	out := make([][]string, len(resources))
	g, one := errgroup.WithContext(ctx)
	g.SetLimit(ownersAtOnce)
	for i, r := range resources {
		g.Go(func() (err error) {
			out[i], err = h.OwnersOf(one, r)
			return err
		})
	}
	err := g.Wait()
	if f, ok := errors.AsType[*wsman.Fault](err); ok && f.FilterRefused() {
		return h.PossibleOwners(ctx)
	}
	if err != nil {
		return nil, err
	}
	owners := make(map[string][]string, len(resources))
	for i, r := range resources {
		if len(out[i]) > 0 {
			owners[r] = out[i]
		}
	}
	return owners, nil
}

// PreferredOwners reads the preferred nodes of each group, by the group's name, in the cluster's order. A group
// without preference is not there.
func (h *Host) PreferredOwners(ctx context.Context) (map[string][]string, error) {
	return h.association(ctx, "MSCluster_ResourceGroupToPreferredNode")
}

// association reads a class that joins GroupComponent and PartComponent, both by their Name.
func (h *Host) association(ctx context.Context, class string) (map[string][]string, error) {
	out := make(map[string][]string)
	_, err := all(ctx, &h.machine, nsCluster, "SELECT GroupComponent, PartComponent FROM "+class, func(f *fields) struct{} {
		whole, part := f.key("GroupComponent", "Name"), f.key("PartComponent", "Name")
		out[whole] = append(out[whole], part)
		return struct{}{}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Networks reads MSCluster_Network.
func (h *Host) Networks(ctx context.Context) ([]Network, error) {
	return all(ctx, &h.machine, nsCluster, "SELECT Name, Address, Role, State FROM MSCluster_Network", func(f *fields) Network {
		return Network{f.mustText("Name"), f.text("Address"), NetworkRole(f.uint32("Role")), NetworkState(f.state("State"))}
	})
}

// NetworkInterfaces reads MSCluster_NetworkInterface.
func (h *Host) NetworkInterfaces(ctx context.Context) ([]NetworkInterface, error) {
	return all(ctx, &h.machine, nsCluster, "SELECT Name, Node, Network, Adapter, Address, State FROM MSCluster_NetworkInterface",
		func(f *fields) NetworkInterface {
			return NetworkInterface{
				f.mustText("Name"), f.mustText("Node"), f.mustText("Network"), f.text("Adapter"), f.text("Address"),
				InterfaceState(f.state("State")),
			}
		})
}

// SharedVolumes reads MSCluster_ClusterSharedVolume. The fault state may not be NULL: zero is a good sign.
func (h *Host) SharedVolumes(ctx context.Context) ([]SharedVolume, error) {
	return all(ctx, &h.machine, nsCluster, "SELECT Name, VolumeName, FaultState FROM MSCluster_ClusterSharedVolume",
		func(f *fields) SharedVolume {
			return SharedVolume{f.mustText("Name"), f.text("VolumeName"), VolumeFault(f.mustUint32("FaultState"))}
		})
}

// Partitions reads MSCluster_DiskPartition, whose sizes are in units of 2^20 bytes (microsoft/wmi, MSCluster_DiskPartition:
// uint32, in MB).
func (h *Host) Partitions(ctx context.Context) ([]Partition, error) {
	return all(ctx, &h.machine, nsCluster, "SELECT Path, VolumeLabel, VolumeGuid, TotalSize, FreeSpace FROM MSCluster_DiskPartition",
		func(f *fields) Partition {
			return Partition{
				f.text("Path"), f.text("VolumeLabel"), guid(f.text("VolumeGuid")), uint64(f.mustUint32("TotalSize")) * megabyte, uint64(f.mustUint32("FreeSpace")) * megabyte,
			}
		})
}

// VirtualMachines reads every virtual machine of the host, in any state, wherever its group is owned: during a
// migration two hosts have it.
func (h *Host) VirtualMachines(ctx context.Context) ([]VirtualMachine, error) {
	vms, err := h.virtualMachines(ctx, "", "")
	if err != nil {
		return nil, fmt.Errorf("read the virtual machines of %s: %w", h.name, err)
	}
	return vms, nil
}

// VirtualMachine reads one virtual machine by its id (a GUID) or Hyper-V's name of it. ErrNotFound means that this
// host does not have it. A name that two machines of the host bear is an error.
func (h *Host) VirtualMachine(ctx context.Context, idOrName string) (VirtualMachine, error) {
	systems := " WHERE ElementName = " + wsman.Quote(idOrName)
	settings := " AND ElementName = " + wsman.Quote(idOrName)
	if _, ok := machineID(idOrName); ok {
		id := wsman.Quote(strings.ToUpper(guid(idOrName)))
		systems, settings = " WHERE Name = "+id, " AND VirtualSystemIdentifier = "+id
	}
	vms, err := h.virtualMachines(ctx, systems, settings)
	switch {
	case err != nil:
	case len(vms) == 0:
		err = ErrNotFound
	case len(vms) > 1:
		err = fmt.Errorf("%d virtual machines bear this name; their ids differ: %s, %s", len(vms), vms[0].ID, vms[1].ID)
	}
	if err != nil {
		return VirtualMachine{}, fmt.Errorf("read virtual machine %s on %s: %w", idOrName, h.name, err)
	}
	return vms[0], nil
}

// virtualMachines reads three classes at once and joins them by the virtual machine's id. Msvm_ComputerSystem says
// which machines there are: Msvm_SummaryInformation may list checkpoints too. Neither is ever asked for everything:
// a summary holds a screenshot.
func (h *Host) virtualMachines(ctx context.Context, systems, settings string) ([]VirtualMachine, error) {
	var vms []VirtualMachine
	var summaries map[string]VirtualMachine
	var guids map[string]string
	err := together(
		ctx,
		into(&vms, func(ctx context.Context) ([]VirtualMachine, error) { return h.computerSystems(ctx, systems) }),
		into(&summaries, func(ctx context.Context) (map[string]VirtualMachine, error) { return h.summaries(ctx, systems) }),
		into(&guids, func(ctx context.Context) (map[string]string, error) { return h.biosGUIDs(ctx, settings) }),
	)
	if err != nil {
		return nil, err
	}
	for i := range vms {
		vm := &vms[i]
		key := strings.ToUpper(vm.ID)
		vm.BIOSGUID = guids[key]
		s, ok := summaries[key]
		if !ok {
			continue
		}
		vm.Heartbeat, vm.ApplicationHealth, vm.ProcessorLoad, vm.MemoryUsage = s.Heartbeat, s.ApplicationHealth, s.ProcessorLoad, s.MemoryUsage
		vm.MemoryAvailable, vm.SmartPaging, vm.Processors = s.MemoryAvailable, s.SmartPaging, s.Processors
		if s.Uptime > 0 {
			vm.Uptime = s.Uptime
		}
	}
	return vms, nil
}

// computerSystems reads Msvm_ComputerSystem. The host is an instance too; it alone has no GUID for a name (its
// caption would tell, in the host's language).
func (h *Host) computerSystems(ctx context.Context, where string) ([]VirtualMachine, error) {
	rows, err := all(ctx, &h.machine, nsHyperV, "SELECT Name, ElementName, EnabledState, HealthState, OperationalStatus, "+
		"OnTimeInMilliseconds, TimeOfLastStateChange FROM Msvm_ComputerSystem"+where, func(f *fields) VirtualMachine {
		return VirtualMachine{
			ID: guid(f.mustText("Name")), Name: f.text("ElementName"), Host: h.name, State: VMState(f.uint16("EnabledState")),
			HealthState: f.uint16("HealthState"), OperationalStatus: f.uint16s("OperationalStatus"),
			Uptime: f.count("OnTimeInMilliseconds", time.Millisecond), LastStateChange: f.time("TimeOfLastStateChange"),
		}
	})
	vms := rows[:0]
	for _, vm := range rows {
		if _, ok := machineID(vm.ID); ok {
			vms = append(vms, vm)
		}
	}
	return vms, err
}

// summaries reads Msvm_SummaryInformation by the machine's id in capitals. Reading it directly works, although the
// documented way is GetSummaryInformation (Icinga's checks have long done so).
func (h *Host) summaries(ctx context.Context, where string) (map[string]VirtualMachine, error) {
	rows, err := all(ctx, &h.machine, nsHyperV, "SELECT Name, Heartbeat, ApplicationHealth, ProcessorLoad, MemoryUsage, MemoryAvailable, "+
		"SwapFilesInUse, UpTime, NumberOfProcessors FROM Msvm_SummaryInformation"+where, func(f *fields) VirtualMachine {
		return VirtualMachine{
			ID: guid(f.mustText("Name")), Heartbeat: Heartbeat(f.uint16("Heartbeat")), ApplicationHealth: f.uint16("ApplicationHealth"),
			ProcessorLoad: f.uint16("ProcessorLoad"), Processors: f.uint16("NumberOfProcessors"), MemoryUsage: f.uint64("MemoryUsage") * megabyte,
			MemoryAvailable: optional(f.object.Int32, "MemoryAvailable"), SmartPaging: f.bool("SwapFilesInUse"), Uptime: f.count("UpTime", time.Millisecond),
		}
	})
	out := make(map[string]VirtualMachine, len(rows))
	for _, r := range rows {
		out[strings.ToUpper(r.ID)] = r
	}
	return out, err
}

// biosGUIDs reads BIOSGUID of the realised settings, not of checkpoints, by the machine's id in capitals.
func (h *Host) biosGUIDs(ctx context.Context, where string) (map[string]string, error) {
	out := make(map[string]string)
	_, err := all(ctx, &h.machine, nsHyperV, "SELECT VirtualSystemIdentifier, BIOSGUID FROM Msvm_VirtualSystemSettingData "+
		"WHERE VirtualSystemType = 'Microsoft:Hyper-V:System:Realized'"+where, func(f *fields) struct{} {
		out[strings.ToUpper(guid(f.mustText("VirtualSystemIdentifier")))] = guid(f.text("BIOSGUID"))
		return struct{}{}
	})
	return out, err
}
