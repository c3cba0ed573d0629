package model

import (
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// The faults of a host.
const (
	HostPowerOff    = "host-power-off"
	LANBoard        = "lan-board"
	HostCPU         = "host-cpu"
	HostMemory      = "host-memory"
	HostMainboard   = "host-mainboard"
	HostRAID        = "host-raid"
	HostDisk        = "host-disk"
	HostOSCrash     = "host-os-crash"
	HypervisorCrash = "hypervisor-crash"
	HostStarved     = "host-starved"
	GrayHost        = "gray-host"
)

// The bug checks (learn.microsoft.com, "Bug check code reference").
const (
	bugHardware   = "0x00000124" // WHEA_UNCORRECTABLE_ERROR
	bugDriver     = "0x000000d1" // DRIVER_IRQL_NOT_LESS_OR_EQUAL
	bugHypervisor = "0x00020001" // HYPERVISOR_ERROR
)

// hostFaults has a row for each of the white paper's faults of hardware and of host software. A host whose hardware is
// broken stays down until somebody has repaired it; one whose software stopped writes its dump and restarts by itself, as
// Windows does by default. What stood on a broken disk cannot tell of it afterwards.
func hostFaults() []Fault {
	return []Fault{
		{Name: HostPowerOff, Of: OfNode, inject: down(nil), About: "the host loses its power"},
		{Name: LANBoard, Of: OfNode, inject: loseBoard, About: "the board of the virtual machines' network fails; host and cluster go on"},
		{Name: HostCPU, Of: OfNode, inject: down(&stopError{code: bugHardware, component: "Processor Core"}), About: "a processor of the host fails: bug check 0x124, and it stays down"},
		{Name: HostMemory, Of: OfNode, inject: down(&stopError{code: bugHardware, component: "Memory"}), About: "the host's memory fails beyond correction: bug check 0x124, and it stays down"},
		{Name: HostMainboard, Of: OfNode, inject: down(&stopError{}), About: "the host's main board fails: it stops without a word, and stays down"},
		{Name: HostRAID, Of: OfNode, inject: down(&stopError{}), About: "the host's RAID board fails: its operating system stops without a dump, and stays down"},
		{Name: HostDisk, Of: OfNode, inject: loseDisk, About: "the host's own disk fails: its network accepts and nothing answers for a while, then it stops"},
		{Name: HostOSCrash, Of: OfNode, inject: down(&stopError{code: bugDriver, restarts: true}), About: "the host's operating system stops with an error, writes its dump and restarts"},
		{Name: HypervisorCrash, Of: OfNode, inject: down(&stopError{code: bugHypervisor, restarts: true}), About: "the hypervisor stops with an error: bug check 0x20001, a dump and a restart"},
		{Name: HostStarved, Of: OfNode, inject: starveHost, About: "the host has no processor time and no memory left, and its virtual machines suffer"},
		{Name: GrayHost, Of: OfNode, inject: flag(func(_ *Model, t *target) *bool { return &t.node.Deaf }), About: "the host's WMI answers nothing; heartbeats and virtual machines are well"},
	}
}

// down ends a node. A nil reason is its power: it writes only that it was not shut down.
func down(why *stopError) func(*Model, *target) (func(), error) {
	return func(m *Model, t *target) (func(), error) {
		if !t.node.Powered {
			return nil, fmt.Errorf("node %s is off already", t.node.Name)
		}
		return m.hostStops(t.node, why), nil
	}
}

func (m *Model) hostStops(n *Node, why *stopError) func() {
	stop := stopError{}
	if why != nil {
		stop = *why
	}
	m.powerOff(n, &stop)
	if stop.restarts {
		life := n.life
		m.after(m.Spec.Profile.Dump, func() {
			if n.life == life {
				m.powerOn(n)
			}
		})
	}
	return func() { m.powerOn(n) }
}

func loseBoard(m *Model, t *target) (func(), error) {
	n := t.node
	m.cutBoard(n)
	return func() { n.Board = true }, nil
}

// diskPatience is how long Windows waits for a disk that does not answer before it gives itself up: the 60 s of a request's
// time-out (learn.microsoft.com, "Registry entries for SCSI miniport drivers", TimeoutValue, 60 by default) and no retry.
const diskPatience = 60 * time.Second

func loseDisk(m *Model, t *target) (func(), error) {
	n := t.node
	if !n.Powered || n.Hung {
		return nil, fmt.Errorf("node %s is off, or without its disk already", n.Name)
	}
	n.Hung = true
	life, booted := n.life, n.Booted
	m.after(m.Spec.Profile.short(diskPatience), func() {
		if n.Hung && n.Powered && n.life == life && n.Booted.Equal(booted) {
			m.hostStops(n, nil)
		}
	})
	return func() {
		n.Hung = false
		m.powerOn(n)
	}, nil
}

// starveHost uses a host up. A cluster that balances its load moves a virtual machine away when it next looks, as long as
// the host is loaded by more than 80 % and the other one is not (learn.microsoft.com, Clusters, AutoBalancerLevel 1).
func starveHost(m *Model, t *target) (func(), error) {
	n := t.node
	if !n.Powered || n.Starved.On {
		return nil, fmt.Errorf("node %s is off, or starved already", n.Name)
	}
	n.Starved.set(true, m.now)
	every := m.Spec.Era.Balancing
	var balance func()
	balance = func() {
		if !n.Starved.On || n.State != cluster.NodeUp {
			return
		}
		for _, v := range m.VMs {
			to := m.target(v)
			if to != nil && m.Used(to.Name)+v.Uses()*VMProcessors/HostProcessors > loaded {
				continue
			}
			if v.Owner == n.Name && v.GroupState == cluster.GroupOnline && v.State == cluster.VMRunning && v.moving == nil && to != nil {
				m.transfer(v, to.Name, cluster.VMLiveMigration, balancing)
				break
			}
		}
		m.after(every, balance)
	}
	if every > 0 {
		m.after(every, balance)
	}
	return func() { n.Starved.set(false, m.now) }, nil
}

// balancing is why the cluster moves a virtual machine by itself, in the counters' words.
const balancing = "load balancing"
