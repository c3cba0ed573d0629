package incident

import (
	"slices"

	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// cancel plans the call that cancels an action which has not come to its end in time, right after it. What becomes of the
// action is read when the cluster is at work on the group no longer: a move may be over before the cancel comes, and counts
// then (G25). It returns false where nothing could cancel it.
func (st *stepper) cancel(i *Incident, a *Action) bool {
	cmd, ok := remedy.Cancelling(a.Command)
	if !ok {
		return false
	}
	a.Cancelled = st.now
	st.emit(Put{Key: actionKey(i, a), Value: *a})
	st.tell(i, "cancel", "no effect within "+a.within().String()+"; it is cancelled: "+cmd.Cmdlet)
	n := slices.IndexFunc(i.Actions, func(b Action) bool { return b.Number == a.Number })
	i.Actions = slices.Insert(slices.Clone(i.Actions), n+1, Action{
		Number: len(i.Actions) + 1, Rung: a.Rung, Command: cmd, State: Planned, Owner: a.Owner, By: a.By, Planned: a.Planned,
	})
	i.Next = st.now
	st.emit(Proceed{Incident: i.ID})
	return true
}
