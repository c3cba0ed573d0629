package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// Starved machines: as the receiver reads them, as they are in truth, and what may be done about it. The numbers are the
// catalogue's, written down a second time.
const (
	resourceFor  = 20 * time.Second // the alert's window
	starvedFor   = 40 * time.Second // from the first sample to the last
	balancerTime = 35 * time.Minute
	// mostUsed is from how much on a destination would be too busy: 80 % is the most, and what is read is rounded down.
	mostUsed = 0.81
	// starvedSpan is how long a starved host is left to the receiver alone.
	starvedSpan = 150 * time.Second
)

// balances reports whether the cluster balances its load all the time.
func (w *world) balances() bool { return w.spec.Era.Balancing > 0 }

// strain is that the machine of a SQL Server began or ceased to have too little, as its diagnostics notice it.
type strain struct {
	at time.Time
	on bool
}

// strains notes which machines suffer now. SQL Server looks about as often as Prometheus.
func (w *world) strains() {
	w.strained = w.strained || slices.ContainsFunc(w.model.Nodes, func(n *model.Node) bool { return n.Starved.On }) ||
		slices.ContainsFunc(w.model.VMs, func(v *model.VM) bool { return v.Starved.On })
	if !w.strained {
		return
	}
	for _, v := range w.model.VMs {
		list := w.strain[v.Name]
		if on := w.model.Suffers(v); len(list) > 0 && list[len(list)-1].on != on || len(list) == 0 && on {
			w.strain[v.Name] = append(list, strain{w.now, on})
		}
	}
}

// sufferedAt reports whether a machine had too little at a moment, as far as SQL Server had noticed.
func (w *world) sufferedAt(v *model.VM, at time.Time) bool {
	for _, s := range slices.Backward(w.strain[v.Name]) {
		if !s.at.After(at) {
			return s.on
		}
	}
	return false
}

// relievedAt is when a machine last ceased to have too little: now, where nobody has noticed yet; zero where it never had.
func (w *world) relievedAt(v *model.VM) time.Time {
	list := w.strain[v.Name]
	switch {
	case len(list) == 0:
		return time.Time{}
	case list[len(list)-1].on:
		return w.now
	}
	return list[len(list)-1].at
}

// loads are how busy nodes are.
func (w *world) loads(nodes []string, at time.Time) map[string]evidence.Reading[evidence.Load] {
	loads := map[string]evidence.Reading[evidence.Load]{}
	for _, n := range w.asksOf(nodes) {
		if n == "" {
			continue
		}
		why := dial.Answered
		if w.silent(n) {
			why = dial.TCPTimeout
		}
		l := evidence.Load{Busy: w.model.Used(n), Over: 20 * time.Second, Processors: model.HostProcessors, Pressure: 0.6}
		if w.model.Node(n).Starved.On {
			l.Pressure = 1.3
		}
		loads[n] = known(l, at, why)
	}
	return loads
}

// crowded says of each node why it has not the processor time for a machine at the moment of a read; one that is not there has.
func (w *world) crowded(v *model.VM) map[string]string {
	why := map[string]string{}
	for _, n := range w.model.Nodes {
		used := w.model.Used(n.Name) + v.Uses()*model.VMProcessors/model.HostProcessors
		if n.Name != v.Owner && (used >= mostUsed || n.Starved.On) {
			why[n.Name] = fmt.Sprintf("it would be used at %.2f", used)
		}
	}
	return why
}

// calm reports whether a round shows a machine that is not starved, so that nothing is asked of the guards.
func calm(r evidence.Round) bool {
	p, s := guard.PressureOf(r), guard.SufferingOf(r)
	return p.Unread == "" && !p.Any() || s.Unread == "" && s.How == ""
}

// starves judges a decision on a starved machine: its host was used up in every read of the class's time, and SQL Server
// suffers, or did when it last said so; nothing but a live migration is decided, and not before the cluster's own balancer has
// had its time.
func (j *judge) starves(i *incident.Incident, s *snapshot, rung remedy.Rung) {
	w := j.w
	if first, before := j.shown[i.ID]; !s.hostUsed || !before || s.asked.Sub(first) < starvedFor {
		w.breaks(trueOutage, "%s: host %s is used at %.2f, was seen used up since %s", i.ID, s.owner, s.used, first)
	}
	if !s.suffers && (s.relieved.IsZero() || s.answered.Sub(s.relieved) > j.setLag(i.VM.Name)) {
		w.breaks(trueOutage, "%s: nothing of it suffers since %s", i.ID, s.relieved)
	}
	if !s.loginKnown || !s.ownerAnswers {
		w.breaks(notBlind, "%s: login known %t, owner answers %t", i.ID, s.loginKnown, s.ownerAnswers)
	}
	if rung != remedy.LiveMigrate {
		w.breaks(servesOn, "%s: %s of a machine whose SQL Server serves", i.ID, rung)
	}
	if w.balances() && w.now.Sub(i.OpenedAt) < balancerTime {
		w.breaks(oneController, "%s: the cluster balances its load, and has had %s", i.ID, w.now.Sub(i.OpenedAt))
	}
}

