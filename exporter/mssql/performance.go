package mssql

import (
	"context"
	"strconv"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

// performanceDescs describe what performanceCollector tells. totals and gauges are of performance counters.
type performanceDescs struct {
	totals, gauges                                                []counterMetric
	hitRatio                                                      probe.Desc
	waits, waitTime, signalTime                                   probe.Desc
	limit, workers, active, runnable, queued                      probe.Desc
	tempDB                                                        probe.Desc
	reads, readBytes, readStall, writes, writtenBytes, writeStall probe.Desc
}

// counterKey finds a performance counter. Its instance is empty or _Total.
type counterKey struct{ object, name string }

// counterMetric is a metric made of one performance counter.
type counterMetric struct {
	counterKey
	desc   probe.Desc
	factor float64
}

// newPerformanceDescs lists the metrics. That counters named a rate are running totals: learn.microsoft.com,
// "sys.dm_os_performance_counters"; what each means: "SQL Server, … object", the page of its object.
func newPerformanceDescs(d probe.Descs) performanceDescs {
	one := func(object, counter, name, help string) counterMetric {
		return counterMetric{counterKey{object, counter}, d.New(name, help), 1}
	}
	const kib = 1024
	file := []string{"database", "file"}
	return performanceDescs{
		totals: []counterMetric{
			one("SQL Statistics", "Batch Requests/sec", "mssql_batch_requests_total", "Batches that clients have sent since the start."),
			one("SQL Statistics", "SQL Compilations/sec", "mssql_sql_compilations_total", "Compilations since the start."),
			one("SQL Statistics", "SQL Re-Compilations/sec", "mssql_sql_recompilations_total", "Compilations of what had been compiled before, since the start."),
			one("Buffer Manager", "Page reads/sec", "mssql_buffer_page_reads_total", "Pages that were read from disk since the start."),
			one("Buffer Manager", "Page writes/sec", "mssql_buffer_page_writes_total", "Pages that were written to disk since the start."),
			one("Buffer Manager", "Lazy writes/sec", "mssql_buffer_lazy_writes_total", "Pages that were written to disk to make room, since the start."),
			one("General Statistics", "Logins/sec", "mssql_logins_total", "Logins since the start, reused connections left out."),
			one("Locks", "Number of Deadlocks/sec", "mssql_deadlocks_total", "Lock requests that ended in a deadlock, since the start."),
			one("Databases", "Transactions/sec", "mssql_transactions_total", "Transactions that were begun since the start, in all databases."),
		},
		gauges: []counterMetric{
			one("Buffer Manager", "Page life expectancy", "mssql_buffer_page_life_expectancy_seconds", "How long a page stays in the buffer pool without being used."),
			one("General Statistics", "User Connections", "mssql_user_connections", "Users that are connected."),
			one("Memory Manager", "Memory Grants Pending", "mssql_memory_grants_pending", "Queries that wait for memory to work in."),
			one("Memory Manager", "Memory Grants Outstanding", "mssql_memory_grants_outstanding", "Queries that have memory to work in."),
			{counterKey{"Memory Manager", "Total Server Memory (KB)"}, d.New("mssql_server_memory_bytes", "Memory that the memory manager has committed."), kib},
			{counterKey{"Memory Manager", "Target Server Memory (KB)"}, d.New("mssql_server_memory_target_bytes", "Memory that the memory manager would like to have."), kib},
		},
		hitRatio:     d.New("mssql_buffer_cache_hit_ratio", "How many of the last few thousand page requests were answered without reading from disk, from 0 to 1."),
		waits:        d.New("mssql_waits_total", "Waits since the start, by what was waited for.", "class"),
		waitTime:     d.New("mssql_wait_seconds_total", "Time that tasks have waited since the start, by what for.", "class"),
		signalTime:   d.New("mssql_signal_wait_seconds_total", "The part of mssql_wait_seconds_total after it was there, spent waiting for a processor.", "class"),
		limit:        d.New("mssql_scheduler_workers_limit", "The most worker threads that there may be."),
		workers:      d.New("mssql_scheduler_workers", "Worker threads of the schedulers for users' tasks."),
		active:       d.New("mssql_scheduler_workers_active", "Worker threads that have a task."),
		runnable:     d.New("mssql_scheduler_runnable_tasks", "Tasks with a worker thread that wait for a processor."),
		queued:       d.New("mssql_scheduler_queued_tasks", "Tasks that wait for a worker thread."),
		tempDB:       d.New("mssql_tempdb_space_bytes", "How the pages of tempdb's files are used.", "use"),
		reads:        d.New("mssql_file_reads_total", "Reads of the file since the start.", file...),
		readBytes:    d.New("mssql_file_read_bytes_total", "Bytes read from the file since the start.", file...),
		readStall:    d.New("mssql_file_read_stall_seconds_total", "Time that users have waited for reads of the file, since the start.", file...),
		writes:       d.New("mssql_file_writes_total", "Writes to the file since the start.", file...),
		writtenBytes: d.New("mssql_file_written_bytes_total", "Bytes written to the file since the start.", file...),
		writeStall:   d.New("mssql_file_write_stall_seconds_total", "Time that users have waited for writes to the file, since the start.", file...),
	}
}

// performanceCollector tells what a database administrator looks at first; no decision waits for it.
func performanceCollector(o Options, d probe.Descs) probe.Collector {
	descs := newPerformanceDescs(d)
	return probe.Collector{Name: "performance", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		report, failures := o.Source.PerformanceReport(ctx)
		level.Debug(l).Log("msg", "performance read", "counters", len(report.Counters), "waits", len(report.Waits), "files", len(report.IO), "missing", len(failures))
		var s probe.Set
		counterMetrics(&s, descs, report.Counters)
		waitMetrics(&s, descs, report.Waits)
		if w := report.Workers; w != nil {
			s.Gauge(descs.limit, float64(w.Max))
			s.Gauge(descs.workers, float64(w.Created))
			s.Gauge(descs.active, float64(w.Active))
			s.Gauge(descs.runnable, float64(w.Runnable))
			s.Gauge(descs.queued, float64(w.Queued))
		}
		if t := report.TempDB; t != nil {
			s.Gauge(descs.tempDB, float64(t.Free), "free")
			s.Gauge(descs.tempDB, float64(t.VersionStore), "version_store")
			s.Gauge(descs.tempDB, float64(t.UserObjects), "user_objects")
			s.Gauge(descs.tempDB, float64(t.InternalObjects), "internal_objects")
			s.Gauge(descs.tempDB, float64(t.Mixed), "mixed_extents")
		}
		ioMetrics(&s, descs, report)
		return probe.Result{Metrics: s, Err: missing(failures)}
	}}
}

