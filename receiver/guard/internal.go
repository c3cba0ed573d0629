package guard

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// ErrorSets is how many sets of sp_server_diagnostics in a row must call a component an error.
const ErrorSets = 3

// internalError: SQL Server itself, on the receiver's own connection, calls a component an error in three sets in a row, no
// higher than the policy's level. A login is no veto, for it still takes them; a clean set is. What another process of it
// said counts for nothing.
func (in Input) internalError(r evidence.Round) Verdict {
	if v := in.runs(r, "it has no internal error"); v.Outcome != Pass {
		return v
	}
	if !r.Diagnostics.Known() {
		return in.unreadable("what SQL Server says of itself (sp_server_diagnostics) could not be read: " + string(r.Diagnostics.Failure) + " " + r.Diagnostics.Detail)
	}
	d, level := r.Diagnostics.Value, in.Policy.InternalLevel
	sick, ok := d.Within(level)
	switch above := d.Sick(); {
	case ok && sick.Sets >= ErrorSets:
		return pass("SQL Server calls its component %s (level %d) an error in %s in a row", sick.Component, sick.Level, plural(sick.Sets, "set"))
	case ok:
		return hold("sets", in.soon(), "SQL Server calls its component %s an error in %s so far; %d are needed", sick.Component, plural(sick.Sets, "set"), ErrorSets)
	case len(above) > 0:
		return refuse(ReasonAboveLevel, "SQL Server calls its component %s an error, which is level %d; the policy acts up to level %d", above[0].Component, above[0].Level, level).
			unblocked("set internal_level: %d in the policy", above[0].Level)
	case d.Clean():
		return hold("clean", in.soon(), "vetoed: SQL Server calls none of its components an error")
	}
	return in.unreadable("sp_server_diagnostics gives no state of a component")
}

// runs: the service runs, and its process is older than a start or a recovery may take.
func (in Input) runs(r evidence.Round, otherwise string) Verdict {
	switch {
	case !r.Service.Known():
		return in.unreadable("the guest does not tell the state of " + in.Service + ": " + string(r.Service.Failure) + " " + r.Service.Detail)
	case r.Service.Value.State != cluster.ServiceRunning:
		return hold("service_state", in.soon(), "%s is %q, not running: %s", r.Service.Value.Name, r.Service.Value.State, otherwise)
	case !r.Process.Known():
		return in.unreadable("the process of " + in.Service + " could not be read")
	case r.Process.Value.ID == 0:
		return hold("process_gone", in.soon(), "the process is gone: %s", otherwise)
	}
	if r.Process.Value.Created.IsZero() { // it would look as old as the calendar, and so long past its start
		return in.unreadable("since when the process of " + in.Service + " runs is not known (its CreationDate did not come)")
	}
	if age := r.Started.Sub(r.Process.Value.Created); age < max(in.Policy.HealthCheckTimeout, minHang) {
		return hold("starting", in.soon(), "the process is %s old: it may still be starting or recovering", ago(age))
	}
	return pass("%s runs", r.Service.Value.Name)
}

// over is what shows right before a command that what it is for is over: somebody logs in, or, where a login says nothing,
// the diagnostics are clean. The second result is false where it is not.
func (in Input) over(round evidence.Round) (Verdict, bool) {
	l, d := round.Login, round.Diagnostics
	if in.Subject.Fault == evidence.Internal {
		if !d.Known() {
			return hold(ReasonUnreadable, in.soon(), "what SQL Server says of itself could not be read again: %s", d.Failure), true
		}
		_, sick := d.Value.Within(in.Policy.InternalLevel)
		return refuse("clean", "vetoed: SQL Server does not call itself sick any more"), !sick
	}
	switch {
	case l.Known() && l.Value.Up:
		return refuse("login", "vetoed: SQL Server logs in again"), true
	case !l.Known():
		return hold(ReasonUnreadable, in.soon(), "SQL Server could not be tried again: %s", l.Failure), true
	}
	return Verdict{}, false
}

// workUntil is up to when SQL Server may have begun what nobody has seen, and how to say that: a sick one begins nothing
// after the alert; one that only says that it is sick works on.
func (in Input) workUntil() (at time.Time, words string) {
	if in.Subject.Fault == evidence.Internal {
		return in.Now, "ago"
	}
	return in.StartsAt, "before the alert began"
}
