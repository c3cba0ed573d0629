package incident

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/audit"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// Step is all that is ever decided. It is pure: the same state and event always give the same result, and neither
// is changed.
func Step(s State, e Event) (State, []Effect) {
	st := &stepper{s: s, now: e.at(), work: map[string]*Incident{}}
	switch e := e.(type) {
	case Notified:
		st.notified(e)
	case Sampled:
		st.sampled(e)
	case Proved:
		st.proved(e)
	case Sensed:
		st.sensed(e)
	case Looked:
		st.looked(e)
	case PlanStored:
		if i, ok := st.incident(e.Incident); ok {
			st.claim(i)
		}
	case Kept:
		st.kept(e)
	case ClaimLost:
		st.claimLost(e)
	case Commanded:
		st.commanded(e)
	case Acknowledged:
		st.acknowledged(e)
	case Approved:
		st.approved(e)
	case Rehearsed:
		st.rehearsed(e)
	case PauseSet:
		st.paused(e)
	case Reloaded:
		st.configure(e.Config)
	case Ticked:
		st.expire()
	}
	st.silence()
	st.explain()
	st.due()
	if _, tick := e.(Ticked); tick {
		st.s.wake = time.Time{} // it has fired: ask for the next one even where it is the same
	}
	st.store()
	return st.s, st.effects
}

// stepper is one run of Step: a working copy of what the event touches, written back at its end.
type stepper struct {
	s       State
	now     time.Time
	effects []Effect
	entries []audit.Entry // of this step, for the audit's record

	work     map[string]*Incident // clones of the touched incidents
	fresh    []string             // those of them that this step has opened, in order
	vms      map[evidence.VM]bool // touched; true: to be stored
	clusters map[string]bool      // touched, to be stored
	ownClusters,
	ownPauses bool // whether the state's maps are ours already
}

func (st *stepper) emit(e Effect) { st.effects = append(st.effects, e) }

// incident is a working copy of an incident.
func (st *stepper) incident(id string) (*Incident, bool) {
	if i, ok := st.work[id]; ok {
		return i, true
	}
	i, ok := st.s.Incidents.Get(id)
	if !ok {
		return nil, false
	}
	return st.adopt(i), true
}

// adopt makes a copy that shares no slice which could be written through: actions are changed where they are, the
// others are only appended to or replaced.
func (st *stepper) adopt(i Incident) *Incident {
	i.Actions = slices.Clone(i.Actions)
	i.Timeline = slices.Clip(i.Timeline)
	i.Rounds = slices.Clip(i.Rounds)
	i.Verdicts = slices.Clip(i.Verdicts)
	i.Approvals = slices.Clone(i.Approvals)
	st.work[i.ID] = &i
	return &i
}

// open lists working copies of all open incidents that match, oldest first. It looks at every one: for what concerns one
// virtual machine there is openOf. match may read an incident and not keep it.
func (st *stepper) open(match func(*Incident) bool) []*Incident {
	var open []*Incident
	for m := range st.s.Incidents.open.all() {
		open = st.matching(open, m.id, match)
	}
	return st.withNew(open, match)
}

// openOf lists working copies of the open incidents of a virtual machine that match, oldest first. What does not match is
// not copied.
func (st *stepper) openOf(vm evidence.VM, match func(*Incident) bool) []*Incident {
	var open []*Incident
	ids, _ := st.s.Incidents.of.get(machine(vm))
	for _, id := range ids {
		open = st.matching(open, id, match)
	}
	return st.withNew(open, func(i *Incident) bool { return i.VM == vm && match(i) })
}

// matching adds a working copy of an incident of the state, if it is open and matches.
func (st *stepper) matching(open []*Incident, id string, match func(*Incident) bool) []*Incident {
	i, touched := st.work[id]
	if !touched {
		i, _ = st.s.Incidents.byID.get(name(id))
	}
	switch {
	case i.Closed() || !match(i):
		return open
	case touched:
		return append(open, i)
	}
	return append(open, st.adopt(*i))
}

// withNew adds the matching incidents that this step has opened.
func (st *stepper) withNew(open []*Incident, match func(*Incident) bool) []*Incident {
	for _, id := range st.fresh {
		if i := st.work[id]; !i.Closed() && match(i) {
			open = append(open, i)
		}
	}
	return open
}

func (st *stepper) setVM(id evidence.VM, vm VM, stored bool) {
	st.s.VMs = st.s.VMs.With(id, vm)
	if st.vms == nil {
		st.vms = map[evidence.VM]bool{}
	}
	st.vms[id] = st.vms[id] || stored
}

// touch has a virtual machine's places looked at anew at the end of the step, without changing what is known of it.
func (st *stepper) touch(id evidence.VM) {
	if st.vms == nil {
		st.vms = map[evidence.VM]bool{}
	}
	st.vms[id] = st.vms[id] || false
}

// touched are the virtual machines that the step changed, or an incident of, and these others, in the order of their
// names.
func (st *stepper) touched(others ...evidence.VM) []evidence.VM {
	ids := make([]evidence.VM, 0, len(st.vms)+len(st.work)+len(others))
	for id := range st.vms {
		ids = append(ids, id)
	}
	for _, i := range st.work {
		ids = append(ids, i.VM)
	}
	ids = append(ids, others...)
	slices.SortFunc(ids, func(a, b evidence.VM) int { return machine(a).compare(machine(b)) })
	return slices.Compact(ids)
}

func (st *stepper) setCluster(name string, c Cluster, stored bool) {
	if !st.ownClusters {
		st.s.Clusters, st.ownClusters = maps.Clone(st.s.Clusters), true
	}
	st.s.Clusters[name] = c
	if stored {
		if st.clusters == nil {
			st.clusters = map[string]bool{}
		}
		st.clusters[name] = true
	}
}