func counterMetrics(s *probe.Set, d performanceDescs, list []sqlhealth.Counter) {
	values := make(map[counterKey]float64, len(list))
	for _, c := range list {
		values[counterKey{c.Object, c.Name}] = float64(c.Value)
	}
	for _, m := range d.totals {
		if v, ok := values[m.counterKey]; ok {
			s.Counter(m.desc, v*m.factor)
		}
	}
	for _, m := range d.gauges {
		if v, ok := values[m.counterKey]; ok {
			s.Gauge(m.desc, v*m.factor)
		}
	}
	if base := values[counterKey{"Buffer Manager", "Buffer cache hit ratio base"}]; base > 0 {
		s.Gauge(d.hitRatio, values[counterKey{"Buffer Manager", "Buffer cache hit ratio"}]/base)
	}
}

func waitMetrics(s *probe.Set, d performanceDescs, list []sqlhealth.Wait) {
	if len(list) == 0 {
		return
	}
	sums := map[string]*sqlhealth.Wait{}
	for _, w := range list {
		class := waitClass(w.Type)
		if sums[class] == nil {
			sums[class] = &sqlhealth.Wait{}
		}
		sum := sums[class]
		sum.Tasks += w.Tasks
		sum.Time += w.Time
		sum.Signal += w.Signal
	}
	// All of them always, so that one that is new begins at 0 and not in the middle.
	for _, class := range waitClasses() {
		sum := sums[class]
		if sum == nil {
			sum = &sqlhealth.Wait{}
		}
		s.Counter(d.waits, float64(sum.Tasks), class)
		s.Counter(d.waitTime, sum.Time.Seconds(), class)
		s.Counter(d.signalTime, sum.Signal.Seconds(), class)
	}
}

// ioMetrics tells the files. Of one whose name could not be seen, the number has to do.
func ioMetrics(s *probe.Set, d performanceDescs, r sqlhealth.PerformanceReport) {
	type key struct{ database, file int64 }
	databases := make(map[int64]string, len(r.Databases))
	for _, db := range r.Databases {
		databases[db.ID] = db.Name
	}
	files := make(map[key]string, len(r.Files))
	for _, f := range r.Files {
		files[key{f.DatabaseID, f.ID}] = f.Name
	}
	for _, io := range r.IO {
		database, ok := databases[io.DatabaseID]
		if !ok { // SQL Server's own resource database, or one that came since
			continue
		}
		file, ok := files[key{io.DatabaseID, io.FileID}]
		if !ok {
			file = "#" + strconv.FormatInt(io.FileID, 10)
		}
		s.Counter(d.reads, float64(io.Reads), database, file)
		s.Counter(d.readBytes, float64(io.ReadBytes), database, file)
		s.Counter(d.readStall, io.ReadStall.Seconds(), database, file)
		s.Counter(d.writes, float64(io.Writes), database, file)
		s.Counter(d.writtenBytes, float64(io.WrittenBytes), database, file)
		s.Counter(d.writeStall, io.WriteStall.Seconds(), database, file)
	}
}
