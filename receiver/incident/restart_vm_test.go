package incident_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// decide hangs the guest of SQL01 and has a rung planned for it, as if every guard had passed.
func decide(t *testing.T, w *world, rung remedy.Rung) incident.Incident {
	t.Helper()
	w.warm()
	w.hangGuest("SQL01")
	w.advance(time.Second)
	w.fire("SQL01", evidence.Guest)
	w.advance(65 * time.Second)
	i := w.only("SQL01", evidence.Guest)
	if len(w.commands) > 0 {
		t.Fatalf("%v was sent before it was planned", w.methods())
	}
	round := w.round(evidence.Ask{VM: i.VM, Instance: "MSSQLSERVER", Owner: "HV1", Parts: []evidence.Part{evidence.PartHost, evidence.PartLogin, evidence.PartViews, evidence.PartPlacement}})
	next, effects := incident.PlanRung(w.state, i.ID, rung, round, w.now)
	w.state = next
	w.carryOut(effects)
	if i = w.only("SQL01", evidence.Guest); i.Phase != incident.Acting {
		t.Fatalf("%s was not planned: %s, destinations %v", rung, i.Summary, i.Destinations)
	}
	return i
}

// TestADeadGuestIsResetWhereNothingElseLivesOrOwnsIt goes through every guard: what G8 reads of the disks, and G11 of the
// cluster.
func TestADeadGuestIsResetWhereNothingElseLivesOrOwnsIt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		set    func(*world)
		sooner time.Duration // no command until then
		later  time.Duration // one command by then; 0: none at all
		guard  string        // that decides at first
	}{
		{"dead", func(w *world) { w.counted = true }, 60 * time.Second, 3 * time.Minute, "G8"},
		{"its disks are not counted", func(*world) {}, 10 * time.Minute, 0, "G8"},
		{"it works on its disks", func(w *world) { w.counted, w.vms["SQL01"].writes = true, true }, 10 * time.Minute, 0, "G8"},
		{"the cluster watches it", func(w *world) { w.counted, w.monitored = true, true }, 7 * time.Minute, 9 * time.Minute, "G8"},
	}
	for _, tt := range tests {
		w := newWorld(t, actPolicy)
		tt.set(w)
		w.warm()
		w.hangGuest("SQL01")
		w.advance(time.Second)
		w.fire("SQL01", evidence.Guest)
		w.advance(2 * time.Second)
		if v, ok := guard.Decide(w.only("SQL01", evidence.Guest).Verdicts); !ok || v.Guard != tt.guard {
			t.Errorf("%s: decided by %+v at first, want %s", tt.name, v, tt.guard)
		}
		if w.advance(tt.sooner - 3*time.Second); len(w.commands) > 0 {
			t.Errorf("%s: %v within %s", tt.name, w.methods(), tt.sooner)
		}
		if tt.later == 0 {
			continue
		}
		w.advance(tt.later - tt.sooner)
		if i := w.only("SQL01", evidence.Guest); len(w.commands) != 1 || w.commands[0].Method != remedy.ResetSystem {
			t.Errorf("%s: %v after %s, %s: %s; want one reset", tt.name, w.methods(), tt.later, i.Phase, i.Summary)
		}
	}
}

func TestResetHealsAGuest(t *testing.T) {
	t.Parallel()
	for rung, method := range map[remedy.Rung]remedy.Method{remedy.ResetVM: remedy.ResetSystem, remedy.NMIRestart: remedy.InjectNMI} {
		w := newWorld(t, actPolicy)
		decide(t, w, rung)
		w.advance(10 * time.Second)
		i := w.only("SQL01", evidence.Guest)
		if len(i.Actions) != 1 || i.Actions[0].State != incident.Observed || i.Actions[0].Command.Method != method || i.Actions[0].Result.Job == "" {
			t.Fatalf("%s while the guest boots: %+v", rung, i.Actions)
		}
		w.advance(20 * time.Second)
		if i = w.only("SQL01", evidence.Guest); i.Actions[0].State != incident.Verified || i.Phase != incident.Recovering {
			t.Errorf("%s, the guest is up and SQL Server starts late: %s %s, %q; want recovering", rung, i.Actions[0].State, i.Phase, i.Summary)
		}
		w.advance(200 * time.Second)
		if i = w.only("SQL01", evidence.Guest); i.Phase != incident.Healed || i.HealedBy != incident.ByHypervigil {
			t.Errorf("%s: %s by %q, %q; want it healed by hypervigil", rung, i.Phase, i.HealedBy, i.Summary)
		}
		if len(w.commands) != 1 {
			t.Errorf("%s: %v, want one command", rung, w.methods())
		}
	}
}

