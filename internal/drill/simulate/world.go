package simulate

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// The spans of a schedule.
const (
	noise      = 15 * time.Second // between the last op and the end of everything that disturbs
	settleStep = 10 * time.Second // how often it is looked whether all is settled
	// settleBound is how long anything may go on waiting after the last disturbance: the longest hold (60 min), before
	// which a cool-down (30 min) may have been waited for.
	settleBound = 100 * time.Minute
	commitRetry = time.Second // of the receiver's driver
)

// world is one schedule being played: the stepper and everything that it talks to. It has one goroutine.
type world struct {
	base
	schedule Schedule
	rnd      *rand.Rand
	now      time.Time
	model    *model.Model
	trace    *trace

	queue    queue
	sequence int

	receiver
	nature
	alerts alerts
	judge  judge
	result result
	watch  func(before incident.State, s *step) // sees each step that is taken; nil where nobody wants to
	seen   func()                               // is called when there is news; nil where nobody wants to look
	news   bool                                 // something happened in the cluster, to an alert or to an incident
}

// receiver is the process under test: what the driver of production holds.
type receiver struct {
	state   incident.State
	wake    time.Time
	life    int // of the process, from 1; what belongs to an earlier one is dropped
	alive   bool
	disk    *disk
	stuck   *step // a step whose records cannot be written
	backlog []incident.Event
	asked   map[uint64]*snapshot // what the world was like when a read was made
}

// step is the outcome of incident.Step before it is taken.
type step struct {
	event   incident.Event
	next    incident.State
	effects []incident.Effect
}

// happening is something that will happen. What belongs to the receiver's process ends with it.
type happening struct {
	at       time.Time
	sequence int
	life     int // 0: of the world
	do       func()
}

type queue []happening

func (q queue) Len() int { return len(q) }

func (q queue) Less(a, b int) bool {
	if c := q[a].at.Compare(q[b].at); c != 0 {
		return c < 0
	}
	return q[a].sequence < q[b].sequence
}

func (q queue) Swap(a, b int) { q[a], q[b] = q[b], q[a] }
func (q *queue) Push(x any)   { *q = append(*q, x.(happening)) }

func (q *queue) Pop() any {
	last := len(*q) - 1
	h := (*q)[last]
	(*q)[last] = happening{}
	*q = (*q)[:last]
	return h
}

// newWorld builds the world of a schedule. With a warm base it stands at epoch, otherwise at start, with no receiver.
func newWorld(b base, s Schedule, t *trace) (*world, error) {
	w := &world{
		base: b, schedule: s, trace: t, now: start,
		rnd: rand.New(rand.NewPCG(s.Seed, 0x1a7e)), //nolint:gosec // reproducible is what it must be
	}
	var err error
	if w.model, err = model.New(b.spec, start, 1); err != nil {
		return nil, err
	}
	for _, v := range w.model.VMs {
		for _, s := range v.Services {
			if s.DependsOn != "" && b.variant.manual {
				s.StartMode = "Manual"
			}
		}
	}
	if w.disk, err = newDisk(b.records); err != nil {
		return nil, err
	}
	w.asked = map[uint64]*snapshot{}
	w.nature = newNature()
	w.alerts = newAlerts(w)
	w.judge = newJudge(w)
	if !b.due.IsZero() {
		w.now = epoch
		w.model.Advance(epoch)
		w.state, w.wake, w.life, w.alive = b.warm, b.due, 1, true
		for _, n := range b.spec.Nodes {
			w.said[n] = true
		}
		for _, c := range b.warm.Clusters {
			w.judge.remember(c.Owners, b.warm.Started)
			w.judge.heard = b.warm.Heard
		}
	}
	w.result = newResult(s.Seed)
	w.after(0, w.scrape)
	w.after(0, w.watchdog)
	return w, nil
}

// play plays one schedule and returns what came of it.
func (b *bases) play(s Schedule, t *trace) result {
	w, err := newWorld(b.list[s.Variant], s, t)
	if err != nil {
		panic("simulated world: " + err.Error()) // it was built before, for the base
	}
	w.disk.eager = s.Seed%64 == 0
	w.guarded()
	return w.result
}

