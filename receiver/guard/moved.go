package guard

import (
	"time"
)

// lookBack is how long before the alert's start the owner is looked up: a cluster moves before a scrape notices.
const lookBack = 60 * time.Second

// movedSettle is how long a virtual machine that the cluster moved is left alone (G10).
const movedSettle = 300 * time.Second

// moved is G10, against the white paper's double failover: if the owner changed since shortly before the alert,
// somebody is already at work, and what we see may be the past.
func moved(in Input) Verdict {
	if in.Samples < minSamples || len(in.Owners) == 0 {
		return hold("no_history", in.soon(), "the owner history is too young: %d of %d samples", in.Samples, minSamples)
	}
	before, change := in.ownerBefore()
	now := in.Owners[len(in.Owners)-1].Node
	if round, ok := in.last(); ok {
		for _, v := range round.KnownViews() {
			if g, ok := v.Value.Group(in.Group); ok && g.Owner != now {
				return hold("moving", in.soon(), "%s says the owner is %s; the last sample said %s", v.Value.By, g.Owner, now)
			}
		}
	}
	if !change.IsZero() {
		if over := change.Add(movedSettle); in.Now.Before(over) {
			return hold("moved", over, "the cluster moved the group from %s to %s at %s; it is left to settle for %s",
				before, now, change.Format(time.RFC3339), movedSettle)
		}
	}
	return pass("the owner has been %s since before the alert, or its move has settled", now)
}

// ownerBefore is who owned the group shortly before the alert, or first where the history is younger, and when that last
// changed since; zero where it did not.
func (in Input) ownerBefore() (node string, change time.Time) {
	if len(in.Owners) == 0 {
		return "", time.Time{}
	}
	since := in.StartsAt.Add(-lookBack)
	node = in.Owners[0].Node
	for _, o := range in.Owners[1:] {
		if at := in.since(o); at.After(since) {
			change = at
			continue
		}
		node = o.Node
	}
	return node, change
}

// since is when a node became the owner; where that is not known, it was now.
func (in Input) since(o Ownership) time.Time {
	if o.Since.IsZero() {
		return in.Now
	}
	return o.Since
}
