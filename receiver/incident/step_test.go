package incident_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

func TestDeadServiceIsStartedOnceAndProvenHealthy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	fault := w.now
	w.fire("SQL01", evidence.Service)
	w.advance(10 * time.Second)

	if diff := cmp.Diff([]string{"Win32_Service.StartService MSSQLSERVER"}, w.methods()); diff != "" {
		t.Fatalf("commands (-want +got):\n%s", diff)
	}
	i := w.only("SQL01", evidence.Service)
	a := i.Actions[0]
	if a.State != incident.Verified || a.Command.Cmdlet == "" {
		t.Errorf("action = %s %q, want VERIFIED with a cmdlet line", a.State, a.Command.Cmdlet)
	}
	if d := a.Issued.Sub(fault); d < time.Second || d > 2*time.Second {
		t.Errorf("first command %s after the fault, want between 1 s (two rounds) and 2 s", d)
	}
	if i.Phase != incident.Verifying || i.HealthyAt.IsZero() {
		t.Errorf("phase = %s, healthy at %v; want verifying within the hold", i.Phase, i.HealthyAt)
	}
	if want := "SQL Server is healthy; that has to hold for 2m0s."; i.Summary != want {
		t.Errorf("during the hold it says %q, want %q", i.Summary, want)
	}
	w.advance(130 * time.Second)
	i = w.only("SQL01", evidence.Service)
	if i.Phase != incident.Healed || i.HealedBy != incident.ByHypervigil {
		t.Errorf("phase = %s by %s, want healed by hypervigil: %s", i.Phase, i.HealedBy, i.Summary)
	}
	for _, v := range i.Verdicts {
		if v.Outcome != "pass" {
			t.Errorf("recorded verdict %s %s: %s, want pass for all of the deciding round", v.Guard, v.Outcome, v.Detail)
		}
	}
	if verdict(i, "G9").Guard == "" {
		t.Error("the re-validation's verdict is not recorded")
	}
}

func TestDependentsThatDiedWithSQLServerAreBroughtBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.vms["SQL01"].agent.State = cluster.ServiceStopped
	w.fire("SQL01", evidence.Service)
	w.advance(20 * time.Second)
	want := []string{"Win32_Service.StartService MSSQLSERVER", "Win32_Service.StartService SQLSERVERAGENT"}
	if diff := cmp.Diff(want, w.methods()); diff != "" {
		t.Fatalf("commands (-want +got):\n%s", diff)
	}
}

func TestHangIsTerminatedAfterHealthCheckTimeoutOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.vms["SQL01"].reason = dial.LoginTimeout
	w.fire("SQL01", evidence.Hang)
	w.advance(29 * time.Second)
	if len(w.commands) != 0 {
		t.Fatalf("commands before health_check_timeout: %v", w.methods())
	}
	w.advance(30 * time.Second)
	want := []string{
		"Win32_Service.StopService SQLSERVERAGENT", "Win32_Process.Terminate ",
		"Win32_Service.StartService MSSQLSERVER", "Win32_Service.StartService SQLSERVERAGENT",
	}
	if diff := cmp.Diff(want, w.methods()); diff != "" {
		t.Fatalf("commands (-want +got):\n%s", diff)
	}
	kill := w.commands[1]
	if kill.PID == 0 || kill.Created.IsZero() {
		t.Errorf("terminate by PID %d created %v, want both", kill.PID, kill.Created)
	}
}

