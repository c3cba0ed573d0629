package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// Placement is what one node of the cluster says about where a group may run: the settings that people made, and the
// nodes as they are.
type Placement struct {
	By    string          `json:"by"`
	Group string          `json:"group"`
	Nodes []PlacementNode `json:"nodes"`
	// FunctionalLevel is the cluster's (MSCluster_Cluster.ClusterFunctionalLevel).
	FunctionalLevel uint32 `json:"functional_level"`
	// PossibleOwners are the nodes that every resource of the group may run on; PreferredOwners are the group's, first
	// choice first, none where nobody set any.
	PossibleOwners  []string `json:"possible_owners"`
	PreferredOwners []string `json:"preferred_owners,omitempty"`
	// AntiAffinity are the group's AntiAffinityClassNames, and Apart the groups that share one of them.
	AntiAffinity []string      `json:"anti_affinity,omitempty"`
	Apart        []PlacedGroup `json:"apart,omitempty"`
}

// PlacementNode is a node of the cluster as far as placing a group on it is concerned.
type PlacementNode struct {
	Name   string     `json:"name"`
	State  NodeState  `json:"state"`
	Status NodeStatus `json:"status"`
	// Version is the cluster functional level that the node's Windows is capable of: the high word of
	// MSCluster_Node.NodeHighestVersion (clusapi.h, CLUSTER_GET_MAJOR_VERSION). Nodes of several, or above the cluster's,
	// are a cluster that is being upgraded.
	Version uint32 `json:"version"`
	// FaultDomain is MSCluster_Node.FaultDomain as it is written: the node's site, rack and chassis; empty where nobody
	// described them (learn.microsoft.com, "FaultDomain", node common properties).
	FaultDomain []string `json:"fault_domain,omitempty"`
}

// PlacedGroup is another group and where it is.
type PlacedGroup struct {
	Name  string `json:"name"`
	Owner string `json:"owner"`
}

// Node returns the node of that name.
func (p Placement) Node(name string) (PlacementNode, bool) {
	for _, n := range p.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return PlacementNode{}, false
}

// The projections of Placement. NodeHighestVersion, FaultDomain and AntiAffinityClassNames are of Windows Server 2016
// and later (learn.microsoft.com, "MSCluster_Node class", "MSCluster_ResourceGroup class").
const (
	selectPlacementNodes  = "SELECT Name, State, StatusInformation, NodeHighestVersion, FaultDomain FROM MSCluster_Node"
	selectPlacementGroups = "SELECT Name, OwnerNode, AntiAffinityClassNames FROM MSCluster_ResourceGroup"
	selectPlacementLevel  = "SELECT ClusterFunctionalLevel FROM MSCluster_Cluster"
)

// Placement reads where a group may run, as this node tells it. It reads every node and every group: on a large cluster
// this is not small, and belongs before a move and nowhere else.
func (h *Host) Placement(ctx context.Context, group string) (Placement, error) {
	type placed struct {
		PlacedGroup
		classes []string
	}
	p := Placement{By: h.name, Group: group}
	var groups []placed
	var resources []string
	var possible, preferred map[string][]string
	err := together(
		ctx,
		into(&p.Nodes, func(ctx context.Context) ([]PlacementNode, error) {
			return all(ctx, &h.machine, nsCluster, selectPlacementNodes, func(f *fields) PlacementNode {
				return PlacementNode{
					Name: f.mustText("Name"), State: NodeState(f.state("State")), Status: NodeStatus(f.mustUint32("StatusInformation")),
					Version: f.mustUint32("NodeHighestVersion") >> 16, FaultDomain: f.texts("FaultDomain"),
				}
			})
		}),
		into(&groups, func(ctx context.Context) ([]placed, error) {
			return all(ctx, &h.machine, nsCluster, selectPlacementGroups, func(f *fields) placed {
				return placed{PlacedGroup{f.mustText("Name"), f.text("OwnerNode")}, f.texts("AntiAffinityClassNames")}
			})
		}),
		into(&p.FunctionalLevel, func(ctx context.Context) (uint32, error) {
			return one(ctx, &h.machine, nsCluster, selectPlacementLevel, func(f *fields) uint32 { return f.mustUint32("ClusterFunctionalLevel") })
		}),
		into(&possible, func(ctx context.Context) (owners map[string][]string, err error) {
			resources, err = all(ctx, &h.machine, nsCluster, "SELECT Name FROM MSCluster_Resource WHERE OwnerGroup = "+wsman.Quote(group),
				func(f *fields) string { return f.mustText("Name") })
			if err != nil {
				return nil, err
			}
			return h.PossibleOwnersOf(ctx, resources)
		}),
		into(&preferred, h.PreferredOwners),
	)
	if err != nil {
		return Placement{}, fmt.Errorf("read where group %s may run: %w", group, err)
	}
	n := slices.IndexFunc(groups, func(g placed) bool { return g.Name == group })
	if n < 0 || len(resources) == 0 {
		return Placement{}, fmt.Errorf("read where group %s may run: %w", group, ErrNotFound)
	}
	p.PreferredOwners, p.AntiAffinity = preferred[group], groups[n].classes
	for i, r := range resources {
		owners, ok := possible[r]
		if !ok {
			return Placement{}, fmt.Errorf("read where group %s may run: who may own resource %s is not told", group, r)
		}
		if i == 0 {
			p.PossibleOwners = slices.Clone(owners)
		}
		p.PossibleOwners = slices.DeleteFunc(p.PossibleOwners, func(node string) bool { return !slices.Contains(owners, node) })
	}
	for _, g := range groups {
		if g.Name != group && slices.ContainsFunc(g.classes, func(c string) bool { return slices.Contains(p.AntiAffinity, c) }) {
			p.Apart = append(p.Apart, g.PlacedGroup)
		}
	}
	return p, nil
}

// StartupMemory reads how many bytes a virtual machine of this host has at its start: the memory that it is set to have,
// or, where its memory is dynamic, begins with (Msvm_MemorySettingData.VirtualQuantity, in units of 2^20 bytes;
// learn.microsoft.com, "Msvm_MemorySettingData class").
func (h *Host) StartupMemory(ctx context.Context, id string) (uint64, error) {
	type setting struct {
		vm     string
		amount uint64
	}
	rows, err := all(ctx, &h.machine, nsHyperV, "SELECT InstanceID, VirtualQuantity FROM Msvm_MemorySettingData", func(f *fields) setting {
		vm, _ := instanceID(f.mustText("InstanceID"))
		return setting{vm, f.uint64("VirtualQuantity") * megabyte}
	})
	if err != nil {
		return 0, fmt.Errorf("read the memory setting of virtual machine %s on %s: %w", id, h.name, err)
	}
	for _, r := range rows {
		if strings.EqualFold(r.vm, guid(id)) && r.amount > 0 {
			return r.amount, nil
		}
	}
	return 0, fmt.Errorf("read the memory setting of virtual machine %s on %s: %w", id, h.name, ErrNotFound)
}
