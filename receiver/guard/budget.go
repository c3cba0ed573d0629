package guard

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
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
	kind := func(k config.RungKind) func(Past) bool { return func(p Past) bool { return p.Rung.Acts(k) } }
	limits := []limit{{"actions_per_24h", l.ActionsPer24h, 24 * time.Hour, func(Past) bool { return true }}}
	if in.Rung.Acts(config.OnService) {
		limits = append(limits, limit{"service_restarts_per_hour", l.ServiceRestartsPerHour, time.Hour, kind(config.OnService)})
	}
	if in.Rung.Acts(config.OnVM) {
		limits = append(limits, limit{"vm_restarts_per_6h", l.VMRestartsPer6h, 6 * time.Hour, kind(config.OnVM)})
	}
	if in.Rung.Acts(config.OnNode) {
		limits = append(limits, limit{"moves_per_6h", l.MovesPer6h, 6 * time.Hour, kind(config.OnNode)})
	}
	for _, lim := range limits {
		n := 0
		for _, p := range in.Past {
			if p.VM == in.Subject.VM && in.Now.Sub(in.begun(p)) < lim.within && lim.counts(p) {
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

// begun is when a rung was begun; one of which that is not known counts as begun now.
func (in Input) begun(p Past) time.Time {
	if p.Started.IsZero() {
		return in.Now
	}
	return p.Started
}