// guarded plays; a panic of the code under test is a failure of the schedule as any other.
func (w *world) guarded() {
	defer func() {
		if p := recover(); p != nil {
			w.breaks(noPanic, "%v", p)
		}
	}()
	if w.trace != nil {
		w.trace.add(w.now, "variant %q", w.variant.name)
	}
	if s := w.schedule; s.Calm != "" {
		w.apply(Op{Kind: opFault, What: model.ServiceCrash, VM: s.Calm})
		w.after(calmSpan, w.calmCured)
	}
	if s := w.schedule; s.Starved != "" {
		w.apply(Op{Kind: opFault, What: model.HostStarved, VM: s.Starved})
		w.after(starvedSpan, w.starvedCured)
	}
	last := time.Duration(0)
	for _, o := range w.schedule.Ops {
		last = max(last, o.At)
		w.after(o.At, func() { w.apply(o) })
	}
	w.run(epoch.Add(last + noise))
	w.quiet()
	for end := w.now.Add(settleBound); !w.settled() && w.now.Before(end); {
		w.run(w.now.Add(settleStep))
	}
	w.outcome()
}

// after lets something happen to the world later.
func (w *world) after(d time.Duration, do func()) { w.later(d, 0, do) }

// soon lets something happen to the present receiver later.
func (w *world) soon(d time.Duration, do func()) { w.later(d, w.life, do) }

func (w *world) later(d time.Duration, life int, do func()) {
	w.sequence++
	heap.Push(&w.queue, happening{w.now.Add(d), w.sequence, life, do})
}

// between is a random duration.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.rnd.Int64N(int64(most-least)))
}

// run lets time pass: the model's own events first, then the timer of the receiver, then what is queued.
func (w *world) run(until time.Time) {
	for len(w.result.violations) == 0 {
		next := until
		if at, ok := w.model.Next(); ok && at.Before(next) {
			next, w.news = at, true
		}
		if w.alive && !w.wake.IsZero() && w.wake.Before(next) {
			next = w.wake
		}
		if len(w.queue) > 0 && w.queue[0].at.Before(next) {
			next = w.queue[0].at
		}
		if next.After(w.now) {
			w.now = next
		}
		w.model.Advance(w.now)
		switch {
		case w.alive && !w.wake.IsZero() && !w.wake.After(w.now):
			w.wake = time.Time{}
			w.handle(incident.Ticked{At: incident.At(w.now)})
		case len(w.queue) > 0 && !w.queue[0].at.After(w.now):
			h := heap.Pop(&w.queue).(happening)
			if h.life == 0 || w.alive && h.life == w.life {
				h.do()
			}
		case !w.now.Before(until):
			return
		}
		if w.seen != nil && w.news {
			w.news = false
			w.seen()
		}
	}
}

// boot starts the receiver with what the ledger holds.
func (w *world) boot() {
	w.life++
	w.alive, w.stuck, w.backlog, w.wake = true, nil, nil, time.Time{}
	clear(w.asked)
	clear(w.said)
	clear(w.streams)
	w.judge.started, w.judge.samples, w.judge.heard = w.now, 0, w.now
	records, err := w.disk.records()
	if err != nil {
		panic("ledger in memory: " + err.Error())
	}
	state, effects, err := incident.Restore(w.config, records, writer, w.now)
	if err != nil {
		w.breaks(restores, "%v", err)
		return
	}
	if w.trace != nil {
		w.trace.add(w.now, "the receiver starts, life %d", w.life)
	}
	w.take(&step{nil, state, effects})
	w.handle(incident.Ticked{At: incident.At(w.now)})
	for _, n := range w.pending(records) {
		w.handle(n)
	}
	w.soon(50*time.Millisecond, w.reconcile)
}

// crash ends the receiver's process and the machine's memory; it starts again after a while.
func (w *world) crash(down time.Duration) {
	if !w.alive {
		return
	}
	if w.trace != nil {
		w.trace.add(w.now, "the receiver crashes")
	}
	w.result.crashes++
	w.alive = false
	w.judge.crashed()
	w.disk = w.disk.crash()
	w.after(down, w.boot)
}

