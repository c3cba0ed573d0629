package guest

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/exporter/eventlog"
	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
)

// The severities that are counted: from 17, a lack of resources, what no user can correct, to 25, the worst there is
// (learn.microsoft.com, "Database Engine Error Severities").
const (
	leastSeverity = 17
	mostSeverity  = 25
)

// unread is the key of an event whose severity could not be read.
const unread = "unread"

// severity reads the data that SQL Server writes beside its message in the Application log: the error's number and its
// severity, each a little-endian number of 32 bits, then names. Microsoft does not document it; public captures of the
// event viewer show it (error 18456, severity 14: 18 48 00 00 0e 00 00 00 …). It is believed where the number is the
// event's own.
func severity(e cluster.Event) (n uint32, ok bool) {
	if len(e.Data) < 8 {
		return 0, false
	}
	number, n := binary.LittleEndian.Uint32(e.Data), binary.LittleEndian.Uint32(e.Data[4:])
	return n, number&0xFFFF == e.ID&0xFFFF && n <= mostSeverity
}

// eventKey counts by instance and severity.
func eventKey(instance, severity string) string { return instance + "/" + severity }

// eventsCollector counts the errors of SQL Server in the guest's Application log.
func eventsCollector(o Options, d probe.Descs) probe.Collector {
	total := d.New("hyperv_guest_sql_errors_total", "Errors of SQL Server of severity 17 and above in the guest's Application log since hyperv_guest_events_counted_since_timestamp_seconds: 17 lacks a resource, 20 to 25 end a connection or worse, 24 is a failed disk.", "sql_instance", "severity")
	lost := d.New("hyperv_guest_sql_events_unread_total", "Events of SQL Server in the guest's Application log whose severity could not be read.", "sql_instance")
	since := d.New("hyperv_guest_events_counted_since_timestamp_seconds", "Since when the events are counted, by the guest's clock, in seconds since 1970. A restart of the exporter, a reload of its configuration, and a log that could not be read for a quarter of an hour begin anew.")
	counter := eventlog.New(o.Source, eventQueries(o.VM), classify(o.VM))
	return probe.Collector{Name: "events", Collect: func(ctx context.Context, _ log.Logger) probe.Result {
		if len(o.VM.SQLServers) == 0 {
			return probe.Result{}
		}
		counts, from, err := counter.Read(ctx)
		if err != nil {
			return probe.Result{Err: fmt.Errorf("count SQL Server's errors: %w", err)}
		}
		var s probe.Set
		for _, sql := range o.VM.SQLServers {
			for n := leastSeverity; n <= mostSeverity; n++ {
				severity := strconv.Itoa(n)
				s.Counter(total, float64(counts[eventKey(sql.Instance, severity)]), sql.Instance, severity)
			}
			s.Counter(lost, float64(counts[eventKey(sql.Instance, unread)]), sql.Instance)
		}
		s.Time(since, from)
		return probe.Result{Metrics: s}
	}}
}

// eventQueries has one for each instance, which writes under its service's name.
func eventQueries(vm *config.VirtualMachine) []cluster.EventQuery {
	var q []cluster.EventQuery
	for _, s := range vm.SQLServers {
		q = append(q, cluster.EventQuery{Log: "Application", Source: s.ServiceName()})
	}
	return q
}

func classify(vm *config.VirtualMachine) func(cluster.Event) (string, bool) {
	instances := map[string]string{}
	for _, s := range vm.SQLServers {
		instances[fold(s.ServiceName())] = s.Instance
	}
	return func(e cluster.Event) (string, bool) {
		instance, ok := instances[fold(e.Source)]
		if !ok {
			return "", false
		}
		n, ok := severity(e)
		if !ok {
			return eventKey(instance, unread), true
		}
		return eventKey(instance, strconv.FormatUint(uint64(n), 10)), n >= leastSeverity
	}
}
