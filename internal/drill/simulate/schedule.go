package simulate

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// Schedule is everything that is done to the world and to the receiver from outside, as data.
type Schedule struct {
	Seed    uint64
	Variant int
	// Calm is a virtual machine whose SQL Server dies before anything else happens: the receiver must cure it, and at
	// once. Empty: none.
	Calm string
	// Starved is a virtual machine whose host is used up before anything else happens, and is to be relieved. Empty: none.
	Starved string
	Ops     []Op // in the order of At
}

// Op is one thing done. What For is depends on Kind: for most it is how long it lasts.
type Op struct {
	At        time.Duration // since the beginning
	Kind      Kind
	VM        string
	Node      string
	Instance  string
	What      string // the fault, the class of a false alert, the fate of a command …
	Component string // of SQL Server that is in error
	For       time.Duration
	On        Point // wait for the receiver to come to this point instead of doing it at At
}

func (o Op) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%8.3fs %s", o.At.Seconds(), o.Kind)
	for _, word := range []string{o.What, o.Component, o.VM, o.Instance, o.Node} {
		if word != "" {
			b.WriteString(" " + word)
		}
	}
	if o.For > 0 {
		fmt.Fprintf(&b, " for %s", o.For)
	}
	if o.On != "" {
		fmt.Fprintf(&b, " when %s", o.On)
	}
	return b.String()
}

// Kind is what is done.
type Kind string

// The kinds.
const (
	opFault      Kind = "fault"       // What: one of the model's faults; For: healed after
	opFalseAlert Kind = "false-alert" // What: the class; the exporter sees a fault that is not there
	opBlindNode  Kind = "blind-node"  // the receiver cannot ask a node
	opBlindGuest Kind = "blind-guest" // the receiver cannot ask a guest
	opBlindSQL   Kind = "blind-sql"   // the receiver's login fails for a reason of its own
	opControls   Kind = "controls"    // an address outside the cluster does not answer
	opCut        Kind = "cut"         // the receiver's network carries nothing
	opSlow       Kind = "slow"        // every read takes nearly as long as it may
	opAMDown     Kind = "am-down"     // no Alertmanager answers
	opAMHalf     Kind = "am-half"     // one of two has lost its alerts
	opSilence    Kind = "silence"
	opWebhook    Kind = "webhook"   // deliveries fail and are tried again
	opLose       Kind = "lose"      // deliveries are lost
	opDouble     Kind = "double"    // deliveries come twice
	opUnseen     Kind = "unseen"    // nothing is scraped, so that no alert begins or goes on
	opLate       Kind = "late"      // deliveries come late and out of order
	opStale      Kind = "stale"     // an old firing comes again
	opSkew       Kind = "skew"      // the clock of Prometheus is ahead by For
	opStop       Kind = "stop"      // a person stops SQL Server
	opStart      Kind = "start"     // a person starts it
	opServe      Kind = "serve"     // a SQL Server that hangs serves again
	opDisable    Kind = "disable"   // a person sets its start mode to Manual
	opSuspend    Kind = "suspend"   // a person pauses a node
	opDrain      Kind = "drain"     // a person drains a node
	opMove       Kind = "move"      // a person moves a group (MoveToNewNode): saved, moved, resumed
	opMigrate    Kind = "migrate"   // a person migrates it live
	opBroken     Kind = "broken"    // a group fails wherever it is started
	opMoves      Kind = "moves"     // What: the next move of a group gets stuck, or fails
	opPlace      Kind = "place"     // What: something about where a group may run changes
	opGiveUp     Kind = "give-up"   // the cluster gives up on a group, until a person starts it
	opLock       Kind = "lock"      // the group is locked
	opQueue      Kind = "queue"     // the group waits in the queue for a move
	opPause      Kind = "pause"     // an operator pauses the receiver for a VM, or with What "cluster" for all
	opAck        Kind = "ack"       // an operator acknowledges what is latched
	opApprove    Kind = "approve"   // an administrator approves what is offered; What: how
	opSplit      Kind = "split"     // a node sees itself alone; the others see it down
	opQuorum     Kind = "quorum"    // the votes do not suffice
	opStranger   Kind = "stranger"  // a node does not say that it is the lab
	opSwap       Kind = "swap"      // the addresses of VM lead to the VM named What
	opFate       Kind = "fate"      // What: how the next command fares
	opCrash      Kind = "crash"     // of the receiver; What: lost, kept, after; For: how long it is down
	opLedger     Kind = "ledger"    // the ledger cannot be written
	opMute       Kind = "mute"      // Watchdog does not come; other alerts do
	opBusy       Kind = "busy"      // What: somebody is at work on the VM or in SQL Server for For
	opHeartbeat  Kind = "heartbeat" // the heartbeat of a guest that lives stops
	opJobs       Kind = "jobs"      // What: what Hyper-V is told to do to the VM fails, hangs, or is late
	opOpen       Kind = "open"      // a transaction begins to write and is open for For, or, with What "rollback", is being rolled back
)

