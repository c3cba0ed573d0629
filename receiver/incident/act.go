package incident

import (
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
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
	owner := ""
	if o := st.owners(i); len(o) > 0 {
		owner = o[len(o)-1].Node
	}
	i.Plan = nil
	for _, c := range cmds {
		i.Actions = append(i.Actions, Action{
			Number: len(i.Actions) + 1, Rung: in.Rung, Command: c, State: Planned, Owner: owner, Planned: st.now,
		})
		i.Plan = append(i.Plan, c.Cmdlet)
	}
	vm := st.s.VMs[i.VM]
	vm.Past = append(recent(vm.Past, st.now), guard.Past{VM: i.VM, Instance: i.Instance, Rung: in.Rung, Incident: i.ID, Started: st.now})
	st.setVM(i.VM, vm, true)
	st.enter(i, Acting, fmt.Sprintf("Every guard passes: %s, %s.", in.Rung, commands(len(cmds))))
	for _, a := range i.Actions {
		if a.State == Planned {
			st.tell(i, "planned", a.Command.Cmdlet)
		}
	}
	i.Next = time.Time{}
	st.emit(Proceed{Incident: i.ID})
}

func recent(past []guard.Past, now time.Time) []guard.Past {
	var kept []guard.Past
	for _, p := range past {
		if p.Ended.IsZero() || now.Sub(p.Started) < keepPast {
			kept = append(kept, p)
		}
	}
	return kept
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
	a.State, a.Claimed = Claimed, st.now
	st.tell(i, "claimed", string(a.Command.Method)+" "+a.Command.Service)
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
	in.Rounds = []evidence.Round{round}
	in.Lab = lab.Known() && lab.Value
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
		st.tell(i, "issued", string(a.Command.Method)+" "+a.Command.Service+"; "+v.Detail)
		st.emit(Put{Key: actionKey(i, a), Value: *a})
		st.emit(Send{Incident: i.ID, Number: a.Number, Command: a.Command, NotAfter: guard.Oldest(round).Add(guard.MaxReadAge)})
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
		st.emit(Refusal{Guard: v.Guard, Outcome: string(v.Outcome), Reason: v.Reason})
		st.tell(i, "not sent", v.Detail)
		if v.Reason == "not_stopped" || v.Reason == "login" || v.Reason == "gone" {
			// Somebody started it meanwhile, the hang is over, or the process has ended by itself: the work is done, by
			// whomever. What follows brings back what was stopped for it.
			a.State, a.Ended, a.Why = Verified, st.now, "not sent: "+v.Detail
			st.emit(Put{Key: actionKey(i, a), Value: *a})
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
			st.fail(i, a, cause, why)
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
	e := effectOf(a, round)
	waited := st.now.Sub(a.Issued)
	switch {
	case e.done:
		a.State, a.Ended = Verified, st.now
		st.tell(i, "verified", e.detail)
		st.emit(Put{Key: actionKey(i, a), Value: *a})
		st.proceed(i)
	case e.failed:
		st.fail(i, a, e.cause, e.detail)
	case e.recovering:
		if i.StalledSince.IsZero() {
			i.StalledSince = st.now
		}
		if st.now.Sub(i.StalledSince) > stallBound {
			st.fail(i, a, remedy.GuestBound, "SQL Server has been starting or recovering for "+stallBound.String()+": "+e.detail)
			return
		}
		i.Summary = "SQL Server is starting or recovering; nothing may follow. " + e.detail
	case waited > remedy.ServiceTimeout:
		st.fail(i, a, remedy.GuestBound, fmt.Sprintf("no effect within %s: %s", remedy.ServiceTimeout, e.detail))
	}
}

// observed is the action whose effect is waited for.
func (i *Incident) observed() *Action {
	for n := range i.Actions {
		if i.Actions[n].State == Observed {
			return &i.Actions[n]
		}
	}
	return nil
}

// proceed goes on to the next planned action, or to the proof of health.
func (st *stepper) proceed(i *Incident) {
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
	i.Next = st.now.Add(reconcileEvery)
	e := effectOf(a, round)
	switch {
	case e.done || e.recovering:
		a.State = Observed
		st.tell(i, "observed", "its effect shows: "+e.detail)
		st.emit(Put{Key: actionKey(i, a), Value: *a})
		i.Next = st.now
	case e.unreadable, e.pending:
		a.Agreed = 0
		if st.now.Sub(a.Issued) > reconcileBound {
			st.fail(i, a, remedy.Transient, "what became of it did not show for "+reconcileBound.String()+": "+e.detail)
		}
	default:
		if a.Agreed++; a.Agreed >= reconcileReads {
			st.fail(i, a, remedy.Transient, fmt.Sprintf("it was issued, its answer was lost, and %d reads show no effect: %s", a.Agreed, e.detail))
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
	vm := st.s.VMs[i.VM]
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

// effect is what a round shows of an action's effect.
type effect struct {
	done, failed, recovering, unreadable bool
	pending                              bool // something is under way: neither shown nor ruled out
	cause                                remedy.Cause
	detail                               string
}

// effectOf reads the effect of one action from a round.
func effectOf(a *Action, r evidence.Round) effect {
	s := r.Service
	if a.Command.Service != "" && s.Value.Name != a.Command.Service {
		s = evidence.Reading[cluster.Service]{At: r.Dependents.At, Failure: r.Dependents.Failure}
		for _, d := range r.Dependents.Value {
			if d.Name == a.Command.Service {
				s.Value = d
			}
		}
	}
	own := s.Value.Name == r.Service.Value.Name
	switch a.Command.Method {
	case remedy.TerminateProcess:
		switch {
		case !r.Process.Known() || !r.Service.Known():
			return effect{unreadable: true, detail: "the process or its service could not be read"}
		case r.Process.Value.ID == a.Command.PID && r.Process.Value.Created.Equal(a.Command.Created):
			return effect{detail: fmt.Sprintf("process %d is still there", a.Command.PID)}
		case r.Service.Value.State == cluster.ServiceStopped, r.Service.Value.ProcessID != a.Command.PID && r.Service.Value.State != cluster.ServiceStopPending:
			return effect{done: true, detail: fmt.Sprintf("process %d is gone, %s is %q", a.Command.PID, r.Service.Value.Name, r.Service.Value.State)}
		}
		return effect{pending: true, detail: fmt.Sprintf("process %d is gone, %s is still %q", a.Command.PID, r.Service.Value.Name, r.Service.Value.State)}
	case remedy.StopService:
		switch {
		case !s.Known() || s.Value.Name == "":
			return effect{unreadable: true, detail: a.Command.Service + " could not be read"}
		case s.Value.State == cluster.ServiceStopped:
			return effect{done: true, detail: a.Command.Service + " is stopped"}
		}
		return effect{pending: s.Value.State != cluster.ServiceRunning, detail: fmt.Sprintf("%s is %q", a.Command.Service, s.Value.State)}
	case remedy.StartService:
		if own && r.Login.Known() && r.Login.Value.Up {
			return effect{done: true, detail: "SQL Server logs in"}
		}
		if !s.Known() || s.Value.Name == "" {
			return effect{unreadable: true, detail: a.Command.Service + " could not be read"}
		}
		switch s.Value.State {
		case cluster.ServiceStopped:
			// Right after StartService the service control manager may not have begun yet.
			if r.Started.Sub(a.Issued) < 2*time.Second {
				return effect{detail: a.Command.Service + " is stopped"}
			}
			return effect{
				failed: a.State == Observed, cause: stoppedCause(s.Value.ExitCode),
				detail: fmt.Sprintf("%s is stopped (exit code %d, service-specific %d)", a.Command.Service, s.Value.ExitCode, s.Value.SpecificCode),
			}
		case cluster.ServiceRunning:
			if !own {
				return effect{done: true, detail: a.Command.Service + " runs"}
			}
			return effect{recovering: true, detail: "the service runs and the login says " + loginWords(r.Login)}
		case cluster.ServiceStartPending, cluster.ServiceStopPending, cluster.ServiceContinuePending, cluster.ServicePausePending,
			cluster.ServicePaused, cluster.ServiceUnknown:
		}
		return effect{recovering: s.Value.State == cluster.ServiceStartPending, pending: true, detail: fmt.Sprintf("%s is %q", a.Command.Service, s.Value.State)}
	}
	return effect{unreadable: true, detail: "method " + string(a.Command.Method) + " is not known"}
}

// stoppedCause judges why a service that was started is stopped again, by its exit code (winerror.h).
func stoppedCause(code uint32) remedy.Cause {
	const (
		errorServiceDisabled         = 1058
		errorServiceDependencyFailed = 1068
		errorServiceLogonFailed      = 1069
	)
	switch code {
	case errorServiceDisabled, errorServiceDependencyFailed, errorServiceLogonFailed:
		return remedy.Permanent
	}
	return remedy.GuestBound
}

func loginWords(l evidence.Reading[evidence.Login]) string {
	switch {
	case !l.Known():
		return "nothing (" + string(l.Failure) + ")"
	case l.Value.ErrorNumber != 0:
		return fmt.Sprintf("error %d", l.Value.ErrorNumber)
	case l.Value.Reason != dial.Answered:
		return string(l.Value.Reason)
	}
	return "nothing"
}
