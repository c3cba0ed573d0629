package incident

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// Event is something that happened. Every event carries the moment at which the driver learned of it; that is all
// the time Step knows.
type Event interface{ at() time.Time }

// At is the moment of an event.
type At time.Time

func (a At) at() time.Time { return time.Time(a) }

// Moment is when the driver learned of an event.
func Moment(e Event) time.Time { return e.at() }

// Notified is a notification that was accepted and written down. Record is its key in the ledger, deleted in the
// same commit as what came of it; empty for a repeat.
type Notified struct {
	At
	Record string
	Alerts []NotifiedAlert
}

// NotifiedAlert is one alert of a notification.
type NotifiedAlert struct {
	Firing      bool
	Labels      map[string]string
	StartsAt    time.Time
	Fingerprint string
}

// Sampled is the background look at one cluster: each configured node's view, and whether it is the lab.
type Sampled struct {
	At
	Cluster string
	Views   map[string]evidence.Reading[cluster.View]
	Lab     evidence.Reading[bool]
}

// Proved is the answer to a Prove effect.
type Proved struct {
	At
	Proof evidence.Proof
}

// Looked is the answer to a Look effect.
type Looked struct {
	At
	Incident string
	AskID    uint64
	Round    evidence.Round
	Lab      evidence.Reading[bool] // where Identify was asked
}

// PlanStored is the driver's word that the plan is on disk: the first action may be claimed.
type PlanStored struct {
	At
	Incident string
}

// ClaimLost says that an action's claim exists already: somebody else, or an earlier life of ours, began it.
type ClaimLost struct {
	At
	Incident string
	Number   int
}

// Commanded is what came of a Send effect.
type Commanded struct {
	At
	Incident string
	Number   int
	Result   remedy.Result
}

// Ticked says that time has passed; the driver sends it when a Wake effect's moment has come.
type Ticked struct{ At }

// Acknowledged is a person's word that a failure was seen to; it releases the latch.
type Acknowledged struct {
	At
	Incident string
	By       string
}

// PauseSet sets or, where Pause.Expires is not after the event, lifts a pause.
type PauseSet struct {
	At
	Pause guard.Pause
}

// Reloaded brings a new configuration.
type Reloaded struct {
	At
	Config *config.Config
}

// Effect is something the driver must do. It carries all it needs.
type Effect interface{ effect() }

// Put writes a record; Value is marshalled as JSON. IfAbsent makes it a claim: where the key exists, nothing of the
// Step's records is written, no other effect is carried out, and the driver answers ClaimLost.
type Put struct {
	Key      string
	Value    any
	IfAbsent bool
	Incident string // of the claim
	Number   int
}

// Delete removes a record.
type Delete struct{ Key string }

// Look asks for a round of evidence.
type Look struct {
	Incident string
	AskID    uint64
	Purpose  Purpose
	Ask      evidence.Ask
	// Identify asks every node besides whether it is the lab: a command is to follow under limits that count for the lab only.
	Identify bool
}

// Sample asks for a look at a cluster.
type Sample struct{ Cluster string }

// Prove asks for the proof of a binding and a baseline.
type Prove struct{ VM evidence.VM }

// Proceed asks for PlanStored once the records of this Step are on disk.
type Proceed struct{ Incident string }

// Send asks for one command, at most once, and not after NotAfter: the read it rests on is too old then.
type Send struct {
	Incident string
	Number   int
	Rung     remedy.Rung
	Command  remedy.Command
	NotAfter time.Time
}

// Wake asks for Ticked at that moment; a later Wake replaces an earlier one.
type Wake struct{ When time.Time }

// Note is for the log and the counters: a decision worth a line. Keys are alternating names and values.
type Note struct {
	Message string
	Keys    []any
}

// Refusal is for the counter of refusals by guard.
type Refusal struct{ Guard, Outcome, Reason string }

// Ignored is an alert that nothing is done about and that is in no record: anybody's rules may send many of them. It is
// counted, and told once.
type Ignored struct {
	Reason string // a bounded word: the label of the counter
	Why    string
	Labels map[string]string
}

func (Ignored) effect() {}
func (Put) effect()     {}
func (Delete) effect()  {}
func (Look) effect()    {}
func (Sample) effect()  {}
func (Prove) effect()   {}
func (Proceed) effect() {}
func (Send) effect()    {}
func (Wake) effect()    {}
func (Note) effect()    {}
func (Refusal) effect() {}

// Purpose says what a read is for.
type Purpose string

// The purposes.
const (
	Confirm    Purpose = "confirm"
	Revalidate Purpose = "revalidate"
	Await      Purpose = "await"     // the effect of an action
	Reconcile  Purpose = "reconcile" // what became of an action whose answer is unknown
	Verify     Purpose = "verify"    // health
	Explain    Purpose = "explain"   // why a service did not start
)
