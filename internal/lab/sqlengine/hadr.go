package sqlengine

import (
	"maps"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// Hadr is what an instance knows of Always On: its availability groups, and the cluster that they live in.
type Hadr struct {
	Groups []Group

	Cluster                 string
	QuorumType, QuorumState int64
	Members                 []Member
}

// Group is an availability group: a row of sys.availability_groups, and its replicas.
type Group struct {
	ID                    tdsserver.UUID
	Name                  string
	FailureConditionLevel int64
	HealthCheckTimeout    time.Duration
	Replicas              []Replica
	Listeners             []Listener
}

// Replica is a row of sys.availability_replicas and of sys.dm_hadr_availability_replica_states. Of one that is not
// local, what only it knows is NULL there.
type Replica struct {
	ID                               tdsserver.UUID
	Server                           string
	Local                            bool
	AvailabilityMode, FailoverMode   int64
	Role, Connected, Synchronization int64
	OperationalState, RecoveryHealth int64
	Databases                        []ReplicaDatabase
}

// ReplicaDatabase is a row of sys.dm_hadr_database_replica_states and of sys.dm_hadr_database_replica_cluster_states.
// The queues are in KB, the rate in KB a second; a lag below 0 is NULL, as on the primary.
type ReplicaDatabase struct {
	ID                                        tdsserver.UUID
	Name                                      string
	Synchronization                           int64
	Suspended, FailoverReady                  bool
	LogSendQueue, RedoQueue, RedoRate, LagSec int64
}

// Listener is an availability group's, with its addresses and their states.
type Listener struct {
	ID, Name string
	IPs      map[string]int64
}

// Member is a row of sys.dm_hadr_cluster_members.
type Member struct {
	Name               string
	Type, State, Votes int64
}

// ClusterNode is a row of sys.dm_os_cluster_nodes.
type ClusterNode struct {
	Name  string
	State int64
	Owner bool
}

// hadrViews are the views of Always On. Where it is not enabled they have no rows.
func hadrViews() map[string]system {
	plain := func(rows func(*environment) view) system { return system{rows: rows} }
	state := func(rows func(*environment) view) system { return system{needs: ServerState, rows: rows} }
	return map[string]system{
		"sys.availability_groups":                      plain((*environment).groups),
		"sys.availability_replicas":                    plain((*environment).replicas),
		"sys.availability_group_listeners":             plain((*environment).listeners),
		"sys.availability_group_listener_ip_addresses": plain((*environment).listenerIPs),
		"sys.dm_hadr_availability_replica_states":      state((*environment).replicaStates),
		"sys.dm_hadr_database_replica_states":          state((*environment).databaseReplicaStates),
		"sys.dm_hadr_database_replica_cluster_states":  state((*environment).databaseReplicaClusterStates),
		"sys.dm_hadr_cluster":                          state((*environment).cluster),
		"sys.dm_hadr_cluster_members":                  state((*environment).clusterMembers),
		"sys.dm_os_cluster_nodes":                      state((*environment).clusterNodes),
	}
}

// availabilityGroups are those there are; none where the login may not see their definition.
func (env *environment) availabilityGroups(needs Grant) []Group {
	if env.Hadr == nil || env.Lacks&needs != 0 {
		return nil
	}
	return env.Hadr.Groups
}

func (env *environment) groups() view {
	v := view{columns: columns("group_id:u name:n failure_condition_level:i health_check_timeout:i")}
	for _, g := range env.availabilityGroups(AnyDefinition) {
		v.rows = append(v.rows, []any{g.ID, g.Name, g.FailureConditionLevel, g.HealthCheckTimeout.Milliseconds()})
	}
	return v
}

func (env *environment) replicas() view {
	v := view{columns: columns("replica_id:u group_id:u replica_server_name:n availability_mode:t failover_mode:t")}
	for _, g := range env.availabilityGroups(AnyDefinition) {
		for _, r := range g.Replicas {
			v.rows = append(v.rows, []any{r.ID, g.ID, r.Server, r.AvailabilityMode, r.FailoverMode})
		}
	}
	return v
}

func (env *environment) listeners() view {
	v := view{columns: columns("group_id:u listener_id:n dns_name:n")}
	for _, g := range env.availabilityGroups(AnyDefinition) {
		for _, l := range g.Listeners {
			v.rows = append(v.rows, []any{g.ID, l.ID, l.Name})
		}
	}
	return v
}

func (env *environment) listenerIPs() view {
	v := view{columns: columns("listener_id:n ip_address:n state:t")}
	for _, g := range env.availabilityGroups(AnyDefinition) {
		for _, l := range g.Listeners {
			for _, ip := range slices.Sorted(maps.Keys(l.IPs)) {
				v.rows = append(v.rows, []any{l.ID, ip, l.IPs[ip]})
			}
		}
	}
	return v
}

func (env *environment) replicaStates() view {
	v := view{columns: columns("replica_id:u group_id:u is_local:f role:t operational_state:t connected_state:t recovery_health:t synchronization_health:t")}
	for _, g := range env.availabilityGroups(0) {
		for _, r := range g.Replicas {
			row := []any{r.ID, g.ID, r.Local, r.Role, r.OperationalState, r.Connected, r.RecoveryHealth, r.Synchronization}
			if !r.Local {
				row[4], row[6] = nil, nil
			}
			v.rows = append(v.rows, row)
		}
	}
	return v
}

func (env *environment) databaseReplicaStates() view {
	v := view{columns: columns("group_id:u replica_id:u group_database_id:u synchronization_state:t is_suspended:f log_send_queue_size:b redo_queue_size:b redo_rate:b secondary_lag_seconds:b")}
	for _, g := range env.availabilityGroups(0) {
		for _, r := range g.Replicas {
			for _, d := range r.Databases {
				row := []any{g.ID, r.ID, d.ID, d.Synchronization, d.Suspended, d.LogSendQueue, d.RedoQueue, d.RedoRate, d.LagSec}
				if d.LagSec < 0 { // the primary sends to nobody and redoes nothing
					row[5], row[6], row[7], row[8] = nil, nil, nil, nil
				}
				v.rows = append(v.rows, row)
			}
		}
	}
	return v
}

func (env *environment) databaseReplicaClusterStates() view {
	v := view{columns: columns("replica_id:u group_database_id:u database_name:n is_failover_ready:f")}
	for _, g := range env.availabilityGroups(0) {
		for _, r := range g.Replicas {
			for _, d := range r.Databases {
				v.rows = append(v.rows, []any{r.ID, d.ID, d.Name, d.FailoverReady})
			}
		}
	}
	return v
}

func (env *environment) cluster() view {
	v := view{columns: columns("cluster_name:n quorum_type:t quorum_state:t")}
	if env.Hadr != nil {
		v.rows = append(v.rows, []any{env.Hadr.Cluster, env.Hadr.QuorumType, env.Hadr.QuorumState})
	}
	return v
}

func (env *environment) clusterMembers() view {
	v := view{columns: columns("member_name:n member_type:t member_state:t number_of_quorum_votes:i")}
	if env.Hadr != nil {
		for _, m := range env.Hadr.Members {
			v.rows = append(v.rows, []any{m.Name, m.Type, m.State, m.Votes})
		}
	}
	return v
}

func (env *environment) clusterNodes() view {
	v := view{columns: columns("NodeName:n status:i status_description:n is_current_owner:f")}
	words := map[int64]string{-1: "unknown", 0: "up", 1: "down", 2: "paused", 3: "joining"}
	for _, n := range env.ClusterNodes {
		v.rows = append(v.rows, []any{n.Name, n.State, words[n.State], n.Owner})
	}
	return v
}
