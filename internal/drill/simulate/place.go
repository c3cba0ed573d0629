package simulate

import (
	"maps"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// What a move's destination is chosen by: as the receiver reads it, and as it is in truth.

// placement is what the nodes tell of where a virtual machine may run.
func (w *world) placement(a evidence.Ask, vm *config.VirtualMachine, at time.Time) evidence.Reading[evidence.Placement] {
	if !w.anyNode() {
		return evidence.Reading[evidence.Placement]{At: at, Failure: dial.TCPTimeout}
	}
	v := w.model.VM(vm.Name)
	by := w.spec.Nodes[slices.IndexFunc(w.spec.Nodes, func(n string) bool { return !w.silent(n) })]
	p := evidence.Placement{
		Placement: cluster.Placement{By: by, Group: v.Group, FunctionalLevel: clusterLevel, PreferredOwners: v.Preferred, AntiAffinity: v.Apart},
		Hosts:     map[string]evidence.Reading[evidence.Capacity]{},
	}
	for _, n := range w.model.Nodes {
		node := cluster.PlacementNode{Name: n.Name, State: w.nodeState(by, n), Status: w.nodeStatus(n), Version: n.Version}
		if n.Site != "" {
			node.FaultDomain = []string{"Site:" + n.Site, "Rack:"}
		}
		p.Nodes = append(p.Nodes, node)
		if v.MayRun(n.Name) {
			p.PossibleOwners = append(p.PossibleOwners, n.Name)
		}
		why := dial.Answered
		if w.silent(n.Name) {
			why = dial.TCPTimeout
		}
		p.Hosts[n.Name] = known(evidence.Capacity{
			MemoryFree: w.model.Free(n.Name), Volumes: []cluster.SharedVolume{{Name: `C:\ClusterStorage\Volume1`, Fault: w.model.VolumeAt(n.Name)}},
			Uplinks: w.uplinks(n.Name),
		}, at, why)
	}
	for _, o := range w.model.VMs {
		if o != v && apart(v, o) {
			p.Apart = append(p.Apart, cluster.PlacedGroup{Name: o.Group, Owner: o.Owner})
		}
	}
	why := dial.Answered
	if a.Owner == "" || a.VMID == "" || w.model.Host(v) != a.Owner {
		why = dial.Other
	} else if w.silent(a.Owner) {
		why = dial.TCPTimeout
	}
	p.Memory, p.Monitored = known(v.Memory, at, why), known(w.spec.ProtectedNetwork, at, why)
	return evidence.Reading[evidence.Placement]{At: at, Value: p}
}

// uplinks are a node's: the virtual machines' board is one of two.
func (w *world) uplinks(node string) []cluster.Uplink {
	n := w.model.Node(node)
	if n == nil {
		return nil
	}
	used, unused, media := true, false, cluster.MediaConnected
	if !n.Board {
		media = cluster.MediaDisconnected
	}
	return []cluster.Uplink{{Name: "Ethernet 1", Media: cluster.MediaConnected, Bound: &unused}, {Name: "Ethernet 2", Media: media, Bound: &used}}
}

// clusterLevel is the functional level of the simulated cluster.
const clusterLevel = 10

func apart(v, o *model.VM) bool {
	return slices.ContainsFunc(v.Apart, func(c string) bool { return slices.Contains(o.Apart, c) })
}

// ineligible says for each node why it was no destination at the moment of a read; a node that is not there was one. The
// rule is the catalogue's, written down a second time.
func (w *world) ineligible(vm *config.VirtualMachine) map[string]string {
	const hour, reserve = time.Hour, 4 << 30
	v := w.model.VM(vm.Name)
	why := map[string]string{}
	for _, n := range w.model.Nodes {
		switch {
		case n.Name == v.Owner:
			why[n.Name] = "it owns it"
		case w.nodeState(n.Name, n) != cluster.NodeUp || w.nodeStatus(n) != 0 || !n.Powered:
			why[n.Name] = "it is not up and normal"
		case !v.MayRun(n.Name):
			why[n.Name] = "it may not own it"
		case n.Site != w.model.Node(v.Owner).Site:
			why[n.Name] = "it is in another site"
		case w.model.VolumeAt(n.Name) != cluster.VolumeFaultNone:
			why[n.Name] = "it does not see the volume"
		case w.model.Free(n.Name) < v.Memory+v.Memory/10+reserve:
			why[n.Name] = "it has not the memory"
		case slices.ContainsFunc(w.model.VMs, func(o *model.VM) bool { return o != v && o.Owner == n.Name && apart(v, o) }):
			why[n.Name] = "it has what is kept apart from it"
		}
		if since, left := w.judge.leftAt(vm.GroupName(), n.Name); left && w.now.Sub(since) < hour && why[n.Name] == "" {
			why[n.Name] = "the group left it within the hour"
		}
	}
	return why
}

// leftAt is when a group last left a node, by the samples that the receiver took in.
func (j *judge) leftAt(group, node string) (at time.Time, left bool) {
	h := j.history[group]
	for n := 0; n+1 < len(h); n++ {
		if h[n].Node == node {
			at, left = h[n+1].Since, true
		}
	}
	return at, left
}

// destined judges a decision to move: where to, and out of what cluster.
func (j *judge) destined(i *incident.Incident, s *snapshot, plan bool) {
	w := j.w
	to := ""
	for _, a := range i.Actions {
		if plan && a.Planned.Equal(w.now) && a.Command.To != "" {
			to = a.Command.To
		}
	}
	unfit := s.ineligible
	if i.Fault == evidence.Resource {
		unfit = maps.Clone(unfit)
		maps.Copy(unfit, s.crowded)
	}
	switch why := unfit[to]; {
	case plan && to == "":
		w.breaks(eligible, "%s: a move was planned without a destination", i.ID)
	case plan && why != "":
		w.breaks(eligible, "%s: to %s: %s", i.ID, to, why)
	case !plan && len(unfit) == len(w.model.Nodes):
		w.breaks(eligible, "%s: no node could take it: %v", i.ID, unfit)
	}
	for _, n := range w.model.Nodes {
		if n.Version != clusterLevel {
			w.breaks(clusterWhole, "%s: a move while %s is of functional level %d", i.ID, n.Name, n.Version)
		}
	}
	if i.Fault == evidence.Network && plan && !w.model.Node(to).Board {
		w.breaks(eligible, "%s: to %s, whose board is lost as well", i.ID, to)
	}
	if s.worked {
		w.breaks(clusterWhole, "%s: a move while a node is paused or drained", i.ID)
	}
	if s.group != cluster.GroupOnline {
		w.breaks(clusterWhole, "%s: a move of a group in state %d", i.ID, s.group)
	}
}

// toCluster does one command to the cluster, by the node that it is sent to.
func (w *world) toCluster(c remedy.Command) (code uint32, ok bool) {
	v := w.model.VM(c.VM.Name)
	if w.silent(c.Node) {
		return 0, false
	}
	w.model.Received(v, string(c.Method), c.Group)
	switch c.Method {
	case remedy.MoveGroup:
		how, _ := c.How.Context()
		return uint32(w.model.MoveGroup(v, c.To, how, model.MoveReturn)), true
	case remedy.BringOnline:
		return uint32(w.model.BringOnline(v)), true
	case remedy.CancelOperation:
		return uint32(w.model.CancelMove(v)), true
	}
	return 0, false
}

// unsendable is why a command does not come to whom it is sent; Answered where it does.
func (w *world) unsendable(c remedy.Command) dial.Reason {
	s, _ := c.Method.Spec()
	switch {
	case s.Target == remedy.Guest:
		return w.deaf(c.VM.Name)
	case w.silent(c.Node):
		return dial.TCPTimeout
	}
	return dial.Answered
}

// refusals are the codes by which Windows refuses a method.
func refusals(c remedy.Command) []uint32 {
	if s, _ := c.Method.Spec(); s.Target == remedy.Cluster {
		return []uint32{uint32(cluster.GroupHostNotOwner), uint32(cluster.GroupLockedStatus), uint32(cluster.GroupVetoedTarget), uint32(cluster.GroupInvalidState)}
	}
	if s, _ := c.Method.Spec(); s.Target == remedy.Host {
		return []uint32{32768, 32770, 32774, 32775, 32780}
	}
	return []uint32{7, 8, 14, 15, 21}
}
