// Package drill is the measured experiment: a fault, everything that follows from it as each part of the chain tells
// it, and a report. It watches from outside, by the parts' own HTTP interfaces; a trial is judged by the counters of
// the lab, never by the word of the program under test. It does not know the lab: what sets one up is in
// internal/drill/stage.
package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// pollEvery is how often the parts are asked.
const pollEvery = 200 * time.Millisecond

// Trialling is a fault under watch.
type Trialling struct {
	Endpoints Endpoints
	Out       io.Writer // the story as it happens; nil: silence
	Fault     Fault
	At        time.Time // of the fault, by the lab's clock
	Profile   string

	// Incident is the one that the trial follows; empty: the leading one of Fault.VM that opened after At.
	Incident string

	seen   map[string]bool
	story  []Moment
	downAt map[string]time.Time // instances of the VM, down since
	upAt   map[string]time.Time
}

// Configuration is the only one of the white paper's three that this release runs.
const Configuration = "monitored-host-cluster"

// Watch follows the trial until its incident has come to its end, or ctx ends. It returns what is known by then;
// the error says why there is no end.
func (t *Trialling) Watch(ctx context.Context) (Trial, error) {
	t.begin()
	t.tell(t.At, "fault", t.Fault.Fault+" on "+t.Fault.VM)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		trial, ended, err := t.look(ctx)
		if err != nil && ctx.Err() == nil {
			t.once("trouble "+err.Error(), time.Now(), "not answered", err.Error())
		}
		if ended {
			return trial, nil
		}
		select {
		case <-ctx.Done():
			return trial, fmt.Errorf("the incident came to no end: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

func (t *Trialling) begin() {
	t.seen = map[string]bool{}
	t.downAt, t.upAt = map[string]time.Time{}, map[string]time.Time{}
}

// look asks every part once and tells what is new.
func (t *Trialling) look(ctx context.Context) (Trial, bool, error) {
	var errs []error
	keep := func(err error) { errs = append(errs, err) }
	state, err := t.Endpoints.State(ctx)
	keep(err)
	t.lab(state)
	counters, err := t.Endpoints.Counters(ctx)
	keep(err)
	counts := counters.VMs[t.Fault.VM]
	t.counted(counts)
	if at, ok, err := t.Endpoints.FirstFailedProbe(ctx, t.Fault.VM, t.Fault.Instance, t.At); err == nil && ok {
		t.once("probe", at, "first failed probe", "Prometheus' first sample of a failed probe")
	} else {
		keep(err)
	}
	alerts, err := t.Endpoints.Alerts(ctx)
	keep(err)
	for _, a := range alerts {
		if a.Labels["vm"] == t.Fault.VM && a.State == "firing" && a.Labels["hypervigil"] == "act" && !a.ActiveAt.Before(t.At) {
			t.once("alert "+a.Labels["alertname"]+a.Labels["sql_instance"], a.ActiveAt, "alert", a.Labels["alertname"]+" fires in Prometheus")
		}
	}
	incidents, err := t.Endpoints.Incidents(ctx)
	keep(err)
	i, ok := t.pick(incidents)
	if ok {
		t.incident(i)
	}
	trial := t.trial(i, counts)
	// While the end is the incident's, SQL Server's return is the lab's: both belong to a trial that heals.
	ended := ok && Ended(i) && (i.Phase != incident.Healed || len(t.upAt) > 0 || len(t.downAt) == 0)
	return trial, ended, errors.Join(errs...)
}

// Ended reports whether an incident has come to an end that nothing of ours changes any more.
func Ended(i incident.Incident) bool {
	switch i.Phase {
	case incident.Healed, incident.Refused, incident.Told, incident.Escalated, incident.Proposed:
		return true
	case incident.Open, incident.Confirming, incident.Waiting, incident.Acting, incident.Verifying, incident.Recovering:
		return false
	}
	return false
}

// pick finds the trial's incident: the leading one that opened after the fault.
func (t *Trialling) pick(all []incident.Incident) (incident.Incident, bool) {
	order := evidence.Faults()
	var best incident.Incident
	found := false
	for _, i := range all {
		switch {
		case t.Incident != "":
			if i.ID == t.Incident {
				return i, true
			}
			continue
		case i.VM.Name != t.Fault.VM || i.OpenedAt.Before(t.At):
			continue
		}
		if !found || slices.Index(order, i.Fault) < slices.Index(order, best.Fault) {
			best, found = i, true
		}
	}
	return best, found
}

// lab tells what the lab's state shows of the virtual machine.
func (t *Trialling) lab(s LabState) {
	for _, q := range s.Instances {
		if q.VM != t.Fault.VM || q.Since.Before(t.At) && q.Up {
			continue
		}
		if !q.Up {
			t.downAt[q.Instance] = q.Since
			t.once("down "+q.Instance, q.Since, "SQL Server down", q.Instance)
			continue
		}
		if _, down := t.downAt[q.Instance]; down {
			t.upAt[q.Instance] = q.Since
			t.once("up "+q.Instance+q.Since.String(), q.Since, "SQL Server answers", q.Instance)
		}
	}
}

func (t *Trialling) counted(c LabCounts) {
	tell := func(kind, event string, list []LabCount) {
		for n, x := range list {
			if !x.At.Before(t.At) {
				t.once(fmt.Sprint(kind, n), x.At, event, x.Method)
			}
		}
	}
	tell("command", "command received", c.Commands)
	tell("failover", "failover by the cluster", c.FailoversByCluster)
	tell("move", "move commanded", c.MovesCommanded)
}

// incident tells what is new in the incident's own story, and every guard's verdict once it has decided.
func (t *Trialling) incident(i incident.Incident) {
	t.once("webhook", i.OpenedAt, "webhook", "accepted; incident "+i.ID)
	for _, e := range i.Timeline {
		if e.Event == "acting" || e.Event == "refused" || e.Event == "told" || e.Event == "proposed" {
			for _, v := range i.Verdicts {
				if v.Guard != "G9" {
					t.once("verdict "+v.Guard, e.At, "guard "+v.Guard, fmt.Sprintf("%s: %s (%s)", v.Outcome, v.Detail, v.Name))
				}
			}
		}
		t.once("story "+e.At.String()+e.Event+e.Detail, e.At, e.Event, e.Detail)
	}
}

// once adds a moment to the story, the first time that its key is seen.
func (t *Trialling) once(key string, at time.Time, event, detail string) {
	if t.seen[key] {
		return
	}
	t.seen[key] = true
	t.tell(at, event, detail)
}

func (t *Trialling) tell(at time.Time, event, detail string) {
	m := Moment{AtSeconds: at.Sub(t.At).Round(time.Millisecond).Seconds(), Event: event, Detail: detail}
	t.story = append(t.story, m)
	if t.Out != nil {
		fmt.Fprintf(t.Out, "%+8.2f s  %-24s %s\n", m.AtSeconds, m.Event, m.Detail)
	}
}

// trial is what is known by now.
func (t *Trialling) trial(i incident.Incident, c LabCounts) Trial {
	r := Trial{
		Fault: t.Fault.Fault, Configuration: Configuration, Profile: t.Profile, VM: t.Fault.VM, Instance: t.Fault.Instance,
		Incident: i.ID, Alert: i.Alert.Name, FaultAt: t.At.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		Commands: []string{}, Outcome: string(i.Phase), HealedBy: string(i.HealedBy), Summary: i.Summary,
	}
	since := func(list []LabCount) (n []LabCount) {
		for _, x := range list {
			if !x.At.Before(t.At) {
				n = append(n, x)
			}
		}
		return n
	}
	if i.ID != "" {
		r.DetectionSeconds = after(t.At, i.OpenedAt)
		if r.Instance == "" {
			r.Instance = i.Instance
		}
	}
	commands := since(c.Commands)
	for _, x := range commands {
		r.Commands = append(r.Commands, x.Method)
	}
	if len(commands) > 0 {
		r.FirstCommandSeconds = after(t.At, commands[0].At)
	}
	r.FailoversByCluster, r.FailoversCommanded = len(since(c.FailoversByCluster)), len(since(c.MovesCommanded))
	for _, instance := range slices.Sorted(maps.Keys(t.downAt)) {
		up, ok := t.upAt[instance]
		if !ok || (r.Instance != "" && r.Instance != evidence.NoInstance && r.Instance != instance) {
			continue
		}
		if d := after(t.downAt[instance], up); r.SQLDownSeconds == nil || *d > *r.SQLDownSeconds {
			r.SQLDownSeconds = d
		}
	}
	r.Timeline = slices.Clone(t.story)
	slices.SortStableFunc(r.Timeline, func(a, b Moment) int {
		switch {
		case a.AtSeconds < b.AtSeconds:
			return -1
		case a.AtSeconds > b.AtSeconds:
			return 1
		}
		return 0
	})
	return r
}

func after(from, to time.Time) *float64 {
	d := to.Sub(from).Round(time.Millisecond).Seconds()
	return &d
}