// handle takes one step as the driver does: state and effects, the records on disk, then the state is the new one,
// then the effects.
func (w *world) handle(e incident.Event) {
	if !w.alive {
		return
	}
	if w.stuck != nil {
		w.backlog = append(w.backlog, e)
		return
	}
	next, effects := incident.Step(w.state, e)
	s := &step{e, next, effects}
	p := w.point(s)
	if p == "" {
		w.take(s)
		return
	}
	w.result.points[p]++
	o, ok := w.ambush(p)
	switch {
	case !ok:
		w.take(s)
	case o.Kind == opCrash && o.What == "lost":
		w.dieWriting(s, ledger.UnknownLost, o.For)
	case o.Kind == opCrash && o.What == "kept":
		w.dieWriting(s, ledger.UnknownKept, o.For)
	case o.Kind == opLedger:
		w.apply(o)
		w.take(s)
	default:
		w.take(s)
		w.apply(o)
	}
}

// dieWriting ends the machine in the middle of a commit. A step whose records were kept was taken, though nobody lived to
// act on it: the next life goes on from it, so that the judge must know it too.
func (w *world) dieWriting(s *step, f ledger.Failure, down time.Duration) {
	w.disk.next = f
	if err := w.disk.commit(s.effects); f == ledger.UnknownKept && !errors.Is(err, ledger.ErrConflict) {
		old := w.state
		w.state = s.next
		w.judge.stepped(&old, s)
	}
	w.crash(down)
}

// take writes a step's records, and takes it.
func (w *world) take(s *step) {
	if w.is(opLedger, "") {
		w.disk.next = ledger.Absent
	}
	err := w.disk.commit(s.effects)
	w.disk.next = ledger.None
	switch {
	case errors.Is(err, ledger.ErrConflict):
		for _, e := range s.effects {
			if p, ok := e.(incident.Put); ok && p.IfAbsent {
				w.soon(time.Millisecond, func() {
					w.handle(incident.ClaimLost{At: incident.At(w.now), Incident: p.Incident, Number: p.Number})
				})
			}
		}
		return
	case err != nil:
		w.stuck = s
		w.soon(commitRetry, w.retry)
		return
	}
	old := w.state
	w.state = s.next
	w.news = w.news || w.seen != nil && slices.ContainsFunc(s.effects, tells)
	if w.watch != nil {
		w.watch(old, s)
	}
	w.judge.stepped(&old, s)
	w.perform(s.effects)
}

// tells reports whether an effect is a record that people see.
func tells(e incident.Effect) bool {
	p, ok := e.(incident.Put)
	if !ok {
		return false
	}
	switch p.Value.(type) {
	case incident.Incident, incident.Action:
		return true
	}
	return false
}

// retry writes what could not be written, and goes on with what came meanwhile.
func (w *world) retry() {
	s := w.stuck
	w.stuck = nil
	w.take(s)
	for len(w.backlog) > 0 && w.stuck == nil && w.alive {
		e := w.backlog[0]
		w.backlog = w.backlog[1:]
		w.handle(e)
	}
}

// perform carries out the effects that are not records.
func (w *world) perform(effects []incident.Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case incident.Put, incident.Delete:
		case incident.Look:
			w.look(e)
		case incident.Sample:
			w.sample(e.Cluster)
		case incident.Prove:
			w.prove(e.VM)
		case incident.Sense:
			w.sense(e.Ask)
		case incident.Keep:
			w.keep(e)
		case incident.Proceed:
			w.soon(time.Millisecond, func() { w.handle(incident.PlanStored{At: incident.At(w.now), Incident: e.Incident}) })
		case incident.Send:
			w.send(e)
		case incident.Wake:
			w.wake = e.When
		case incident.Note:
			if w.trace != nil {
				w.trace.add(w.now, "receiver: %s %v", e.Message, e.Keys)
			}
		case incident.Refusal:
			w.result.refusals[e.Guard]++
		}
	}
}

// look reads a round. The answers are of some moment between the question and its end.
func (w *world) look(e incident.Look) {
	asked := w.now
	took := w.latency(e.Ask)
	w.soon(took/2, func() {
		w.asked[e.AskID] = w.snapshot(e, asked)
		round := w.read(e.Ask, asked)
		var lab evidence.Reading[bool]
		if e.Identify {
			lab = w.lab()
		}
		w.soon(took-took/2, func() {
			round.Finished = w.now
			w.handle(incident.Looked{At: incident.At(w.now), Incident: e.Incident, AskID: e.AskID, Round: round, Lab: lab})
		})
	})
}

