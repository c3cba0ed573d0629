package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/ledger"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// The bounds of acting.
const (
	claimBound     = 60 * time.Second // a claimed action that cannot be re-validated for so long is given up
	awaitEvery     = 500 * time.Millisecond
	reconcileEvery = 5 * time.Second
	reconcileBound = 15 * time.Minute // G25
	reconcileReads = 3                // reads in a row that show no effect
	stallBound     = 10 * time.Minute // of a start-up or recovery (G26)
)

// plan writes down what is to be done: nothing of it has begun.
func (st *stepper) plan(i *Incident, in guard.Input, round evidence.Round) {
	cmds, err := remedy.Plan(in.Rung, st.caseOf(i, in, round))
	if err != nil {
		st.held(i, guard.Verdict{Guard: "plan", Name: string(in.Rung), Detail: err.Error()}, "The plan is not complete: "+err.Error())
		return
	}
	owner := st.owner(i)
	by := st.useApproval(i, planHash(i, in.Rung, owner, cmds))
	i.Plan = nil
	to := ""
	for _, c := range cmds {
		i.Actions = append(i.Actions, Action{
			Number: len(i.Actions) + 1, Rung: in.Rung, Command: c, State: Planned, Owner: owner, By: by, Planned: st.now,
		})
		i.Plan = append(i.Plan, c.Cmdlet)
		if c.To != "" {
			owner, to = c.To, c.To // what follows a move finds the group there
		}
	}
	st.passed(i, by)
	vm := st.s.VMs.of(i.VM)
	vm.Past = append(recent(vm.Past, st.now), guard.Past{VM: i.VM, Instance: i.Instance, Rung: in.Rung, To: to, Incident: i.ID, Started: st.now})
	st.setVM(i.VM, vm, true)
	summary := fmt.Sprintf("Every guard passes: %s, %s.", in.Rung, commands(len(cmds)))
	if by != "" {
		summary += " Approved by " + by + "."
	}
	st.enter(i, Acting, summary)
	for _, a := range i.Actions {
		if a.State == Planned {
			st.tell(i, "planned", a.Command.Cmdlet)
		}
	}
	st.beginPlan(i, in.Rung)
}

func recent(past []guard.Past, now time.Time) []guard.Past {
	var kept []guard.Past
	for _, p := range past {
		if !forgotten(p, now) {
			kept = append(kept, p)
		}
	}
	return kept
}

// forgotten reports whether a rung counts for nothing any more.
func forgotten(p guard.Past, now time.Time) bool {
	return !p.Ended.IsZero() && now.Sub(p.Started) >= keepPast
}

func actionKey(i *Incident, a *Action) string {
	return ledger.Key("action", i.ID, string(a.Rung), fmt.Sprintf("%03d", a.Number))
}

// claim takes the next planned action: its key is made, which only one can do, once. The re-validation follows.
func (st *stepper) claim(i *Incident) {
	a := i.current()
	if a == nil || a.State != Planned || i.Phase != Acting || st.late(i, a) {
		return
	}
	a.State, a.Claimed, a.Epoch = Claimed, st.now, st.s.Epoch
	st.tell(i, "claimed", words(a.Command))
	st.emit(Put{Key: actionKey(i, a), Value: *a, IfAbsent: true, Incident: i.ID, Number: a.Number})
	st.look(i, Revalidate)
}

// claimLost: the action was begun by somebody else, or by an earlier life of ours. It is not begun again.
func (st *stepper) claimLost(e ClaimLost) {
	i, ok := st.incident(e.Incident)
	if !ok {
		return
	}
	for n := range i.Actions {
		if i.Actions[n].Number == e.Number {
			st.fail(i, &i.Actions[n], remedy.Transient, "the ledger shows that this action was begun already")
			return
		}
	}
}

