package incident

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// keepApprovals bounds the requests that an incident remembers, given and refused.
const keepApprovals = 16

// Offer is the plan that an incident leaves to a person, complete, so that it can be approved (G23). It is there while
// the incident is proposed and its commands could be sent.
type Offer struct {
	Plan     string           `json:"plan"` // the hash that an approval must name
	Rung     remedy.Rung      `json:"rung"`
	Owner    string           `json:"owner"`
	Commands []remedy.Command `json:"commands"`
	Wanted   []string         `json:"wanted"` // the guards that leave it to a person, each with its reason
	Made     time.Time        `json:"made"`
	Expires  time.Time        `json:"expires"` // an approval that comes later is refused, and everything asked anew
}

// Approval is one person's request that an offer be carried out, and what became of it.
type Approval struct {
	guard.Approval
	ID string `json:"id"` // the request's, by which whoever sent it finds the answer
	// Refused is why it was not taken, Void why it ended without being used: each a word, and Why says it in a sentence.
	Refused string `json:"refused,omitempty"`
	Void    string `json:"void,omitempty"`
	Why     string `json:"why,omitempty"`
}

// Approved is a person's word that the plan with this hash may be carried out. Who it is was proven by whoever makes
// the event; whether he may is decided here.
type Approved struct {
	At
	ID       string // of the request
	Incident string
	Plan     string
	By       string
}

