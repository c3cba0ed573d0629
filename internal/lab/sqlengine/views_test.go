package sqlengine

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// busy is an instance with something in every view, and a login that lacks what a test says.
type busy struct {
	model
	lacks       Grant
	version     string
	diagnostics Diagnostics
}

func (b *busy) Snapshot() Snapshot {
	s := b.model.Snapshot()
	s.Lacks, s.Diagnostics, s.MaxWorkers = b.lacks, b.diagnostics, 512
	if b.version != "" {
		s.Version = b.version
	}
	s.Databases = append(s.Databases, Database{ID: 4, Name: "msdb"}, Database{ID: 7, Name: "Sales"})
	s.Files = []File{
		{DatabaseID: 7, ID: 1, Name: "Sales", Pages: 100, UsedPages: 40, Reads: 3, ReadStall: 5 * time.Millisecond},
		{DatabaseID: 7, ID: 2, Name: "Sales_log", Log: true, Pages: 10},
		{DatabaseID: 6, ID: 1, Name: "Away", State: Offline},
	}
	s.Backups = []Backup{{Database: "Sales", Type: "D", Finished: s.Now}, {Database: "Sales", Type: "L", Finished: s.Now, UnknownZone: true, Server: "OTHER"}}
	s.Requests = []Request{{SessionID: 60, BlockedBy: 61, DatabaseID: 7, Command: "UPDATE", Wait: 2 * time.Second}}
	s.Transactions = []Transaction{{ID: 9, SessionID: 61, Begin: s.StartTime}, {ID: 10, Begin: s.StartTime, DatabaseID: 7, RollingBack: true}}
	s.Counters = []Counter{{Object: "SQL Statistics", Name: "Batch Requests/sec", Value: 8}}
	s.Waits = []Wait{{Type: "WRITELOG", Tasks: 4, Time: time.Second, Signal: time.Millisecond}}
	s.Schedulers = []Scheduler{{Tasks: 1, Workers: 2, Active: 3, Runnable: 4, Queued: 5}}
	return s
}

// TestViews shows the rows of each view, and what is left of them without the permission that the view needs.
func TestViews(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text, want string
		grant      Grant
		without    string
	}{
		{"select database_id, file_id, type, name, state, size from sys.master_files", "|7,1,0,Sales,0,100|7,2,1,Sales_log,0,10|6,1,0,Away,6,0", AnyDefinition, ""},
		{"select file_id, total_page_count, allocated_extent_page_count from [Sales].sys.dm_db_file_space_usage", "|1,100,40", ConnectAny, "error 916"},
		{"select file_id from tempdb.sys.dm_db_file_space_usage", "", ServerState, "error 300"},
		{"select database_id, num_of_reads, io_stall_read_ms, size_on_disk_bytes from sys.dm_io_virtual_file_stats(null, null)", "|7,3,5,819200|7,0,0,81920", ServerState, "error 300"},
		{"select database_name, type, max(backup_finish_date), time_zone from msdb.dbo.backupset where server_name = 'SQL01\\PAY' group by database_name, type, time_zone", "|Sales,D,2026-03-01 09:30:00.12 +0200 +0200,8", BackupHistory, "error 229"},
		{"select time_zone from msdb.dbo.backupset where server_name = 'other'", "|127", BackupHistory, "error 229"},
		{"select session_id, blocking_session_id, wait_time from sys.dm_exec_requests", "|0,0,0|60,61,2000", ServerState, "|0,0,0"},
		{"select transaction_id, transaction_begin_time from sys.dm_tran_active_transactions where transaction_id < 100", "|9,2026-03-01 08:00:00.12 +0200 +0200|10,2026-03-01 08:00:00.12 +0200 +0200", ServerState, "error 300"},
		{"select transaction_id from sys.dm_tran_active_transactions where transaction_state = 7", "|10", ServerState, "error 300"},
		{"select transaction_id, database_id, database_transaction_begin_time from sys.dm_tran_database_transactions where database_id <> 2 and database_transaction_state in (4, 5, 12)", "|10,7,2026-03-01 08:00:00.12 +0200 +0200", ServerState, "error 300"},
		{"select session_id, transaction_id from sys.dm_tran_session_transactions where is_user_transaction = 1", "|61,9", ServerState, "error 300"},
		{"select cntr_value from sys.dm_os_performance_counters where object_name = 'MSSQL$PAY:SQL Statistics' and counter_name in (N'Batch Requests/sec')", "|8", ServerState, "error 300"},
		{"select wait_time_ms, signal_wait_time_ms, waiting_tasks_count from sys.dm_os_wait_stats", "|1000,1,4", ServerState, "error 300"},
		{"select current_workers_count, active_workers_count, work_queue_count from sys.dm_os_schedulers where status = N'VISIBLE ONLINE'", "|2,3,5", ServerState, "error 300"},
		{"select max_workers_count from sys.dm_os_sys_info", "|512", ServerState, "error 300"},
		{"exec sp_server_diagnostics 0", "", ServerState, "error 300"},
		{"select has_perms_by_name(null, null, 'VIEW SERVER STATE'), has_perms_by_name(null, null, N'View Server Performance State'), has_perms_by_name(null, null, 'x')", "|1,1,<nil>", ServerState, "|0,0,<nil>"},
		{"select has_perms_by_name(null, null, 'VIEW ANY DEFINITION'), has_perms_by_name(null, null, 'CONNECT ANY DATABASE')", "|1,1", AnyDefinition | ConnectAny, "|0,0"},
	} {
		rows := func(b *busy) string {
			got := format(ask(t, engine2(t, b), tt.text))
			if _, list, ok := strings.Cut(got, "|"); ok && !strings.HasPrefix(tt.text, "exec") {
				return "|" + list
			} else if strings.HasPrefix(got, "error") {
				return got
			}
			return ""
		}
		if got := rows(&busy{}); got != tt.want {
			t.Errorf("%s\n got %q\nwant %q", tt.text, got, tt.want)
		}
		if got := rows(&busy{lacks: tt.grant}); got != tt.without {
			t.Errorf("%s, not granted\n got %q\nwant %q", tt.text, got, tt.without)
		}
	}
	for _, text := range []string{
		"select * from sys.dm_io_virtual_file_stats", "select * from sys.databases(1)", "select * from tempdb.dbo.backupset", "select * from sys.dm_db_file_space_usage(1)",
	} {
		if got := format(ask(t, engine2(t, &busy{}), text)); got != "error 208" {
			t.Errorf("%s = %q, want error 208", text, got)
		}
	}
	if got := format(ask(t, engine2(t, &busy{version: "15.0.4300.1", lacks: ServerState}), "select has_perms_by_name(null, null, 'VIEW SERVER PERFORMANCE STATE')")); got != "|<nil>" {
		t.Errorf("a permission of SQL Server 2022 on 2019 = %q, want NULL", got)
	}
	if views := engine2(t, &busy{}).Views(); !slices.IsSortedFunc(views[:len(views)-3], strings.Compare) || len(views) < 10 {
		t.Errorf("views = %q", views)
	}
}

