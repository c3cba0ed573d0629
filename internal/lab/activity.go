package lab

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/lab/sqlengine"
)

// What an instance shows of its work. These are a quiet instance's figures, which grow with the time since its start
// and with nothing else; what clients write in tables of their own shows in the views of transactions alone.

// files are two for each database: its rows and its log.
func files(list []sqlengine.Database, up time.Duration) []sqlengine.File {
	seconds := int64(up / time.Second)
	var out []sqlengine.File
	for _, d := range list {
		rows := sqlengine.File{
			DatabaseID: d.ID, ID: 1, Name: d.Name, Path: `D:\Data\` + d.Name + ".mdf", State: d.State, Pages: 16384, UsedPages: 4096,
			Reads: seconds, ReadBytes: seconds << 16, ReadStall: up / 500, Writes: 2 * seconds, WrittenBytes: seconds << 14, WriteStall: up / 1000,
		}
		if d.Name == "tempdb" {
			rows.UserPages, rows.InternalPages, rows.VersionStorePages, rows.MixedPages = 1024, 512, 256, 128
		}
		out = append(out, rows, sqlengine.File{
			DatabaseID: d.ID, ID: 2, Log: true, Name: d.Name + "_log", Path: `E:\Log\` + d.Name + ".ldf", State: d.State, Pages: 8192,
			Writes: 4 * seconds, WrittenBytes: seconds << 12, WriteStall: up / 2000,
		})
	}
	return out
}

// backups are those of every night at one, and of the log of what is in use every quarter of an hour.
func backups(list []sqlengine.Database, now time.Time) []sqlengine.Backup {
	night := now.Truncate(24 * time.Hour).Add(time.Hour)
	if night.After(now) {
		night = night.Add(-24 * time.Hour)
	}
	var out []sqlengine.Backup
	for _, d := range list {
		switch {
		case d.Name == "tempdb", d.State != sqlengine.Online:
			continue
		case d.Name == "sales":
			out = append(out, sqlengine.Backup{Database: d.Name, Type: "L", Finished: now.Truncate(15 * time.Minute)})
		}
		out = append(out, sqlengine.Backup{Database: d.Name, Type: "D", Finished: night}, sqlengine.Backup{Database: d.Name, Type: "D", Finished: night.Add(-24 * time.Hour)})
	}
	return out
}

// Types of performance counters: learn.microsoft.com, "sys.dm_os_performance_counters", and winperf.h.
const (
	counterRaw      = 65792      // PERF_COUNTER_LARGE_RAWCOUNT
	counterBulk     = 272696576  // PERF_COUNTER_BULK_COUNT: named a rate, and a running total
	counterFraction = 537003264  // PERF_LARGE_RAW_FRACTION: to be divided by the base
	counterBase     = 1073939712 // PERF_LARGE_RAW_BASE
)

// sales is the database in use.
const sales = 5

// transactions are the one that the model says is open, if there is one.
func transactions(s *model.Server) []sqlengine.Transaction {
	if s.Open.IsZero() {
		return nil
	}
	return []sqlengine.Transaction{{ID: 4711, SessionID: 61, Begin: s.Open, DatabaseID: sales, RollingBack: s.RollingBack}}
}

// requests are the backup or restore that the model says is under way.
func requests(s *model.Server) []sqlengine.Request {
	var list []sqlengine.Request
	if s.Backup {
		list = append(list, sqlengine.Request{SessionID: 62, DatabaseID: sales, Command: "BACKUP DATABASE"})
	}
	if s.Restore {
		list = append(list, sqlengine.Request{SessionID: 63, DatabaseID: sales, Command: "RESTORE DATABASE"})
	}
	return list
}

// counters are those that a monitor asks for.
func counters(list []sqlengine.Database, up time.Duration) []sqlengine.Counter {
	seconds := int64(up / time.Second)
	out := []sqlengine.Counter{
		{Object: "SQL Statistics", Name: "Batch Requests/sec", Value: 40 * seconds, Type: counterBulk},
		{Object: "SQL Statistics", Name: "SQL Compilations/sec", Value: 2 * seconds, Type: counterBulk},
		{Object: "SQL Statistics", Name: "SQL Re-Compilations/sec", Value: seconds / 60, Type: counterBulk},
		{Object: "Buffer Manager", Name: "Buffer cache hit ratio", Value: 1990, Type: counterFraction},
		{Object: "Buffer Manager", Name: "Buffer cache hit ratio base", Value: 2000, Type: counterBase},
		{Object: "Buffer Manager", Name: "Page life expectancy", Value: seconds, Type: counterRaw},
		{Object: "Buffer Manager", Name: "Page reads/sec", Value: seconds, Type: counterBulk},
		{Object: "Buffer Manager", Name: "Page writes/sec", Value: 2 * seconds, Type: counterBulk},
		{Object: "Buffer Manager", Name: "Lazy writes/sec", Value: 0, Type: counterBulk},
		{Object: "General Statistics", Name: "User Connections", Value: 3, Type: counterRaw},
		{Object: "General Statistics", Name: "Logins/sec", Value: seconds / 5, Type: counterBulk},
		{Object: "Memory Manager", Name: "Total Server Memory (KB)", Value: 1 << 20, Type: counterRaw},
		{Object: "Memory Manager", Name: "Target Server Memory (KB)", Value: 2 << 20, Type: counterRaw},
		{Object: "Memory Manager", Name: "Memory Grants Pending", Value: 0, Type: counterRaw},
		{Object: "Memory Manager", Name: "Memory Grants Outstanding", Value: 1, Type: counterRaw},
		{Object: "Locks", Name: "Number of Deadlocks/sec", Instance: "_Total", Value: 0, Type: counterBulk},
		{Object: "Locks", Name: "Number of Deadlocks/sec", Instance: "Key", Value: 0, Type: counterBulk},
		{Object: "Databases", Name: "Transactions/sec", Instance: "_Total", Value: 20 * seconds, Type: counterBulk},
	}
	for _, d := range list {
		if d.State != sqlengine.Online {
			continue
		}
		out = append(out,
			sqlengine.Counter{Object: "Databases", Name: "Log File(s) Size (KB)", Instance: d.Name, Value: 65536, Type: counterRaw},
			sqlengine.Counter{Object: "Databases", Name: "Log File(s) Used Size (KB)", Instance: d.Name, Value: 4096, Type: counterRaw})
	}
	return append(out,
		sqlengine.Counter{Object: "Databases", Name: "Log File(s) Size (KB)", Instance: "_Total", Value: int64(len(list)) * 65536, Type: counterRaw},
		sqlengine.Counter{Object: "Databases", Name: "Log File(s) Used Size (KB)", Instance: "_Total", Value: int64(len(list)) * 4096, Type: counterRaw})
}

// waits are a few of each kind.
func waits(up time.Duration) []sqlengine.Wait {
	seconds := int64(up / time.Second)
	return []sqlengine.Wait{
		{Type: "LAZYWRITER_SLEEP", Tasks: seconds, Time: up},
		{Type: "SOS_SCHEDULER_YIELD", Tasks: seconds, Time: up / 5000, Signal: up / 5000},
		{Type: "PAGEIOLATCH_SH", Tasks: seconds, Time: up / 500, Signal: up / 50000},
		{Type: "WRITELOG", Tasks: 4 * seconds, Time: up / 1000, Signal: up / 50000},
		{Type: "LCK_M_X", Tasks: seconds / 60, Time: up / 2000, Signal: up / 100000},
	}
}

// schedulers are a machine's of four processors.
func schedulers() []sqlengine.Scheduler {
	one := sqlengine.Scheduler{Tasks: 8, Workers: 12, Active: 9}
	return []sqlengine.Scheduler{one, one, one, one}
}

// diagnostics are clean but for the component that a fault hurts. That of an instance which suffers from its machine's
// pressure warns of its resources, as sp_server_diagnostics does where memory runs short.
func diagnostics(failing string, suffers bool) sqlengine.Diagnostics {
	state := func(component string) sqlengine.ComponentState {
		if component == failing {
			return sqlengine.ComponentError
		}
		if suffers && component == model.Components()[1] {
			return sqlengine.ComponentWarning
		}
		return sqlengine.ComponentClean
	}
	names := model.Components()
	return sqlengine.Diagnostics{System: state(names[0]), Resource: state(names[1]), QueryProcessing: state(names[2])}
}
