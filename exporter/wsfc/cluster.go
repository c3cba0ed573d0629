package wsfc

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// descs describe all that a view becomes.
type descs struct {
	up, info, votesCurrent, votesNeeded, quorumType, witnessVote probe.Desc
	subnetDelay, subnetThreshold, crossDelay, crossThreshold     probe.Desc
	resiliency, resiliencyLevel, balancerMode, balancerLevel     probe.Desc

	nodeState, nodeStateCode, nodeVote, nodeDynamicVote, nodeFlag, nodeStatusCode, nodeDrain probe.Desc

	groupState, groupStateCode, groupFlag, groupStatusCode, groupOwner, groupInfo probe.Desc
	groupPriority, groupThreshold, groupPeriod, groupPersistent, vmInfo           probe.Desc

	resourceState, resourceStateCode, resourceStatusCode, resourceFlag, resourceLastStatus, resourceInfo probe.Desc
	resourcePersistent, otherResources, checkHeartbeat, offlineAction                                    probe.Desc

	views    viewDescs
	networks networkDescs
	volumes  volumeDescs
	witness  witnessDescs
	owners   ownerDescs
}

func newDescs(d probe.Descs) *descs {
	group := func(name, help string, more ...string) probe.Desc {
		return d.New(name, help, append([]string{"group", "vm"}, more...)...)
	}
	resource := func(name, help string, more ...string) probe.Desc {
		return d.New(name, help, append([]string{"group", "vm", "resource"}, more...)...)
	}
	return &descs{
		up:              d.New("wsfc_up", "1 means that a node told its view of the cluster; absent where nothing could be learnt about the cluster."),
		info:            d.New("wsfc_info", "1 always; the labels say who the cluster is, at which functional level it works, and which node told this view.", "fqdn", "functional_level", "view"),
		votesCurrent:    d.New("wsfc_quorum_votes_current", "Votes of the nodes that are up or paused, and of the witness."),
		votesNeeded:     d.New("wsfc_quorum_votes_needed", "Votes that make a majority of all: half of them, rounded down, and one."),
		quorumType:      d.New("wsfc_quorum_type_code", "The cluster's number for its kind of quorum: -1 unknown, 1 nodes, 2 file share witness, 3 disk, 4 none."),
		witnessVote:     d.New("wsfc_witness_dynamic_vote", "1 means that the witness has a vote now."),
		subnetDelay:     d.New("wsfc_same_subnet_delay_seconds", "Time between two heartbeats of nodes in one subnet."),
		subnetThreshold: d.New("wsfc_same_subnet_threshold", "Missed heartbeats after which nodes of one subnet call another down."),
		crossDelay:      d.New("wsfc_cross_subnet_delay_seconds", "Time between two heartbeats of nodes in different subnets."),
		crossThreshold:  d.New("wsfc_cross_subnet_threshold", "Missed heartbeats after which nodes of different subnets call another down."),
		resiliencyLevel: d.New("wsfc_resiliency_level", "The cluster's number for what makes it leave virtual machines alone: 1 only where a node says why it went, 2 always."),
		balancerMode:    d.New("wsfc_auto_balancer_mode", "The cluster's number for when it moves virtual machines for balance: 0 never, 1 when a node joins, 2 when a node joins and from time to time."),
		balancerLevel:   d.New("wsfc_auto_balancer_level", "How readily the cluster moves virtual machines for balance: 1 when a node is loaded above 80 %, 2 above 70 %, 3 above 5 % over the average."),
		resiliency:      d.New("wsfc_resiliency_default_period_seconds", "How long the cluster leaves virtual machines alone on a node that it lost sight of."),

		nodeState:       d.New("wsfc_node_state", "1 for the state that the node is in.", "node", "state"),
		nodeStateCode:   d.New("wsfc_node_state_code", "The cluster's number for the node's state: -1 unknown, 0 up, 1 down, 2 paused, 3 joining.", "node"),
		nodeVote:        d.New("wsfc_node_vote", "1 means that the node was given a vote.", "node"),
		nodeDynamicVote: d.New("wsfc_node_dynamic_vote", "1 means that the node has a vote now.", "node"),
		nodeFlag:        d.New("wsfc_node_status_flag", "1 means that the flag of the node's status is set.", "node", "flag"),
		nodeStatusCode:  d.New("wsfc_node_status_code", "The node's status as the cluster's bit mask; 0 is normal.", "node"),
		nodeDrain:       d.New("wsfc_node_drain_status", "1 for the state of the node's drain.", "node", "state"),

		groupState:      group("wsfc_group_state", "1 for the state that the group is in. Only for virtual machines of the inventory.", "state"),
		groupStateCode:  group("wsfc_group_state_code", "The cluster's number for the group's state: -1 unknown, 0 online, 1 offline, 2 failed, 3 partial_online, 4 pending."),
		groupFlag:       group("wsfc_group_status_flag", "1 means that the flag of the group's status is set; os_heartbeat and application_ready are good signs. Only for virtual machines of the inventory.", "flag"),
		groupStatusCode: group("wsfc_group_status_code", "The group's status as the cluster's bit mask. Only for virtual machines of the inventory."),
		groupOwner:      group("wsfc_group_owner_info", "1 for the node that owns the group; there is no series for the others.", "node"),
		groupInfo:       group("wsfc_group_info", "1 always; the labels say of which type the group is (111 is a virtual machine), whether it is the cluster's own core, and its default owner's number. Only for virtual machines of the inventory and the cluster's own core.", "type", "core", "default_owner"),
		groupPriority:   group("wsfc_group_priority", "The group's priority: 0 is not started automatically, 1000 low, 2000 medium, 3000 high. Only for virtual machines of the inventory."),
		groupThreshold:  group("wsfc_group_failover_threshold", "Failovers that the cluster allows the group within its period; 4294967295 means one less than there are nodes. Only for virtual machines of the inventory."),
		groupPeriod:     group("wsfc_group_failover_period_seconds", "The period in which the cluster counts the group's failovers. Only for virtual machines of the inventory."),
		groupPersistent: group("wsfc_group_persistent_state", "1 means that the cluster brings the group online again when it starts; 0 that somebody took it offline for good. Only for virtual machines of the inventory."),
		vmInfo:          d.New("wsfc_vm_info", "1 always; the bridge from the inventory's name of a virtual machine to Hyper-V's id and name of it and to its group.", "vm", "vm_id", "vm_name", "group"),

		resourceState:      resource("wsfc_resource_state", "1 for the state that the resource is in. Only for the resource of a virtual machine itself, of those of the inventory.", "state"),
		resourceStateCode:  resource("wsfc_resource_state_code", "The cluster's number for the resource's state: -1 unknown, 0 inherited, 1 initializing, 2 online, 3 offline, 4 failed, 128 pending, 129 online_pending, 130 offline_pending. Only for virtual machines of the inventory and the cluster's own core; wsfc_other_resources counts the rest."),
		resourceFlag:       resource("wsfc_resource_status_flag", "1 means that the flag of the resource's status is set; os_heartbeat and application_ready are good signs. Only for the resource of a virtual machine itself, of those of the inventory.", "flag"),
		resourcePersistent: resource("wsfc_resource_persistent_state", "1 means that the cluster brings the resource online again when it starts; 0 that somebody took it offline for good. Only for the resource of a virtual machine itself, of those of the inventory."),
		otherResources:     d.New("wsfc_other_resources", "How many resources are in the state that neither belong to a virtual machine of the inventory nor to the cluster's own core.", "state"),
		checkHeartbeat:     group("wsfc_vm_check_heartbeat", "1 means that the cluster watches the heartbeat of the guest and recovers the virtual machine by itself when it is lost."),
		offlineAction:      group("wsfc_vm_offline_action_code", "The cluster's number for what taking the resource of the virtual machine offline does to it: 0 turn off, 1 save, 2 shut down, 3 shut down by force."),
		resourceStatusCode: resource("wsfc_resource_status_code", "The resource's status as the cluster's bit mask; its bits are not those of a group. Only for virtual machines of the inventory."),
		resourceLastStatus: resource("wsfc_resource_last_operation_status_code", "Windows' error code of the last thing the cluster did to the resource; 0 is success. Only for virtual machines of the inventory."),
		resourceInfo:       resource("wsfc_resource_info", "1 always; the label says of which type the resource is. Only for virtual machines of the inventory and the cluster's own core.", "type"),

		views:    newViewDescs(d),
		networks: newNetworkDescs(d),
		volumes:  newVolumeDescs(d),
		witness:  newWitnessDescs(d),
		owners:   newOwnerDescs(d, group),
	}
}

