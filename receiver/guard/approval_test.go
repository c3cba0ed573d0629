package guard_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

const planned = "0123abcd"

// proposed is an input that mode propose leaves to a person, who has approved it.
func proposed(change func(*guard.Input)) guard.Input {
	in := passing()
	in.Policy = &config.Policy{Mode: config.Propose, HealthCheckTimeout: 30 * time.Second, Limits: config.DefaultLimits()}
	in.Plan = func() string { return planned }
	in.Approvers = []string{"ada"}
	in.Approval = guard.Approval{By: "ada", Plan: planned, At: now.Add(-time.Minute), Expires: now.Add(9 * time.Minute)}
	change(&in)
	return in
}

func TestAnApprovalIsGoodForOnePlanOnceAndForTenMinutes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*guard.Input)
		reason string // of G23; empty: it passes, and so does everything
	}{
		"approved":             {func(*guard.Input) {}, ""},
		"not approved":         {func(in *guard.Input) { in.Approval = guard.Approval{} }, "approval_needed"},
		"used":                 {func(in *guard.Input) { in.Approval.Used = now.Add(-time.Second) }, "approval_used"},
		"another plan":         {func(in *guard.Input) { in.Approval.Plan = "other" }, "plan_changed"},
		"ended this moment":    {func(in *guard.Input) { in.Approval.Expires = now }, "approval_expired"},
		"no approver any more": {func(in *guard.Input) { in.Approvers = nil }, "not_an_approver"},
		"no plan":              {func(in *guard.Input) { in.Plan = func() string { return "" } }, "no_plan"},
		"nobody makes plans":   {func(in *guard.Input) { in.Plan = nil }, "no_plan"},
		"not the lab":          {func(in *guard.Input) { in.Lab = false }, ""},
		"nothing proposed": {func(in *guard.Input) {
			in.Policy.Mode, in.Approval = config.Act, guard.Approval{}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vs := guard.Evaluate(proposed(tt.change))
			v := verdict(t, vs, "G23")
			decisive, stopped := guard.Decide(vs)
			if tt.reason == "" {
				if v.Outcome != guard.Pass || stopped {
					t.Errorf("G23 = %s %s, decided by %+v; want a pass and nothing that stops", v.Outcome, v.Reason, decisive)
				}
				return
			}
			if v.Outcome != guard.Propose || v.Reason != tt.reason || v.Unblock == "" {
				t.Errorf("G23 = %s %q (%s), want propose %q and how to go on", v.Outcome, v.Reason, v.Unblock, tt.reason)
			}
			if !stopped || decisive.Guard != "G22" {
				t.Errorf("decided by %s (%t), want G22, which proposes", decisive.Guard, stopped)
			}
		})
	}
}

// An approval lifts what was proposed and nothing else.
func TestAnApprovalLiftsNoRefusalAndNoHold(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*guard.Input)
		want   string
	}{
		"a latch":         {func(in *guard.Input) { in.Latched = "another" }, "G14"},
		"never touch":     {func(in *guard.Input) { in.NeverTouch = true }, "G18"},
		"a pause":         {func(in *guard.Input) { in.Pauses = []guard.Pause{{ID: "p", Expires: now.Add(time.Hour)}} }, "G21"},
		"mode observe":    {func(in *guard.Input) { in.Policy.Mode = config.Observe }, "G22"},
		"a login":         {latest(func(r *evidence.Round) { r.Login.Value.Up = true }), "G8"},
		"the hold-off":    {func(in *guard.Input) { in.Samples = 0 }, "G13"},
		"an unread alert": {latest(func(r *evidence.Round) { r.Alert.Failure = "timeout" }), "G7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if v, stopped := guard.Decide(guard.Evaluate(proposed(tt.change))); !stopped || v.Guard != tt.want {
				t.Errorf("decided by %s %s (%t), want %s", v.Guard, v.Reason, stopped, tt.want)
			}
		})
	}
}

