package lab

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

// The parts of the cluster that are not virtual machines.
const (
	coreGroup    = "Cluster Group"
	witnessName  = "File Share Witness"
	volumeName   = "Cluster Virtual Disk (CSV1)"
	hostNetwork  = "Management"
	guestNetwork = "Virtual Machines"
)

// clusterTables are the classes of root/MSCluster, as a node of the cluster shows them.
func clusterTables(node string) map[string]table {
	return map[string]table{
		"mscluster_cluster":                      func(m *model.Model) []wsmanserver.Instance { return []wsmanserver.Instance{clusterObject(m, node)} },
		"mscluster_node":                         func(m *model.Model) []wsmanserver.Instance { return nodeObjects(m, node) },
		"mscluster_resourcegroup":                groupObjects,
		"mscluster_resource":                     resourceObjects,
		"mscluster_network":                      networkObjects,
		"mscluster_networkinterface":             interfaceObjects,
		"mscluster_clustersharedvolume":          func(m *model.Model) []wsmanserver.Instance { return volumeObjects(m, node) },
		"mscluster_diskpartition":                partitionObjects,
		"mscluster_clustertoquorumresource":      quorumResource,
		"mscluster_resourcetopossibleowner":      possibleOwners,
		"mscluster_resourcegrouptopreferrednode": preferredNodes,
	}
}

func clusterObject(m *model.Model, by string) wsmanserver.Instance {
	p, quarantine, balancer := m.Spec.Profile, 7200, 0
	if e := m.Spec.Era; e.Name != "" {
		quarantine = int(e.QuarantineFor.Seconds())
	}
	if m.Spec.Era.Balancing > 0 {
		balancer = 2 // CLUSTER_AUTO_BALANCER_ALWAYS
	}
	return instance("MSCluster_Cluster", byName,
		"Name", m.Spec.Cluster, "Caption", m.Spec.Cluster, "Description", nil, "Fqdn", m.Spec.Cluster+".lab.example", "ClusterFunctionalLevel", 10, "ClusterUpgradeVersion", 1,
		"SameSubnetDelay", uint32(milliseconds(p.HeartbeatDelay)), "SameSubnetThreshold", p.HeartbeatThreshold,
		"CrossSubnetDelay", uint32(milliseconds(p.HeartbeatDelay)), "CrossSubnetThreshold", p.HeartbeatThreshold,
		"CrossSiteDelay", uint32(milliseconds(p.HeartbeatDelay)), "CrossSiteThreshold", p.HeartbeatThreshold,
		"ResiliencyDefaultPeriod", uint32(p.Resiliency.Seconds()), "ResiliencyLevel", 2, "QuarantineDuration", quarantine, "QuarantineThreshold", 3,
		"QuorumType", "Node and File Share Majority", "QuorumTypeValue", 2, "QuorumPath", `\\fs1\witness`, "DynamicQuorumEnabled", 1,
		"WitnessDynamicWeight", witnessWeight(m, by), "FixQuorum", 0, "PreventQuorum", 0, "DrainOnShutdown", 1,
		"AutoBalancerMode", balancer, "AutoBalancerLevel", 1, "S2DEnabled", 0, "SharedVolumesRoot", `C:\ClusterStorage`)
}

// witnessWeight is the witness' vote under dynamic quorum, as a node sees it: it counts where the nodes' votes are even.
func witnessWeight(m *model.Model, by string) uint32 {
	if m.Node(by).Alone {
		return 0 // it does not reach it
	}
	votes := 0
	for _, n := range m.Nodes {
		if n.State != cluster.NodeDown { // one that is paused votes
			votes++
		}
	}
	return uint32(1 - votes%2)
}

