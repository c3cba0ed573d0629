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

const (
	stopAgent  = "Win32_Service.StopService SQLSERVERAGENT"
	startAgent = "Win32_Service.StartService SQLSERVERAGENT"
	startSQL   = "Win32_Service.StartService MSSQLSERVER"
	terminate  = "Win32_Process.Terminate "
)

// hung is a world in which SQL01 hangs and its agent has just been told to stop.
func hung(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, actPolicy)
	w.warm()
	w.vms["SQL01"].reason = dial.LoginTimeout
	w.fire("SQL01", evidence.Hang)
	w.issue(1)
	return w
}

// TestWhatARungStoppedComesBack: a rung that fails leaves nothing stopped that it could start again.
func TestWhatARungStoppedComesBack(t *testing.T) {
	t.Parallel()
	w := hung(t)
	w.refuse = map[remedy.Method]remedy.Result{remedy.TerminateProcess: {Sent: true, Answered: true, Code: 2}}
	w.advance(2 * time.Minute)
	if diff := cmp.Diff([]string{stopAgent, terminate, startAgent}, w.methods()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	i := w.only("SQL01", evidence.Hang)
	if i.Phase != incident.Escalated || !strings.Contains(i.Summary, "may not terminate") || w.vms["SQL01"].agent.State != cluster.ServiceRunning {
		t.Errorf("phase = %s, agent %s: %s; want it escalated with the cause, and the agent running", i.Phase, w.vms["SQL01"].agent.State, i.Summary)
	}
}

// TestWhatDoesNotComeBackIsNamed: where SQL Server itself does not start, its agent cannot, and the pager says so.
func TestWhatDoesNotComeBackIsNamed(t *testing.T) {
	t.Parallel()
	w := hung(t)
	w.refuse = map[remedy.Method]remedy.Result{remedy.StartService: {Sent: true, Answered: true, Code: 15}}
	w.advance(2 * time.Minute)
	if diff := cmp.Diff([]string{stopAgent, terminate, startSQL}, w.methods()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if i := w.only("SQL01", evidence.Hang); i.Phase != incident.Escalated || !strings.Contains(i.Summary, "SQLSERVERAGENT") || !strings.Contains(i.Summary, "cannot log on") {
		t.Errorf("phase = %s: %s; want it escalated with the cause and the agent's name", i.Phase, i.Summary)
	}
}

// TestAProcessThatEndsByItself needs no terminating; what follows it is done all the same.
func TestAProcessThatEndsByItself(t *testing.T) {
	t.Parallel()
	w := hung(t)
	w.kill("SQL01")
	w.advance(20 * time.Second)
	if diff := cmp.Diff([]string{stopAgent, startSQL, startAgent}, w.methods()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	w.advance(3 * time.Minute)
	if i := w.only("SQL01", evidence.Hang); i.Phase != incident.Healed || i.HealedBy != incident.ByHypervigil {
		t.Errorf("phase = %s by %s, want healed by hypervigil: %s", i.Phase, i.HealedBy, i.Summary)
	}
}

// TestARungIsNotGoneOnWithAfterHours: what a receiver had begun before it was away for long is brought back, not finished.
func TestARungIsNotGoneOnWithAfterHours(t *testing.T) {
	t.Parallel()
	w := hung(t)
	w.crash(3 * time.Hour)
	w.advance(2 * time.Minute)
	if diff := cmp.Diff([]string{stopAgent, startAgent}, w.methods()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if i := w.only("SQL01", evidence.Hang); i.Phase != incident.Escalated {
		t.Errorf("phase = %s, want escalated: %s", i.Phase, i.Summary)
	}
}

// TestAPersonStopsWhatHasNotBegun: a pause, or a configuration that only observes, counts until the first command left.
func TestAPersonStopsWhatHasNotBegun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.keepSend = true // the first try does not leave
	w.fire("SQL01", evidence.Service)
	for w.keepSend {
		w.advance(10 * time.Millisecond)
	}
	w.step(incident.PauseSet{At: incident.At(w.now), Pause: pauseOf("SQL01", w.now.Add(time.Hour))})
	w.advance(2 * time.Minute)
	i := w.only("SQL01", evidence.Service)
	if len(w.commands) != 0 || i.Phase != incident.Waiting || verdict(i, "G21").Reason != "paused" {
		t.Fatalf("phase = %s after %v, want it waiting for the pause's end: %s", i.Phase, w.methods(), i.Summary)
	}
	w.step(incident.PauseSet{At: incident.At(w.now), Pause: pauseOf("SQL01", w.now)})
	w.advance(10 * time.Second)
	if diff := cmp.Diff([]string{startSQL}, w.methods()); diff != "" {
		t.Errorf("commands after the pause (-want +got):\n%s", diff)
	}
}

// TestARefusedCommandIsNotALostOne: a server that says no did nothing; there is nothing to look up.
func TestARefusedCommandIsNotALostOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.refuse = map[remedy.Method]remedy.Result{remedy.StartService: {Sent: true, Failure: string(dial.Permission), Detail: "access is denied"}}
	w.fire("SQL01", evidence.Service)
	w.advance(5 * time.Second)
	i := w.only("SQL01", evidence.Service)
	if i.Phase != incident.Escalated || i.Actions[0].Cause != remedy.Permanent || !strings.Contains(i.Summary, "access is denied") {
		t.Errorf("phase = %s, cause %s: %s; want it escalated at once as permanent", i.Phase, i.Actions[0].Cause, i.Summary)
	}
}

// TestASlowStopIsWaitedFor: a service that is stopping has not refused to stop.
func TestASlowStopIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	m := w.vms["SQL01"]
	m.reason = dial.LoginTimeout
	w.loseReply = true
	w.fire("SQL01", evidence.Hang)
	w.issue(1)
	m.agent.State = cluster.ServiceStopPending
	w.advance(time.Minute)
	if i := w.only("SQL01", evidence.Hang); len(w.commands) != 1 || i.Actions[0].State != incident.Unknown {
		t.Fatalf("%s after %v while the agent is stopping, want it waited for", i.Actions[0].State, w.methods())
	}
	m.agent.State = cluster.ServiceStopped
	w.advance(time.Minute)
	if diff := cmp.Diff([]string{stopAgent, terminate, startSQL, startAgent}, w.methods()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// TestWhoHealedIt: starting a dependent, or something that did not last, is not healing.
func TestWhoHealedIt(t *testing.T) {
	t.Parallel()
	w := hung(t)
	w.refuse = map[remedy.Method]remedy.Result{remedy.TerminateProcess: {Sent: true, Answered: true, Code: 2}}
	w.advance(2 * time.Minute)
	m := w.vms["SQL01"]
	m.reason = "" // a person put it right
	w.alert("SQL01", false)
	w.advance(5 * time.Minute)
	if i := w.only("SQL01", evidence.Hang); !i.Closed() || i.HealedBy != incident.ByPerson {
		t.Errorf("closed = %v, healed by %q, want a person: %s", i.Closed(), i.HealedBy, i.Summary)
	}
}

// TestAPlanThatNeverBeganIsNoCommand: what was taken back before anything left must not be held against SQL Server.
func TestAPlanThatNeverBeganIsNoCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.keepSend = true
	w.fire("SQL01", evidence.Service)
	for w.keepSend {
		w.advance(10 * time.Millisecond)
	}
	w.step(incident.PauseSet{At: incident.At(w.now), Pause: pauseOf("SQL01", w.now.Add(time.Hour))})
	w.advance(5 * time.Second)
	m := w.vms["SQL01"]
	m.service.State, m.reason = cluster.ServiceRunning, "" // somebody starts it, and it dies again
	w.advance(7 * time.Second)
	w.kill("SQL01")
	w.advance(2 * time.Minute)
	if i := w.only("SQL01", evidence.Service); i.Phase != incident.Waiting || len(w.commands) != 0 {
		t.Errorf("phase = %s after %v, want it waiting for the pause's end: %s", i.Phase, w.methods(), i.Summary)
	}
}
