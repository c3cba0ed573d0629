package receiver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// Site is the world as the driver needs it. Every method returns by its context's deadline; none keeps the context.
type Site interface {
	Read(context.Context, evidence.Ask) evidence.Round
	Sample(ctx context.Context, cluster string) map[string]evidence.Reading[cluster.View]
	Prove(context.Context, evidence.VM) evidence.Proof
	// Sense is the background look at one virtual machine.
	Sense(context.Context, evidence.Ask) evidence.Vitals
	// Keep reads what a rung is about to destroy.
	Keep(context.Context, evidence.Ask) evidence.Bundle
	// Do sends the command unless the moment has passed before its bytes could leave.
	Do(context.Context, remedy.Command, time.Time) remedy.Result
	IsLab(ctx context.Context, cluster string) (bool, error)
}

// Commit writes a batch durably; *ledger.Committer does.
type Commit func(context.Context, []ledger.Op) error

// The time-outs of what the driver starts. Step's own time-outs are in its effects.
const (
	sampleTimeout = 4 * time.Second
	proveTimeout  = 10 * time.Second
	labMargin     = 50 * time.Millisecond
	commitRetry   = time.Second
	drainTimeout  = 5 * time.Second
	queueLength   = 1024
)

// driver feeds events to incident.Step, one at a time, and carries out its effects: first the records, together and
// durably, then everything else. It decides nothing. It is the only caller of Site.Do.
type driver struct {
	site    Site
	commit  Commit
	logger  log.Logger
	metrics *metrics
	// recorder is shown every step that was taken; nil where nothing is recorded.
	recorder *recorder

	events chan incident.Event
	state  *atomic.Pointer[incident.State] // what the metrics show, too
	wake   *time.Timer
	work   sync.WaitGroup
	// ctx ends when the driver is told to stop: reads are broken off, and no command begins after it.
	ctx    context.Context //nolint:containedctx // the lifetime of the goroutines that the driver owns
	cancel context.CancelFunc

	ignoredTold map[string]bool // the ignored alerts that were logged, by their labels; the driver's goroutine's own

	fenced atomic.Bool // the ledger has refused our epoch: the driver has stopped by itself

	headTold uint64 // the newest head of the record of decisions that was logged, and when; the driver's goroutine's own
	headAt   time.Time
}

func newDriver(site Site, commit Commit, state incident.State, logger log.Logger, m *metrics) *driver {
	ctx, cancel := context.WithCancel(context.Background())
	d := &driver{
		site: site, commit: commit, logger: logger, metrics: m,
		ignoredTold: map[string]bool{}, events: make(chan incident.Event, queueLength), state: m.state, ctx: ctx, cancel: cancel,
	}
	d.wake = time.AfterFunc(time.Hour, func() { d.send(incident.Ticked{At: incident.At(time.Now())}) })
	d.state.Store(&state)
	return d
}

// run drives until the driver is stopped. first are the effects of the restored state.
func (d *driver) run(first []incident.Effect) {
	defer d.work.Wait()
	defer d.wake.Stop()
	if !d.store(first, nil) {
		return
	}
	d.perform(first)
	d.handle(incident.Ticked{At: incident.At(time.Now())})
	for {
		select {
		case <-d.ctx.Done():
			d.drain()
			return
		case e := <-d.events:
			d.handle(e)
		}
	}
}

// drain takes in what came of the commands that were on their way when the driver was told to stop: a known answer is
// written down and not looked up in the next life. Nothing is done about it in this one.
func (d *driver) drain() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), drainTimeout)
	defer cancel()
	quiet := make(chan struct{})
	go func() {
		defer close(quiet)
		d.work.Wait()
	}()
	for {
		select {
		case e := <-d.events:
			d.settle(ctx, e)
		case <-quiet:
			for {
				select {
				case e := <-d.events:
					d.settle(ctx, e)
				default:
					return
				}
			}
		}
	}
}

