// Package mssql probes one instance of SQL Server: can a client log in and ask it something and how long does that
// take, what does it say of its own health, how do its databases stand,
// what keeps it busy, and how do its availability groups stand.
//
//	collectors := mssql.Collectors(mssql.Options{Source: prober, Cluster: "hv-cl1", VM: "SQL01", Instance: "MSSQLSERVER"})
package mssql

import (
	"context"
	"fmt"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

// Source is the instance that is asked.
type Source interface {
	// Availability logs in anew and asks one question. It returns when ctx ends.
	Availability(ctx context.Context) sqlhealth.Availability
	// DatabaseReport logs in anew and asks for what there is to know of the databases.
	DatabaseReport(ctx context.Context) (sqlhealth.DatabaseReport, []*sqlhealth.Failure)
	// PerformanceReport logs in anew and asks what was done since the start and what is held now.
	PerformanceReport(ctx context.Context) (sqlhealth.PerformanceReport, []*sqlhealth.Failure)
	// SessionReport logs in anew and asks what the sessions do to each other.
	SessionReport(ctx context.Context) (sqlhealth.SessionReport, []*sqlhealth.Failure)
	// GroupReport logs in anew and asks for the availability groups.
	GroupReport(ctx context.Context) (sqlhealth.GroupReport, []*sqlhealth.Failure)
	// MemberReport logs in anew and asks for the cluster that they live in.
	MemberReport(ctx context.Context) (sqlhealth.MemberReport, []*sqlhealth.Failure)
	// Health says how the instance does by its own word, which it gives all the time.
	Health(ctx context.Context) sqlhealth.Health
	// Abandoned is how many logins run behind the back of those who asked for them: the driver is stuck.
	Abandoned() int
}

// Options say which instance.
type Options struct {
	Source Source
	// Admin is its dedicated administrator connection; nil where nobody asks it.
	Admin                 AdminSource
	Cluster, VM, Instance string
	// Catalog is what the targets share; nil where there is one.
	Catalog *probe.Catalog
}

// Labels are the labels that every series of the target carries.
func Labels(cluster, vm, instance string) prometheus.Labels {
	return prometheus.Labels{"cluster": cluster, "vm": vm, "sql_instance": instance}
}

// Collectors returns the instance's collectors.
func Collectors(o Options) []probe.Collector {
	d := probe.NewDescs(o.Catalog, Labels(o.Cluster, o.VM, o.Instance))
	return []probe.Collector{
		availabilityCollector(o, d), diagnosticsCollector(o, d), databasesCollector(o, d), performanceCollector(o, d), sessionsCollector(o, d),
		groupsCollector(o, d), membersCollector(o, d), adminCollector(o, d),
	}
}

// Instance is a Source: a prober and a stream of one instance.
type Instance struct {
	*sqlhealth.Prober
	*sqlhealth.Stream
}

var _ Source = Instance{}

type availabilityDescs struct{ up, connect, info, start, state probe.Desc }

// availabilityCollector is fit for a scrape each second: one login, one question.
func availabilityCollector(o Options, d probe.Descs) probe.Collector {
	descs := availabilityDescs{
		up:      d.New("mssql_up", "1 means that a client can log in and gets an answer; absent where nothing could be learnt about SQL Server."),
		connect: d.New("mssql_connect_duration_seconds", "How long the attempt was in each phase that it reached; the last one reached is where a failed attempt ended.", "phase"),
		info: d.New("mssql_server_info", "1 always; the labels say what SQL Server says of itself.",
			"version", "edition", "engine_edition", "server_name", "machine_name", "is_clustered", "is_hadr_enabled"),
		start: d.New("mssql_start_time_seconds", "When SQL Server was started, in seconds since 1970."),
		state: d.New("mssql_server_state", "1 for the state that SQL Server says it is in, by letting the login in or by the number with which it refuses; absent where it said nothing of itself.", "state"),
	}
	return probe.Collector{Name: "availability", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		a := o.Source.Availability(ctx)
		level.Debug(l).Log("msg", "login attempted", "up", a.Up, "reason", string(a.Reason), "err", a.Err)
		var s probe.Set
		availabilityMetrics(&s, descs, a)
		if a.Err != nil {
			// Also where a client can log in and the exporter may not see all that it should: the reason is permission.
			return probe.Result{Metrics: s, Err: &probe.Error{Why: a.Reason, Err: fmt.Errorf("log in and ask: %w", a.Err)}}
		}
		return probe.Result{Metrics: s}
	}}
}

// phases are the values of the label phase. TLS comes before the login in TDS 8.0, and around it, begun by PRELOGIN,
// in TDS 7.4: one name stands for both.
var phases = []struct {
	label string
	of    []dial.Phase
}{
	{"dns", []dial.Phase{dial.PhaseDNS}},
	{"tcp", []dial.Phase{dial.PhaseTCP}},
	{"prelogin_tls", []dial.Phase{dial.PhasePrelogin, dial.PhaseTLS}},
	{"login", []dial.Phase{dial.PhaseLogin}},
	{"query", []dial.Phase{dial.PhaseQuery}},
}

// serverStates are the states of mssql_server_state.
var serverStates = []string{"running", "starting", "paused", "shutting_down", "restricted", "exhausted", probe.Other}

func serverState(s sqlhealth.ServerState) string {
	switch s {
	case sqlhealth.StateRunning:
		return "running"
	case sqlhealth.StateStarting:
		return "starting"
	case sqlhealth.StatePaused:
		return "paused"
	case sqlhealth.StateShuttingDown:
		return "shutting_down"
	case sqlhealth.StateRestricted:
		return "restricted"
	case sqlhealth.StateExhausted:
		return "exhausted"
	case sqlhealth.StateUnknown:
	}
	return probe.Other
}

// verdict reports whether the attempt says anything about SQL Server. A refusal in its own words does, except where
// it is our credential that was refused. What hangs by dial.ProviderHung is our own driver: nobody was asked.
func verdict(a sqlhealth.Availability) bool {
	return a.Up || probe.Verdict(a.Reason) && a.Reason != dial.ProviderHung || a.Reason == dial.Other && a.State != sqlhealth.StateUnknown
}

func availabilityMetrics(s *probe.Set, d availabilityDescs, a sqlhealth.Availability) {
	if verdict(a) {
		s.Bool(d.up, a.Up)
	}
	if a.State != sqlhealth.StateUnknown {
		s.States(d.state, serverStates, serverState(a.State))
	}
	for _, p := range phases {
		var spent time.Duration
		reached := false
		for _, phase := range p.of {
			took, ok := a.Durations[phase]
			spent, reached = spent+took, reached || ok
		}
		if reached {
			s.Seconds(d.connect, spent, p.label)
		}
	}
	if !a.Up {
		return
	}
	i := a.Info
	s.Gauge(d.info, 1, i.Version, i.Edition, fmt.Sprint(i.EngineEdition), i.ServerName, i.MachineName, fmt.Sprint(i.IsClustered), fmt.Sprint(i.IsHadrEnabled))
	s.Time(d.start, a.StartTime)
}
