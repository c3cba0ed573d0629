package incident

import (
	"slices"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
)

// A SQL Server with an internal error takes logins: whether it is well is what it says of itself. All of this is about that
// class, and of the class resource, alone; of any other the login tells.

// cleanly reports whether a login can be believed to end the incident.
func (i *Incident) cleanly(r evidence.Round) bool {
	if i.Fault == evidence.Resource {
		_, ok := i.relieved(r)
		return ok
	}
	return i.Fault != evidence.Internal || r.Diagnostics.Known() && r.Diagnostics.Value.Clean()
}

// saysWell reports whether a round shows a SQL Server that calls itself well, and if not, why.
func (i *Incident) saysWell(r evidence.Round) (string, bool) {
	if i.Fault == evidence.Resource {
		return i.relieved(r)
	}
	switch d := r.Diagnostics; {
	case i.cleanly(r):
		return "", true
	case !d.Known():
		return "what SQL Server says of itself could not be read: " + string(d.Failure) + " " + d.Detail, false
	case len(d.Value.Sick()) > 0:
		return "SQL Server calls its component " + d.Value.Sick()[0].Component + " an error", false
	}
	return "SQL Server gives no state of one of its components", false
}

// aboveLevel reports whether G8 told the incident because the error is above the policy's level.
func (i *Incident) aboveLevel() bool {
	return slices.ContainsFunc(i.Verdicts, func(v guard.Verdict) bool { return v.Guard == "G8" && v.Reason == guard.ReasonAboveLevel })
}

// withinLevel reports whether a round shows an error that the policy acts on.
func (st *stepper) withinLevel(i *Incident, r evidence.Round) bool {
	vm, ok := st.s.inventory(i.VM)
	if !ok || !r.Diagnostics.Known() {
		return false
	}
	_, within := r.Diagnostics.Value.Within(st.s.policy(vm).InternalLevel)
	return within
}