// The fates of a command (opFate).
const (
	fateAnswerLost = "answer-lost" // it takes effect, its answer never comes
	fateLate       = "late"        // it takes effect after For, when nobody waits any more
	fateNever      = "never"       // it may have left and never arrives
	fateKept       = "kept"        // certain not to have left
	fateFails      = "fails"       // Windows refuses it with a return value
	fateDies       = "dies"        // the service starts and dies again
)

// Point is a step of the receiver that an op waits for.
type Point string

// The points: what the batch about to be written says, or that the round before a decision was read.
const (
	onPlanned  Point = "PLANNED"
	onClaimed  Point = "CLAIMED"
	onIssued   Point = "ISSUED"
	onObserved Point = "OBSERVED"
	onVerified Point = "VERIFIED"
	onFailed   Point = "FAILED"
	onUnknown  Point = "UNKNOWN"
	onHealthy  Point = "HEALTHY"
	onOffered  Point = "OFFERED"
	onApproved Point = "APPROVED"
)

func points() []Point {
	return []Point{onPlanned, onClaimed, onIssued, onObserved, onVerified, onFailed, onUnknown, onHealthy, onOffered, onApproved}
}

// generate makes the schedule of a seed.
func generate(seed uint64) Schedule {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0x5eed))} //nolint:gosec // reproducible is what it must be
	s := Schedule{Seed: seed}
	list := variants()
	total := 0
	for _, v := range list {
		total += v.weight
	}
	pick := g.IntN(total)
	for n, v := range list {
		if pick -= v.weight; pick < 0 {
			s.Variant = n
			break
		}
	}
	g.spec = model.Default(model.Quick())
	g.proposes, g.dying, g.starving = strings.HasPrefix(list[s.Variant].policy, "mode: propose"), list[s.Variant].dying, list[s.Variant].starving
	switch g.IntN(16) {
	case 0, 1, 2, 3:
		s.Calm = g.vm()
		g.at = calmSpan
	case 4:
		s.Starved = g.vm()
		g.at = starvedSpan
	}
	for n := 1 + g.IntN(5); n > 0; n-- {
		g.at += g.span(0, 15*time.Second)
		g.any()
	}
	slices.SortStableFunc(g.ops, func(a, b Op) int { return cmp.Compare(a.At, b.At) })
	s.Ops = g.ops
	return s
}

// calmSpan is how long a calm fault is left to the receiver alone.
const calmSpan = 60 * time.Second

// generator writes ops; at is where it stands.
type generator struct {
	*rand.Rand
	spec model.Spec
	at   time.Duration
	ops  []Op
	// proposes: the variant leaves everything to people, who are then more often there.
	proposes bool
	dying    bool // guests die more often
	starving bool // hosts are used up more often
}

func (g *generator) add(o Op) {
	o.At += g.at
	g.ops = append(g.ops, o)
}

// vm is one of the virtual machines with SQL Server; the first two more often, so that several things meet.
func (g *generator) vm() string {
	return []string{"SQL01", "SQL01", "SQL01", "SQL02", "SQL02", "SQL03", "SQL04"}[g.IntN(7)]
}

func (g *generator) instance(vm string) string {
	for _, v := range g.spec.VMs {
		if v.Name == vm {
			return v.Instances[g.IntN(len(v.Instances))]
		}
	}
	return ""
}

func (g *generator) node() string { return g.spec.Nodes[g.IntN(len(g.spec.Nodes))] }

func (g *generator) span(least, most time.Duration) time.Duration {
	return (least + time.Duration(g.Int64N(int64(most-least)))).Round(time.Millisecond)
}

