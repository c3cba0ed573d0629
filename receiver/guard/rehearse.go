package guard

import (
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// ofTheFault are the guards that speak of one fault, one alert or one person's decision: while all is well there is
// nothing for them to look at. What they would have to read is asked by readings.
func ofTheFault() []string {
	return []string{"G5", "G6", "G7", "G8", "G10", "G12", "G22", "G23", "G31", "G32", "G34"}
}

// Rehearse asks, while all is well, what would stand in the way of a rung if the virtual machine fell ill now: every
// guard that does not speak of the fault itself, and whether everything that the others read can be read. Nothing is
// ever sent on its word.
func Rehearse(in Input) []Verdict {
	const longAgo = 24 * time.Hour // longer than any other controller is waited for
	verdicts := []Verdict{in.readings()}
	for _, g := range All() {
		switch {
		case slices.Contains(ofTheFault(), g.ID):
		case g.ID == "G11":
			// What another controller is given first passes by itself, and is in no one's way on a quiet day.
			late := in
			late.Opened, late.StartsAt = in.Opened.Add(-longAgo), in.StartsAt.Add(-longAgo)
			verdicts = append(verdicts, g.ask(late))
		default:
			verdicts = append(verdicts, g.ask(in))
		}
	}
	return verdicts
}

// readings says whether what the guards would read of a fault is readable now, by the accounts that would read it.
func (in Input) readings() Verdict {
	v := in.readable()
	v.Guard, v.Name = "readings", "readings"
	return v
}

func (in Input) readable() Verdict {
	round, ok := in.last()
	if !ok {
		return hold("no_evidence", in.soon(), "no evidence has been read yet")
	}
	var missing []string
	need := func(what string, known bool, failure string) {
		if !known {
			missing = append(missing, what+" ("+failure+")")
		}
	}
	need("Alertmanager", round.Alert.Known(), string(round.Alert.Failure))
	need("the virtual machine on its host", round.Host.Known(), string(round.Host.Failure))
	if in.Rung.Kind() == config.OnService {
		need("the guest", round.Guest.Known(), string(round.Guest.Failure))
		need("the service "+in.Service, round.Service.Known(), string(round.Service.Failure))
		need("its process", round.Process.Known(), string(round.Process.Failure))
		need("its dependents", round.Dependents.Known(), string(round.Dependents.Failure))
	}
	if d := in.Vitals.Disks; in.Subject.Fault == evidence.Guest {
		need("the counters of its disks", d.Known(), string(d.Failure)+" "+d.Detail)
	}
	if d := round.Diagnostics; in.Subject.Fault == evidence.Internal {
		need("what SQL Server says of itself", d.Known(), string(d.Failure)+" "+d.Detail)
	}
	if in.Subject.Fault == evidence.Resource {
		d, load := round.Diagnostics, round.Loads[round.Host.Value.Host]
		need("what SQL Server says of itself", d.Known(), string(d.Failure)+" "+d.Detail)
		need("how busy its host is", load.Known(), string(load.Failure)+" "+load.Detail)
	}
	if len(missing) > 0 {
		return hold(ReasonUnreadable, in.soon(), "cannot be read now: %s", strings.Join(missing, ", ")).
			unblocked("mend the name, port, certificate, account or right that the failure names")
	}
	return pass("everything that the guards would look at can be read")
}
