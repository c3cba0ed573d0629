package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// Guest is the Windows inside a virtual machine.
type Guest struct{ machine }

// NewGuest checks the options. It connects to nothing.
func NewGuest(o Options) (*Guest, error) {
	m, err := newMachine(o)
	if err != nil {
		return nil, fmt.Errorf("guest %s: %w", o.Name, err)
	}
	return &Guest{m}, nil
}

// Service reads one service. ErrNotFound means that there is none of that name.
func (g *Guest) Service(ctx context.Context, name string) (Service, error) {
	s, err := g.services(ctx, " WHERE Name = "+wsman.Quote(name))
	if err == nil && len(s) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Service{}, fmt.Errorf("read service %s: %w", name, err)
	}
	return s[0], nil
}

// dependency is one row of Win32_DependentService: dependent needs antecedent.
type dependency struct{ antecedent, dependent string }

// Dependents reads the services that depend on a service, directly or through others, running or not, in the order
// in which they may be stopped: whatever depends on a service comes before it. Windows counts the indirect ones too
// when it refuses to stop a service (EnumDependentServices, learn.microsoft.com).
func (g *Guest) Dependents(ctx context.Context, name string) ([]Service, error) {
	var rows []dependency
	var services []Service
	err := together(
		ctx,
		into(&rows, func(ctx context.Context) ([]dependency, error) {
			// All rows: a WHERE on a reference compares object paths as text, which servers write differently.
			return all(ctx, &g.machine, nsWindows, "SELECT Antecedent, Dependent FROM Win32_DependentService", func(f *fields) dependency {
				return dependency{f.key("Antecedent", "Name"), f.key("Dependent", "Name")}
			})
		}),
		into(&services, func(ctx context.Context) ([]Service, error) { return g.services(ctx, "") }),
	)
	if err != nil {
		return nil, fmt.Errorf("read the dependents of %s: %w", name, err)
	}
	return pick(services, dependents(rows, name)), nil
}

// dependents returns the names of all that depends on name, the most dependent first. Names do not mind case.
func dependents(rows []dependency, name string) []string {
	needs := make(map[string][]string)
	for _, r := range rows {
		key := strings.ToLower(r.antecedent)
		needs[key] = append(needs[key], r.dependent)
	}
	var out []string
	seen := map[string]bool{strings.ToLower(name): true}
	var visit func(string)
	visit = func(n string) {
		for _, d := range sorted(needs[strings.ToLower(n)]) {
			if key := strings.ToLower(d); !seen[key] {
				seen[key] = true
				visit(d)
				out = append(out, d) // after its own dependents
			}
		}
	}
	visit(name)
	return out
}

// Process reads one process; the zero Process means that there is none.
func (g *Guest) Process(ctx context.Context, pid uint32) (Process, error) {
	wql := fmt.Sprintf("SELECT ProcessId, Name, CreationDate FROM Win32_Process WHERE ProcessId = %d", pid)
	rows, err := all(ctx, &g.machine, nsWindows, wql, func(f *fields) Process {
		return Process{f.mustUint32("ProcessId"), f.text("Name"), f.time("CreationDate")}
	})
	if err != nil {
		return Process{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	for _, p := range rows {
		if p.ID == pid {
			return p, nil
		}
	}
	return Process{}, nil
}

// Identity reads who the guest says it is.
func (g *Guest) Identity(ctx context.Context) (GuestIdentity, error) {
	var id GuestIdentity
	text := func(dst *string, class, property string) func(context.Context) error {
		return into(dst, func(ctx context.Context) (string, error) {
			return one(ctx, &g.machine, nsWindows, "SELECT "+property+" FROM "+class, func(f *fields) string { return f.mustText(property) })
		})
	}
	err := together(
		ctx,
		text(&id.ComputerName, "Win32_ComputerSystem", "Name"),
		text(&id.ProductUUID, "Win32_ComputerSystemProduct", "UUID"),
		into(&id.LastBoot, func(ctx context.Context) (time.Time, error) {
			return one(ctx, &g.machine, nsWindows, "SELECT LastBootUpTime FROM Win32_OperatingSystem",
				func(f *fields) time.Time { return f.time("LastBootUpTime") })
		}),
	)
	if err != nil {
		return GuestIdentity{}, fmt.Errorf("read the identity of guest %s: %w", g.name, err)
	}
	return id, nil
}

// The events of the service control manager that tell how a service ended (learn.microsoft.com, "Service Stop
// Operations"): 7031 and 7034 unexpectedly, with and without a recovery action; 7036 a change of state.
const (
	eventCrashRecovery = 7031
	eventCrash         = 7034
	eventStateChange   = 7036
)

// eventRow is an event with its number in the log, which orders those of the same second.
type eventRow struct {
	Event
	record uint32
}

// ServiceEvents reads the System log's events 7031, 7034 and 7036 about a service from since on, newest first.
//
// The events name the service by its display name, their first insertion string; its name is accepted as well. The
// log keeps whole seconds where it is old, so that events of the second of since are included.
func (g *Guest) ServiceEvents(ctx context.Context, since time.Time, service string) ([]Event, error) {
	var rows []eventRow
	var display string
	err := together(
		ctx,
		into(&rows, func(ctx context.Context) ([]eventRow, error) {
			// A range and no list: servers that know no OR understand it too.
			wql := fmt.Sprintf("SELECT Logfile, EventCode, SourceName, TimeGenerated, InsertionStrings, RecordNumber FROM Win32_NTLogEvent "+
				"WHERE Logfile = 'System' AND EventCode >= %d AND EventCode <= %d AND TimeGenerated >= '%s'",
				eventCrashRecovery, eventStateChange, wsman.DMTF(since.Truncate(time.Second)))
			return all(ctx, &g.machine, nsWindows, wql, func(f *fields) eventRow {
				return eventRow{Event{
					Log: f.text("Logfile"), ID: f.mustUint32("EventCode"), Source: f.text("SourceName"),
					At: must(f, f.object.Time, "TimeGenerated"), Strings: f.texts("InsertionStrings"),
				}, f.uint32("RecordNumber")}
			})
		}),
		into(&display, func(ctx context.Context) (string, error) { return g.display(ctx, service) }),
	)
	if err != nil {
		return nil, fmt.Errorf("read the events of service %s: %w", service, err)
	}
	rows = slices.DeleteFunc(rows, func(r eventRow) bool {
		return r.ID != eventCrashRecovery && r.ID != eventCrash && r.ID != eventStateChange || !about(r.Event, service, display)
	})
	return newest(rows), nil
}

// about reports whether the event's service is this one.
func about(e Event, service, display string) bool {
	return len(e.Strings) > 0 && (strings.EqualFold(e.Strings[0], service) || (display != "" && strings.EqualFold(e.Strings[0], display)))
}
