package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

// The largest cluster that Windows Server has: 64 nodes and 8,000 virtual machines (learn.microsoft.com, "Plan for
// Hyper-V scalability"). ours of the machines are in the inventory.
const (
	largeName  = "large"
	largeNodes = 64
	largeVMs   = 8000
	largeOurs  = 1000

	largeWitness = "File Share Witness"
)

func largeNode(i int) string { return fmt.Sprintf("HV%02d", i) }
func largeVM(i int) string   { return fmt.Sprintf("SQL%05d", i) }

// largest is that cluster as each of its nodes tells it. Names of classes and properties are those of the lab.
type largest struct{}

var (
	_ wsmanserver.Provider = largest{}
	_ wsmanserver.Referrer = largest{}
)

// References implements wsmanserver.Referrer: every node may own every resource.
func (largest) References(_ context.Context, _, class, _ string, to wsmanserver.Reference) ([]wsmanserver.Instance, error) {
	if !strings.EqualFold(class, "MSCluster_ResourceToPossibleOwner") {
		return nil, wsmanserver.ErrUnknownClass
	}
	return list(largeNodes, func(i int) wsmanserver.Instance { return joins(class, to, by("MSCluster_Node", largeNode(i))) }), nil
}

// Invoke implements wsmanserver.Provider: nothing is commanded.
func (largest) Invoke(context.Context, string, string, wsmanserver.Selectors, string, wsmanserver.Parameters) (wsmanserver.Output, error) {
	return wsmanserver.Output{}, wsmanserver.ErrUnknownMethod
}

