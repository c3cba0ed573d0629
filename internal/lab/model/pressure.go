package model

import "time"

// Pressure is a machine whose processors and memory are used up, for a while.
type Pressure struct {
	On    bool
	since time.Time
	past  time.Duration
}

// Lasted is how long it has been so in all, until a moment.
func (p Pressure) Lasted(now time.Time) time.Duration {
	if p.On {
		return p.past + now.Sub(p.since)
	}
	return p.past
}

// set begins or ends it.
func (p *Pressure) set(on bool, now time.Time) {
	if p.On == on {
		return
	}
	p.past = p.Lasted(now)
	p.On, p.since = on, now
}

// Suffers reports whether a virtual machine has too little: its guest, or the host that it runs on.
func (m *Model) Suffers(v *VM) bool { return v.Starved.On || m.Node(v.Owner).Starved.On }
