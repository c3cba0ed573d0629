package evidence

import "time"

// Load is how much of a host is used, as its hypervisor counts it.
type Load struct {
	// Busy is the share of the time of its logical processors, 0 to 1, in which they ran guests, the management partition or
	// the hypervisor: the mean over the time since an earlier look of the receiver's own, Over before.
	Busy float64       `json:"busy"`
	Over time.Duration `json:"over_ns"`
	// Processors is how many logical processors it has.
	Processors int `json:"processors"`
	// Pressure is what its virtual machines with dynamic memory want, of what they have: from 1 on it cannot give them that.
	// 0 where none of them has dynamic memory: then each has all that it will ever have.
	Pressure float64 `json:"pressure"`
}

// componentResource is the component of sp_server_diagnostics that tells of memory (learn.microsoft.com,
// "sp_server_diagnostics", component_name).
const componentResource = "resource"

// Resources is the state that SQL Server gives its component resource, and the word for it: clean (1), a warning (2), an
// error (3); ok is false where it gives none.
func (d Diagnostics) Resources() (state int64, word string, ok bool) {
	for _, c := range d.Components {
		if c.Name != componentResource {
			continue
		}
		switch c.State {
		case componentClean:
			return c.State, "clean", true
		case componentWarning:
			return c.State, "a warning", true
		case componentError:
			return c.State, "an error", true
		}
	}
	return 0, "", false
}

// Scarce reports whether SQL Server calls its component resource anything but clean.
func (d Diagnostics) Scarce() bool {
	state, _, ok := d.Resources()
	return ok && state != componentClean
}
