package guard

import "time"

// The rates of G16, per cluster: what exceeds them waits.
const (
	startsPer10Minutes = 2
	startsPerHour      = 4
)

// rate is G16: one rung in flight per cluster, two begun within ten minutes, four within an hour.
func rate(in Input) Verdict {
	var in10m, in1h int
	first10m, first1h := in.Now, in.Now
	for _, p := range in.Past {
		if p.VM.Cluster != in.Subject.Cluster {
			continue
		}
		if p.Ended.IsZero() {
			return hold("in_flight", in.soon(), "%s on %s is in flight; one at a time per cluster", p.Rung, p.VM)
		}
		begun := in.begun(p)
		if in.Now.Sub(begun) < 10*time.Minute {
			in10m++
			first10m = earlier(first10m, begun)
		}
		if in.Now.Sub(begun) < time.Hour {
			in1h++
			first1h = earlier(first1h, begun)
		}
	}
	if in1h >= startsPerHour {
		return hold("per_hour", first1h.Add(time.Hour), "%d rungs were begun in this cluster within an hour; %d are allowed", in1h, startsPerHour)
	}
	if in10m >= startsPer10Minutes {
		return hold("per_10_minutes", first10m.Add(10*time.Minute), "%d rungs were begun in this cluster within 10 minutes; %d are allowed", in10m, startsPer10Minutes)
	}
	return pass("nothing is in flight in this cluster; %d begun within 10 minutes, %d within an hour", in10m, in1h)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
