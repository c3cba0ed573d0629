package experiment

import (
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/simulate"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// How long a course in virtual time is followed after its last step. The longest wait is that of a hold until a person is
// needed, an hour. Nothing of that costs anything.
const (
	leastFollowed = 10 * time.Minute
	mostFollowed  = 80 * time.Minute
)

// virtual plays scenarios in virtual time. The receivers that have watched a healthy cluster are kept, for all the trials
// that begin there. It has one goroutine.
type virtual struct {
	stages map[string]*simulate.Stage
}

func (v *virtual) stage(spec model.Spec, era, policy string) (*simulate.Stage, error) {
	key := fmt.Sprintf("%s %s %s %d %d", policy, spec.Profile.Name, era, len(spec.Nodes), len(spec.VMs))
	if s := v.stages[key]; s != nil {
		return s, nil
	}
	s, err := simulate.NewStage(spec, drill.Policies()[policy])
	if err != nil {
		return nil, err
	}
	if v.stages == nil {
		v.stages = map[string]*simulate.Stage{}
	}
	v.stages[key] = s
	return s, nil
}

// play plays one trial, and judges it where something is expected of it.
func (v *virtual) play(c setting) (drill.Trial, error) {
	spec, err := clusterOf(c.Scenario, c.Configuration, c.Era, c.Profile)
	if err != nil {
		return drill.Trial{}, err
	}
	o := newObserver(c)
	script := simulate.Script{
		Spec: spec, Seed: uint64(c.Repetition), Least: leastFollowed, Most: mostFollowed, //nolint:gosec // not negative
		Steps: steps(c.Scenario, spec), Watch: o.sees, Actor: c.actor,
	}
	var course simulate.Course
	if c.Configuration == drill.MonitoredHostCluster && c.actor == nil {
		stage, err := v.stage(spec, c.Era, c.Scenario.Policy)
		if err != nil {
			return drill.Trial{}, err
		}
		if course, err = stage.Play(script); err != nil {
			return drill.Trial{}, err
		}
	} else if course, err = simulate.PlayAlone(script); err != nil {
		return drill.Trial{}, err
	}
	t := o.trial(drill.VirtualClock)
	o.judge(&t)
	for _, b := range course.Broken {
		t.Failures = append(t.Failures, fmt.Sprintf("broken after %s: %s", b.At.Round(time.Millisecond), b))
	}
	return t, nil
}

// sees takes one sight of a virtual world.
func (o *observer) sees(s simulate.Sight) {
	if o.began.IsZero() {
		o.begin(s.Began.Add(o.Scenario.Begins().At))
	}
	if s.Now.Before(o.began) {
		return
	}
	chain := drill.Observation{At: s.Now, Incidents: s.Incidents}
	for _, a := range s.Alerts {
		if a.Name != o.Scenario.Victim.VM {
			continue
		}
		if chain.Failed.IsZero() || a.Since.Before(chain.Failed) {
			chain.Failed = a.Since
		}
		if !a.StartsAt.IsZero() {
			chain.Alerts = append(chain.Alerts, drill.PrometheusAlert{
				State: "firing", ActiveAt: a.StartsAt,
				Labels: map[string]string{"alertname": string(a.Fault), "vm": a.Name, "sql_instance": a.Instance, "hypervigil": "act"},
			})
		}
	}
	o.see(s.Model, chain)
}

// steps are a scenario's steps as simulate takes them.
func steps(s drill.Scenario, spec model.Spec) []simulate.ScriptStep {
	parts := map[string]simulate.Part{
		drill.ExporterDown: simulate.ExporterPart, drill.PrometheusDown: simulate.PrometheusPart,
		drill.AlertmanagerDown: simulate.AlertmanagerPart, drill.ReceiverDown: simulate.ReceiverPart,
	}
	var list []simulate.ScriptStep
	for _, step := range s.Steps {
		if p, ok := parts[step.Fault]; ok {
			list = append(list, simulate.ScriptStep{At: step.At, Chain: p, For: step.For})
			continue
		}
		for _, r := range requests(s, step, spec) {
			list = append(list, simulate.ScriptStep{At: step.At, Request: r, For: step.For})
		}
	}
	return list
}
