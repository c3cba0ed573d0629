package incident

import (
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// PlanRung plans a rung of an incident as if every guard had passed: what comes after a decision can be tested for a rung
// whose evidence this release cannot read yet.
func PlanRung(s State, id string, rung remedy.Rung, round evidence.Round, now time.Time) (State, []Effect) {
	st := &stepper{s: s, now: now, work: map[string]*Incident{}}
	i, _ := st.incident(id)
	i.Ladder, i.Rung = []remedy.Rung{rung}, 0
	i.Rounds = append(slices.Clip(i.Rounds), round)
	in := st.input(i)
	st.plan(i, in, round)
	st.store()
	return st.s, st.effects
}
