//go:build !mutate

package simulate

import "testing"

// TestNoMutantsInTheProduct: without the build tag there is no way to make a guard say yes.
func TestNoMutantsInTheProduct(t *testing.T) {
	t.Parallel()
	if _, err := Mutate(Options{Schedules: 1}, "G10"); err == nil {
		t.Error("a program that was built without the tag made a mutant")
	}
}
