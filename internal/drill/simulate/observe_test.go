package simulate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// TestObserveDecidesAsActDoes plays the same schedules in mode act and in mode observe. Until the first plan of the acting
// receiver both see the same world at the same moments, and every guard but those that ask who may act says the same about
// it; and where the one begins, the other tells the same lines.
func TestObserveDecidesAsActDoes(t *testing.T) {
	t.Parallel()
	type pair struct{ act, observe base }
	var pairs []pair
	for _, v := range variants() {
		if !strings.HasPrefix(v.policy, "mode: act") || v.onlyObserves() || v.by != nil {
			continue
		}
		o := v
		o.policy = strings.ReplaceAll(v.policy, ": act", ": observe")
		var p pair
		var err error
		if p.act, err = v.warm(); err != nil {
			t.Fatal(err)
		}
		if p.observe, err = o.warm(); err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, p)
	}
	planned := 0
	for seed := range uint64(few(150)) {
		s := generate(seed)
		// Nothing is offered to a person in mode observe; and what happens at the moment of a plan happens in one world only.
		s.Ops = slices.DeleteFunc(s.Ops, func(o Op) bool { return o.Kind == opApprove || o.On == onPlanned })
		s.Calm, s.Starved = "", ""
		p := pairs[seed%uint64(len(pairs))]
		act, plan := story(t, p.act, s)
		observe, _ := story(t, p.observe, s)
		if plan < 0 {
			if diff := cmp.Diff(act, observe); diff != "" {
				t.Fatalf("seed %d, variant %q: without a plan (-act +observe):\n%s", seed, p.act.variant.name, diff)
			}
			continue
		}
		planned++
		if diff := cmp.Diff(act[:plan+1], observe[:min(plan+1, len(observe))]); diff != "" {
			t.Fatalf("seed %d, variant %q: up to the first plan (-act +observe):\n%s", seed, p.act.variant.name, diff)
		}
	}
	if least := few(150) / 4; planned < least {
		t.Errorf("a plan was made in %d schedules, want %d at least: the others compare too little", planned, least)
	}
}

// story is every judgement of a schedule: when, of what, each verdict but those on who may act, and the lines of the plan
// where nothing else stood in its way. The second result is the place of the first plan that the receiver began; -1
// without one.
func story(t *testing.T, b base, s Schedule) (lines []string, plan int) {
	t.Helper()
	w, err := newWorld(b, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan = -1
	w.watch = func(_ incident.State, s *step) {
		e, ok := s.event.(incident.Looked)
		if !ok || plan >= 0 {
			return
		}
		i, ok := s.next.Incidents.Get(e.Incident)
		if !ok {
			return
		}
		var l strings.Builder
		fmt.Fprintf(&l, "%s %s %s:", w.now.Format("15:04:05.000"), i.ID, i.Ladder[min(i.Rung, max(0, len(i.Ladder)-1)):])
		stopped := false
		for _, v := range i.Verdicts {
			if v.Guard == "G22" || v.Guard == "G23" {
				continue
			}
			stopped = stopped || v.Outcome != guard.Pass
			fmt.Fprintf(&l, " %s %s %s %q %s;", v.Guard, v.Outcome, v.Reason, v.Detail, v.Until)
		}
		if !stopped && len(i.Verdicts) > 0 {
			fmt.Fprintf(&l, " plan %q", i.Plan)
		}
		lines = append(lines, l.String())
		if len(i.Actions) > 0 {
			plan = len(lines) - 1
		}
	}
	w.guarded()
	return lines, plan
}
