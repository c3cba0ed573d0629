package guard

import (
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// clusterGate is G19: every configured node was asked for its view; those that answer must agree about owner,
// group and membership, quorum must be shown, and the owner must be Up where the rung needs it.
func clusterGate(in Input) Verdict {
	round, ok := in.last()
	if !ok {
		return hold("no_evidence", in.soon(), "no evidence has been read yet")
	}
	var first *cluster.View
	for _, reading := range round.KnownViews() {
		v := reading.Value
		if first == nil {
			first = &v
			continue
		}
		if what, differ := differs(*first, v, in.Group); differ {
			return hold("views_differ", in.soon(), "%s and %s disagree about %s: the cluster may be partitioned", first.By, v.By, what)
		}
	}
	if first == nil {
		return hold("no_view", in.soon(), "no configured node of cluster %s answers; nobody can show quorum", in.Subject.Cluster)
	}
	current, needed := first.Votes()
	if current < needed {
		return hold("no_quorum", in.soon(), "%d of %d needed votes are present, says %s", current, needed, first.By)
	}
	group, ok := first.Group(in.Group)
	if !ok {
		return refuse("no_group", "cluster %s has no group %q", in.Subject.Cluster, in.Group).
			unblocked("correct group: of %s in hypervigil.yml", in.Subject.VM)
	}
	const moving = cluster.GroupWaitingInQueueForMove | cluster.GroupWaitingToStart | cluster.GroupUnmonitored
	if group.Status&moving != 0 {
		return hold("group_status", in.soon(), "the group's status is %#x: the cluster is at it", uint64(group.Status))
	}
	owner, ok := first.Node(group.Owner)
	if !ok {
		return hold("no_owner", in.soon(), "the group's owner %q is no node of the cluster", group.Owner)
	}
	switch in.Rung.Kind() {
	case config.OnService:
		if view := round.Views[group.Owner]; !view.Known() {
			return hold("owner_silent", in.soon(), "owner %s does not answer (%s)", group.Owner, view.Failure)
		}
		if !round.Guest.Known() {
			return hold("guest_silent", in.soon(), "the guest does not answer (%s)", round.Guest.Failure)
		}
		if group.State != cluster.GroupOnline {
			return hold("group_state", in.soon(), "the group is in state %d, not online", group.State)
		}
	case config.OnVM:
		if owner.State != cluster.NodeUp {
			return hold("owner_state", in.soon(), "owner %s is in state %d, not up", group.Owner, owner.State)
		}
		// What is sent goes to the owner, or changes what it runs: the cluster's word for it is not enough.
		if view := round.Views[group.Owner]; !view.Known() {
			return hold("owner_silent", in.soon(), "owner %s does not answer (%s)", group.Owner, view.Failure)
		}
	case config.OnNode:
		if v := in.mayMove(round, *first, group, owner); v.Outcome != Pass {
			return v
		}
	}
	return pass("%d of %d needed votes, the views agree, owner %s", current, needed, group.Owner)
}

// mayMove: a group is moved only in a cluster that is whole and that nobody is working on: a second node could take it, none
// joins, is paused or drained, as an update run does with one after the other, and all are of one functional level.
func (in Input) mayMove(round evidence.Round, view cluster.View, group cluster.Group, owner cluster.Node) Verdict {
	const draining = cluster.NodeDrainInProgress | cluster.NodeDrainCompleted | cluster.NodeDrainFailed
	eligible := 0
	for _, n := range view.Nodes {
		switch {
		case n.State == cluster.NodeJoining:
			return hold("joining", in.soon(), "node %s is joining the cluster", n.Name)
		case n.State == cluster.NodePaused || n.Status&draining != 0:
			return hold("update_run", in.soon(), "node %s is paused or drained: somebody, or an update run, is at work on the cluster", n.Name)
		case n.Name != group.Owner && n.State == cluster.NodeUp && n.Status == 0:
			eligible++
		}
	}
	switch p := round.Placement; {
	case group.State != cluster.GroupOnline:
		return hold("group_state", in.soon(), "the group is in state %d, not online", group.State)
	case owner.State != cluster.NodeUp:
		return hold("owner_state", in.soon(), "owner %s is in state %d, not up", group.Owner, owner.State)
	case eligible == 0:
		return refuse("no_target", "no other node is up and normal")
	case !p.Known():
		return hold("unreadable", in.soon(), "the functional levels of the nodes could not be read")
	default:
		for _, n := range p.Value.Nodes {
			if n.Version != p.Value.FunctionalLevel {
				return hold("mixed_level", in.soon(), "the cluster is at functional level %d and node %s can do %d: it is being upgraded",
					p.Value.FunctionalLevel, n.Name, n.Version).unblocked("finish the upgrade (Update-ClusterFunctionalLevel)")
			}
		}
	}
	return pass("the cluster is whole")
}

// differs names what two views disagree about.
func differs(a, b cluster.View, group string) (string, bool) {
	ga, oka := a.Group(group)
	gb, okb := b.Group(group)
	if oka != okb || ga.Owner != gb.Owner {
		return "the owner of " + group, true
	}
	if ga.State != gb.State {
		return "the state of " + group, true
	}
	if len(a.Nodes) != len(b.Nodes) {
		return "the membership", true
	}
	for _, n := range a.Nodes {
		m, ok := b.Node(n.Name)
		if !ok || m.State != n.State {
			return "the state of node " + n.Name, true
		}
	}
	return "", false
}
