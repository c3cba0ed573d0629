package model

import (
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// The events of the failover cluster that the model writes (learn.microsoft.com, "Failover Clustering system log
// events").
const (
	EventResourceFailed = 1069
	EventNodeRemoved    = 1135 // written by each of the others
	EventQuorumLost     = 1177 // the cluster service ends for want of it
	EventQuarantined    = 1672 // a node left too often
	EventGroupMoving    = 1641 // a role is moving from one node to another
	EventGroupFailed    = 1205 // a group did not come completely online
	EventGroupGivenUp   = 1254 // a group has failed too often: it stays as it is
)

// clusterLog writes into a node's System log.
func (m *Model) clusterLog(n *Node, id uint32, strings ...string) {
	m.record(&n.Events, Event{Log: "System", ID: id, Source: cluster.EventSourceCluster, Strings: strings})
}

// threshold is how many failovers a group may have within failoverPeriod: the default, nodes - 1 (learn.microsoft.com,
// MSCluster_ResourceGroup, FailoverThreshold).
func (m *Model) threshold() int { return len(m.Nodes) - 1 }

// failOver is the cluster's own recovery of a group, within its threshold; beyond, the group stays Failed. A node that is
// down owns nothing: what the cluster gives up is owned by one that is left.
func (m *Model) failOver(v *VM) {
	v.GroupStatus &^= cluster.GroupUnmonitored
	var recent []time.Time
	for _, at := range v.failovers {
		if m.now.Sub(at) < failoverPeriod {
			recent = append(recent, at)
		}
	}
	v.failovers = recent
	to := m.target(v)
	if to == nil || len(recent) >= m.threshold() {
		v.GroupState = cluster.GroupFailed
		if to != nil {
			v.Counts.Moved = append(v.Counts.Moved, Count{m.now, "to " + to.Name, "given up"})
			v.Owner = to.Name
		}
		if up := m.up(); len(up) > 0 {
			m.clusterLog(up[0], EventGroupFailed, v.Group)
			m.clusterLog(up[0], EventGroupGivenUp, v.Group)
		}
		return
	}
	v.failovers = append(v.failovers, m.now)
	v.GroupState = cluster.GroupPending
	from := v.Owner
	v.Owner = to.Name
	v.Counts.FailoversByCluster = append(v.Counts.FailoversByCluster, Count{m.now, from + " to " + to.Name, ""})
	m.place(v, m.Spec.Profile.Failover)
}

// The lab's resources restart so often where they are before the cluster fails the group over (MSCluster_Resource,
// RestartThreshold and RestartPeriod; the figures are the lab's own).
const (
	RestartThreshold = 1
	RestartPeriod    = 15 * time.Minute
)

// FailResource is MSCluster_Resource.FailResource of a virtual machine that is online: the cluster takes it for a failure,
// restarts the machine where it is, and fails its group over where it has done so too often.
func (m *Model) FailResource(v *VM) {
	if v.GroupState != cluster.GroupOnline {
		return
	}
	v.restarts = slices.DeleteFunc(v.restarts, func(at time.Time) bool { return m.now.Sub(at) >= RestartPeriod })
	if len(v.restarts) >= RestartThreshold {
		v.restarts = nil
		m.failOver(v)
		return
	}
	v.restarts = append(v.restarts, m.now)
	v.Counts.RestartsByCluster = append(v.Counts.RestartsByCluster, Count{m.now, "on " + v.Owner, ""})
	v.GroupState = cluster.GroupPending
	m.place(v, m.Spec.Profile.Failover)
}

// place starts a VM on its owner after a while.
func (m *Model) place(v *VM, d time.Duration) {
	v.life++
	life := v.life
	m.after(d, func() {
		if v.life != life {
			return
		}
		if v.Broken || m.diskless() {
			v.GroupState = cluster.GroupFailed
			return
		}
		v.GroupState, v.PersistentState = cluster.GroupOnline, true
		m.boot(v)
	})
}

// TakeOffline is TakeOffline and TakeOfflineParams. Without an explicit context the virtual machine's own OfflineAction
// decides, which is to save it. Either way the group's persistent state is offline then: the cluster would not start it.
func (m *Model) TakeOffline(v *VM, how cluster.VMContext) {
	m.endMove(v)
	v.GroupState, v.PersistentState = cluster.GroupOffline, false
	if v.State != cluster.VMRunning {
		return
	}
	v.Changed, v.Heartbeat = m.now, cluster.HeartbeatAbsent
	if how == cluster.VMSave {
		v.State = cluster.VMSaved
		return
	}
	m.halt(v, GuestOff)
	v.State = cluster.VMOff
}

// BringOnline starts a group on its owner, and has the cluster start it from now on. A saved virtual machine goes on where it was.
func (m *Model) BringOnline(v *VM) cluster.GroupCode {
	n := m.Node(v.Owner)
	switch {
	case !n.Powered || n.State == cluster.NodeDown:
		return cluster.GroupHostNotAvailable
	case v.GroupState == cluster.GroupOnline:
		v.PersistentState = true
		return cluster.GroupDone
	case v.GroupState == cluster.GroupPending:
		return cluster.GroupInvalidState
	}
	v.PersistentState, v.GroupState = true, cluster.GroupPending
	if v.State == cluster.VMSaved {
		v.moving = &moving{to: v.Owner, how: cluster.VMSave}
		m.step(v, time.Second, func() {
			m.resume(v)
			m.backOnline(v)
		})
		return cluster.GroupIOPending
	}
	m.place(v, time.Second)
	return cluster.GroupIOPending
}

// cutBoard takes a node's board of the VMs' network away. With Protected Network the cluster live-migrates its VMs.
func (m *Model) cutBoard(n *Node) {
	n.Board = false
	if !m.Spec.ProtectedNetwork {
		return
	}
	wait := m.Spec.Era.ProtectedNetwork
	if wait == 0 {
		wait = protectedNetworkWait
	}
	m.after(wait, func() {
		for _, v := range m.VMs {
			if to := m.target(v); v.Owner == n.Name && v.moving == nil && !n.Board && to != nil {
				v.Counts.FailoversByCluster = append(v.Counts.FailoversByCluster, Count{m.now, n.Name + " to " + to.Name, "protected network"})
				v.Owner = to.Name
			}
		}
	})
}

// protectedNetworkWait is how long the cluster watches a lost network before it moves (docs/uplink.md).
const protectedNetworkWait = 120 * time.Second

// IsAlive is how often the cluster asks a resource whether it lives, and Deadlock how long an answer may take (MSCluster_Resource,
// IsAlivePollInterval and DeadlockTimeout; learn.microsoft.com, the resource common properties of these names, their defaults).
const (
	IsAlive  = 60 * time.Second
	Deadlock = 300 * time.Second
)

// loseHeartbeat takes a guest's heartbeat away. A cluster that watches it finds out when it next asks, and takes the
// resource for failed.
func (m *Model) loseHeartbeat(v *VM) {
	v.Heartbeat = cluster.HeartbeatLostCommunication
	v.GroupStatus &^= cluster.GroupOSHeartbeat
	if !m.Spec.CheckHeartbeat {
		return
	}
	life := v.life
	m.after(IsAlive, func() {
		if v.life == life && v.State == cluster.VMRunning && v.Heartbeat == cluster.HeartbeatLostCommunication {
			m.FailResource(v)
		}
	})
}

// StopHeartbeat ends the heartbeat of a guest that lives: its integration service has died. It comes back with Beat.
func (m *Model) StopHeartbeat(v *VM) {
	if v.Guest == GuestRunning && v.State == cluster.VMRunning {
		m.loseHeartbeat(v)
	}
}

// Beat brings the heartbeat of a guest that lives back.
func (m *Model) Beat(v *VM) {
	if v.Guest == GuestRunning && v.State == cluster.VMRunning {
		v.Heartbeat = cluster.HeartbeatOK
		v.GroupStatus |= cluster.GroupOSHeartbeat
	}
}
