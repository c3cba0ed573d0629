package incident_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// TestHangThatEndsBeforeTheKillIsSpared: the dependents were stopped already when SQL Server serves again. Its process
// lives on, and they are brought back.
func TestHangThatEndsBeforeTheKillIsSpared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	m := w.vms["SQL01"]
	m.reason = dial.LoginTimeout
	w.fire("SQL01", evidence.Hang)
	for w.advance(30 * time.Second); len(w.commands) == 0; w.advance(10 * time.Millisecond) {
		if w.now.Sub(m.alertAt) > 2*time.Minute {
			t.Fatal("no command within two minutes")
		}
	}
	m.reason = ""
	w.alert("SQL01", false)
	w.advance(30 * time.Second)
	want := []string{"Win32_Service.StopService SQLSERVERAGENT", "Win32_Service.StartService SQLSERVERAGENT"}
	if diff := cmp.Diff(want, w.methods()); diff != "" {
		t.Fatalf("commands (-want +got):\n%s", diff)
	}
	if m.agent.State != cluster.ServiceRunning {
		t.Errorf("the agent is %q, want it running as before", m.agent.State)
	}
	w.advance(3 * time.Minute)
	if i := w.only("SQL01", evidence.Hang); i.Phase != incident.Healed {
		t.Errorf("phase = %s, want healed: %s", i.Phase, i.Summary)
	}
}
