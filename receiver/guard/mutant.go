//go:build !mutate

package guard

// mutated is where the simulation's mutants make a guard say yes, to see that the simulation notices (make mutate).
// In the product it changes nothing, and nothing can make it do so: the other one is not compiled in.
func mutated(_ Input, v Verdict) Verdict { return v }
