package guard

import "time"

// MaxSilence is how long Watchdog, which Alertmanager sends every minute, may stay away (G29). After that nothing is done
// on what the alerts say: who does not hear that the way works does not hear that a fault is over either.
const MaxSilence = 180 * time.Second

// deadMan is G29, the dead-man's switch: while nobody proves that alerts come through, every cluster is only observed. It
// is released by the next Watchdog.
func deadMan(in Input) Verdict {
	if in.Heard.IsZero() {
		return refuse("never_heard", "no Watchdog has come yet").unblocked(watchdogHelp)
	}
	if d := in.Now.Sub(in.Heard); d > MaxSilence {
		return refuse("silent", "no Watchdog has come for %s, over %s: alerts do not come through, so that everything is only observed", ago(d), MaxSilence).
			unblocked(watchdogHelp)
	}
	return pass("Watchdog was heard, or the receiver started, %s ago", ago(in.Now.Sub(in.Heard)))
}

const watchdogHelp = "mend the way from Prometheus through Alertmanager to the webhook; the next Watchdog releases it (docs/runbooks/HypervigilNotificationsMissing.md)"
