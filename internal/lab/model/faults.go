package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// Victim is what a fault befalls, and so what a request for it has to name.
type Victim string

// The victims. A node may be named by a virtual machine that it owns, an instance by its virtual machine where it is the
// first one.
const (
	OfCluster  Victim = "cluster"
	OfNode     Victim = "node"
	OfVM       Victim = "virtual machine"
	OfGuest    Victim = "guest"    // which has to run
	OfInstance Victim = "instance" // whose service has to run
)

// Fault is something that can be injected.
type Fault struct {
	Name  string
	About string // what it is, in one sentence without its point
	Of    Victim
	// Condition says that it takes no login away by itself and that nobody has to act: something under which another fault
	// happens.
	Condition bool

	// inject makes it happen to what the target names, and returns what ends it.
	inject func(*Model, *target) (heal func(), err error)
}

// target is what a request means: the fields that the fault's Victim has are set.
type target struct {
	*Request
	node   *Node
	vm     *VM
	server *Server
}

// Faults lists everything that can be injected, one idea after the other.
func Faults() []Fault {
	return slices.Concat(sqlFaults(), guestFaults(), hostFaults(), clusterFaults(), monitoringFaults())
}

// ConditionNames lists the conditions: what only the cluster, the logs and SQL Server itself tell of.
func ConditionNames() []string {
	return names(func(f Fault) bool { return f.Condition })
}

// FaultNames lists the faults on which somebody must act, or of which somebody must be told.
func FaultNames() []string {
	return names(func(f Fault) bool { return !f.Condition })
}

func names(which func(Fault) bool) []string {
	var list []string
	for _, f := range Faults() {
		if which(f) {
			list = append(list, f.Name)
		}
	}
	return list
}

// Request is a fault to inject. A VM given to a fault of a node means its owner; an empty Instance the first one. Component
// is what SQLInternal, VMAtWork and CertificateExpired have a choice of.
type Request struct {
	Fault     string `json:"fault"`
	VM        string `json:"vm,omitempty"`
	Node      string `json:"node,omitempty"`
	Instance  string `json:"instance,omitempty"`
	Component string `json:"component,omitempty"`
}

// Injected is a fault that was injected.
type Injected struct {
	ID      string
	At      time.Time
	Request Request
}

type fault struct {
	Injected
	heal func()
}

// Inject makes a fault happen now.
func (m *Model) Inject(r Request) (Injected, error) {
	heal, err := m.inject(&r)
	if err != nil {
		return Injected{}, err
	}
	m.nfault++
	f := &fault{Injected: Injected{ID: fmt.Sprintf("f%d", m.nfault), At: m.now, Request: r}, heal: heal}
	m.faults = append(m.faults, f)
	return f.Injected, nil
}

// Injected lists every fault since the start, oldest first.
func (m *Model) Injected() []Injected {
	list := make([]Injected, 0, len(m.faults))
	for _, f := range m.faults {
		list = append(list, f.Injected)
	}
	return list
}

// Heal ends a fault as its nature allows: power and cable come back, a guest is reset by hand, a person starts a
// service. It reports false for a fault that does not exist or was healed before.
func (m *Model) Heal(id string) bool {
	for _, f := range m.faults {
		if f.ID == id && f.heal != nil {
			f.heal()
			f.heal = nil
			return true
		}
	}
	return false
}

func (m *Model) inject(r *Request) (func(), error) {
	all := Faults()
	i := slices.IndexFunc(all, func(f Fault) bool { return f.Name == r.Fault })
	if i < 0 {
		return nil, fmt.Errorf("fault %q is not known; use %s", r.Fault, strings.Join(append(FaultNames(), ConditionNames()...), ", "))
	}
	t := &target{Request: r}
	if err := m.aim(t, all[i].Of); err != nil {
		return nil, err
	}
	return all[i].inject(m, t)
}

// aim finds what a request means.
func (m *Model) aim(t *target, of Victim) (err error) {
	switch of {
	case OfCluster:
		return nil
	case OfNode:
		t.node, err = m.faultNode(t.Request)
		return err
	case OfVM, OfGuest, OfInstance:
	}
	v := m.VM(t.VM)
	if v == nil {
		var names []string
		for _, v := range m.VMs {
			names = append(names, v.Name)
		}
		return fmt.Errorf("vm %q is not in the lab; use %s", t.VM, strings.Join(names, ", "))
	}
	if of == OfInstance {
		// That of a cluster of guests is where its owner is.
		if owner, s := m.Instance(v.Name, t.Instance); s != nil {
			v = owner
			t.Instance = s.Instance
		}
	}
	t.vm = v
	if of == OfVM {
		return nil
	}
	if v.Guest != GuestRunning || v.State != cluster.VMRunning {
		return fmt.Errorf("the guest of %s does not run", v.Name)
	}
	if of == OfGuest {
		return nil
	}
	s := v.Server(t.Instance)
	if s == nil {
		return fmt.Errorf("instance %q is not on %s", t.Instance, v.Name)
	}
	t.server, t.Instance = s, s.Instance
	if s.service.State != cluster.ServiceRunning {
		return fmt.Errorf("instance %s of %s does not run (%s)", s.Instance, v.Name, s.service.State)
	}
	return nil
}

func (m *Model) faultNode(r *Request) (*Node, error) {
	name := r.Node
	if name == "" {
		v := m.VM(r.VM)
		if v == nil {
			return nil, fmt.Errorf("fault %s needs a node, or a vm that means its owner; vm %q is not in the lab", r.Fault, r.VM)
		}
		name = v.Owner
	}
	n := m.Node(name)
	if n == nil {
		return nil, fmt.Errorf("node %q is not in the lab; use %s", name, strings.Join(m.Spec.Nodes, ", "))
	}
	r.Node = n.Name
	return n, nil
}

// forever is the heal of what does not last: there is nothing to end.
func forever() {}

// flag is a fault that is something set for as long as it lasts.
func flag(of func(*Model, *target) *bool) func(*Model, *target) (func(), error) {
	return func(m *Model, t *target) (func(), error) {
		b := of(m, t)
		if *b {
			return nil, errors.New("it is so already: fault " + t.Fault)
		}
		*b = true
		return func() { *b = false }, nil
	}
}
