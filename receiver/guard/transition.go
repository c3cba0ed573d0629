package guard

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
)

const (
	// guestTransition is how long a guest that shuts down, restarts or updates itself is given (G32).
	guestTransition = 30 * time.Minute
	// orderlyAge is how long before the alert the guest must have said whether it was about to.
	orderlyAge = 5 * time.Minute
)

// transition is G32: a guest that shuts down, restarts or installs an update is silent and well, and to cut it off in the
// middle destroys it. What it said before it fell silent, or a heartbeat that is good, holds every rung that ends the
// virtual machine, and leaves it to a person afterwards; so does not knowing what it said.
func transition(in Input) Verdict {
	if in.Rung.Kind() == config.OnService || !in.Rung.Kills(in.Subject.Fault) {
		return pass("%s does not end the guest", in.Rung)
	}
	round, ok := in.last()
	switch {
	case !ok:
		return hold("no_evidence", in.soon(), "no evidence has been read yet")
	case !round.Host.Known():
		return hold("unreadable", in.soon(), "the owner host does not tell the guest's heartbeat: %s %s", round.Host.Failure, round.Host.Detail)
	case round.Host.Value.Heartbeat == cluster.HeartbeatOK:
		return in.orderly("heartbeat", in.Opened, "the guest's heartbeat is OK: it runs")
	}
	o := in.Vitals.Orderly
	switch {
	case !o.Known():
		return propose("unknown", "whether the guest was about to shut down, restart or update was not read while it answered").unblocked(transitionHelp)
	case in.StartsAt.IsZero():
		return propose("unknown", "whether the guest was about to shut down, restart or update when the alert began is not known, for the alert carries no start time").unblocked(transitionHelp)
	case in.StartsAt.Sub(o.At) > orderlyAge:
		return propose("unknown", "whether the guest was about to shut down, restart or update was last read %s before the alert, over %s", ago(in.StartsAt.Sub(o.At)), orderlyAge).
			unblocked(transitionHelp)
	}
	if e, ok := newestEvent(o.Value.Events); ok {
		return in.orderly("shutdown", e.At, "the guest wrote event %d (%s) before it fell silent", e.ID, e.Source)
	}
	if len(o.Value.Servicing) > 0 {
		return in.orderly("servicing", o.At, "the guest was installing an update (%s) when it last answered", list(o.Value.Servicing))
	}
	if o.Value.PendingReboot {
		return in.orderly("pending_reboot", o.At, "an update was waiting for a restart when the guest last answered")
	}
	return pass("%s before the alert nothing told of a shutdown, a restart or an update", ago(in.StartsAt.Sub(o.At)))
}

const transitionHelp = "look at the virtual machine's console; restart it by hand, or approve the rung, when it does not come back"

// orderly holds for as long as a transition may take, and leaves it to a person then.
func (in Input) orderly(reason string, since time.Time, format string, args ...any) Verdict {
	if over := since.Add(guestTransition); in.Now.Before(over) {
		return hold(reason, over, format, args...).unblocked(transitionHelp)
	}
	return propose(reason, format, args...).unblocked(transitionHelp)
}