func TestRefusedOrHeld(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		policy string
		fault  evidence.Fault
		change func(w *world)
		after  func(w *world) // once the alert has fired
		guard  string
		reason string
		phase  incident.Phase
	}{
		{
			name: "a clean stop is refused as deliberate", fault: evidence.Service,
			change: func(w *world) { w.stopCleanly("SQL01") }, guard: "G31", reason: "clean_stop", phase: incident.Refused,
		},
		{
			name: "a service set to Manual is refused", fault: evidence.Service,
			change: func(w *world) { w.kill("SQL01"); w.vms["SQL01"].service.StartMode = "Manual" }, guard: "G31", reason: "start_mode", phase: incident.Refused,
		},
		{
			name: "a silenced alert holds", fault: evidence.Service,
			change: func(w *world) { w.kill("SQL01"); w.silenced = true }, guard: "G7", reason: "suppressed", phase: incident.Waiting,
		},
		{
			name: "three sick of four is a storm", fault: evidence.Service,
			change: func(w *world) { w.kill("SQL01"); w.kill("SQL02"); w.kill("SQL03") }, guard: "G17", reason: "storm", phase: incident.Waiting,
		},
		{
			name: "failing controls are a storm", fault: evidence.Service,
			change: func(w *world) { w.kill("SQL01"); w.controls = false }, guard: "G17", reason: "storm", phase: incident.Waiting,
		},
		{
			name: "a guest that does not answer is no stopped service", fault: evidence.Service,
			change: func(w *world) { w.kill("SQL01"); w.blind["SQL01"] = true }, guard: "G8", reason: "unreadable", phase: incident.Waiting,
		},
		{
			name: "mode observe tells what it would do", policy: "      mode: observe\n", fault: evidence.Service,
			change: func(w *world) { w.kill("SQL01") }, guard: "G22", reason: "mode_observe", phase: incident.Told,
		},
		{
			name: "mode propose leaves it to a person", policy: "      mode: propose\n", fault: evidence.Service,
			change: func(w *world) { w.kill("SQL01") }, guard: "G22", reason: "mode_propose", phase: incident.Proposed,
		},
		{
			name: "under weaker limits a cluster that is not the lab is only observed", fault: evidence.Service, policy: weakPolicy,
			change: func(w *world) { w.lab = false; w.advance(11 * time.Second); w.kill("SQL01") }, guard: "G22", reason: "weaker_limits", phase: incident.Told,
		},
		{
			name: "an owner that changed is left to settle", fault: evidence.Service,
			change: func(w *world) { w.vms["SQL01"].owner = "HV2"; w.advance(11 * time.Second); w.kill("SQL01") },
			guard:  "G10", reason: "moved", phase: incident.Waiting,
		},
		{
			name: "a stopped service while the node is drained", fault: evidence.Service,
			change: func(w *world) { w.kill("SQL01"); w.vms["SQL01"].group = cluster.GroupPending }, guard: "G19", reason: "group_state", phase: incident.Waiting,
		},
		{
			name: "the never-touch list knows no upper and lower case", fault: evidence.Service,
			change: func(w *world) { w.cfg.Receiver.NeverTouch = []string{"HV-Test/sql01"}; w.kill("SQL01") },
			guard:  "G18", reason: "never_touch", phase: incident.Refused,
		},
		{
			name: "whether the owner's uplink is down is not known", fault: evidence.Network,
			change: func(w *world) { w.blind["SQL01"] = true; w.vms["SQL01"].reason = dial.TCPTimeout },
			after:  func(w *world) { w.advance(40 * time.Second) }, guard: "G8", reason: "unreadable", phase: incident.Waiting,
		},
		{
			name: "a lost host is the cluster's", fault: evidence.Host,
			change: func(w *world) { w.down["HV1"] = true }, guard: "G12", reason: "cluster_first", phase: incident.Waiting,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			policy := tt.policy
			if policy == "" {
				policy = actPolicy
			}
			w := newWorld(t, policy)
			w.warm()
			tt.change(w)
			w.fire("SQL01", tt.fault)
			w.advance(10 * time.Second)
			if tt.after != nil {
				tt.after(w)
			}
			i := w.only("SQL01", tt.fault)
			v := verdict(i, tt.guard)
			if v.Reason != tt.reason || i.Phase != tt.phase {
				t.Errorf("%s says %s %q (%s), phase %s; want reason %q, phase %s\nall: %+v", tt.guard, v.Outcome, v.Reason, v.Detail, i.Phase, tt.reason, tt.phase, i.Verdicts)
			}
			if len(w.commands) != 0 {
				t.Errorf("commands = %v, want none", w.methods())
			}
			if i.Summary == "" || (tt.phase != incident.Told && v.Detail == "") {
				t.Errorf("no plain words: summary %q, detail %q", i.Summary, v.Detail)
			}
		})
	}
}

