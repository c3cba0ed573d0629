// Package guard holds the predicates that stand between a decision and a command. Each is pure: it sees an Input,
// which is plain data, and says pass, hold, refuse or propose, in words an operator can act on. A guard that
// cannot read its input never passes.
//
// The catalogue, its numbers and its order of evaluation are the design's. G1 to G4 are the webhook's and live in
// receiver/intake; G24 to G27 are the state machine's and live in receiver/incident and receiver/ledger.
package guard

import (
	"fmt"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// Outcome is what a guard says.
type Outcome string

// The outcomes. Hold is asked again with fresh evidence; Refuse is final for this rung of this incident; Propose
// leaves the command to a person.
const (
	Pass    Outcome = "pass"
	Hold    Outcome = "hold"
	Refuse  Outcome = "refuse"
	Propose Outcome = "propose"
)

// Verdict is one guard's word on one rung at one moment.
type Verdict struct {
	Guard   string    `json:"guard"` // G5 … G33
	Name    string    `json:"name"`
	Outcome Outcome   `json:"outcome"`
	Reason  string    `json:"reason,omitempty"` // a bounded word: the label of hypervigil_guard_refused_total
	Detail  string    `json:"detail"`
	Until   time.Time `json:"until,omitzero"` // Hold: when asking again can first change the answer
	Unblock string    `json:"unblock,omitempty"`
}

// Past is a rung that was begun: budgets, cool-downs and rates are computed from these.
type Past struct {
	VM       evidence.VM `json:"target"`
	Instance string      `json:"sql_instance"`
	Rung     remedy.Rung `json:"rung"`
	To       string      `json:"to,omitempty"` // a move's destination
	Incident string      `json:"incident"`
	Started  time.Time   `json:"started"`
	Ended    time.Time   `json:"ended,omitzero"` // zero while in flight
	Verified bool        `json:"verified"`
}

// Ownership is one span of a group's owner history, as our own samples saw it.
type Ownership struct {
	Node  string    `json:"node"`
	Since time.Time `json:"since"`
}

// Pause stops commands for whatever matches it. An empty field matches everything.
type Pause struct {
	ID      string      `json:"id"`
	Cluster string      `json:"cluster,omitempty"`
	VM      string      `json:"vm,omitempty"`
	Rung    remedy.Rung `json:"rung,omitempty"`
	Owner   string      `json:"owner"`
	Reason  string      `json:"reason"`
	Since   time.Time   `json:"since"`
	Expires time.Time   `json:"expires"`
}

// Input is everything a guard may look at. It is built by receiver/incident from its state; guards change nothing.
type Input struct {
	Now      time.Time
	Incident string
	Subject  evidence.Subject
	Rung     remedy.Rung
	Policy   *config.Policy
	Group    string // the cluster group's name
	Service  string // Win32_Service.Name of the instance; empty without one

	// Opened is when the incident was opened; StartsAt is Alertmanager's word for when the alert began.
	Opened   time.Time
	StartsAt time.Time
	// Rounds are the rounds of evidence of this incident, oldest first.
	Rounds []evidence.Round

	HoldOff    time.Duration
	Started    time.Time // of this receiver process
	Heard      time.Time // the newest Watchdog, or Started where none came since
	Samples    int       // cluster samples since Started
	NeverTouch bool
	Lab        bool // the cluster identified itself as the lab on every node
	// Weaker lists the limits that are weaker than their defaults, the policy's and the receiver's.
	Weaker []string
	// Most is how far any rung may go on this cluster, whatever the policy says.
	Most config.Mode

	Proof evidence.Proof
	// Vitals are what the background sampler last read of the virtual machine; Instances are all that the inventory knows
	// inside it.
	Vitals    evidence.Vitals
	Instances []string
	// Owners is the group's owner history, oldest first; Info the cluster's settings as last sampled.
	Owners []Ownership
	Info   cluster.Info
	// Past holds what was begun in the cluster in the last 24 h, this VM's included, but not by this incident: its own
	// rungs are the ladder's business.
	Past []Past
	// Moved is when a move of the rung that is under way came to its end; zero where there was none.
	Moved   time.Time
	Latched string // the incident whose failure latched this VM; empty if none
	Pauses  []Pause
	Brake   time.Time // a storm was last seen then
	// UnreadableSince is when G8's evidence began to be unreadable, StoppedSince when the service was first seen stopped
	// cleanly; both are zero while it is otherwise.
	UnreadableSince time.Time
	StoppedSince    time.Time
	// Names are the virtual machine's in the present configuration; Proof holds those that were proven.
	Names evidence.Names

	// Plan is the hash of what would be done now; empty, and nil, where there is no plan. It is pure, and asked only
	// where a person's approval is. Approval is the newest of this incident, Approvers who may give one.
	Plan      func() string
	Approval  Approval
	Approvers []string
	// Proposed is what the guards asked so far left to a person; Evaluate fills it in.
	Proposed []Verdict
}

// Guard is one predicate of the catalogue.
type Guard struct {
	ID    string
	Name  string
	Check func(Input) Verdict
}

// All lists the guards in their order of evaluation: cheap, local and safest first.
func All() []Guard {
	return []Guard{
		{"G5", "one incident, one start", idempotency},
		{"G6", "age and skew", age},
		{"G21", "pause and maintenance", pause},
		{"G22", "mode", mode},
		{"G29", "dead-man's switch", deadMan},
		{"G13", "hold-off", holdOff},
		{"G14", "cool-down", coolDown},
		{"G15", "attempts budget", budget},
		{"G16", "concurrency and rate", rate},
		{"G18", "never touch", neverTouch},
		{"G33", "binding", binding},
		{"G7", "still active", active},
		{"G8", "second opinion", opinion},
		{"G31", "deliberate stop", deliberate},
		{"G32", "orderly transition", transition},
		{"G10", "already moved", moved},
		{"G11", "one controller", oneController},
		{"G12", "cluster first", clusterFirst},
		{"G17", "storm brake", storm},
		{"G34", "siblings inside", siblings},
		{"G35", "busy", busy},
		{"G36", "undo", undo},
		{"G19", "cluster gate", clusterGate},
		{"G20", "destination", destination},
		{"G23", "approval", approval},
	}
}

// Evaluate asks every guard, whatever the others said, so that the record shows them all.
func Evaluate(in Input) []Verdict {
	guards := All()
	verdicts := make([]Verdict, len(guards))
	in.Proposed = nil
	for i, g := range guards {
		verdicts[i] = g.ask(in)
		if verdicts[i].Outcome == Propose {
			in.Proposed = append(in.Proposed, verdicts[i])
		}
	}
	return verdicts
}

// ask asks one guard, and signs its verdict.
func (g Guard) ask(in Input) Verdict {
	v := g.Check(in)
	v.Guard, v.Name = g.ID, g.Name
	return mutated(in, v)
}

// Decide names the verdict that decides: the first in order that does not pass. A pause and the dead-man's switch (G21,
// G29) are consulted after all that is about the case, and the mode and an approval (G22, G23) after these, so that a shadow
// run tells the same story as an acting one. What was proposed and then approved (G23) is no obstacle. The second result
// is false where every guard passes.
func Decide(verdicts []Verdict) (Verdict, bool) {
	approved := slices.ContainsFunc(verdicts, func(v Verdict) bool { return v.Guard == "G23" && v.Outcome == Pass })
	stops := func(v Verdict) bool { return v.Outcome != Pass && (v.Outcome != Propose || !approved) }
	for _, v := range verdicts {
		if stops(v) && !v.Late() {
			return v, true
		}
	}
	for _, v := range verdicts {
		if stops(v) && v.Guard != "G22" && v.Guard != "G23" {
			return v, true
		}
	}
	for _, v := range verdicts {
		if stops(v) {
			return v, true
		}
	}
	return Verdict{}, false
}

// Late reports whether the verdict is about who may act and not about the case: it is consulted after all others.
func (v Verdict) Late() bool {
	switch v.Guard {
	case "G21", "G22", "G23", "G29":
		return true
	}
	return false
}

func pass(format string, args ...any) Verdict {
	return Verdict{Outcome: Pass, Detail: fmt.Sprintf(format, args...)}
}

func hold(reason string, until time.Time, format string, args ...any) Verdict {
	return Verdict{Outcome: Hold, Reason: reason, Until: until, Detail: fmt.Sprintf(format, args...)}
}

func refuse(reason, format string, args ...any) Verdict {
	return Verdict{Outcome: Refuse, Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

func propose(reason, format string, args ...any) Verdict {
	return Verdict{Outcome: Propose, Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// unblocked adds the words that lift a verdict.
func (v Verdict) unblocked(format string, args ...any) Verdict {
	v.Unblock = fmt.Sprintf(format, args...)
	return v
}

// last is the newest round; ok is false before there is one.
func (in Input) last() (evidence.Round, bool) {
	if len(in.Rounds) == 0 {
		return evidence.Round{}, false
	}
	return in.Rounds[len(in.Rounds)-1], true
}

// soon is when to look again where nothing but fresh evidence can help.
func (in Input) soon() time.Time { return in.Now.Add(time.Second) }

// ago rounds a span for a reader.
func ago(d time.Duration) time.Duration { return d.Round(time.Second) }
