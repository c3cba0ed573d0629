package incident

import (
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// unmet is the end of an action that was carried out and did not come to its effect. Why a service did not start is in the
// guest's logs, which are asked once before the rung fails: a password that has expired must not look like a guest that is
// sick (G24).
func (st *stepper) unmet(i *Incident, a *Action, cause remedy.Cause, why string) {
	if a.Command.Method != remedy.StartService {
		st.fail(i, a, cause, why)
		return
	}
	if cause == remedy.GuestBound && a.Command.Service != st.serviceOf(i, a.Command) {
		cause = remedy.Transient // what depends on a SQL Server that runs is no evidence against the guest
	}
	a.State, a.Failing = Observed, &Failing{Cause: cause, Why: why}
	i.Next = st.now
	st.tell(i, "not started", words(a.Command)+": "+why+"; the guest's logs are asked for the reason")
	st.emit(Put{Key: actionKey(i, a), Value: *a})
}

// explained fails the action whose reason was asked for, with what the logs say of it.
func (st *stepper) explained(i *Incident, round evidence.Round) {
	a := i.observed()
	if a == nil || a.Failing == nil {
		return
	}
	cause, why := remedy.NotStarted(a.Command, a.Failing.Cause, a.Failing.Why, round.StartErrors)
	a.Failing = nil
	st.fail(i, a, cause, why)
}

// serviceOf is the service of the instance that a command is about; empty where it is about none, or none of the inventory.
func (st *stepper) serviceOf(i *Incident, c remedy.Command) string {
	vm, ok := st.s.inventory(i.VM)
	if !ok {
		return ""
	}
	q := vm.SQLServer(c.Instance)
	if q == nil {
		return ""
	}
	return q.ServiceName()
}