func TestCleanStopIsHealedUnderThePolicyThatSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy+"      clean_stop: {heal_after: 20s}\n")
	w.warm()
	w.stopCleanly("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(19 * time.Second)
	if len(w.commands) != 0 {
		t.Fatalf("commands before heal_after: %v", w.methods())
	}
	w.advance(10 * time.Second)
	want := []string{"Win32_Service.StartService MSSQLSERVER", "Win32_Service.StartService SQLSERVERAGENT"}
	if diff := cmp.Diff(want, w.methods()); diff != "" {
		t.Fatalf("commands (-want +got):\n%s", diff)
	}
	w.advance(150 * time.Second)
	if i := w.only("SQL01", evidence.Service); i.HealedBy != incident.ByHypervigil {
		t.Errorf("healed by %q, want hypervigil: %s", i.HealedBy, i.Summary)
	}
}

func TestCleanStopEndedByAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.stopCleanly("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(30 * time.Second)
	m := w.vms["SQL01"]
	m.service.State, m.reason = cluster.ServiceRunning, ""
	w.alert("SQL01", false)
	w.advance(150 * time.Second)
	if i := w.only("SQL01", evidence.Service); i.Phase != incident.Healed || i.HealedBy != incident.ByPerson || len(w.commands) != 0 {
		t.Errorf("phase %s by %q with commands %v, want healed by a person without any", i.Phase, i.HealedBy, w.methods())
	}
}

func TestLostHostIsHealedByTheCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.down["HV1"] = true
	w.fire("SQL01", evidence.Host)
	w.advance(20 * time.Second)
	if s := w.only("SQL01", evidence.Host).Summary; !strings.Contains(s, "Waiting for the cluster") {
		t.Errorf("summary = %q, want plain words that it waits for the cluster", s)
	}
	m := w.vms["SQL01"]
	m.owner, m.reason = "HV2", dial.Refused
	w.notify("SQL01", evidence.Service, "MSSQLSERVER", true, w.now) // the guest boots: its port refuses
	w.advance(20 * time.Second)
	if i := w.only("SQL01", evidence.Service); i.ExplainedBy == "" && verdict(i, "G10").Reason != "moved" {
		t.Errorf("service incident of the booting guest: phase %s, %s; want explained by the host's or left to settle", i.Phase, i.Summary)
	}
	m.reason = ""
	w.alert("SQL01", false)
	w.advance(150 * time.Second)
	i := w.only("SQL01", evidence.Host)
	if i.Phase != incident.Healed || i.HealedBy != incident.ByCluster || !strings.Contains(i.Summary, "waited for the cluster") {
		t.Errorf("phase %s by %q: %s; want healed by the cluster, in plain words", i.Phase, i.HealedBy, i.Summary)
	}
	if len(w.commands) != 0 {
		t.Errorf("commands = %v, want none", w.methods())
	}
}

func TestNotificationsInAnyOrderLeadToOneRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	began := w.vms["SQL01"].alertAt
	for n := range 40 {
		w.advance(500 * time.Millisecond)
		firing := n%7 != 3 // now and then an early or a late "resolved"
		w.notify("SQL01", evidence.Service, "MSSQLSERVER", firing, began)
		w.notify("SQL01", evidence.Service, "MSSQLSERVER", firing, began)
	}
	w.advance(150 * time.Second)
	for range 5 { // echoes of the old story after its end
		w.notify("SQL01", evidence.Service, "MSSQLSERVER", true, began)
		w.advance(10 * time.Second)
	}
	if diff := cmp.Diff([]string{"Win32_Service.StartService MSSQLSERVER"}, w.methods()); diff != "" {
		t.Fatalf("commands (-want +got):\n%s", diff)
	}
	if i := w.only("SQL01", evidence.Service); i.Phase != incident.Healed {
		t.Errorf("phase = %s, want healed: %s", i.Phase, i.Summary)
	}
}

