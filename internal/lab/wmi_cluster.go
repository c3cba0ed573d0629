package lab

import (
	"fmt"

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

// errNotInState is HRESULT_FROM_WIN32(ERROR_INVALID_STATE), what a group that is not in the state for it answers.
const errNotInState = 0x8007139F

// clusterTables are the classes of root/MSCluster, as any node of the cluster shows them.
func clusterTables() map[string]table {
	return map[string]table{
		"mscluster_cluster":                      func(m *model.Model) []wsmanserver.Instance { return []wsmanserver.Instance{clusterObject(m)} },
		"mscluster_node":                         nodeObjects,
		"mscluster_resourcegroup":                groupObjects,
		"mscluster_resource":                     resourceObjects,
		"mscluster_network":                      networkObjects,
		"mscluster_networkinterface":             interfaceObjects,
		"mscluster_clustersharedvolume":          volumeObjects,
		"mscluster_clustertoquorumresource":      quorumResource,
		"mscluster_resourcetopossibleowner":      possibleOwners,
		"mscluster_resourcegrouptopreferrednode": preferredNodes,
	}
}

func clusterObject(m *model.Model) wsmanserver.Instance {
	p := m.Spec.Profile
	return instance("MSCluster_Cluster", byName,
		"Name", m.Spec.Cluster, "Caption", m.Spec.Cluster, "Description", nil, "Fqdn", m.Spec.Cluster+".lab.example", "ClusterFunctionalLevel", 10, "ClusterUpgradeVersion", 1,
		"SameSubnetDelay", uint32(milliseconds(p.HeartbeatDelay)), "SameSubnetThreshold", p.HeartbeatThreshold,
		"CrossSubnetDelay", uint32(milliseconds(p.HeartbeatDelay)), "CrossSubnetThreshold", p.HeartbeatThreshold,
		"CrossSiteDelay", uint32(milliseconds(p.HeartbeatDelay)), "CrossSiteThreshold", p.HeartbeatThreshold,
		"ResiliencyDefaultPeriod", uint32(p.Resiliency.Seconds()), "ResiliencyLevel", 2, "QuarantineDuration", 7200, "QuarantineThreshold", 3,
		"QuorumType", "Node and File Share Majority", "QuorumTypeValue", 2, "QuorumPath", `\\fs1\witness`, "DynamicQuorumEnabled", 1,
		"WitnessDynamicWeight", witnessWeight(m), "FixQuorum", 0, "PreventQuorum", 0, "DrainOnShutdown", 1,
		"AutoBalancerMode", 0, "AutoBalancerLevel", 1, "S2DEnabled", 0, "SharedVolumesRoot", `C:\ClusterStorage`)
}

// witnessWeight is the witness' vote under dynamic quorum: it counts where the nodes' votes are even.
func witnessWeight(m *model.Model) uint32 {
	votes := 0
	for _, n := range m.Nodes {
		if n.State == cluster.NodeUp {
			votes++
		}
	}
	return uint32(1 - votes%2)
}

func nodeObjects(m *model.Model) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, n := range m.Nodes {
		weight := uint32(1)
		if n.State == cluster.NodeDown {
			weight = 0 // dynamic quorum takes the vote of a node that has left
		}
		list = append(list, instance("MSCluster_Node", byName,
			"Name", n.Name, "Id", fmt.Sprint(n.ID), "Caption", n.Name, "Description", nil, "State", uint32(n.State), "NodeWeight", 1, "DynamicWeight", weight,
			"NodeDrainStatus", 0, "NodeDrainTarget", nil, "StatusInformation", uint32(n.Status), "NeedsPreventQuorum", 0, "BuildNumber", 20348,
			"MajorVersion", 10, "MinorVersion", 0, "NodeHighestVersion", 655360, "NodeLowestVersion", 655360, "FaultDomain", []string(nil)))
	}
	return list
}

// noOwner is DefaultOwner's word for none (0xFFFFFFFF).
const noOwner = uint32(0xFFFFFFFF)

func groupObject(name string, kind uint32, owner string, state cluster.GroupState, status cluster.GroupStatus, persistent, core bool, threshold int) wsmanserver.Instance {
	return instance("MSCluster_ResourceGroup", byName,
		"Name", name, "Id", fmt.Sprintf("%08x-0000-4000-9000-%012x", len(name), sum(name)), "Caption", name, "Description", "", "GroupType", kind, "State", uint32(state),
		"OwnerNode", owner, "StatusInformation", uint64(status), "Priority", 2000, "PersistentState", persistent, "DefaultOwner", noOwner,
		"FailoverThreshold", uint32(threshold), "FailoverPeriod", 6, "ResiliencyPeriod", 0, "AutoFailbackType", 0, "IsCore", core,
		"AntiAffinityClassNames", []string(nil), "FailbackWindowStart", int32(-1), "FailbackWindowEnd", int32(-1), "PreferredSite", []string(nil))
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
	list := []wsmanserver.Instance{groupObject(coreGroup, 1, coreOwner(m), cluster.GroupOnline, 0, true, true, len(m.Nodes)-1)}
	for _, v := range m.VMs {
		list = append(list, groupObject(v.Group, cluster.GroupTypeVM, v.Owner, v.GroupState, v.GroupStatus, v.PersistentState, false, len(m.Nodes)-1))
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
		"RestartAction", 2, "RestartThreshold", 3, "RestartPeriod", 900000, "RestartDelay", 500, "PendingTimeout", 180000, "RetryPeriodOnFailure", 3600000,
		"IsAlivePollInterval", noOwner, "LooksAlivePollInterval", noOwner, "IsClusterSharedVolume", false, "CoreResource", false, "QuorumCapable", false,
		"PersistentState", true, "PrivateProperties", private)
}

