package sqlhealth

import (
	"context"
	"fmt"
	"time"
)

// GroupReport is how the availability groups stand as this instance sees them: a secondary sees itself only. Enabled is
// false where Always On is not, and then there is nothing else.
type GroupReport struct {
	Enabled   bool
	Groups    []Group
	Replicas  []Replica
	Databases []ReplicaDatabase
	Listeners []ListenerIP
}

// Group is an availability group's own settings.
type Group struct {
	Name                  string
	FailureConditionLevel int64
	HealthCheckTimeout    time.Duration
}

// Replica is one replica of a group. Numbers are those of sys.dm_hadr_availability_replica_states and of
// sys.availability_replicas; a nil is not known, as of a replica that is not this instance.
type Replica struct {
	Group, Server                                         string
	Local                                                 bool
	AvailabilityMode, FailoverMode                        *int64
	Role, Connected, Synchronization, Operational, Health *int64
}

// ReplicaDatabase is one database of one replica. Queues are in bytes; a nil is not known.
type ReplicaDatabase struct {
	Group, Server, Database  string
	Synchronization          *int64
	Suspended, FailoverReady *bool
	LogSendQueue, RedoQueue  *int64
	RedoRate                 *int64 // bytes a second
	Lag                      *int64 // seconds
}

// ListenerIP is an address of a group's listener: 0 offline, 1 online, 2 coming online, 3 failed.
type ListenerIP struct {
	Group, Listener, IP string
	State               *int64
}

// The statements. secondary_lag_seconds is there since SQL Server 2016; an older one refuses the replicas' databases.
const (
	hadrText         = `SELECT CAST(SERVERPROPERTY('IsHadrEnabled') AS int)`
	groupsText       = `SELECT CAST(group_id AS nvarchar(36)), name, failure_condition_level, health_check_timeout FROM sys.availability_groups ORDER BY name`
	replicasText     = `SELECT CAST(replica_id AS nvarchar(36)), CAST(group_id AS nvarchar(36)), replica_server_name, availability_mode, failover_mode FROM sys.availability_replicas`
	replicaStateText = `SELECT CAST(replica_id AS nvarchar(36)), is_local, role, operational_state, connected_state, recovery_health, synchronization_health ` +
		`FROM sys.dm_hadr_availability_replica_states`
	replicaDatabasesText = `SELECT CAST(replica_id AS nvarchar(36)), CAST(group_database_id AS nvarchar(36)), synchronization_state, is_suspended, ` +
		`log_send_queue_size, redo_queue_size, redo_rate, secondary_lag_seconds FROM sys.dm_hadr_database_replica_states`
	readyText       = `SELECT CAST(replica_id AS nvarchar(36)), CAST(group_database_id AS nvarchar(36)), database_name, is_failover_ready FROM sys.dm_hadr_database_replica_cluster_states`
	listenersText   = `SELECT CAST(group_id AS nvarchar(36)), listener_id, dns_name FROM sys.availability_group_listeners`
	listenerIPsText = `SELECT listener_id, ip_address, state FROM sys.availability_group_listener_ip_addresses`
)

// maxGroups is more than SQL Server allows, maxReplicas more than that many groups have.
const (
	maxGroups   = 1 << 10
	maxReplicas = 1 << 14
)

// maybe is a whole number; NULL is nil.
func (r *record) maybe(i int) *int64 {
	if r.values[i] == nil {
		return nil
	}
	v := r.number(i)
	return &v
}

// kib is a size in KB as bytes; NULL is nil.
func (r *record) kib(i int) *int64 {
	v := r.maybe(i)
	if v != nil {
		*v *= 1024
	}
	return v
}

// maybeFlag is a bit; NULL is nil.
func (r *record) maybeFlag(i int) *bool {
	if r.values[i] == nil {
		return nil
	}
	v := r.flag(i)
	return &v
}

// GroupReport logs in anew and asks for the availability groups.
func (p *Prober) GroupReport(ctx context.Context) (GroupReport, []*Failure) {
	q := &groupQuestions{groups: map[string]string{}, replicas: map[string]Replica{}}
	return report(ctx, p, []step[GroupReport]{
		{"read whether Always On is enabled", func(s *session, add func(func(*GroupReport))) (err error) {
			q.enabled, err = s.hadrEnabled()
			add(func(r *GroupReport) { r.Enabled = q.enabled })
			return err
		}},
		{"read the availability groups", func(s *session, add func(func(*GroupReport))) error {
			list, err := q.readGroups(s)
			add(func(r *GroupReport) { r.Groups = list })
			return err
		}},
		{"read the replicas", func(s *session, add func(func(*GroupReport))) error {
			list, err := q.readReplicas(s)
			add(func(r *GroupReport) { r.Replicas = list })
			return err
		}},
		{"read the replicas' databases", func(s *session, add func(func(*GroupReport))) error {
			list, err := q.readDatabases(s)
			add(func(r *GroupReport) { r.Databases = list })
			return err
		}},
		{"read the listeners", func(s *session, add func(func(*GroupReport))) error {
			list, err := q.readListeners(s)
			add(func(r *GroupReport) { r.Listeners = list })
			return err
		}},
	})
}

