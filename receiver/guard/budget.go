package guard

import (
	"time"

	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// budget is G15: attempts per virtual machine, counted when begun, whatever came of them. A move resets nothing.
func budget(in Input) Verdict {
	l := in.Policy.Limits
	type limit struct {
		name   string
		most   int
		within time.Duration
		counts func(Past) bool
	}
	rung := func(rs ...remedy.Rung) func(Past) bool {
		return func(p Past) bool {
			for _, r := range rs {
				if p.Rung == r {
					return true
				}
			}
			return false
		}
	}
	limits := []limit{{"actions_per_24h", l.ActionsPer24h, 24 * time.Hour, func(Past) bool { return true }}}
	switch in.Rung {
	case remedy.RestartService:
		limits = append(limits, limit{"service_restarts_per_hour", l.ServiceRestartsPerHour, time.Hour, rung(remedy.RestartService)})
	case remedy.ResetVM, remedy.StartGroup:
		limits = append(limits, limit{"vm_restarts_per_6h", l.VMRestartsPer6h, 6 * time.Hour, rung(remedy.ResetVM, remedy.StartGroup)})
	case remedy.LiveMigrate:
		limits = append(limits, limit{"moves_per_6h", l.MovesPer6h, 6 * time.Hour, rung(remedy.LiveMigrate)})
	}
	for _, lim := range limits {
		n := 0
		for _, p := range in.Past {
			if p.VM == in.Subject.VM && in.Now.Sub(p.Started) < lim.within && lim.counts(p) {
				n++
			}
		}
		if n >= lim.most {
			return propose(lim.name, "%d were begun within %s; %s is %d", n, lim.within, lim.name, lim.most).
				unblocked("find out why it keeps failing, then run the proposed command by hand")
		}
	}
	return pass("the budgets of this virtual machine are not used up")
}
