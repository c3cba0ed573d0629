package incident

import (
	"time"

	"github.com/hypervigil/hypervigil/receiver/guard"
)

// The labels of the alert that always fires (rules/): hypervigil="watchdog" makes it ours.
const (
	watchdogAlert = "Watchdog"
	watchdogValue = "watchdog"
)

// heard takes note of a Watchdog that fires: the way from Prometheus to here works. Whatever was only told because it
// did not is asked about again.
func (st *stepper) heard(labels map[string]string, firing bool) bool {
	if labels[labelAlert] != watchdogAlert || labels[labelAct] != watchdogValue {
		return false
	}
	if !firing {
		return true
	}
	silent := st.s.Silent
	st.s.Heard, st.s.Silent = st.now, false
	if silent {
		st.emit(Note{Message: "dead-man's switch released", Keys: []any{"reason", "Watchdog is back"}})
		st.reconsider(st.open(func(i *Incident) bool {
			v, stopped := guard.Decide(i.Verdicts)
			return stopped && v.Guard == "G29"
		}), "Watchdog is back; asking again.")
	}
	return true
}

// lastHeard is when the way from Prometheus was last proven, or this process started: G29 counts from there.
func (s State) lastHeard() time.Time {
	if s.Heard.Before(s.Started) {
		return s.Started
	}
	return s.Heard
}

// silence engages the dead-man's switch where Watchdog stays away, and says so once.
func (st *stepper) silence() {
	if d := st.now.Sub(st.s.lastHeard()); !st.s.Silent && d > guard.MaxSilence {
		st.s.Silent = true
		st.emit(Note{Message: "dead-man's switch engaged", Keys: []any{
			"reason", "no Watchdog has come for " + d.Round(time.Second).String() + "; every cluster is only observed until it is back",
		}})
	}
}

// silenceDue is when the switch engages if nothing is heard until then; zero where it is engaged.
func (s State) silenceDue() time.Time {
	if s.Silent {
		return time.Time{}
	}
	return s.lastHeard().Add(guard.MaxSilence + time.Millisecond)
}