// hadrEnabled asks whether Always On is enabled.
func (s *session) hadrEnabled() (bool, error) {
	rows, err := all(s, hadrText, 1, 1, func(r *record) bool { return r.number(0) == 1 })
	return err == nil && len(rows) == 1 && rows[0], err
}

// groupQuestions is what the answers so far have to be read with. A step asks nothing where Always On is not enabled.
type groupQuestions struct {
	enabled  bool
	groups   map[string]string // names by ID
	replicas map[string]Replica
}

func (q *groupQuestions) readGroups(s *session) ([]Group, error) {
	if !q.enabled {
		return nil, nil
	}
	return all(s, groupsText, 4, maxGroups, func(r *record) Group {
		q.groups[r.text(0)] = r.text(1)
		return Group{Name: r.text(1), FailureConditionLevel: r.number(2), HealthCheckTimeout: r.milliseconds(3)}
	})
}

func (q *groupQuestions) readReplicas(s *session) ([]Replica, error) {
	if !q.enabled {
		return nil, nil
	}
	type known struct {
		id string
		Replica
	}
	list, err := all(s, replicasText, 5, maxReplicas, func(r *record) known {
		return known{r.text(0), Replica{Group: q.groups[r.text(1)], Server: r.text(2), AvailabilityMode: r.maybe(3), FailoverMode: r.maybe(4)}}
	})
	if err != nil {
		return nil, err
	}
	states, err := all(s, replicaStateText, 7, maxReplicas, func(r *record) known {
		return known{r.text(0), Replica{
			Local: r.flag(1), Role: r.maybe(2), Operational: r.maybe(3), Connected: r.maybe(4), Health: r.maybe(5), Synchronization: r.maybe(6),
		}}
	})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 && len(states) > 0 {
		return nil, fmt.Errorf("%w: sys.availability_replicas shows no row; grant VIEW ANY DEFINITION", errUnseen)
	}
	of := make(map[string]Replica, len(states))
	for _, st := range states {
		of[st.id] = st.Replica
	}
	out := make([]Replica, 0, len(list))
	for _, k := range list {
		st := of[k.id] // empty on a secondary for the others, which it does not see
		k.Local, k.Role, k.Operational, k.Connected, k.Health, k.Synchronization = st.Local, st.Role, st.Operational, st.Connected, st.Health, st.Synchronization
		q.replicas[k.id] = k.Replica
		out = append(out, k.Replica)
	}
	return out, nil
}

func (q *groupQuestions) readDatabases(s *session) ([]ReplicaDatabase, error) {
	if !q.enabled {
		return nil, nil
	}
	type key struct{ replica, database string }
	type known struct {
		key
		ReplicaDatabase
	}
	states, err := all(s, replicaDatabasesText, 8, maxFiles, func(r *record) known {
		return known{key{r.text(0), r.text(1)}, ReplicaDatabase{
			Synchronization: r.maybe(2), Suspended: r.maybeFlag(3), LogSendQueue: r.kib(4), RedoQueue: r.kib(5), RedoRate: r.kib(6), Lag: r.maybe(7),
		}}
	})
	if err != nil {
		return nil, err
	}
	of := make(map[key]ReplicaDatabase, len(states))
	for _, st := range states {
		of[st.key] = st.ReplicaDatabase
	}
	// The cluster's own list has the names, and what could take over although its replica is not seen.
	list, err := all(s, readyText, 4, maxFiles, func(r *record) known {
		k := key{r.text(0), r.text(1)}
		d := of[k]
		d.Database, d.FailoverReady = r.text(2), r.maybeFlag(3)
		return known{k, d}
	})
	if err != nil {
		return nil, err
	}
	out := make([]ReplicaDatabase, 0, len(list))
	for _, k := range list {
		replica, ok := q.replicas[k.replica]
		if !ok {
			continue
		}
		k.Group, k.Server = replica.Group, replica.Server
		out = append(out, k.ReplicaDatabase)
	}
	return out, nil
}

func (q *groupQuestions) readListeners(s *session) ([]ListenerIP, error) {
	if !q.enabled {
		return nil, nil
	}
	listeners := map[string]ListenerIP{}
	if _, err := all(s, listenersText, 3, maxReplicas, func(r *record) struct{} {
		listeners[r.text(1)] = ListenerIP{Group: q.groups[r.text(0)], Listener: r.text(2)}
		return struct{}{}
	}); err != nil {
		return nil, err
	}
	return all(s, listenerIPsText, 3, maxReplicas, func(r *record) ListenerIP {
		l := listeners[r.text(0)]
		l.IP, l.State = r.text(1), r.maybe(2)
		return l
	})
}
