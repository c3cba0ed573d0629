package guard_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// says returns one guard's verdict.
func says(t *testing.T, id string, in guard.Input) guard.Verdict {
	t.Helper()
	for _, v := range guard.Evaluate(in) {
		if v.Guard == id {
			return v
		}
	}
	t.Fatalf("no guard %s", id)
	return guard.Verdict{}
}

func TestUndo(t *testing.T) {
	t.Parallel()
	work := func(at time.Duration, w evidence.Work) evidence.Reading[evidence.Work] {
		return evidence.Reading[evidence.Work]{At: now.Add(-at), Value: w}
	}
	for _, test := range []struct {
		name    string
		fault   evidence.Fault
		rung    remedy.Rung
		work    map[string]evidence.Reading[evidence.Work]
		outcome guard.Outcome
		reason  string
	}{
		{"a dead service has nothing to lose", evidence.Service, remedy.RestartService, nil, guard.Pass, ""},
		{"a move that ends nothing", evidence.Network, remedy.LiveMigrate, nil, guard.Pass, ""},
		{"nothing is open", evidence.Hang, remedy.RestartService, map[string]evidence.Reading[evidence.Work]{"A": work(10*time.Second, evidence.Work{})}, guard.Pass, ""},
		{"a transaction of two minutes", evidence.Hang, remedy.RestartService, map[string]evidence.Reading[evidence.Work]{"A": work(3*time.Second, evidence.Work{Oldest: 2 * time.Minute})}, guard.Pass, ""},
		{"one of two minutes and a second", evidence.Hang, remedy.RestartService, map[string]evidence.Reading[evidence.Work]{"A": work(3*time.Second, evidence.Work{Oldest: 2*time.Minute + time.Second})}, guard.Propose, "long"},
		{"a long rollback", evidence.Hang, remedy.RestartService, map[string]evidence.Reading[evidence.Work]{"A": work(3*time.Second, evidence.Work{Rollbacks: 1, RollingBack: time.Hour})}, guard.Propose, "long"},
		{"what was open two minutes before the alert may be longer open", evidence.Hang, remedy.RestartService, map[string]evidence.Reading[evidence.Work]{"A": work(2*time.Minute+4*time.Second, evidence.Work{})}, guard.Propose, "long"},
		{"it was never read", evidence.Hang, remedy.RestartService, nil, guard.Propose, "unknown"},
		{"only another instance was read", evidence.Internal, remedy.RestartService, map[string]evidence.Reading[evidence.Work]{"B": work(3*time.Second, evidence.Work{})}, guard.Propose, "unknown"},
		{"a reset ends the other instance too", evidence.Guest, remedy.ResetVM, map[string]evidence.Reading[evidence.Work]{"A": work(3*time.Second, evidence.Work{}), "B": work(3*time.Second, evidence.Work{Oldest: time.Hour})}, guard.Propose, "long"},
		{"a rung that nobody knows", evidence.Hang, "defragment", nil, guard.Propose, "unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := passing()
			in.Subject.Fault, in.Subject.Instance, in.Rung = test.fault, "A", test.rung
			in.Instances, in.Vitals.Work = []string{"A", "B"}, test.work
			if v := says(t, "G36", in); v.Outcome != test.outcome || v.Reason != test.reason {
				t.Errorf("G36 = %s %q (%s), want %s %q", v.Outcome, v.Reason, v.Detail, test.outcome, test.reason)
			}
		})
	}
}
