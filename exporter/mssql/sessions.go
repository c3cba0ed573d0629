package mssql

import (
	"context"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
)

type sessionDescs struct{ blocked, longest, active, oldest probe.Desc }

// sessionsCollector tells who waits for whom, and what is open: a long transaction is a long recovery after a move.
func sessionsCollector(o Options, d probe.Descs) probe.Collector {
	descs := sessionDescs{
		blocked: d.New("mssql_blocked_requests", "Requests that wait for what another session holds."),
		longest: d.New("mssql_longest_blocking_seconds", "How long the request has waited that waits longest for what another session holds; 0 where none does."),
		active:  d.New("mssql_active_user_transactions", "Transactions that users have open."),
		oldest:  d.New("mssql_oldest_open_transaction_seconds", "How long the oldest of the users' transactions has been open; 0 where there is none."),
	}
	return probe.Collector{Name: "sessions", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		report, failures := o.Source.SessionReport(ctx)
		level.Debug(l).Log("msg", "sessions read", "missing", len(failures))
		var s probe.Set
		if b := report.Blocked; b != nil {
			s.Gauge(descs.blocked, float64(b.Requests))
			s.Seconds(descs.longest, b.Longest)
		}
		if t := report.Transactions; t != nil {
			s.Gauge(descs.active, float64(t.Active))
			s.Seconds(descs.oldest, t.Oldest)
		}
		return probe.Result{Metrics: s, Err: missing(failures)}
	}}
}
