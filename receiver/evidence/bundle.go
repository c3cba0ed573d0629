package evidence

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// Bundle is what was read right before a rung that ends what it could be asked of: why SQL Server was sick can only be
// found out afterwards from what was kept. It holds figures, states and the text of events; no statement of a session
// and no credential.
type Bundle struct {
	VM       VM        `json:"target"`
	Incident string    `json:"incident"`
	Number   int       `json:"number"` // of the plan's first action
	Rung     string    `json:"rung"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	// Instances are those that the rung ends.
	Instances map[string]Standing `json:"instances"`
	// Host is the virtual machine as its owner saw it, Disks the virtual disks of that host, the busiest first.
	Host  Reading[cluster.VirtualMachine] `json:"host"`
	Disks Reading[[]Disk]                 `json:"disks"`
	// GuestEvents are of the services in the guest's System log, ServerEvents what SQL Server wrote to its Application log,
	// ClusterEvents those of the failover cluster in the owner's System log; newest first.
	GuestEvents   Reading[[]cluster.Event] `json:"guest_events"`
	ServerEvents  Reading[[]cluster.Event] `json:"server_events"`
	ClusterEvents Reading[[]cluster.Event] `json:"cluster_events"`
	// Sampled is what the background looks had read last, each with its moment.
	Sampled Vitals `json:"sampled"`
	// Cut names what was shortened so that the bundle keeps within its bound.
	Cut []string `json:"cut,omitempty"`
}

// Standing is what an instance of SQL Server says of itself.
type Standing struct {
	// Diagnostics are the last that sp_server_diagnostics said, which may be long before the question: a SQL Server that
	// hangs says nothing more. Their moment is when they came.
	Diagnostics Reading[[]Component] `json:"diagnostics"`
	Waits       Reading[[]Wait]      `json:"waits"` // since the instance's start, the longest first
	Sessions    Reading[Sessions]    `json:"sessions"`
	Work        Reading[Work]        `json:"work"`
}

// Component is one component of sp_server_diagnostics.
type Component struct {
	Name      string             `json:"name"`
	State     int64              `json:"state"`                // 0 unknown, 1 clean, 2 warning, 3 error
	ErrorSets int                `json:"error_sets,omitempty"` // in a row
	Figures   map[string]float64 `json:"figures,omitempty"`
}

// Wait is how much was waited for something since the instance's start.
type Wait struct {
	Type  string        `json:"type"`
	Tasks int64         `json:"tasks"`
	Time  time.Duration `json:"time_ns"`
}

// Sessions are who waits for whom, and what users have open.
type Sessions struct {
	Blocked           int           `json:"blocked"`
	LongestBlocked    time.Duration `json:"longest_blocked_ns"`
	Transactions      int           `json:"transactions"`
	OldestTransaction time.Duration `json:"oldest_transaction_ns"`
}

// Disk is one virtual disk of a host. Its name is made of the file's path.
type Disk struct {
	Name   string `json:"name"`
	Errors uint64 `json:"errors"` // since it was opened
	Queue  uint64 `json:"queue"`
}

// MaxBundle bounds a bundle's JSON, in bytes: with a few hundred incidents a day the ledger grows by some 10 MiB.
const MaxBundle = 64 << 10

// The bounds of a bundle's parts.
const (
	maxWaits     = 40
	maxDisks     = 64
	maxEvents    = 30
	maxString    = 300 // bytes of one string of an event
	maxStrings   = 8
	maxFigures   = 80
	maxInstances = 8
)

// Bounded is the bundle within its bounds. It shares nothing with b that it changed.
func (b Bundle) Bounded() Bundle {
	b.Cut = nil
	cut := func(what string) {
		if !slices.Contains(b.Cut, what) {
			b.Cut = append(b.Cut, what)
		}
	}
	instances := map[string]Standing{}
	for _, name := range sortedNames(b.Instances) {
		if len(instances) == maxInstances {
			cut("instances")
			break
		}
		s := b.Instances[name]
		s.Waits.Value = slices.SortedFunc(slices.Values(s.Waits.Value), func(a, b Wait) int {
			return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.Type, b.Type))
		})
		s.Waits.Value = head(s.Waits.Value, maxWaits, func() { cut("waits") })
		s.Diagnostics.Value = slices.Clone(s.Diagnostics.Value)
		for n, c := range s.Diagnostics.Value {
			if len(c.Figures) <= maxFigures {
				continue
			}
			cut("diagnostics")
			kept := map[string]float64{}
			for _, f := range sortedNames(c.Figures)[:maxFigures] {
				kept[f] = c.Figures[f]
			}
			s.Diagnostics.Value[n].Figures = kept
		}
		instances[name] = s
	}
	b.Instances = instances
	b.Disks.Value = slices.SortedFunc(slices.Values(b.Disks.Value), func(a, b Disk) int {
		return cmp.Or(cmp.Compare(b.Queue, a.Queue), cmp.Compare(b.Errors, a.Errors), cmp.Compare(a.Name, b.Name))
	})
	b.Disks.Value = head(b.Disks.Value, maxDisks, func() { cut("disks") })
	b.GuestEvents.Value = shortened(b.GuestEvents.Value, func() { cut("guest_events") })
	b.ServerEvents.Value = shortened(b.ServerEvents.Value, func() { cut("server_events") })
	b.ClusterEvents.Value = shortened(b.ClusterEvents.Value, func() { cut("cluster_events") })
	// What is left may still be too much: names of any length. The least telling goes first.
	for _, drop := range []struct {
		what string
		do   func()
	}{
		{"cluster_events", func() { b.ClusterEvents.Value = nil }},
		{"disks", func() { b.Disks.Value = nil }},
		{"guest_events", func() { b.GuestEvents.Value = nil }},
		{"server_events", func() { b.ServerEvents.Value = nil }},
		{"instances", func() { b.Instances = map[string]Standing{} }},
	} {
		if b.size() <= MaxBundle {
			break
		}
		drop.do()
		cut(drop.what)
	}
	return b
}

func (b Bundle) size() int {
	j, err := json.Marshal(b)
	if err != nil {
		return 2 * MaxBundle // a figure that is no number of JSON's: dropped with its part
	}
	return len(j)
}

// Missing names what could not be read, each with its reason, in a fixed order.
func (b Bundle) Missing() []string {
	var missing []string
	note := func(what string, known bool, why string) {
		if !known {
			if why == "" {
				why = "not read"
			}
			missing = append(missing, what+" ("+why+")")
		}
	}
	for _, name := range sortedNames(b.Instances) {
		s := b.Instances[name]
		note(name+" diagnostics", s.Diagnostics.Known(), string(s.Diagnostics.Failure))
		note(name+" waits", s.Waits.Known(), string(s.Waits.Failure))
		note(name+" sessions", s.Sessions.Known(), string(s.Sessions.Failure))
		note(name+" work", s.Work.Known(), string(s.Work.Failure))
	}
	note("host", b.Host.Known(), string(b.Host.Failure))
	note("disks", b.Disks.Known(), string(b.Disks.Failure))
	note("guest events", b.GuestEvents.Known(), string(b.GuestEvents.Failure))
	note("server events", b.ServerEvents.Known(), string(b.ServerEvents.Failure))
	note("cluster events", b.ClusterEvents.Known(), string(b.ClusterEvents.Failure))
	return missing
}

func head[T any](list []T, most int, cut func()) []T {
	if len(list) <= most {
		return list
	}
	cut()
	return list[:most:most]
}

// shortened are the newest events with their strings cut. Their raw data are left out.
func shortened(events []cluster.Event, cut func()) []cluster.Event {
	events = slices.SortedStableFunc(slices.Values(events), func(a, b cluster.Event) int { return b.At.Compare(a.At) })
	events = head(events, maxEvents, cut)
	for n := range events {
		e := &events[n]
		e.Data = nil
		e.Strings = slices.Clone(head(e.Strings, maxStrings, cut))
		for m, s := range e.Strings {
			if len(s) > maxString {
				e.Strings[m] = s[:maxString]
				cut()
			}
		}
	}
	return events
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