// revalidated judges the read made right before a command (G9), and sends it.
func (st *stepper) revalidated(i *Incident, round evidence.Round, lab evidence.Reading[bool]) {
	a := i.current()
	if a == nil || a.State != Claimed || st.late(i, a) {
		return
	}
	in := st.input(i)
	in.Service = cmp.Or(st.serviceOf(i, a.Command), in.Service)
	in.Rounds = []evidence.Round{round}
	in.Lab = lab.Known() && lab.Value
	i.inFlight(&in, a)
	if !i.underway() {
		if v, no := guard.Forbidden(in); no {
			st.abandon(i, v.Guard+" "+v.Name+": "+v.Detail)
			return
		}
	}
	v := guard.Revalidate(in, a.Command, a.Owner)
	i.Verdicts = append(without(i.Verdicts, "G9"), v)
	switch v.Outcome {
	case guard.Pass:
		// What came of an earlier try, which did not leave, says nothing about this one.
		a.State, a.Issued, a.Result = Issued, st.now, nil
		a.ReadAge = st.now.Sub(guard.Oldest(round))
		i.Next = time.Time{}
		st.tell(i, "issued", words(a.Command)+"; "+v.Detail)
		st.emit(Put{Key: actionKey(i, a), Value: *a})
		st.emit(Send{Incident: i.ID, Number: a.Number, Rung: a.Rung, Command: a.Command, NotAfter: guard.Oldest(round).Add(guard.MaxReadAge)})
	case guard.Hold:
		if st.now.Sub(a.Claimed) > claimBound {
			st.fail(i, a, remedy.Transient, "it could not be re-validated for "+claimBound.String()+"; it was never sent. "+v.Detail)
			return
		}
		i.Next = st.now
		if v.Reason != "stale" {
			i.Next = st.now.Add(roundEvery)
		}
	case guard.Refuse, guard.Propose:
		st.refusal(i, v)
		st.tell(i, "not sent", v.Detail)
		if (v.Reason == "heartbeat" || v.Reason == "restarted" || v.Reason == "clean") && !i.underway() {
			// The case is another one than the plan was made for.
			st.abandon(i, v.Detail)
			return
		}
		switch v.Reason {
		case "not_stopped", "login", "clean", "gone", "heartbeat", "restarted", guard.ReasonDone:
			// Somebody started or restarted it meanwhile, the hang or the error is over, the guest lives again, or the process has ended
			// by itself: the work is done, by whomever. What follows brings back what was stopped for it.
			a.State, a.Ended, a.Why = Verified, st.now, "not sent: "+v.Detail
			st.emit(Put{Key: actionKey(i, a), Value: *a})
			if v.Reason == "login" || v.Reason == "clean" || v.Reason == "heartbeat" {
				i.spare(st.now, a.Why)
			}
			st.proceed(i)
			return
		}
		st.fail(i, a, remedy.Transient, "not sent: "+v.Detail)
	}
}

func without(vs []guard.Verdict, id string) []guard.Verdict {
	var kept []guard.Verdict
	for _, v := range vs {
		if v.Guard != id {
			kept = append(kept, v)
		}
	}
	return kept
}

// commanded takes in what came of a command.
func (st *stepper) commanded(e Commanded) {
	i, ok := st.incident(e.Incident)
	if !ok {
		return
	}
	a := i.current()
	if a == nil || a.Number != e.Number || a.State != Issued {
		return
	}
	r := e.Result
	a.Result = &r
	switch {
	case !r.Sent:
		if st.now.Sub(a.Claimed) > claimBound {
			st.fail(i, a, remedy.Transient, "it could not be sent for "+claimBound.String()+": "+r.Failure+" "+r.Detail)
			return
		}
		// It is certain that nothing left. The action stands claimed, and is re-validated before another try.
		a.State = Claimed
		i.Next = st.now.Add(awaitEvery)
		st.tell(i, "not sent", r.Failure+" "+r.Detail)
	case !r.Answered && !r.Unknown:
		// The server itself said that it did not do it.
		cause, why, _ := remedy.Judge(a.Command, r)
		st.fail(i, a, cause, why)
		return
	case !r.Answered:
		a.State = Unknown
		i.Next = st.now
		st.tell(i, "unknown", "the answer was lost ("+r.Failure+"); what became of it is looked up, it is never sent again")
	default:
		cause, why, ok := remedy.Judge(a.Command, r)
		if !ok {
			st.unmet(i, a, cause, why)
			return
		}
		a.State = Observed
		i.Next = st.now.Add(awaitEvery)
		st.tell(i, "answered", fmt.Sprintf("%s returned %d", a.Command.Method, r.Code))
	}
	st.emit(Put{Key: actionKey(i, a), Value: *a})
}

// await waits for the effect of the newest observed action.
func (st *stepper) await(i *Incident, round evidence.Round) {
	a := i.observed()
	if a == nil {
		st.proceed(i)
		return
	}
	i.Next = st.now.Add(awaitEvery)
	e := a.effect(round)
	waited := st.now.Sub(a.Issued)
	switch {
	case e.Done:
		a.State, a.Ended = Verified, st.now
		st.tell(i, "verified", e.Detail)
		st.emit(Put{Key: actionKey(i, a), Value: *a})
		st.proceed(i)
	case e.Failed:
		st.unmet(i, a, e.Cause, e.Detail)
	case e.Recovering:
		if i.StalledSince.IsZero() {
			i.StalledSince = st.now
		}
		if st.now.Sub(i.StalledSince) > stallBound {
			st.fail(i, a, remedy.GuestBound, "SQL Server has been starting or recovering for "+stallBound.String()+": "+e.Detail)
			return
		}
		i.Summary = "SQL Server is starting or recovering; nothing may follow. " + e.Detail
	case waited > a.within() && e.Pending && a.Cancelled.IsZero() && st.cancel(i, a):
	case waited > a.within():
		st.unmet(i, a, cmp.Or(e.Cause, remedy.GuestBound), fmt.Sprintf("no effect within %s: %s", a.within(), e.Detail))
	}
}

