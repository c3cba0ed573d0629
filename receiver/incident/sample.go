package incident

import (
	"maps"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
)

// The rhythm of the background reads. A binding is proven anew long before its proof is too old (G33).
const (
	minSamples    = 3
	proveAgain    = 5 * time.Minute
	proveRetry    = 5 * time.Second
	sampleRetries = time.Second
)

// sampled takes in a look at a cluster: its settings, and who owns what.
func (st *stepper) sampled(e Sampled) {
	c, ok := st.s.Clusters[e.Cluster]
	if !ok {
		return
	}
	c.Sampling = false
	c.SampledAt = st.now
	c.Lab = e.Lab
	view, ok := st.trusted(e)
	if !ok {
		st.setCluster(e.Cluster, c, false)
		return
	}
	c.Samples++
	c.Info = view.Info
	changed := c.Samples == minSamples
	owners := maps.Clone(c.Owners)
	if owners == nil {
		owners = map[string][]guard.Ownership{}
	}
	for _, g := range view.Groups {
		history := owners[g.Name]
		if g.Owner == "" || len(history) > 0 && history[len(history)-1].Node == g.Owner {
			continue
		}
		history = append(slices.Clip(history), guard.Ownership{Node: g.Owner, Since: st.now})
		if len(history) > keepOwnerships {
			history = slices.Clone(history[len(history)-keepOwnerships:])
		}
		owners[g.Name] = history
		changed = true
		st.moved(e.Cluster, g.Name, history)
	}
	c.Owners = owners
	st.setCluster(e.Cluster, c, changed)
}

// trusted is the view that owner history is written from: of the first node in the configuration's order that
// answers and shows quorum.
func (st *stepper) trusted(e Sampled) (cluster.View, bool) {
	for _, c := range st.s.Config.Clusters {
		if c.Name != e.Cluster {
			continue
		}
		for _, n := range c.Nodes {
			v := e.Views[n.Name]
			if !v.Known() {
				continue
			}
			if current, needed := v.Value.Votes(); current >= needed {
				return v.Value, true
			}
		}
	}
	return cluster.View{}, false
}

// moved tells the open incidents of a group that its owner changed.
func (st *stepper) moved(name, of string, history []guard.Ownership) {
	if len(history) < 2 {
		return
	}
	from, to := history[len(history)-2].Node, history[len(history)-1].Node
	for _, vm := range st.s.groups[group{name, of}] {
		for _, i := range st.openOf(vm, every) {
			st.tell(i, "owner changed", "the cluster moved the group from "+from+" to "+to)
		}
	}
}

// proved takes in a proof. A proof with something missing never replaces one that was whole: the virtual machine
// may just be sick, and what was proven stays proven until it is too old.
func (st *stepper) proved(e Proved) {
	vm, ok := st.s.VMs.Get(e.Proof.VM)
	if !ok {
		return
	}
	vm.Proving = false
	vm.ProvedAt = st.now
	whole := e.Proof.Whole()
	if whole || len(e.Proof.Differs) > 0 || !vm.Proof.Whole() || !vm.Proof.Binding.Names.Equal(e.Proof.Binding.Names) {
		if !whole && slices.Equal(vm.Proof.Missing, e.Proof.Missing) && slices.Equal(vm.Proof.Differs, e.Proof.Differs) {
			st.setVM(e.Proof.VM, vm, false)
			return
		}
		vm.Proof = e.Proof
		vm.Proof.At = st.now
		st.setVM(e.Proof.VM, vm, whole)
		if whole {
			st.emit(Note{Message: "binding proven", Keys: []any{"vm", e.Proof.VM.String(), "vm_id", e.Proof.Binding.VMID, "computer", e.Proof.Binding.ComputerName}})
		} else {
			st.emit(Note{Message: "binding not proven", Keys: []any{"vm", e.Proof.VM.String(), "why", e.Proof.Lacks()[0]}})
		}
		return
	}
	st.setVM(e.Proof.VM, vm, false)
}

// due asks for every read whose time has come.
func (st *stepper) due() {
	for _, name := range sortedKeys(st.s.Clusters) {
		c := st.s.Clusters[name]
		if st.s.watched(name) == 0 || c.Sampling || st.now.Before(st.s.sampleDue(name)) {
			continue
		}
		c.Sampling = true
		st.setCluster(name, c, false)
		st.emit(Sample{Cluster: name})
	}
	st.sense()
	for _, i := range st.fallenDue() {
		if !st.unkept(i) {
			st.look(i, st.purpose(i))
		}
	}
	for _, id := range st.visits(st.s.proofs) {
		vm := st.s.VMs.of(id)
		if _, ok := st.s.inventory(id); ok && !vm.Proving && !st.busy(id) && !st.now.Before(st.s.proofDue(vm)) {
			vm.Proving = true
			st.setVM(id, vm, false)
			st.emit(Prove{VM: id})
			continue
		}
		st.touch(id) // one that needs no proof after all loses its place among the proofs
	}
	st.rehearse()
}

