package incident

import (
	"fmt"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/audit"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// The rhythm of the rounds while a decision is looked for, and how long one may be held.
const (
	roundEvery    = time.Second
	holdEvery     = 5 * time.Second
	watchEvery    = 5 * time.Second
	holdBound     = 60 * time.Minute
	guestClass    = 60 * time.Second
	networkClass  = 30 * time.Second
	silentRounds  = 3
	resourceEvery = 20 * time.Second // three samples over the class's 40 s; counters are not asked for more often
	defaultHangAt = 15 * time.Second
)

// input is what the guards may look at, for the incident's present rung.
func (st *stepper) input(i *Incident) guard.Input {
	vm, _ := st.s.inventory(i.VM)
	policy := st.s.policy(vm)
	c := st.s.Clusters[i.Cluster]
	in := guard.Input{
		Now: st.now, Subject: i.Subject, Policy: policy, Group: vm.GroupName(), Incident: i.ID,
		Opened: i.OpenedAt, StartsAt: i.Alert.StartsAt, Rounds: i.Rounds,
		HoldOff: st.s.Config.Receiver.HoldOff, Started: st.s.Started, Heard: st.s.lastHeard(), Samples: c.Samples,
		NeverTouch: st.s.Config.NeverTouch(i.VM.Cluster, i.VM.Name, st.s.VMs.of(i.VM).Proof.Binding.VMID),
		Lab:        c.Lab.Known() && c.Lab.Value, Weaker: st.s.Config.Weaker(policy), Most: st.s.Config.Cluster(i.Cluster).Mode,
		Proof: st.s.VMs.of(i.VM).Proof, Owners: c.Owners[vm.GroupName()], Info: c.Info,
		Latched: st.s.VMs.of(i.VM).Latched, Brake: c.Brake,
		Vitals: st.s.VMs.of(i.VM).Vitals, UnreadableSince: i.UnreadableSince, StoppedSince: i.StoppedSince, Names: evidence.NamesOf(vm),
	}
	in.Rung, _ = i.rung()
	for _, q := range vm.SQLServers {
		in.Instances = append(in.Instances, q.Instance)
		if q.Instance == i.Instance {
			in.Service = q.ServiceName()
		}
	}
	in.Past = slices.DeleteFunc(st.s.VMs.past(i.Cluster), func(p guard.Past) bool { return p.Incident == i.ID })
	in.Approvers = st.approvers()
	if a := i.approval(); a != nil {
		in.Approval = a.Approval
	}
	for _, id := range sortedKeys(st.s.Pauses) {
		in.Pauses = append(in.Pauses, st.s.Pauses[id])
	}
	return in
}

// confirm judges a round: every guard is asked, and the first that does not pass decides what happens next.
func (st *stepper) confirm(i *Incident, round evidence.Round) {
	if round.Login.Known() && round.Login.Value.Up && !i.hostMissing(round) && i.cleanly(round) {
		st.enter(i, Verifying, "SQL Server logs in; its health is being proven.")
		st.verify(i, round)
		return
	}
	i.Healthy = 0
	in := st.input(i)
	in.Plan = st.hashNow(i, in, round)
	before := i.Verdicts
	i.Verdicts = guard.Evaluate(in)
	st.unreadable(i)
	st.brake(i, round)
	i.Deliberate = i.Deliberate || slices.ContainsFunc(i.Verdicts, guard.Verdict.Deliberate)
	if i.Phase == Open {
		st.enter(i, Confirming, "Asking for a second opinion.")
	}
	decisive, stopped := guard.Decide(i.Verdicts)
	if !stopped {
		st.plan(i, in, round)
		return
	}
	st.count(i, before, i.Verdicts)
	why := decisive.Guard + " " + decisive.Name + ": " + decisive.Detail
	switch decisive.Outcome {
	case guard.Hold:
		st.held(i, decisive, why)
	case guard.Refuse:
		st.refused(i, in, decisive, why, round)
	case guard.Propose:
		i.Plan = st.proposal(i, in, round)
		if decisive.Reason == guard.ReasonGuestStarved {
			i.Plan = nil // no rung gives it what it lacks
		}
		i.Next = st.now.Add(watchEvery)
		st.endApproval(i)
		st.enter(i, Proposed, "Left to a person. "+why)
		st.offer(i, in, round)
	case guard.Pass:
	}
}

// unreadable remembers since when G8's evidence cannot be read: it is that which is bounded, not the incident's age.
func (st *stepper) unreadable(i *Incident) {
	missing := slices.ContainsFunc(i.Verdicts, func(v guard.Verdict) bool { return v.Guard == "G8" && v.Reason == guard.ReasonUnreadable })
	switch {
	case !missing:
		i.UnreadableSince = time.Time{}
	case i.UnreadableSince.IsZero():
		i.UnreadableSince = st.now
	}
}

// held waits for what a guard waits for, within the bound of a hold.
func (st *stepper) held(i *Incident, v guard.Verdict, why string) {
	if i.HeldSince.IsZero() {
		i.HeldSince = st.now
	}
	if st.now.Sub(i.HeldSince) > holdBound {
		st.escalate(i, "Held for longer than "+holdBound.String()+". "+why)
		return
	}
	if by := v.Guard + " " + v.Reason; i.HeldBy != by {
		i.HeldBy = by
		st.tell(i, "held", why)
	}
	i.Next = st.nextRound(i, v)
	if v.Guard == "G8" && v.Reason == "more_rounds" {
		st.enter(i, Confirming, "Asking for a second opinion.")
		return
	}
	summary := "Waiting. " + why
	if i.Fault == evidence.Host {
		summary = "Waiting for the cluster, which recovers a lost host by itself. " + why
	}
	st.enter(i, Waiting, summary)
}

// refused ends this rung for this incident. A mode is no refusal of the case: the decision was made, and is told.
func (st *stepper) refused(i *Incident, in guard.Input, v guard.Verdict, why string, round evidence.Round) {
	i.Next = st.now.Add(watchEvery)
	switch {
	case v.Guard == "G22", v.Guard == "G29":
		i.Plan = st.proposal(i, in, round)
		st.enter(i, Told, fmt.Sprintf("Every guard passes; %s would be done. %s", in.Rung, why))
	case v.Guard == "G8" && (v.Reason == guard.ReasonTellsOnly || v.Reason == guard.ReasonAboveLevel):
		st.enter(i, Told, why)
	case i.Rung+1 < len(i.Ladder):
		st.tell(i, "rung refused", string(in.Rung)+": "+why)
		i.Rung++
		i.Next = st.now
	default:
		i.Plan = st.proposal(i, in, round)
		st.enter(i, Refused, "Nothing is done. "+why)
	}
}

// proposal lists what a person would type to do what is not done here.
func (st *stepper) proposal(i *Incident, in guard.Input, round evidence.Round) []string {
	cmds, err := remedy.Plan(in.Rung, st.caseOf(i, in, round))
	if err != nil {
		return remedy.Propose(in.Rung, in.Group, in.Proof.Binding.VMID)
	}
	var lines []string
	for _, c := range cmds {
		lines = append(lines, c.Cmdlet)
	}
	return lines
}

func (st *stepper) caseOf(i *Incident, in guard.Input, round evidence.Round) remedy.Case {
	to := ""
	if in.Rung.Kind() == config.OnNode {
		to, i.Destinations, _ = guard.Destination(in)
	}
	return remedy.Case{
		Destination: to,
		Subject:     i.Subject, Service: in.Service, Computer: in.Proof.Binding.ComputerName, Round: round,
		Owner: st.owner(i), VMID: in.Proof.Binding.VMID, Group: in.Group, Baseline: in.Proof.Baseline[i.Instance],
	}
}

// nextRound is when to look again: as soon as the verdict says, but not so often as to be a load, and for a class
// that needs rounds over a time, evenly over it.
func (st *stepper) nextRound(i *Incident, v guard.Verdict) time.Time {
	var every time.Duration
	switch i.Fault {
	case evidence.Hang:
		vm, _ := st.s.inventory(i.VM)
		every = max(st.s.policy(vm).HealthCheckTimeout, defaultHangAt) / silentRounds
	case evidence.Guest:
		every = guestClass / silentRounds
	case evidence.Network:
		every = networkClass / silentRounds
	case evidence.Resource:
		every = resourceEvery
	case evidence.Host, evidence.Storage, evidence.Internal, evidence.Service, evidence.Database:
		every = holdEvery
	}
	earliest, latest := st.now.Add(every), st.now.Add(every)
	if i.Fault == evidence.Service || i.Fault == evidence.Host || i.Fault == evidence.Internal {
		earliest = i.Rounds[len(i.Rounds)-1].Started.Add(roundEvery)
	}
	switch {
	case v.Until.Before(earliest):
		return earliest
	case v.Until.After(latest):
		return latest
	}
	return v.Until
}

// brake remembers that a storm was seen (G17).
func (st *stepper) brake(i *Incident, round evidence.Round) {
	if !round.Sweep.Known() {
		return
	}
	in := st.input(i)
	in.Rounds = []evidence.Round{round}
	if why, storm := guard.StormSeen(in); storm {
		c := st.s.Clusters[i.Cluster]
		if st.now.Sub(c.Brake) > roundEvery*10 {
			st.emit(Note{Message: "storm brake engaged", Keys: []any{"cluster", i.Cluster, "reason", why}})
			st.note(nil, audit.Entry{Event: "storm brake engaged", Cluster: i.Cluster, Guard: "G17", Detail: why})
		}
		c.Brake = st.now
		st.setCluster(i.Cluster, c, true)
	}
}

// count emits each guard's refusal once, when it begins or changes its reason.
func (st *stepper) count(i *Incident, before, after []guard.Verdict) {
	for _, v := range after {
		if v.Outcome == guard.Pass {
			continue
		}
		known := slices.ContainsFunc(before, func(b guard.Verdict) bool {
			return b.Guard == v.Guard && b.Outcome == v.Outcome && b.Reason == v.Reason
		})
		if !known {
			st.refusal(i, v)
		}
	}
}

// hostMissing reports whether a login cannot be believed to end the incident: a host incident is over only when
// the group is online on a node that answers.
func (i *Incident) hostMissing(round evidence.Round) bool {
	return i.Fault == evidence.Host && !round.Host.Known()
}

// explain lets the leading incident of a virtual machine speak for the others: the first class in the order of
// evidence.Faults whose alert stands. What is being acted on is never put aside.
//
// Who leads changes only with the incidents of the same virtual machine: only those of the touched ones are asked.
func (st *stepper) explain() {
	touched := map[evidence.VM]bool{}
	for _, i := range st.work {
		touched[i.VM] = true
	}
	if len(touched) == 0 {
		return
	}
	var open []*Incident
	for vm := range touched {
		open = append(open, st.openOf(vm, every)...)
	}
	slices.SortFunc(open, older)
	for _, i := range open {
		leader := st.leader(i, open)
		switch {
		case leader == nil && i.ExplainedBy != "":
			i.ExplainedBy = ""
			if i.current() == nil && i.Phase == Waiting {
				i.Next = st.now
				st.enter(i, Confirming, "What explained it is over; asking for a second opinion.")
			}
		case leader != nil && leader.ID != i.ExplainedBy && i.current() == nil && !i.begun():
			i.ExplainedBy = leader.ID
			i.Asked, i.Next = "", st.now // what was being read for it leads to nothing any more
			st.enter(i, Waiting, fmt.Sprintf("Explained by the %s fault of %s (%s): that one leads.", leader.Fault, leader.VM.Name, leader.ID))
		}
	}
}

func (st *stepper) leader(i *Incident, open []*Incident) *Incident {
	order := evidence.Faults()
	mine := slices.Index(order, i.Fault)
	var best *Incident
	for _, j := range open {
		if j.ID == i.ID || j.VM != i.VM || (j.Instance != evidence.NoInstance && j.Instance != i.Instance) || !j.stands() {
			continue
		}
		if rank := slices.Index(order, j.Fault); rank < mine && (best == nil || rank < slices.Index(order, best.Fault)) {
			best = j
		}
	}
	return best
}

// stands reports whether the incident's alert still fires, by the newest word of the webhook and of Alertmanager.
func (i *Incident) stands() bool {
	if !i.Alert.Firing {
		return false
	}
	if len(i.Rounds) > 0 {
		if a := i.Rounds[len(i.Rounds)-1].Alert; a.Known() && !a.Value.Active && !a.Value.Suppressed {
			return false
		}
	}
	return true
}
