package incident_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// fallsBack has a ladder on which a service whose guest is sick is followed by a reset.
const fallsBack = actPolicy + "      ladders: {service: [restart_service, reset_vm], hang: [restart_service, reset_vm]}\n"

// TestAStartThatFailsIsExplainedByTheGuestsLogs: what the service control manager or SQL Server gives as the reason is told,
// ends the ladder with a person, and is not tried again; without a reason the guest is what is left.
func TestAStartThatFailsIsExplainedByTheGuestsLogs(t *testing.T) {
	t.Parallel()
	logon := cluster.Event{Log: "System", ID: cluster.EventLogonFailed, Strings: []string{"MSSQLSERVER", `CORP\sql`, "%%1330"}}
	refused := map[remedy.Method]remedy.Result{remedy.StartService: {Sent: true, Answered: true, Code: 15}}
	tests := []struct {
		name    string
		set     func(*world, *machine)
		cause   remedy.Cause
		phase   incident.Phase
		summary string
	}{
		{
			"the account's password has expired", func(w *world, m *machine) { w.refuse, m.reasons = refused, []cluster.Event{logon} },
			remedy.Permanent, incident.Escalated, `the account CORP\sql of MSSQLSERVER cannot log on: error 1330, the password has expired (event 7038)`,
		},
		{"SQL Server cannot open its files", func(_ *world, m *machine) {
			m.dies, m.reasons = 1, []cluster.Event{{Log: "Application", ID: 17113, Source: "MSSQLSERVER", Strings: []string{"2", `D:\master.mdf`}}}
		}, remedy.Permanent, incident.Escalated, `MSSQLSERVER wrote error 17113 ("2, D:\\master.mdf")`},
		{"no reason is given", func(_ *world, m *machine) { m.dies = 1 }, remedy.GuestBound, incident.Waiting, "the guest's logs give no reason"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fallsBack)
			w.warm()
			w.kill("SQL01")
			tt.set(w, w.vms["SQL01"])
			w.fire("SQL01", evidence.Service)
			w.issue(1)
			w.advance(4 * time.Second)
			i := w.only("SQL01", evidence.Service)
			a := i.Actions[0]
			if a.State != incident.Failed || a.Cause != tt.cause || a.Failing != nil {
				t.Errorf("action %s for cause %s (%s), want it failed for %s", a.State, a.Cause, a.Why, tt.cause)
			}
			if said := i.Summary + a.Why; i.Phase != tt.phase && tt.phase == incident.Escalated || !strings.Contains(said, tt.summary) {
				t.Errorf("%s: %s; want %s and %q", i.Phase, said, tt.phase, tt.summary)
			}
			if w.advance(10 * time.Minute); tt.cause == remedy.Permanent && len(w.commands) != 1 {
				t.Errorf("%v, want the start that failed and nothing after it", w.methods())
			}
		})
	}
}

// TestAReceiverThatStopsWhileItAsksForTheReasonAsksAgain: nothing is sent again.
func TestAReceiverThatStopsWhileItAsksForTheReasonAsksAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fallsBack)
	w.warm()
	w.kill("SQL01")
	w.refuse = map[remedy.Method]remedy.Result{remedy.StartService: {Sent: true, Answered: true, Code: 15}}
	w.fire("SQL01", evidence.Service)
	for {
		if i := w.only("SQL01", evidence.Service); len(i.Actions) > 0 && i.Actions[0].Failing != nil {
			break
		}
		w.advance(time.Millisecond)
	}
	w.crash(time.Second)
	w.advance(10 * time.Second)
	i := w.only("SQL01", evidence.Service)
	if a := i.Actions[0]; i.Phase != incident.Escalated || a.Cause != remedy.Permanent || !strings.Contains(a.Why, "cannot log on") || len(w.commands) != 1 {
		t.Errorf("%s, %s for %s: %s, commands %v; want the first reason kept and one command", i.Phase, a.State, a.Cause, a.Why, w.methods())
	}
}

// TestADependentThatDoesNotStartIsNoEvidenceAgainstTheGuest: SQL Server serves; no reset follows.
func TestADependentThatDoesNotStartIsNoEvidenceAgainstTheGuest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fallsBack)
	w.warm()
	m := w.vms["SQL01"]
	m.reason = "login_timeout"
	w.fire("SQL01", evidence.Hang)
	w.issue(3) // the agent's stop, the end of the process, SQL Server's start
	w.advance(4 * time.Second)
	m.dies = 1066
	w.advance(time.Minute)
	i := w.only("SQL01", evidence.Hang)
	if last := i.Actions[len(i.Actions)-1]; i.Phase != incident.Escalated || last.State != incident.Failed || last.Cause != remedy.Transient {
		t.Errorf("%s, the agent's start %s for %s; want it escalated, failed, transient: %s", i.Phase, last.State, last.Cause, i.Summary)
	}
	for _, c := range w.commands {
		if c.Method == remedy.ResetSystem {
			t.Errorf("the machine was reset: %v", w.methods())
		}
	}
}

// TestAProcessThatSurvivesItsEndIsTheGuests: Windows says that it is terminated, and it stays. It is not terminated again,
// what was stopped for it is started again, and the guest is what is sick.
func TestAProcessThatSurvivesItsEndIsTheGuests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	m := w.vms["SQL01"]
	m.undying, m.reason = true, "login_timeout"
	w.fire("SQL01", evidence.Hang)
	w.issue(2)
	w.advance(5 * time.Minute)
	i := w.only("SQL01", evidence.Hang)
	if a := i.Actions[1]; a.State != incident.Failed || a.Cause != remedy.GuestBound || !strings.Contains(a.Why, "still there") || i.Phase != incident.Escalated {
		t.Errorf("%s, %s for %s: %s; want it failed within its time, guest-bound, and told to a person", i.Phase, a.State, a.Cause, a.Why)
	}
	want := []string{"Win32_Service.StopService SQLSERVERAGENT", "Win32_Process.Terminate ", "Win32_Service.StartService SQLSERVERAGENT"}
	if d := cmp.Diff(want, w.methods()); d != "" {
		t.Errorf("commands (-want +got):\n%s", d)
	}
}
