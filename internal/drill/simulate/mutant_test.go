//go:build mutate

package simulate

import (
	"errors"
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
	for _, m := range list {
		if m.Guard == "G10" && m.OK {
			shrinks(t, m)
		}
	}
	if _, err := Mutate(Options{Schedules: 1}, "G1"); err == nil {
		t.Error("a mutant of a guard that is not asked was accepted")
	}
}

// shrinks looks at what is told of a failure: the least that it takes, and what happened.
func shrinks(t *testing.T, m Mutant) {
	t.Helper()
	if err := setMutant(m.Guard); err != nil {
		t.Fatal(err)
	}
	f, ok, err := Explain(m.Caught.Seed)
	if err := errors.Join(err, setMutant("")); err != nil || !ok {
		t.Fatalf("the failure of seed %d cannot be explained: %t %v", m.Caught.Seed, ok, err)
	}
	if all := generate(m.Caught.Seed).Ops; len(f.Schedule.Ops) >= len(all) {
		t.Errorf("%d of %d steps are left after shrinking", len(f.Schedule.Ops), len(all))
	}
	var b strings.Builder
	f.Write(&b)
	for _, want := range []string{"what it takes", "BROKEN: " + string(m.Caught.Invariant), "incident hv-lab."} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the failure does not tell %q:\n%s", want, b.String())
		}
	}
}
