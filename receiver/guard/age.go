package guard

import "time"

// maxSkew is how far an alert's start may lie in the future (G6).
const maxSkew = 60 * time.Second

// age is G6: an old alert is re-validated and proposed, never acted on: an Alertmanager back from the dead
// flushes hours of them.
func age(in Input) Verdict {
	if in.StartsAt.IsZero() {
		return refuse("no_start", "the alert carries no start time")
	}
	if in.Opened.IsZero() {
		return refuse("not_opened", "when the alert came is not known")
	}
	if d := in.StartsAt.Sub(in.Now); d > maxSkew {
		return propose("future", "the alert began %s in the future", ago(d)).
			unblocked("compare the clocks of Prometheus, Alertmanager and this host")
	}
	// The age counts when the incident was opened: an alert does not grow old while guards hold it here.
	if d := in.Opened.Sub(in.StartsAt); d > in.Policy.Limits.MaxAge {
		return propose("too_old", "the alert was %s old when it came, over max_age %s", ago(d), in.Policy.Limits.MaxAge).
			unblocked("look at the virtual machine and run the proposed command by hand")
	}
	return pass("the alert began %s before it came", ago(in.Opened.Sub(in.StartsAt)))
}
