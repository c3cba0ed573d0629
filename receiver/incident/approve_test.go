package incident_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

const proposePolicy = "      mode: propose\n"

// approvable is a world in which a dead service is proposed, and who may approve it.
func approvable(t *testing.T) (*world, incident.Incident) {
	t.Helper()
	w := newWorld(t, proposePolicy)
	w.cfg.Receiver.Approvers = []*config.Approver{{Name: "ada"}, {Name: "bob"}}
	w.warm()
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(10 * time.Second)
	i := w.only("SQL01", evidence.Service)
	if i.Phase != incident.Proposed || i.Offer == nil {
		t.Fatalf("phase = %s, offer %v; want proposed with one: %s", i.Phase, i.Offer, i.Summary)
	}
	if len(w.commands) != 0 {
		t.Fatalf("commands before anybody approved: %v", w.methods())
	}
	return w, i
}

// approve sends one request and tells what became of it.
func (w *world) approve(id, by, plan string) incident.Approval {
	w.t.Helper()
	w.step(incident.Approved{At: incident.At(w.now), ID: "r" + w.now.String(), Incident: id, Plan: plan, By: by})
	all := incidentOf(w, id).Approvals
	if len(all) == 0 {
		w.t.Fatal("the request left no trace")
	}
	return all[len(all)-1]
}

// after lets time pass, and wants so many commands sent since the start and the incident in that phase.
func (w *world) after(d time.Duration, id string, commands int, phase incident.Phase) incident.Incident {
	w.t.Helper()
	w.advance(d)
	i := incidentOf(w, id)
	if len(w.commands) != commands || i.Phase != phase {
		w.t.Fatalf("%s after %v, want %s after %d commands: %s", i.Phase, w.methods(), phase, commands, i.Summary)
	}
	return i
}

// sent lets an approved plan be carried out, and wants so many commands sent since the start.
func (w *world) sent(commands int) {
	w.t.Helper()
	if w.advance(10 * time.Second); len(w.commands) != commands {
		w.t.Errorf("commands = %v, want the %d that were approved", w.methods(), commands)
	}
}

func TestAnApprovedPlanIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	w, i := approvable(t)
	if want := "G22 mode_propose"; len(i.Offer.Wanted) != 1 || i.Offer.Wanted[0] != want {
		t.Errorf("wanted by %v, want %s", i.Offer.Wanted, want)
	}
	if d := i.Offer.Expires.Sub(i.Offer.Made); d != 10*time.Minute {
		t.Errorf("the offer stands for %s, want 10m", d)
	}
	plan := i.Offer.Plan
	if a := w.approve(i.ID, "ada", plan); a.Refused != "" || a.By != "ada" {
		t.Fatalf("approval = %+v, want it taken", a)
	}
	if got := incidentOf(w, i.ID); got.Phase != incident.Confirming || len(got.Rounds) != 0 {
		t.Errorf("phase = %s with %d rounds, want confirming with none: what was read before counts no more", got.Phase, len(got.Rounds))
	}
	w.advance(5 * time.Second)
	if diff := cmp.Diff([]string{"Win32_Service.StartService MSSQLSERVER"}, w.methods()); diff != "" {
		t.Fatalf("commands (-want +got):\n%s", diff)
	}
	i = incidentOf(w, i.ID)
	if i.Actions[0].By != "ada" || i.Approvals[0].Used.IsZero() || !strings.Contains(i.Approvals[0].Plan, plan) {
		t.Errorf("action by %q, approval %+v; want ada's, used", i.Actions[0].By, i.Approvals[0])
	}
	if a := w.approve(i.ID, "ada", plan); a.Refused != "used" {
		t.Errorf("the same approval once more: %+v, want it refused as used", a)
	}
	w.after(3*time.Minute, i.ID, 1, incident.Healed)
}

func TestApprovalsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before   func(*world, incident.Incident)
		by, plan string // plan: empty for the one that is offered
		want     string
	}{
		"not an approver":     {by: "mallory", want: "not_an_approver"},
		"an approver no more": {before: func(w *world, _ incident.Incident) { w.cfg.Receiver.Approvers = w.cfg.Receiver.Approvers[1:] }, by: "ada", want: "not_an_approver"},
		"another plan":        {by: "ada", plan: strings.Repeat("0", 64), want: "other_plan"},
		"part of the plan":    {by: "ada", plan: "a", want: "other_plan"},
		"late":                {before: func(w *world, _ incident.Incident) { w.advance(11 * time.Minute) }, by: "ada", want: "late"},
		"twice":               {before: func(w *world, i incident.Incident) { w.approve(i.ID, "bob", i.Offer.Plan) }, by: "ada", want: "twice"},
		"after it is over": {before: func(w *world, i incident.Incident) {
			w.vms["SQL01"].service.State, w.vms["SQL01"].reason = cluster.ServiceRunning, ""
			w.alert("SQL01", false)
			w.advance(4 * time.Minute)
		}, by: "ada", want: "nothing_offered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, i := approvable(t)
			if tt.plan == "" {
				tt.plan = i.Offer.Plan
			}
			if tt.before != nil {
				tt.before(w, i)
			}
			a := w.approve(i.ID, tt.by, tt.plan)
			if a.Refused != tt.want || a.Why == "" {
				t.Fatalf("approval = %+v, want refused %q with words", a, tt.want)
			}
			if tt.want == "twice" {
				return // bob's stands
			}
			w.advance(2 * time.Minute)
			if len(w.commands) != 0 {
				t.Errorf("commands after a refused approval: %v", w.methods())
			}
		})
	}
}