// setLag is how old what SQL Server last said of itself may be: a set, and the look before it.
func (j *judge) setLag(vm string) time.Duration { return j.w.setEvery(vm) + scrapeEvery }

// serving judges a command for a starved machine by the truth of its re-validation.
func (j *judge) serving(e incident.Send, s *snapshot, key string) {
	live := e.Command.Method == remedy.MoveGroup && e.Command.How == remedy.Live
	switch {
	case e.Command.Method == remedy.CancelOperation:
	case !live:
		j.w.breaks(servesOn, "%s: %s (%s)", key, e.Command.Method, e.Command.How)
	case !s.suffers && (s.relieved.IsZero() || s.answered.Sub(s.relieved) > j.setLag(e.Command.VM.Name)):
		j.w.breaks(veto, "%s: nothing of it suffers since %s", key, s.relieved)
	}
}

// starvedCured looks whether a starved host that met nothing else was relieved, within the time that it was given: of each of
// its machines that may be moved, the first ones were, and none of these suffers.
func (w *world) starvedCured() {
	acts := false
	for _, v := range w.model.VMs {
		vm := w.config.Clusters[0].VirtualMachine(v.Name)
		_, controlled := w.variant.controlled[v.Name]
		if vm == nil || controlled || w.starvedOn[v.Name] != w.starvedNode || w.config.NeverTouch(w.spec.Cluster, v.Name) || w.variant.onlyObserves() || w.balances() {
			continue
		}
		p := w.judge.policy(v.Name)
		acts = acts || slices.Contains(p.Ladder(string(evidence.Resource)), config.RungLiveMigrate) && p.ModeOf(config.RungLiveMigrate) == config.Act
	}
	moved := 0
	for _, c := range w.judge.sent {
		if v := w.model.VM(c.vm.Name); c.method == remedy.MoveGroup {
			moved++
			if v.GroupState == cluster.GroupOnline && w.model.Suffers(v) {
				w.breaks(starvedIsCured, "%s was moved and suffers on %s", v.Name, v.Owner)
			}
		}
	}
	switch {
	case acts && moved == 0:
		w.breaks(starvedIsCured, "%s is used at %.2f for %s, and nothing was moved", w.starvedNode, w.model.Used(w.starvedNode), starvedSpan)
	case !acts && moved > 0:
		w.breaks(inMode, "%d moves off %s", moved, w.starvedNode)
	}
}

// starve remembers who was on a host that is used up.
func (w *world) starve(o Op) {
	node := o.Node
	if node == "" {
		node = w.model.VM(o.VM).Owner
	}
	w.starvedNode = node
	for _, v := range w.model.VMs {
		w.starvedOn[v.Name] = v.Owner
	}
}

// starved uses a host up, or one machine, for as long as it takes to be decided, with what may come between.
func (g *generator) starved(vm string) {
	o := Op{Kind: opFault, What: model.HostStarved, VM: vm}
	switch g.IntN(13) {
	case 0: // over before it is decided, or soon after
		o.For = g.span(20*time.Second, 2*time.Minute)
	case 1:
		o.What, o.For = model.GuestStarved, one(g, 0, g.span(30*time.Second, 2*time.Minute))
	case 2: // no node is better
		for _, n := range g.spec.Nodes {
			g.add(Op{Kind: opFault, What: model.HostStarved, Node: n, At: g.span(0, 20*time.Second), For: one(g, 0, g.span(time.Minute, 3*time.Minute))})
		}
	case 3:
		g.add(Op{Kind: opFault, What: model.HostStarved, Node: g.node(), At: g.span(0, time.Minute)})
	case 4:
		g.add(Op{Kind: one(g, opBlindNode, opBlindNode, opBlindSQL, opBlindGuest, opSlow), VM: vm, Node: g.node(), At: g.span(0, 40*time.Second), For: g.span(5*time.Second, time.Minute)})
	case 5:
		g.add(Op{Kind: one(g, opMigrate, opMove, opLock, opSuspend, opCrash, opStranger), VM: vm, Node: g.node(), What: "after", For: g.span(time.Second, 20*time.Second), On: one(g, onPlanned, onClaimed, onIssued, onObserved)})
	case 6: // there is room again when the receiver has decided
		g.add(Op{Kind: opServe, VM: vm, On: one(g, onPlanned, onClaimed)})
	case 7:
		g.add(Op{Kind: opPlace, VM: vm, Node: g.node(), What: one(g, "memory", "volume", "possible", "alone", "apart", "site", "level"), For: g.span(20*time.Second, 3*time.Minute)})
	case 8:
		g.add(Op{Kind: opMoves, VM: vm, What: one(g, "stuck", "fails")})
	case 9:
		g.add(Op{Kind: opFate, What: one(g, fateAnswerLost, fateLate, fateNever, fateKept, fateFails), For: g.span(time.Second, 40*time.Second)})
	case 10:
		g.add(Op{Kind: opFault, What: one(g, model.ServiceCrash, model.SQLHang), VM: vm, Instance: g.instance(vm), At: g.span(10*time.Second, 80*time.Second)})
	}
	g.add(o)
	g.at += g.span(80*time.Second, 130*time.Second)
	g.add(Op{Kind: opAck})
}
