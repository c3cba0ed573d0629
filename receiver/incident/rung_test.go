package incident_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// TestARungThatSentNothingHoldsNobodyUp: somebody starts SQL Server between the plan and its command, which is not sent, and
// stops it again before it was proven healthy. Nothing of the rung is in flight, and another machine's outage is cured.
func TestARungThatSentNothingHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	for w.only("SQL01", evidence.Service).Phase != incident.Acting {
		w.advance(time.Millisecond)
	}
	m := w.vms["SQL01"]
	m.service.State, m.service.ExitCode, m.reason = cluster.ServiceRunning, 0, ""
	w.advance(time.Second)
	if i := w.only("SQL01", evidence.Service); i.Phase != incident.Verifying || len(w.commands) != 0 {
		t.Fatalf("phase = %s after %v, want its health being proven and nothing sent: %s", i.Phase, w.methods(), i.Summary)
	}
	w.stopCleanly("SQL01")
	w.advance(10 * time.Second)
	if i := w.only("SQL01", evidence.Service); i.Phase != incident.Refused {
		t.Fatalf("phase = %s, want the deliberate stop refused: %s", i.Phase, i.Summary)
	}
	if past := vmOf(w, evidence.VM{Cluster: clusterName, Name: "SQL01"}).Past; len(past) != 0 {
		t.Errorf("the rung that sent nothing is kept as %+v", past)
	}
	w.kill("SQL02")
	w.fire("SQL02", evidence.Service)
	w.advance(5 * time.Second)
	if diff := cmp.Diff([]string{startSQL}, w.methods()); diff != "" {
		t.Errorf("commands for the other machine (-want +got):\n%s\n%s", diff, w.only("SQL02", evidence.Service).Summary)
	}
}

// TestALadderIsClimbedOnce: a rung that failed is not tried again in its incident, even where what the next one was refused
// for is over.
func TestALadderIsClimbedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy+"      ladders: {service: [restart_service, reset_vm]}\n")
	w.warm()
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.issue(1)
	w.advance(500 * time.Millisecond)
	w.queue = nil
	w.stopCleanly("SQL01") // while it starts
	w.step(incident.Ticked{At: incident.At(w.now)})
	w.advance(30 * time.Second)
	i := w.only("SQL01", evidence.Service)
	if i.Phase != incident.Refused || i.Rung != 1 || verdict(i, "G31").Reason != "clean_stop" {
		t.Fatalf("phase = %s at rung %d, want reset_vm refused after restart_service failed: %s", i.Phase, i.Rung, i.Summary)
	}
	w.kill("SQL01") // it had been started meanwhile, and died
	w.advance(2 * time.Minute)
	if diff := cmp.Diff([]string{startSQL}, w.methods()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}
