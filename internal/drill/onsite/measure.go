package onsite

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/load"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// measured is what was read after the trial. What could not be read is a note, and its figures stay unknown.
type measured struct {
	vm        evidence.VM
	load      load.Result
	counted   bool // load holds what is there
	incidents []incident.Incident
	pingLost  *time.Duration // nil: not measured
	owners    []drill.Series // wsfc_group_owner_info of the virtual machine, by node
	events    []cluster.Event
	errors    []cluster.Event
	expected  *drill.Expected
	notes     []string
}

// ownersBefore is how long before the fault the owner is looked for.
const ownersBefore = 2 * time.Minute

// measure reads what the trial left: the load's count, the receiver's incidents, the owners, the guest's logs.
func (s *scene) measure(ctx context.Context, at time.Time) measured {
	m := measured{vm: evidence.VM{Cluster: s.Cluster, Name: s.VM}}
	note := func(what string, err error) bool {
		if err != nil {
			m.notes = append(m.notes, what+": "+strings.Join(strings.Fields(err.Error()), " "))
		}
		return err == nil
	}
	var err error
	m.load, err = s.load.Verify(ctx)
	m.counted = note("count the commits", err)
	if err = s.noPings; s.pings != nil {
		m.pingLost, err = s.pings.result(s.stopped)
	}
	note("ping is not measured", err)
	m.incidents, err = s.Endpoints.Incidents(ctx)
	note("the receiver's incidents", err)
	m.owners, err = s.Endpoints.Range(ctx, fmt.Sprintf("wsfc_group_owner_info{cluster=%q,vm=%q}", s.Cluster, s.VM), time.Since(at)+ownersBefore)
	note("the owners of the group", err)
	if s.guest != nil {
		m.events, err = s.guest.ServiceEvents(ctx, at, s.service)
		note("the service's events", err)
		m.errors, err = s.guest.StartErrors(ctx, at, s.service)
		note("errors in the guest's logs", err)
	}
	table, err := drill.Table()
	if note("what is expected", err) {
		if n := slices.IndexFunc(table, func(e drill.Expected) bool {
			return e.Fault == s.scenario.Name && e.Configuration == drill.Configuration && e.Era == s.Era
		}); n >= 0 {
			m.expected = &table[n]
		}
	}
	return m
}

// complete fills the trial with what was measured, and says what must not be.
func (m measured) complete(t *drill.Trial, at time.Time) {
	m.actions(t, at)
	m.outage(t, at)
	m.service(t, at)
	clusters := m.failovers(t, at)
	var person *float64
	if t.HealedBy == string(incident.ByPerson) && t.SQLDownSeconds != nil {
		person = since(at, m.load.GapTo)
	}
	t.Acts = t.Actor(t.FirstCommandSeconds, clusters, person)
	for _, e := range m.errors {
		t.UnexpectedErrors = append(t.UnexpectedErrors, fmt.Sprintf("%d %s: %.200s", e.ID, e.Source, strings.Join(e.Strings, " ")))
	}
	for _, n := range m.notes {
		t.Timeline = append(t.Timeline, drill.Moment{AtSeconds: 0, Event: "not known", Detail: n})
	}
	slices.SortStableFunc(t.Timeline, func(a, b drill.Moment) int { return cmp.Compare(a.AtSeconds, b.AtSeconds) })
	t.Conclude()
	t.Measure()
	if m.expected != nil {
		t.Expected, t.Because, t.Paper = m.expected.Outcome, strings.TrimSpace(m.expected.Because), m.expected.Paper
	}
	m.judge(t)
}

// since is a number of seconds from the fault.
func since(at, then time.Time) *float64 {
	s := drill.Seconds(then.Sub(at).Seconds())
	return &s
}

// actions are the commands, by the incidents' word.
func (m measured) actions(t *drill.Trial, at time.Time) {
	var list []incident.Action
	for _, i := range m.incidents {
		if i.VM != m.vm || i.OpenedAt.Before(at) {
			continue
		}
		if t.Ladder == "" && i.ID == t.Incident {
			t.Ladder = ladder(i)
		}
		for _, a := range i.Actions {
			if !a.Issued.IsZero() {
				list = append(list, a)
			}
		}
	}
	slices.SortFunc(list, func(a, b incident.Action) int { return a.Issued.Compare(b.Issued) })
	for n, a := range list {
		if n == 0 {
			t.FirstCommandSeconds = since(at, a.Issued)
		}
		t.Commands = append(t.Commands, string(a.Command.Method))
		t.Timeline = append(t.Timeline, drill.Moment{AtSeconds: *since(at, a.Issued), Event: drill.EventCommand, Detail: string(a.Command.Method)})
		if a.Command.Method != remedy.MoveGroup {
			continue
		}
		t.FailoversCommanded++
		if a.State == incident.Verified && t.MoveSeconds == nil {
			t.MoveSeconds = since(a.Issued, a.Ended)
		}
	}
}

