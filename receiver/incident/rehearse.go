package incident

import (
	"hash/fnv"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// The rhythm of the rehearsals: each virtual machine's once in rehearseEvery, evenly spread over it.
const (
	rehearseEvery   = time.Minute
	rehearseTimeout = 3 * time.Second
)

// Rescue is what a rehearsal found out about one virtual machine. It is not kept over a restart.
type Rescue struct {
	At    time.Time `json:"at"` // when the evidence was read; zero before the first rehearsal
	Rungs []Rescuer `json:"rungs"`

	asked     time.Time
	rehearsed bool // the newest question was answered
}

// Rescuer is one rung of one ladder: whether it could be begun if its fault were there now.
type Rescuer struct {
	Fault    evidence.Fault `json:"fault"`
	Instance string         `json:"sql_instance"` // "-" where the rung is the whole machine's
	Rung     remedy.Rung    `json:"rung"`
	Mode     config.Mode    `json:"mode"` // how far the rung may go here; it does not count against Ready
	Ready    bool           `json:"ready"`
	// Decisive is the first verdict that does not pass; zero where all do.
	Decisive guard.Verdict   `json:"decisive,omitzero"`
	Verdicts []guard.Verdict `json:"verdicts"`
	// Predicted is the time from the accepted alert to the end of the rung: the guards' own waits, and the longest of this
	// rung's verified runs on this machine in the last 24 h, or, where there is none (Bound), the most that it may take.
	Predicted time.Duration `json:"predicted_ns,omitempty"`
	Bound     bool          `json:"bound,omitempty"`
}

// Rehearse asks for a round of evidence about each instance of a virtual machine that is well.
type Rehearse struct {
	VM   evidence.VM
	Asks []evidence.Ask
}

func (Rehearse) effect() {}

// Rehearsed is the answer to a Rehearse effect: a round for each of its Asks, in their order.
type Rehearsed struct {
	At
	VM     evidence.VM
	Rounds []evidence.Round
}

// rehearsalDue is when a virtual machine is to be rehearsed next. The first rehearsals begin with the end of the hold-off,
// before which the answer is known, at moments that the names spread over the minute.
func (s State) rehearsalDue(id evidence.VM, vm VM) time.Time {
	switch r := vm.Rescue; {
	case r.asked.IsZero():
		h := fnv.New32a()
		h.Write([]byte(id.String()))
		return s.Started.Add(s.Config.Receiver.HoldOff + rehearseEvery*time.Duration(h.Sum32()%60)/60)
	case !r.rehearsed:
		return r.asked.Add(2 * rehearseEvery) // its answer was lost
	default:
		return r.asked.Add(rehearseEvery)
	}
}

// rehearse asks for the rehearsals whose time has come. A virtual machine with an incident is not rehearsed: it is being
// looked at in earnest.
func (st *stepper) rehearse() {
	for _, id := range st.visits(st.s.rehearsals) {
		known := st.s.VMs.of(id)
		vm, ok := st.s.inventory(id)
		if !ok || st.busy(id) || st.now.Before(st.s.rehearsalDue(id, known)) {
			continue
		}
		instances := []string{evidence.NoInstance}
		if len(vm.SQLServers) > 0 {
			instances = nil
		}
		for _, q := range vm.SQLServers {
			instances = append(instances, q.Instance)
		}
		e := Rehearse{VM: id}
		for _, instance := range instances {
			i := &Incident{Subject: evidence.Subject{VM: id, Instance: instance}, OpenedAt: st.now}
			// No alert has these labels: what is asked is whether an Alertmanager answers.
			i.Alert = Alert{StartsAt: st.now, Labels: map[string]string{"alertname": "HypervigilRehearsal", "cluster": id.Cluster, "vm": id.Name}}
			ask := st.ask(i)
			ask.Parts = append(confirmParts(), evidence.PartDumps, evidence.PartSiblings, evidence.PartActivity, evidence.PartMonitoring)
			ask.Timeout, ask.AsOperator = rehearseTimeout, true
			policy := st.s.policy(vm)
			starved := len(policy.Ladder(string(evidence.Resource))) > 0
			if starved || len(policy.Ladder(string(evidence.Internal))) > 0 {
				ask.Parts = append(ask.Parts, evidence.PartDiagnostics)
			}
			if len(e.Asks) == 0 && moves(policy) { // the machine's rungs are rehearsed once
				ask.Parts, ask.MaxAge = append(ask.Parts, evidence.PartPlacement), rehearseEvery
				if starved {
					ask.Parts, ask.Timeout = append(ask.Parts, evidence.PartLoads), senseTimeout
				}
			}
			e.Asks = append(e.Asks, ask)
		}
		known.Rescue.asked, known.Rescue.rehearsed = st.now, false
		st.setVM(id, known, false)
		st.emit(e)
	}
}

// moves reports whether a ladder of a policy takes virtual machines to other nodes.
func moves(p *config.Policy) bool {
	for fault := range p.Ladders {
		for _, name := range p.Ladder(fault) {
			if remedy.Rung(name).Kind() == config.OnNode {
				return true
			}
		}
	}
	return false
}

// rehearsed judges each rung of the policy's ladders by what was read.
func (st *stepper) rehearsed(e Rehearsed) {
	vm, ok := st.s.inventory(e.VM)
	known := st.s.VMs.of(e.VM)
	r := known.Rescue
	if !ok || r.asked.IsZero() {
		return
	}
	r.rehearsed, r.At, r.Rungs = true, st.now, nil
	policy := st.s.policy(vm)
	for _, fault := range evidence.Faults() {
		for _, name := range policy.Ladder(string(fault)) {
			rung := remedy.Rung(name)
			if spec, ok := remedy.SpecOf(rung); !ok || !spec.Sent() {
				continue
			}
			for n, round := range e.Rounds {
				round = trimmed(round, vm.GroupName())
				instance := evidence.NoInstance
				if rung.Kind() == config.OnService && n < len(vm.SQLServers) {
					instance = vm.SQLServers[n].Instance
				} else if n > 0 {
					break // the machine's rungs are rehearsed once
				}
				r.Rungs = append(r.Rungs, st.rescuer(evidence.Subject{VM: e.VM, Instance: instance, Fault: fault}, rung, round))
			}
		}
	}
	known.Rescue = r
	st.setVM(e.VM, known, false)
}

func (st *stepper) rescuer(subject evidence.Subject, rung remedy.Rung, round evidence.Round) Rescuer {
	i := &Incident{
		Subject: subject, Ladder: []remedy.Rung{rung}, Rounds: []evidence.Round{round}, OpenedAt: st.now, Alert: Alert{StartsAt: st.now},
	}
	in := st.input(i)
	r := Rescuer{
		Fault: subject.Fault, Instance: subject.Instance, Rung: rung, Mode: in.Mode(), Verdicts: guard.Rehearse(in),
	}
	stopped := false
	r.Decisive, stopped = guard.Decide(r.Verdicts)
	r.Ready = !stopped
	if least, _, ok := guard.Least(subject.Fault, in.Policy, in.Info); ok {
		var longest time.Duration
		for _, p := range st.s.VMs.of(subject.VM).Past {
			if p.Rung == rung && p.Instance == subject.Instance && p.Verified {
				longest = max(longest, p.Ended.Sub(p.Started))
			}
		}
		if r.Bound = longest == 0; r.Bound {
			longest = remedy.Longest()
		}
		r.Predicted = least + longest
	}
	return r
}
