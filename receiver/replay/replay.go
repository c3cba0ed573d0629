// Package replay plays what a receiver saw once more: through today's code, and, if asked, under another configuration,
// and lists what would have been decided differently. It is pure; a recording is lines of JSON, from wherever they come.
//
//	report, err := replay.Run(lines, replay.Options{Config: changed, Since: since})
//
// A recording holds the events that incident.Step was given and what it decided by each, and, at its beginning and now
// and then in between, the whole state (a checkpoint). The world answered the commands of then and not those of the
// replay. So each incident is compared up to its first difference; from there on what happened really is told, and nothing
// is claimed about what would have happened. Each checkpoint brings the replay back to what really was.
package replay

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// line is one line of a recording: a checkpoint, or an event with what was decided by it.
type line struct {
	Checkpoint json.RawMessage `json:"checkpoint,omitempty"`
	At         time.Time       `json:"at,omitzero"`
	Event      json.RawMessage `json:"event,omitempty"`
	Decisions  []Decision      `json:"decisions,omitempty"`
}

// Decision is what one step meant for one incident.
type Decision struct {
	Incident string `json:"incident"`
	evidence.Subject
	Phase    incident.Phase  `json:"state"`
	HealedBy incident.Healer `json:"healed_by,omitempty"`
	// Guard, Outcome and Reason are of the first verdict that does not pass; empty where all pass or none was asked.
	Guard   string        `json:"guard,omitempty"`
	Outcome guard.Outcome `json:"outcome,omitempty"`
	Reason  string        `json:"reason,omitempty"`
	// Does is what the step set going, in its order: reads, the evidence kept, plans taken up, commands.
	Does    []string `json:"does,omitempty"`
	Summary string   `json:"summary,omitempty"`
	// Asks are the numbers of the reads; they are no part of what is compared.
	Asks []uint64 `json:"asks,omitempty"`
}

// same reports whether two decisions mean the same.
func (d Decision) same(o Decision) bool {
	return d.Phase == o.Phase && d.HealedBy == o.HealedBy && d.Guard == o.Guard && d.Outcome == o.Outcome && d.Reason == o.Reason && slices.Equal(d.Does, o.Does)
}

// String says it in a line.
func (d Decision) String() string {
	s := string(d.Phase)
	if d.HealedBy != "" {
		s += " by " + string(d.HealedBy)
	}
	if d.Guard != "" {
		s += "; " + d.Guard + " " + string(d.Outcome) + " " + d.Reason
	}
	if len(d.Does) > 0 {
		s += "; " + strings.Join(d.Does, ", ")
	}
	return s
}

// decisions are what a step decided, in the order of the incidents' ids. What it only took note of is no decision.
func decisions(after incident.State, effects []incident.Effect) []Decision {
	found := map[string]*Decision{}
	of := func(id string) *Decision {
		if found[id] == nil {
			found[id] = &Decision{Incident: id}
		}
		return found[id]
	}
	for _, e := range effects {
		switch e := e.(type) {
		case incident.Put:
			if i, ok := e.Value.(incident.Incident); ok {
				of(i.ID)
			}
		case incident.Look:
			d := of(e.Incident)
			d.Does, d.Asks = append(d.Does, "read to "+string(e.Purpose)), append(d.Asks, e.AskID)
		case incident.Keep:
			d := of(e.Incident)
			d.Does, d.Asks = append(d.Does, "keep evidence"), append(d.Asks, e.KeepID)
		case incident.Proceed:
			d := of(e.Incident)
			d.Does = append(d.Does, "begin the next action")
		case incident.Send:
			d := of(e.Incident)
			d.Does = append(d.Does, strings.TrimSpace("send "+string(e.Command.Method)+" "+e.Command.What()))
		}
	}
	var list []Decision
	for _, id := range slices.Sorted(maps.Keys(found)) {
		d := *found[id]
		i, ok := after.Incidents.Get(id)
		if !ok {
			continue
		}
		d.Subject, d.Phase, d.HealedBy, d.Summary = i.Subject, i.Phase, i.HealedBy, i.Summary
		if v, stopped := guard.Decide(i.Verdicts); stopped {
			d.Guard, d.Outcome, d.Reason = v.Guard, v.Outcome, v.Reason
		}
		list = append(list, d)
	}
	return list
}

// Checkpoint is the line, without its end, from which a recording can be begun.
func Checkpoint(s incident.State, at time.Time) ([]byte, error) {
	b, err := incident.Snapshot(s)
	if err != nil {
		return nil, err
	}
	return json.Marshal(line{Checkpoint: b, At: at})
}

// Step is the line, without its end, of one step: the state it was given, the event, and what came of it.
func Step(before incident.State, e incident.Event, after incident.State, effects []incident.Effect) ([]byte, error) {
	b, err := incident.MarshalEvent(incident.Slim(before, e))
	if err != nil {
		return nil, err
	}
	return json.Marshal(line{Event: b, Decisions: decisions(after, effects)})
}

// Options are the choices of Run.
type Options struct {
	Config *config.Config // what is decided by; nil: what the receiver had then
	Since  time.Time      // what was decided before is played and not told
}

