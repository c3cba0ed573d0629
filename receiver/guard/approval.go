package guard

import (
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
)

// ApprovalFor is how long an approval holds, and how long a plan stands for one to be given (G23).
const ApprovalFor = 10 * time.Minute

// ReasonObserved is G23's where the mode lets nothing be sent: an approval would be of no use.
const ReasonObserved = "mode_observe"

// ReasonNoPlan is G23's where there is nothing that a person could approve.
const ReasonNoPlan = "no_plan"

// Approval is a person's word that one plan may be carried out, once. The zero Approval is none.
type Approval struct {
	By      string    `json:"by"`
	Plan    string    `json:"plan"` // the hash of what was approved, and of nothing else
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires,omitzero"`
	Used    time.Time `json:"used,omitzero"` // the plan's rung began then
}

// approval is G23: what other guards leave to a person is begun only where one has approved exactly this plan, lately,
// and only once. It is asked after them, of what they proposed.
func approval(in Input) Verdict {
	var asked []string
	for _, v := range in.Proposed {
		if !in.named(v) {
			asked = append(asked, v.Guard+" "+v.Reason)
		}
	}
	if len(asked) == 0 {
		return pass("nothing is left to a person")
	}
	wanted := strings.Join(asked, ", ")
	plan := ""
	if in.Plan != nil {
		plan = in.Plan()
	}
	a := in.Approval
	switch {
	case in.Mode() == config.Observe:
		return propose(ReasonObserved, "%s: the mode is observe, in which nothing is sent, whoever approves it", wanted).
			unblocked("run the proposed command by hand")
	case slices.ContainsFunc(in.Proposed, Verdict.beyond):
		return propose(ReasonNoPlan, "%s: there is no plan that could be approved, for nothing that this sends would help", wanted)
	case plan == "":
		return propose(ReasonNoPlan, "%s: there is no plan that could be approved, for this release does not send it or the evidence does not name every command", wanted).
			unblocked("run the proposed command by hand")
	case a.At.IsZero():
		return propose("approval_needed", "%s: a person has to approve plan %s", wanted, plan).
			unblocked("hypervigilctl approve %s --plan %s", in.Incident, plan)
	case !a.Used.IsZero():
		return propose("approval_used", "%s: %s's approval was used at %s, and an approval is good once", wanted, a.By, a.Used.Format(time.RFC3339)).
			unblocked("hypervigilctl approve %s --plan %s", in.Incident, plan)
	case a.Plan != plan:
		return propose("plan_changed", "%s: %s approved plan %s; what would be done now is plan %s", wanted, a.By, a.Plan, plan).
			unblocked("look at the new plan; approve it the same way")
	case !in.Now.Before(a.Expires):
		return propose("approval_expired", "%s: %s's approval ended at %s", wanted, a.By, a.Expires.Format(time.RFC3339)).
			unblocked("look at the new plan; approve it the same way")
	case !slices.Contains(in.Approvers, a.By):
		return propose("not_an_approver", "%s: %s is not, or no longer, one of receiver.approvers", wanted, a.By).
			unblocked("let one of receiver.approvers approve it")
	}
	return pass("%s: approved by %s at %s, until %s", wanted, a.By, a.At.Format(time.RFC3339), a.Expires.Format(time.RFC3339))
}

// named reports whether the policy has answered a verdict for good: after an orderly transition (G32) and where a
// restart may undo for long (G36), a policy of mode act that names the rung besides has said that it means this too.
// In any other policy a rung's own mode says how far the rung may go, and nothing of what it may cost.
func (in Input) named(v Verdict) bool {
	return (v.Guard == "G32" || v.Guard == "G36") && in.Policy.Mode == config.Act && in.Policy.Rungs[string(in.Rung)] == config.Act
}
