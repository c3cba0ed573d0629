package guard

import "time"

// coolDown is G14: per virtual machine, from the verified end of the last rung. A failed rung latches until a
// person acknowledges it; one in flight never expires by time.
func coolDown(in Input) Verdict {
	if in.Latched != "" && in.Latched != in.Incident {
		return refuse("latched", "an action of incident %s failed and nobody has acknowledged it", in.Latched).
			unblocked("hypervigilctl ack %s", in.Latched)
	}
	var ended time.Time
	for _, p := range in.Past {
		if p.VM != in.Subject.VM {
			continue
		}
		if p.Ended.IsZero() {
			return hold("in_flight", in.soon(), "%s of incident %s is still in flight", p.Rung, p.Incident)
		}
		if p.Ended.After(ended) {
			ended = p.Ended
		}
	}
	if over := ended.Add(in.Policy.Limits.CoolDown); !ended.IsZero() && in.Now.Before(over) {
		return hold("cool_down", over, "the last rung ended %s ago; cool_down is %s", ago(in.Now.Sub(ended)), in.Policy.Limits.CoolDown)
	}
	return pass("no rung on this virtual machine ended within %s", in.Policy.Limits.CoolDown)
}
