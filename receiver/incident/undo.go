package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// resumeMargin is how long ago the last command of a rung may lie, beyond its own time, for another that stops or ends
// something to follow. After a longer look-up, or a receiver's absence, what it was planned for may be over.
const resumeMargin = 30 * time.Second

// begun reports whether a command of the incident left, or may have.
func (i *Incident) begun() bool {
	return slices.ContainsFunc(i.Actions, Action.mayHaveLeft)
}

// underway reports whether a command of the present rung left, or may have. What an earlier rung of the incident did counts
// for begun and not for this: until its own first command each rung can still be taken back.
func (i *Incident) underway() bool {
	return slices.ContainsFunc(i.present(), Action.mayHaveLeft)
}

// present are the actions of the newest plan; they were all made at one moment.
func (i *Incident) present() []Action {
	if len(i.Actions) == 0 {
		return nil
	}
	newest := i.Actions[len(i.Actions)-1].Planned
	first := slices.IndexFunc(i.Actions, func(a Action) bool { return a.Planned.Equal(newest) })
	return i.Actions[first:]
}

// mayHaveLeft reports whether the command left, or may have: it was handed over, and nothing says for certain that it
// stayed here.
func (a Action) mayHaveLeft() bool { return !a.Issued.IsZero() && (a.Result == nil || a.Result.Sent) }

// late ends a rung whose next command would stop or end something too long after the one before. A start is not late:
// what was stopped must come back.
func (st *stepper) late(i *Incident, a *Action) bool {
	last := i.lastIssued()
	if last == nil {
		return false
	}
	since := st.now.Sub(last.Issued)
	if s, ok := a.Command.Method.Spec(); ok && !s.Ends || !i.underway() || since <= last.within()+resumeMargin {
		return false
	}
	st.fail(i, a, remedy.Transient, "the command before it was "+since.Round(time.Second).String()+" ago; what was begun then is not gone on with")
	return true
}

// lastIssued is the action whose command was handed over last; nil where none was.
func (i *Incident) lastIssued() *Action {
	var last *Action
	for n := range i.Actions {
		if a := &i.Actions[n]; !a.Issued.IsZero() && (last == nil || a.Issued.After(last.Issued)) {
			last = a
		}
	}
	return last
}

// spare takes what a rung would still stop or end off its plan: the fault that it was planned for is over. None of that was
// claimed yet.
func (i *Incident) spare(now time.Time, why string) {
	for n := range i.Actions {
		a := &i.Actions[n]
		if s, ok := a.Command.Method.Spec(); a.State == Planned && ok && s.Ends {
			a.State, a.Ended, a.Why = Verified, now, why
		}
	}
}

// abandon takes back a rung of which nothing was issued, as if it had never been planned, and asks again.
func (st *stepper) abandon(i *Incident, why string) {
	for n := range i.Actions {
		a := &i.Actions[n]
		if a.State != Planned && a.State != Claimed {
			continue
		}
		recorded := a.State == Claimed
		a.State, a.Why, a.Ended = Failed, "it never began: "+why, st.now
		if recorded {
			st.emit(Put{Key: actionKey(i, a), Value: *a})
		}
	}
	st.forget(i)
	i.Next = st.now
	st.enter(i, Confirming, "Nothing was sent: "+why+"; asking again.")
}

// forget strikes out the entry of a rung of which nothing left: it counts for no budget, and nothing waits for its end.
func (st *stepper) forget(i *Incident) {
	vm := st.s.VMs.of(i.VM)
	vm.Past = slices.DeleteFunc(slices.Clone(vm.Past), func(p guard.Past) bool { return p.Incident == i.ID && p.Ended.IsZero() })
	st.setVM(i.VM, vm, true)
}

// stopped lists the services that commands of the incident stopped, or may have stopped, and that none has started
// again.
func (i *Incident) stopped() []string {
	var down []string
	for _, a := range i.Actions {
		over := a.State == Verified || a.State == Observed
		switch {
		case a.Command.Method == remedy.StopService && (over && a.left() || a.State == Unknown):
			if !slices.Contains(down, a.Command.Service) {
				down = append(down, a.Command.Service)
			}
		case a.Command.Method == remedy.StartService && over:
			down = slices.DeleteFunc(down, func(s string) bool { return s == a.Command.Service })
		}
	}
	return down
}

// undoable lists the planned starts that bring back what the rung stopped. Where SQL Server itself could not be started,
// what depends on it cannot be either.
func (st *stepper) undoable(i *Incident, failed *Action) []int {
	if failed.Command.Method == remedy.StartService && failed.Command.Service == st.serviceOf(i, failed.Command) {
		return nil
	}
	down := i.stopped()
	var list []int
	for n, a := range i.Actions {
		if a.State == Planned && a.Command.Method == remedy.StartService && slices.Contains(down, a.Command.Service) {
			list = append(list, n)
		}
	}
	return list
}

// fail ends the rung: what it stopped is brought back first, nothing else of it follows, and then the virtual machine is
// latched until a person acknowledges it.
func (st *stepper) fail(i *Incident, a *Action, cause remedy.Cause, why string) {
	a.State, a.Cause, a.Why, a.Ended = Failed, cause, why, st.now
	if !a.Claimed.IsZero() {
		st.emit(Put{Key: actionKey(i, a), Value: *a})
	}
	st.tell(i, "failed", fmt.Sprintf("%s (%s): %s", words(a.Command), cause, why))
	if i.Failed == "" {
		i.Failed, i.FailedCause = fmt.Sprintf("%s failed: %s", a.Rung, why), cause
	}
	back := st.undoable(i, a)
	for n := range i.Actions {
		if b := &i.Actions[n]; b.State == Planned && !slices.Contains(back, n) {
			b.State, b.Why, b.Ended = Failed, "not begun: an earlier action of the rung failed", st.now
		}
	}
	if len(back) > 0 {
		i.Next = time.Time{}
		st.tell(i, "undo", "what the rung stopped is started again: "+strings.Join(i.stopped(), ", "))
		st.emit(Proceed{Incident: i.ID})
		return
	}
	st.failed(i)
}

// failed is the end of a rung that failed: either the next rung is looked at or a person is called.
func (st *stepper) failed(i *Incident) {
	why, cause := i.Failed, i.FailedCause
	i.Failed, i.FailedCause = "", ""
	if down := i.stopped(); len(down) > 0 {
		why += "; it stopped " + strings.Join(down, ", ") + ", which did not come back"
	}
	st.endPast(i, false)
	vm := st.s.VMs.of(i.VM)
	vm.Latched = i.ID
	st.setVM(i.VM, vm, true)
	if next, ok := i.after(cause); ok {
		i.Rung = next
		i.Next = st.now
		st.enter(i, Confirming, fmt.Sprintf("%s; looking at %s.", why, i.Ladder[i.Rung]))
		return
	}
	st.escalate(i, why)
}

// after is the next rung of the ladder that the cause of a failure is evidence for: a restart of the virtual machine where the
// guest is sick, a move where the node is (G24). ok is false where the ladder ends here.
func (i *Incident) after(cause remedy.Cause) (rung int, ok bool) {
	for n := i.Rung + 1; n < len(i.Ladder); n++ {
		r := i.Ladder[n]
		moves, restarts := r.Acts(config.OnNode), r.Acts(config.OnVM) || r.Acts(config.OnService)
		if cause == remedy.GuestBound && restarts || cause == remedy.NodeBound && moves {
			return n, true
		}
	}
	return 0, false
}
