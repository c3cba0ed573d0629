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
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// The rhythm of the watch: how often the parts are asked, and how long it may be silent towards its reader.
const (
	pollEvery = 200 * time.Millisecond
	sayEvery  = 2 * time.Second
	// A wait of minutes is told less often.
	longAfter    = 20 * time.Second
	sayLongEvery = 5 * time.Second
)

// Trialling is a fault under watch.
type Trialling struct {
	Endpoints Endpoints
	Out       io.Writer // the story as it happens, one Write a line; nil: silence
	Fault     Fault
	Cluster   string    // of Fault.VM; empty where there is only one
	At        time.Time // of the fault, by the lab's clock
	Profile   string

	// Incident is the one that the trial follows; empty: the leading one of Fault.VM that opened after At.
	Incident string
	// Patience is how long after the fault an incident may take to come; zero: as long as the context lasts.
	Patience time.Duration

	seen   map[string]bool
	news   []happening // of this look, not told yet
	story  []Moment
	said   time.Time            // the newest line
	downAt map[string]time.Time // instances of the VM, down since
	upAt   map[string]time.Time
	// The newest answers: a part that does not answer once takes nothing back.
	counts    LabCounts
	incidents []incident.Incident
}

// happening is a moment of the story before it is told.
type happening struct {
	at            time.Time
	event, detail string
}

// Configuration is the only one of the white paper's three that this release runs.
const Configuration = "monitored-host-cluster"

// ErrNoIncident is the error of a trial whose fault led to no incident.
var ErrNoIncident = errors.New("no incident came of the fault")

// Watch follows the trial until its incident has come to its end, or ctx ends. It returns what is known by then;
// the error says why there is no end.
func (t *Trialling) Watch(ctx context.Context) (Trial, error) {
	t.begin()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		trial, i, ended, err := t.look(ctx)
		if err != nil && ctx.Err() == nil {
			t.once("trouble "+err.Error(), time.Now(), "not answered", err.Error())
			t.tell()
		}
		if ended {
			return trial, nil
		}
		if t.Patience > 0 && trial.Incident == "" && time.Since(t.At) > t.Patience {
			return trial, fmt.Errorf("%w within %s", ErrNoIncident, t.Patience)
		}
		t.still(i)
		select {
		case <-ctx.Done():
			return trial, fmt.Errorf("the incident came to no end: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func (t *Trialling) begin() {
	t.seen = map[string]bool{}
	t.downAt, t.upAt = map[string]time.Time{}, map[string]time.Time{}
	t.At = t.At.Truncate(time.Millisecond) // as the lab writes the times that it is compared with
	t.once(EventFault, t.At, EventFault, t.Fault.Fault+" on "+t.Fault.VM)
}

// Observation is what the parts of the chain say at one moment. What a part did not say is as it was before.
type Observation struct {
	At        time.Time
	State     LabState
	Counts    *LabCounts // of the trial's virtual machine
	Failed    time.Time  // of the first failed probe; zero: none is known
	Alerts    []PrometheusAlert
	Incidents []incident.Incident // nil: not said
}

// Observe takes one observation into the trial's story, without asking anybody: for who plays the world himself, in its own
// time. The trial is what is known by then; it has ended once its incident has come to its end.
func (t *Trialling) Observe(o Observation) (trial Trial, ended bool) {
	if t.seen == nil {
		t.begin()
	}
	trial, _, ended = t.observe(o)
	return trial, ended
}

// look asks every part once and tells what is new.
func (t *Trialling) look(ctx context.Context) (Trial, incident.Incident, bool, error) {
	var errs []error
	keep := func(err error) { errs = append(errs, err) }
	o := Observation{At: time.Now()}
	var err error
	o.State, err = t.Endpoints.State(ctx)
	keep(err)
	counters, err := t.Endpoints.Counters(ctx)
	keep(err)
	if err == nil {
		counts := counters.VMs[t.Fault.VM]
		o.Counts = &counts
	}
	if !t.seen[keyProbe] {
		at, ok, err := t.Endpoints.FirstFailedProbe(ctx, t.Cluster, t.Fault.VM, t.Fault.Instance, t.At)
		keep(err)
		if ok {
			o.Failed = at
		}
	}
	o.Alerts, err = t.Endpoints.Alerts(ctx)
	keep(err)
	incidents, err := t.Endpoints.Incidents(ctx)
	keep(err)
	if err == nil {
		o.Incidents = append([]incident.Incident{}, incidents...)
	}
	trial, i, ended := t.observe(o)
	return trial, i, ended, errors.Join(errs...)
}

// observe tells what is new in an observation.
func (t *Trialling) observe(o Observation) (Trial, incident.Incident, bool) {
	t.lab(o.State)
	if o.Counts != nil {
		t.counts = *o.Counts
	}
	t.counted(t.counts)
	if !o.Failed.IsZero() {
		t.once(keyProbe, o.Failed, EventProbe, "Prometheus' first sample of a failed probe")
	}
	for _, a := range o.Alerts {
		if a.Labels["vm"] == t.Fault.VM && t.in(a.Labels["cluster"]) && a.State == "firing" && a.Labels["hypervigil"] == "act" && !a.ActiveAt.Before(t.At) {
			t.once("alert "+a.Labels["alertname"]+a.Labels["sql_instance"], a.ActiveAt, EventAlert, a.Labels["alertname"]+" fires in Prometheus")
		}
	}
	if o.Incidents != nil {
		t.incidents = o.Incidents
	}
	i, ok := t.pick(t.incidents)
	if ok {
		t.incident(i, o.At)
	}
	t.tell()
	trial := t.trial(i, t.counts)
	if first := t.first(t.incidents); !first.IsZero() {
		trial.DetectionSeconds = after(t.At, first)
	}
	// While the end is the incident's, SQL Server's return is the lab's: both belong to a trial that heals.
	ended := ok && Ended(i) && (i.Phase != incident.Healed || len(t.upAt) > 0 || len(t.downAt) == 0)
	return trial, i, ended
}

// keyProbe is the first failed probe among what was seen.
const keyProbe = "probe"

// first is when the first incident of the trial's virtual machine was opened, whatever its class: the first accepted
// webhook. Zero while there is none.
func (t *Trialling) first(all []incident.Incident) (first time.Time) {
	for _, i := range all {
		mine := t.Incident == "" && t.about(i) || i.ID == t.Incident
		if mine && !i.OpenedAt.Before(t.At) && (first.IsZero() || i.OpenedAt.Before(first)) {
			first = i.OpenedAt
		}
	}
	return first
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
		case i.OpenedAt.Before(t.At) || !t.about(i):
			continue
		}
		if !found || slices.Index(order, i.Fault) < slices.Index(order, best.Fault) {
			best, found = i, true
		}
	}
	return best, found
}

