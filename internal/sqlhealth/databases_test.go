package sqlhealth

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/sqlengine"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// shop fills a model with a database whose name needs quoting, in a guest east of Greenwich.
func shop(s *sqlengine.Snapshot) {
	s.Databases = append(s.Databases, sqlengine.Database{ID: 4, Name: "msdb"}, sqlengine.Database{ID: 7, Name: "It's [a] name"})
	s.Files = []sqlengine.File{
		{DatabaseID: 5, ID: 1, Name: "Shop", State: sqlengine.RecoveryPending, Pages: 1},
		{DatabaseID: 7, ID: 1, Name: "rows", Pages: 100, UsedPages: 40},
		{DatabaseID: 7, ID: 2, Name: "log", Log: true, Pages: 10},
	}
	winter := time.FixedZone("", 3600)
	s.Backups = []sqlengine.Backup{
		{Database: "Shop", Type: "D", Finished: started().Add(-90 * 24 * time.Hour).In(winter)},
		{Database: "Shop", Type: "D", Finished: started().Add(-100 * 24 * time.Hour)},
		{Database: "Shop", Type: "L", Finished: started().In(s.Now.Location()), UnknownZone: true},
		{Database: "Shop", Type: "F", Finished: started()},
		{Database: "Shop", Type: "I", Finished: started(), Server: "ELSEWHERE"},
	}
	s.Requests = []sqlengine.Request{{SessionID: 60, Command: "RESTORE DATABASE"}, {SessionID: 61, Command: "BACKUP LOG"}}
	s.Counters = []sqlengine.Counter{
		{Object: "Databases", Name: "Log File(s) Used Size (KB)", Instance: "Shop", Value: 3},
		{Object: "Databases", Name: "Log File(s) Size (KB)", Instance: "Shop", Value: 4},
		{Object: "Databases", Name: "Log File(s) Size (KB)", Instance: "_Total", Value: 99},
		{Object: "Else", Name: "Log File(s) Size (KB)", Instance: "Shop", Value: 99},
	}
}

// parts are the failures as texts.
func parts(failures []*Failure) []string {
	var out []string
	for _, f := range failures {
		out = append(out, f.Part+": "+string(f.Err.Reason))
	}
	return out
}

func wholeDatabaseReport() DatabaseReport {
	return DatabaseReport{
		Databases: []Database{
			{ID: 1, Name: "master", StateDesc: "ONLINE"},
			{ID: 2, Name: "tempdb", StateDesc: "ONLINE"},
			{ID: 4, Name: "msdb", StateDesc: "ONLINE"},
			{ID: 5, Name: "Shop", State: 3, StateDesc: "RECOVERY_PENDING", UserAccess: 1, ReadOnly: true, InStandby: true},
			{ID: 7, Name: "It's [a] name", StateDesc: "ONLINE"},
		},
		Files: []File{
			{DatabaseID: 5, ID: 1, Name: "Shop", State: 3, Size: 8192},
			{DatabaseID: 7, ID: 1, Name: "rows", Size: 819200},
			{DatabaseID: 7, ID: 2, Name: "log", Type: 1, Size: 81920},
		},
		Space:   []Space{{DatabaseID: 7, FileID: 1, Size: 819200, Used: 327680}},
		Logs:    []Log{{Database: "Shop", Size: 4096, Used: 3072}},
		Backups: []Backup{{Database: "Shop", Type: "D", Finished: started().Add(-90 * 24 * time.Hour)}, {Database: "Shop", Type: "L", Finished: started()}},
		Running: &Running{Backup: true, Restore: true},
	}
}

// TestDatabaseReport shows the whole report, and what is left of it without each permission.
func TestDatabaseReport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		lacks sqlengine.Grant
		left  func(*DatabaseReport)
		want  []string
	}{
		{"everything granted", 0, func(*DatabaseReport) {}, nil},
		{"no server state", sqlengine.ServerState, func(r *DatabaseReport) { r.Logs, r.Running, r.Space = nil, nil, nil }, []string{
			"read the use of the logs: permission", "read what is running: permission", "read the use of the files: permission",
		}},
		{"no definition", sqlengine.AnyDefinition, func(r *DatabaseReport) { r.Files = nil }, []string{"read the files: permission"}},
		{"no connect", sqlengine.ConnectAny, func(r *DatabaseReport) { r.Space = nil }, []string{"read the use of the files: permission"}},
		{"no history", sqlengine.BackupHistory, func(r *DatabaseReport) { r.Backups = nil }, []string{"read the backups: permission"}},
	} {
		m := &model{zone: time.FixedZone("", 5*3600+1800), more: func(s *sqlengine.Snapshot) { shop(s); s.Lacks = tt.lacks }}
		got, failures := start(t, server{model: m}).prober(t, config.Strict).DatabaseReport(within(t, 5*time.Second))
		if diff := cmp.Diff(tt.want, parts(failures)); diff != "" {
			t.Errorf("%s: missing (-want +got)\n%s", tt.name, diff)
		}
		want := wholeDatabaseReport()
		tt.left(&want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
		for _, f := range failures {
			if text := f.Error(); strings.Contains(text, password) || !strings.Contains(text, "127.0.0.1") {
				t.Errorf("%s: failure reads %q", tt.name, text)
			}
		}
	}
}

// TestDatabaseReportCutShort shows that a statement that hangs, and one behind which the connection is closed, cost
// nothing of what was learnt before.
func TestDatabaseReportCutShort(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer func(context.Context) tdsserver.Response
		want   string
	}{
		{"hangs", func(ctx context.Context) tdsserver.Response { <-ctx.Done(); return tdsserver.Response{} }, "read the use of the logs: query_timeout"},
		{"closes", func(context.Context) tdsserver.Response { return tdsserver.Response{HangUp: true} }, "read the use of the logs: protocol"},
		{"fatal", func(context.Context) tdsserver.Response {
			return tdsserver.Fail(&tdsserver.Error{Number: 9001, Class: 21, State: 1, Message: "The log is not available."})
		}, "read the use of the logs: other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := &model{more: shop}
			engine, err := sqlengine.New(m)
			if err != nil {
				t.Fatal(err)
			}
			h := handler{query: func(ctx context.Context, s *tdsserver.Session, r tdsserver.Request) tdsserver.Response {
				if strings.Contains(r.Text, "performance_counters") {
					return tt.answer(ctx)
				}
				return engine.Query(ctx, s, r)
			}}
			p := start(t, server{model: m, handler: h}).prober(t, config.Mandatory)
			got, failures := p.DatabaseReport(within(t, 2*time.Second))
			if diff := cmp.Diff([]string{tt.want}, parts(failures)); diff != "" {
				t.Errorf("missing (-want +got)\n%s", diff)
			}
			want := wholeDatabaseReport()
			want.Space, want.Logs, want.Backups, want.Running = nil, nil, nil, nil
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestDatabaseReportRefused shows that one that begins with no login says so, and nothing else.
func TestDatabaseReportRefused(t *testing.T) {
	t.Parallel()
	l := listen(t)
	f := fixture{addr: l.Addr().String()}
	l.Close()
	got, failures := f.prober(t, config.Strict).DatabaseReport(within(t, 5*time.Second))
	if diff := cmp.Diff([]string{"log in: tcp_refused"}, parts(failures)); diff != "" {
		t.Errorf("missing (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(DatabaseReport{}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if r := failures[0].Reason(); r != dial.Refused {
		t.Errorf("reason %q", r)
	}
}