func TestAResetWhoseAnswerIsLostIsLookedUpAndNeverSentAgain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  func(*world)
		want incident.Phase
	}{
		{"carried out", func(w *world) { w.loseReply = true }, incident.Healed},
		{"carried out late", func(w *world) { w.loseReply, w.vms["SQL01"].lateBoot = true, 40*time.Second }, incident.Healed},
		{"never arrived", func(w *world) { w.dropSend = true }, incident.Escalated},
	}
	for _, tt := range tests {
		w := newWorld(t, actPolicy)
		tt.set(w)
		decide(t, w, remedy.ResetVM)
		w.advance(50 * time.Second)
		if i := w.only("SQL01", evidence.Guest); tt.want == incident.Escalated && i.Phase == incident.Escalated {
			t.Errorf("%s: given up after 50 s; a job may still wait in Hyper-V's queue", tt.name)
		}
		w.advance(5 * time.Minute)
		i := w.only("SQL01", evidence.Guest)
		if i.Phase != tt.want || len(w.commands) > 1 {
			t.Errorf("%s: %s, %q, commands %v; want %s", tt.name, i.Phase, i.Summary, w.methods(), tt.want)
		}
	}
}

func TestAReceiverThatStopsAfterAResetFindsWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	decide(t, w, remedy.ResetVM)
	w.advance(200 * time.Millisecond) // issued, and the answer on its way
	if len(w.commands) != 1 {
		t.Fatalf("%v was sent, want one reset", w.methods())
	}
	w.crash(30 * time.Second)
	w.advance(5 * time.Minute)
	i := w.only("SQL01", evidence.Guest)
	if i.Phase != incident.Healed || i.HealedBy != incident.ByHypervigil || len(w.commands) != 1 {
		t.Errorf("after the restart: %s by %q, %q, %v; want it healed by the one reset", i.Phase, i.HealedBy, i.Summary, w.methods())
	}
}

func TestAResetThatFails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fate  cluster.JobState
		after time.Duration
		want  string
	}{
		{"the job fails", cluster.JobException, 5 * time.Second, "the host's job failed"},
		{"the job hangs", cluster.JobRunning, 310 * time.Second, "no effect within 5m0s"},
	}
	for _, tt := range tests {
		w := newWorld(t, actPolicy)
		w.vms["SQL01"].fate = tt.fate
		decide(t, w, remedy.ResetVM)
		w.advance(tt.after)
		i := w.only("SQL01", evidence.Guest)
		if i.Phase != incident.Escalated || !strings.Contains(i.Summary, tt.want) || len(w.commands) != 1 {
			t.Errorf("%s: %s, %q, %v; want it escalated with %q after one command", tt.name, i.Phase, i.Summary, w.methods(), tt.want)
		}
	}
}

func TestAResetIsTakenBackWhereTheGuestLives(t *testing.T) {
	t.Parallel()
	for name, lives := range map[string]func(*machine, time.Time){
		"a heartbeat":  func(m *machine, _ time.Time) { m.heartbeat = cluster.HeartbeatOK },
		"another run":  func(m *machine, now time.Time) { m.started = now.Add(-30 * time.Second) },
		"another node": func(m *machine, _ time.Time) { m.owner = "HV3" },
	} {
		w := newWorld(t, actPolicy)
		decide(t, w, remedy.ResetVM)
		lives(w.vms["SQL01"], w.now)
		w.advance(2 * time.Second)
		if len(w.commands) != 0 {
			t.Errorf("%s: %v was sent", name, w.methods())
		}
		if g := verdict(w.only("SQL01", evidence.Guest), "G9"); g.Outcome == "pass" {
			t.Errorf("%s: G9 passes: %s", name, g.Detail)
		}
	}
}
