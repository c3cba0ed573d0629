package incident_test

import (
	"slices"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// hang makes SQL Server of a virtual machine accept and say nothing, and fires the alert when Prometheus would.
func (w *world) hang(vm string) {
	w.vms[vm].reason = dial.LoginTimeout
	w.advance(8 * time.Second)
	w.fire(vm, evidence.Hang)
}

// TestAHangWithALongTransactionIsLeftToAPerson: what was open is known from before the hang (G36).
func TestAHangWithALongTransactionIsLeftToAPerson(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		open     time.Duration // before the hang; 0: nothing is open
		commands bool
	}{
		{"nothing is open", 0, true},
		{"a short one", 30 * time.Second, true},
		{"a long one", 5 * time.Minute, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, actPolicy)
			w.warm()
			if test.open > 0 {
				w.vms["SQL01"].open = w.now
				w.advance(test.open)
			}
			w.hang("SQL01")
			w.advance(2 * time.Minute)
			i := w.only("SQL01", evidence.Hang)
			if got := len(w.commands) > 0; got != test.commands {
				t.Fatalf("commands %v, phase %s, want commands %t: %s", w.methods(), i.Phase, test.commands, i.Summary)
			}
			if test.commands {
				return
			}
			v, ok := guard.Decide(i.Verdicts)
			if i.Phase != incident.Proposed || !ok || v.Guard != "G36" || v.Reason != "long" || len(i.Plan) == 0 {
				t.Errorf("phase %s, decided by %+v, plan %q; want it proposed by G36, with a plan", i.Phase, v, i.Plan)
			}
		})
	}
}

// TestWhatIsOpenIsForgottenWithTheProcess: a receiver that starts while SQL Server hangs does not know what it has open,
// and does not end it.
func TestWhatIsOpenIsForgottenWithTheProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.hang("SQL01")
	w.crash(time.Second)
	w.advance(3 * time.Minute)
	i := w.only("SQL01", evidence.Hang)
	v, _ := guard.Decide(i.Verdicts)
	says := slices.ContainsFunc(i.Verdicts, func(v guard.Verdict) bool { return v.Guard == "G36" && v.Reason == "unknown" })
	if len(w.commands) > 0 || v.Guard != "G35" || v.Reason != "work_unknown" || !says {
		t.Errorf("%d commands, decided by %+v of %+v; want none, by G35, and G36's own word", len(w.commands), v, i.Verdicts)
	}
}