// settle takes the step of a command's answer without its effects. Other events are dropped: what they would lead to is
// asked for again in the next life, and a notification is in the ledger until it was taken up.
func (d *driver) settle(ctx context.Context, e incident.Event) {
	if _, ok := e.(incident.Commanded); !ok {
		return
	}
	old := d.state.Load()
	next, effects := incident.Step(*old, e)
	if err := d.commit(ctx, records(effects)); err != nil {
		level.Error(d.logger).Log("msg", "answer of a command not written down; it will be looked up", "err", err)
		return
	}
	d.state.Store(&next)
	d.recorder.record(old, e, &next, effects)
}

// stop breaks off what is being read, lets a command that has begun come back, and returns when all is quiet.
func (d *driver) stop() { d.cancel() }

// hint hands an event over if there is room: one that tells nothing new, and that comes again.
func (d *driver) hint(e incident.Event) {
	select {
	case d.events <- e:
	default:
	}
}

// send hands an event to the driver; it is dropped once the driver stops, when nobody would take it.
func (d *driver) send(e incident.Event) {
	select {
	case d.events <- e:
	case <-d.ctx.Done():
	}
}

// handle takes one step: state and effects, the records on disk, then the state is the new one, then the effects.
func (d *driver) handle(e incident.Event) {
	old := d.state.Load()
	next, effects := incident.Step(*old, e)
	if !d.store(effects, e) {
		return
	}
	d.state.Store(&next)
	d.recorder.record(old, e, &next, effects)
	d.metrics.observe(old, effects, time.Now())
	d.tellHead(&next)
	d.perform(effects)
}

// mostIgnored bounds how many ignored alerts are told apart in the log; the counter counts all.
const mostIgnored = 1000

// ignored counts an alert that nothing is done about, and logs it the first time.
func (d *driver) ignored(e incident.Ignored) {
	d.metrics.ignored.WithLabelValues(e.Reason).Inc()
	key, err := json.Marshal(e.Labels) // with sorted keys
	if err != nil || d.ignoredTold[string(key)] || len(d.ignoredTold) > mostIgnored {
		return
	}
	d.ignoredTold[string(key)] = true
	if len(d.ignoredTold) > mostIgnored {
		level.Warn(d.logger).Log("msg", "more ignored alerts are counted and not logged until the next start", "metric", "hypervigil_alerts_ignored_total")
		return
	}
	level.Info(d.logger).Log("msg", "alert ignored", "alertname", e.Labels["alertname"], "cluster", e.Labels["cluster"], "vm", e.Labels["vm"], "reason", e.Why)
}

// headEvery is how often the head of the record of decisions is logged while it grows: a copy of the log elsewhere shows
// whether its tail is missing.
const headEvery = time.Minute

func (d *driver) tellHead(s *incident.State) {
	if s.Audit.Last() == d.headTold || time.Since(d.headAt) < headEvery {
		return
	}
	d.headTold, d.headAt = s.Audit.Last(), time.Now()
	level.Info(d.logger).Log("msg", "audit head", "sequence", s.Audit.Last(), "hash", s.Audit.Head())
}

