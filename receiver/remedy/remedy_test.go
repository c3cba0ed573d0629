package remedy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

var born = time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)

func reading[T any](v T) evidence.Reading[T] { return evidence.Reading[T]{Value: v, At: born} }

func caseOf(fault evidence.Fault, dependents []cluster.Service, baseline ...string) remedy.Case {
	return remedy.Case{
		Subject:  evidence.Subject{VM: evidence.VM{Cluster: "c", Name: "SQL01"}, Instance: "MSSQLSERVER", Fault: fault},
		Service:  "MSSQLSERVER",
		Computer: "SQL01",
		Round: evidence.Round{
			Dependents: reading(dependents),
			Process:    reading(cluster.Process{ID: 4711, Created: born}),
		},
		Baseline: evidence.Baseline{Dependents: baseline},
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	running := cluster.Service{Name: "SQLSERVERAGENT", State: cluster.ServiceRunning}
	stopped := cluster.Service{Name: "SQLSERVERAGENT", State: cluster.ServiceStopped}
	other := cluster.Service{Name: "Launcher", State: cluster.ServiceStopped}
	tests := []struct {
		name string
		c    remedy.Case
		want []string
	}{
		{"a dead service whose agent survived", caseOf(evidence.Service, []cluster.Service{running, other}, "SQLSERVERAGENT"), []string{"StartService MSSQLSERVER"}},
		{"a dead service whose agent died with it", caseOf(evidence.Service, []cluster.Service{stopped, other}, "SQLSERVERAGENT"), []string{"StartService MSSQLSERVER", "StartService SQLSERVERAGENT"}},
		{"an agent that never ran is left alone", caseOf(evidence.Service, []cluster.Service{stopped}), []string{"StartService MSSQLSERVER"}},
		{"a dependent that was removed since", caseOf(evidence.Service, nil, "GONE"), []string{"StartService MSSQLSERVER"}},
		{"a hang", caseOf(evidence.Hang, []cluster.Service{running, other}, "SQLSERVERAGENT"), []string{"StopService SQLSERVERAGENT", "Terminate ", "StartService MSSQLSERVER", "StartService SQLSERVERAGENT"}},
		{"a hang without dependents", caseOf(evidence.Hang, nil), []string{"Terminate ", "StartService MSSQLSERVER"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmds, err := remedy.Plan(remedy.RestartService, tt.c)
			if err != nil {
				t.Fatalf("Plan: %v", err)
			}
			var got []string
			for _, c := range cmds {
				_, method, _ := strings.Cut(string(c.Method), ".")
				got = append(got, method+" "+c.Service)
				if c.Cmdlet == "" || c.Timeout <= 0 {
					t.Errorf("%s: cmdlet %q, time-out %s; want both", c.Method, c.Cmdlet, c.Timeout)
				}
				if c.Method == remedy.TerminateProcess && (c.PID != 4711 || !c.Created.Equal(born)) {
					t.Errorf("terminate PID %d born %s, want the process that was read", c.PID, c.Created)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlanIsRefusedWhereTheEvidenceIsNotComplete(t *testing.T) {
	t.Parallel()
	unknown := caseOf(evidence.Service, nil)
	unknown.Round.Dependents = evidence.Reading[[]cluster.Service]{At: born, Failure: dial.QueryTimeout}
	gone := caseOf(evidence.Hang, nil)
	gone.Round.Process = reading(cluster.Process{})
	ageless := caseOf(evidence.Hang, nil)
	ageless.Round.Process = reading(cluster.Process{ID: 4711})
	nameless := caseOf(evidence.Service, nil)
	nameless.Service = ""
	tests := map[string]struct {
		rung remedy.Rung
		c    remedy.Case
	}{
		"dependents unknown":           {remedy.RestartService, unknown},
		"no process to terminate":      {remedy.RestartService, gone},
		"a process without birth date": {remedy.RestartService, ageless},
		"no instance":                  {remedy.RestartService, nameless},
		"a class without a service":    {remedy.RestartService, caseOf(evidence.Host, nil)},
		"a rung that is only proposed": {remedy.StartGroup, caseOf(evidence.Guest, nil)},
		"a rung nobody knows":          {"format_disk", caseOf(evidence.Service, nil)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if cmds, err := remedy.Plan(tt.rung, tt.c); err == nil {
				t.Errorf("Plan = %v, want an error", cmds)
			}
		})
	}
}

func TestCmdletLinesQuoteNames(t *testing.T) {
	t.Parallel()
	c := caseOf(evidence.Service, nil)
	c.Service, c.Computer = "MSSQL$O'BRIEN", "SQL01"
	cmds, err := remedy.Plan(remedy.RestartService, c)
	if err != nil {
		t.Fatal(err)
	}
	want := "Invoke-Command -ComputerName 'SQL01' { Start-Service -Name 'MSSQL$O''BRIEN' }"
	if got := cmds[0].Cmdlet; got != want {
		t.Errorf("cmdlet = %s, want %s", got, want)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	start := remedy.Command{Method: remedy.StartService, Service: "MSSQLSERVER"}
	kill := remedy.Command{Method: remedy.TerminateProcess}
	tests := []struct {
		cmd   remedy.Command
		r     remedy.Result
		cause remedy.Cause
		ok    bool
	}{
		{start, remedy.Result{Answered: true}, "", true},
		{start, remedy.Result{Answered: true, Code: 10}, "", true},
		{start, remedy.Result{Answered: true, Code: 2}, remedy.Permanent, false},
		{start, remedy.Result{Answered: true, Code: 13}, remedy.Permanent, false},
		{start, remedy.Result{Answered: true, Code: 14}, remedy.Permanent, false},
		{start, remedy.Result{Answered: true, Code: 15}, remedy.Permanent, false},
		{start, remedy.Result{Answered: true, Code: 7}, remedy.Transient, false},
		{start, remedy.Result{Answered: true, Code: 3}, remedy.Transient, false},
		{start, remedy.Result{Answered: true, Code: 24}, remedy.GuestBound, false},
		{start, remedy.Result{Sent: true, Failure: "query_timeout"}, remedy.Transient, false},
		{kill, remedy.Result{Answered: true}, "", true},
		{kill, remedy.Result{Answered: true, Code: 2}, remedy.Permanent, false},
		{kill, remedy.Result{Answered: true, Code: 9}, remedy.GuestBound, false},
	}
	for _, tt := range tests {
		cause, why, ok := remedy.Judge(tt.cmd, tt.r)
		if cause != tt.cause || ok != tt.ok || (!ok && why == "") {
			t.Errorf("Judge(%s, code %d) = %q, %q, %v; want %q, some words, %v", tt.cmd.Method, tt.r.Code, cause, why, ok, tt.cause, tt.ok)
		}
	}
}
