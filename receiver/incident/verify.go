package incident

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/audit"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// logins is how many healthy rounds in a row make a proof (G26).
const logins = 3

// verify judges a round for health. Three healthy rounds in a row, then the hold, and the incident is over; until
// then anything else sends it back to where it was.
func (st *stepper) verify(i *Incident, round evidence.Round) {
	why, well := st.well(i, round)
	if well || i.mutantWell() {
		st.healthy(i)
		return
	}
	up := round.Login.Known() && round.Login.Value.Up && (i.begun() || i.cleanly(round))
	i.Healthy = 0
	if !i.HealthyAt.IsZero() {
		st.tell(i, "not healthy any more", why)
		i.HealthyAt = time.Time{}
	}
	i.Next = st.now.Add(watchEvery)
	switch i.Phase {
	case Verifying, Recovering:
		i.Next = st.now.Add(roundEvery)
		switch {
		case up:
			st.enter(i, Verifying, "SQL Server logs in; not proven healthy yet: "+why)
			st.unproven(i, why)
		case starting(round) || i.boots(round):
			st.enter(i, Recovering, "SQL Server is starting or recovering; nothing may follow. "+why)
			st.stall(i, "SQL Server has been starting or recovering for "+stallBound.String()+". "+why)
		case i.begun():
			st.relapse(i, why)
		case i.ExplainedBy != "":
			st.enter(i, Waiting, "SQL Server is not well any more. Explained by "+i.ExplainedBy+": that one leads.")
		default:
			st.enter(i, Confirming, "SQL Server is not well any more. "+why)
		}
	case Refused, Told, Proposed, Escalated, Waiting, Open, Confirming:
		if i.ExplainedBy == "" && st.changed(i, round) {
			st.enter(i, Confirming, "The case has changed; asking again.")
			i.Rung = 0
			i.Next = st.now
		}
	case Acting, Healed:
	}
}

// changed reports whether what a refusal rested on is no longer so: a deliberate stop that somebody ended, and
// that then died, is a new case. An incident of which a command has left is none any more: its ladder would begin anew, with
// the rung that has failed already.
//
// So is an internal error that was above the policy's level and has come down to it.
func (st *stepper) changed(i *Incident, round evidence.Round) bool {
	if i.begun() {
		return false
	}
	if i.Phase == Told {
		return i.aboveLevel() && st.withinLevel(i, round)
	}
	return (i.Phase == Refused || i.Phase == Proposed) && i.Deliberate && round.Service.Known() && round.Service.Value.State == cluster.ServiceStopped &&
		round.Service.Value.ExitCode != 0 && len(i.Rounds) > 1 && i.Rounds[len(i.Rounds)-2].Service.Value.ExitCode == 0
}

// relapse: SQL Server came back after our commands and is gone again. Nothing more is tried: what was done did not
// help, and doing it again would be a loop.
func (st *stepper) relapse(i *Incident, why string) {
	if i.StalledSince.IsZero() {
		i.StalledSince = st.now
	}
	if st.now.Sub(i.StalledSince) < relapseBound {
		return
	}
	st.giveUp(i, "SQL Server did not stay up after the commands. "+why)
}

// giveUp leaves an incident to a person. A rung of it is over and has failed: the virtual machine is latched, and
// nothing else in the cluster waits for it any longer.
func (st *stepper) giveUp(i *Incident, why string) {
	if i.begun() {
		st.endPast(i, false)
		vm := st.s.VMs.of(i.VM)
		vm.Latched = i.ID
		st.setVM(i.VM, vm, true)
	}
	st.escalate(i, why)
}

// unproven calls a person where SQL Server logs in and something else is not as it was. An alert that is still active
// is waited for as long as nothing waits for this incident: the exporter may see what the receiver does not.
func (st *stepper) unproven(i *Incident, why string) {
	i.StalledSince = time.Time{}
	if i.UnprovenSince.IsZero() {
		i.UnprovenSince = st.now
	}
	if st.now.Sub(i.UnprovenSince) > stallBound && (i.begun() || !i.stands()) {
		st.giveUp(i, "SQL Server logs in and has not been proven healthy for "+stallBound.String()+": "+why)
	}
}