func TestLostAnswerIsLookedUpAndNeverSentAgain(t *testing.T) {
	t.Parallel()
	t.Run("it took effect", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, actPolicy)
		w.warm()
		w.kill("SQL01")
		w.loseReply = true
		w.fire("SQL01", evidence.Service)
		w.advance(160 * time.Second)
		if i := w.only("SQL01", evidence.Service); i.Phase != incident.Healed || len(w.commands) != 1 {
			t.Errorf("phase %s after %v: %s; want healed after one command", i.Phase, w.methods(), i.Summary)
		}
	})
	t.Run("it never arrived", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, actPolicy)
		w.warm()
		w.kill("SQL01")
		w.dropSend = true
		w.fire("SQL01", evidence.Service)
		w.advance(160 * time.Second)
		i := w.only("SQL01", evidence.Service)
		if i.Phase != incident.Escalated || len(w.commands) != 0 {
			t.Errorf("phase %s after %v: %s; want escalated without another command", i.Phase, w.methods(), i.Summary)
		}
		if vmOf(w, i.VM).Latched != i.ID {
			t.Errorf("latched = %q, want %q until acknowledged", vmOf(w, i.VM).Latched, i.ID)
		}
		w.step(incident.Acknowledged{At: incident.At(w.now), Incident: i.ID, By: "ada"})
		if l := vmOf(w, i.VM).Latched; l != "" {
			t.Errorf("latched = %q after the acknowledgement, want none", l)
		}
	})
}

func TestSecondFaultWithinCoolDownIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(200 * time.Second)
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(60 * time.Second)
	if len(w.commands) != 1 {
		t.Fatalf("commands = %v, want the first one only", w.methods())
	}
	var second incident.Incident
	for i := range w.state.Incidents.All() {
		if !i.Closed() {
			second = i
		}
	}
	if v := verdict(second, "G14"); v.Outcome != "hold" || v.Reason != "cool_down" {
		t.Errorf("G14 = %s %q, want hold cool_down", v.Outcome, v.Reason)
	}
}

// TestAPauseOfARungHoldsThatRungAlone: of two machines with the same fault and other ladders the one waits, and the pause ends
// by itself.
func TestAPauseOfARungHoldsThatRungAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.counted = true
	w.warm()
	p := pauseOf("", w.now.Add(10*time.Minute))
	p.Rung = remedy.RestartService
	w.step(incident.PauseSet{At: incident.At(w.now), Pause: p})
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.hangGuest("SQL02")
	w.fire("SQL02", evidence.Guest)
	w.advance(3 * time.Minute)
	if i := w.only("SQL01", evidence.Service); verdict(i, "G21").Reason != "paused" || !strings.Contains(verdict(i, "G21").Detail, "ada") {
		t.Errorf("G21 of the paused rung = %+v, want paused by ada", verdict(i, "G21"))
	}
	if len(w.commands) != 1 || w.commands[0].Method != remedy.ResetSystem {
		t.Errorf("commands = %v, want the reset that is not paused and nothing else", w.methods())
	}
	w.advance(8 * time.Minute)
	if len(w.commands) != 2 || w.commands[1].Method != remedy.StartService {
		t.Errorf("commands = %v once the pause had ended, want the start, too: %s", w.methods(), w.only("SQL01", evidence.Service).Summary)
	}
}

func TestPauseHoldsAndIsLifted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.step(incident.PauseSet{At: incident.At(w.now), Pause: pauseOf("SQL01", w.now.Add(time.Hour))})
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(30 * time.Second)
	if i := w.only("SQL01", evidence.Service); verdict(i, "G21").Reason != "paused" || len(w.commands) != 0 {
		t.Fatalf("G21 = %q with commands %v, want paused and none", verdict(i, "G21").Reason, w.methods())
	}
	w.step(incident.PauseSet{At: incident.At(w.now), Pause: pauseOf("SQL01", w.now)})
	w.advance(10 * time.Second)
	if len(w.commands) != 1 {
		t.Errorf("commands = %v after the pause was lifted, want one", w.methods())
	}
}
