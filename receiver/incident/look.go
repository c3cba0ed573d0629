package incident

import (
	"maps"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// The time-outs of the reads. A hang shows itself only to one who waits.
const (
	confirmTimeout    = time.Second
	silentTimeout     = 2 * time.Second
	hangTimeout       = 3 * time.Second
	revalidateTimeout = 300 * time.Millisecond
	verifyTimeout     = 2 * time.Second
	explainTimeout    = 5 * time.Second // of an event log
)

// loadAge lets the incidents of one starved host share what it says of its load: it has no time for each of them.
const loadAge = 5 * time.Second

// roundTimeout bounds one round of evidence about a fault of this class.
func roundTimeout(f evidence.Fault) time.Duration {
	switch {
	case f == evidence.Hang:
		return hangTimeout
	case f == evidence.Resource:
		return senseTimeout
	case f.Silent(), f == evidence.Internal:
		return silentTimeout
	}
	return confirmTimeout
}

// purpose says what the next read of an incident is for; its phase and actions tell.
func (st *stepper) purpose(i *Incident) Purpose {
	if a := i.observed(); a != nil && a.Failing != nil {
		return Explain
	}
	if a := i.current(); a != nil {
		switch a.State {
		case Claimed:
			return Revalidate
		case Unknown:
			return Reconcile
		case Planned, Issued, Observed, Verified, Failed:
		}
	}
	switch i.Phase {
	case Acting:
		return Await
	case Verifying, Recovering, Escalated, Told, Refused, Proposed:
		return Verify
	case Open, Confirming, Waiting, Healed:
	}
	if i.ExplainedBy != "" {
		return Verify
	}
	return Confirm
}

// confirmParts are what every decision rests on.
func confirmParts() []evidence.Part {
	return []evidence.Part{
		evidence.PartAlert, evidence.PartLogin, evidence.PartService, evidence.PartDependents, evidence.PartProcess,
		evidence.PartEvents, evidence.PartGuest, evidence.PartHost, evidence.PartViews, evidence.PartSweep,
	}
}

// ask is a question about an incident's subject that asks for nothing yet.
func (st *stepper) ask(i *Incident) evidence.Ask {
	return evidence.Ask{
		VM: i.VM, Instance: st.witness(i), AlertLabels: i.Alert.Labels, VMID: st.s.VMs.of(i.VM).Proof.Binding.VMID,
		Owner: st.owner(i), Timeout: verifyTimeout, EventsSince: i.Alert.StartsAt.Add(-10 * time.Minute),
	}
}

// look asks for one round of evidence.
func (st *stepper) look(i *Incident, p Purpose) {
	st.s.Asks++
	i.Asked, i.AskID = p, st.s.Asks
	ask := st.ask(i)
	identify := false
	switch p {
	case Confirm:
		ask.Parts = confirmParts()
		if rung, ok := i.rung(); ok && rung.Kills(i.Fault) {
			ask.Parts = append(ask.Parts, evidence.PartDumps)
			if rung.Kind() != config.OnService {
				ask.Parts = append(ask.Parts, evidence.PartSiblings)
			}
		}
		if rung, ok := i.rung(); ok && rung.Kind() != config.OnService {
			ask.Parts = append(ask.Parts, evidence.PartActivity)
		}
		if i.Fault == evidence.Network {
			ask.Parts = append(ask.Parts, evidence.PartUplinks)
		}
		if i.Fault == evidence.Internal || i.Fault == evidence.Resource {
			ask.Parts = append(ask.Parts, evidence.PartDiagnostics)
		}
		if i.Fault == evidence.Resource {
			ask.Parts = append(ask.Parts, evidence.PartLoads)
		}
		if rung, ok := i.rung(); ok && rung.Kind() == config.OnNode {
			ask.Parts = append(ask.Parts, evidence.PartPlacement)
		}
		if rung, ok := i.rung(); ok && rung.Acts(config.OnVM) {
			ask.Parts = append(ask.Parts, evidence.PartMonitoring)
		}
		ask.Timeout = roundTimeout(i.Fault)
		if i.Fault == evidence.Resource {
			ask.MaxAge = loadAge
		}
	case Revalidate:
		ask.Timeout, ask.AsOperator = revalidateTimeout, true
		if vm, ok := st.s.inventory(i.VM); ok {
			identify = len(st.s.Config.Weaker(st.s.policy(vm))) > 0
		}
		ask.Parts = []evidence.Part{evidence.PartHost, evidence.PartViews}
		ask.Nodes = answering(i, ask.Owner)
		if a := i.current(); a != nil {
			ask.Owner, ask.PID, ask.Via = a.Owner, a.Command.PID, a.Command.Node
			if s, ok := a.Command.Method.Spec(); ok {
				ask.Parts = append(ask.Parts, s.Before...)
				if s.Ends && (i.Fault == evidence.Internal || i.Fault == evidence.Resource) { // no login tells that it is over
					ask.Parts = append(ask.Parts, evidence.PartDiagnostics)
				}
			}
			if ask.Via != "" && !slices.Contains(ask.Nodes, ask.Via) {
				ask.Nodes = append(ask.Nodes, ask.Via)
			}
		}
	case Await, Reconcile:
		ask.Timeout = confirmTimeout
		if a := i.waitedFor(); a != nil {
			ask.Via, ask.PID = a.Command.Node, a.Command.PID
			if a.Result != nil {
				ask.Job = a.Result.Job
			}
			if s, ok := a.Command.Method.Spec(); ok {
				ask.Parts = s.After
				if s.Target == remedy.Host {
					ask.Owner = a.Command.Node // which a move may have brought it to after the newest sample
				}
			}
		}
	case Explain:
		if a := i.observed(); a != nil {
			ask.Parts, ask.Timeout = []evidence.Part{evidence.PartStartErrors}, explainTimeout
			ask.Service, ask.EventsSince = a.Command.Service, a.Issued.Add(-clockMargin)
		}
	case Verify:
		ask.Parts = []evidence.Part{evidence.PartAlert, evidence.PartLogin, evidence.PartDatabases, evidence.PartService, evidence.PartViews, evidence.PartHost}
		switch i.Fault {
		case evidence.Internal:
			ask.Parts = append(ask.Parts, evidence.PartDiagnostics)
		case evidence.Resource:
			ask.Parts = append(ask.Parts, evidence.PartDiagnostics, evidence.PartLoads)
			ask.Timeout, ask.Loads, ask.MaxAge = senseTimeout, []string{ask.Owner}, loadAge
		case evidence.Host, evidence.Storage, evidence.Network, evidence.Guest, evidence.Hang, evidence.Service, evidence.Database:
		}
	}
	st.emit(Look{Incident: i.ID, AskID: i.AskID, Purpose: p, Ask: ask, Identify: identify})
}

// rung is the one that is being asked for; ok is false where the ladder has none.
func (i *Incident) rung() (r remedy.Rung, ok bool) {
	if i.Rung < len(i.Ladder) {
		return i.Ladder[i.Rung], true
	}
	return "", false
}

// waitedFor is the action whose effect, or whose fate, is looked for.
func (i *Incident) waitedFor() *Action {
	if a := i.observed(); a != nil {
		return a
	}
	if a := i.current(); a != nil && a.State == Unknown {
		return a
	}
	return nil
}

// clockMargin is how far the guest's clock may be behind ours where its log is asked for what followed a command.
const clockMargin = 5 * time.Second

// witness is the instance whose login tells whether SQL Server is back: the incident's own, or the first of a
// virtual machine whose fault is not one instance's. A command about another instance is judged by that one.
func (st *stepper) witness(i *Incident) string {
	if i.Instance != evidence.NoInstance {
		return i.Instance
	}
	for _, a := range []*Action{i.observed(), i.current()} {
		if a != nil && st.serviceOf(i, a.Command) != "" {
			return a.Command.Instance
		}
	}
	if vm, ok := st.s.inventory(i.VM); ok && len(vm.SQLServers) > 0 {
		return vm.SQLServers[0].Instance
	}
	return evidence.NoInstance
}

// answering lists the owner and one more node that answered in the newest round that asked the nodes: a re-validation
// must be young, and a dead node's answer never comes.
func answering(i *Incident, owner string) []string {
	nodes := []string{owner}
	for _, r := range slices.Backward(i.Rounds) {
		if len(r.Views) == 0 {
			continue
		}
		for _, n := range slices.Sorted(maps.Keys(r.Views)) {
			if n != owner && r.Views[n].Known() {
				return append(nodes, n)
			}
		}
		break
	}
	return nodes
}

// looked takes in a round and goes on by what it was asked for.
func (st *stepper) looked(e Looked) {
	i, ok := st.incident(e.Incident)
	if !ok || i.Closed() {
		return
	}
	if i.AskID != e.AskID || i.Asked == "" {
		// Nobody waits for this answer any more. Had it seen a storm, that was one all the same.
		st.brake(i, e.Round)
		return
	}
	purpose := i.Asked
	i.Asked = ""
	round := e.Round
	if vm, ok := st.s.inventory(i.VM); ok {
		round = trimmed(round, vm.GroupName())
	}
	switch purpose {
	case Revalidate:
		st.revalidated(i, round, e.Lab)
		return
	case Explain:
		st.explained(i, round)
		return
	case Confirm, Await, Reconcile, Verify:
	}
	if s := round.Service; s.Known() {
		switch {
		case !guard.StoppedCleanly(s.Value):
			i.StoppedSince = time.Time{}
		case i.StoppedSince.IsZero():
			i.StoppedSince = s.At
		}
	}
	// A round is large: there is room for those that are kept, and no more.
	kept := i.Rounds[max(0, len(i.Rounds)+1-keepRounds):]
	i.Rounds = append(append(make([]evidence.Round, 0, len(kept)+1), kept...), round)
	switch purpose {
	case Confirm:
		st.confirm(i, round)
	case Await:
		st.await(i, round)
	case Reconcile:
		st.reconcile(i, round)
	case Verify:
		st.verify(i, round)
	case Revalidate, Explain:
	}
}