// store commits the records of a step. While the ledger cannot be written nothing goes on: a decision that is not
// on disk was not made. It reports false where the step must not be taken.
func (d *driver) store(effects []incident.Effect, e incident.Event) bool {
	batch := records(effects)
	if len(batch) == 0 {
		return true
	}
	var claim incident.Put
	for _, effect := range effects {
		if p, ok := effect.(incident.Put); ok && p.IfAbsent {
			claim = p
		}
	}
	for {
		err := d.commit(d.ctx, batch)
		switch {
		case err == nil:
			return true
		case errors.Is(err, ledger.ErrConflict) && claim.IfAbsent:
			level.Error(d.logger).Log("msg", "claim lost", "incident", claim.Incident, "action", claim.Number)
			d.work.Go(func() {
				d.send(incident.ClaimLost{At: incident.At(time.Now()), Incident: claim.Incident, Number: claim.Number})
			})
			return false
		case errors.Is(err, ledger.ErrFenced):
			// Whoever wrote with a newer epoch acts now. Nothing of this step was written, nothing of it is done, and nothing
			// that this receiver knows can be trusted any more.
			d.metrics.ledgerErrors.Inc()
			level.Error(d.logger).Log("msg", "fenced off: another receiver has taken the ledger over; this one stops and sends nothing more", "err", err)
			d.fenced.Store(true)
			d.cancel()
			return false
		case d.ctx.Err() != nil:
			return false
		}
		d.metrics.ledgerErrors.Inc()
		level.Error(d.logger).Log("msg", "ledger not written; nothing goes on until it is", "event", fmt.Sprintf("%T", e), "err", err)
		select {
		case <-d.ctx.Done():
			return false
		case <-time.After(commitRetry):
		}
	}
}

// records are the effects that go to the ledger, as one batch.
func records(effects []incident.Effect) []ledger.Op {
	var batch []ledger.Op
	for _, effect := range effects {
		switch effect := effect.(type) {
		case incident.Put:
			value, err := json.Marshal(effect.Value)
			if err != nil {
				panic(fmt.Sprintf("record %s cannot be marshalled: %v", effect.Key, err)) // a type of ours: a bug
			}
			batch = append(batch, ledger.Op{Key: effect.Key, Value: value, IfAbsent: effect.IfAbsent})
		case incident.Delete:
			batch = append(batch, ledger.Op{Key: effect.Key})
		}
	}
	return batch
}

// perform carries out the effects that are not records.
func (d *driver) perform(effects []incident.Effect) {
	for _, effect := range effects {
		switch effect := effect.(type) {
		case incident.Put:
			if a, ok := effect.Value.(incident.Action); ok { // the records are on disk, and nothing else of the step was done
				crashPoint(string(a.State))
			}
		case incident.Delete:
		case incident.Look:
			d.work.Go(func() { d.look(effect) })
		case incident.Rehearse:
			d.work.Go(func() { d.rehearse(effect) })
		case incident.Sample:
			d.work.Go(func() { d.sample(effect.Cluster) })
		case incident.Prove:
			d.work.Go(func() { d.prove(effect.VM) })
		case incident.Sense:
			d.work.Go(func() { d.sense(effect.Ask) })
		case incident.Keep:
			d.work.Go(func() { d.keep(effect) })
		case incident.Proceed:
			crashPoint(string(incident.Planned))
			d.work.Go(func() { d.send(incident.PlanStored{At: incident.At(time.Now()), Incident: effect.Incident}) })
		case incident.Send:
			d.work.Go(func() { d.command(effect) })
		case incident.Wake:
			d.wake.Reset(max(0, time.Until(effect.When)))
		case incident.Note:
			level.Info(d.logger).Log(append([]any{"msg", effect.Message}, effect.Keys...)...)
		case incident.Ignored:
			d.ignored(effect)
		case incident.Refusal:
			d.metrics.refused.WithLabelValues(effect.Guard, effect.Outcome, effect.Reason).Inc()
		}
	}
}

func (d *driver) look(e incident.Look) {
	ctx, cancel := context.WithTimeout(d.ctx, e.Ask.Timeout+labMargin)
	defer cancel()
	var lab evidence.Reading[bool]
	var both sync.WaitGroup
	if e.Identify {
		both.Go(func() { lab = d.isLab(ctx, e.Ask.VM.Cluster) })
	}
	round := d.site.Read(ctx, e.Ask)
	both.Wait()
	d.send(incident.Looked{At: incident.At(time.Now()), Incident: e.Incident, AskID: e.AskID, Round: round, Lab: lab})
}

