package experiment

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// observer makes a trial of what it sees of the lab's model, on either clock. It is not safe for concurrent use.
type observer struct {
	setting
	watch     drill.Trialling
	known     drill.Trial
	ended     bool                         // the incident has come to its end
	began     time.Time                    // of the trial's clock; zero: it does not run yet
	cluster   *float64                     // when the cluster first did something about the victim
	person    *float64                     // when a person first started SQL Server
	up        map[string]drill.LabInstance // as its clients see it
	looked    time.Time                    // last
	left, ran time.Time                    // when the group first left, and last came back online
	events    []model.Event
	all       all
}

func newObserver(c setting) *observer { return &observer{setting: c} }

// begin starts the trial's clock.
func (o *observer) begin(at time.Time) {
	o.began = at.Truncate(time.Millisecond)
	o.watch.At, o.watch.Profile = o.began, o.Profile.Name
	o.watch.Fault = drill.Fault{Fault: o.Scenario.Begins().Fault, VM: o.Scenario.Victim.VM, Instance: o.Scenario.Victim.Instance}
}

// see takes one look at the model, and at what the chain says at the same moment.
func (o *observer) see(m *model.Model, chain drill.Observation) {
	v := m.VM(o.Scenario.Victim.VM)
	own := v.Counts
	own.FailoversByCluster = o.failovers(v)
	counts := countsOf(own)
	chain.State, chain.Counts = o.state(m), &counts
	if chain.Failed.Before(o.began) {
		chain.Failed = time.Time{}
	}
	o.known, o.ended = o.watch.Observe(chain)
	o.all.see(m, o.began, chain.Incidents)
	first := func(at **float64, list []model.Count, counts func(model.Count) bool) {
		for _, c := range list {
			if *at == nil && !c.At.Before(o.began) && counts(c) {
				d := drill.Seconds(c.At.Sub(o.began).Seconds())
				*at = &d
			}
		}
	}
	each := func(model.Count) bool { return true }
	first(&o.cluster, own.FailoversByCluster, each)
	first(&o.cluster, v.Counts.RestartsByCluster, each)
	first(&o.cluster, v.Counts.Moved, func(c model.Count) bool { return c.Detail == "cluster service stopped" || c.Detail == "quarantine" })
	first(&o.person, v.Counts.ServiceStarts, func(c model.Count) bool { return c.Detail == "person" })
	online := v.GroupState == cluster.GroupOnline && v.State == cluster.VMRunning
	switch {
	case !online && o.left.IsZero():
		o.left = chain.At
	case online && o.ran.Before(o.left):
		o.ran = chain.At
	}
	o.events = slices.Clone(v.Events)
}

// failovers are the victim's by its cluster: where its instance is the resource of a cluster of guests, those of that one.
func (o *observer) failovers(v *model.VM) []model.Count {
	s := v.Server(o.Scenario.Victim.Instance)
	if s == nil || s.Clustered() == nil {
		return v.Counts.FailoversByCluster
	}
	var list []model.Count
	for _, c := range v.Counts.FailoversByCluster {
		if s.Clustered().Counted(c) {
			list = append(list, c)
		}
	}
	return list
}

// state is the victim as its clients see it: an instance that serves behind a dead network is down.
func (o *observer) state(m *model.Model) drill.LabState {
	s := drill.LabState{Now: m.Now()}
	v := m.VM(o.Scenario.Victim.VM)
	if o.up == nil {
		o.up = map[string]drill.LabInstance{}
	}
	for _, q := range v.Servers {
		runs, serves := m.Instance(v.Name, q.Instance) // elsewhere, where guests are clustered
		up := serves.Up && m.Reachable(runs)
		is, known := o.up[q.Instance]
		if !known || is.Up != up {
			since := m.Now()
			if serves.Up == up && serves.Since.After(o.looked) {
				since = serves.Since // and not when we looked
			}
			is = drill.LabInstance{VM: v.Name, Instance: q.Instance, Up: up, Since: since.Truncate(time.Millisecond)}
			o.up[q.Instance] = is
		}
		s.Instances = append(s.Instances, is)
	}
	o.looked = m.Now()
	return s
}

// wasDown reports whether the victim was down and is up again.
func (o *observer) wasDown() bool { return o.known.SQLDownSeconds != nil }

// silence is for how long the trial's story has had nothing new.
func (o *observer) silence(gone time.Duration) time.Duration {
	if n := len(o.known.Timeline); n > 0 {
		gone -= time.Duration(o.known.Timeline[n-1].AtSeconds * float64(time.Second))
	}
	return gone
}

// judge compares a trial with what is expected of it, where anything is.
func (o *observer) judge(t *drill.Trial) {
	if o.Expected != nil {
		t.Judge(*o.Expected)
		t.Failures = append(t.Failures, o.all.forbidden(o.Scenario)...)
	}
}

// trial is what came of it, before it is judged.
func (o *observer) trial(clock string) drill.Trial {
	t := o.known
	t.Configuration = o.Configuration
	t.Experiment = o.experiment(clock)
	t.Conclude()
	t.Acts = t.Actor(t.FirstCommandSeconds, o.cluster, o.person)
	t.Measure()
	if !o.ran.IsZero() && t.FailoversByCluster+t.FailoversCommanded > 0 {
		d := drill.Seconds(o.ran.Sub(o.left).Seconds())
		t.MoveSeconds = &d
	}
	o.fromEvents(&t)
	return t
}

// fromEvents fills in what the guest's event log tells, as the white paper read it: when SQL Server's service stopped and
// started, and the errors that nobody expects.
func (o *observer) fromEvents(t *drill.Trial) {
	for _, e := range o.events {
		if e.At.Before(o.began) {
			continue
		}
		at := drill.Seconds(e.At.Sub(o.began).Seconds())
		ofSQL := len(e.Strings) > 0 && strings.HasPrefix(e.Strings[0], "SQL Server (")
		switch {
		case e.ID == 7034 && ofSQL, e.ID == 7036 && ofSQL && e.Strings[len(e.Strings)-1] == "stopped":
			if t.ServiceStopSeconds == nil {
				t.ServiceStopSeconds = &at
			}
		case e.ID == 7036 && ofSQL:
			t.ServiceStartSeconds = &at
		case unexpected(e.ID):
			t.UnexpectedErrors = append(t.UnexpectedErrors, fmt.Sprintf("%s: event %d of %s", e.Log, e.ID, e.Source))
		}
	}
}

// unexpected reports whether an event says that something went wrong beside the fault itself: a service that cannot be
// started or logged on (7000, 7038, 7041; learn.microsoft.com, Service Control Manager), an error of SQL Server's pages
// (823, 824, 833).
func unexpected(id uint32) bool {
	return slices.Contains([]uint32{823, 824, 833, 7000, 7038, 7041}, id)
}

func countsOf(c model.Counts) drill.LabCounts {
	list := func(from []model.Count) []drill.LabCount {
		to := make([]drill.LabCount, 0, len(from))
		for _, x := range from {
			to = append(to, drill.LabCount{Method: x.Method, At: x.At, Detail: x.Detail})
		}
		return to
	}
	return drill.LabCounts{
		Commands: list(c.Commands), MovesCommanded: list(c.MovesCommanded), FailoversByCluster: list(c.FailoversByCluster),
		RestartsByCluster: list(c.RestartsByCluster), ServiceStarts: list(c.ServiceStarts), VMResets: list(c.VMResets),
	}
}