// observed is the action whose effect is waited for: the newest, for what cancels another comes after it.
func (i *Incident) observed() *Action {
	for n := range slices.Backward(i.Actions) {
		if i.Actions[n].State == Observed {
			return &i.Actions[n]
		}
	}
	return nil
}

// proceed goes on to the next planned action, or to the proof of health.
func (st *stepper) proceed(i *Incident) {
	if i.observed() != nil {
		i.Next = st.now // what was cancelled: it may have come to its effect all the same, and what follows depends on that
		return
	}
	if a := i.current(); a != nil {
		i.Next = time.Time{}
		st.emit(Proceed{Incident: i.ID})
		return
	}
	if i.Failed != "" {
		st.failed(i)
		return
	}
	i.Healthy, i.StalledSince = 0, time.Time{}
	i.Next = st.now
	if !i.underway() {
		// Each re-validation found the work done. A rung of which nothing was sent is not in flight while health is
		// proven: should that fail, nothing would ever end its entry, and every other incident of the cluster would wait
		// for it.
		st.forget(i)
		st.enter(i, Verifying, "Nothing had to be sent; SQL Server's health is being proven.")
		return
	}
	st.enter(i, Verifying, "Every command was carried out; SQL Server's health is being proven.")
}

// reconcile looks up what became of an action whose answer is unknown. It is never sent again: either its effect
// shows, or it is given up and a person is told (G25, G27).
func (st *stepper) reconcile(i *Incident, round evidence.Round) {
	a := i.current()
	if a == nil || a.State != Unknown {
		return
	}
	if st.mutantSends("G25", i, a) {
		return
	}
	i.Next = st.now.Add(reconcileEvery)
	e := a.effect(round)
	switch {
	case e.Done || e.Recovering || e.Shown:
		a.State = Observed
		st.tell(i, "observed", "its effect shows: "+e.Detail)
		st.emit(Put{Key: actionKey(i, a), Value: *a})
		i.Next = st.now
	case e.Unreadable, e.Pending:
		a.Agreed = 0
		if st.now.Sub(a.Issued) > reconcileBound {
			st.fail(i, a, remedy.Transient, "what became of it did not show for "+reconcileBound.String()+": "+e.Detail)
		}
	default:
		if a.Agreed++; a.Agreed >= reconcileReads && st.now.Sub(a.Issued) >= a.settle() {
			st.fail(i, a, remedy.Transient, fmt.Sprintf("it was issued, its answer was lost, and %d reads show no effect: %s", a.Agreed, e.Detail))
		}
	}
}

// escalate leaves the incident to a person, and goes on watching.
func (st *stepper) escalate(i *Incident, why string) {
	i.Next = st.now.Add(watchEvery)
	st.enter(i, Escalated, "A person is needed. "+why)
}

// endPast closes the rung's entry: cool-downs count from here.
func (st *stepper) endPast(i *Incident, verified bool) {
	vm := st.s.VMs.of(i.VM)
	past := make([]guard.Past, len(vm.Past))
	copy(past, vm.Past)
	for n := range past {
		if past[n].Incident == i.ID && past[n].Ended.IsZero() {
			past[n].Ended, past[n].Verified = st.now, verified
		}
	}
	vm.Past = past
	st.setVM(i.VM, vm, true)
}

// effect reads the effect of an action from a round.
func (a *Action) effect(r evidence.Round) remedy.Effect {
	return remedy.EffectOf(remedy.Call{Command: a.Command, Issued: a.Issued, Observed: a.State == Observed, Result: a.Result}, r)
}

// within bounds the wait for an action's effect.
func (a *Action) within() time.Duration {
	s, _ := a.Command.Method.Spec()
	return s.Within
}

// settle is how long an action of which nothing shows may still come to its effect.
func (a *Action) settle() time.Duration {
	s, _ := a.Command.Method.Spec()
	return s.Settle
}

// words name a command in an incident's story.
func words(c remedy.Command) string { return strings.TrimSpace(string(c.Method) + " " + c.What()) }
