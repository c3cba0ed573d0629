package guard

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// undo is G36: before a rung that ends a SQL Server, how long its recovery would have to undo. What it had open is asked
// while it is well, for a sick one no longer answers; what may have begun between then and the fault is taken to have
// begun. Over the policy's max_undo a person decides, and where it was not read in time as well: nobody knows then.
func undo(in Input) Verdict {
	if !in.Rung.Kills(in.Subject.Fault) {
		return pass("%s ends no SQL Server that is at work", in.Rung)
	}
	until, before := in.workUntil()
	limit := in.Policy.Limits.MaxUndo
	var longest time.Duration
	for _, instance := range in.endangered() {
		w := in.Vitals.Work[instance]
		if !w.Known() {
			return propose("unknown", "what instance %s has open was not read while it answered", instance).unblocked(undoHelp)
		}
		if until.IsZero() {
			return propose("unknown", "what instance %s had open when the alert began is not known, for the alert carries no start time", instance).unblocked(undoHelp)
		}
		unseen := max(0, until.Sub(w.At))
		long := w.Value.Undo() + unseen
		if long > limit {
			return propose("long", "instance %s: the oldest transaction was open for %s, %s were being rolled back (for up to %s), and that was read %s %s; ending it may cost %s of undoing, max_undo is %s",
				instance, ago(w.Value.Oldest), plural(w.Value.Rollbacks, "transaction"), ago(w.Value.RollingBack), ago(unseen), before, ago(long), limit).
				unblocked(undoHelp)
		}
		longest = max(longest, long)
	}
	return pass("ending it costs at most %s of undoing; max_undo is %s", ago(longest), limit)
}

const undoHelp = "look at what is open (sys.dm_tran_database_transactions), and run the proposed command by hand when it may be broken off"

// endangered are the instances that the rung would end: the incident's own, or all of the virtual machine where the rung
// is not about one service.
func (in Input) endangered() []string {
	if in.Rung.Kind() == config.OnService && in.Subject.Instance != evidence.NoInstance {
		return []string{in.Subject.Instance}
	}
	return in.Instances
}
