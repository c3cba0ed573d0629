package incident

import (
	"maps"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
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
	st.ownClusters, st.ownVMs = true, true // configured made copies
	st.orphans()
	for _, id := range st.s.sortedVMs() {
		vm := st.s.VMs[id]
		if inventoried, ok := st.s.inventory(id); ok && !vm.Proof.Binding.Names.Equal(evidence.NamesOf(inventoried)) {
			vm.ProvedAt = time.Time{}
			st.setVM(id, vm, false)
		}
	}
	st.reconsider(every, "The configuration was read anew; asking again.")
}

// reconsider asks again about the matching incidents that were left as they were and of which nothing was sent: what
// they rested on may be so no longer.
func (st *stepper) reconsider(match func(*Incident) bool, why string) {
	for _, i := range st.open(func(i *Incident) bool {
		switch i.Phase {
		case Refused, Proposed, Told, Escalated:
			return !i.begun() && len(i.Ladder) > 0 && i.ExplainedBy == "" && match(i)
		case Open, Confirming, Waiting, Acting, Verifying, Recovering, Healed:
		}
		return false
	}) {
		i.Rung, i.Asked, i.Next = 0, "", st.now
		st.enter(i, Confirming, why)
	}
}

// expire forgets what is over: closed incidents with their actions, and pauses that have run out. An incident that a
// virtual machine is latched by stays until somebody acknowledges it.
func (st *stepper) expire() {
	for _, id := range slices.Sorted(maps.Keys(st.s.Incidents)) {
		i := st.s.Incidents[id]
		if !i.Closed() || st.now.Sub(i.ClosedAt) <= keepClosed || st.s.VMs[i.VM].Latched == id {
			continue
		}
		if !st.ownIncidents {
			st.s.Incidents, st.ownIncidents = maps.Clone(st.s.Incidents), true
		}
		delete(st.s.Incidents, id)
		delete(st.work, id)
		st.emit(Delete{Key: ledger.Key("incident", id)})
		for n := range i.Actions {
			if a := &i.Actions[n]; !a.Claimed.IsZero() {
				st.emit(Delete{Key: actionKey(&i, a)})
			}
		}
	}
	for _, id := range sortedKeys(st.s.Pauses) {
		if p := st.s.Pauses[id]; !p.Expires.After(st.now) {
			p.Expires = st.now
			st.paused(PauseSet{Pause: p})
		}
	}
}