// engine2 is an engine over a busy instance.
func engine2(t testing.TB, b *busy) *Engine {
	t.Helper()
	e, err := New(b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestDiagnosticsRepeat shows set after set at the interval, each of its own moment, until an attention.
func TestDiagnosticsRepeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &busy{}
		e := engine2(t, b)
		first := ask(t, e, "EXEC sp_server_diagnostics @repeat_interval = 10")
		if first.More == nil || len(first.Rows) != 5 || first.Rows[0][3] != int64(1) {
			t.Fatalf("first set = %v", first)
		}
		b.diagnostics = Diagnostics{System: ComponentError, Resource: ComponentWarning, QueryProcessing: ComponentUnknown}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		before := time.Now()
		set, ok := first.More(ctx)
		if took := time.Since(before); !ok || took != 10*time.Second || set.More != nil {
			t.Fatalf("second set after %v = %v, %v", took, set, ok)
		}
		var got []string
		for _, r := range set.Rows {
			got = append(got, r[2].(string)+" "+r[4].(string))
		}
		if want := []string{"system error", "resource warning", "query_processing unknown", "io_subsystem clean", "events unknown"}; !slices.Equal(got, want) {
			t.Errorf("states = %q, want %q", got, want)
		}
		for _, end := range []func(){func() { b.phase.Store(int32(Hung)) }, func() {}} {
			end()
			time.AfterFunc(time.Minute, cancel)
			if _, ok := first.More(ctx); ok {
				t.Error("a set after the attention, or of an instance that hangs")
			}
		}
	})
	if one := ask(t, engine2(t, &busy{}), "sp_server_diagnostics 0"); one.More != nil {
		t.Error("a single run goes on")
	}
	for _, bad := range []tdsserver.Param{{Value: int64(4)}, {Value: int64(-1)}, {Value: "often"}} {
		if got := ask(t, engine2(t, &busy{}), "exec sp_server_diagnostics @p1", tdsserver.Param{Name: "@p1", Value: bad.Value}); got.Error == nil || got.Error.Number != 15600 {
			t.Errorf("repeat interval %v = %v", bad.Value, got)
		}
	}
}
