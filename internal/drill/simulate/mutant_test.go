//go:build mutate

package simulate

import (
	"strings"
	"testing"
)

// TestEveryMutantIsCaught makes each guard say yes to everything, one after the other. It is not parallel to any other
// test: a mutant is the whole process'.
func TestEveryMutantIsCaught(t *testing.T) {
	list, err := Mutate(Options{Schedules: 5000, Seed: 1}, "")
	var b strings.Builder
	WriteMutants(&b, list)
	t.Logf("schedules until the first failure:\n%s", b.String())
	if err != nil {
		t.Error(err)
	}
	if _, err := Mutate(Options{Schedules: 1}, "G1"); err == nil {
		t.Error("a mutant of a guard that is not asked was accepted")
	}
}