// relapseBound is how long SQL Server may be away again after our commands before a person is called: a dropped
// login is no relapse.
const relapseBound = 15 * time.Second

// stall calls a person where what has come so far comes no further.
func (st *stepper) stall(i *Incident, why string) {
	if i.StalledSince.IsZero() {
		i.StalledSince = st.now
	}
	if st.now.Sub(i.StalledSince) > stallBound {
		st.giveUp(i, why)
	}
}

// boots reports whether a round shows a guest that our command restarted and that may still be on its way: a service that
// starts late is stopped until then, and a guest answers nothing at first.
func (i *Incident) boots(r evidence.Round) bool {
	vm := r.Host.Value
	return i.booted() && r.Host.Known() && vm.State == cluster.VMRunning && vm.Uptime < remedy.VMTimeout
}

// starting reports whether a round shows a SQL Server that is on its way.
func starting(r evidence.Round) bool {
	if !r.Service.Known() {
		return false
	}
	switch r.Service.Value.State {
	case cluster.ServiceStartPending:
		return true
	case cluster.ServiceRunning:
		return r.Login.Known() && !r.Login.Value.Up
	case cluster.ServiceStopped, cluster.ServiceStopPending, cluster.ServiceContinuePending, cluster.ServicePausePending,
		cluster.ServicePaused, cluster.ServiceUnknown:
	}
	return false
}

// healthy counts a healthy round, and ends the incident after the hold.
func (st *stepper) healthy(i *Incident) {
	i.Healthy++
	i.StalledSince, i.UnprovenSince = time.Time{}, time.Time{}
	i.Next = st.now.Add(roundEvery)
	if i.Phase != Escalated && i.Phase != Verifying {
		st.enter(i, Verifying, "SQL Server logs in; its health is being proven.")
	}
	if i.Healthy < logins {
		return
	}
	vm, _ := st.s.inventory(i.VM)
	hold := st.s.policy(vm).Limits.Hold
	if i.HealthyAt.IsZero() && st.bringBack(i) {
		return
	}
	if i.HealthyAt.IsZero() {
		i.HealthyAt = st.now
		st.endPast(i, i.begun())
		st.tell(i, "healthy", fmt.Sprintf("%d logins in a row, databases as in the baseline, the alert is gone; held for %s", i.Healthy, hold))
		if i.Phase != Escalated {
			st.enter(i, Verifying, fmt.Sprintf("SQL Server is healthy; that has to hold for %s.", hold))
		}
	}
	if over := i.HealthyAt.Add(hold); st.now.Before(over) {
		i.Next = st.now.Add(min(watchEvery, max(over.Sub(st.now), roundEvery/4)))
		return
	}
	st.close(i)
}

// close ends an incident and those that it explained.
func (st *stepper) close(i *Incident) {
	i.ClosedAt, i.Next = st.now, time.Time{}
	i.HealedBy = st.healer(i)
	st.finish(i)
	for _, j := range st.openOf(i.VM, func(j *Incident) bool { return j.ExplainedBy == i.ID }) {
		if j.Alert.Firing {
			continue // it has a life of its own; explain() sets it free
		}
		j.ClosedAt, j.HealthyAt, j.Next, j.HealedBy = st.now, i.HealthyAt, time.Time{}, i.HealedBy
		st.enter(j, Healed, "Closed with the "+string(i.Fault)+" fault that explained it, "+i.ID+".")
	}
	// What was proven is proven anew: PIDs and start times have changed.
	vm := st.s.VMs.of(i.VM)
	vm.ProvedAt = time.Time{}
	st.setVM(i.VM, vm, false)
}

