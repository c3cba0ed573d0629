// Package model is the simulated failover cluster itself: nodes, groups, virtual machines, their guests and the SQL
// Servers inside, in virtual time. It is deterministic: no clock, no goroutine, no randomness but the seed's. The
// same calls give the same course.
//
// Its rules are the documented ones of a failover cluster where a decision of Hypervigil's depends on them, and no
// more. A Model is not safe for concurrent use; its owner serialises.
package model

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// Profile holds the given durations: parameters that are put in, never found out.
type Profile struct {
	Name               string
	HeartbeatDelay     time.Duration // SameSubnetDelay
	HeartbeatThreshold uint32        // SameSubnetThreshold
	Resiliency         time.Duration // ResiliencyDefaultPeriod
	Failover           time.Duration // from the decision to the VM's start on another node
	Boot               time.Duration // of a guest, until its services start
	ServiceStart       time.Duration
	ServiceStop        time.Duration
	NodeBoot           time.Duration
	Dump               time.Duration // of a kernel that stopped with an error, a guest's or a host's
	Recovery           time.Duration // of a database, for each row that was written and not committed when SQL Server's process ended
	GuestFailover      time.Duration // of a cluster of guests, from its decision to the start of SQL Server in the other guest
	// Shortened is by how much the profile divides the waits of an era; 0 and 1: not at all.
	Shortened int
}

// Quick is for tests and the demo.
func Quick() Profile {
	return Profile{
		Name: "quick", HeartbeatDelay: time.Second, HeartbeatThreshold: 3, Resiliency: 15 * time.Second, Failover: 3 * time.Second,
		Boot: 5 * time.Second, ServiceStart: 2 * time.Second, ServiceStop: time.Second, NodeBoot: 10 * time.Second,
		Dump: 4 * time.Second, Recovery: time.Millisecond, GuestFailover: 3 * time.Second, Shortened: 16, // of the 240 s
	}
}

// Paper has the white paper's durations where it gives them (quick migration 45 s, of which the restart of the guest
// is taken as 30 s), 2010's heartbeat (1 s × 5, Windows Server 2008 R2's default) and no resiliency period, which came
// with Windows Server 2016. A cluster of guests has SQL Server down for 55 s, and fails over in 60: 5 of them until it looks,
// 10 for the start of the service, and as many as are left for the rest; its agent follows. It says nothing of a database's recovery: that of a row is the quick profile's.
func Paper() Profile {
	return Profile{
		Name: "paper", HeartbeatDelay: time.Second, HeartbeatThreshold: 5, Resiliency: 0, Failover: 15 * time.Second,
		Boot: 30 * time.Second, ServiceStart: 10 * time.Second, ServiceStop: 5 * time.Second, NodeBoot: 120 * time.Second,
		Dump: 60 * time.Second, Recovery: time.Millisecond, GuestFailover: 40 * time.Second,
	}
}

// ProfileNamed finds a profile.
func ProfileNamed(name string) (Profile, error) {
	for _, p := range []Profile{Quick(), Paper()} {
		if p.Name == name {
			return p, nil
		}
	}
	return Profile{}, fmt.Errorf("profile %q is not known; use quick or paper", name)
}

// Given lists the profile's parameters for the reader of a report.
func (p Profile) Given() []string {
	return []string{
		fmt.Sprintf("heartbeat %s × %d, resiliency period %s", p.HeartbeatDelay, p.HeartbeatThreshold, p.Resiliency),
		fmt.Sprintf("failover by the cluster %s, boot of a guest %s", p.Failover, p.Boot),
		fmt.Sprintf("start of a service %s, stop of a service %s", p.ServiceStart, p.ServiceStop),
		fmt.Sprintf("recovery of a database %s for each row that was written and not committed", p.Recovery),
	}
}

