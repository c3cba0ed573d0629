package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// The events by which the service control manager says why a service did not start, or did not stay (its messages are in
// services.exe; their numbers and parameters as in libyal/winevt-kb, "Provider Service Control Manager", and Microsoft's
// SupportArticles-docs, support/sql/database-engine/startup-shutdown). The first parameter of each names the service.
const (
	EventStartFailed      = 7000 // name, error
	EventDependencyFailed = 7001 // name, what it depends on, error
	EventEnded            = 7023 // name, error
	EventEndedSpecific    = 7024 // name, the service's own error
	EventLogonFailed      = 7038 // name, account, error
	EventLogonRight       = 7041 // name, account: it may not log on as a service
)

// eventTypeError is Win32_NTLogEvent.EventType of an error (learn.microsoft.com, Win32_NTLogEvent).
const eventTypeError = 1

// mostStartErrors is how many errors of one program in the Application log are read; a log that is flooded is not.
const mostStartErrors = 500

// StartErrors reads what the guest's logs say from since on of a service that did not start, newest first: the service
// control manager's events in the System log, and the errors that the service itself wrote into the Application log,
// whose source bears its name. SQL Server writes there what it writes at the end of its error log
// (learn.microsoft.com, "Monitor the error logs"); the file itself cannot be read through WMI.
func (g *Guest) StartErrors(ctx context.Context, since time.Time, service string) ([]Event, error) {
	var system, own []eventRow
	var display string
	read := func(dst *[]eventRow, condition string) func(context.Context) error {
		return into(dst, func(ctx context.Context) ([]eventRow, error) {
			n := 0
			wql := "SELECT Logfile, EventCode, SourceName, TimeGenerated, InsertionStrings, RecordNumber FROM Win32_NTLogEvent WHERE " +
				condition + " AND TimeGenerated >= '" + wsman.DMTF(since.Truncate(time.Second)) + "'"
			return all(ctx, &g.machine, nsWindows, wql, func(f *fields) eventRow {
				if n++; n > mostStartErrors {
					f.err = fmt.Errorf("more than %d events, which is the limit", mostStartErrors)
					return eventRow{}
				}
				return eventRow{Event{
					Log: f.text("Logfile"), ID: f.mustUint32("EventCode"), Source: f.text("SourceName"),
					At: must(f, f.object.Time, "TimeGenerated"), Strings: f.texts("InsertionStrings"),
				}, f.uint32("RecordNumber")}
			})
		})
	}
	err := together(
		ctx,
		// A range and no list: servers that know no OR understand it too.
		read(&system, fmt.Sprintf("Logfile = 'System' AND EventCode >= %d AND EventCode <= %d", EventStartFailed, EventLogonRight)),
		read(&own, fmt.Sprintf("Logfile = 'Application' AND EventType = %d AND SourceName = %s", eventTypeError, wsman.Quote(service))),
		into(&display, func(ctx context.Context) (string, error) { return g.display(ctx, service) }),
	)
	if err != nil {
		return nil, fmt.Errorf("read why service %s did not start: %w", service, err)
	}
	system = slices.DeleteFunc(system, func(r eventRow) bool { return !r.tellsOfStart() || !about(r.Event, service, display) })
	return newest(append(system, own...)), nil
}

// tellsOfStart reports whether the event is one that says why a service did not start.
func (r eventRow) tellsOfStart() bool {
	switch r.ID {
	case EventStartFailed, EventDependencyFailed, EventEnded, EventEndedSpecific, EventLogonFailed, EventLogonRight:
		return true
	}
	return false
}

// display is a service's display name, by which most events name it.
func (g *Guest) display(ctx context.Context, service string) (string, error) {
	names, err := all(ctx, &g.machine, nsWindows, "SELECT DisplayName FROM Win32_Service WHERE Name = "+wsman.Quote(service),
		func(f *fields) string { return f.text("DisplayName") })
	return strings.Join(names, ""), err
}

// newest orders events, the newest first, and those of one moment by their numbers in their log.
func newest(rows []eventRow) []Event {
	slices.SortStableFunc(rows, func(a, b eventRow) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.record, a.record))
	})
	var out []Event
	for _, r := range rows {
		out = append(out, r.Event)
	}
	return out
}
