package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// EventQuery names events of one classic log. Windows' newer channels (…/Operational) are no part of it:
// Win32_NTLogEvent does not reach them.
type EventQuery struct {
	Log    string // System, Application
	Source string // SourceName
	// First and Last bound EventCode; Last 0 means that every code counts.
	First, Last uint32
	// Since is the first moment that counts. The log keeps whole seconds where it is old, so that all of Since's second
	// is included.
	Since time.Time
	// Most is how many events are read; where there are more the answer is an error. 0 is no bound.
	Most int
}

// EventSourceCluster is the source of the failover cluster's events in a node's System log.
const EventSourceCluster = "Microsoft-Windows-FailoverClustering"

// Events reads the events that the query names, with their numbers and data, in no particular order.
func (m *machine) Events(ctx context.Context, q EventQuery) ([]Event, error) {
	wql := "SELECT Logfile, EventCode, SourceName, TimeGenerated, InsertionStrings, RecordNumber, Data FROM Win32_NTLogEvent WHERE Logfile = " +
		wsman.Quote(q.Log) + " AND SourceName = " + wsman.Quote(q.Source)
	if q.Last != 0 {
		// A range and no list: servers that know no OR understand it too.
		wql += fmt.Sprintf(" AND EventCode >= %d AND EventCode <= %d", q.First, q.Last)
	}
	wql += " AND TimeGenerated >= '" + wsman.DMTF(q.Since.Truncate(time.Second)) + "'"
	read := 0
	events, err := all(ctx, m, nsWindows, wql, func(f *fields) Event {
		if read++; q.Most > 0 && read > q.Most {
			f.err = fmt.Errorf("more than %d events since %s, which is the limit", q.Most, q.Since.UTC().Format(time.RFC3339))
			return Event{}
		}
		return Event{
			Log: f.text("Logfile"), ID: f.mustUint32("EventCode"), Source: f.text("SourceName"), At: must(f, f.object.Time, "TimeGenerated"),
			Strings: f.texts("InsertionStrings"), Record: f.mustUint32("RecordNumber"), Data: f.bytes("Data"),
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read the log %s of %s: %w", q.Log, m.name, err)
	}
	return events, nil
}

// bytes reads an array of unsigned 8-bit numbers.
func (f *fields) bytes(name string) []byte {
	numbers := f.uint16s(name)
	if numbers == nil {
		return nil
	}
	out := make([]byte, len(numbers))
	for i, n := range numbers {
		if n > 0xFF && f.err == nil {
			f.err = &wsman.TypeError{Class: f.object.Class, Property: name, Want: "unsigned 8-bit numbers", Got: fmt.Sprint(n)}
		}
		out[i] = byte(n)
	}
	return out
}
