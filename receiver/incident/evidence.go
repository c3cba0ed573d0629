package incident

import (
	"fmt"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/ledger"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// keepBound is how long a rung waits for what it would destroy to be read. keepTimeout bounds the read itself, so that
// what was answered by then comes back in time.
const (
	keepBound   = 5 * time.Second
	keepTimeout = 4 * time.Second
)

// keepEvents is how far back the logs are read.
const keepEvents = time.Hour

// Keep asks for everything that a rung is about to destroy. The plan is on disk; nothing of it has begun.
type Keep struct {
	Incident string
	KeepID   uint64
	Ask      evidence.Ask // Instance: NoInstance means all of the virtual machine's
}

func (Keep) effect() {}

// Kept is the answer to a Keep effect.
type Kept struct {
	At
	Incident string
	KeepID   uint64
	Bundle   evidence.Bundle
}

func bundleKey(i *Incident, number int) string {
	return ledger.Key("bundle", i.ID, fmt.Sprintf("%03d", number))
}

// beginPlan lets a plan that was made go on: at once, or, where the rung ends what could be asked why it is sick, as soon as
// that was read, and at the latest when keepBound is over.
func (st *stepper) beginPlan(i *Incident, rung remedy.Rung) {
	i.KeepID, i.KeepUntil, i.Next = 0, time.Time{}, time.Time{}
	if !rung.Kills(i.Fault) {
		st.emit(Proceed{Incident: i.ID})
		return
	}
	st.s.Asks++
	i.KeepID, i.KeepUntil = st.s.Asks, st.now.Add(keepBound)
	i.Next = i.KeepUntil
	ask := st.ask(i)
	ask.Instance, ask.Timeout, ask.EventsSince = i.Instance, keepTimeout, st.now.Add(-keepEvents)
	st.emit(Keep{Incident: i.ID, KeepID: i.KeepID, Ask: ask})
}

// kept writes down what was read, and lets the plan go on if it waits. What comes late is kept too: it says itself when
// it was read.
func (st *stepper) kept(e Kept) {
	i, ok := st.incident(e.Incident)
	if !ok || i.Closed() || i.KeepID == 0 || i.KeepID != e.KeepID {
		return
	}
	waited := !i.KeepUntil.IsZero()
	i.KeepID, i.KeepUntil = 0, time.Time{}
	plan := i.present()
	if len(plan) == 0 {
		return
	}
	b := e.Bundle
	b.VM, b.Incident, b.Number, b.Rung = i.VM, i.ID, plan[0].Number, string(plan[0].Rung)
	b.Sampled = st.s.VMs.of(i.VM).Vitals
	b = b.Bounded()
	i.Kept = append(i.Kept[:len(i.Kept):len(i.Kept)], b.Number)
	st.emit(Put{Key: bundleKey(i, b.Number), Value: b})
	detail := "in " + b.Finished.Sub(b.Started).Round(time.Millisecond).String()
	if missing := b.Missing(); len(missing) > 0 {
		detail += "; not to be had: " + strings.Join(missing, ", ")
	}
	if !waited {
		st.tell(i, "evidence kept late", detail)
		return
	}
	st.tell(i, "evidence kept", detail)
	st.goOn(i)
}

// unkept lets a plan go on whose evidence did not come in time; false where none is waited for.
func (st *stepper) unkept(i *Incident) bool {
	if i.KeepUntil.IsZero() {
		return false
	}
	i.KeepUntil = time.Time{}
	st.tell(i, "evidence not kept", "it was not read within "+keepBound.String()+"; the plan goes on without it")
	st.goOn(i)
	return true
}

// goOn asks for the first action of a plan to be claimed. Every guard of the command itself is still to be asked.
func (st *stepper) goOn(i *Incident) {
	i.Next = time.Time{}
	if a := i.current(); i.Phase == Acting && a != nil && a.State == Planned {
		st.emit(Proceed{Incident: i.ID})
		return
	}
	i.Next = st.now
}