// What is left to a person where nothing is sent is not offered to him: he could approve it for nothing.
func TestNothingIsOfferedInModeObserve(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*guard.Input){
		"the policy observes":  func(in *guard.Input) { in.Policy.Mode = config.Observe },
		"the cluster observes": func(in *guard.Input) { in.Most = config.Observe },
		"weaker limits":        func(in *guard.Input) { in.Lab, in.Weaker = false, []string{"hold"} },
	} {
		vs := guard.Evaluate(proposed(func(in *guard.Input) {
			in.Policy.Mode = config.Act
			in.StartsAt = now.Add(-16 * time.Minute) // G6 leaves it to a person
			change(in)
		}))
		if v := verdict(t, vs, "G23"); v.Outcome != guard.Propose || v.Reason != guard.ReasonObserved || v.Unblock == "" {
			t.Errorf("%s: G23 = %s %q (%s), want propose %q", name, v.Outcome, v.Reason, v.Unblock, guard.ReasonObserved)
		}
	}
}

// Outside its budget a rung of a policy that acts wants a person, and one is enough.
func TestABudgetCanBeExceededByApproval(t *testing.T) {
	t.Parallel()
	in := proposed(func(in *guard.Input) {
		in.Policy.Mode = config.Act
		for range 3 {
			in.Past = append(in.Past, guard.Past{VM: in.Subject.VM, Rung: remedy.RestartService, Incident: "old", Started: now.Add(-2 * time.Hour), Ended: now.Add(-90 * time.Minute), Verified: true})
		}
	})
	if v, stopped := guard.Decide(guard.Evaluate(in)); stopped {
		t.Errorf("approved and still stopped by %s %s: %s", v.Guard, v.Reason, v.Detail)
	}
	in.Approval = guard.Approval{}
	if v, stopped := guard.Decide(guard.Evaluate(in)); !stopped || v.Guard != "G15" {
		t.Errorf("decided by %s (%t), want G15", v.Guard, stopped)
	}
}

// What people may have said between the plan and its first command counts: also that the approver is none any more.
func TestBeforeTheFirstCommandTheApprovalMustStillStand(t *testing.T) {
	t.Parallel()
	if v, no := guard.Forbidden(proposed(func(*guard.Input) {})); no {
		t.Errorf("forbidden by %s: %s; it is approved", v.Guard, v.Detail)
	}
	for name, change := range map[string]func(*guard.Input){
		"expired":         func(in *guard.Input) { in.Approval.Expires = now },
		"not an approver": func(in *guard.Input) { in.Approvers = []string{"bob"} },
		"none":            func(in *guard.Input) { in.Approval = guard.Approval{} },
	} {
		if v, no := guard.Forbidden(proposed(change)); !no || v.Guard != "G23" {
			t.Errorf("%s: Forbidden = %s %t, want G23", name, v.Guard, no)
		}
	}
	if v, no := guard.Forbidden(proposed(func(in *guard.Input) { in.NeverTouch = true })); !no || v.Guard != "G18" {
		t.Errorf("Forbidden = %s %t, want G18", v.Guard, no)
	}
}

// Only a policy of mode act that names the rung besides has answered G32 and G36 for good.
func TestThePolicyThatNamesTheRungHasAnswered(t *testing.T) {
	t.Parallel()
	named := map[string]config.Mode{string(remedy.RestartService): config.Act}
	for name, tt := range map[string]struct {
		by    string
		mode  config.Mode
		rungs map[string]config.Mode
		want  guard.Outcome
	}{
		"act, rung named":      {"G36", config.Act, named, guard.Pass},
		"act after G32, named": {"G32", config.Act, named, guard.Pass},
		"act, not named":       {"G36", config.Act, nil, guard.Propose},
		"observe, rung named":  {"G36", config.Observe, named, guard.Propose},
		"budget, rung named":   {"G15", config.Act, named, guard.Propose},
		"another rung named":   {"G36", config.Act, map[string]config.Mode{string(remedy.ResetVM): config.Act}, guard.Propose},
	} {
		in := proposed(func(in *guard.Input) {
			in.Policy.Mode, in.Policy.Rungs, in.Approval = tt.mode, tt.rungs, guard.Approval{}
			in.Proposed = []guard.Verdict{{Guard: tt.by, Outcome: guard.Propose, Reason: "x"}}
		})
		for _, g := range guard.All() {
			if g.ID == "G23" {
				if v := g.Check(in); v.Outcome != tt.want {
					t.Errorf("%s: G23 = %s %s, want %s", name, v.Outcome, v.Reason, tt.want)
				}
			}
		}
	}
}

func verdict(t *testing.T, vs []guard.Verdict, id string) guard.Verdict {
	t.Helper()
	for _, v := range vs {
		if v.Guard == id {
			return v
		}
	}
	t.Fatalf("%s was not asked", id)
	return guard.Verdict{}
}