// rehearse reads what a decision would rest on, instance by instance, at the same time.
func (d *driver) rehearse(e incident.Rehearse) {
	rounds := make([]evidence.Round, len(e.Asks))
	var all sync.WaitGroup
	for n, ask := range e.Asks {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(d.ctx, ask.Timeout+labMargin)
			defer cancel()
			rounds[n] = d.site.Read(ctx, ask)
		})
	}
	all.Wait()
	d.send(incident.Rehearsed{At: incident.At(time.Now()), VM: e.VM, Rounds: rounds})
}

func (d *driver) isLab(ctx context.Context, name string) evidence.Reading[bool] {
	is, err := d.site.IsLab(ctx, name)
	if err != nil {
		return evidence.Reading[bool]{Failure: dial.Other, Detail: err.Error(), At: time.Now()}
	}
	return evidence.Reading[bool]{Value: is, At: time.Now()}
}

func (d *driver) sample(name string) {
	ctx, cancel := context.WithTimeout(d.ctx, sampleTimeout)
	defer cancel()
	var lab evidence.Reading[bool]
	var both sync.WaitGroup
	both.Go(func() { lab = d.isLab(ctx, name) })
	views := d.site.Sample(ctx, name)
	both.Wait()
	d.send(incident.Sampled{At: incident.At(time.Now()), Cluster: name, Views: views, Lab: lab})
}

func (d *driver) prove(vm evidence.VM) {
	ctx, cancel := context.WithTimeout(d.ctx, proveTimeout)
	defer cancel()
	proof := d.site.Prove(ctx, vm)
	proof.VM = vm
	d.send(incident.Proved{At: incident.At(time.Now()), Proof: proof})
}

func (d *driver) sense(a evidence.Ask) {
	ctx, cancel := context.WithTimeout(d.ctx, a.Timeout)
	defer cancel()
	v := d.site.Sense(ctx, a)
	v.VM = a.VM
	d.send(incident.Sensed{At: incident.At(time.Now()), Vitals: v})
}

func (d *driver) keep(e incident.Keep) {
	ctx, cancel := context.WithTimeout(d.ctx, e.Ask.Timeout)
	defer cancel()
	b := d.site.Keep(ctx, e.Ask)
	d.send(incident.Kept{At: incident.At(time.Now()), Incident: e.Incident, KeepID: e.KeepID, Bundle: b})
}

// command sends one command, unless the read it rests on has grown too old meanwhile (G9). It outlives stop: what
// has begun is let to come back, within its own time-out.
func (d *driver) command(e incident.Send) {
	result := remedy.Result{StartedAt: time.Now()}
	switch {
	case d.ctx.Err() != nil:
		result.Failure, result.Detail = "stopped", "the receiver is stopping"
	case time.Now().After(e.NotAfter):
		result.Failure, result.Detail = remedy.Stale, "the read it rests on grew too old before it could be sent"
	default:
		ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), e.Command.Timeout)
		result = d.site.Do(ctx, e.Command, e.NotAfter)
		cancel()
		crashPoint(crashSent)
	}
	if result.EndedAt.IsZero() {
		result.EndedAt = time.Now()
	}
	d.metrics.commanded(e, result)
	level.Info(d.logger).Log("msg", "command", "incident", e.Incident, "method", string(e.Command.Method), "vm", e.Command.VM.String(),
		"service", e.Command.Service, "pid", e.Command.PID, "sent", result.Sent, "answered", result.Answered, "code", result.Code,
		"failure", result.Failure, "cmdlet", e.Command.Cmdlet)
	// Not by send: after a stop there is somebody who takes it, until the last command has come back.
	d.events <- incident.Commanded{At: incident.At(time.Now()), Incident: e.Incident, Number: e.Number, Result: result}
}

// reload gives the driver a new configuration; the site must know it already.
func (d *driver) reload(cfg *config.Config) {
	d.send(incident.Reloaded{At: incident.At(time.Now()), Config: cfg})
}
