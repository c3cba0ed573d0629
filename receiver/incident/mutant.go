//go:build !mutate

package incident

// mutantSends and mutantWell are where the simulation's mutants make G25, G26 and G27 say yes (make mutate; see
// guard.mutated). In the product they change nothing, and nothing can make them do so.
func (st *stepper) mutantSends(string, *Incident, *Action) bool { return false }

func (i *Incident) mutantWell() bool { return false }
