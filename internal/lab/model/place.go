package model

import (
	"slices"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// What a cluster knows about where a group may run.

// gibibyte is 2^30 bytes.
const gibibyte = 1 << 30

// The sizes of the lab: every host has 128 GiB, of which 64 are nobody's in the beginning, every virtual machine 8.
const (
	HostCapacity = 128 * gibibyte
	hostFree     = 64 * gibibyte
	vmMemory     = 8 * gibibyte
)

// labVersion is the cluster functional level of every node (Windows Server 2019: 10).
const labVersion = 10

// MayRun reports whether a node is one of a virtual machine's possible owners.
func (v *VM) MayRun(node string) bool { return v.Possible == nil || slices.Contains(v.Possible, node) }

// Free is the memory of a node that nobody uses, in bytes.
func (m *Model) Free(node string) uint64 {
	free := m.Node(node).Spare
	for _, v := range m.VMs {
		if m.Host(v) == node && v.State == cluster.VMRunning {
			free -= min(free, v.Memory)
		}
	}
	return free
}

// Host is the node whose Hyper-V has the virtual machine; empty while it is between two.
func (m *Model) Host(v *VM) string {
	if v.GroupState == cluster.GroupPending && v.State == cluster.VMOff {
		return ""
	}
	return v.Owner
}

// fits reports whether a node has the memory for a virtual machine that it does not have.
func (m *Model) fits(v *VM, node string) bool { return m.Free(node) >= v.Memory }

// VolumeAt is how a node sees the shared volume.
func (m *Model) VolumeAt(node string) cluster.VolumeFault {
	if n := m.Node(node); n.Volume != cluster.VolumeFaultNone {
		return n.Volume
	}
	return m.Volume
}
