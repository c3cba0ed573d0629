package model

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// The flags of a move (clusapi.h, CLUSAPI_GROUP_MOVE_*).
const (
	MoveIgnoreStatus = 1
	MoveReturn       = 2
	MoveQueue        = 4
)

// The times of a move that no profile gives: how long memory is copied while the guest runs, how long a guest takes to
// shut down, and how long the cluster waits for one that does not (PendingTimeout of the resource, 3 min by default;
// shorter here, so that a test sees it).
const (
	liveTime         = 4 * time.Second
	longMigration    = 30 * time.Second // where the guest writes nearly as fast as it is copied
	shutdownTime     = 2 * time.Second
	shutdownPatience = 30 * time.Second
)

// Moves are the ways in which the next move of a virtual machine may go wrong.
type Moves struct {
	// Stuck moves never come to their end, until they are cancelled.
	Stuck bool
	// Fails lets a move be accepted and come back to its source.
	Fails bool
}

// moving is a move under way.
type moving struct {
	to     string
	how    cluster.VMContext
	why    string        // who wanted it, where no method did
	took   time.Duration // of a live migration; liveTime where zero
	cancel func()        // nil when it is too late
}

// MoveGroup is MoveToNewNodeParams: it knows no source. To the present owner it succeeds and does nothing; what the cluster can
// see to be impossible it refuses at once; anything else it accepts (997, ERROR_IO_PENDING), and how it went is seen
// afterwards (learn.microsoft.com, "MoveClusterGroupEx function").
func (m *Model) MoveGroup(v *VM, node string, how cluster.VMContext, flags uint32) cluster.GroupCode {
	v.Counts.MovesCommanded = append(v.Counts.MovesCommanded, Count{m.now, "to " + node, how.String()})
	n := m.Node(node)
	switch {
	case n == nil:
		return 5042 // ERROR_CLUSTER_NODE_NOT_FOUND
	case v.Owner == node && v.moving == nil:
		return cluster.GroupDone
	case !n.Powered || n.State == cluster.NodeDown:
		return cluster.GroupNodeDown
	case n.State != cluster.NodeUp:
		return cluster.GroupNodePaused
	case !v.MayRun(node):
		return cluster.GroupHostNotOwner
	case v.moving != nil || v.GroupState == cluster.GroupPending:
		return cluster.GroupMoving
	case v.GroupStatus&cluster.GroupLocked != 0 && flags&MoveIgnoreStatus == 0:
		return cluster.GroupLockedStatus
	case v.GroupState != cluster.GroupOnline || v.State != cluster.VMRunning:
		return m.moveOffline(v, node)
	}
	if !m.fits(v, node) && flags&MoveQueue != 0 {
		m.queueMove(v, node, how, flags)
		return cluster.GroupIOPending
	}
	v.moving = &moving{to: node, how: how}
	v.GroupState = cluster.GroupPending
	if v.NextMove.Stuck {
		v.moving.cancel = func() { m.backOnline(v) }
		return cluster.GroupIOPending
	}
	switch how {
	case cluster.VMLiveMigration:
		m.migrate(v, node)
	case cluster.VMSave:
		m.quickMigrate(v, node)
	case cluster.VMShutdown, cluster.VMShutdownForce:
		m.shutAndMove(v, node)
	case cluster.VMTurnOff:
		m.offAndMove(v, node)
	}
	return cluster.GroupIOPending
}

// moveOffline moves a group that is not online: it is owned elsewhere then, and brought to its persistent state there.
func (m *Model) moveOffline(v *VM, node string) cluster.GroupCode {
	m.moved(v, node)
	if v.PersistentState {
		return m.BringOnline(v)
	}
	return cluster.GroupDone
}

// queueMove lets a move wait in the cluster's queue until the destination has the memory.
func (m *Model) queueMove(v *VM, node string, how cluster.VMContext, flags uint32) {
	v.GroupStatus |= cluster.GroupWaitingInQueueForMove
	w := &moving{to: node, how: how}
	w.cancel = func() { v.moving = nil; v.GroupStatus &^= cluster.GroupWaitingInQueueForMove }
	v.moving = w
	var again func()
	again = func() {
		if v.moving != w {
			return
		}
		if !m.fits(v, node) {
			m.after(time.Second, again)
			return
		}
		w.cancel()
		m.MoveGroup(v, node, how, flags)
	}
	m.after(time.Second, again)
}

