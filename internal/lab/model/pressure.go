package model

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// Pressure is a machine whose processors and memory are used up, for a while.
type Pressure struct {
	On    bool
	since time.Time
	past  time.Duration
}

// Lasted is how long it has been so in all, until a moment.
func (p Pressure) Lasted(now time.Time) time.Duration {
	if p.On {
		return p.past + now.Sub(p.since)
	}
	return p.past
}

// set begins or ends it.
func (p *Pressure) set(on bool, now time.Time) {
	if p.On == on {
		return
	}
	p.past = p.Lasted(now)
	p.On, p.since = on, now
}

// What a host has to share, and what is taken of it: the lab's own numbers. A live migration takes a machine's share along.
const (
	// HostProcessors is how many logical processors a host has, VMProcessors how many a virtual machine has of its own.
	HostProcessors = 16
	VMProcessors   = 4
	// quietHost is what a host uses for itself, starvedHost what it does where something on it has got out of hand.
	quietHost   = 0.10
	starvedHost = 0.95
	// quietGuest is what a guest uses of its own processors, starvedGuest what one does that has nothing left.
	quietGuest   = 0.07
	starvedGuest = 0.99
	// usedUp is from how much on the machines of a host suffer, loaded from how much on the cluster's balancer takes one
	// away, and does not bring one (learn.microsoft.com, Clusters, AutoBalancerLevel 1: 80 %).
	usedUp = 0.9
	loaded = 0.8
)

// Uses is the share of its own processors that a virtual machine uses; 0 where nothing of it runs.
func (v *VM) Uses() float64 {
	switch {
	case v.State != cluster.VMRunning || v.Guest != GuestRunning && v.Guest != GuestBooting:
		return 0
	case v.Starved.On:
		return starvedGuest
	}
	return quietGuest
}

// Used is the share of a node's processors that is used: by itself, and by what runs on it.
func (m *Model) Used(node string) float64 {
	used := quietHost
	if m.Node(node).Starved.On {
		used = starvedHost
	}
	for _, v := range m.VMs {
		if m.Host(v) == node {
			used += v.Uses() * VMProcessors / HostProcessors
		}
	}
	return min(1, used)
}

// UsedUp reports whether a node has nothing left for its virtual machines.
func (m *Model) UsedUp(node string) bool { return m.Used(node) >= usedUp }

// Suffers reports whether a virtual machine has too little: its guest, or the host that it runs on.
func (m *Model) Suffers(v *VM) bool { return v.Starved.On || m.UsedUp(v.Owner) }

// CountLoads has the model count what each node's processors run from now on, as a hypervisor does. It costs a little for
// every step of time, and who asks for no counters need not pay it.
func (m *Model) CountLoads() {
	m.counting = true
	for _, n := range m.Nodes {
		n.ran = m.ranFor(n, m.now.Sub(n.Booted))
	}
}

// ranFor is what a node runs in a while, as long as nothing changes.
func (m *Model) ranFor(n *Node, d time.Duration) time.Duration {
	return time.Duration(m.Used(n.Name) * float64(d))
}

// Ran is how long a node's processors have run anything since its start, as a share of all of them.
func (m *Model) Ran(node string) time.Duration { return m.Node(node).ran }

// pass lets time pass until to, in which nothing happens.
func (m *Model) pass(to time.Time) {
	if !to.After(m.now) {
		return
	}
	if m.counting {
		for _, n := range m.Nodes {
			if n.Powered {
				n.ran += m.ranFor(n, to.Sub(m.now))
			}
		}
	}
	m.now = to
}