func resourceObjects(m *model.Model) []wsmanserver.Instance {
	list := []wsmanserver.Instance{
		resourceObject("Cluster Name", "Network Name", coreGroup, coreOwner(m), cluster.ResourceOnline, nil),
		resourceObject(witnessName, witnessName, coreGroup, coreOwner(m), m.Witness, nil),
	}
	for _, v := range m.VMs {
		private := instance("MSCluster_Property_Virtual_Machine", nil, "VmID", v.ID, "CheckHeartbeat", 0, "OfflineAction", 1, "ShutdownAction", 0)
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
			case !n.Powered:
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

func volumeObjects(m *model.Model) []wsmanserver.Instance {
	return []wsmanserver.Instance{instance("MSCluster_ClusterSharedVolume", byName, "Name", `C:\ClusterStorage\Volume1`, "Caption", volumeName, "Description", "",
		"VolumeName", `\\?\Volume{6f0d3a2e-0000-4000-8000-000000000001}\`, "VolumeOffset", uint64(0), "FaultState", uint32(m.Volume), "BackupState", uint32(0))}
}

// quorumResource points from the cluster to its witness.
func quorumResource(m *model.Model) []wsmanserver.Instance {
	return []wsmanserver.Instance{instance("MSCluster_ClusterToQuorumResource", []string{"GroupComponent", "PartComponent"},
		"GroupComponent", reference("MSCluster_Cluster", m.Spec.Cluster), "PartComponent", reference("MSCluster_Resource", witnessName))}
}

func possibleOwners(m *model.Model) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, v := range m.VMs {
		for _, n := range m.Nodes {
			list = append(list, instance("MSCluster_ResourceToPossibleOwner", []string{"GroupComponent", "PartComponent"},
				"GroupComponent", reference("MSCluster_Resource", "Virtual Machine "+v.Name), "PartComponent", reference("MSCluster_Node", n.Name)))
		}
	}
	return list
}

func preferredNodes(m *model.Model) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, v := range m.VMs[:min(1, len(m.VMs))] { // one group with a preference is enough to read
		for _, n := range m.Nodes[:min(2, len(m.Nodes))] {
			list = append(list, instance("MSCluster_ResourceGroupToPreferredNode", []string{"GroupComponent", "PartComponent"},
				"GroupComponent", reference("MSCluster_ResourceGroup", v.Group), "PartComponent", reference("MSCluster_Node", n.Name)))
		}
	}
	return list
}

// clusterMethods are what may be done to a group.
func clusterMethods() map[string]map[string]method {
	group := func(name string, do func(*model.Model, *model.VM, wsmanserver.Parameters) bool) method {
		return func(m *model.Model, keys wsmanserver.Selectors, params wsmanserver.Parameters) (wsmanserver.Output, error) {
			key, _ := keys.Value("Name")
			for _, v := range m.VMs {
				if v.Group != key {
					continue
				}
				m.Received(v, "MSCluster_ResourceGroup."+name, key)
				if !do(m, v, params) {
					return wsmanserver.Output{}, &wsmanserver.ProviderError{HRESULT: errNotInState, Message: "The group or resource is not in the correct state to perform the requested operation."}
				}
				return wsmanserver.Output{}, nil
			}
			return wsmanserver.Output{}, wsmanserver.ErrAccessDenied // the cluster's own groups are nobody's to move here
		}
	}
	move := func(m *model.Model, v *model.VM, p wsmanserver.Parameters) bool {
		to, _ := p.String("NodeName")
		return m.Move(v, to)
	}
	return map[string]map[string]method{"mscluster_resourcegroup": {
		"movetonewnode":       group("MoveToNewNode", move),
		"movetonewnodeparams": group("MoveToNewNodeParams", move),
		"bringonline":         group("BringOnline", func(m *model.Model, v *model.VM, _ wsmanserver.Parameters) bool { return m.BringOnline(v) }),
		"takeoffline": group("TakeOffline", func(m *model.Model, v *model.VM, _ wsmanserver.Parameters) bool {
			m.TakeOffline(v)
			return true
		}),
	}}
}
