package simulate

import (
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// Script is a course that somebody laid down, instead of a random schedule: the same world, receiver and judge.
type Script struct {
	Spec model.Spec
	// Policy is the YAML of the one policy, without its braces.
	Policy string
	Seed   uint64
	Steps  []ScriptStep // in the order of At
	// Alone: there is no receiver and nothing that watches; the cluster is left to itself.
	Alone bool
	// Most is how long it is followed after the last step; Least, how long at least.
	Least, Most time.Duration
	// Watch sees the world after each thing that happened, from before the first step. It may keep nothing that it is shown.
	Watch func(Sight)
	// Actor, where it is not nil, is somebody who does something to the cluster by himself: it is called for the first time at
	// the first step, and then whenever it says.
	Actor func(m *model.Model) (again time.Duration)
}

// ScriptStep is one thing done. Either Request or Chain says what.
type ScriptStep struct {
	At      time.Duration
	Request model.Request
	Chain   Part
	For     time.Duration // mended after; 0: never
}

// Part is a part of our own chain.
type Part string

// The parts that a step can take away.
const (
	ExporterPart     Part = "exporter"
	PrometheusPart   Part = "prometheus"
	AlertmanagerPart Part = "alertmanager"
	ReceiverPart     Part = "receiver"
)

// Sight is the world at a moment.
type Sight struct {
	Began     time.Time // when the steps' At count from
	Now       time.Time
	Model     *model.Model
	Incidents []incident.Incident
	Alerts    []FiringAlert
}

// FiringAlert is an alert that Prometheus holds pending or active.
type FiringAlert struct {
	evidence.Subject
	Since    time.Time // since when its condition holds
	StartsAt time.Time // zero: pending
}

// Course is what came of a script.
type Course struct {
	Began time.Time // of the steps' At
	Ended time.Time
	// Broken are the invariants that did not hold.
	Broken    []Violation
	Incidents []incident.Incident
	Model     *model.Model
	History   string
}

// Stage is a script's world with a receiver that has watched it in peace: scripts that differ in steps and seed alone begin
// there. It is safe for concurrent use.
type Stage struct{ base base }

// NewStage warms a receiver up for scripts with this cluster and policy.
func NewStage(spec model.Spec, policy string) (*Stage, error) {
	v := variant{name: "script", policy: policy, watched: spec.CheckHeartbeat, strict: true}
	b, err := v.warmOn(spec)
	if err != nil {
		return nil, err
	}
	return &Stage{b}, nil
}

// Play plays a script; its Spec and Policy are the stage's. It returns an error only where a step cannot be done.
func (s *Stage) Play(script Script) (Course, error) {
	var t trace
	return playScript(s.base, script, &t)
}

// PlayAlone plays a script without a receiver.
func PlayAlone(script Script) (Course, error) {
	script.Alone = true
	cfg, err := variant{policy: "mode: observe"}.settings(script.Spec)
	if err != nil {
		return Course{}, err
	}
	var t trace
	return playScript(base{spec: script.Spec, config: cfg}, script, &t)
}

func playScript(b base, script Script, t *trace) (Course, error) {
	w, err := newWorld(b, Schedule{Seed: script.Seed}, t)
	if err != nil {
		return Course{}, err
	}
	p := &player{world: w, script: script}
	return p.play()
}

// player plays one script.
type player struct {
	*world
	script  Script
	began   time.Time
	pending int // steps to come, and mending
	err     error
}

func (p *player) play() (c Course, err error) {
	w := p.world
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the receiver's code panics: %v", r)
		}
	}()
	if p.script.Alone {
		w.queue = nil // nobody scrapes
		w.run(epoch)
	}
	// Faults come at any moment of a scrape.
	phase := w.between(0, scrapeEvery)
	began := w.now.Add(phase)
	p.began = began
	if p.script.Watch != nil {
		w.seen = func() { p.script.Watch(p.sight()) }
		w.seen()
	}
	last := time.Duration(0)
	for n, s := range p.script.Steps {
		last = max(last, s.At)
		p.pending++
		w.after(phase+s.At, func() {
			p.pending--
			if err := p.do(s); err != nil && p.err == nil {
				p.err = fmt.Errorf("step %d: %w", n+1, err)
			}
		})
	}
	if p.script.Actor != nil {
		w.after(phase, p.act)
	}
	w.run(began.Add(last + p.script.Least))
	for end := began.Add(last + p.script.Most); p.err == nil && w.now.Before(end) && len(w.result.violations) == 0 && !p.done(); {
		w.run(w.now.Add(time.Second))
	}
	if p.err != nil {
		return Course{}, p.err
	}
	if !p.script.Alone {
		w.outcome()
	}
	return Course{
		Began: began, Ended: w.now, Broken: w.result.violations, Incidents: w.incidents(), Model: w.model, History: w.trace.String(),
	}, nil
}

func (p *player) act() {
	again := p.script.Actor(p.model)
	p.news = true
	if again > 0 {
		p.after(again, p.act)
	}
}

// done reports whether nothing is to come any more.
func (p *player) done() bool {
	if p.pending > 0 || p.moves() {
		return false
	}
	return p.script.Alone || p.alive && p.stuck == nil && len(p.unsettled()) == 0 && len(p.unheard()) == 0 && len(p.waiting()) == 0
}

// waiting are the incidents that wait for something, though they may do so rightly.
func (p *player) waiting() []incident.Incident {
	var list []incident.Incident
	for i := range p.state.Incidents.All() {
		if !i.Closed() && i.Phase == incident.Waiting && i.ExplainedBy == "" {
			list = append(list, i)
		}
	}
	return list
}

func (w *world) incidents() []incident.Incident {
	var list []incident.Incident
	for i := range w.state.Incidents.All() {
		list = append(list, i)
	}
	return list
}

func (p *player) sight() Sight {
	s := Sight{Began: p.began, Now: p.now, Model: p.model, Incidents: p.incidents()}
	for _, a := range p.alerts.list {
		if !a.since.IsZero() {
			s.Alerts = append(s.Alerts, FiringAlert{a.Subject, a.since, a.startsAt})
		}
	}
	return s
}

// do does one step, and has it mended.
func (p *player) do(s ScriptStep) error {
	w := p.world
	if s.Chain != "" {
		return p.take(s)
	}
	in, err := w.model.Inject(s.Request)
	if err != nil {
		return err
	}
	w.trace.add(w.now, "step: %+v", in.Request)
	w.news = true
	w.judge.injected(in)
	if s.For > 0 {
		p.pending++
		w.after(s.For, func() {
			p.pending--
			w.news = true
			w.model.Heal(in.ID)
		})
	}
	return nil
}

// take takes a part of the chain away.
func (p *player) take(s ScriptStep) error {
	w := p.world
	d := s.For
	if d == 0 {
		d = p.script.Most
	}
	w.trace.add(w.now, "step: %s is down for %s", s.Chain, d)
	switch s.Chain {
	case ExporterPart: // there are no figures, so that no alert begins
		w.lasts(opUnseen, "", d)
	case PrometheusPart:
		w.lasts(opUnseen, "", d)
		w.lasts(opMute, "", d)
	case AlertmanagerPart:
		w.lasts(opAMDown, "", d)
		w.lasts(opLose, "", d)
	case ReceiverPart:
		w.crash(d)
	default:
		return fmt.Errorf("no part of the chain is called %q", s.Chain)
	}
	if s.For > 0 {
		p.pending++
		w.after(s.For, func() { p.pending-- })
	}
	return nil
}
