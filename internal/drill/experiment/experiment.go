// Package experiment is the white paper's experiment as a command: scenarios, played in virtual time or through the real
// chain, judged by the lab's counters against drill's table of what is expected, and reported.
//
//	o := experiment.Flags(command)
//	err := o.Run(ctx, os.Stdout)
//
// In virtual time everything that decides is real (simulate's world: Step, guards, the ledger in memory over the lab's
// model); seconds pass as fast as they can be computed. On the real clock the programs run as they are shipped
// (internal/drill/stage). Configurations without a receiver are the lab alone. The durations of boots, moves and service
// starts are the profile's, given and not found out, on either clock.
package experiment

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// setting is one trial that is to be played.
type setting struct {
	Scenario      drill.Scenario
	Configuration string
	Era           string
	Clock         string
	Profile       model.Profile
	Repetition    int // from 1
	// Expected is nil where a scenario of the user's expects nothing.
	Expected *drill.Expected

	// actor is somebody else than our receiver who moves the victim; name is what the report calls him.
	actor func(*model.Model) time.Duration
	name  string
}

// experiment begins what a trial of the setting adds to a demo's.
func (c setting) experiment(clock string) *drill.Experiment {
	ladder := "default"
	if c.Scenario.Policy != drill.DefaultPolicy {
		ladder = c.Scenario.Policy
	}
	if c.Configuration != drill.MonitoredHostCluster {
		ladder = ""
	}
	if c.name != "" {
		ladder = c.name
	}
	return &drill.Experiment{
		Scenario: c.Scenario.Name, Title: c.Scenario.Title, Class: c.Scenario.Class, Era: c.Era, Clock: clock, Repetition: c.Repetition, Ladder: ladder,
		Failures: []string{}, UnexpectedErrors: []string{}, Stages: []drill.Span{},
	}
}