// clusterCollector tells what one well node says of the cluster.
func (p *Prober) clusterCollector(r *reader) probe.Collector {
	return probe.Collector{Name: "cluster", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		var s probe.Set
		a, err := r.first(ctx, l, p.order())
		if probe.Verdict(probe.Reason(err)) {
			s.Bool(p.descs.up, err == nil)
		}
		if err != nil {
			return probe.Result{Metrics: s, Err: fmt.Errorf("read the cluster: %w", err)}
		}
		level.Debug(l).Log("msg", "cluster read", "node", a.node, "nodes", len(a.value.Nodes), "groups", len(a.value.Groups), "resources", len(a.value.Resources))
		p.remember(a.node)
		p.clusterMetrics(&s, a)
		return probe.Result{Metrics: s}
	}}
}

// clusterMetrics turns one view into metrics.
func (p *Prober) clusterMetrics(s *probe.Set, a answer) {
	d, v := p.descs, a.value
	s.Gauge(d.info, 1, v.Info.FQDN, fmt.Sprint(v.Info.FunctionalLevel), a.node)
	current, needed := v.Votes()
	s.Gauge(d.votesCurrent, float64(current))
	s.Gauge(d.votesNeeded, float64(needed))
	s.Gauge(d.quorumType, float64(v.Info.QuorumType))
	s.Gauge(d.witnessVote, float64(v.Info.WitnessDynamicWeight))
	s.Seconds(d.subnetDelay, v.Info.SameSubnetDelay)
	s.Gauge(d.subnetThreshold, float64(v.Info.SameSubnetThreshold))
	s.Seconds(d.crossDelay, v.Info.CrossSubnetDelay)
	s.Gauge(d.crossThreshold, float64(v.Info.CrossSubnetThreshold))
	s.Seconds(d.resiliency, v.Info.ResiliencyDefaultPeriod)
	s.Gauge(d.resiliencyLevel, float64(v.Info.ResiliencyLevel))
	s.Gauge(d.balancerMode, float64(v.Info.AutoBalancerMode))
	s.Gauge(d.balancerLevel, float64(v.Info.AutoBalancerLevel))
	p.nodeMetrics(s, v.Nodes)
	core := p.groupMetrics(s, v.Groups)
	p.resourceMetrics(s, v.Resources, core)
}

