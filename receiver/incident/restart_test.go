package incident_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// issue lets time pass until the guest has taken n commands.
func (w *world) issue(n int) {
	w.t.Helper()
	for range 100_000 {
		if len(w.commands) == n {
			return
		}
		w.advance(time.Millisecond)
	}
	w.t.Fatalf("%d commands, want %d", len(w.commands), n)
}

// TestARestartKnowsWhatItSent: a command whose answer no life has taken in counts as sent where its effect shows.
func TestARestartKnowsWhatItSent(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]bool{"at the first try": false, "at the second, of which the first did not leave": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, actPolicy)
			w.warm()
			w.kill("SQL01")
			w.keepSend = refused
			w.fire("SQL01", evidence.Service)
			w.issue(1)
			w.crash(3 * time.Second)
			w.advance(160 * time.Second)
			i := w.only("SQL01", evidence.Service)
			if i.Phase != incident.Healed || i.HealedBy != incident.ByHypervigil || i.Summary != "Healed by hypervigil: restart_service with 1 command." {
				t.Errorf("phase %s, healed by %s: %s; want healed by hypervigil with 1 command", i.Phase, i.HealedBy, i.Summary)
			}
		})
	}
}

// TestAnAlertOnOneOfTwoAlertmanagersIsNotGone: one that has lost its alerts by a restart is no proof of health.
func TestAnAlertOnOneOfTwoAlertmanagersIsNotGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.issue(1)
	at := w.vms["SQL01"].alertAt
	w.advance(3 * time.Second) // SQL Server is back, and takes the alert with it
	w.vms["SQL01"].alertAt, w.half = at, true
	w.advance(160 * time.Second)
	if i := w.only("SQL01", evidence.Service); i.Phase != incident.Verifying || !i.HealthyAt.IsZero() {
		t.Fatalf("phase %s, healthy since %s: %s; want verifying", i.Phase, i.HealthyAt, i.Summary)
	}
	w.alert("SQL01", false)
	w.advance(160 * time.Second)
	if i := w.only("SQL01", evidence.Service); i.Phase != incident.Healed {
		t.Errorf("phase %s: %s; want healed once no Alertmanager has the alert", i.Phase, i.Summary)
	}
}