// in reports whether the trial's virtual machine is in a cluster.
func (t *Trialling) in(cluster string) bool { return t.Cluster == "" || t.Cluster == cluster }

// about reports whether an incident can be of the trial's instance: its own, or one of its whole machine.
func (t *Trialling) about(i incident.Incident) bool {
	if i.VM.Name != t.Fault.VM || !t.in(i.VM.Cluster) {
		return false
	}
	return t.Fault.Instance == "" || i.Instance == evidence.NoInstance || i.Instance == t.Fault.Instance
}

// lab tells what the lab's state shows of the virtual machine.
func (t *Trialling) lab(s LabState) {
	for _, q := range s.Instances {
		if q.VM != t.Fault.VM || q.Since.Before(t.At) && q.Up {
			continue
		}
		if !q.Up {
			if _, before := t.downAt[q.Instance]; !before {
				t.downAt[q.Instance] = q.Since
			}
			delete(t.upAt, q.Instance)
			t.once("down "+q.Instance+q.Since.String(), q.Since, EventDown, q.Instance)
			continue
		}
		if _, down := t.downAt[q.Instance]; down {
			t.upAt[q.Instance] = q.Since
			t.once("up "+q.Instance+q.Since.String(), q.Since, EventUp, q.Instance)
		}
	}
}

func (t *Trialling) counted(c LabCounts) {
	tell := func(kind, event string, list []LabCount) {
		for n, x := range list {
			if !x.At.Before(t.At) {
				t.once(fmt.Sprint(kind, n), x.At, event, strings.TrimSpace(x.Method+" "+x.Detail))
			}
		}
	}
	tell("command", EventCommand, c.Commands)
	tell("failover", "failover by the cluster", c.FailoversByCluster)
	tell("restart", "restart by the cluster", c.RestartsByCluster)
	tell("move", "move commanded", c.MovesCommanded)
}