func (w *world) sample(name string) {
	asked := w.now
	took := w.between(5*time.Millisecond, 50*time.Millisecond)
	if slices.ContainsFunc(w.spec.Nodes, func(n string) bool { return w.silent(n) }) {
		took = 4 * time.Second
	}
	w.soon(took/2, func() {
		views := w.views(w.spec.Nodes, "", asked)
		lab := w.lab()
		w.soon(took-took/2, func() {
			w.handle(incident.Sampled{At: incident.At(w.now), Cluster: name, Views: views, Lab: lab})
		})
	})
}

// sense is the background look at a virtual machine: what does not answer costs its whole time-out.
func (w *world) sense(a evidence.Ask) {
	took := w.between(10*time.Millisecond, 300*time.Millisecond)
	if w.manner(w.leads(a.VM.Name)) != answers || w.is(opCut, "") {
		took = a.Timeout
	}
	w.soon(took, func() {
		w.handle(incident.Sensed{At: incident.At(w.now), Vitals: w.vitals(a)})
	})
}

// keep reads what a rung is about to destroy: mostly in time, sometimes too late, and sometimes its answer is lost.
func (w *world) keep(e incident.Keep) {
	began := w.now
	took := w.between(20*time.Millisecond, 3*time.Second)
	switch w.rnd.IntN(6) {
	case 0:
		return
	case 1:
		took = w.between(4900*time.Millisecond, 9*time.Second)
	}
	w.soon(took, func() {
		s := evidence.Standing{Waits: evidence.Reading[[]evidence.Wait]{At: began, Failure: w.refusal(e.Ask.VM.Name, e.Ask.Instance)}}
		b := evidence.Bundle{Started: began, Finished: w.now, Instances: map[string]evidence.Standing{e.Ask.Instance: s}}
		w.handle(incident.Kept{At: incident.At(w.now), Incident: e.Incident, KeepID: e.KeepID, Bundle: b})
	})
}

func (w *world) prove(vm evidence.VM) {
	w.soon(w.between(10*time.Millisecond, 200*time.Millisecond), func() {
		w.handle(incident.Proved{At: incident.At(w.now), Proof: w.proof(vm)})
	})
}

// point names what the step's records are about to say, if it is one of the steps that crashes are aimed at.
func (w *world) point(s *step) Point {
	var p Point
	for _, e := range s.effects {
		switch e := e.(type) {
		case incident.Put:
			switch v := e.Value.(type) {
			case incident.Action:
				p = Point(v.State)
			case incident.Incident:
				old, ok := w.state.Incidents.Get(v.ID)
				switch {
				case p != "" || !ok:
				case old.HealthyAt.IsZero() && !v.HealthyAt.IsZero():
					p = onHealthy
				case old.Offer == nil && v.Offer != nil:
					p = onOffered
				case old.Offer != nil && v.Phase == incident.Confirming && len(v.Approvals) > len(old.Approvals):
					p = onApproved
				}
			}
		case incident.Proceed:
			if i, _ := s.next.Incidents.Get(e.Incident); p == "" && planned(i, w.now) {
				p = onPlanned
			}
		case incident.Delete, incident.Keep, incident.Look, incident.Sample, incident.Prove, incident.Send, incident.Wake, incident.Note, incident.Refusal:
		}
	}
	return p
}

// planned reports whether the incident's plan was made at this moment.
func planned(i incident.Incident, at time.Time) bool {
	return slices.ContainsFunc(i.Actions, func(a incident.Action) bool { return a.State == incident.Planned && a.Planned.Equal(at) })
}

// breaks notes that an invariant does not hold. The schedule ends there.
func (w *world) breaks(i Invariant, format string, args ...any) {
	v := Violation{Invariant: i, At: w.now.Sub(epoch), Detail: fmt.Sprintf(format, args...)}
	w.result.violations = append(w.result.violations, v)
	if w.trace != nil {
		w.trace.add(w.now, "BROKEN: %s", v)
	}
}