// Instances implements wsmanserver.Provider.
func (largest) Instances(_ context.Context, namespace, class string) ([]wsmanserver.Instance, error) {
	if namespace != "root/mscluster" {
		return nil, wsmanserver.ErrUnknownNamespace
	}
	switch strings.ToLower(class) {
	case "mscluster_cluster":
		return []wsmanserver.Instance{object("MSCluster_Cluster", "Name", largeName, "Fqdn", largeName+".corp.example", "ClusterFunctionalLevel", 11,
			"SameSubnetDelay", 1000, "SameSubnetThreshold", 20, "CrossSubnetDelay", 1000, "CrossSubnetThreshold", 20, "ResiliencyDefaultPeriod", 240, "ResiliencyLevel", 2,
			"AutoBalancerMode", 2, "AutoBalancerLevel", 1, "QuorumTypeValue", 3, "WitnessDynamicWeight", 1)}, nil
	case "mscluster_node":
		return list(largeNodes, func(i int) wsmanserver.Instance {
			return object("MSCluster_Node", "Name", largeNode(i), "State", 0, "StatusInformation", 0, "NodeDrainStatus", 0, "NodeWeight", 1, "DynamicWeight", 1)
		}), nil
	case "mscluster_resourcegroup":
		return list(largeVMs, func(i int) wsmanserver.Instance {
			return object("MSCluster_ResourceGroup", "Name", largeVM(i), "Id", fmt.Sprintf("6f9619ff-8b86-d011-b42d-%012d", i), "GroupType", 111, "State", 0,
				"OwnerNode", largeNode(i%largeNodes), "StatusInformation", uint64(1536), "Priority", 2000, "PersistentState", true, "DefaultOwner", uint32(0xFFFFFFFF),
				"FailoverThreshold", uint32(0xFFFFFFFF), "FailoverPeriod", 6, "ResiliencyPeriod", 0, "IsCore", false)
		}), nil
	case "mscluster_resource":
		return append(list(2*largeVMs, func(i int) wsmanserver.Instance {
			vm, kind := i/2, "Virtual Machine"
			if i%2 == 1 {
				kind = "Virtual Machine Configuration"
			}
			private := object("MSCluster_Property_Resource_Virtual_Machine", "VmID", fmt.Sprintf("A0000000-0000-4000-8000-%012X", vm), "CheckHeartbeat", 1, "OfflineAction", 1)
			return object("MSCluster_Resource", "Name", kind+" "+largeVM(vm), "Type", kind, "OwnerGroup", largeVM(vm), "OwnerNode", largeNode(vm%largeNodes), "State", 2,
				"StatusInformation", uint64(384), "LastOperationStatusCode", uint64(0), "PersistentState", true, "PrivateProperties", private)
		}), object("MSCluster_Resource", "Name", largeWitness, "Type", "File Share Witness", "OwnerGroup", "Cluster Group", "OwnerNode", largeNode(0), "State", 2,
			"StatusInformation", uint64(0), "LastOperationStatusCode", uint64(0), "PersistentState", true, "PrivateProperties", nil)), nil
	case "mscluster_clustertoquorumresource":
		return []wsmanserver.Instance{joins(class, by("MSCluster_Cluster", largeName), by("MSCluster_Resource", largeWitness))}, nil
	case "mscluster_network":
		return list(4, func(i int) wsmanserver.Instance {
			return object("MSCluster_Network", "Name", fmt.Sprintf("Network %d", i), "Address", fmt.Sprintf("10.%d.0.0", i), "Role", 3, "State", 3)
		}), nil
	case "mscluster_networkinterface":
		return list(4*largeNodes, func(i int) wsmanserver.Instance {
			node, network := largeNode(i/4), fmt.Sprintf("Network %d", i%4)
			return object("MSCluster_NetworkInterface", "Name", node+" - "+network, "Node", node, "Network", network, "Adapter", "Ethernet", "Address", fmt.Sprintf("10.%d.0.%d", i%4, i/4+1), "State", 3)
		}), nil
	case "mscluster_clustersharedvolume":
		return list(largeNodes, func(i int) wsmanserver.Instance {
			return object("MSCluster_ClusterSharedVolume", "Name", fmt.Sprintf(`C:\ClusterStorage\Volume%d`, i), "VolumeName", fmt.Sprintf(`\\?\Volume{%012d}\`, i), "FaultState", 0)
		}), nil
	case "mscluster_diskpartition":
		return list(largeNodes, func(i int) wsmanserver.Instance {
			return object("MSCluster_DiskPartition", "Path", fmt.Sprintf(`\\?\Volume{%012d}\`, i), "VolumeLabel", "Data", "VolumeGuid", fmt.Sprintf("%012d", i),
				"TotalSize", uint32(1<<22), "FreeSpace", uint32(1<<21))
		}), nil
	case "mscluster_resourcegrouptopreferrednode":
		return list(largeVMs/4, func(i int) wsmanserver.Instance {
			return joins("MSCluster_ResourceGroupToPreferredNode", by("MSCluster_ResourceGroup", largeVM(4*i)), by("MSCluster_Node", largeNode(i%largeNodes)))
		}), nil
	}
	return nil, wsmanserver.ErrUnknownClass
}

// list makes n objects.
func list(n int, one func(int) wsmanserver.Instance) []wsmanserver.Instance {
	out := make([]wsmanserver.Instance, n)
	for i := range out {
		out[i] = one(i)
	}
	return out
}

// object makes one of names and values.
func object(class string, pairs ...any) wsmanserver.Instance {
	i := wsmanserver.Instance{Class: class, Keys: []string{"Name"}}
	for n := 0; n < len(pairs); n += 2 {
		i.Properties = append(i.Properties, wsmanserver.Property{Name: pairs[n].(string), Value: pairs[n+1]})
	}
	return i
}

// by refers to an object by its name.
func by(class, name string) wsmanserver.Reference {
	return wsmanserver.Reference{Class: class, Keys: wsmanserver.Selectors{{Name: "Name", Value: name}}}
}

// joins is a row of an association.
func joins(class string, whole, part wsmanserver.Reference) wsmanserver.Instance {
	return wsmanserver.Instance{Class: class, Keys: []string{"GroupComponent", "PartComponent"}, Properties: []wsmanserver.Property{
		{Name: "GroupComponent", Value: whole}, {Name: "PartComponent", Value: part},
	}}
}
