package incident_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// hung lets SQL01 hang until its restart is planned, and returns the moment of the plan.
func (w *world) hung() time.Time {
	w.warm()
	w.vms["SQL01"].reason = dial.LoginTimeout
	w.fire("SQL01", evidence.Hang)
	for range 1200 {
		w.advance(50 * time.Millisecond)
		if i := w.only("SQL01", evidence.Hang); len(i.Actions) > 0 {
			return i.Actions[0].Planned
		}
	}
	w.t.Fatal("no restart was planned")
	return time.Time{}
}

func events(i incident.Incident) []string {
	var list []string
	for _, e := range i.Timeline {
		list = append(list, e.Event)
	}
	return list
}

// TestEvidenceIsKeptBeforeTheKill: what a rung destroys is on disk before its first action is claimed, with what could
// not be read, and is deleted with its incident.
func TestEvidenceIsKeptBeforeTheKill(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	planned := w.hung()
	w.advance(time.Second)
	i := w.only("SQL01", evidence.Hang)
	if d := i.Actions[0].Claimed.Sub(planned); d < 25*time.Millisecond || d > 200*time.Millisecond {
		t.Errorf("claimed %s after the plan, want as soon as the evidence is kept", d)
	}
	got := events(i)
	if k, c := slices.Index(got, "evidence kept"), slices.Index(got, "claimed"); k < 0 || k > c {
		t.Errorf("timeline = %v, want the evidence kept before the claim", got)
	}
	var b evidence.Bundle
	if err := json.Unmarshal(w.records["bundle/"+i.ID+"/001"], &b); err != nil {
		t.Fatalf("bundle: %v", err)
	}
	s := b.Instances["MSSQLSERVER"]
	if b.Incident != i.ID || b.Rung != "restart_service" || !s.Diagnostics.Known() || s.Waits.Known() {
		t.Errorf("bundle = %+v, want the last diagnostics, and no waits of a SQL Server that hangs", b)
	}
	w.vms["SQL01"].reason = dial.Answered
	w.quiet(26 * time.Hour)
	if _, ok := w.state.Incidents.Get(i.ID); ok || w.kept("bundle/") != 0 {
		t.Errorf("incident kept %v, %d bundles, want both gone", ok, w.kept("bundle/"))
	}
}

// TestEvidenceDelaysNoCommand longer than its bound: where it does not come the plan goes on without it and says so, and
// what comes late is kept all the same.
func TestEvidenceDelaysNoCommand(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lose    bool
		takes   time.Duration
		bundles int
		tells   string
	}{
		"it is lost":      {lose: true, tells: "evidence not kept"},
		"it comes late":   {takes: 7 * time.Second, bundles: 1, tells: "evidence kept late"},
		"just in time":    {takes: 4990 * time.Millisecond, bundles: 1, tells: "evidence kept"},
		"at the last one": {takes: 5 * time.Second, bundles: 1, tells: "evidence kept"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, actPolicy)
			w.loseKeep, w.keeps = test.lose, test.takes
			planned := w.hung()
			w.advance(20 * time.Second)
			i := w.only("SQL01", evidence.Hang)
			if d := i.Actions[0].Claimed.Sub(planned); d < min(5*time.Second, max(test.takes, 4*time.Second)) || d > 5*time.Second+100*time.Millisecond {
				t.Errorf("claimed %s after the plan, want 5 s at most", d)
			}
			if len(w.commands) == 0 || i.Actions[0].Issued.IsZero() {
				t.Errorf("nothing was sent: %s", i.Summary)
			}
			if got := events(i); !slices.ContainsFunc(got, func(e string) bool { return strings.HasPrefix(e, test.tells) }) || w.kept("bundle/") != test.bundles {
				t.Errorf("timeline = %v with %d bundles, want %q and %d", got, w.kept("bundle/"), test.tells, test.bundles)
			}
		})
	}
}

// TestADeadServiceWaitsForNothing: nothing is destroyed by starting what has died.
func TestADeadServiceWaitsForNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.loseKeep = true
	w.warm()
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(3 * time.Second)
	if len(w.commands) != 1 || w.kept("bundle/") != 0 {
		t.Errorf("%d commands, %d bundles, want the service started at once", len(w.commands), w.kept("bundle/"))
	}
}

// TestAPauseHoldsWhileEvidenceIsRead: the wait opens no way past a guard.
func TestAPauseHoldsWhileEvidenceIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.keeps = 4 * time.Second
	w.hung()
	w.step(incident.PauseSet{At: incident.At(w.now), Pause: pauseOf("SQL01", w.now.Add(time.Minute))})
	w.advance(20 * time.Second)
	if len(w.commands) != 0 {
		t.Errorf("commands = %v, want none after the pause", w.methods())
	}
}

// TestACrashWhileEvidenceIsRead: the plan of which nothing was claimed never began, and the incident is decided anew.
func TestACrashWhileEvidenceIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.keeps = 4 * time.Second
	w.hung()
	w.advance(2 * time.Second)
	w.crash(time.Second)
	w.advance(5 * time.Second)
	i := w.only("SQL01", evidence.Hang)
	if i.Actions[0].State != incident.Failed || len(w.commands) != 0 || !i.KeepUntil.IsZero() {
		t.Errorf("action = %s, %d commands, waits until %v; want it abandoned", i.Actions[0].State, len(w.commands), i.KeepUntil)
	}
	w.advance(2 * time.Minute)
	// What it had open was read by an earlier life alone (G36): a person decides.
	if i := w.only("SQL01", evidence.Hang); i.Phase != incident.Proposed || len(w.commands) != 0 {
		t.Errorf("phase = %s with %d commands after the hold-off, want it decided anew: %s", i.Phase, len(w.commands), i.Summary)
	}
}