func one[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

// any does one of many things: half of them breaks SQL Server in a way that a ladder may cure, for without a sick SQL
// Server nothing is decided.
func (g *generator) any() {
	vm := g.vm()
	if g.proposes && g.IntN(3) == 0 {
		g.approval(vm)
		return
	}
	if g.dying && g.IntN(2) == 0 {
		g.dead(vm)
		return
	}
	if g.starving && g.IntN(2) == 0 {
		g.starved(vm)
		return
	}
	switch g.IntN(41) {
	case 0, 1, 2, 3, 4:
		g.sick(vm)
	case 5:
		g.add(Op{Kind: opFault, What: one(g, plainFaults()...), VM: vm, For: one(g, 0, g.span(time.Second, time.Minute))})
	case 6:
		g.add(Op{Kind: opFault, What: model.HostPowerOff, VM: vm, For: one(g, 0, g.span(time.Second, 2*time.Minute))})
	case 7:
		g.crashing(vm)
	case 8:
		g.add(Op{Kind: opFate, What: one(g, fateAnswerLost, fateLate, fateNever, fateKept, fateFails, fateDies), For: g.span(time.Second, 40*time.Second)})
		g.sick(vm)
	case 9:
		g.blind(vm)
		g.sick(vm)
	case 10:
		g.deliberate(vm)
	case 11:
		g.cluster(vm)
		g.sick(vm)
	case 12:
		g.ambush(vm)
	case 13:
		g.notifications(vm)
		g.sick(vm)
	case 14:
		g.again(vm)
	case 15:
		g.storm()
	case 16:
		g.operator(vm)
		g.sick(vm)
	case 17:
		g.identity(vm)
	case 18:
		g.oldStory(vm)
	case 19:
		g.relapse(vm)
	case 20:
		g.add(Op{Kind: opLedger, For: g.span(time.Second, 20*time.Second), On: one(g, "", onPlanned, onClaimed, onIssued)})
		g.sick(vm)
	case 21:
		g.lost(vm)
	case 22:
		g.add(Op{Kind: opFalseAlert, VM: vm, Instance: g.instance(vm), What: one(g, "service", "hang", "guest", "network", "host", "storage", "database", "internal", "resource"), For: g.span(time.Second, 2*time.Minute)})
	case 23:
		g.pair()
	case 24:
		g.lonely(vm)
	case 25:
		g.remembered(vm)
	case 26:
		g.inTime(vm)
	case 27:
		g.mute(vm)
	case 28:
		g.approval(vm)
	case 29:
		g.open(vm)
	case 30:
		g.busy(vm)
	case 31, 32:
		g.fallen(vm)
	case 33:
		g.moved(vm)
	case 34, 35, 36:
		g.dead(vm)
	case 37, 38:
		g.internal(vm)
	case 39, 40:
		g.starved(vm)
	}
}

// plainFaults are the model's that need no site of their own to be seen: those that the judge knows the truth of.
func plainFaults() []string {
	return []string{model.ServiceCrash, model.ServiceStop, model.SQLHang, model.GuestCrash, model.GuestHang, model.HostPowerOff, model.LANBoard}
}

// approval has an administrator at work on what is offered, where the policy offers anything.
func (g *generator) approval(vm string) {
	how := one(g, approveOnce, approveOnce, approveOnce, approveTwice, approveTwice, approveStale, approveStranger, approveChanged, approveChanged, approveLate)
	g.add(Op{Kind: opApprove, VM: vm, What: how, On: onOffered})
	g.sick(vm)
	g.at += g.span(10*time.Second, 20*time.Second)
	switch {
	case how == approveLate:
		g.at += approveFor
	case g.IntN(3) == 0: // what is not taken up changes the offer: a second administrator approves that
		g.add(Op{Kind: opApprove, VM: vm, What: one(g, approveOnce, approveStale)})
		g.at += g.span(5*time.Second, 15*time.Second)
	}
	g.add(Op{Kind: opAck}) // what waits for a point waits until the last op is done
}

// sick makes SQL Server die or hang.
func (g *generator) sick(vm string) {
	o := Op{Kind: opFault, What: model.ServiceCrash, VM: vm, Instance: g.instance(vm), At: g.span(0, 4*time.Second)}
	if g.IntN(4) == 0 {
		o.What = model.SQLHang
	}
	if g.IntN(5) == 0 {
		o.For = g.span(500*time.Millisecond, time.Minute)
	}
	g.add(o)
}

// crashing ends the receiver, at a moment or at a step of its own.
func (g *generator) crashing(vm string) {
	o := Op{Kind: opCrash, What: one(g, "lost", "kept", "after"), For: g.span(100*time.Millisecond, 30*time.Second)}
	if g.IntN(4) > 0 {
		o.On = one(g, points()...)
	} else {
		o.At = g.span(0, 10*time.Second)
	}
	g.add(o)
	g.sick(vm)
}

// blind takes one of the receiver's senses away.
func (g *generator) blind(vm string) {
	g.add(Op{
		Kind: one(g, opBlindNode, opBlindGuest, opBlindSQL, opControls, opCut, opSlow, opAMDown, opAMHalf),
		VM:   vm, Node: g.node(), For: g.span(2*time.Second, 90*time.Second),
	})
}

// deliberate lets a person stop SQL Server, and sometimes start it again.
func (g *generator) deliberate(vm string) {
	q := g.instance(vm)
	if g.IntN(4) == 0 {
		g.add(Op{Kind: opDisable, VM: vm, Instance: q})
		g.sick(vm)
		return
	}
	g.add(Op{Kind: opStop, VM: vm, Instance: q})
	if g.IntN(2) == 0 {
		g.add(Op{Kind: opStart, VM: vm, Instance: q, At: g.span(5*time.Second, time.Minute)})
		g.sick(vm)
	}
}

// cluster has the cluster, or who looks after it, at work on a group or a node.
func (g *generator) cluster(vm string) {
	g.add(Op{
		Kind: one(g, opSuspend, opDrain, opMove, opMigrate, opMigrate, opLock, opQueue, opSplit, opSplit, opQuorum, opStranger),
		VM:   vm, Node: g.node(), For: g.span(2*time.Second, 2*time.Minute),
	})
}

// ambush changes the world right when the receiver has decided.
func (g *generator) ambush(vm string) {
	o := Op{
		Kind: one(g, opMigrate, opMove, opLock, opQueue, opSuspend, opStranger, opStart, opSlow, opStop),
		VM:   vm, Node: g.node(), Instance: g.instance(vm), For: g.span(time.Second, 20*time.Second),
		On: one(g, onPlanned, onPlanned, onClaimed, onObserved),
	}
	g.add(o)
	g.add(Op{Kind: opFault, What: one(g, model.ServiceCrash, model.SQLHang), VM: vm, Instance: o.Instance, At: time.Second})
}

// notifications disturbs the way from Alertmanager to the receiver.
func (g *generator) notifications(vm string) {
	switch k := one(g, opLose, opDouble, opLate, opWebhook, opSilence, opSkew, opStale); k {
	case opSkew:
		g.add(Op{Kind: k, For: g.span(30*time.Second, 5*time.Minute)})
	default:
		g.add(Op{Kind: k, VM: vm, For: g.span(5*time.Second, 2*time.Minute)})
	}
}

// again makes the same SQL Server die several times: budgets, rates and cool-downs are for that.
func (g *generator) again(vm string) {
	q := g.instance(vm)
	for n := 2 + g.IntN(4); n > 0; n-- {
		g.add(Op{Kind: opFault, What: one(g, model.ServiceCrash, model.ServiceCrash, model.SQLHang), VM: vm, Instance: q})
		g.at += g.span(15*time.Second, 80*time.Second)
	}
}

// pair makes two die at the same time.
func (g *generator) pair() {
	for _, vm := range []string{"SQL01", one(g, "SQL02", "SQL03", "SQL04")} {
		g.add(Op{Kind: opFault, What: model.ServiceCrash, VM: vm, At: g.span(0, 2*time.Second)})
	}
}

// storm makes many die at once.
func (g *generator) storm() {
	for _, vm := range []string{"SQL01", "SQL02", "SQL03", "SQL04"} {
		if g.IntN(5) > 0 {
			g.add(Op{Kind: opFault, What: model.ServiceCrash, VM: vm, At: g.span(0, 3*time.Second), For: one(g, 0, g.span(10*time.Second, time.Minute))})
		}
	}
}

// operator uses what the receiver offers to people.
func (g *generator) operator(vm string) {
	switch g.IntN(3) {
	case 0:
		g.add(Op{Kind: opPause, VM: vm, For: g.span(5*time.Second, 2*time.Minute)})
	case 1:
		g.add(Op{Kind: opPause, What: "cluster", For: g.span(5*time.Second, 2*time.Minute)})
	case 2:
		g.add(Op{Kind: opAck, At: g.span(0, time.Minute)})
	}
}

// identity lets the addresses of a virtual machine lead to another one, which is sick.
func (g *generator) identity(vm string) {
	other := one(g, "SQL02", "SQL03", "SQL04")
	if other == vm {
		other = "SQL01"
	}
	g.add(Op{Kind: opSwap, VM: vm, What: other, For: g.span(20*time.Second, 2*time.Minute)})
	g.add(Op{Kind: opFault, What: model.ServiceCrash, VM: other, At: g.span(0, 3*time.Second)})
}

// oldStory has an alert that began before the last rung ended and that only later becomes true.
func (g *generator) oldStory(vm string) {
	q := g.instance(vm)
	g.add(Op{Kind: opFalseAlert, VM: vm, Instance: q, What: "service", For: 4 * time.Minute})
	g.add(Op{Kind: opFault, What: model.SQLHang, VM: vm, Instance: q, At: g.span(time.Second, 3*time.Second)})
	g.at += g.span(70*time.Second, 100*time.Second)
	g.add(Op{Kind: opFault, What: model.ServiceCrash, VM: vm, Instance: q})
}

// relapse makes SQL Server die right after it was brought back, or its restart fail, and a person acknowledge that.
func (g *generator) relapse(vm string) {
	q := g.instance(vm)
	g.add(Op{Kind: opFate, What: one(g, fateDies, fateNever, fateFails)})
	g.add(Op{Kind: opFault, What: model.ServiceCrash, VM: vm, Instance: q})
	g.add(Op{Kind: opStart, VM: vm, Instance: q, At: 40 * time.Second})
	if g.IntN(2) == 0 {
		g.add(Op{Kind: opAck, At: 55 * time.Second})
	}
	g.at += g.span(60*time.Second, 80*time.Second)
	g.add(Op{Kind: opFault, What: model.ServiceCrash, VM: vm, Instance: q})
}

// lonely hides a host from the receiver, which the cluster calls up, and has the cluster give up on a group of it.
func (g *generator) lonely(vm string) {
	d := g.span(20*time.Second, 2*time.Minute)
	if g.IntN(4) == 0 {
		d = g.span(320*time.Second, 400*time.Second)
	}
	for _, v := range g.spec.VMs {
		if v.Name == vm {
			g.add(Op{Kind: opBlindNode, VM: vm, Node: v.Node, For: d})
		}
	}
	g.add(Op{Kind: one(g, opGiveUp, opGiveUp, opFalseAlert), VM: vm, What: "host", For: d, At: time.Second})
	g.at += d
}

// remembered pauses or latches a virtual machine, restarts the receiver, and breaks SQL Server once its hold-off is over:
// what was written down before must count.
func (g *generator) remembered(vm string) {
	q := g.instance(vm)
	if g.IntN(2) == 0 {
		g.add(Op{Kind: opPause, VM: vm, For: g.span(100*time.Second, 200*time.Second)})
	} else {
		g.add(Op{Kind: opFate, What: one(g, fateNever, fateFails)})
		g.add(Op{Kind: opFault, What: model.ServiceCrash, VM: vm, Instance: q})
		g.add(Op{Kind: opStart, VM: vm, Instance: q, At: 40 * time.Second})
		g.at += 50 * time.Second
	}
	g.add(Op{Kind: opCrash, What: "after", For: time.Second, At: 5 * time.Second})
	g.at += g.span(60*time.Second, 70*time.Second)
	g.add(Op{Kind: opFault, What: model.ServiceCrash, VM: vm, Instance: q})
}

// inTime ends a hang when the receiver has begun to end it.
func (g *generator) inTime(vm string) {
	q := g.instance(vm)
	g.add(Op{Kind: opServe, VM: vm, On: one(g, onPlanned, onClaimed, onObserved, onVerified)})
	g.add(Op{Kind: opFault, What: model.SQLHang, VM: vm, Instance: q, At: time.Second})
	g.at += time.Minute
	g.add(Op{Kind: opAck}) // what waits for a point waits until the last op is done
}

// mute keeps Watchdog back, and lets SQL Server die when that must have been noticed, or shortly before: the alert itself
// comes through, and Alertmanager holds it active.
func (g *generator) mute(vm string) {
	d := g.span(150*time.Second, 300*time.Second)
	g.add(Op{Kind: opMute, For: d + g.span(0, 2*time.Minute)})
	g.at += d
	g.sick(vm)
}

// busy has somebody at work when SQL Server hangs, for long enough that the sampler notices.
func (g *generator) busy(vm string) {
	q := g.instance(vm)
	what := one(g, busyBackup, busyBackup, busyRestore, busyDump, busyDump, busyHealth, busyMerge, busyJob, busyMigration, busyReplica, busyVolume, busyUpdate, busyPending, busyRestart)
	g.add(Op{Kind: opBusy, VM: vm, Instance: q, What: what, For: g.span(20*time.Second, 20*time.Minute)})
	g.at += g.span(0, 40*time.Second)
	g.add(Op{Kind: opFault, What: one(g, model.SQLHang, model.SQLHang, model.SQLHang, model.GuestHang, model.ServiceCrash), VM: vm, Instance: q})
	g.at += g.span(40*time.Second, 80*time.Second)
	g.add(Op{Kind: opAck})
}

// open has a transaction open for about as long as a policy lets it be undone, and then SQL Server hang.
func (g *generator) open(vm string) {
	q := g.instance(vm)
	g.add(Op{Kind: opOpen, VM: vm, Instance: q, What: one(g, "", "rollback"), For: 10 * time.Minute})
	g.at += g.span(20*time.Second, 4*time.Minute)
	g.add(Op{Kind: opFault, What: one(g, model.SQLHang, model.SQLHang, model.ServiceCrash), VM: vm, Instance: q})
}

// lost takes a host away for good, and the next one, until the cluster's own threshold is used up.
func (g *generator) lost(vm string) {
	for n := 1 + g.IntN(3); n > 0; n-- {
		g.add(Op{Kind: opFault, What: model.HostPowerOff, VM: vm, For: one(g, 0, 40*time.Second)})
		g.at += g.span(25*time.Second, 50*time.Second)
	}
}

// fallen takes a host away while a group of it cannot be started anywhere: the cluster tries, gives up, and what was in the
// way is gone later, or never. Long after the cluster's own time has run out the group is still to be started.
func (g *generator) fallen(vm string) {
	d := g.span(30*time.Second, 4*time.Minute)
	if g.IntN(5) == 0 {
		d = 0
	}
	g.add(Op{Kind: opBroken, VM: vm, For: d})
	if g.IntN(6) == 0 {
		g.add(Op{Kind: opFate, What: one(g, fateAnswerLost, fateLate, fateNever, fateKept, fateFails), For: g.span(time.Second, 40*time.Second)})
	}
	g.add(Op{Kind: opFault, What: model.HostPowerOff, VM: vm, At: time.Second})
	g.at += g.span(320*time.Second, 340*time.Second)
}

// moved arranges where a group may run, what becomes of its next move, and who else moves it, and makes it sick.
func (g *generator) moved(vm string) {
	if g.IntN(3) > 0 {
		g.add(Op{Kind: opPlace, VM: vm, Node: g.node(), What: one(g, "memory", "volume", "possible", "alone", "apart", "site", "level"), For: g.span(20*time.Second, 3*time.Minute)})
	}
	if g.IntN(3) == 0 {
		g.add(Op{Kind: opMoves, VM: vm, What: one(g, "stuck", "fails")})
	}
	if g.IntN(3) == 0 {
		g.add(Op{Kind: one(g, opMigrate, opMove, opSuspend, opDrain), VM: vm, Node: g.node(), For: g.span(time.Second, 20*time.Second), On: one(g, onPlanned, onClaimed, onIssued, onObserved)})
	}
	if g.IntN(4) == 0 {
		g.add(Op{Kind: opFate, What: one(g, fateAnswerLost, fateLate, fateNever, fateKept, fateFails), For: g.span(time.Second, 40*time.Second)})
	}
	if g.IntN(2) == 0 {
		g.sick(vm)
		return
	}
	g.add(Op{Kind: opFault, What: model.LANBoard, VM: vm, At: g.span(0, 4*time.Second)})
	g.at += g.span(40*time.Second, 70*time.Second)
}

// internal has SQL Server call one of its components an error, for as long as it takes to be decided, with what may come
// between: it goes on serving, and may be at work.
func (g *generator) internal(vm string) {
	q := g.instance(vm)
	o := Op{Kind: opFault, What: model.SQLInternal, Component: one(g, model.Components()...), VM: vm, Instance: q}
	switch g.IntN(10) {
	case 0:
		o.For = g.span(10*time.Second, time.Minute)
	case 1:
		g.add(Op{Kind: opOpen, VM: vm, Instance: q, What: one(g, "", "rollback"), At: g.span(0, 20*time.Second), For: 10 * time.Minute})
		g.at += g.span(20*time.Second, 3*time.Minute)
	case 2:
		g.add(Op{Kind: opBusy, VM: vm, Instance: q, What: one(g, busyBackup, busyRestore, busyDump, busyHealth), At: g.span(0, 20*time.Second), For: g.span(20*time.Second, 4*time.Minute)})
	case 3:
		g.add(Op{Kind: one(g, opBlindSQL, opBlindGuest, opCrash, opSlow), VM: vm, What: "after", At: g.span(0, 30*time.Second), For: g.span(5*time.Second, time.Minute)})
	case 4:
		g.add(Op{Kind: opFate, What: one(g, fateAnswerLost, fateLate, fateNever, fateKept, fateFails), For: g.span(time.Second, 40*time.Second)})
	case 5:
		g.add(Op{Kind: one(g, opMigrate, opCrash, opLock, opSuspend), VM: vm, Node: g.node(), What: "after", For: g.span(time.Second, 20*time.Second), On: one(g, onPlanned, onClaimed, onIssued, onObserved)})
	case 6: // well again when the receiver has decided
		g.add(Op{Kind: opServe, VM: vm, On: one(g, onPlanned, onClaimed, onObserved, onVerified)})
	case 7: // and then it dies or hangs
		g.add(Op{Kind: opFault, What: one(g, model.ServiceCrash, model.SQLHang), VM: vm, Instance: q, At: g.span(10*time.Second, 50*time.Second)})
	case 8:
		g.add(Op{Kind: opDisable, VM: vm, Instance: q})
	}
	g.add(o)
	g.at += g.span(40*time.Second, 70*time.Second)
	g.add(Op{Kind: opAck})
}

// dead ends a guest, or what tells that it lives, for as long as it takes to be decided, with what may come between.
func (g *generator) dead(vm string) {
	switch g.IntN(12) {
	case 0:
		g.add(Op{Kind: opJobs, VM: vm, What: one(g, "fails", "hangs", "late"), For: g.span(2*time.Minute, 5*time.Minute)})
	case 1:
		g.add(Op{Kind: opFate, What: one(g, fateAnswerLost, fateLate, fateNever, fateKept, fateFails), For: g.span(time.Second, 40*time.Second)})
	case 2:
		g.add(Op{Kind: opBusy, VM: vm, What: one(g, busyUpdate, busyPending, busyMerge, busyJob, busyHealth, busyVolume), For: g.span(30*time.Second, 4*time.Minute)})
		g.at += g.span(20*time.Second, 30*time.Second) // it is told of while the guest lives
	case 3:
		g.add(Op{Kind: one(g, opBlindNode, opBlindSQL, opControls), VM: vm, Node: g.node(), For: g.span(20*time.Second, 2*time.Minute)})
	case 4:
		g.add(Op{Kind: one(g, opMigrate, opMove, opLock, opSuspend, opCrash, opStranger), VM: vm, Node: g.node(), What: "after", For: g.span(time.Second, 20*time.Second), On: one(g, onPlanned, onClaimed, onIssued, onObserved)})
	}
	fault := Op{Kind: opFault, VM: vm, What: one(g, model.GuestCrash, model.GuestHang), At: time.Second}
	switch g.IntN(6) {
	case 0:
		g.add(Op{Kind: opBusy, VM: vm, What: busyDisk, At: g.span(2*time.Second, 50*time.Second), For: g.span(time.Second, 3*time.Minute)})
	case 1:
		fault.For = g.span(20*time.Second, 100*time.Second)
	case 2: // SQL Server is sick in a guest that lives, and whose heartbeat does not tell so
		vm = one(g, vm, "SQL03") // which has two
		g.add(Op{Kind: opHeartbeat, VM: vm, For: one(g, 0, g.span(30*time.Second, 2*time.Minute))})
		fault = Op{Kind: opFault, VM: vm, Instance: g.instance(vm), What: one(g, model.ServiceCrash, model.SQLHang), At: g.span(time.Second, 5*time.Second)}
	case 3:
		g.add(Op{Kind: opHeartbeat, VM: vm, For: g.span(30*time.Second, 2*time.Minute)})
		return
	}
	g.add(fault)
	g.at += g.span(75*time.Second, 110*time.Second)
}