// fallenDue lists working copies of the open incidents for which something is to be read now, oldest first.
func (st *stepper) fallenDue() []*Incident {
	var due []*Incident
	for _, i := range st.work {
		if at, ok := falling(i); ok && !at.After(st.now) {
			due = append(due, i)
		}
	}
	for m := range st.s.Incidents.due.all() {
		if m.at.After(st.now) {
			break
		}
		if _, touched := st.work[m.id]; !touched {
			i, _ := st.incident(m.id)
			due = append(due, i)
		}
	}
	slices.SortFunc(due, older)
	return due
}

// visits lists the virtual machines that may be due in an order: by the last step's, and those that this one touched.
func (st *stepper) visits(order tree[visit, none]) []evidence.VM {
	var due []evidence.VM
	for v := range order.all() {
		if v.at.After(st.now) {
			break
		}
		due = append(due, evidence.VM(v.vm))
	}
	return st.touched(due...)
}

// busy reports whether something is still to come of an open incident of a virtual machine.
func (st *stepper) busy(id evidence.VM) bool {
	ids, _ := st.s.Incidents.of.get(machine(id))
	for _, i := range slices.Concat(ids, st.fresh) {
		now, touched := st.work[i]
		if !touched {
			now, _ = st.s.Incidents.byID.get(name(i))
		}
		if now.VM == id && !now.Closed() && now.deciding() {
			return true
		}
	}
	return false
}

// sampleDue is when a cluster is to be sampled next. The first samples come quickly: until there are three, nothing
// can be done.
func (s State) sampleDue(name string) time.Time {
	c := s.Clusters[name]
	if c.SampledAt.IsZero() || c.SampledAt.Before(s.Started) {
		return s.Started
	}
	if c.Samples < minSamples {
		return c.SampledAt.Add(min(sampleRetries, s.Config.Receiver.SampleInterval))
	}
	return c.SampledAt.Add(s.Config.Receiver.SampleInterval)
}

// proofDue is when a virtual machine's binding is to be proven again.
func (s State) proofDue(vm VM) time.Time {
	switch {
	case vm.ProvedAt.IsZero():
		return s.Started
	case !vm.Proof.Whole() || vm.ProvedAt.After(vm.Proof.At.Add(proveAgain)):
		return vm.ProvedAt.Add(proveRetry)
	}
	return vm.ProvedAt.Add(proveAgain)
}

// scheduled gives a virtual machine its places among the proofs, the background looks and the rehearsals: none while one is
// being made, and no proof and no rehearsal while something is still to come of an incident of its own.
func (s State) scheduled(id evidence.VM) State {
	vm, ok := s.VMs.byID.get(machine(id))
	if !ok {
		vm = &VM{}
	}
	var proof, sense, rehearsal time.Time
	if _, ok := s.inventory(id); ok {
		if busy := s.busy(id); !busy {
			if !vm.Proving {
				proof = s.proofDue(*vm)
			}
			rehearsal = s.rehearsalDue(id, *vm)
		}
		if !vm.Sensing {
			sense = s.senseDue(*vm)
		}
	}
	if proof.Equal(vm.proof) && sense.Equal(vm.sense) && rehearsal.Equal(vm.rehearsal) {
		return s
	}
	s.proofs, s.senses = replaced(s.proofs, id, vm.proof, proof), replaced(s.senses, id, vm.sense, sense)
	s.rehearsals = replaced(s.rehearsals, id, vm.rehearsal, rehearsal)
	changed := *vm
	changed.proof, changed.sense, changed.rehearsal = proof, sense, rehearsal
	s.VMs.byID = s.VMs.byID.put(machine(id), &changed)
	return s
}

// busy reports whether something is still to come of an open incident of a virtual machine.
func (s State) busy(id evidence.VM) bool {
	ids, _ := s.Incidents.of.get(machine(id))
	return slices.ContainsFunc(ids, func(id string) bool {
		i, _ := s.Incidents.byID.get(name(id))
		return !i.Closed() && i.deciding()
	})
}

// next is the earliest moment at which something falls due: the Wake of this state.
func (s State) next() time.Time {
	var first time.Time
	consider := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	consider(s.silenceDue())
	for name, c := range s.Clusters {
		if !c.Sampling && s.watched(name) > 0 {
			consider(s.sampleDue(name))
		}
	}
	if m, ok := s.Incidents.due.first(); ok {
		consider(m.at)
	}
	if p, ok := s.proofs.first(); ok {
		consider(p.at)
	}
	if v, ok := s.senses.first(); ok {
		consider(v.at)
	}
	if v, ok := s.rehearsals.first(); ok {
		consider(v.at)
	}
	return first
}