// Spec is what a cluster is made of.
type Spec struct {
	Cluster string
	Nodes   []string
	VMs     []VMSpec
	Profile Profile
	Era     Era // by Spec.In; the zero Era is that of no time in particular
	// ProtectedNetwork makes the cluster live-migrate a VM whose network board failed (on by default since Windows
	// Server 2012 R2; off here, as in 2010, unless switched on).
	ProtectedNetwork bool
	// CheckHeartbeat makes the cluster watch the guests' heartbeats, and restart a virtual machine whose is lost.
	CheckHeartbeat bool
	// AvailabilityGroups are of instances of different machines; none by default: what an availability group does by
	// itself is not simulated, only what its replicas say of it.
	AvailabilityGroups []AvailabilityGroup
	// GuestClusters are clusters of guests, whose resource an instance is; none by default.
	GuestClusters []GuestClusterSpec
}

// Given lists everything that is put in, for the reader of a report.
func (s Spec) Given() []string {
	list := append(s.Profile.Given(), s.Era.Given()...)
	if p := s.Profile; len(s.GuestClusters) > 0 {
		list = append(list, fmt.Sprintf("failover of a cluster of guests %s until the start of SQL Server, after %s until it looks", p.GuestFailover, p.short(looksAlive)))
	}
	return list
}

// AvailabilityGroup is an Always On availability group. Replicas are instances ("SQL03/REPORTING"), the first one the
// primary; a primary that is down has no successor.
type AvailabilityGroup struct {
	Name     string
	Replicas []string
}

// VMSpec is one virtual machine. Group is the cluster group's name; Instances the SQL Servers inside.
type VMSpec struct {
	Name, Group, Node string
	Instances         []string
	// Pinned keeps it on its node: no other is one of its possible owners.
	Pinned bool
}

// Default is the lab's cluster: three nodes; four virtual machines with SQL Server, one of them with two instances;
// a domain controller that nothing watches.
func Default(p Profile) Spec {
	return Spec{
		Cluster: "hv-lab", Profile: p, Nodes: []string{"HV1", "HV2", "HV3"},
		VMs: []VMSpec{
			{Name: "SQL01", Group: "SQL01", Node: "HV1", Instances: []string{"MSSQLSERVER"}},
			{Name: "SQL02", Group: "SCVMM SQL02 Resources", Node: "HV2", Instances: []string{"MSSQLSERVER"}},
			{Name: "SQL03", Group: "SQL03", Node: "HV3", Instances: []string{"MSSQLSERVER", "REPORTING"}},
			{Name: "SQL04", Group: "SQL04", Node: "HV2", Instances: []string{"MSSQLSERVER"}},
			{Name: "DC01", Group: "DC01", Node: "HV3"},
		},
	}
}

// Model is the cluster.
type Model struct {
	Spec     Spec
	now      time.Time
	queue    queue
	sequence int
	pids     uint32

	Nodes         []*Node
	VMs           []*VM
	GuestClusters []*GuestCluster
	Witness       cluster.ResourceState // of the file share witness' resource
	Volume        cluster.VolumeFault   // of the one cluster shared volume
	VolumeBackup  bool                  // the shared volume is being backed up
	faults        []*fault
	nfault        int
	records       uint32 // numbers of events given out
	Jobs          []*Job // of Hyper-V, oldest first; those that ended are kept for a while
	njob          int
	counting      bool // what the nodes' processors run
}

// Node is a Hyper-V host.
type Node struct {
	Name    string
	ID      int
	Powered bool // it has power, and its operating system runs
	Board   bool // the board of the VMs' network works
	Booted  time.Time
	State   cluster.NodeState // as those see it that are members of the cluster
	Status  cluster.NodeStatus
	Events  []Event
	// Clustering says that its cluster service runs; Cut that no other node and no witness hears it, and Alone that it
	// has noticed.
	Clustering, Cut, Alone bool
	// Deaf: its WMI never answers. Hung: nothing that needs its own disk does; only its network accepts.
	Deaf, Hung bool
	Starved    Pressure            // something on it takes all that it has
	ran        time.Duration       // of its processors' time, since its start
	Expired    bool                // the certificate of its WinRM
	Spare      uint64              // memory that is not the host's own, in bytes: what its virtual machines use is of it
	Version    uint32              // the cluster functional level that its Windows is capable of
	Site       string              // of its fault domain; empty: nobody described any
	Volume     cluster.VolumeFault // as it alone sees the shared volume
	life       int                 // distinguishes this life's scheduled events from an earlier one's
	stopped    *stopError          // why it went down, until it has written so
	left       []time.Time         // when it was removed from the cluster without a word
}