func (p *Prober) nodeMetrics(s *probe.Set, nodes []cluster.Node) {
	d := p.descs
	for i := range nodes {
		n := &nodes[i]
		name := p.names.node(n.Name)
		s.States(d.nodeState, nodeStates, nodeState(n.State), name)
		s.Gauge(d.nodeStateCode, float64(n.State), name)
		s.Gauge(d.nodeVote, float64(n.Weight), name)
		s.Gauge(d.nodeDynamicVote, float64(n.DynamicWeight), name)
		for _, f := range nodeFlags {
			s.Bool(d.nodeFlag, n.Status&f.bit != 0, name, f.name)
		}
		s.Gauge(d.nodeStatusCode, float64(n.Status), name)
		s.States(d.nodeDrain, drainStates, drainState(n.DrainStatus), name)
	}
}

// groupMetrics returns the names of the cluster's core groups, in lower case.
func (p *Prober) groupMetrics(s *probe.Set, groups []cluster.Group) map[string]bool {
	d := p.descs
	core := map[string]bool{}
	for i := range groups {
		g := &groups[i]
		if g.IsCore {
			core[strings.ToLower(g.Name)] = true
		}
		group, vm := p.names.group(g.Name)
		s.Gauge(d.groupStateCode, float64(g.State), group, vm)
		if g.Owner != "" {
			s.Gauge(d.groupOwner, 1, group, vm, p.names.node(g.Owner))
		}
		if vm != "" || g.IsCore {
			s.Gauge(d.groupInfo, 1, group, vm, fmt.Sprint(g.Type), fmt.Sprint(g.IsCore), defaultOwner(g.DefaultOwner))
		}
		if vm == "" {
			continue
		}
		s.Gauge(d.groupStatusCode, float64(g.Status), group, vm)
		s.States(d.groupState, groupStates, groupState(g.State), group, vm)
		for _, f := range groupFlags {
			s.Bool(d.groupFlag, g.Status&f.bit != 0, group, vm, f.name)
		}
		s.Gauge(d.groupPriority, float64(g.Priority), group, vm)
		s.Gauge(d.groupThreshold, float64(g.FailoverThreshold), group, vm)
		s.Seconds(d.groupPeriod, g.FailoverPeriod, group, vm)
		s.Bool(d.groupPersistent, g.PersistentState, group, vm)
	}
	return core
}

