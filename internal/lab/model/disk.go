package model

import (
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// EventVolumeLost is what the cluster writes of a shared volume that a node no longer reaches.
const EventVolumeLost = 5142

// sharedVolume is the one shared volume's resource, and where it is mounted.
const (
	sharedVolume = "Cluster Virtual Disk (CSV1)"
	volumePath   = "Volume1"
)

// VMPausedCritical is the EnabledState of a virtual machine that waits for its disk. Microsoft's pages disagree about the
// number; every one from 32768 up that is not known beyond doubt is critical (cluster.VMState).
const VMPausedCritical cluster.VMState = 32789

// frozen reports whether a guest's clock stands.
func (v *VM) frozen() bool { return v.State == cluster.VMSaved || v.State == VMPausedCritical }

// loseDisk is a virtual machine whose disk is gone. It is paused and waits, for as long as its era has it do so; that of
// 2008 R2 did not wait: its guest stops with its disk, and no node can bring it online.
func (m *Model) loseDisk(v *VM) {
	if v.State != cluster.VMRunning {
		return
	}
	m.endMove(v)
	off := func() {
		m.halt(v, GuestOff)
		v.State, v.Changed = cluster.VMOff, m.now
		v.GroupState = cluster.GroupFailed
		if up := m.up(); len(up) > 0 {
			m.clusterLog(up[0], EventResourceFailed, "Virtual Machine "+v.Name, v.Group, "Virtual Machine")
			m.clusterLog(up[0], EventGroupFailed, v.Group)
		}
	}
	v.Heartbeat = cluster.HeartbeatAbsent
	v.GroupStatus &^= cluster.GroupOSHeartbeat
	if m.Spec.Era.Name == Era2008R2 {
		off()
		return
	}
	v.State, v.Changed = VMPausedCritical, m.now
	v.GroupState = cluster.GroupOnline
	if wait := m.Spec.Era.Critical; wait > 0 {
		since := v.Changed
		m.after(wait, func() {
			if v.State == VMPausedCritical && v.Changed.Equal(since) {
				off()
			}
		})
	}
}

// regainDisk lets a virtual machine go on whose disk is back: one that waited where it was, one that was turned off from
// its start.
func (m *Model) regainDisk(v *VM) {
	switch {
	case v.State == VMPausedCritical:
		m.resume(v)
		if v.Heartbeat == cluster.HeartbeatOK {
			v.GroupStatus |= cluster.GroupOSHeartbeat
		}
	case v.State == cluster.VMOff && v.PersistentState && v.GroupState == cluster.GroupFailed:
		m.BringOnline(v)
	}
}

// diskless reports whether no node reaches the disks of the virtual machines.
func (m *Model) diskless() bool { return m.Volume == cluster.VolumeFaultNoAccess }
