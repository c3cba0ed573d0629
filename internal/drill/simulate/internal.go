package simulate

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// What SQL Server says of itself (sp_server_diagnostics), as the receiver's stream of an instance gets it.

// stream is a connection on which sets come: since when, and from whom.
type stream struct {
	server *model.Server
	opened time.Time
}

// internalFor is how long a component is in error before the exporter has counted three sets, with the scrape in which it
// tells so.
const internalFor = 25 * time.Second

// setEvery is how far apart the sets come: three in the health check's time-out, and every five seconds at most.
func (w *world) setEvery(vm string) time.Duration {
	return max(5*time.Second, w.judge.policy(vm).HealthCheckTimeout/3)
}

// failing is the component of an instance that is in error, and since when; empty where none is.
func (w *world) failing(s *model.Server) (component string, since time.Time) {
	if s == nil || s.Failing == "" {
		return "", time.Time{}
	}
	return s.Failing, w.sickSince[s]
}

// diagnostics is the last set of an instance's stream. A stream ends with its connection, and what came on it with it.
func (w *world) diagnostics(vm, instance string, at time.Time) evidence.Reading[evidence.Diagnostics] {
	id, why := vm+"/"+instance, w.refusal(vm, instance)
	if w.is(opBlindSQL, vm) {
		why = dial.Auth
	}
	if why != dial.Answered {
		delete(w.streams, id)
		return known(evidence.Diagnostics{}, at, why)
	}
	server := w.leads(vm).Server(instance)
	s, open := w.streams[id]
	if !open || s.server != server || s.opened.Before(server.Started) {
		s = stream{server, w.now}
		w.streams[id] = s
	}
	every := w.setEvery(vm)
	sets := int(w.now.Sub(s.opened) / every)
	if sets == 0 {
		return known(evidence.Diagnostics{}, at, dial.Other)
	}
	component, since := w.failing(server)
	d := evidence.Diagnostics{Received: s.opened.Add(time.Duration(sets) * every)}
	for _, name := range model.Components() {
		c := evidence.Component{Name: name, State: 1}
		for n := sets; name == component && n > 0 && s.opened.Add(time.Duration(n)*every).After(since); n-- {
			c.State = 3
			c.ErrorSets++
		}
		if name == model.Components()[1] && c.State == 1 && w.sufferedAt(w.leads(vm), d.Received) {
			c.State = 2
		}
		d.Components = append(d.Components, c)
	}
	return known(d, at, dial.Answered)
}

// actsOn reports whether a policy's internal_level covers a component: the ladder of FailureConditionLevel, written down a
// second time.
func (j *judge) actsOn(vm, component string) bool {
	level := map[string]int{"system": 3, "resource": 4, "query_processing": 5}[component]
	return component != "" && level <= j.policy(vm).InternalLevel
}

// internal judges a decision on a SQL Server that calls itself sick.
func (j *judge) internal(i *incident.Incident, s *snapshot) {
	w := j.w
	sets := 2 * w.setEvery(i.VM.Name) // from the first of three to the last
	if first, before := j.shown[i.ID]; !s.sick || !before || s.asked.Sub(first) < proofSpan || s.answered.Sub(s.sickSince) < sets {
		w.breaks(trueOutage, "%s: component %q is in error since %s, was seen since %s", i.ID, s.failing, s.sickSince, first)
	}
	if p := j.policy(i.VM.Name); s.pid == 0 || s.answered.Sub(s.created) < max(p.HealthCheckTimeout, leastHang) {
		w.breaks(trueOutage, "%s: process %d runs since %s", i.ID, s.pid, s.created)
	}
	if !s.loginKnown || !s.guestKnown {
		w.breaks(notBlind, "%s: login known %t, guest known %t", i.ID, s.loginKnown, s.guestKnown)
	}
}
