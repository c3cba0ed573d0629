package mssql

import (
	"context"
	"strconv"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

type groupDescs struct {
	failureLevel, checkTimeout                                                     probe.Desc
	role, connected, health, operational, recovery, failoverMode, availabilityMode probe.Desc
	synchronization, suspended, ready, sendQueue, redoQueue, redoRate, lag         probe.Desc
	listener                                                                       probe.Desc
}

func newGroupDescs(d probe.Descs) groupDescs {
	replica := func(name, help string) probe.Desc {
		return d.New(name, help, "ag", "replica", "is_local", "state")
	}
	database := func(name, help string, more ...string) probe.Desc {
		return d.New(name, help, append([]string{"ag", "database", "replica"}, more...)...)
	}
	return groupDescs{
		failureLevel:     d.New("mssql_ag_failure_condition_level", "At which health level the group fails over by itself.", "ag"),
		checkTimeout:     d.New("mssql_ag_health_check_timeout_seconds", "How long SQL Server may say nothing before the group takes it for hung.", "ag"),
		role:             replica("mssql_ag_replica_role", "1 for the replica's role. A secondary sees itself only."),
		connected:        replica("mssql_ag_replica_connected", "1 for whether the replica is connected to the primary."),
		health:           replica("mssql_ag_replica_synchronization_health", "1 for how well the replica's databases are synchronized, all together."),
		operational:      replica("mssql_ag_replica_operational_state", "1 for the state of the replica, which only it knows itself."),
		recovery:         replica("mssql_ag_replica_recovery_health", "1 for whether all databases of the replica are online, which only it knows itself."),
		failoverMode:     replica("mssql_ag_replica_failover_mode", "1 for the way in which the replica takes over."),
		availabilityMode: replica("mssql_ag_replica_availability_mode", "1 for what the primary waits for before it commits."),
		synchronization:  database("mssql_ag_database_synchronization_state", "1 for how far the database is with the primary's.", "state"),
		suspended:        database("mssql_ag_database_suspended", "1 means that no data move."),
		ready:            database("mssql_ag_database_failover_ready", "1 means that the cluster knows the database to be synchronized: the replica can take over without loss."),
		sendQueue:        database("mssql_ag_database_log_send_queue_bytes", "Log of the primary that has not been sent: what would be lost."),
		redoQueue:        database("mssql_ag_database_redo_queue_bytes", "Log that has arrived and has not been redone: what a takeover waits for."),
		redoRate:         database("mssql_ag_database_redo_rate_bytes", "Log that is redone in a second."),
		lag:              database("mssql_ag_database_secondary_lag_seconds", "How far the replica is behind the primary."),
		listener:         d.New("mssql_ag_listener_ip_state", "1 for the state of the listener's address.", "ag", "listener", "ip", "state"),
	}
}

// The members of the state sets, in the order of SQL Server's numbers. Source: learn.microsoft.com, the page of each
// view. A gap in the numbers is a name that never is.
var (
	replicaRoles       = []string{"resolving", "primary", "secondary", probe.Other}
	connectedStates    = []string{"disconnected", "connected", probe.Other}
	healthStates       = []string{"not_healthy", "partially_healthy", "healthy", probe.Other}
	operationalStates  = []string{"pending_failover", "pending", "online", "offline", "failed", "failed_no_quorum", probe.Other}
	recoveryStates     = []string{"in_progress", "online", probe.Other}
	failoverModes      = []string{"automatic", "manual", "external", probe.Other}
	availabilityModes  = []string{"asynchronous_commit", "synchronous_commit", probe.Other}
	databaseSyncStates = []string{"not_synchronizing", "synchronizing", "synchronized", "reverting", "initializing", probe.Other}
	listenerStates     = []string{"offline", "online", "online_pending", "failed", probe.Other}
)

// groupsCollector tells how the availability groups stand: whether there is a healthy partner, and nothing to move.
func groupsCollector(o Options, d probe.Descs) probe.Collector {
	descs := newGroupDescs(d)
	return probe.Collector{Name: "availability_groups", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		report, failures := o.Source.GroupReport(ctx)
		level.Debug(l).Log("msg", "availability groups read", "enabled", report.Enabled, "groups", len(report.Groups), "missing", len(failures))
		var s probe.Set
		groupMetrics(&s, descs, report)
		return probe.Result{Metrics: s, Err: missing(failures)}
	}}
}

// known adds a state set where the number is known.
func known(s *probe.Set, d probe.Desc, of []string, n *int64, labels ...string) {
	if n != nil {
		s.States(d, of, member(of, *n), labels...)
	}
}

// amount adds a gauge where the number is known.
func amount(s *probe.Set, d probe.Desc, n *int64, labels ...string) {
	if n != nil {
		s.Gauge(d, float64(*n), labels...)
	}
}

// truth adds a gauge of 1 or 0 where it is known.
func truth(s *probe.Set, d probe.Desc, b *bool, labels ...string) {
	if b != nil {
		s.Bool(d, *b, labels...)
	}
}

func groupMetrics(s *probe.Set, d groupDescs, r sqlhealth.GroupReport) {
	for _, g := range r.Groups {
		s.Gauge(d.failureLevel, float64(g.FailureConditionLevel), g.Name)
		s.Seconds(d.checkTimeout, g.HealthCheckTimeout, g.Name)
	}
	for _, p := range r.Replicas {
		labels := []string{p.Group, p.Server, strconv.FormatBool(p.Local)}
		known(s, d.role, replicaRoles, p.Role, labels...)
		known(s, d.connected, connectedStates, p.Connected, labels...)
		known(s, d.health, healthStates, p.Synchronization, labels...)
		known(s, d.operational, operationalStates, p.Operational, labels...)
		known(s, d.recovery, recoveryStates, p.Health, labels...)
		known(s, d.failoverMode, failoverModes, p.FailoverMode, labels...)
		known(s, d.availabilityMode, availabilityModes, p.AvailabilityMode, labels...)
	}
	for _, db := range r.Databases {
		labels := []string{db.Group, db.Database, db.Server}
		known(s, d.synchronization, databaseSyncStates, db.Synchronization, labels...)
		truth(s, d.suspended, db.Suspended, labels...)
		truth(s, d.ready, db.FailoverReady, labels...)
		amount(s, d.sendQueue, db.LogSendQueue, labels...)
		amount(s, d.redoQueue, db.RedoQueue, labels...)
		amount(s, d.redoRate, db.RedoRate, labels...)
		amount(s, d.lag, db.Lag, labels...)
	}
	for _, l := range r.Listeners {
		known(s, d.listener, listenerStates, l.State, l.Group, l.Listener, l.IP)
	}
}