// A late approval makes the receiver look again: what it offers then is new, and can be approved.
func TestALateApprovalBringsANewOffer(t *testing.T) {
	t.Parallel()
	w, i := approvable(t)
	w.advance(11 * time.Minute)
	w.approve(i.ID, "ada", i.Offer.Plan)
	again := w.after(5*time.Second, i.ID, 0, incident.Proposed)
	if again.Offer == nil || !again.Offer.Made.After(i.Offer.Expires) {
		t.Fatalf("offer %+v, want a new one", again.Offer)
	}
	w.approve(i.ID, "ada", again.Offer.Plan)
	w.sent(1)
}

// What was approved is what is sent, or nothing: the agent that has died meanwhile makes another plan of it.
func TestAChangedPlanMakesTheApprovalVoid(t *testing.T) {
	t.Parallel()
	w, i := approvable(t)
	w.vms["SQL01"].agent.State = cluster.ServiceStopped
	w.approve(i.ID, "ada", i.Offer.Plan)
	now := w.after(5*time.Second, i.ID, 0, incident.Proposed)
	if a := now.Approvals[0]; a.Void != "plan_changed" || a.Why == "" {
		t.Errorf("approval = %+v, want void for a changed plan, with words", a)
	}
	if now.Offer == nil || now.Offer.Plan == i.Offer.Plan || len(now.Offer.Commands) != 2 {
		t.Fatalf("offer = %+v, want the new plan of two commands", now.Offer)
	}
	w.approve(i.ID, "ada", now.Offer.Plan)
	w.sent(2)
}

// An approval waits for the other guards, and not for ever.
func TestAnApprovalEndsWhileAnotherGuardHolds(t *testing.T) {
	t.Parallel()
	w, i := approvable(t)
	w.silenced = true
	w.approve(i.ID, "ada", i.Offer.Plan)
	w.after(11*time.Minute, i.ID, 0, incident.Waiting) // for the alert
	w.silenced = false
	got := w.after(10*time.Second, i.ID, 0, incident.Proposed)
	if got.Approvals[0].Void != "approval_expired" {
		t.Fatalf("approval %+v, want it expired", got.Approvals[0])
	}
	if got.Offer.Plan == i.Offer.Plan {
		t.Error("the same hash is offered again: a request that was recorded could be sent once more")
	}
	w.approve(i.ID, "bob", got.Offer.Plan)
	w.sent(1)
}

// A plan that was abandoned before anything left has used its approval up.
func TestAnApprovalIsUsedUpByAPlanThatNeverBegan(t *testing.T) {
	t.Parallel()
	w, i := approvable(t)
	w.approve(i.ID, "ada", i.Offer.Plan)
	for n := 0; n < 400 && incidentOf(w, i.ID).Phase != incident.Acting; n++ {
		w.advance(5 * time.Millisecond)
	}
	w.after(0, i.ID, 0, incident.Acting)
	w.crash(5 * time.Second)
	got := w.after(75*time.Second, i.ID, 0, incident.Proposed)
	if got.Offer == nil {
		t.Fatal("nothing is offered anew")
	}
	if a := w.approve(i.ID, "ada", i.Offer.Plan); a.Refused != "used" {
		t.Errorf("the recorded request once more: %+v, want it refused as used", a)
	}
	w.approve(i.ID, "ada", got.Offer.Plan)
	w.sent(1)
}

// An approval that was given is in the ledger: a receiver that restarts goes on with it, after everything that a start
// waits for.
func TestAnApprovalSurvivesACrash(t *testing.T) {
	t.Parallel()
	w, i := approvable(t)
	w.approve(i.ID, "ada", i.Offer.Plan)
	w.crash(2 * time.Second)
	w.warm()
	w.sent(1)
	if got := incidentOf(w, i.ID); got.Actions[0].By != "ada" {
		t.Errorf("it is approved by %q, want ada", got.Actions[0].By)
	}
}

// Whoever is no approver any more when the command is about to leave has approved nothing.
func TestAnApproverWhoIsTakenOffTheListHasApprovedNothing(t *testing.T) {
	t.Parallel()
	w, i := approvable(t)
	w.approve(i.ID, "ada", i.Offer.Plan)
	w.cfg.Receiver.Approvers = w.cfg.Receiver.Approvers[1:]
	if got := w.after(time.Minute, i.ID, 0, incident.Proposed); got.Approvals[0].Void != "not_an_approver" {
		t.Errorf("approvals %+v, want it void", got.Approvals)
	}
}