// Report is what a replay came to.
type Report struct {
	From      time.Time `json:"from,omitzero"` // the first and the last event
	To        time.Time `json:"to,omitzero"`
	Events    int       `json:"events"`
	Decisions int       `json:"decisions"`         // recorded, since Since
	Incidents int       `json:"incidents"`         // that they were about
	Damaged   int       `json:"damaged,omitempty"` // lines that could not be read; what follows one is not comparable up to a checkpoint
	// Differences are the first of each incident, in the order of time.
	Differences []Difference `json:"differences"`
}

// Difference is the first decision about an incident that would have been another one. What comes after it is not
// comparable.
type Difference struct {
	Incident string `json:"incident"`
	evidence.Subject
	At       time.Time `json:"at"`
	Recorded *Decision `json:"recorded,omitempty"` // nil: nothing was decided at that moment
	Replayed *Decision `json:"replayed,omitempty"`
	// After are incidents of the same cluster that differed before: this difference may come of those, for guards count
	// what was done to others.
	After []string `json:"after,omitempty"`
	// Outcome is the last that was recorded of the incident: what happened really.
	Outcome *Decision `json:"outcome,omitempty"`
}

// ErrNoCheckpoint says that a recording has no beginning from which it could be played.
var ErrNoCheckpoint = errors.New("the recording has no checkpoint to begin from")

// Run plays a recording.
func Run(lines iter.Seq2[[]byte, error], o Options) (Report, error) {
	p := &player{options: o, last: map[string]Decision{}, differs: map[string]bool{}, seen: map[string]bool{}}
	p.report.Differences = []Difference{}
	for b, err := range lines {
		if err != nil {
			return p.report, fmt.Errorf("read the recording: %w", err)
		}
		if err := p.play(b); err != nil {
			return p.report, err
		}
	}
	if !p.began {
		return p.report, ErrNoCheckpoint
	}
	p.report.Incidents = len(p.seen)
	for n := range p.report.Differences {
		if d, ok := p.last[p.report.Differences[n].Incident]; ok {
			p.report.Differences[n].Outcome = &d
		}
	}
	slices.SortStableFunc(p.report.Differences, func(a, b Difference) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Incident, b.Incident))
	})
	return p.report, nil
}

// player is one replay.
type player struct {
	options Options
	state   incident.State
	began   bool // there was a checkpoint
	lost    bool // a line could not be read since the last checkpoint
	asks    map[uint64]uint64
	last    map[string]Decision // recorded, by incident
	differs map[string]bool     // incidents that differed already
	seen    map[string]bool
	report  Report
}

func (p *player) play(b []byte) error {
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		p.report.Damaged++
		p.lost = true
		return nil
	}
	if l.Checkpoint != nil {
		s, err := incident.Resume(l.Checkpoint, p.options.Config)
		if err != nil {
			return err
		}
		p.state, p.began, p.lost, p.asks = s, true, false, map[uint64]uint64{}
		return nil
	}
	if !p.began || p.lost {
		return nil
	}
	e, err := incident.UnmarshalEvent(l.Event)
	if err != nil {
		return err
	}
	at := incident.Moment(e)
	p.report.Events++
	if p.report.From.IsZero() {
		p.report.From = at
	}
	p.report.To = at
	if _, ok := e.(incident.Reloaded); ok && p.options.Config != nil {
		e = incident.Ticked{At: incident.At(at)} // another configuration stands in for all of them
	}
	next, effects := incident.Step(p.state, p.numbered(e))
	p.state = next
	p.compare(at, l.Decisions, decisions(next, effects))
	return nil
}

// numbered gives an answer the number under which the replay asked for it.
func (p *player) numbered(e incident.Event) incident.Event {
	switch e := e.(type) {
	case incident.Looked:
		if n, ok := p.asks[e.AskID]; ok {
			e.AskID = n
		}
		return e
	case incident.Kept:
		if n, ok := p.asks[e.KeepID]; ok {
			e.KeepID = n
		}
		return e
	}
	return e
}

// compare notes what differs between a step as it was and as it would be.
func (p *player) compare(at time.Time, recorded, replayed []Decision) {
	told := !at.Before(p.options.Since)
	all := map[string][2]*Decision{}
	for n, list := range [2][]Decision{recorded, replayed} {
		for i := range list {
			both := all[list[i].Incident]
			both[n] = &list[i]
			all[list[i].Incident] = both
		}
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		was, is := all[id][0], all[id][1]
		if was != nil {
			p.last[id] = *was
			if told {
				p.report.Decisions++
				p.seen[id] = true
			}
		}
		if was != nil && is != nil {
			for n := range min(len(was.Asks), len(is.Asks)) {
				p.asks[was.Asks[n]] = is.Asks[n]
			}
		}
		if p.differs[id] || was != nil && is != nil && was.same(*is) {
			continue
		}
		subject := cmp.Or(was, is).Subject
		d := Difference{Incident: id, Subject: subject, At: at, Recorded: was, Replayed: is}
		for other := range p.differs {
			if p.last[other].Cluster == subject.Cluster {
				d.After = append(d.After, other)
			}
		}
		slices.Sort(d.After)
		p.differs[id] = true
		if told {
			p.report.Differences = append(p.report.Differences, d)
		}
	}
}
