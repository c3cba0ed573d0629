package guard

// minSamples is how many cluster samples a judgement of "moved" needs (G10, G13).
const minSamples = 3

// holdOff is G13: after a start nothing is done for a time and until the cluster was sampled: a cold cache is no
// evidence.
func holdOff(in Input) Verdict {
	if in.Started.IsZero() {
		return hold("hold_off", in.soon(), "since when the receiver runs is not known")
	}
	over := in.Started.Add(in.HoldOff)
	if in.Now.Before(over) {
		return hold("hold_off", over, "the receiver started %s ago; hold_off is %s", ago(in.Now.Sub(in.Started)), in.HoldOff)
	}
	if in.Samples < minSamples {
		return hold("samples", in.soon(), "%d of %d cluster samples taken since the start", in.Samples, minSamples)
	}
	return pass("hold_off is over and %d samples were taken", in.Samples)
}
