package mssql

import (
	"slices"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/probe/probetest"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

func TestPerformance(t *testing.T) {
	t.Parallel()
	whole := sqlhealth.PerformanceReport{
		Counters: []sqlhealth.Counter{
			{Object: "SQL Statistics", Name: "Batch Requests/sec", Value: 1000},
			{Object: "SQL Statistics", Name: "SQL Compilations/sec", Value: 100},
			{Object: "SQL Statistics", Name: "SQL Re-Compilations/sec", Value: 10},
			{Object: "Buffer Manager", Name: "Buffer cache hit ratio", Value: 1990},
			{Object: "Buffer Manager", Name: "Buffer cache hit ratio base", Value: 2000},
			{Object: "Buffer Manager", Name: "Page life expectancy", Value: 300},
			{Object: "Buffer Node", Name: "Page life expectancy", Value: 9},
			{Object: "Buffer Manager", Name: "Page reads/sec", Value: 11},
			{Object: "Buffer Manager", Name: "Page writes/sec", Value: 12},
			{Object: "Buffer Manager", Name: "Lazy writes/sec", Value: 13},
			{Object: "General Statistics", Name: "User Connections", Value: 14},
			{Object: "General Statistics", Name: "Logins/sec", Value: 15},
			{Object: "Memory Manager", Name: "Total Server Memory (KB)", Value: 1024},
			{Object: "Memory Manager", Name: "Target Server Memory (KB)", Value: 2048},
			{Object: "Memory Manager", Name: "Memory Grants Pending", Value: 16},
			{Object: "Memory Manager", Name: "Memory Grants Outstanding", Value: 17},
			{Object: "Locks", Name: "Number of Deadlocks/sec", Instance: "_Total", Value: 18},
			{Object: "Databases", Name: "Transactions/sec", Instance: "_Total", Value: 19},
		},
		Waits: []sqlhealth.Wait{
			{Type: "LCK_M_X", Tasks: 1, Time: 2 * time.Second, Signal: time.Second},
			{Type: "LCK_M_S", Tasks: 2, Time: time.Second},
			{Type: "WRITELOG", Tasks: 3, Time: time.Second / 2},
			{Type: "NEVER_HEARD_OF", Tasks: 4, Time: time.Minute},
		},
		Workers:   &sqlhealth.Workers{Max: 512, Created: 40, Active: 20, Runnable: 2, Queued: 1},
		TempDB:    &sqlhealth.TempDB{Free: 1 << 20, VersionStore: 2 << 20, UserObjects: 3 << 20, InternalObjects: 4 << 20, Mixed: 5 << 20},
		Databases: []sqlhealth.Database{{ID: 5, Name: "Shop"}},
		Files:     []sqlhealth.File{{DatabaseID: 5, ID: 1, Name: "rows"}},
		IO: []sqlhealth.FileIO{
			{DatabaseID: 5, FileID: 1, Reads: 1, ReadBytes: 2, ReadStall: 3 * time.Second, Writes: 4, WrittenBytes: 5, WriteStall: 6 * time.Second},
			{DatabaseID: 5, FileID: 2, Reads: 7},
			{DatabaseID: 32767, FileID: 1, Reads: 8},
		},
	}
	for _, tt := range []struct {
		name     string
		report   sqlhealth.PerformanceReport
		failures []*sqlhealth.Failure
		reason   dial.Reason
	}{
		{"performance", whole, nil, dial.Answered},
		{"performance_denied", sqlhealth.PerformanceReport{Databases: whole.Databases}, []*sqlhealth.Failure{
			failure("read the counters", dial.Permission), failure("read the waits", dial.Permission),
		}, dial.Permission},
		{"performance_hung", sqlhealth.PerformanceReport{Counters: whole.Counters[:1]}, []*sqlhealth.Failure{failure("read the waits", dial.QueryTimeout)}, dial.QueryTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := collect(t, reports{performance: tt.report, failures: tt.failures}, "performance")
			if got := probe.Reason(r.Err); got != tt.reason {
				t.Errorf("reason = %q, want %q (%v)", got, tt.reason, r.Err)
			}
			probetest.Golden(t, tt.name, r.Metrics)
		})
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		report   sqlhealth.SessionReport
		failures []*sqlhealth.Failure
		reason   dial.Reason
	}{
		{"sessions", sqlhealth.SessionReport{Blocked: &sqlhealth.Blocked{Requests: 3, Longest: 90 * time.Second}, Transactions: &sqlhealth.Transactions{Active: 4, Oldest: time.Hour}}, nil, dial.Answered},
		{"sessions_hung", sqlhealth.SessionReport{Blocked: &sqlhealth.Blocked{}}, []*sqlhealth.Failure{failure("read the transactions", dial.QueryTimeout)}, dial.QueryTimeout},
		{"sessions_denied", sqlhealth.SessionReport{}, []*sqlhealth.Failure{failure("read who is blocked", dial.Permission)}, dial.Permission},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := collect(t, reports{sessions: tt.report, failures: tt.failures}, "sessions")
			if got := probe.Reason(r.Err); got != tt.reason {
				t.Errorf("reason = %q, want %q (%v)", got, tt.reason, r.Err)
			}
			probetest.Golden(t, tt.name, r.Metrics)
		})
	}
}

func TestWaitClass(t *testing.T) {
	t.Parallel()
	for wait, want := range map[string]string{
		"LCK_M_IX": "lock", "PAGEIOLATCH_EX": "buffer_io", "PAGELATCH_EX": "buffer_latch", "LATCH_SH": "latch",
		"RESOURCE_SEMAPHORE": "memory", "RESOURCE_SEMAPHORE_QUERY_COMPILE": "compilation", "HADR_SYNC_COMMIT": "replication",
		"HADR_THROTTLE_LOG_RATE_GOVERNOR": "log_rate_governor", "HADR_WORK_QUEUE": "idle", "BROKER_RECEIVE_WAITFOR": "user_wait",
		"BROKER_TRANSMITTER": "service_broker", "SQLTRACE_BUFFER_FLUSH": "idle", "SQLTRACE_LOCK": "tracing", "XE_TIMER_EVENT": "idle",
		"CXPACKET": "parallelism", "SLEEP_TASK": "idle", "THREADPOOL": "worker_thread", "LOGMGR_QUEUE": "idle", "LOGMGR": "log_io", "": "other", "CXROW_SYNC": "other",
	} {
		if got := waitClass(wait); got != want {
			t.Errorf("waitClass(%q) = %q, want %q", wait, got, want)
		}
	}
	seen := map[string]string{}
	for _, k := range waitKinds {
		for _, typ := range k.types {
			if other, twice := seen[typ]; twice {
				t.Errorf("%s is of %s and of %s", typ, other, k.class)
			}
			seen[typ] = k.class
		}
	}
	classes := waitClasses()
	slices.Sort(classes)
	if len(slices.Compact(classes)) != len(waitKinds)+1 {
		t.Errorf("a class stands twice among %q", classes)
	}
}
