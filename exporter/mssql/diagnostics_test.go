package mssql

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/probe/probetest"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

func TestDiagnostics(t *testing.T) {
	t.Parallel()
	set := sqlhealth.Set{Received: time.Unix(1_700_000_000, 0), Components: []sqlhealth.Component{
		{Name: "system", State: sqlhealth.ComponentClean, Values: map[string]float64{
			"systemcpuutilization": 50, "sqlcpuutilization": 40, "nonyieldingtasksreported": 1, "latchwarnings": 2, "badpagesdetected": 3, "badpagesfixed": 2,
			"isaccessviolationoccurred": 1, "writeaccessviolationcount": 4, "totaldumprequests": 5, "intervaldumprequests": 1, "unheardof": 9, "maxworkers": 9,
		}},
		{Name: "resource", State: sqlhealth.ComponentError, ErrorSets: 3, Values: map[string]float64{
			"outofmemoryexceptions": 6, "isanypooloutofmemory": 1, "Available Physical Memory": 1 << 30, "Available Virtual Memory": 1 << 40,
			"Available Paging File": 1 << 31, "Working Set": 1 << 29, "Else": 9,
		}},
		{Name: "query_processing", State: sqlhealth.ComponentWarning, Values: map[string]float64{
			"maxworkers": 512, "workerscreated": 40, "workersidle": 20, "pendingtasks": 3, "oldestpendingtaskwaitingtime": 1500,
			"hasunresolvabledeadlockoccurred": 0, "hasdeadlockedschedulersoccurred": 1,
		}},
		{Name: "io_subsystem", State: 9, Values: map[string]float64{"iolatchtimeouts": 7, "totallongios": 8}},
		{Name: "events", State: sqlhealth.ComponentUnknown},
		{Name: "news", State: sqlhealth.ComponentError},
	}}
	silent := func(why dial.Reason) *sqlhealth.Error { return &sqlhealth.Error{Target: "sql01:1433", Reason: why} }
	for _, tt := range []struct {
		name   string
		health sqlhealth.Health
		reason dial.Reason
	}{
		{"diagnostics", sqlhealth.Health{Set: set, Fresh: true, Known: true, Level: 4}, dial.Answered},
		{"diagnostics_first", sqlhealth.Health{Err: silent(dial.Other)}, dial.Other},
		{"diagnostics_stale", sqlhealth.Health{Set: set, Known: true, Level: 2, Err: silent(dial.LoginTimeout)}, dial.LoginTimeout},
		{"diagnostics_refused", sqlhealth.Health{Known: true, Level: 1, Err: silent(dial.Refused)}, dial.Refused},
		{"diagnostics_denied", sqlhealth.Health{Err: silent(dial.Permission)}, dial.Permission},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := collect(t, reports{health: tt.health}, "diagnostics")
			if got := probe.Reason(r.Err); got != tt.reason {
				t.Errorf("reason = %q, want %q (%v)", got, tt.reason, r.Err)
			}
			probetest.Golden(t, tt.name, r.Metrics)
		})
	}
}