func ladder(i incident.Incident) string {
	var words []string
	for _, r := range i.Ladder {
		words = append(words, string(r))
	}
	return strings.Join(words, ", ")
}

// failovers counts the changes of the owner; those that we did not command are the cluster's own, of which it returns the
// first.
func (m measured) failovers(t *drill.Trial, at time.Time) (first *float64) {
	type stay struct {
		node string
		at   time.Time
	}
	var stays []stay
	for _, s := range m.owners {
		for _, sample := range s.Samples {
			if sample.Value == 1 {
				stays = append(stays, stay{s.Labels["node"], sample.At})
			}
		}
	}
	slices.SortStableFunc(stays, func(a, b stay) int { return a.at.Compare(b.at) })
	var moves []stay
	for n := 1; n < len(stays); n++ {
		if stays[n].node != stays[n-1].node && !stays[n].at.Before(at) {
			moves = append(moves, stays[n])
			t.Timeline = append(t.Timeline, drill.Moment{AtSeconds: *since(at, stays[n].at), Event: "owner changed", Detail: stays[n-1].node + " to " + stays[n].node})
		}
	}
	t.FailoversByCluster = max(0, len(moves)-t.FailoversCommanded)
	if t.FailoversByCluster > 0 {
		first = since(at, moves[0].at)
	}
	return first
}

// outage is what the load saw of it.
func (m measured) outage(t *drill.Trial, at time.Time) {
	r := m.load
	t.TCPLostSeconds = since(at, at.Add(r.TCPLost))
	if m.pingLost != nil {
		t.PingLostSeconds = since(at, at.Add(*m.pingLost))
	}
	t.Acknowledged, t.Unknown = &r.Acknowledged, &r.Unknown
	if m.counted {
		t.Lost = &r.Lost
	}
	disturbed := r.Failed+r.Unknown > 0 || r.TCPLost > 0
	if !disturbed || !r.GapTo.After(at) {
		return
	}
	t.Timeline = append(t.Timeline, drill.Moment{AtSeconds: *since(at, r.GapFrom), Event: drill.EventDown, Detail: "the load's last commit before it"})
	if r.LastAcknowledged.Before(r.GapTo) {
		return // it did not come back
	}
	t.SQLDownSeconds = since(r.GapFrom, r.GapTo)
	t.Timeline = append(t.Timeline, drill.Moment{AtSeconds: *since(at, r.GapTo), Event: drill.EventUp, Detail: "the load's first commit after it"})
}

// service reads the service's stop and start out of the events, newest first: the first that there is tells its end, the
// last change of state that it runs again, if it does. Their words are localised; their numbers are not. Seconds count
// by the guest's own clock, and where the whole guest went down there is no event of its end.
func (m measured) service(t *drill.Trial, at time.Time) {
	const stateChange = 7036
	if len(m.events) == 0 {
		return
	}
	first, last := m.events[len(m.events)-1], m.events[0]
	back := t.SQLDownSeconds != nil && last.ID == stateChange
	if back {
		t.ServiceStartSeconds = since(at, last.At)
	}
	if !back || len(m.events) > 1 {
		t.ServiceStopSeconds = since(at, first.At)
	}
}

// judge says what must never be.
func (m measured) judge(t *drill.Trial) {
	must := func(is bool, format string, args ...any) {
		if !is {
			t.Failures = append(t.Failures, fmt.Sprintf(format, args...))
		}
	}
	r := m.load
	must(m.counted, "the commits could not be counted")
	must(r.Lost == 0, "%d of %d acknowledged commits are lost", r.Lost, r.Acknowledged)
	must(r.Ghosts == 0, "%d transactions that were never committed are there", r.Ghosts)
	must(r.Torn == 0, "%d rows do not bear what the last commit wrote", r.Torn)
	n := t.FailoversByCluster + t.FailoversCommanded
	must(n < 2, "%d failovers for one fault", n)
}
