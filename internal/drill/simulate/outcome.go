package simulate

import (
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// result is what came of one schedule.
type result struct {
	seed       uint64
	violations []Violation
	events     map[string]int
	commands   map[string]int // by rung and method
	refusals   map[string]int // by guard, when they began
	phases     map[string]int // entered
	cures      map[string]int // ends by healer
	points     map[Point]int
	reached    map[string]bool // rungs, UNKNOWN
	crashes    int
	span       time.Duration // that passed
}

func newResult(seed uint64) result {
	return result{
		seed: seed, events: map[string]int{}, commands: map[string]int{}, refusals: map[string]int{}, phases: map[string]int{},
		cures: map[string]int{}, points: map[Point]int{}, reached: map[string]bool{},
	}
}

// tell counts what an incident's new record says.
func (w *world) tell(old *incident.State, i incident.Incident) {
	was, existed := old.Incidents.Get(i.ID)
	if existed && was.Phase == i.Phase && was.Closed() == i.Closed() {
		return
	}
	if !existed || was.Phase != i.Phase {
		w.result.phases[string(i.Phase)]++
	}
	if i.Closed() {
		w.result.cures[string(i.HealedBy)]++
	}
	if w.trace != nil {
		w.trace.add(w.now, "incident %s %s: %s", i.ID, i.Phase, i.Summary)
	}
}

// calmCured looks whether a plain fault that met nothing else was cured, within the time that it was given.
func (w *world) calmCured() {
	vm := w.schedule.Calm
	_, controlled := w.variant.controlled[vm]
	p := w.judge.policy(vm)
	acts := p.Mode == config.Act && slices.Contains(p.Ladder(string(evidence.Service)), config.RungRestartService) && !w.variant.onlyObserves() && !w.config.NeverTouch(w.spec.Cluster, vm) && !controlled
	up := w.model.VM(vm).Servers[0].Up
	switch {
	case acts && (!up || len(w.judge.sent) == 0):
		w.breaks(calmIsCured, "%s: up %t, %d commands", vm, up, len(w.judge.sent))
	case !acts && (up || len(w.judge.sent) > 0):
		w.breaks(inMode, "%s: up %t, %d commands", vm, up, len(w.judge.sent))
	}
}

// done reports whether an incident waits for nothing but a person, or for another one that does.
func (w *world) done(i incident.Incident) bool {
	switch i.Phase {
	case incident.Refused, incident.Proposed, incident.Told, incident.Escalated, incident.Healed:
		return true
	case incident.Waiting:
		if by, ok := w.state.Incidents.Get(i.ExplainedBy); ok && i.ExplainedBy != "" {
			return by.ExplainedBy != "" || w.done(by)
		}
		return !w.patient() && w.waitsRightly(i)
	case incident.Open, incident.Confirming, incident.Acting, incident.Verifying, incident.Recovering:
	}
	return false
}

// patient reports whether this schedule is played until even the longest wait is over. Most of the time of a schedule
// would be spent in cool-downs; one in 32 is enough to see that they end.
func (w *world) patient() bool { return w.schedule.Seed%32 == 0 }

// waitsRightly reports whether an incident waits for a moment, as a cool-down's end is, or for something that is so in
// truth and may last: a storm, a lost host, an alert that is not active.
func (w *world) waitsRightly(i incident.Incident) bool {
	d, holds := guard.Decide(i.Verdicts)
	if !holds || d.Outcome != guard.Hold {
		return false
	}
	vm := w.config.Clusters[0].VirtualMachine(i.VM.Name)
	v := w.model.VM(vm.Name)
	switch {
	case d.Until.After(w.now.Add(settleStep)):
		return d.Until.Before(w.now.Add(settleBound))
	case d.Guard == "G17":
		return w.stormy(vm, v.Owner)
	case d.Guard == "G7":
		a := w.alerts.find(i.Subject)
		return a == nil || a.startsAt.IsZero()
	}
	return v.GroupState != cluster.GroupOnline || w.manner(v) != answers
}

// unsettled lists the incidents that are not done, in order.
func (w *world) unsettled() []incident.Incident {
	var list []incident.Incident
	for i := range w.state.Incidents.All() {
		if !i.Closed() && !w.done(i) {
			list = append(list, i)
		}
	}
	return list
}

// unheard lists the active alerts that no incident stands for, in order. One whose first notification may still come is
// left out.
func (w *world) unheard() []*alert {
	var list []*alert
	for _, a := range w.alerts.list {
		if a.startsAt.IsZero() || w.now.Sub(a.startsAt) < repeatEvery+retryAfter {
			continue
		}
		if !slices.ContainsFunc(slices.Collect(w.state.Incidents.All()), func(i incident.Incident) bool {
			return i.Subject == a.Subject && !i.Closed()
		}) {
			list = append(list, a)
		}
	}
	return list
}

// settled reports whether everything has come to its end.
func (w *world) settled() bool {
	if len(w.result.violations) > 0 {
		return true
	}
	if !w.alive || w.stuck != nil || len(w.unsettled()) > 0 || len(w.unheard()) > 0 {
		return false
	}
	for _, a := range w.alerts.list {
		if !a.startsAt.IsZero() && w.now.Sub(a.startsAt) < repeatEvery+retryAfter {
			return false
		}
	}
	return !w.moves()
}

// moves reports whether the world itself is still on its way somewhere: a guest boots, a service starts or stops.
func (w *world) moves() bool {
	for _, v := range w.model.VMs {
		if v.Guest == model.GuestBooting || v.GroupState == cluster.GroupPending {
			return true
		}
		for _, s := range v.Services {
			if v.Guest == model.GuestRunning && (s.State == cluster.ServiceStartPending || s.State == cluster.ServiceStopPending) {
				return true
			}
		}
	}
	return false
}

// outcome judges the end of a schedule.
func (w *world) outcome() {
	w.result.span = w.now.Sub(epoch)
	if len(w.result.violations) > 0 {
		return
	}
	for _, i := range w.unsettled() {
		w.breaks(comesToAnEnd, "%s is %s after %s: %s", i.ID, i.Phase, settleBound, i.Summary)
	}
	w.noneInFlight()
	for _, a := range w.unheard() {
		w.breaks(outageIsKnown, "the alert of %s is active since %s and has no incident", a.Subject, w.now.Sub(a.startsAt))
	}
	for _, v := range w.model.VMs {
		if !v.PersistentState {
			w.breaks(persistent, "%s", v.Name)
		}
		if n := len(v.Counts.FailoversByCluster); n > w.judge.faults {
			w.breaks(oneFailover, "%s: %d failovers for %d faults", v.Name, n, w.judge.faults)
		}
		if n, ours := len(v.Counts.MovesCommanded), w.judge.moves(v.Name); n > w.judge.hand[v.Name]+ours {
			w.breaks(noFailover, "%s: %d moves, %d by hand, %d sent", v.Name, n, w.judge.hand[v.Name], ours)
		}
		for _, s := range v.Servers {
			if w.manner(v) == answers && !s.Up { // a guest that does not answer has alerts of its own
				w.explained(evidence.VM{Cluster: w.spec.Cluster, Name: v.Name}, s.Instance)
			}
		}
	}
}

// noneInFlight looks for rungs that are said to be in flight and whose incident does nothing any more: they would hold
// every other incident of the cluster.
func (w *world) noneInFlight() {
	for id, vm := range w.state.VMs.All() {
		for _, p := range vm.Past {
			i, _ := w.state.Incidents.Get(p.Incident)
			at := i.Phase == incident.Acting || i.Phase == incident.Verifying || i.Phase == incident.Recovering
			if p.Ended.IsZero() && (i.Closed() || !at) {
				w.breaks(comesToAnEnd, "%s of %s on %s is in flight, its incident is %s", p.Rung, p.Incident, id, i.Phase)
			}
		}
	}
}

// explained looks for the incident that says why an instance is down at the end.
func (w *world) explained(vm evidence.VM, instance string) {
	for i := range w.state.Incidents.All() {
		if i.VM == vm && (i.Instance == instance || i.Instance == evidence.NoInstance) && !i.Closed() && i.Summary != "" {
			return
		}
	}
	w.breaks(outageIsKnown, "%s/%s is down and no incident says why", vm, instance)
}
