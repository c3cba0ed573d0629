package incident_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// TestMoveAfterTheCommandsEndsTheIncident: where a group is is the cluster's to say. An incident that waited for it to
// come back would hold every other one of the cluster for ever (G16).
func TestMoveAfterTheCommandsEndsTheIncident(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(10 * time.Second)
	w.vms["SQL01"].owner = "HV2"
	w.advance(5 * time.Minute)
	if i := w.only("SQL01", evidence.Service); i.Phase != incident.Healed {
		t.Errorf("phase = %s, want healed: %s", i.Phase, i.Summary)
	}
}

// TestWhatIsNotProvenHealthyEndsWithAPerson: SQL Server logs in, but a database is not what it was.
func TestWhatIsNotProvenHealthyEndsWithAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.vms["SQL01"].databases = map[string]string{"master": "ONLINE", "archive": "SUSPECT"}
	w.fire("SQL01", evidence.Service)
	w.advance(9 * time.Minute)
	if i := w.only("SQL01", evidence.Service); i.Phase != incident.Verifying {
		t.Fatalf("phase = %s after 9 minutes, want verifying: %s", i.Phase, i.Summary)
	}
	w.advance(2 * time.Minute)
	i := w.only("SQL01", evidence.Service)
	vm := vmOf(w, i.VM)
	if i.Phase != incident.Escalated || vm.Latched != i.ID {
		t.Errorf("phase = %s, latched by %q, want escalated and latched: %s", i.Phase, vm.Latched, i.Summary)
	}
	if n := len(vm.Past); n != 1 || vm.Past[0].Ended.IsZero() || vm.Past[0].Verified {
		t.Errorf("past = %+v, want one rung that ended and was not verified", vm.Past)
	}
}
