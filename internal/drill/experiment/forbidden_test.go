package experiment

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// anIncident is one of a virtual machine, in a phase.
func anIncident(id, vm string, p incident.Phase, explainedBy string) incident.Incident {
	return incident.Incident{ID: id, Subject: evidence.Subject{VM: evidence.VM{Cluster: "c", Name: vm}}, Phase: p, ExplainedBy: explainedBy, Summary: "s"}
}

// TestWhatIsForbiddenIsOfEveryMachine: not of the victim alone.
func TestWhatIsForbiddenIsOfEveryMachine(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	closed := anIncident("closed", "SQL01", incident.Waiting, "")
	closed.ClosedAt = began
	one := drill.Scenario{Steps: []drill.Step{{Fault: "host-power-off"}}}
	for name, test := range map[string]struct {
		scenario  drill.Scenario
		ours      []time.Duration // moves of SQL02, after the beginning
		clusters  []time.Duration
		incidents []incident.Incident
		want      []string
	}{
		"one failover of it":            {one, nil, []time.Duration{time.Second}, nil, nil},
		"two of the cluster's":          {one, nil, []time.Duration{time.Second, time.Minute}, nil, []string{"SQL02: 2 failovers for 1 faults"}},
		"the cluster's and ours":        {one, []time.Duration{time.Minute}, []time.Duration{time.Second}, nil, []string{"SQL02: 2 failovers for 1 faults"}},
		"one from before the beginning": {one, []time.Duration{-time.Minute}, []time.Duration{time.Second}, nil, nil},
		"two for two faults": {
			drill.Scenario{Steps: []drill.Step{{Fault: "host-power-off", Trial: drill.BeginsHere}, {At: time.Minute, Fault: "host-power-off"}}},
			nil,
			[]time.Duration{time.Second, time.Minute},
			nil, nil,
		},
		"two for one fault after another one": {
			drill.Scenario{Steps: []drill.Step{{Fault: "drain"}, {At: time.Minute, Fault: "host-power-off"}}},
			nil,
			[]time.Duration{time.Second, time.Minute},
			nil,
			[]string{"SQL02: 2 failovers for 1 faults"},
		},
		"ends and what they explain": {one, nil, nil, []incident.Incident{
			closed, anIncident("h", "SQL01", incident.Healed, ""), anIncident("e", "SQL02", incident.Waiting, "h"), anIncident("p", "SQL02", incident.Proposed, ""),
		}, nil},
		"one that waits":                   {one, nil, nil, []incident.Incident{anIncident("w", "SQL04", incident.Waiting, "")}, []string{"incident w is left hanging, waiting: s"}},
		"one explained by one that waits":  {one, nil, nil, []incident.Incident{anIncident("w", "SQL04", incident.Waiting, ""), anIncident("x", "SQL04", incident.Open, "w")}, []string{"incident w is left hanging, waiting: s", "incident x is left hanging, open: s"}},
		"one explained by one that is not": {one, nil, nil, []incident.Incident{anIncident("x", "SQL04", incident.Open, "gone")}, []string{"incident x is left hanging, open: s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counts := func(after []time.Duration) (list []model.Count) {
				for _, d := range after {
					list = append(list, model.Count{At: began.Add(d)})
				}
				return list
			}
			m := &model.Model{VMs: []*model.VM{{Name: "SQL01"}, {Name: "SQL02"}}}
			m.VMs[1].Counts.FailoversByCluster, m.VMs[1].Counts.MovesCommanded = counts(test.clusters), counts(test.ours)
			var a all
			a.see(m, began, test.incidents)
			a.see(m, began, nil) // the receiver did not answer
			if diff := cmp.Diff(test.want, a.forbidden(test.scenario)); diff != "" {
				t.Errorf("forbidden (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWhenATrialIsOver: once nothing is waited for any more, and not before.
func TestWhenATrialIsOver(t *testing.T) {
	t.Parallel()
	down := 7.6
	cut := []drill.Moment{{AtSeconds: 0, Event: drill.EventFault}, {AtSeconds: 0.1, Event: drill.EventDown}}
	back := append(cut[:2:2], drill.Moment{AtSeconds: down, Event: drill.EventUp})
	healed := drill.Expected{Row: drill.Row{Outcome: string(incident.Healed), Bound: 180 * time.Second}}
	for name, test := range map[string]struct {
		expected  drill.Expected
		alone     bool
		known     drill.Trial
		ended     bool
		incidents []incident.Incident
		gone      time.Duration
		want      bool
	}{
		"alone, it is down":                       {healed, true, drill.Trial{Timeline: cut}, false, nil, time.Minute, false},
		"alone, it is back":                       {healed, true, drill.Trial{Timeline: back, SQLDownSeconds: &down}, false, nil, 8 * time.Second, true},
		"the cluster was faster, just now":        {healed, false, drill.Trial{Timeline: back, SQLDownSeconds: &down}, false, nil, 20 * time.Second, false},
		"the cluster was faster, and no alert":    {healed, false, drill.Trial{Timeline: back, SQLDownSeconds: &down}, false, nil, 28 * time.Second, true},
		"down, and no alert yet":                  {healed, false, drill.Trial{Timeline: cut}, false, nil, time.Minute, false},
		"an incident that is not at its end":      {healed, false, drill.Trial{Timeline: back, SQLDownSeconds: &down, Incident: "i"}, false, []incident.Incident{anIncident("i", "SQL01", incident.Recovering, "")}, time.Minute, false},
		"an incident at its end":                  {healed, false, drill.Trial{Timeline: back, SQLDownSeconds: &down, Incident: "i"}, true, []incident.Incident{anIncident("i", "SQL01", incident.Healed, "")}, time.Minute, true},
		"another one that hangs":                  {healed, false, drill.Trial{Timeline: back, SQLDownSeconds: &down, Incident: "i"}, true, []incident.Incident{anIncident("i", "SQL01", incident.Healed, ""), anIncident("o", "SQL02", incident.Waiting, "")}, time.Minute, false},
		"no more is waited for":                   {healed, false, drill.Trial{Timeline: cut}, false, []incident.Incident{anIncident("o", "SQL02", incident.Waiting, "")}, 241 * time.Second, true},
		"down is expected, for long enough":       {drill.Expected{Row: drill.Row{Outcome: drill.Down}}, false, drill.Trial{Timeline: cut}, false, nil, 41 * time.Second, true},
		"down is expected, for not long enough":   {drill.Expected{Row: drill.Row{Outcome: drill.Down}}, false, drill.Trial{Timeline: cut}, false, nil, 39 * time.Second, false},
		"down is expected, and an incident hangs": {drill.Expected{Row: drill.Row{Outcome: drill.Down}}, false, drill.Trial{Timeline: cut}, false, []incident.Incident{anIncident("o", "SQL02", incident.Open, "")}, 41 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &course{setting: setting{Expected: &test.expected, Profile: model.Quick()}}
			if !test.alone {
				c.chain = &drill.Endpoints{}
			}
			c.observer = newObserver(c.setting)
			c.observer.known, c.observer.ended, c.observer.all.incidents = test.known, test.ended, test.incidents
			if got := c.over(test.gone); got != test.want {
				t.Errorf("over after %s = %t, want %t", test.gone, got, test.want)
			}
		})
	}
}
