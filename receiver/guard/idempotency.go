package guard

import "time"

// idempotency is G5's second level: an alert that began before the last action on its subject ended is the old
// story told again, whatever order the notifications came in. The open incident itself is unique by its subject;
// receiver/incident keeps it so.
func idempotency(in Input) Verdict {
	var ended time.Time
	for _, p := range in.Past {
		if p.VM != in.Subject.VM || p.Instance != in.Subject.Instance {
			continue
		}
		if p.Ended.IsZero() {
			return hold("in_flight", in.soon(), "%s of incident %s is still in flight", p.Rung, p.Incident)
		}
		if p.Ended.After(ended) {
			ended = p.Ended
		}
	}
	if !ended.IsZero() && !in.StartsAt.After(ended) {
		return refuse("old_alert", "the alert began at %s, before the last action on it ended at %s",
			in.StartsAt.Format(time.RFC3339), ended.Format(time.RFC3339)).
			unblocked("the alert must resolve and fire anew")
	}
	// A new start so soon after may still be the old trouble, on its way out.
	if over := ended.Add(in.Policy.Limits.Settle); !ended.IsZero() && in.Now.Before(over) {
		return hold("settling", over, "the last action on it ended %s ago; it is left to settle for %s", ago(in.Now.Sub(ended)), in.Policy.Limits.Settle)
	}
	return pass("no earlier action on this subject is newer than the alert")
}