// New builds a healthy cluster that has been running for a day.
func New(s Spec, start time.Time, seed uint64) (*Model, error) {
	m := &Model{Spec: s, now: start, Witness: cluster.ResourceOnline, pids: 1000 + uint32(seed%500)*4}
	for n, name := range s.Nodes {
		m.Nodes = append(m.Nodes, &Node{Name: name, ID: n + 1, Powered: true, Clustering: true, Board: true, Booted: start.Add(-24 * time.Hour), Spare: hostFree, Version: labVersion})
	}
	for n, spec := range s.VMs {
		if m.Node(spec.Node) == nil {
			return nil, fmt.Errorf("virtual machine %s: node %q is not in the cluster", spec.Name, spec.Node)
		}
		v := newVM(m, spec, n+1, seed)
		m.VMs = append(m.VMs, v)
		m.Node(spec.Node).Spare += v.Memory
	}
	for _, g := range s.GuestClusters {
		if err := m.cluster(g); err != nil {
			return nil, err
		}
	}
	if len(m.VMs) > 0 { // one group with a preference is enough to read
		m.VMs[0].Preferred = s.Nodes[:min(2, len(s.Nodes))]
	}
	return m, nil
}

// Now is the model's time.
func (m *Model) Now() time.Time { return m.now }

// Node finds a node; nil if there is none.
func (m *Model) Node(name string) *Node {
	for _, n := range m.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// VM finds a virtual machine; nil if there is none.
func (m *Model) VM(name string) *VM {
	for _, v := range m.VMs {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// event is something scheduled.
type event struct {
	at       time.Time
	sequence int
	do       func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(a, b int) bool {
	return cmp.Or(q[a].at.Compare(q[b].at), cmp.Compare(q[a].sequence, q[b].sequence)) < 0
}
func (q queue) Swap(a, b int) { q[a], q[b] = q[b], q[a] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	*q = (*q)[:last]
	return e
}

// after schedules something.
func (m *Model) after(d time.Duration, do func()) {
	m.sequence++
	heap.Push(&m.queue, event{m.now.Add(d), m.sequence, do})
}

// Next is when the next scheduled thing happens; ok is false when nothing is.
func (m *Model) Next() (at time.Time, ok bool) {
	if len(m.queue) == 0 {
		return time.Time{}, false
	}
	return m.queue[0].at, true
}

// Advance lets time pass until to; everything due happens in its order. A time that has passed already does nothing.
func (m *Model) Advance(to time.Time) {
	for len(m.queue) > 0 && !m.queue[0].at.After(to) {
		e := heap.Pop(&m.queue).(event)
		m.pass(e.at)
		e.do()
	}
	m.pass(to)
}

// pid is a new process id; Windows' are multiples of four.
func (m *Model) pid() uint32 {
	m.pids += 4
	return m.pids
}

// up lists the nodes that are members of the cluster, in order.
func (m *Model) up() []*Node {
	var up []*Node
	for _, n := range m.Nodes {
		if n.Powered && n.State == cluster.NodeUp {
			up = append(up, n)
		}
	}
	return up
}

// target is where the cluster places a group: of the other nodes that may own it, that with the fewest VMs, the first by
// name among equals.
func (m *Model) target(v *VM) *Node {
	up := slices.DeleteFunc(m.up(), func(n *Node) bool { return n.Name == v.Owner || n.Status != 0 || !v.MayRun(n.Name) })
	if len(up) == 0 {
		return nil
	}
	return slices.MinFunc(up, func(a, b *Node) int {
		return cmp.Or(cmp.Compare(m.load(a.Name), m.load(b.Name)), cmp.Compare(a.Name, b.Name))
	})
}

func (m *Model) load(node string) int {
	n := 0
	for _, v := range m.VMs {
		if v.Owner == node {
			n++
		}
	}
	return n
}