// finish says in plain words how it ended.
func (st *stepper) finish(i *Incident) {
	if i.Phase == Escalated {
		i.Summary += " It is healthy again since " + i.HealthyAt.UTC().Format("15:04:05") + "; acknowledge it to release the latch."
		st.tell(i, "closed", i.Summary)
		return
	}
	var words string
	switch i.HealedBy {
	case ByHypervigil:
		words = fmt.Sprintf("Healed by hypervigil: %s with %s.", i.Actions[len(i.Actions)-1].Rung, sent(i))
	case ByCluster:
		from, to := st.move(i)
		if from != "" {
			words = fmt.Sprintf("Healed by the cluster: it waited for the cluster, which moved the group from %s to %s; no command was sent.", from, to)
		} else {
			words = "Healed by the cluster: it waited for the cluster, which restarted the virtual machine; no command was sent."
		}
	case ByPerson:
		words = "Healed by a person: the service that was stopped on purpose runs again; no command was sent."
	case ByItself:
		words = "Healed by itself; no command was sent."
	}
	st.enter(i, Healed, words)
}

// sent counts, in words, the commands that left.
func sent(i *Incident) string {
	n := 0
	for _, a := range i.Actions {
		if a.left() {
			n++
		}
	}
	return commands(n)
}

// commands says a number of commands in words.
func commands(n int) string {
	if n == 1 {
		return "1 command"
	}
	return itoa(n) + " commands"
}

// left reports whether the command left: its result says so, or, where the receiver stopped before there was one, its
// effect shows.
func (a Action) left() bool {
	if a.Result != nil {
		return a.Result.Sent
	}
	return !a.Issued.IsZero() && (a.State == Verified || a.State == Observed)
}

// healer tells who brought SQL Server back.
func (st *stepper) healer(i *Incident) Healer {
	switch {
	case i.Phase == Escalated && i.begun():
		return ByPerson // what we did was not enough
	case i.revivedByUs(st.input(i).Service):
		return ByHypervigil
	case i.Deliberate:
		return ByPerson
	}
	if from, _ := st.move(i); from != "" {
		return ByCluster
	}
	if i.Fault == evidence.Host {
		return ByCluster
	}
	return ByItself
}

// revivedByUs reports whether a command of ours that brings SQL Server back (its service, or all of its machine) left and
// came to its effect.
func (i *Incident) revivedByUs(service string) bool {
	return slices.ContainsFunc(i.Actions, func(a Action) bool {
		s, ok := a.Command.Method.Spec()
		own := a.Command.Service == "" || a.Command.Service == service
		return ok && s.Revives && own && (a.State == Verified || a.State == Observed) && a.left()
	})
}

// move tells from where to where the group went since shortly before the alert began.
func (st *stepper) move(i *Incident) (from, to string) {
	owners := st.owners(i)
	if len(owners) == 0 {
		return "", ""
	}
	to = owners[len(owners)-1].Node
	if i.OwnerBefore == "" || i.OwnerBefore == to {
		return "", ""
	}
	return i.OwnerBefore, to
}

// well reports whether a round shows the subject as it was when it was healthy (G26), and if not, why.
func (st *stepper) well(i *Incident, r evidence.Round) (string, bool) {
	if st.witness(i) != evidence.NoInstance {
		if why, up := loggedIn(r.Login); !up {
			return why, false
		}
	}
	if why, ok := i.saysWell(r); !ok {
		return why, false
	}
	base := st.s.VMs.of(i.VM).Proof.Baseline[st.witness(i)]
	if len(base.Databases) > 0 {
		if r.Login.Value.Databases == nil {
			return "the states of its databases could not be read", false
		}
		for _, name := range slices.Sorted(maps.Keys(base.Databases)) {
			if now := r.Login.Value.Databases[name]; now != base.Databases[name] {
				return fmt.Sprintf("database %q is %q; the baseline says %q", name, now, base.Databases[name]), false
			}
		}
	}
	if why, ok := st.groupWell(i, r); !ok {
		return why, false
	}
	switch a := r.Alert; {
	case !a.Known():
		return "no Alertmanager could be asked whether the alert is gone", false
	case a.Value.Active:
		return "the alert is still active", false
	case a.Value.Suppressed:
		return "the alert is silenced or inhibited, not gone", false
	case !a.Value.StartsAt.IsZero():
		return "the alert is still active on one Alertmanager of several", false
	}
	return "", true
}

