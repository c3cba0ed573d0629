package incident

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
)

// VM is what is known of one virtual machine.
type VM struct {
	Proof    evidence.Proof `json:"proof"`
	Proving  bool           `json:"-"`
	ProvedAt time.Time      `json:"-"` // when it was last asked
	// Vitals are the newest of the background looks; a reading that was made stays until a newer one was.
	Vitals   evidence.Vitals `json:"-"`
	Sensing  bool            `json:"-"`
	SensedAt time.Time       `json:"-"` // when it was last asked
	Past     []guard.Past    `json:"past"`
	Latched  string          `json:"latched,omitempty"`
	// Rescue is what the newest rehearsal found out: whether a rung could be begun if its fault were there now.
	Rescue Rescue `json:"-"`
	// proof, sense and rehearsal are its places in State.proofs, State.senses and State.rehearsals; zero: it has none.
	proof, sense, rehearsal time.Time
}

// VMs are the virtual machines that are or were inventoried. It is a value as Incidents is.
type VMs struct {
	byID tree[machine, *VM]
	// acted are those with a Past: what G14 to G16 count.
	acted tree[machine, none]
}

// machine is a virtual machine's name as a key.
type machine evidence.VM

func (m machine) compare(o machine) int {
	if c := strings.Compare(m.Cluster, o.Cluster); c != 0 {
		return c
	}
	return strings.Compare(m.Name, o.Name)
}

// Get finds a virtual machine.
func (s VMs) Get(id evidence.VM) (VM, bool) {
	vm, ok := s.byID.get(machine(id))
	if !ok {
		return VM{}, false
	}
	return *vm, true
}

// of is what is known of a virtual machine; nothing of one that is not there.
func (s VMs) of(id evidence.VM) VM {
	vm, _ := s.Get(id)
	return vm
}

// All yields every virtual machine, in the order of their names.
func (s VMs) All() iter.Seq2[evidence.VM, VM] {
	return func(yield func(evidence.VM, VM) bool) {
		for id, vm := range s.byID.all() {
			if !yield(evidence.VM(id), *vm) {
				return
			}
		}
	}
}

// With is the set with what is known of a virtual machine, new or in place of what was.
func (s VMs) With(id evidence.VM, vm VM) VMs {
	old, existed := s.byID.get(machine(id))
	vm.proof, vm.sense, vm.rehearsal = time.Time{}, time.Time{}, time.Time{}
	if existed {
		vm.proof, vm.sense, vm.rehearsal = old.proof, old.sense, old.rehearsal // its places are State.scheduled's to change
	}
	s.byID = s.byID.put(machine(id), &vm)
	switch was := existed && len(old.Past) > 0; {
	case len(vm.Past) > 0 && !was:
		s.acted = s.acted.put(machine(id), none{})
	case len(vm.Past) == 0 && was:
		s.acted = s.acted.remove(machine(id))
	}
	return s
}

// past lists the rungs begun in a cluster.
func (s VMs) past(cluster string) []guard.Past {
	var list []guard.Past
	for id := range s.acted.from(machine{Cluster: cluster}) {
		if id.Cluster != cluster {
			break
		}
		list = slices.Concat(list, s.of(evidence.VM(id)).Past)
	}
	return list
}

// visit is a virtual machine at the time at which something of it is to be read.
type visit struct {
	at time.Time
	vm machine
}

func (v visit) compare(o visit) int {
	if c := v.at.Compare(o.at); c != 0 {
		return c
	}
	return v.vm.compare(o.vm)
}

// replaced gives a virtual machine its new place in an order; a zero time is no place.
func replaced(order tree[visit, none], id evidence.VM, from, to time.Time) tree[visit, none] {
	if from.Equal(to) {
		return order
	}
	if !from.IsZero() {
		order = order.remove(visit{from, machine(id)})
	}
	if !to.IsZero() {
		order = order.put(visit{to, machine(id)}, none{})
	}
	return order
}
