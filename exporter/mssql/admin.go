package mssql

import (
	"context"
	"fmt"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

// AdminSource is the instance's dedicated administrator connection.
type AdminSource interface {
	// AskAdmin logs in on it and asks one question. It returns when ctx ends.
	AskAdmin(ctx context.Context) sqlhealth.AdminAnswer
	// Abandoned is as a Source's.
	Abandoned() int
}

var _ AdminSource = (*sqlhealth.Admin)(nil)

// adminStates are the states of mssql_remote_admin_state.
var adminStates = []string{"answers", "taken", "closed", "refused", "silent"}

// adminState names a state; empty where the attempt says nothing about SQL Server.
func adminState(s sqlhealth.AdminState) string {
	switch s {
	case sqlhealth.AdminAnswers:
		return "answers"
	case sqlhealth.AdminTaken:
		return "taken"
	case sqlhealth.AdminClosed:
		return "closed"
	case sqlhealth.AdminRefused:
		return "refused"
	case sqlhealth.AdminSilent:
		return "silent"
	case sqlhealth.AdminUnknown:
	}
	return ""
}

// adminCollector tells an instance without a worker left from one that is dead: the first answers on its dedicated
// administrator connection. It asks nothing where the inventory names none.
func adminCollector(o Options, d probe.Descs) probe.Collector {
	available := d.New("mssql_logins_remote_admin_available", "1 means that SQL Server let the exporter in on its dedicated administrator connection and answered; 0 that its port refused, hung up or was silent, or that somebody else uses the one connection. Absent where nothing could be learnt, or nobody asks.")
	state := d.New("mssql_remote_admin_state", "1 for what became of the attempt to log in on the dedicated administrator connection. In the states answers, taken and closed (it hung up, as it may where somebody else uses the one connection) SQL Server lives, whatever its other logins come to. Absent where nothing could be learnt, or nobody asks.", "state")
	return probe.Collector{Name: "admin_connection", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		var s probe.Set
		if o.Admin == nil {
			return probe.Result{Metrics: s}
		}
		a := o.Admin.AskAdmin(ctx)
		level.Debug(l).Log("msg", "dedicated administrator connection asked", "state", adminState(a.State), "reason", string(a.Reason), "err", a.Err)
		if name := adminState(a.State); name != "" {
			s.Bool(available, a.State == sqlhealth.AdminAnswers)
			s.States(state, adminStates, name)
		}
		if a.Err != nil {
			return probe.Result{Metrics: s, Err: &probe.Error{Why: a.Reason, Err: fmt.Errorf("log in on the dedicated administrator connection: %w", a.Err)}}
		}
		return probe.Result{Metrics: s}
	}}
}