func nodeObjects(m *model.Model, by string) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, n := range m.Nodes {
		weight := uint32(1)
		if n.State == cluster.NodeDown && !m.Node(by).Alone { // one that is alone has no quorum to take votes by
			weight = 0 // dynamic quorum takes the vote of a node that has left
		}
		list = append(list, instance("MSCluster_Node", byName,
			"Name", n.Name, "Id", fmt.Sprint(n.ID), "Caption", n.Name, "Description", nil, "State", uint32(m.NodeState(by, n)), "NodeWeight", 1, "DynamicWeight", weight,
			"NodeDrainStatus", drainStatus(n), "NodeDrainTarget", nil, "StatusInformation", uint32(n.Status), "NeedsPreventQuorum", 0, "BuildNumber", 20348,
			"MajorVersion", 10, "MinorVersion", 0, "NodeHighestVersion", n.Version<<16, "NodeLowestVersion", n.Version<<16, "FaultDomain", faultDomain(n)))
	}
	return list
}

// drainStatus is MSCluster_Node.NodeDrainStatus: 0 where none was begun, 1 while it goes on, 2 and 3 for its end.
func drainStatus(n *model.Node) uint32 {
	switch {
	case n.Status&cluster.NodeDrainInProgress != 0:
		return 1
	case n.Status&cluster.NodeDrainCompleted != 0:
		return 2
	case n.Status&cluster.NodeDrainFailed != 0:
		return 3
	}
	return 0
}

// faultDomain is a node's place as MSCluster_Node tells it: a level and a name, for the levels that somebody described.
func faultDomain(n *model.Node) []string {
	if n.Site == "" {
		return nil
	}
	return []string{"Site:" + n.Site, "Rack:", "Chassis:"}
}

// noOwner is DefaultOwner's word for none (0xFFFFFFFF).
const noOwner = uint32(0xFFFFFFFF)

func groupObject(name string, kind uint32, owner string, state cluster.GroupState, status cluster.GroupStatus, persistent, core bool, threshold int, apart []string) wsmanserver.Instance {
	return instance("MSCluster_ResourceGroup", byName,
		"Name", name, "Id", fmt.Sprintf("%08x-0000-4000-9000-%012x", len(name), sum(name)), "Caption", name, "Description", "", "GroupType", kind, "State", uint32(state),
		"OwnerNode", owner, "StatusInformation", uint64(status), "Priority", 2000, "PersistentState", persistent, "DefaultOwner", noOwner,
		"FailoverThreshold", uint32(threshold), "FailoverPeriod", 6, "ResiliencyPeriod", 0, "AutoFailbackType", 0, "IsCore", core,
		"AntiAffinityClassNames", apart, "FailbackWindowStart", int32(-1), "FailbackWindowEnd", int32(-1), "PreferredSite", []string(nil))
}

func sum(s string) (n uint32) {
	for _, r := range s {
		n = n*31 + uint32(r)
	}
	return n
}

// coreOwner is the node that owns the cluster's own resources: the first that is up.
func coreOwner(m *model.Model) string {
	for _, n := range m.Nodes {
		if n.Powered && n.State == cluster.NodeUp {
			return n.Name
		}
	}
	return ""
}

func groupObjects(m *model.Model) []wsmanserver.Instance {
	list := []wsmanserver.Instance{groupObject(coreGroup, 1, coreOwner(m), cluster.GroupOnline, 0, true, true, len(m.Nodes)-1, nil)}
	for _, v := range m.VMs {
		list = append(list, groupObject(v.Group, cluster.GroupTypeVM, v.Owner, v.GroupState, v.GroupStatus, v.PersistentState, false, len(m.Nodes)-1, v.Apart))
	}
	return list
}

// resourceStates maps a group's state to that of its resource, whose numbers differ.
var resourceStates = map[cluster.GroupState]cluster.ResourceState{
	cluster.GroupOnline: cluster.ResourceOnline, cluster.GroupOffline: cluster.ResourceOffline, cluster.GroupFailed: cluster.ResourceFailed,
	cluster.GroupPending: cluster.ResourceOnlinePending, cluster.GroupPartialOnline: cluster.ResourceOnline, cluster.GroupUnknown: cluster.ResourceUnknown,
}