// noDefaultOwner is what the cluster says where a group has no default owner.
const noDefaultOwner = 0xFFFFFFFF

func defaultOwner(n uint32) string {
	if n == noDefaultOwner {
		return ""
	}
	return fmt.Sprint(n)
}

// vmResource is the type of the resource that is a virtual machine, not its configuration; it is not localised.
const vmResource = "Virtual Machine"

// resourceMetrics covers the resources of our machines and of the cluster's core one by one, and counts the others by
// state: a large cluster has two for each of thousands of machines that are not in the inventory.
func (p *Prober) resourceMetrics(s *probe.Set, resources []cluster.Resource, core map[string]bool) {
	d := p.descs
	others := map[string]int{}
	for i := range resources {
		r := &resources[i]
		group, vm := p.names.group(r.Group)
		if vm == "" && !core[strings.ToLower(r.Group)] {
			others[resourceState(r.State)]++
			continue
		}
		s.Gauge(d.resourceStateCode, float64(r.State), group, vm, r.Name)
		s.Gauge(d.resourceInfo, 1, group, vm, r.Name, r.Type)
		if vm == "" {
			continue
		}
		s.Gauge(d.resourceStatusCode, float64(r.Status), group, vm, r.Name)
		s.Gauge(d.resourceLastStatus, float64(r.LastStatus), group, vm, r.Name)
		if r.Type == vmResource {
			p.vmResourceMetrics(s, r, group, vm)
		}
	}
	for _, state := range resourceStates {
		s.Gauge(d.otherResources, float64(others[state]), state)
	}
}

// vmResourceMetrics covers the one resource of a group that is the virtual machine.
func (p *Prober) vmResourceMetrics(s *probe.Set, r *cluster.Resource, group, vm string) {
	d := p.descs
	s.States(d.resourceState, resourceStates, resourceState(r.State), group, vm, r.Name)
	for _, f := range resourceFlags {
		s.Bool(d.resourceFlag, r.Status&f.bit != 0, group, vm, r.Name, f.name)
	}
	if r.VMID != "" {
		s.Gauge(d.vmInfo, 1, vm, strings.ToUpper(r.VMID), p.cluster.VirtualMachine(vm).HyperVName(), group)
	}
	if r.PersistentState != nil {
		s.Bool(d.resourcePersistent, *r.PersistentState, group, vm, r.Name)
	}
	if r.CheckHeartbeat != nil {
		s.Bool(d.checkHeartbeat, *r.CheckHeartbeat != 0, group, vm)
	}
	if r.OfflineAction != nil {
		s.Gauge(d.offlineAction, float64(*r.OfflineAction), group, vm)
	}
}
