package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/receiver/guard"
)

// lane is who did something.
type lane int

// The lanes, from top to bottom.
const (
	faultLane lane = iota
	sqlLane
	watchLane
	alertLane
	receiverLane
	commandLane
	clusterLane
	loadLane
)

// chain are the lanes of our own chain: a trial without it, in a configuration that has none, is drawn without them.
func chain() []lane { return []lane{watchLane, alertLane, receiverLane, commandLane} }

// Title names a lane for people.
func (l lane) Title() string {
	switch l {
	case faultLane:
		return "fault"
	case sqlLane:
		return "SQL Server"
	case watchLane:
		return "exporter, Prometheus"
	case alertLane:
		return "Alertmanager"
	case receiverLane:
		return "receiver"
	case commandLane:
		return "commands"
	case clusterLane:
		return "cluster"
	case loadLane:
		return "load client"
	}
	return ""
}

const passed = string(guard.Pass) // how the detail of a guard begins that stops nothing

// laneOf finds who did what an event tells. What is not known is the receiver's: its incidents tell most.
func laneOf(event string) lane {
	switch event {
	case drill.EventFault:
		return faultLane
	case drill.EventDown, drill.EventUp:
		return sqlLane
	case drill.EventProbe, drill.EventAlert:
		return watchLane
	case drill.EventWebhook, "notification":
		return alertLane
	case "planned", "claimed", "issued", "not sent", drill.EventCommand, "answered", "observed", "verified", "unknown", "cancel", "failed", "undo":
		return commandLane
	}
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(event, w) })
	}
	switch {
	case strings.HasPrefix(event, "load") || has("commit"):
		return loadLane
	case strings.HasPrefix(event, "fault"):
		return faultLane
	case has("failover", "move ", "owner changed", "cluster", "quarantine", "isolated", "drain"):
		return clusterLane
	case has("SQL Server"):
		return sqlLane
	case has("probe", "scrape", "not answered"):
		return watchLane
	}
	return receiverLane
}

// entry is a line of a trial's story: a moment, or several guards that passed at once.
type entry struct {
	At           float64
	Who          lane
	Event, Words string
	Guards       int // that passed, where they are one line
}

// Time is when, in seconds.
func (e entry) Time() string { return fmt.Sprintf("%+.3f", e.At) }

// Title is who, for people.
func (e entry) Title() string { return e.Who.Title() }

// entries are a trial's moments in their order; guards that pass at one moment are one line, the others stand alone.
func entries(t drill.Trial) []entry {
	var list []entry
	var names []string // of the guards in the last line
	moments := slices.Clone(t.Timeline)
	slices.SortStableFunc(moments, func(a, b drill.Moment) int { return cmp.Compare(a.AtSeconds, b.AtSeconds) })
	for _, m := range moments {
		who := laneOf(m.Event)
		id, ok := strings.CutPrefix(m.Event, drill.EventGuard)
		if !ok || !strings.HasPrefix(m.Detail, passed+":") {
			list, names = append(list, entry{At: m.AtSeconds, Who: who, Event: m.Event, Words: m.Detail}), nil
			continue
		}
		named := id
		if open := strings.LastIndexByte(m.Detail, '('); open >= 0 {
			named += " " + strings.TrimSuffix(m.Detail[open+1:], ")")
		}
		if n := len(list) - 1; len(names) > 0 && list[n].At == m.AtSeconds {
			names = append(names, named)
			list[n].Event, list[n].Words, list[n].Guards = plural(len(names), "guard"), passed+": "+strings.Join(names, ", "), len(names)
			continue
		}
		list, names = append(list, entry{At: m.AtSeconds, Who: who, Event: m.Event, Words: m.Detail}), []string{named}
	}
	return list
}
