package remedy_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// TestACommandOfUnknownTimeShowsNoEffect: every run would be younger than it, and every wait over.
func TestACommandOfUnknownTimeShowsNoEffect(t *testing.T) {
	t.Parallel()
	round := vmRound(time.Hour, 50*time.Minute, cluster.VMRunning, cluster.HeartbeatOK)
	call := remedy.Call{Command: remedy.Command{Method: remedy.ResetSystem}, Issued: born, Observed: true}
	if e := remedy.EffectOf(call, round); !e.Done {
		t.Fatalf("issued an hour ago: %+v, want it done", e)
	}
	for _, m := range remedy.Methods() {
		call := remedy.Call{Command: remedy.Command{Method: m.Method}, Observed: true}
		if e := remedy.EffectOf(call, round); !e.Unreadable || e.Done || e.Failed || e.Detail == "" {
			t.Errorf("%s: %+v, want it unreadable", m.Method, e)
		}
	}
}

// TestAProcessWithoutABirthIsNotGone: what has the number of the terminated process may be that one.
func TestAProcessWithoutABirthIsNotGone(t *testing.T) {
	t.Parallel()
	call := remedy.Call{Command: remedy.Command{Method: remedy.TerminateProcess, PID: 7, Created: born}, Issued: born, Observed: true}
	r := evidence.Round{
		Started: born.Add(time.Minute), Service: reading(cluster.Service{Name: "MSSQLSERVER", State: cluster.ServiceStopped}),
		Process: reading(cluster.Process{ID: 7, Created: born.Add(time.Second)}),
	}
	if e := remedy.EffectOf(call, r); !e.Done {
		t.Fatalf("another process has its number: %+v, want it done", e)
	}
	r.Process.Value.Created = time.Time{}
	if e := remedy.EffectOf(call, r); !e.Unreadable || e.Done || e.Failed {
		t.Errorf("since when the process runs is not known: %+v, want it unreadable", e)
	}
}
