package drill

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/receiver/incident"
)

// Conclude gives a trial without an incident the word for how it ended: whether SQL Server was ever down, and came back.
func (t *Trial) Conclude() {
	if t.Outcome != "" {
		return
	}
	switch {
	case t.SQLDownSeconds != nil:
		t.Outcome = string(incident.Healed)
	case slices.ContainsFunc(t.Timeline, func(m Moment) bool { return m.Event == EventDown }):
		t.Outcome = Down
	default:
		t.Outcome = NoFault
	}
}

// Actor is who acted first on the victim, from what was counted: the first of our commands, and of the cluster's own failovers
// and restarts, and of a person's starts, each in seconds from the fault, nil where there was none.
func (t *Trial) Actor(ours, clusters, persons *float64) string {
	switch {
	case clusters != nil && (ours == nil || *clusters <= *ours):
		return ByCluster
	case ours != nil:
		return ByHypervigil
	case persons != nil:
		return ByPerson
	case t.SQLDownSeconds != nil:
		return ByItself
	}
	return ByNobody
}

// Judge compares a trial that was concluded with what is expected of it, and keeps the differences, each of which names
// what it is about. A trial holds where there is none.
func (t *Trial) Judge(e Expected) {
	x := t.Experiment
	x.Expected, x.Because, x.Paper = e.Outcome, strings.TrimSpace(e.Because), e.Paper
	if e.Bound > 0 {
		b := e.Bound.Seconds()
		x.Bound = &b
	}
	differ := func(what string, got, want any) {
		if got != want {
			x.Failures = append(x.Failures, fmt.Sprintf("%s: %v, expected %v", what, got, want))
		}
	}
	differ("outcome", t.Outcome, e.Outcome)
	differ("acts first", x.Acts, e.Acts)
	differ("failovers by the cluster", t.FailoversByCluster, e.FailoversByCluster)
	differ("failovers by us", t.FailoversCommanded, e.FailoversByUs)
	differ("commands", t.kinds(), words(e.Commands))
	if x.Bound == nil {
		return
	}
	took, what := t.SQLDownSeconds, "SQL Server was down"
	// One that served all the time is healed when its incident is.
	served := took == nil && !slices.ContainsFunc(t.Timeline, func(m Moment) bool { return m.Event == EventDown })
	if e.Outcome != string(incident.Healed) || served {
		took, what = t.ended(), "came to its end after"
	}
	switch {
	case took == nil:
		x.Failures = append(x.Failures, fmt.Sprintf("nothing came within the bound of %s", e.Bound))
	case *took > *x.Bound:
		x.Failures = append(x.Failures, fmt.Sprintf("%s %.1f s, the bound is %s", what, *took, e.Bound))
	}
}

// kinds counts the commands by kind, in words.
func (t *Trial) kinds() string {
	n := map[string]int{}
	for _, method := range t.Commands {
		n[KindOf(method)]++
	}
	return words(n)
}

func words(n map[string]int) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(n)) {
		list = append(list, fmt.Sprintf("%d %s", n[k], k))
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// ended is when the incident came to the end that it stands at: the last moment of that name.
func (t *Trial) ended() *float64 {
	for _, m := range slices.Backward(t.Timeline) {
		if m.Event == t.Outcome {
			return &m.AtSeconds
		}
	}
	return nil
}

// Measure fills in what follows from the story: recovery, and the stages of our chain.
func (t *Trial) Measure() {
	x := t.Experiment
	first := func(event string) *float64 {
		for _, m := range t.Timeline {
			if m.Event == event {
				return &m.AtSeconds
			}
		}
		return nil
	}
	if seen := first(EventVerification); seen != nil && t.DetectionSeconds != nil {
		d := Seconds(*seen - *t.DetectionSeconds)
		x.RecoverySeconds = &d
	}
	from := 0.0
	for _, stage := range []struct {
		name  string
		until *float64
	}{
		{"noticed by a probe", first(EventProbe)},
		{"alert fires", first(EventAlert)},
		{"webhook accepted", t.DetectionSeconds},
		{"proven, planned, sent", t.FirstCommandSeconds},
		{"SQL Server answers", first(EventUp)},
		{"recovery seen", first(EventVerification)},
		{"held and closed", t.ended()},
	} {
		if stage.until == nil || *stage.until < from {
			continue
		}
		x.Stages = append(x.Stages, Span{stage.name, from, *stage.until})
		from = *stage.until
	}
}

// Seconds is a number of seconds with no more digits than were measured.
func Seconds(s float64) float64 { return seconds3(time.Duration(s * float64(time.Second))) }
