//go:build mutate

package guard

// mutant is the guard that says yes. The product is never built with it. It is set while nothing is evaluated.
var mutant string

// Mutate makes the guard with this id say yes to everything, in the whole process; none where it is empty. It must not
// be called while anything is evaluated.
func Mutate(id string) { mutant = id }

func mutated(v Verdict) Verdict {
	if mutant == v.Guard {
		return Verdict{Guard: v.Guard, Name: v.Name, Outcome: Pass, Detail: "a mutant, which always says yes"}
	}
	return v
}
