package mssql

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

// figure is a metric made of one figure of a component's data. What a version of SQL Server does not tell is absent.
type figure struct {
	component, attribute string // the attribute in small letters, an entry of the memory report as it is described
	desc                 probe.Desc
	factor               float64
	labels               []string
}

type diagnosticsDescs struct {
	state, stateCode, errorSets, received, level, known probe.Desc
	figures                                             []figure
}

// newDiagnosticsDescs lists the figures. Their source is the table of learn.microsoft.com, "sp_server_diagnostics
// (Transact-SQL)", and what the procedure gives.
func newDiagnosticsDescs(d probe.Descs) diagnosticsDescs {
	cpu := d.New("mssql_cpu_utilization_ratio", "How busy the guest's processors were, from 0 to 1: with everything (system), or with SQL Server (sql).", "scope")
	available := d.New("mssql_memory_available_bytes", "Memory that is available to SQL Server: physical, virtual, or of the paging file.", "kind")
	one := func(component, attribute, name, help string) figure {
		return figure{component, attribute, d.New(name, help), 1, nil}
	}
	const system, resource, queries, io = sqlhealth.ComponentSystem, sqlhealth.ComponentResource, sqlhealth.ComponentQueryProcessing, sqlhealth.ComponentIOSubsystem
	return diagnosticsDescs{
		state:     d.New("mssql_server_diagnostics_state", "1 for the state that sp_server_diagnostics gives the component; absent where its last word is older than the health check's time-out.", "component", "state"),
		stateCode: d.New("mssql_server_diagnostics_state_code", "The state that sp_server_diagnostics gives the component: 0 unknown, 1 clean, 2 warning, 3 error. Unknown is the normal state of events.", "component"),
		errorSets: d.New("mssql_server_diagnostics_error_sets", "How many sets of sp_server_diagnostics in a row called the component's state an error; system is level 3, resource 4, query_processing 5 of the FailureConditionLevel ladder.", "component"),
		received:  d.New("mssql_server_diagnostics_last_success_timestamp_seconds", "When the last set of sp_server_diagnostics arrived, by the exporter's clock, in seconds since 1970."),
		level:     d.New("mssql_health_level", "The lowest level of the FailureConditionLevel ladder that is violated: 1 down, 2 not responding, 3 system, 4 resource, 5 query processing, 0 none; absent where it is not known."),
		known:     d.New("mssql_health_known", "1 means that the health level could be determined."),
		figures: []figure{
			{system, "systemcpuutilization", cpu, 0.01, []string{"system"}},
			{system, "sqlcpuutilization", cpu, 0.01, []string{"sql"}},
			one(system, "nonyieldingtasksreported", "mssql_nonyielding_tasks", "Tasks that did not yield their scheduler."),
			one(system, "latchwarnings", "mssql_latch_warnings", "Warnings about latches that were waited for too long."),
			one(system, "badpagesdetected", "mssql_bad_pages_detected", "Pages in memory that were found damaged."),
			one(system, "badpagesfixed", "mssql_bad_pages_fixed", "Pages in memory that were found damaged and repaired."),
			one(system, "isaccessviolationoccurred", "mssql_access_violation", "1 means that an access violation occurred."),
			one(system, "writeaccessviolationcount", "mssql_write_access_violations", "Access violations while writing."),
			one(system, "totaldumprequests", "mssql_dump_requests", "Memory dumps that were asked for since the start."),
			one(system, "intervaldumprequests", "mssql_dump_requests_in_interval", "Memory dumps that were asked for in the last interval of the diagnostics."),
			one(resource, "outofmemoryexceptions", "mssql_out_of_memory_exceptions", "Exceptions for want of memory."),
			one(resource, "isanypooloutofmemory", "mssql_memory_pool_exhausted", "1 means that a resource pool is out of memory."),
			{resource, "Available Physical Memory", available, 1, []string{"physical"}},
			{resource, "Available Virtual Memory", available, 1, []string{"virtual"}},
			{resource, "Available Paging File", available, 1, []string{"paging_file"}},
			one(resource, "Working Set", "mssql_memory_working_set_bytes", "Memory that SQL Server's process holds."),
			one(queries, "maxworkers", "mssql_workers_max", "The most worker threads that there may be."),
			one(queries, "workerscreated", "mssql_workers_created", "Worker threads that there are."),
			one(queries, "workersidle", "mssql_workers_idle", "Worker threads that have nothing to do."),
			one(queries, "pendingtasks", "mssql_pending_tasks", "Tasks that wait for a worker thread."),
			// The unit is not documented; the waits of SQL Server's views are in milliseconds.
			{queries, "oldestpendingtaskwaitingtime", d.New("mssql_oldest_pending_task_wait_seconds", "How long the task has waited that waits longest for a worker thread."), 0.001, nil},
			one(queries, "hasunresolvabledeadlockoccurred", "mssql_unresolvable_deadlock", "1 means that a deadlock occurred that cannot be resolved."),
			one(queries, "hasdeadlockedschedulersoccurred", "mssql_deadlocked_schedulers", "1 means that schedulers are deadlocked: there is no worker left that could go on."),
			one(io, "iolatchtimeouts", "mssql_io_latch_timeouts", "Waits for a page's reading or writing that took too long."),
			one(io, "totallongios", "mssql_long_ios", "Reads and writes that took 15 seconds or longer, since the start."),
		},
	}
}

// diagnosticsCollector tells what SQL Server thinks of itself, and the health level that follows.
func diagnosticsCollector(o Options, d probe.Descs) probe.Collector {
	descs := newDiagnosticsDescs(d)
	return probe.Collector{Name: "diagnostics", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		h := o.Source.Health(ctx)
		level.Debug(l).Log("msg", "diagnostics read", "fresh", h.Fresh, "known", h.Known, "level", h.Level, "received", h.Set.Received)
		var s probe.Set
		diagnosticsMetrics(&s, descs, h)
		if h.Err != nil {
			return probe.Result{Metrics: s, Err: &probe.Error{Why: h.Err.Reason, Err: fmt.Errorf("stream sp_server_diagnostics: %w", h.Err)}}
		}
		return probe.Result{Metrics: s}
	}}
}

var componentStates = []string{"unknown", "clean", "warning", "error", probe.Other}

// components are those that are told; SQL Server may add others.
var components = []string{
	sqlhealth.ComponentSystem, sqlhealth.ComponentResource, sqlhealth.ComponentQueryProcessing, sqlhealth.ComponentIOSubsystem, sqlhealth.ComponentEvents,
}

func diagnosticsMetrics(s *probe.Set, d diagnosticsDescs, h sqlhealth.Health) {
	s.Bool(d.known, h.Known)
	if h.Known {
		s.Gauge(d.level, float64(h.Level))
	}
	s.Time(d.received, h.Set.Received)
	if !h.Fresh {
		return
	}
	for _, name := range components {
		for _, c := range h.Set.Components {
			if !strings.EqualFold(c.Name, name) {
				continue
			}
			s.States(d.state, componentStates, member(componentStates, int64(c.State)), name)
			s.Gauge(d.stateCode, float64(c.State), name)
			s.Gauge(d.errorSets, float64(c.ErrorSets), name)
			for _, f := range d.figures {
				if v, ok := c.Values[f.attribute]; ok && f.component == name {
					s.Gauge(f.desc, v*f.factor, f.labels...)
				}
			}
			break
		}
	}
}
