package sqlhealth

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// PerformanceReport is what an instance has done since its start, and what it holds now. A part that could not be seen
// is empty, or nil, and has its Failure.
type PerformanceReport struct {
	Counters []Counter
	Waits    []Wait
	Workers  *Workers
	TempDB   *TempDB
	IO       []FileIO
	// Databases and Files have the names of what IO numbers.
	Databases []Database
	Files     []File
}

// Counter is a counter of sys.dm_os_performance_counters. One that is named a rate is a running total there.
type Counter struct {
	Object   string // without SQLServer: or MSSQL$instance:
	Name     string
	Instance string // _Total, or empty where the object has none
	Value    int64
}

// Wait is how much was waited for something since the start. Signal is the part of Time after it was there, in which
// the task waited for a processor.
type Wait struct {
	Type         string
	Tasks        int64
	Time, Signal time.Duration
}

// Workers are those of all schedulers that run users' tasks.
type Workers struct{ Max, Created, Active, Runnable, Queued int64 }

// TempDB is how the pages of tempdb are used, in bytes.
type TempDB struct{ Free, VersionStore, UserObjects, InternalObjects, Mixed int64 }

// FileIO is what a file was read and written since the start, and how long that was waited for.
type FileIO struct {
	DatabaseID, FileID                     int64
	Reads, ReadBytes, Writes, WrittenBytes int64
	ReadStall, WriteStall                  time.Duration
}

const (
	countersText = `SELECT object_name, counter_name, instance_name, cntr_value FROM sys.dm_os_performance_counters ` +
		`WHERE instance_name IN (N'', N'_Total') AND counter_name IN (N'Batch Requests/sec', N'SQL Compilations/sec', N'SQL Re-Compilations/sec', ` +
		`N'Buffer cache hit ratio', N'Buffer cache hit ratio base', N'Page life expectancy', N'Page reads/sec', N'Page writes/sec', N'Lazy writes/sec', ` +
		`N'User Connections', N'Logins/sec', N'Total Server Memory (KB)', N'Target Server Memory (KB)', N'Memory Grants Pending', N'Memory Grants Outstanding', ` +
		`N'Number of Deadlocks/sec', N'Transactions/sec')`
	waitsText      = `SELECT wait_type, waiting_tasks_count, wait_time_ms, signal_wait_time_ms FROM sys.dm_os_wait_stats WHERE waiting_tasks_count > 0`
	maxWorkersText = `SELECT max_workers_count FROM sys.dm_os_sys_info`
	schedulersText = `SELECT current_workers_count, active_workers_count, runnable_tasks_count, work_queue_count FROM sys.dm_os_schedulers WHERE status = N'VISIBLE ONLINE'`
	tempDBText     = `SELECT unallocated_extent_page_count, version_store_reserved_page_count, user_object_reserved_page_count, internal_object_reserved_page_count, ` +
		`mixed_extent_page_count FROM tempdb.sys.dm_db_file_space_usage`
	fileIOText = `SELECT database_id, file_id, num_of_reads, num_of_bytes_read, io_stall_read_ms, num_of_writes, num_of_bytes_written, io_stall_write_ms ` +
		`FROM sys.dm_io_virtual_file_stats(NULL, NULL)`
)

// maxSchedulers is more than there are processors in any machine; maxWaits more than any version has kinds of waits.
const (
	maxSchedulers = 1 << 14
	maxWaits      = 1 << 14
)

