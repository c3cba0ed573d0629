package model

import (
	"fmt"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// Who is a member of the cluster.

// joinTime is how long a cluster service takes from its start to its membership (the lab's own).
const joinTime = 3 * time.Second

// powerOff ends a node at once, for whatever reason. The cluster notices after its heartbeat time; until then the other
// nodes go on calling it Up.
func (m *Model) powerOff(n *Node, why *stopError) {
	n.Powered, n.Clustering, n.Deaf, n.Hung = false, false, false, false
	n.Starved, n.ran = Pressure{}, 0
	n.stopped = why
	m.haltAll(n)
	m.lost(n)
}

// haltAll ends the virtual machines that a node runs.
func (m *Model) haltAll(n *Node) {
	for _, v := range m.VMs {
		if v.Owner == n.Name {
			m.endMove(v)
			m.halt(v, GuestOff)
			v.State, v.Changed, v.Heartbeat = cluster.VMOff, m.now, cluster.HeartbeatAbsent
		}
	}
}

// lost lets a node's heartbeats stay away. After the heartbeat time the members remove it: it is isolated, and its groups
// unmonitored, for the resiliency period; then they fail over ("Virtual Machine Compute Resiliency in Windows Server
// 2016", blogs.msdn.microsoft.com/clustering). One that left too often is quarantined instead.
func (m *Model) lost(n *Node) {
	n.life++
	life := n.life
	still := func(do func()) func() {
		return func() {
			if n.life == life {
				do()
			}
		}
	}
	p := m.Spec.Profile
	m.after(p.HeartbeatDelay*time.Duration(p.HeartbeatThreshold), still(func() {
		if !m.formed(n) {
			return
		}
		member := n.State != cluster.NodeDown
		if !member && n.Status&cluster.NodeIsolated == 0 { // it had left before, in good order or for good
			m.ended(n)
			return
		}
		n.State = cluster.NodeDown
		n.Alone = n.Cut && n.Clustering
		if member {
			n.left = append(n.left, m.now)
			for _, other := range m.up() {
				m.clusterLog(other, EventNodeRemoved, n.Name)
			}
		}
		if m.quarantines(n) {
			m.shutOut(n)
			m.ended(n)
			return
		}
		n.Status = cluster.NodeIsolated
		for _, v := range m.VMs {
			if v.Owner == n.Name {
				v.GroupStatus |= cluster.GroupUnmonitored
				v.GroupStatus &^= cluster.GroupOSHeartbeat
			}
		}
		m.after(p.Resiliency, still(func() {
			n.Status &^= cluster.NodeIsolated
			m.ended(n)
		}))
	}))
}

// ended is the end of a node's grace. A node that lives has no quorum by itself: its cluster service ends, and with it the
// virtual machines. The members fail over what it had.
func (m *Model) ended(n *Node) {
	if n.Powered && n.Clustering {
		n.Clustering, n.Alone = false, false
		m.clusterLog(n, EventQuorumLost)
		m.haltAll(n)
	}
	for _, v := range m.VMs {
		if v.Owner == n.Name {
			m.failOver(v)
		}
	}
}

// formed reports whether there is a cluster left for a node to be removed from. Where every node is cut off there is none.
func (m *Model) formed(without *Node) bool {
	return slices.ContainsFunc(m.Nodes, func(n *Node) bool { return n != without && !n.Cut })
}

// quarantines reports whether a node has left so often that the cluster shuts it out: at most a quarter of the nodes at
// once, of fewer than four one ("Mastering Windows Server 2016 Hyper-V", John Savill: no more than 25 percent; that a
// small cluster has one all the same is what its administrators report).
func (m *Model) quarantines(n *Node) bool {
	e := m.Spec.Era
	if e.Quarantine == 0 {
		return false
	}
	n.left = slices.DeleteFunc(n.left, func(at time.Time) bool { return m.now.Sub(at) >= e.QuarantineWindow })
	others := 0
	for _, o := range m.Nodes {
		if o != n && o.Status&cluster.NodeQuarantined != 0 {
			others++
		}
	}
	return len(n.left) >= e.Quarantine && others < max(1, len(m.Nodes)/4)
}

// shutOut begins a node's quarantine. It joins again by itself when that is over.
func (m *Model) shutOut(n *Node) {
	until := m.now.Add(m.Spec.Era.QuarantineFor)
	n.State, n.Status, n.Alone = cluster.NodeDown, cluster.NodeQuarantined, false
	for _, other := range m.up() {
		m.clusterLog(other, EventQuarantined, n.Name, fmt.Sprint(m.Spec.Era.Quarantine), until.UTC().Format(time.RFC3339))
	}
	m.after(m.Spec.Era.QuarantineFor, func() { m.clearQuarantine(n) })
}

// clearQuarantine is Start-ClusterNode -ClearQuarantine, or the end of the time.
func (m *Model) clearQuarantine(n *Node) {
	if n.Status&cluster.NodeQuarantined == 0 {
		return
	}
	n.Status, n.left = 0, nil
	if n.Powered && !n.Cut {
		m.startClustering(n)
	}
}

// powerOn boots a node; it joins the cluster again. A node that comes back within the resiliency period brings its
// virtual machines back itself.
func (m *Model) powerOn(n *Node) {
	if n.Powered {
		return
	}
	n.Powered, n.Booted = true, m.now
	n.life++
	life := n.life
	m.after(m.Spec.Profile.NodeBoot, func() {
		if n.life == life {
			m.tellStop(n)
			m.join(n)
		}
	})
}

// startClustering starts a node's cluster service.
func (m *Model) startClustering(n *Node) {
	n.life++
	life := n.life
	m.after(joinTime, func() {
		if n.life == life {
			m.join(n)
		}
	})
}

// join makes a node that lives a member again, unless it is shut out or cut off. What it had is started.
func (m *Model) join(n *Node) {
	if n.Status&cluster.NodeQuarantined != 0 || n.Cut {
		return
	}
	n.State, n.Status, n.Clustering, n.Alone = cluster.NodeUp, 0, true, false
	for _, v := range m.VMs {
		if v.Owner != n.Name {
			continue
		}
		v.GroupStatus &^= cluster.GroupUnmonitored
		switch {
		case v.State == cluster.VMOff && v.PersistentState && m.diskless():
			v.GroupState = cluster.GroupFailed
		case v.State == cluster.VMOff && v.PersistentState:
			v.GroupState = cluster.GroupOnline
			v.Counts.RestartsByCluster = append(v.Counts.RestartsByCluster, Count{m.now, "on " + n.Name, "its host is back"})
			m.boot(v)
		case v.Heartbeat == cluster.HeartbeatOK:
			v.GroupStatus |= cluster.GroupOSHeartbeat
		}
	}
}

// NodeState is a node's state as another one sees it: one that is alone sees nobody but itself.
func (m *Model) NodeState(by string, n *Node) cluster.NodeState {
	if viewer := m.Node(by); viewer != nil && viewer.Alone {
		if viewer == n {
			return cluster.NodeUp
		}
		return cluster.NodeDown
	}
	return n.State
}

// cut takes the networks between a node and all others away, which are not those of its clients and its monitors.
func (m *Model) cut(n *Node) {
	n.Cut = true
	m.lost(n)
}

// mend brings them back.
func (m *Model) mend(n *Node) {
	n.Cut = false
	switch {
	case !n.Powered:
	case n.Clustering: // it was not away for long enough to lose what it runs
		n.life++
		m.join(n)
	default:
		m.startClustering(n)
	}
}

// loseQuorum cuts every node off. None has a majority: the cluster service ends on each, and its virtual machines with it.
// The resiliency period is that of a node which an active cluster has removed; there is none any more.
func (m *Model) loseQuorum() {
	p := m.Spec.Profile
	m.Witness = cluster.ResourceFailed
	for _, n := range m.Nodes {
		n.Cut = true
		n.life++
		life := n.life
		m.after(p.HeartbeatDelay*time.Duration(p.HeartbeatThreshold), func() {
			if n.life != life || !n.Powered {
				return
			}
			n.State, n.Clustering = cluster.NodeDown, false
			m.clusterLog(n, EventQuorumLost)
			m.haltAll(n)
		})
	}
}

// regainQuorum brings the networks and the witness back: the cluster forms anew, and starts what it had.
func (m *Model) regainQuorum() {
	m.Witness = cluster.ResourceOnline
	for _, n := range m.Nodes {
		m.mend(n)
	}
}

// stopClustering is a person's stop of a node's cluster service: its groups go to the others first.
func (m *Model) stopClustering(n *Node) {
	n.life++
	n.State, n.Status, n.Clustering = cluster.NodeDown, 0, false
	m.record(&n.Events, Event{Log: "System", ID: 7036, Source: "Service Control Manager", Strings: []string{"Cluster Service", "stopped"}})
	m.handOver(n, "cluster service stopped")
}

// handOver has the cluster bring everything that a leaving node runs to others: live, or saved where the era knows no
// drain. What nobody can take ends with the node.
func (m *Model) handOver(n *Node, why string) {
	how := cluster.VMLiveMigration
	if !m.Spec.Era.Drains {
		how = cluster.VMSave
	}
	for _, v := range m.VMs {
		if v.Owner != n.Name || v.State != cluster.VMRunning {
			continue
		}
		m.endMove(v)
		if to := m.target(v); to != nil {
			m.transfer(v, to.Name, how, why)
			continue
		}
		m.halt(v, GuestOff)
		v.State, v.Changed, v.Heartbeat = cluster.VMOff, m.now, cluster.HeartbeatAbsent
		v.GroupState = cluster.GroupFailed
	}
}

// drain pauses a node and moves what it runs away, one after the other (learn.microsoft.com, Suspend-ClusterNode -Drain).
// In an era without it a person pauses and moves by hand, and the node's status says nothing.
func (m *Model) drain(n *Node) {
	n.State = cluster.NodePaused
	status := func(s cluster.NodeStatus) {
		if m.Spec.Era.Name != Era2008R2 {
			n.Status = s
		}
	}
	status(cluster.NodeDrainInProgress)
	life := n.life
	var next func()
	next = func() {
		if n.life != life || n.State != cluster.NodePaused {
			return
		}
		for _, v := range m.VMs {
			if v.Owner != n.Name || v.State != cluster.VMRunning {
				continue
			}
			to := m.target(v)
			if to == nil {
				status(cluster.NodeDrainFailed)
				return
			}
			if v.moving == nil && v.GroupState == cluster.GroupOnline {
				m.transfer(v, to.Name, cluster.VMLiveMigration, "drain")
			}
			m.after(time.Second, next)
			return
		}
		status(cluster.NodeDrainCompleted)
	}
	next()
}

// resumeNode ends a pause.
func (m *Model) resumeNode(n *Node) {
	if n.State == cluster.NodePaused {
		n.State, n.Status = cluster.NodeUp, 0
	}
}

// transfer begins a move that nobody commanded through the cluster's methods.
func (m *Model) transfer(v *VM, node string, how cluster.VMContext, why string) {
	v.moving = &moving{to: node, how: how, why: why}
	v.GroupState = cluster.GroupPending
	if how == cluster.VMLiveMigration {
		m.migrate(v, node)
		return
	}
	m.quickMigrate(v, node)
}

// stopError is why a host went down.
type stopError struct {
	code      string // of the bug check, as event 1001 has it; empty where the machine could not write a dump any more
	component string // that WHEA blames; empty where it blames none
	restarts  bool   // by itself, when it has written its dump
}

// tellStop writes what a host that has come back knows of its end: 6008 of the event log and 41 of the kernel always, 1001
// where there was a bug check, 18 of WHEA-Logger where the processor reported a fatal error (learn.microsoft.com, "Event
// ID 18: Microsoft-Windows-WHEA-Logger", "Event ID 41", "Event ID 6008").
func (m *Model) tellStop(n *Node) {
	if n.stopped == nil {
		return
	}
	write := func(id uint32, source string, strings ...string) {
		m.record(&n.Events, Event{Log: "System", ID: id, Source: source, Strings: strings})
	}
	write(6008, "EventLog")
	write(41, "Microsoft-Windows-Kernel-Power")
	if n.stopped.component != "" {
		write(18, "Microsoft-Windows-WHEA-Logger", n.stopped.component)
	}
	if n.stopped.code != "" {
		write(1001, "Microsoft-Windows-WER-SystemErrorReporting", n.stopped.code)
	}
	n.stopped = nil
}
