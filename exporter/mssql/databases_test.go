package mssql

import (
	"context"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/probe/probetest"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

// collect runs the collector of a name.
func collect(t *testing.T, s Source, name string) probe.Result {
	t.Helper()
	for _, c := range Collectors(Options{Source: s, Cluster: "hv-cl1", VM: "SQL01", Instance: "MSSQLSERVER"}) {
		if c.Name == name {
			return c.Collect(t.Context(), log.NewNopLogger())
		}
	}
	t.Fatalf("there is no collector %s", name)
	return probe.Result{}
}

// reports is an instance with fixed answers.
type reports struct {
	fake
	databases   sqlhealth.DatabaseReport
	performance sqlhealth.PerformanceReport
	sessions    sqlhealth.SessionReport
	groups      sqlhealth.GroupReport
	members     sqlhealth.MemberReport
	failures    []*sqlhealth.Failure
	health      sqlhealth.Health
}

var _ Source = reports{}

func (r reports) DatabaseReport(context.Context) (sqlhealth.DatabaseReport, []*sqlhealth.Failure) {
	return r.databases, r.failures
}

func (r reports) PerformanceReport(context.Context) (sqlhealth.PerformanceReport, []*sqlhealth.Failure) {
	return r.performance, r.failures
}

func (r reports) SessionReport(context.Context) (sqlhealth.SessionReport, []*sqlhealth.Failure) {
	return r.sessions, r.failures
}

func (r reports) GroupReport(context.Context) (sqlhealth.GroupReport, []*sqlhealth.Failure) {
	return r.groups, r.failures
}

func (r reports) MemberReport(context.Context) (sqlhealth.MemberReport, []*sqlhealth.Failure) {
	return r.members, r.failures
}

func (r reports) Health(context.Context) sqlhealth.Health { return r.health }

func (reports) Abandoned() int { return 0 }

// failure is a part that is missing.
func failure(part string, why dial.Reason) *sqlhealth.Failure {
	return &sqlhealth.Failure{Part: part, Err: &sqlhealth.Error{Target: "sql01:1433", Phase: dial.PhaseQuery, Reason: why}}
}

func TestDatabases(t *testing.T) {
	t.Parallel()
	list := []sqlhealth.Database{
		{ID: 1, Name: "master"},
		{ID: 5, Name: "Shop", State: 4, UserAccess: 2, ReadOnly: true},
		{ID: 6, Name: "Standby", InStandby: true, UserAccess: 1},
		{ID: 7, Name: "Strange", State: 42, UserAccess: 9},
	}
	space := []sqlhealth.Space{{DatabaseID: 1, FileID: 1, Size: 3 << 20, Used: 1 << 20}}
	whole := sqlhealth.DatabaseReport{
		Databases: list,
		Files: []sqlhealth.File{
			{DatabaseID: 1, ID: 1, Name: "master", Size: 1 << 20},
			{DatabaseID: 1, ID: 2, Name: "mastlog", Type: 1, Size: 2 << 20},
			{DatabaseID: 5, ID: 1, Name: "Shop", Type: 2, State: 3},
			{DatabaseID: 99, ID: 1, Name: "hidden"},
		},
		Space: space,
		Logs:  []sqlhealth.Log{{Database: "master", Size: 4 << 20, Used: 1 << 20}, {Database: "Shop"}, {Database: "mssqlsystemresource", Size: 1, Used: 1}},
		Backups: []sqlhealth.Backup{
			{Database: "Shop", Type: "D", Finished: time.Unix(1_700_000_000, 0)},
			{Database: "Shop", Type: "I", Finished: time.Unix(1_700_003_600, 0)},
			{Database: "Shop", Type: "L", Finished: time.Unix(1_700_007_200, 0)},
			{Database: "Dropped", Type: "D", Finished: time.Unix(1, 0)},
		},
		Running: &sqlhealth.Running{Restore: true},
	}
	for _, tt := range []struct {
		name     string
		report   sqlhealth.DatabaseReport
		failures []*sqlhealth.Failure
		reason   dial.Reason
	}{
		{"databases", whole, nil, dial.Answered},
		{"databases_denied", sqlhealth.DatabaseReport{Databases: list, Space: space}, []*sqlhealth.Failure{
			failure("read the files", dial.Permission), failure("read what is running", dial.Permission),
		}, dial.Permission},
		{"databases_hung", sqlhealth.DatabaseReport{Databases: list[:1]}, []*sqlhealth.Failure{failure("read the files", dial.QueryTimeout)}, dial.QueryTimeout},
		{"databases_refused", sqlhealth.DatabaseReport{}, []*sqlhealth.Failure{failure("log in", dial.Refused)}, dial.Refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := collect(t, reports{databases: tt.report, failures: tt.failures}, "databases")
			if got := probe.Reason(r.Err); got != tt.reason {
				t.Errorf("reason = %q, want %q (%v)", got, tt.reason, r.Err)
			}
			probetest.Golden(t, tt.name, r.Metrics)
		})
	}
}