// incident tells what is new in the incident's own story, and each guard's verdict before what follows from it.
func (t *Trialling) incident(i incident.Incident, now time.Time) {
	t.once("webhook "+i.ID, i.OpenedAt, EventWebhook, "accepted; incident "+i.ID)
	for _, v := range i.Verdicts {
		// What the guard said last is not said again; its details change from round to round.
		t.once("verdict "+i.ID+v.Guard+string(v.Outcome)+v.Reason, t.judged(i, v.Guard, now), EventGuard+v.Guard,
			fmt.Sprintf("%s: %s (%s)", v.Outcome, v.Detail, v.Name))
	}
	for _, e := range i.Timeline {
		event := e.Event
		if event == "healthy" {
			event = EventVerification
		}
		t.once(storyKey(i, e), e.At, event, e.Detail)
	}
}

// storyKey is a line of an incident's story among what was seen.
func storyKey(i incident.Incident, e incident.Entry) string {
	return "story " + i.ID + e.At.String() + e.Event + e.Detail
}

// judged is when a verdict that is new in this look was given: with the decision that followed from it, or, where none
// did, now.
func (t *Trialling) judged(i incident.Incident, id string, now time.Time) time.Time {
	decisions := []string{"held", string(incident.Acting), string(incident.Refused), string(incident.Told), string(incident.Proposed), "rung refused"}
	if id == "G9" {
		decisions = []string{"issued", "not sent"}
	}
	for n := len(i.Timeline) - 1; n >= 0; n-- {
		if e := i.Timeline[n]; slices.Contains(decisions, e.Event) {
			if !t.seen[storyKey(i, e)] {
				return e.At
			}
			break
		}
	}
	return now
}

// once adds a moment to the story, the first time that its key is seen.
func (t *Trialling) once(key string, at time.Time, event, detail string) {
	if t.seen[key] {
		return
	}
	t.seen[key] = true
	t.news = append(t.news, happening{at, event, detail})
}

// tell tells what is new, in the order in which it happened.
func (t *Trialling) tell() {
	slices.SortStableFunc(t.news, func(a, b happening) int { return a.at.Compare(b.at) })
	for _, h := range t.news {
		m := Moment{AtSeconds: seconds3(h.at.Sub(t.At)), Event: h.event, Detail: h.detail}
		t.story = append(t.story, m)
		if t.Out != nil {
			fmt.Fprintf(t.Out, "%+8.2f s  %-24s %s\n", m.AtSeconds, m.Event, m.Detail)
		}
		t.said = time.Now()
	}
	t.news = nil
}

// still says where the trial stands after a silence.
func (t *Trialling) still(i incident.Incident) {
	gone, silence := time.Since(t.At), time.Since(t.said)
	if t.Out == nil || silence < sayEvery || gone > longAfter && silence < sayLongEvery {
		return
	}
	t.said = time.Now()
	what := "no alert has arrived yet"
	if i.ID != "" {
		what = string(i.Phase) + ": " + i.Summary
	}
	if i.Phase == incident.Confirming || i.Phase == incident.Waiting {
		if v, stopped := guard.Decide(i.Verdicts); stopped {
			what = fmt.Sprintf("%s: %s %s: %s", i.Phase, v.Guard, v.Name, v.Detail)
		}
	}
	fmt.Fprintf(t.Out, "%+8.2f s  … %.200s\n", gone.Seconds(), what)
}

// trial is what is known by now.
func (t *Trialling) trial(i incident.Incident, c LabCounts) Trial {
	r := Trial{
		Fault: t.Fault.Fault, Configuration: Configuration, Profile: t.Profile, VM: t.Fault.VM, Instance: t.Fault.Instance,
		Incident: i.ID, Alert: i.Alert.Name, FaultAt: stamp(t.At),
		Commands: []string{}, Outcome: string(i.Phase), HealedBy: string(i.HealedBy), Summary: i.Summary, Plan: i.Plan,
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
		r.AlertAt = stamp(i.Alert.StartsAt)
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

// stamp is RFC 3339 in UTC with milliseconds, as the lab writes its times.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func after(from, to time.Time) *float64 {
	d := seconds3(to.Sub(from))
	return &d
}

// seconds3 is a span in seconds to the millisecond, as a number that JSON writes with no more digits than that.
func seconds3(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds()) / 1e3
}
