package experiment

import (
	"bytes"
	"testing"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// TestARowOnTheRealClock plays the shortest row without a receiver on the lab's servers, with the load client: Protected
// Network brings the machine back to its clients, and nothing that was acknowledged is lost.
func TestARowOnTheRealClock(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes a quarter of a minute, as it does")
	}
	scenarios, err := drill.Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	plan, _, err := parsed(t, "--fault=lan-board", "--configuration=host-cluster", "--era=today", "--clock=real").plan(scenarios)
	if err != nil || len(plan) != 1 || plan[0].Profile.Name != model.Quick().Name {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	var out bytes.Buffer
	trial, err := (&real{dir: t.TempDir(), out: &out}).play(t.Context(), plan[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(trial.Failures) > 0 || trial.Clock != drill.RealClock || trial.Acknowledged == nil || *trial.Acknowledged == 0 || *trial.Lost != 0 {
		t.Errorf("%v, %+v", trial.Failures, trial.Experiment)
	}
	if trial.TCPLostSeconds == nil || *trial.TCPLostSeconds < 5 || *trial.TCPLostSeconds > 30 {
		t.Errorf("TCP lost for %v s, want about the 7.5 s that Protected Network waits here", trial.TCPLostSeconds)
	}
}
