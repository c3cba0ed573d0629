package incident_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// TestNoCommandWithoutWatchdog: while nobody proves that alerts come through, what would be done is told and not done, and
// the next Watchdog lets it be done (G29).
func TestNoCommandWithoutWatchdog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.mute = true
	w.advance(guard.MaxSilence + time.Minute)
	engaged := func(n string) bool { return strings.HasPrefix(n, "dead-man's switch engaged") }
	if !w.state.Silent || !slices.ContainsFunc(w.notes, engaged) {
		t.Fatalf("silent %t, notes %q: want the switch engaged, and said so", w.state.Silent, w.notes)
	}
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(30 * time.Second)
	i := w.only("SQL01", evidence.Service)
	if len(w.commands) > 0 || i.Phase != incident.Told || len(i.Plan) == 0 {
		t.Fatalf("%d commands, phase %s, plan %q; want none, told, and the plan: %s", len(w.commands), i.Phase, i.Plan, i.Summary)
	}
	if v, ok := guard.Decide(i.Verdicts); !ok || v.Guard != "G29" || v.Unblock == "" {
		t.Errorf("decided by %+v, want G29 with what lifts it", v)
	}
	w.mute = false
	w.advance(2 * time.Minute)
	if i := w.only("SQL01", evidence.Service); len(w.commands) == 0 {
		t.Errorf("Watchdog is back and nothing was done: %s %s", i.Phase, i.Summary)
	}
	if w.state.Silent {
		t.Error("the switch is still engaged")
	}
	if n := len(slices.DeleteFunc(w.notes, func(n string) bool { return !engaged(n) })); n != 1 {
		t.Errorf("said %d times that the switch engaged, want once", n)
	}
}

// TestARungThatBeganIsGoneOnWith: half a restart is worse than a whole one.
func TestSilenceDoesNotStopARungThatBegan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.mute = true
	w.advance(guard.MaxSilence - 20*time.Second)
	w.kill("SQL01")
	w.vms["SQL01"].agent.State = "Stopped"
	w.fire("SQL01", evidence.Service)
	w.advance(3 * time.Minute)
	if got := len(w.commands); got != 2 {
		t.Errorf("%d commands, want the service's start and the agent's: %v", got, w.methods())
	}
}
