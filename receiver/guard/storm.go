package guard

import (
	"strings"
	"time"
)

// The thresholds of G17.
const (
	stormVMs      = 3
	stormPercent  = 30
	stormClean    = 5 * time.Minute
	stormControls = 2
)

// StormSeen reports whether a sweep shows a storm, and why: many virtual machines sick at once, or our own network
// failing. A sweep that could not be made is a storm too: nothing rules it out.
func StormSeen(in Input) (string, bool) {
	round, ok := in.last()
	if !ok || !round.Sweep.Known() {
		return "the sweep of the siblings could not be made", true
	}
	sweep := round.Sweep.Value
	var failed []string
	for _, c := range sweep.Controls {
		if !c.OK {
			failed = append(failed, c.Address+" "+string(c.Reason))
		}
	}
	if len(failed) > 0 {
		return "controls outside the cluster fail (" + list(failed) + "): the trouble may be our own network", true
	}
	owner := in.owner()
	sick, onHost, sickOnHost := 1, 1, 1
	names := []string{in.Subject.VM.Name}
	for _, s := range sweep.Watched {
		if s.Owner != "" && s.Owner == owner {
			onHost++
		}
		if s.Sick {
			sick++
			names = append(names, s.VM)
			if s.Owner != "" && s.Owner == owner {
				sickOnHost++
			}
		}
	}
	watched := len(sweep.Watched) + 1
	if sick >= stormVMs && (sick*100 > stormPercent*watched || sickOnHost == onHost) {
		return strings.Join([]string{itoa(sick), "of", itoa(watched), "watched virtual machines are sick at once:", list(names)}, " "), true
	}
	return "", false
}

// Braked reports whether the brake of a cluster is engaged, where a storm was last seen at that moment.
func Braked(seen, now time.Time) bool { return !seen.IsZero() && now.Before(seen.Add(stormClean)) }

// storm is G17, the brake that looks: counting arrived alerts alone trips after the harm.
func storm(in Input) Verdict {
	round, ok := in.last()
	if !ok || !round.Sweep.Known() {
		return hold("unreadable", in.soon(), "the sweep of the siblings could not be made")
	}
	if n := len(round.Sweep.Value.Controls); n < stormControls {
		return hold("controls", in.soon(), "receiver.controls lists %d addresses outside the cluster; %d are needed to tell our own network's failure", n, stormControls).
			unblocked("add controls to receiver.controls and reload")
	}
	if why, is := StormSeen(in); is {
		return hold("storm", in.Now.Add(stormClean), "%s", why)
	}
	if over := in.Brake.Add(stormClean); Braked(in.Brake, in.Now) {
		return hold("storm", over, "a storm was last seen %s ago; the brake is released after %s without one", ago(in.Now.Sub(in.Brake)), stormClean)
	}
	return pass("%d siblings and %d controls were looked at: no storm", len(round.Sweep.Value.Watched), len(round.Sweep.Value.Controls))
}

// owner is the group's owner as the newest round's first agreeing view says; empty if none says.
func (in Input) owner() string {
	round, ok := in.last()
	if !ok {
		return ""
	}
	for _, v := range round.KnownViews() {
		if g, ok := v.Value.Group(in.Group); ok {
			return g.Owner
		}
	}
	return ""
}