// CancelMove is CancelOperation: it ends what can still be ended. What has gone too far goes on.
func (m *Model) CancelMove(v *VM) cluster.GroupCode {
	if v.moving != nil && v.moving.cancel != nil {
		v.moving.cancel()
	}
	return cluster.GroupDone
}

// step goes on with a move after a while, if it is still the same one.
func (m *Model) step(v *VM, d time.Duration, do func()) {
	w := v.moving
	m.after(d, func() {
		if v.moving == w && w != nil {
			do()
		}
	})
}

// backOnline ends a move at its source, which never stopped running it.
func (m *Model) backOnline(v *VM) {
	v.moving, v.NextMove = nil, Moves{}
	v.GroupState = cluster.GroupOnline
}

// moved gives a group its new owner.
func (m *Model) moved(v *VM, node string) {
	m.clusterLog(m.Node(node), EventGroupMoving, v.Group, v.Owner, node)
	v.Owner = node
	why := ""
	if v.moving != nil {
		why = v.moving.why
	}
	v.Counts.Moved = append(v.Counts.Moved, Count{m.now, "to " + node, why})
}

// migrate is a live migration: the guest notices nothing. Where the destination lacks the memory it comes back, and so it
// does where somebody cancels it.
func (m *Model) migrate(v *VM, node string) {
	v.moving.cancel = func() { m.backOnline(v) }
	m.step(v, cmp.Or(v.moving.took, liveTime), func() {
		n := m.Node(node)
		if v.NextMove.Fails || !m.fits(v, node) || !n.Powered || n.State != cluster.NodeUp {
			m.backOnline(v)
			return
		}
		m.moved(v, node)
		m.backOnline(v)
	})
}

// quickMigrate saves the virtual machine, gives it to the destination and resumes it: what was in its memory is as it was.
func (m *Model) quickMigrate(v *VM, node string) {
	d := m.Spec.Profile.Failover
	v.State, v.Changed, v.Heartbeat = cluster.VMSaved, m.now, cluster.HeartbeatAbsent
	m.step(v, d/2, func() {
		if !v.NextMove.Fails && m.Node(node).State == cluster.NodeUp && m.Node(node).Powered && m.fits(v, node) {
			m.moved(v, node)
		}
		m.step(v, d-d/2, func() {
			m.resume(v)
			m.backOnline(v)
		})
	})
}

// resume lets a saved virtual machine go on where it was.
func (m *Model) resume(v *VM) {
	v.State, v.Changed = cluster.VMRunning, m.now
	v.Heartbeat = cluster.HeartbeatOK
	if v.Guest != GuestRunning {
		v.Heartbeat = cluster.HeartbeatNoContact
	}
	if v.Guest == GuestCrashed || v.Guest == GuestHung {
		v.Heartbeat = cluster.HeartbeatLostCommunication
	}
}

// shutAndMove shuts the guest down, moves and starts it. A guest that does not listen is waited for, and stays.
func (m *Model) shutAndMove(v *VM, node string) {
	if v.Guest != GuestRunning {
		m.step(v, shutdownPatience, func() { m.backOnline(v) })
		return
	}
	v.moving.cancel = func() { m.backOnline(v) }
	m.step(v, shutdownTime, func() { m.offAndMove(v, node) })
}

// offAndMove turns the virtual machine off, gives it to the destination and starts it there; where that cannot, it is
// started where it was.
func (m *Model) offAndMove(v *VM, node string) {
	v.moving.cancel = nil
	m.halt(v, GuestOff)
	v.State, v.Changed, v.Heartbeat = cluster.VMOff, m.now, cluster.HeartbeatAbsent
	m.step(v, m.Spec.Profile.Failover, func() {
		n := m.Node(node)
		if !v.NextMove.Fails && n.Powered && n.State == cluster.NodeUp && m.fits(v, node) {
			m.moved(v, node)
		}
		m.backOnline(v)
		m.boot(v)
	})
}

// endMove forgets a move whose source or destination has died: what becomes of the group is the cluster's failover's
// business.
func (m *Model) endMove(v *VM) {
	v.moving, v.NextMove = nil, Moves{}
	v.GroupStatus &^= cluster.GroupWaitingInQueueForMove
}

// Moving tells a move under way in words; empty where there is none.
func (v *VM) Moving() string {
	if v.moving == nil {
		return ""
	}
	return fmt.Sprintf("%s to %s", v.moving.how, v.moving.to)
}
