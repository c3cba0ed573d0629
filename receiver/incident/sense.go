package incident

import (
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// senseTimeout bounds one background look at a virtual machine. Performance counters may take seconds.
const senseTimeout = 8 * time.Second

// senseEvents is how far back the guest's log is read for a shutdown: as long as one may take, and more (G32).
const senseEvents = 45 * time.Minute

// Sense asks for a background look at one virtual machine; Sensed answers it.
type Sense struct{ Ask evidence.Ask }

func (Sense) effect() {}

// Sensed is the answer to a Sense effect.
type Sensed struct {
	At
	Vitals evidence.Vitals
}

// sense asks for the background looks whose time has come. It goes on while an incident is open: what is read then is
// evidence too.
func (st *stepper) sense() {
	for _, id := range st.visits(st.s.senses) {
		vm := st.s.VMs.of(id)
		inventoried, ok := st.s.inventory(id)
		if !ok || vm.Sensing || st.now.Before(st.s.senseDue(vm)) {
			continue
		}
		vm.Sensing = true
		st.setVM(id, vm, false)
		ask := evidence.Ask{VM: id, VMID: vm.Proof.Binding.VMID, Timeout: senseTimeout, EventsSince: st.now.Add(-senseEvents)}
		if o := st.s.Clusters[id.Cluster].Owners[inventoried.GroupName()]; len(o) > 0 {
			ask.Owner = o[len(o)-1].Node
		}
		st.emit(Sense{Ask: ask})
	}
}

// senseDue is when a virtual machine is to be looked at next.
func (s State) senseDue(vm VM) time.Time {
	if vm.SensedAt.IsZero() {
		return s.Started
	}
	return vm.SensedAt.Add(s.Config.Receiver.SampleInterval)
}

// sensed takes in a background look. What could not be read leaves what was read before as it is, with its age. It is kept
// in memory only, for the instances of the inventory: after a restart it is read anew, or is missing.
func (st *stepper) sensed(e Sensed) {
	vm, ok := st.s.VMs.Get(e.Vitals.VM)
	if !ok {
		return
	}
	vm.Sensing, vm.SensedAt = false, st.now
	inventoried, ok := st.s.inventory(e.Vitals.VM)
	if ok {
		old := vm.Vitals
		vm.Vitals = old.Counted(e.Vitals.Disks)
		vm.Vitals.VM, vm.Vitals.Work = e.Vitals.VM, map[string]evidence.Reading[evidence.Work]{}
		if e.Vitals.Orderly.Known() {
			vm.Vitals.Orderly = e.Vitals.Orderly
		}
		for _, q := range inventoried.SQLServers {
			if r := e.Vitals.Work[q.Instance]; r.Known() {
				vm.Vitals.Work[q.Instance] = r
			} else if r, ok := old.Work[q.Instance]; ok {
				vm.Vitals.Work[q.Instance] = r
			}
		}
	}
	st.setVM(e.Vitals.VM, vm, false)
}
