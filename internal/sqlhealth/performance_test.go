package sqlhealth

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/lab/sqlengine"
)

// busy fills a model with work.
func busy(s *sqlengine.Snapshot) {
	shop(s)
	s.Files = append(s.Files, sqlengine.File{DatabaseID: 2, ID: 1, Name: "t1", Pages: 10, UsedPages: 8, UserPages: 1, InternalPages: 2, VersionStorePages: 3, MixedPages: 2},
		sqlengine.File{DatabaseID: 2, ID: 3, Name: "t2", Pages: 10, UsedPages: 9, UserPages: 9})
	s.Files[1].Reads, s.Files[1].ReadBytes, s.Files[1].ReadStall = 1, 2, 3*time.Millisecond
	s.Files[1].Writes, s.Files[1].WrittenBytes, s.Files[1].WriteStall = 4, 5, 6*time.Millisecond
	s.InstanceName, s.ServerName = "PAY", `SQL01\PAY`
	s.Counters = append(s.Counters, sqlengine.Counter{Object: "SQL Statistics", Name: "Batch Requests/sec", Value: 7},
		sqlengine.Counter{Object: "Databases", Name: "Transactions/sec", Instance: "_Total", Value: 8},
		sqlengine.Counter{Object: "Databases", Name: "Transactions/sec", Instance: "Shop", Value: 9})
	s.Waits = []sqlengine.Wait{{Type: "WRITELOG", Tasks: 4, Time: time.Second, Signal: time.Millisecond}, {Type: "NEVER"}}
	s.Schedulers = []sqlengine.Scheduler{{Workers: 2, Active: 3, Runnable: 4, Queued: 5}, {Workers: 20, Active: 30, Runnable: 40, Queued: 50}}
	s.MaxWorkers = 512
	s.Requests = []sqlengine.Request{
		{SessionID: 60, BlockedBy: 61, Wait: 2 * time.Second},
		{SessionID: 62, BlockedBy: -2, Wait: 3 * time.Second},
		{SessionID: 63, BlockedBy: 63, Wait: time.Hour},
		{SessionID: 64, BlockedBy: -5, Wait: time.Hour},
		{SessionID: 65, Wait: time.Hour},
	}
	s.Transactions = []sqlengine.Transaction{
		{ID: 9, SessionID: 61, Begin: s.Now.Add(-time.Minute)},
		{ID: 9, SessionID: 66, Begin: s.Now.Add(-time.Minute)},
		{ID: 11, SessionID: 67, Begin: s.Now.Add(time.Hour)},
		{ID: 10, Begin: s.Now.Add(-time.Hour)},
	}
}

func TestPerformanceReport(t *testing.T) {
	t.Parallel()
	whole := func() PerformanceReport {
		return PerformanceReport{
			Counters: []Counter{{"SQL Statistics", "Batch Requests/sec", "", 7}, {"Databases", "Transactions/sec", "_Total", 8}},
			Waits:    []Wait{{"WRITELOG", 4, time.Second, time.Millisecond}},
			Workers:  &Workers{Max: 512, Created: 22, Active: 33, Runnable: 44, Queued: 55},
			TempDB:   &TempDB{Free: 3 * 8192, VersionStore: 3 * 8192, UserObjects: 10 * 8192, InternalObjects: 2 * 8192, Mixed: 2 * 8192},
			IO: []FileIO{
				{DatabaseID: 7, FileID: 1, Reads: 1, ReadBytes: 2, ReadStall: 3 * time.Millisecond, Writes: 4, WrittenBytes: 5, WriteStall: 6 * time.Millisecond},
				{DatabaseID: 7, FileID: 2},
				{DatabaseID: 2, FileID: 1},
				{DatabaseID: 2, FileID: 3},
			},
			Databases: wholeDatabaseReport().Databases,
			Files: []File{
				{DatabaseID: 2, ID: 1, Name: "t1", Size: 81920},
				{DatabaseID: 2, ID: 3, Name: "t2", Size: 81920},
				{DatabaseID: 5, ID: 1, Name: "Shop", State: 3, Size: 8192},
				{DatabaseID: 7, ID: 1, Name: "rows", Size: 819200},
				{DatabaseID: 7, ID: 2, Name: "log", Type: 1, Size: 81920},
			},
		}
	}
	for _, tt := range []struct {
		name  string
		lacks sqlengine.Grant
		left  func(*PerformanceReport)
		want  []string
	}{
		{"everything granted", 0, func(*PerformanceReport) {}, nil},
		{"no server state", sqlengine.ServerState, func(r *PerformanceReport) {
			r.Counters, r.Waits, r.Workers, r.TempDB, r.IO = nil, nil, nil, nil, nil
		}, []string{
			"read the counters: permission", "read the waits: permission", "read the workers: permission", "read the use of tempdb: permission", "read the use of the disks: permission",
		}},
		{"no definition", sqlengine.AnyDefinition, func(r *PerformanceReport) { r.Files = nil }, []string{"read the files: permission"}},
	} {
		m := &model{more: func(s *sqlengine.Snapshot) { busy(s); s.Lacks = tt.lacks }}
		got, failures := start(t, server{model: m}).prober(t, config.Strict).PerformanceReport(within(t, 5*time.Second))
		if diff := cmp.Diff(tt.want, parts(failures)); diff != "" {
			t.Errorf("%s: missing (-want +got)\n%s", tt.name, diff)
		}
		want := whole()
		tt.left(&want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

// TestSessionReport shows who is blocked and what is open, and that a login that would see only its own sessions says
// so instead of none.
func TestSessionReport(t *testing.T) {
	t.Parallel()
	m := &model{zone: time.FixedZone("", -5*3600), more: busy}
	got, failures := start(t, server{model: m}).prober(t, config.Strict).SessionReport(within(t, 5*time.Second))
	want := SessionReport{Blocked: &Blocked{Requests: 2, Longest: 3 * time.Second}, Transactions: &Transactions{Active: 2, Oldest: time.Minute}}
	if diff := cmp.Diff(want, got); diff != "" || failures != nil {
		t.Errorf("(-want +got)\n%s\nmissing %v", diff, failures)
	}
	m = &model{more: func(s *sqlengine.Snapshot) { busy(s); s.Lacks = sqlengine.ServerState }}
	got, failures = start(t, server{model: m}).prober(t, config.Strict).SessionReport(within(t, 5*time.Second))
	if diff := cmp.Diff(SessionReport{}, got); diff != "" {
		t.Errorf("without the permission (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"read who is blocked: permission", "read the transactions: permission"}, parts(failures)); diff != "" {
		t.Errorf("missing (-want +got)\n%s", diff)
	}
}
