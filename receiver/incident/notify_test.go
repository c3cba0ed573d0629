package incident_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// TestAlertThatBeganDuringTheHoldIsNewTrouble: its start never changes, so an alert that is taken for an echo once is
// taken for one for ever, and the outage has no incident.
func TestAlertThatBeganDuringTheHoldIsNewTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(3 * time.Minute)
	old := w.only("SQL01", evidence.Service)
	if !old.Closed() {
		t.Fatalf("phase = %s after three minutes, want healed: %s", old.Phase, old.Summary)
	}
	w.alert("SQL01", true)
	began := old.ClosedAt.Add(-time.Millisecond)
	w.notify("SQL01", evidence.Service, "MSSQLSERVER", true, old.HealthyAt)
	if n := w.state.Incidents.Len(); n != 1 {
		t.Errorf("%d incidents after the echo of the old alert, want 1", n)
	}
	w.notify("SQL01", evidence.Service, "MSSQLSERVER", true, began)
	if n := w.state.Incidents.Len(); n != 2 {
		t.Errorf("%d incidents after an alert that began during the hold, want 2", n)
	}
}

// TestAlertDuringTheHoldBeginsTheProofAnew: what was read before it began says nothing.
func TestAlertDuringTheHoldBeginsTheProofAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(10 * time.Second)
	if i := w.only("SQL01", evidence.Service); i.HealthyAt.IsZero() {
		t.Fatalf("not healthy after ten seconds: %s", i.Summary)
	}
	w.notify("SQL01", evidence.Service, "MSSQLSERVER", true, w.now)
	if i := w.only("SQL01", evidence.Service); !i.HealthyAt.IsZero() || i.Healthy != 0 {
		t.Errorf("healthy since %s with %d logins although the alert began anew", i.HealthyAt, i.Healthy)
	}
}

// TestAReadUnderWayLeadsToNothingOnceAnotherFaultLeads: the answer to a question that was asked before another
// incident explained this one must not let it act, or look as if it were being decided.
func TestAReadUnderWayLeadsToNothingOnceAnotherFaultLeads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.alert("SQL01", true)
	w.notify("SQL01", evidence.Service, "MSSQLSERVER", true, w.now)
	w.advance(1005 * time.Millisecond) // the second round, which would lead to the command, is being read
	w.fire("SQL01", evidence.Guest)
	w.advance(20 * time.Second)
	if i := w.only("SQL01", evidence.Service); i.Phase != incident.Waiting || i.ExplainedBy == "" || len(w.commands) != 0 {
		t.Errorf("phase = %s, explained by %q, commands %v; want it waiting for the guest's: %s", i.Phase, i.ExplainedBy, w.methods(), i.Summary)
	}
}
