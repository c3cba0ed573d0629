package incident

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/audit"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// has reports whether the configuration still has what a subject names.
func (s State) has(subject evidence.Subject) bool {
	vm, ok := s.inventory(subject.VM)
	return ok && (subject.Instance == evidence.NoInstance || vm.SQLServer(subject.Instance) != nil)
}

// orphans closes the open incidents whose virtual machine or instance a new configuration no longer has: nothing can
// be read of them, and nothing may be sent to them.
func (st *stepper) orphans() {
	for _, i := range st.open(func(i *Incident) bool { return !st.s.has(i.Subject) }) {
		for n := range i.Actions {
			a := &i.Actions[n]
			switch a.State {
			case Planned, Claimed, Issued, Unknown, Observed:
				recorded := a.State != Planned
				a.State, a.Why, a.Ended = Failed, "taken out of the inventory before it came to its end", st.now
				if recorded {
					st.emit(Put{Key: actionKey(i, a), Value: *a})
				}
			case Verified, Failed:
			}
		}
		st.endPast(i, false)
		i.ExplainedBy, i.Asked, i.Next, i.ClosedAt = "", "", time.Time{}, st.now
		st.enter(i, Told, "Taken out of the inventory while it was open: nothing more is asked or done about it.")
	}
}

// configure takes in a new configuration. What rested on the old one is looked at again.
func (st *stepper) configure(cfg *config.Config) {
	st.s = st.s.configured(cfg)
	st.note(nil, audit.Entry{Event: "configuration read"})
	st.ownClusters = true // configured made a copy
	st.orphans()
	for id, vm := range st.s.VMs.All() {
		if inventoried, ok := st.s.inventory(id); ok && !vm.Proof.Binding.Names.Equal(evidence.NamesOf(inventoried)) {
			vm.ProvedAt = time.Time{}
			st.setVM(id, vm, false)
		}
	}
	st.reconsider(st.open(every), "The configuration was read anew; asking again.")
}

// reconsider asks again about those incidents that were left as they were and of which nothing was sent: what they rested
// on may be so no longer.
func (st *stepper) reconsider(open []*Incident, why string) {
	for _, i := range open {
		switch i.Phase {
		case Refused, Proposed, Told, Escalated:
			if i.begun() || len(i.Ladder) == 0 || i.ExplainedBy != "" {
				continue
			}
			i.Rung, i.Asked, i.Next = 0, "", st.now
			st.enter(i, Confirming, why)
		case Open, Confirming, Waiting, Acting, Verifying, Recovering, Healed:
		}
	}
}

// recordedSize is what an incident's record takes in the ledger, with the bundles that are deleted with it; those by their
// bound.
func recordedSize(i *Incident) int64 {
	b, err := json.Marshal(i)
	if err != nil {
		panic("incident cannot be marshalled: " + err.Error()) // a type of ours: a bug
	}
	return int64(len(b)) + int64(len(i.Kept))*evidence.MaxBundle
}

// expire forgets what is over: closed incidents with their actions, and pauses that have run out. An incident that a
// virtual machine is latched by stays until somebody acknowledges it.
func (st *stepper) expire() {
	for m := range st.s.Incidents.closed.all() {
		count, bytes := st.s.Incidents.Closed()
		if r := st.s.Config.Receiver.Retention; st.now.Sub(m.at) <= r.Closed && count <= r.ClosedCount && bytes <= r.ClosedBytes {
			break
		}
		i, _ := st.s.Incidents.Get(m.id)
		if st.s.VMs.of(i.VM).Latched == i.ID {
			continue
		}
		st.s.Incidents = st.s.Incidents.Without(i.ID)
		delete(st.work, i.ID)
		st.emit(Delete{Key: ledger.Key("incident", i.ID)})
		for n := range i.Actions {
			if a := &i.Actions[n]; !a.Claimed.IsZero() {
				st.emit(Delete{Key: actionKey(&i, a)})
			}
		}
		for _, n := range i.Kept {
			st.emit(Delete{Key: bundleKey(&i, n)})
		}
	}
	for id := range st.s.VMs.acted.all() {
		vm := st.s.VMs.of(evidence.VM(id))
		if slices.ContainsFunc(vm.Past, func(p guard.Past) bool { return forgotten(p, st.now) }) {
			vm.Past = recent(vm.Past, st.now)
			st.setVM(evidence.VM(id), vm, true)
		}
	}
	for _, id := range sortedKeys(st.s.Pauses) {
		if p := st.s.Pauses[id]; !p.Expires.After(st.now) {
			p.Expires = st.now
			st.paused(PauseSet{Pause: p})
		}
	}
}