// PerformanceReport logs in anew and asks what was done and what is held.
func (p *Prober) PerformanceReport(ctx context.Context) (PerformanceReport, []*Failure) {
	return report(ctx, p, []step[PerformanceReport]{
		{"read the counters", func(s *session, add func(func(*PerformanceReport))) error {
			list, err := s.counters()
			add(func(r *PerformanceReport) { r.Counters = list })
			return err
		}},
		{"read the waits", func(s *session, add func(func(*PerformanceReport))) error {
			list, err := s.waits()
			add(func(r *PerformanceReport) { r.Waits = list })
			return err
		}},
		{"read the workers", func(s *session, add func(func(*PerformanceReport))) error {
			workers, err := s.workers()
			add(func(r *PerformanceReport) { r.Workers = workers })
			return err
		}},
		{"read the use of tempdb", func(s *session, add func(func(*PerformanceReport))) error {
			use, err := s.tempDB()
			add(func(r *PerformanceReport) { r.TempDB = use })
			return err
		}},
		{"read the databases", func(s *session, add func(func(*PerformanceReport))) error {
			list, err := s.databases()
			add(func(r *PerformanceReport) { r.Databases = list })
			return err
		}},
		{"read the files", func(s *session, add func(func(*PerformanceReport))) error {
			list, err := s.files()
			add(func(r *PerformanceReport) { r.Files = list })
			return err
		}},
		{"read the use of the disks", func(s *session, add func(func(*PerformanceReport))) error {
			list, err := s.fileIO()
			add(func(r *PerformanceReport) { r.IO = list })
			return err
		}},
	})
}

// all runs a statement and reads each of its rows with read.
func all[T any](s *session, text string, columns, most int, read func(*record) T) ([]T, error) {
	rows, err := s.query(text, columns, most)
	if err != nil {
		return nil, err
	}
	list := make([]T, 0, len(rows))
	for _, values := range rows {
		r := &record{values: values}
		list = append(list, read(r))
		if r.err != nil {
			return nil, r.err
		}
	}
	return list, nil
}

// milliseconds is a whole number of them.
func (r *record) milliseconds(i int) time.Duration {
	return time.Duration(r.number(i)) * time.Millisecond
}

func (s *session) counters() ([]Counter, error) {
	return all(s, countersText, 4, maxCounters, func(r *record) Counter {
		object := r.name(0)
		if i := strings.LastIndexByte(object, ':'); i >= 0 {
			object = object[i+1:]
		}
		return Counter{Object: object, Name: r.name(1), Instance: r.name(2), Value: r.number(3)}
	})
}

func (s *session) waits() ([]Wait, error) {
	return all(s, waitsText, 4, maxWaits, func(r *record) Wait {
		return Wait{Type: r.text(0), Tasks: r.number(1), Time: r.milliseconds(2), Signal: r.milliseconds(3)}
	})
}

func (s *session) workers() (*Workers, error) {
	most, err := all(s, maxWorkersText, 1, 1, func(r *record) int64 { return r.number(0) })
	if err != nil {
		return nil, err
	}
	if len(most) != 1 {
		return nil, fmt.Errorf("%w: %d rows", errShape, len(most))
	}
	schedulers, err := all(s, schedulersText, 4, maxSchedulers, func(r *record) Workers {
		return Workers{Created: r.number(0), Active: r.number(1), Runnable: r.number(2), Queued: r.number(3)}
	})
	if err != nil {
		return nil, err
	}
	out := &Workers{Max: most[0]}
	for _, w := range schedulers {
		out.Created += w.Created
		out.Active += w.Active
		out.Runnable += w.Runnable
		out.Queued += w.Queued
	}
	return out, nil
}

func (s *session) tempDB() (*TempDB, error) {
	files, err := all(s, tempDBText, 5, maxDatabases, func(r *record) TempDB {
		return TempDB{r.number(0) * pageSize, r.number(1) * pageSize, r.number(2) * pageSize, r.number(3) * pageSize, r.number(4) * pageSize}
	})
	if err != nil {
		return nil, err
	}
	out := &TempDB{}
	for _, f := range files {
		out.Free += f.Free
		out.VersionStore += f.VersionStore
		out.UserObjects += f.UserObjects
		out.InternalObjects += f.InternalObjects
		out.Mixed += f.Mixed
	}
	return out, nil
}

func (s *session) fileIO() ([]FileIO, error) {
	return all(s, fileIOText, 8, maxFiles, func(r *record) FileIO {
		return FileIO{
			DatabaseID: r.number(0), FileID: r.number(1),
			Reads: r.number(2), ReadBytes: r.number(3), ReadStall: r.milliseconds(4),
			Writes: r.number(5), WrittenBytes: r.number(6), WriteStall: r.milliseconds(7),
		}
	})
}
