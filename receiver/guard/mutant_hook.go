//go:build mutate

package guard

// mutant is the guard that says yes. The product is never built with it. It is set while nothing is evaluated.
var mutant string

// Mutate makes the guard with this id say yes to everything, in the whole process; none where it is empty. An id as
// "G8/internal" makes it say yes to one fault class. It must not be called while anything is evaluated.
func Mutate(id string) { mutant = id }

// Mutated reports whether a guard that is no predicate but a part of receiver/incident (G25 to G27) is to say yes.
func Mutated(id string) bool { return mutant == id }

func mutated(in Input, v Verdict) Verdict {
	if mutant == v.Guard || mutant == v.Guard+"/"+string(in.Subject.Fault) {
		return Verdict{Guard: v.Guard, Name: v.Name, Outcome: Pass, Detail: "a mutant, which always says yes"}
	}
	return v
}
