package remedy

import (
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// Call is a command that left, or may have, as its effect is looked for.
type Call struct {
	Command
	Issued time.Time
	// Observed says that it is certain that it was carried out; otherwise it is unknown what became of it.
	Observed bool
	Result   *Result // nil where the receiver stopped before there was one
}

// Effect is what a round shows of a call's effect. None of the six means that the round shows no effect.
type Effect struct {
	Done       bool
	Failed     bool // it was carried out and did not come to its effect
	Recovering bool // SQL Server starts or recovers: nothing may follow
	Unreadable bool // neither
	Pending    bool // something is under way: neither shown nor ruled out
	Shown      bool // it was carried out, and what it set going has not come to its end
	// Cause is why it failed; without Failed, what its failure will mean where nothing more comes of it (GuestBound where
	// empty).
	Cause  Cause
	Detail string
}

// EffectOf reads the effect of one call from a round.
func EffectOf(c Call, r evidence.Round) Effect {
	s, ok := c.Method.Spec()
	if !ok {
		return Effect{Unreadable: true, Detail: "method " + string(c.Method) + " is not known"}
	}
	if c.Issued.IsZero() { // any run would be younger than the command, and any wait over
		return Effect{Unreadable: true, Detail: "when " + string(c.Method) + " was issued is not known"}
	}
	return s.effect(c, r)
}

// loginWords says in a few words why nobody logs in.
func loginWords(l evidence.Reading[evidence.Login]) string {
	switch {
	case !l.Known():
		return "nothing (" + string(l.Failure) + ")"
	case l.Value.ErrorNumber != 0:
		return fmt.Sprintf("error %d", l.Value.ErrorNumber)
	case l.Value.Reason != dial.Answered:
		return string(l.Value.Reason)
	}
	return "nothing"
}
