// Package incident is the receiver's mind: Step(state, event) gives the next state and the effects to carry out.
// It has no clock, network, disk or goroutine; production, simulation, explanation and replay are drivers of this
// one function. Nothing else in the program decides anything, and only its Send effect leads to a command.
//
// A driver must commit all Put and Delete effects of one Step together and durably before it carries out any other
// effect of that Step, and must feed the answers back as events. See receiver for the driver of production.
package incident

import (
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// Phase is an incident's state, as the design names it.
type Phase string

// The phases.
const (
	Open       Phase = "open"
	Confirming Phase = "confirming" // reading rounds of evidence
	Waiting    Phase = "waiting"    // a guard holds, or another incident explains this one
	Refused    Phase = "refused"    // a guard refused; watched until it is well
	Proposed   Phase = "proposed"   // left to a person
	Acting     Phase = "acting"
	Verifying  Phase = "verifying"  // SQL Server must prove that it is well
	Recovering Phase = "recovering" // SQL Server starts or recovers: nothing may follow
	Healed     Phase = "healed"
	Told       Phase = "told" // nothing was to be done but to tell
	Escalated  Phase = "escalated"
)

// Phases lists every phase, for metrics.
func Phases() []Phase {
	return []Phase{Open, Confirming, Waiting, Refused, Proposed, Acting, Verifying, Recovering, Healed, Told, Escalated}
}

// Healer is who brought SQL Server back.
type Healer string

// The healers.
const (
	ByHypervigil Healer = "hypervigil"
	ByCluster    Healer = "cluster"
	ByItself     Healer = "itself"
	ByPerson     Healer = "person"
)

// Alert is the alert that an incident stands on, as the newest notification told it.
type Alert struct {
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	Fingerprint string            `json:"fingerprint,omitempty"`
	StartsAt    time.Time         `json:"starts_at"`
	Firing      bool              `json:"firing"`
	ReceivedAt  time.Time         `json:"received_at"` // the newest notification
}

// Entry is one line of an incident's story.
type Entry struct {
	At     time.Time `json:"at"`
	Event  string    `json:"event"`
	Detail string    `json:"detail,omitempty"`
}

// ActionState is how far one method call has come. Each is on disk before the next step is taken.
type ActionState string

// The states of an action.
const (
	Planned  ActionState = "PLANNED"
	Claimed  ActionState = "CLAIMED"
	Issued   ActionState = "ISSUED" // written before the bytes leave
	Observed ActionState = "OBSERVED"
	Verified ActionState = "VERIFIED"
	Failed   ActionState = "FAILED"
	Unknown  ActionState = "UNKNOWN" // issued, and the answer was lost: looked up, never sent again
)

// Action is one method call of a rung.
type Action struct {
	Number  int            `json:"number"` // within the incident, from 1
	Rung    remedy.Rung    `json:"rung"`
	Command remedy.Command `json:"command"`
	State   ActionState    `json:"state"`
	Epoch   uint64         `json:"epoch"`                 // the writer's, when it was claimed (G28)
	Owner   string         `json:"owner"`                 // the owner node that the plan was made for
	By      string         `json:"approved_by,omitempty"` // who approved the rung, where one had to
	Planned time.Time      `json:"planned_at"`
	Claimed time.Time      `json:"claimed_at,omitzero"`
	Issued  time.Time      `json:"issued_at,omitzero"`
	Ended   time.Time      `json:"ended_at,omitzero"`
	// Cancelled is when another action was planned that cancels it.
	Cancelled time.Time `json:"cancelled_at,omitzero"`
	// ReadAge is how old the re-validation's oldest answer was when the command was handed over: the window in
	// which the cluster could have moved.
	ReadAge time.Duration  `json:"read_age_ns,omitempty"`
	Result  *remedy.Result `json:"result,omitempty"`
	Cause   remedy.Cause   `json:"cause,omitempty"` // why it failed
	Why     string         `json:"why,omitempty"`
	Agreed  int            `json:"agreed,omitempty"` // UNKNOWN: reads in a row that showed no effect
	// Failing is what is known of a start that failed while the guest's logs are asked for the reason; nil otherwise.
	Failing *Failing `json:"failing,omitempty"`
}

// Failing is why an action will have failed, before its reason is known in full.
type Failing struct {
	Cause remedy.Cause `json:"cause"`
	Why   string       `json:"why"`
}

// Incident is one fault of one subject, from its first alert to its end, with everything decided about it.
type Incident struct {
	ID string `json:"id"`
	evidence.Subject
	Phase    Phase     `json:"state"`
	HealedBy Healer    `json:"healed_by,omitempty"`
	Summary  string    `json:"summary"` // what is going on, in plain words
	OpenedAt time.Time `json:"opened_at"`
	ClosedAt time.Time `json:"closed_at,omitzero"`
	// HealthyAt is when the third login in a row (and the rest of the proof) was seen; the hold counts from it.
	HealthyAt   time.Time `json:"healthy_at,omitzero"`
	ExplainedBy string    `json:"explained_by,omitempty"`
	Alert       Alert     `json:"alert"`
	Policy      string    `json:"policy"`
	// OwnerBefore is the group's owner shortly before the alert began, by our own samples.
	OwnerBefore string        `json:"owner_before,omitempty"`
	Ladder      []remedy.Rung `json:"ladder"`
	Rung        int           `json:"rung"` // index into Ladder
	// Destinations is the word on every node as a destination, where the rung moves the group (G20).
	Destinations []guard.Candidate `json:"destinations,omitempty"`
	Verdicts     []guard.Verdict   `json:"verdicts"`
	Plan         []string          `json:"plan,omitempty"` // cmdlet lines of what would be done, where a person decides
	Actions      []Action          `json:"actions"`
	Timeline     []Entry           `json:"timeline"`
	// Rounds are the newest rounds of evidence, oldest first; Proof of health is judged on them too.
	Rounds []evidence.Round `json:"rounds"`

	// Asked is the read under way, if any; Next is when the next one is due.
	Asked Purpose   `json:"asked,omitempty"`
	AskID uint64    `json:"ask_id,omitempty"`
	Next  time.Time `json:"next,omitzero"`
	// Healthy counts the rounds in a row that showed SQL Server well.
	Healthy int `json:"healthy,omitempty"`
	// Deliberate remembers that G31 saw a clean stop: whoever brings it back then is a person.
	Deliberate bool `json:"deliberate,omitempty"`
	// HeldBy is the guard and reason of the present hold. HeldSince bounds it; StalledSince a recovery that does not end;
	// UnprovenSince a SQL Server that logs in and is not as it was.
	HeldBy        string    `json:"held_by,omitempty"`
	HeldSince     time.Time `json:"held_since,omitzero"`
	StalledSince  time.Time `json:"stalled_since,omitzero"`
	UnprovenSince time.Time `json:"unproven_since,omitzero"`
	// Failed is why the present rung failed, while what it stopped is being brought back; FailedCause is its cause.
	Failed      string       `json:"failed,omitempty"`
	FailedCause remedy.Cause `json:"failed_cause,omitempty"`
	// UnreadableSince is when G8's evidence began to be unreadable, StoppedSince when the service was first seen stopped
	// cleanly; both are zero while it is otherwise.
	UnreadableSince time.Time `json:"unreadable_since,omitzero"`
	StoppedSince    time.Time `json:"stopped_since,omitzero"`
	Acked           bool      `json:"acked,omitempty"`
	// Offer is what a person may approve, Approvals who asked for it and what came of that, oldest first. Offers
	// counts the approvals that were used or became void.
	Offer     *Offer     `json:"offer,omitempty"`
	Offers    int        `json:"offers,omitempty"`
	Approvals []Approval `json:"approvals,omitempty"`
	// KeepUntil is until when the plan waits for what its rung would destroy to be read; zero while it waits for nothing.
	// KeepID numbers that read, Kept the bundles in the ledger, each by the first action of its plan.
	KeepUntil time.Time `json:"keep_until,omitzero"`
	KeepID    uint64    `json:"keep_id,omitempty"`
	Kept      []int     `json:"kept,omitempty"`
	// BroughtBack says that what ran beside SQL Server before a command of ours booted the guest, and what no boot starts, has
	// been planned.
	BroughtBack bool `json:"brought_back,omitempty"`

	recorded int64 // bytes of its record, once it is closed
}

// Closed reports whether the incident is over.
func (i Incident) Closed() bool { return !i.ClosedAt.IsZero() }

// deciding reports whether something is still to come of the incident: its virtual machine is proven again when that is
// over, for what is healthy looks otherwise meanwhile.
func (i *Incident) deciding() bool {
	switch i.Phase {
	case Open, Confirming, Waiting, Acting, Verifying, Recovering:
		return true
	case Refused, Proposed, Healed, Told, Escalated:
	}
	return false
}

// current is the action being carried out: the first that is neither verified, observed nor failed.
func (i *Incident) current() *Action {
	for n := range i.Actions {
		switch i.Actions[n].State {
		case Planned, Claimed, Issued, Unknown:
			return &i.Actions[n]
		case Observed, Verified, Failed:
		}
	}
	return nil
}