func resourceObject(name, kind, group, owner string, state cluster.ResourceState, private any) wsmanserver.Instance {
	return instance("MSCluster_Resource", byName,
		"Name", name, "Id", fmt.Sprintf("%08x-0000-4000-a000-%012x", len(name), sum(name)), "Caption", name, "Description", "", "Type", kind, "OwnerGroup", group,
		"OwnerNode", owner, "State", uint32(state), "StatusInformation", uint64(0), "LastOperationStatusCode", uint64(0), "ResourceSpecificStatus", "",
		"RestartAction", 2, "RestartThreshold", model.RestartThreshold, "RestartPeriod", model.RestartPeriod.Milliseconds(), "RestartDelay", 500, "PendingTimeout", 180000, "RetryPeriodOnFailure", 3600000,
		"IsAlivePollInterval", noOwner, "DeadlockTimeout", model.Deadlock.Milliseconds(), "LooksAlivePollInterval", noOwner, "IsClusterSharedVolume", false, "CoreResource", false, "QuorumCapable", false,
		"PersistentState", true, "PrivateProperties", private)
}

func resourceObjects(m *model.Model) []wsmanserver.Instance {
	list := []wsmanserver.Instance{
		resourceObject("Cluster Name", "Network Name", coreGroup, coreOwner(m), cluster.ResourceOnline, nil),
		resourceObject(witnessName, witnessName, coreGroup, coreOwner(m), m.Witness, nil),
	}
	watched := uint32(0)
	if m.Spec.CheckHeartbeat {
		watched = 1
	}
	for _, v := range m.VMs {
		private := instance("MSCluster_Property_Virtual_Machine", nil, "VmID", v.ID, "CheckHeartbeat", watched, "OfflineAction", 1, "ShutdownAction", 0)
		list = append(list,
			resourceObject("Virtual Machine "+v.Name, "Virtual Machine", v.Group, v.Owner, resourceStates[v.GroupState], private),
			resourceObject("Virtual Machine Configuration "+v.Name, "Virtual Machine Configuration", v.Group, v.Owner, cluster.ResourceOnline, nil))
	}
	return list
}

func networkObjects(m *model.Model) []wsmanserver.Instance {
	network := func(name, address string, role, metric uint32) wsmanserver.Instance {
		return instance("MSCluster_Network", byName, "Name", name, "Id", fmt.Sprintf("%08x-0000-4000-b000-000000000000", sum(name)), "Caption", name, "Description", "",
			"Address", address, "AddressMask", "255.255.255.0", "Role", role, "State", uint32(cluster.NetworkUp), "AutoMetric", true, "Metric", metric)
	}
	return []wsmanserver.Instance{network(hostNetwork, "10.0.0.0", 3, 70000), network(guestNetwork, "10.0.1.0", 3, 70001)}
}

func interfaceObjects(m *model.Model) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, n := range m.Nodes {
		for i, network := range []string{hostNetwork, guestNetwork} {
			state := cluster.InterfaceUp
			switch {
			case !n.Powered, n.Cut && network == hostNetwork:
				state = cluster.InterfaceUnreachable
			case network == guestNetwork && !n.Board:
				state = cluster.InterfaceFailed
			}
			name := n.Name + " - " + network
			list = append(list, instance("MSCluster_NetworkInterface", byName, "Name", name, "Id", fmt.Sprintf("%08x-0000-4000-c000-000000000000", sum(name)),
				"Caption", name, "Description", "", "Node", n.Name, "Network", network, "Adapter", "Ethernet "+fmt.Sprint(i+1), "AdapterId", fmt.Sprintf("%08x", sum(name)),
				"Address", fmt.Sprintf("10.0.%d.%d", i, 10+n.ID), "DhcpEnabled", false, "State", uint32(state)))
		}
	}
	return list
}