// planHash names a plan: SHA-256 over its canonical form, which is JSON with fixed fields. The offer's number makes each
// offer another one, so that an approval that was used cannot be used for the same commands again.
func planHash(i *Incident, rung remedy.Rung, owner string, commands []remedy.Command) string {
	canonical := struct {
		Incident string           `json:"incident"`
		Offer    int              `json:"offer"`
		Subject  evidence.Subject `json:"subject"`
		Rung     remedy.Rung      `json:"rung"`
		Owner    string           `json:"owner"`
		Commands []remedy.Command `json:"commands"`
	}{i.ID, i.Offers, i.Subject, rung, owner, slices.Clone(commands)}
	for n := range canonical.Commands {
		canonical.Commands[n].Created = canonical.Commands[n].Created.UTC()
	}
	b, err := json.Marshal(canonical)
	if err != nil {
		panic("plan cannot be marshalled: " + err.Error()) // a type of ours: a bug
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// hashNow gives the hash of what would be done now, by a round.
func (st *stepper) hashNow(i *Incident, in guard.Input, round evidence.Round) func() string {
	return func() string {
		commands, err := remedy.Plan(in.Rung, st.caseOf(i, in, round))
		if err != nil {
			return ""
		}
		return planHash(i, in.Rung, st.owner(i), commands)
	}
}

// offer writes down what a person may approve, where there is a plan to be carried out.
func (st *stepper) offer(i *Incident, in guard.Input, round evidence.Round) {
	v, ok := verdictOf(i.Verdicts, "G23")
	if !ok || v.Reason == guard.ReasonObserved || v.Reason == guard.ReasonNoPlan {
		return
	}
	commands, err := remedy.Plan(in.Rung, st.caseOf(i, in, round))
	if err != nil {
		return
	}
	o := &Offer{Rung: in.Rung, Owner: st.owner(i), Commands: commands, Made: st.now, Expires: st.now.Add(guard.ApprovalFor)}
	o.Plan = planHash(i, o.Rung, o.Owner, commands)
	for _, v := range i.Verdicts {
		if v.Outcome == guard.Propose && v.Guard != "G23" {
			o.Wanted = append(o.Wanted, v.Guard+" "+v.Reason)
		}
	}
	i.Offer = o
	st.tell(i, "offered", fmt.Sprintf("plan %s may be approved until %s: hypervigilctl approve %s --plan %s", o.Plan, o.Expires.UTC().Format(time.RFC3339), i.ID, o.Plan))
}

func verdictOf(vs []guard.Verdict, id string) (guard.Verdict, bool) {
	for _, v := range vs {
		if v.Guard == id {
			return v, true
		}
	}
	return guard.Verdict{}, false
}

// approval is the newest approval that was taken and is not void; nil where there is none.
func (i *Incident) approval() *Approval {
	for n := len(i.Approvals) - 1; n >= 0; n-- {
		if a := &i.Approvals[n]; a.Refused == "" && a.Void == "" {
			return a
		}
	}
	return nil
}

// approved takes in a person's approval. It is refused where it is not of exactly what is offered, now, to him; else
// nothing that was read before it counts any more, and every guard is asked again.
func (st *stepper) approved(e Approved) {
	i, ok := st.incident(e.Incident)
	if !ok {
		st.refusal(nil, guard.Verdict{Guard: "G23", Outcome: guard.Refuse, Reason: "unknown_incident", Detail: fmt.Sprintf("%s approved plan %s of incident %q, which there is not", e.By, e.Plan, e.Incident)})
		return
	}
	a := Approval{ID: e.ID, Approval: guard.Approval{By: e.By, Plan: e.Plan, At: st.now}}
	a.Refused, a.Why = st.unapprovable(i, e)
	if len(i.Approvals) >= keepApprovals {
		i.Approvals = slices.Delete(i.Approvals, 0, 1)
	}
	if a.Refused != "" {
		i.Approvals = append(i.Approvals, a)
		st.tell(i, "approval refused", fmt.Sprintf("by %s, plan %s: %s", e.By, e.Plan, a.Why))
		st.refusal(i, guard.Verdict{Guard: "G23", Outcome: guard.Refuse, Reason: a.Refused, Detail: a.Why})
		if a.Refused == "late" {
			i.Rounds, i.Asked, i.Next = nil, "", st.now
			st.enter(i, Confirming, "The plan that was offered is too old to be approved; asking again for a new one.")
		}
		return
	}
	a.Expires = st.now.Add(guard.ApprovalFor)
	i.Approvals = append(i.Approvals, a)
	i.Rounds, i.Asked, i.Next = nil, "", st.now
	st.tell(i, "approved", fmt.Sprintf("by %s: plan %s, until %s", e.By, e.Plan, a.Expires.UTC().Format(time.RFC3339)))
	st.enter(i, Confirming, fmt.Sprintf("Approved by %s; every guard is asked again.", e.By))
}

// unapprovable says why a request cannot be taken: a word and a sentence; both empty where it can.
func (st *stepper) unapprovable(i *Incident, e Approved) (reason, why string) {
	earlier := i.approval()
	switch {
	case !slices.Contains(st.approvers(), e.By):
		return "not_an_approver", fmt.Sprintf("%q is none of receiver.approvers", e.By)
	case earlier != nil && earlier.Plan == e.Plan && !earlier.Used.IsZero():
		return "used", "this plan was approved by " + earlier.By + " and begun; an approval is good once"
	case earlier != nil && earlier.Plan == e.Plan:
		return "twice", "this plan is approved already, by " + earlier.By
	case i.Offer == nil || i.Phase != Proposed:
		return "nothing_offered", "there is nothing to approve; the incident is " + string(i.Phase)
	case i.Offer.Plan != e.Plan:
		return "other_plan", "what is offered now is plan " + i.Offer.Plan + "; look at it before you approve it"
	case !st.now.Before(i.Offer.Expires):
		return "late", "the plan was offered until " + i.Offer.Expires.UTC().Format(time.RFC3339) + "; a new one is being made, look at it before you approve it"
	}
	return "", ""
}

// approvers lists who may approve.
func (st *stepper) approvers() []string {
	var names []string
	for _, a := range st.s.Config.Receiver.Approvers {
		names = append(names, a.Name)
	}
	return names
}

// endApproval closes an approval that leads to nothing: what it was given for is no longer so, or its time is over.
func (st *stepper) endApproval(i *Incident) {
	v, _ := verdictOf(i.Verdicts, "G23")
	a := i.approval()
	if a == nil || !a.Used.IsZero() {
		return
	}
	switch v.Reason {
	case "plan_changed", "approval_expired", "not_an_approver", guard.ReasonNoPlan, guard.ReasonObserved:
		a.Void, a.Why = v.Reason, v.Detail
		i.Offers++
		st.tell(i, "approval void", "by "+a.By+": "+v.Detail)
	}
}

// useApproval spends the approval of the plan that begins now, and tells whose it was; empty where nobody's is needed.
func (st *stepper) useApproval(i *Incident, plan string) string {
	a := i.approval()
	if a == nil || !a.Used.IsZero() || a.Plan != plan {
		return ""
	}
	if !st.now.Before(a.Expires) {
		// What it was needed for has passed meanwhile, and so has its time: the rung begins without it.
		a.Void, a.Why = "approval_expired", "its time was over at "+a.Expires.UTC().Format(time.RFC3339)
		return ""
	}
	a.Used = st.now
	i.Offers++
	return a.By
}

// inFlight gives the guards the approval under which the action's rung began, as it was then, and when a move of it came
// to its end.
func (i *Incident) inFlight(in *guard.Input, a *Action) {
	for _, b := range i.present() {
		if b.Command.Method == remedy.MoveGroup && b.State == Verified && b.left() {
			in.Moved = b.Ended
		}
	}
	if by := i.approval(); by != nil && by.Used.Equal(a.Planned) {
		in.Approval = by.Approval
		in.Approval.Used = time.Time{}
		in.Plan = func() string { return by.Plan }
	}
}

// sameApprovals reports whether nothing was offered, approved or used in between.
func sameApprovals(a, b Incident) bool {
	return a.Offer == b.Offer && a.Offers == b.Offers && slices.Equal(a.Approvals, b.Approvals)
}
