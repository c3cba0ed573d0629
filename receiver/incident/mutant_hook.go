//go:build mutate

package incident

import "github.com/hypervigil/hypervigil/receiver/guard"

// mutantSends has a command of unknown outcome sent once more: one whose answer was lost (G25), or that a crash left
// issued (G27).
func (st *stepper) mutantSends(id string, i *Incident, a *Action) bool {
	if !guard.Mutated(id) {
		return false
	}
	a.State, a.Claimed, a.Agreed, i.Next = Claimed, st.now, 0, st.now
	st.emit(Put{Key: actionKey(i, a), Value: *a})
	return true
}

// mutantWell takes SQL Server for well whatever a round shows (G26).
func (i *Incident) mutantWell() bool { return i.begun() && guard.Mutated("G26") }