func volumeObjects(m *model.Model, node string) []wsmanserver.Instance {
	backup := uint32(0)
	if m.VolumeBackup {
		backup = 1 // VolumeBackupInProgress, clusapi.h
	}
	return []wsmanserver.Instance{instance("MSCluster_ClusterSharedVolume", byName, "Name", `C:\ClusterStorage\Volume1`, "Caption", volumeName, "Description", "",
		"VolumeName", `\\?\Volume{6f0d3a2e-0000-4000-8000-000000000001}\`, "VolumeOffset", uint64(0), "FaultState", uint32(m.VolumeAt(node)), "BackupState", backup)}
}

// partitionObjects are the shared volume's one partition of 2 TiB, a quarter of it free.
func partitionObjects(*model.Model) []wsmanserver.Instance {
	return []wsmanserver.Instance{instance("MSCluster_DiskPartition", []string{"Path"}, "Path", `C:\ClusterStorage\Volume1`, "VolumeLabel", "CSV1",
		"VolumeGuid", "6f0d3a2e-0000-4000-8000-000000000001", "FileSystem", "CSVFS", "TotalSize", uint32(2<<20), "FreeSpace", uint32(1<<19))}
}

// quorumResource points from the cluster to its witness.
func quorumResource(m *model.Model) []wsmanserver.Instance {
	return []wsmanserver.Instance{instance("MSCluster_ClusterToQuorumResource", []string{"GroupComponent", "PartComponent"},
		"GroupComponent", reference("MSCluster_Cluster", m.Spec.Cluster), "PartComponent", reference("MSCluster_Resource", witnessName))}
}

func possibleOwners(m *model.Model) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, v := range m.VMs {
		for _, resource := range []string{"Virtual Machine " + v.Name, "Virtual Machine Configuration " + v.Name} {
			for _, n := range m.Nodes {
				if v.MayRun(n.Name) {
					list = append(list, instance("MSCluster_ResourceToPossibleOwner", []string{"GroupComponent", "PartComponent"},
						"GroupComponent", reference("MSCluster_Resource", resource), "PartComponent", reference("MSCluster_Node", n.Name)))
				}
			}
		}
	}
	return list
}

func preferredNodes(m *model.Model) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, v := range m.VMs {
		for _, n := range v.Preferred {
			list = append(list, instance("MSCluster_ResourceGroupToPreferredNode", []string{"GroupComponent", "PartComponent"},
				"GroupComponent", reference("MSCluster_ResourceGroup", v.Group), "PartComponent", reference("MSCluster_Node", n)))
		}
	}
	return list
}

// clusterMethods are what may be done to a group. They return nothing: a fault with a Windows error says what the cluster
// thinks of it, ERROR_IO_PENDING included, by which it accepts what takes time.
func clusterMethods() map[string]map[string]method {
	group := func(name string, do func(*model.Model, *model.VM, wsmanserver.Parameters) (cluster.GroupCode, error)) method {
		return func(m *model.Model, keys wsmanserver.Selectors, params wsmanserver.Parameters) (wsmanserver.Output, error) {
			key, _ := keys.Value("Name")
			for _, v := range m.VMs {
				if v.Group != key {
					continue
				}
				m.Received(v, "MSCluster_ResourceGroup."+name, key)
				code, err := do(m, v, params)
				if err == nil && code != cluster.GroupDone {
					err = &wsmanserver.ProviderError{HRESULT: win32 | uint32(code), Message: groupMessages[code]}
				}
				return wsmanserver.Output{}, err
			}
			return wsmanserver.Output{}, wsmanserver.ErrAccessDenied // the cluster's own groups are nobody's to move here
		}
	}
	online := func(m *model.Model, v *model.VM, _ wsmanserver.Parameters) (cluster.GroupCode, error) {
		return m.BringOnline(v), nil
	}
	cancel := func(m *model.Model, v *model.VM, _ wsmanserver.Parameters) (cluster.GroupCode, error) {
		return m.CancelMove(v), nil
	}
	offline := func(m *model.Model, v *model.VM, p wsmanserver.Parameters) (cluster.GroupCode, error) {
		how, err := contextOf(p)
		if err == nil {
			m.TakeOffline(v, how)
		}
		return cluster.GroupDone, err
	}
	fail := func(m *model.Model, keys wsmanserver.Selectors, _ wsmanserver.Parameters) (wsmanserver.Output, error) {
		key, _ := keys.Value("Name")
		for _, v := range m.VMs {
			if key == "Virtual Machine "+v.Name {
				m.Received(v, "MSCluster_Resource.FailResource", key)
				m.FailResource(v)
				return wsmanserver.Output{}, nil
			}
		}
		return wsmanserver.Output{}, wsmanserver.ErrAccessDenied
	}
	return map[string]map[string]method{"mscluster_resource": {"failresource": fail}, "mscluster_resourcegroup": {
		"movetonewnode":       group("MoveToNewNode", moveGroup),
		"movetonewnodeparams": group("MoveToNewNodeParams", moveGroup),
		"bringonline":         group("BringOnline", online),
		"takeoffline":         group("TakeOffline", offline),
		"takeofflineparams":   group("TakeOfflineParams", offline),
		"canceloperation":     group("CancelOperation", cancel),
	}}
}

// win32 is HRESULT_FROM_WIN32 without the error.
const win32 = 0x80070000

// groupMessages are Windows' own words where a reader of a fault needs them (winerror.h).
var groupMessages = map[cluster.GroupCode]string{
	cluster.GroupIOPending:    "Overlapped I/O operation is in progress.",
	cluster.GroupInvalidState: "The group or resource is not in the correct state to perform the requested operation.",
	cluster.GroupHostNotOwner: "The operation failed because either the specified cluster node is not the owner of the group, or the node is not a possible owner of the group.",
	cluster.GroupNodeDown:     "The cluster node is down.",
	cluster.GroupLockedStatus: "The requested operation can not be completed because a resource has locked status.",
}

func moveGroup(m *model.Model, v *model.VM, p wsmanserver.Parameters) (cluster.GroupCode, error) {
	to, _ := p.String("NodeName")
	how, err := contextOf(p)
	if err != nil {
		return 0, err
	}
	flags, _, err := p.Uint("Flags", 32)
	return m.MoveGroup(v, to, how, uint32(flags)), err //nolint:gosec // 32 bits
}

// contextOf reads what the virtual machine is to do from a method's property list, which names its resource type; without
// one, the virtual machine's own OfflineAction decides: here as by default, to save it.
func contextOf(p wsmanserver.Parameters) (cluster.VMContext, error) {
	list, err := p.Bytes("Parameters")
	if err != nil || len(list) == 0 {
		return cluster.VMSave, err
	}
	bad := fmt.Errorf("no property list in Parameters: %w", wsmanserver.ErrInvalidParameter)
	dword := func() uint32 {
		if len(list) < 4 {
			err = bad
			return 0
		}
		n := binary.LittleEndian.Uint32(list)
		list = list[4:]
		return n
	}
	how := cluster.VMSave
	for n := dword(); n > 0 && err == nil; n-- {
		const name, number = 0x00040003, 0x00010002 // CLUSPROP_SYNTAX_NAME, CLUSPROP_SYNTAX_LIST_VALUE_DWORD (clusapi.h)
		syntax, length := dword(), int(dword())
		padded := (length + 3) &^ 3
		if err != nil || syntax != name || length%2 != 0 || padded > len(list) {
			return 0, bad
		}
		units := make([]uint16, length/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(list[2*i:])
		}
		list = list[padded:]
		property := strings.TrimSuffix(string(utf16.Decode(units)), "\x00")
		if dword() != number || dword() != 4 {
			return 0, bad
		}
		value := dword()
		if dword() != 0 { // the end mark of the property's values
			return 0, bad
		}
		if property == "Virtual Machine" {
			how = cluster.VMContext(value)
		}
	}
	if err == nil && how > cluster.VMLiveMigration {
		err = bad
	}
	return how, err
}