// store writes the working copies back and emits the records of what changed, and the next Wake.
func (st *stepper) store() {
	for _, id := range sortedKeys(st.work) {
		i := st.work[id]
		old, existed := st.s.Incidents.Get(id)
		if existed && same(old, *i) {
			continue
		}
		changed := !existed || !sameRecord(old, *i)
		if changed && i.Closed() {
			i.recorded = recordedSize(i)
		}
		st.s.Incidents = st.s.Incidents.With(*i)
		if changed {
			st.emit(Put{Key: ledger.Key("incident", id), Value: *i})
		}
	}
	for _, id := range st.touched() {
		st.s = st.s.scheduled(id)
		if st.vms[id] {
			st.emit(Put{Key: ledger.Key("vm", id.Cluster, id.Name), Value: st.s.VMs.of(id)})
		}
	}
	for _, name := range sortedKeys(st.clusters) {
		st.emit(Put{Key: ledger.Key("cluster", name), Value: st.s.Clusters[name]})
	}
	st.chain()
	if wake := st.s.next(); !wake.IsZero() && !wake.Equal(st.s.wake) {
		st.s.wake = wake
		if !wake.After(st.now) {
			wake = st.now.Add(minWake)
		}
		st.emit(Wake{When: wake})
	}
}

// minWake keeps a moment that has passed already from waking the driver without a pause.
const minWake = 10 * time.Millisecond

// same reports whether nothing of a working copy was changed.
func same(a, b Incident) bool {
	return a.AskID == b.AskID && a.Asked == b.Asked && a.Next.Equal(b.Next) && a.Healthy == b.Healthy &&
		len(a.Rounds) == len(b.Rounds) && a.Alert.ReceivedAt.Equal(b.Alert.ReceivedAt) && newest(a).Equal(newest(b)) && sameRecord(a, b)
}

// sameRecord reports whether the ledger needs no new copy: rounds of a quiet wait are evidence that the next ones
// replace, and are written with the next change of substance.
func sameRecord(a, b Incident) bool {
	if a.Phase != b.Phase || a.Summary != b.Summary || len(a.Timeline) != len(b.Timeline) || a.ExplainedBy != b.ExplainedBy ||
		a.Rung != b.Rung || !a.ClosedAt.Equal(b.ClosedAt) || !a.HealthyAt.Equal(b.HealthyAt) || a.Alert.Firing != b.Alert.Firing ||
		!a.Alert.StartsAt.Equal(b.Alert.StartsAt) || a.Acked != b.Acked || a.Deliberate != b.Deliberate || len(a.Actions) != len(b.Actions) || !sameApprovals(a, b) {
		return false
	}
	for n := range a.Actions {
		if a.Actions[n].State != b.Actions[n].State || a.Actions[n].Why != b.Actions[n].Why {
			return false
		}
	}
	return true
}

func newest(i Incident) time.Time {
	if len(i.Rounds) == 0 {
		return time.Time{}
	}
	return i.Rounds[len(i.Rounds)-1].Finished
}

// tell adds a line to an incident's story.
func (st *stepper) tell(i *Incident, event, detail string) {
	if len(i.Timeline) >= keepTimeline {
		i.Timeline = slices.Delete(slices.Clone(i.Timeline), 1, 2) // the first line stays: how it began
	}
	i.Timeline = append(i.Timeline, Entry{At: st.now, Event: event, Detail: detail})
	st.note(i, audit.Entry{Event: event, Detail: detail})
}

// enter changes an incident's phase and says so.
func (st *stepper) enter(i *Incident, p Phase, summary string) {
	if i.Phase == p && i.Summary == summary {
		return
	}
	changed := i.Phase != p
	i.Phase, i.Summary = p, summary
	if p != Proposed {
		i.Offer = nil
	}
	if p != Acting {
		i.KeepUntil = time.Time{}
	}
	switch p {
	case Open, Confirming, Waiting:
	case Refused, Proposed, Acting, Verifying, Recovering, Healed, Told, Escalated:
		i.HeldSince, i.HeldBy = time.Time{}, "" // the next hold is another one
	}
	if !changed {
		return
	}
	st.tell(i, string(p), summary)
	st.emit(Note{Message: "incident " + string(p), Keys: []any{
		"incident", i.ID, "cluster", i.Cluster, "vm", i.VM.Name, "sql_instance", i.Instance, "fault", string(i.Fault), "summary", summary,
	}})
}

// owner is the node that owns the group by the newest sample; empty before there is one.
func (st *stepper) owner(i *Incident) string {
	if o := st.owners(i); len(o) > 0 {
		return o[len(o)-1].Node
	}
	return ""
}

// owners are the group's owners by our samples, and since when.
func (st *stepper) owners(i *Incident) []guard.Ownership {
	vm, ok := st.s.inventory(i.VM)
	if !ok {
		return nil
	}
	return st.s.Clusters[i.Cluster].Owners[vm.GroupName()]
}

// trimmed is a round whose views speak of one group.
func trimmed(r evidence.Round, group string) evidence.Round {
	r.Views = maps.Clone(r.Views)
	for node, v := range r.Views {
		v.Value = trim(v.Value, group)
		r.Views[node] = v
	}
	return r
}

// trim keeps of a view what concerns one group: a large cluster's views would fill the ledger.
func trim(v cluster.View, group string) cluster.View {
	t := cluster.View{By: v.By, Info: v.Info, Nodes: v.Nodes}
	if g, ok := v.Group(group); ok {
		t.Groups = []cluster.Group{g}
	}
	for _, r := range v.Resources {
		if r.Group == group {
			t.Resources = append(t.Resources, r)
		}
	}
	return t
}

func itoa(n int) string { return strconv.Itoa(n) }