func loggedIn(l evidence.Reading[evidence.Login]) (string, bool) {
	switch {
	case !l.Known():
		return "SQL Server could not be tried: " + string(l.Failure), false
	case l.Value.Up:
		return "", true
	case l.Value.ErrorNumber != 0:
		return fmt.Sprintf("the login fails with error %d", l.Value.ErrorNumber), false
	case l.Value.Reason == dial.Answered:
		return "the login fails", false
	}
	return "the login fails: " + string(l.Value.Reason), false
}

// groupWell: the group is online and will be started by the cluster again (PersistentState).
func (st *stepper) groupWell(i *Incident, r evidence.Round) (string, bool) {
	vm, ok := st.s.inventory(i.VM)
	if !ok {
		return "it is no longer in the inventory", false
	}
	for _, v := range r.KnownViews() {
		g, ok := v.Value.Group(vm.GroupName())
		switch {
		case !ok:
			continue
		case g.State != cluster.GroupOnline:
			return fmt.Sprintf("group %q is in state %d, not online, says %s", g.Name, g.State, v.Value.By), false
		case !g.PersistentState:
			return fmt.Sprintf("group %q would not be started again by the cluster (PersistentState false)", g.Name), false
		}
		if to := i.movedTo(); to != "" && g.Owner != to {
			return fmt.Sprintf("group %q is on %s, says %s; it was moved to %s", g.Name, g.Owner, v.Value.By, to), false
		}
		// Where nothing of ours moved it, the cluster or a person put it where it is, and that is well.
		return "", true
	}
	return "no node shows the group", false
}

// movedTo is the node that a move of ours brought the group to; empty where there was none.
func (i *Incident) movedTo() string {
	for _, a := range slices.Backward(i.Actions) {
		if a.Command.Method == remedy.MoveGroup && a.State == Verified && a.left() {
			return a.Command.To
		}
	}
	return ""
}

// paused sets or lifts a pause.
func (st *stepper) paused(e PauseSet) {
	if !st.ownPauses {
		st.s.Pauses, st.ownPauses = maps.Clone(st.s.Pauses), true
	}
	key := pauseKey(e.Pause)
	if !e.Pause.Expires.After(st.now) {
		delete(st.s.Pauses, e.Pause.ID)
		st.emit(Delete{Key: key})
		st.emit(Note{Message: "pause lifted", Keys: []any{"pause", e.Pause.ID}})
		st.note(nil, audit.Entry{Event: "pause lifted", Cluster: e.Pause.Cluster, VM: e.Pause.VM, Detail: e.Pause.ID})
		return
	}
	st.s.Pauses[e.Pause.ID] = e.Pause
	st.emit(Put{Key: key, Value: e.Pause})
	st.note(nil, audit.Entry{
		Event: "paused", Cluster: e.Pause.Cluster, VM: e.Pause.VM, By: e.Pause.Owner,
		Detail: fmt.Sprintf("%s, rung %q, until %s: %s", e.Pause.ID, e.Pause.Rung, e.Pause.Expires.UTC().Format(time.RFC3339), e.Pause.Reason),
	})
	st.emit(Note{Message: "paused", Keys: []any{"pause", e.Pause.ID, "owner", e.Pause.Owner, "reason", e.Pause.Reason}})
}

// sortedKeys are a map's keys in order. Most maps here are small, and they are asked for in every step.
func sortedKeys[V any](m map[string]V) []string {
	if len(m) == 0 {
		return nil
	}
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
