package lab

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/lab/sqlengine"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// alwaysOn is what an instance says of the availability groups that it is a replica of, and of the cluster that they
// live in; nil for an instance of none. The numbers are those of sys.dm_hadr_availability_replica_states and its like
// (learn.microsoft.com).
func alwaysOn(m *model.Model, self string) *sqlengine.Hadr {
	var h *sqlengine.Hadr
	for _, g := range m.Spec.AvailabilityGroups {
		if !slices.Contains(g.Replicas, self) {
			continue
		}
		if h == nil {
			h = &sqlengine.Hadr{Cluster: "sql-cluster", QuorumType: 0, QuorumState: 1}
		}
		h.Groups = append(h.Groups, availabilityGroup(m, g, self))
		for _, r := range g.Replicas {
			vm, _, _ := strings.Cut(r, "/")
			if slices.ContainsFunc(h.Members, func(known sqlengine.Member) bool { return known.Name == vm }) {
				continue
			}
			state := int64(0)
			if replicaUp(m, r) {
				state = 1
			}
			h.Members = append(h.Members, sqlengine.Member{Name: vm, State: state, Votes: 1})
		}
	}
	return h
}

// replicaUp reports whether an instance serves.
func replicaUp(m *model.Model, instance string) bool {
	vm, name, _ := strings.Cut(instance, "/")
	v := m.VM(vm)
	if v == nil {
		return false
	}
	s := v.Server(name)
	return s != nil && s.Up && !s.Hung
}

// availabilityGroup is a group as one of its replicas sees it: the primary all of them, a secondary itself alone, and a
// secondary that has lost the primary is not connected and resolves.
func availabilityGroup(m *model.Model, g model.AvailabilityGroup, self string) sqlengine.Group {
	primary := g.Replicas[0]
	out := sqlengine.Group{ID: identifier(g.Name), Name: g.Name, FailureConditionLevel: 3, HealthCheckTimeout: 30 * time.Second}
	for _, r := range g.Replicas {
		vm, name, _ := strings.Cut(r, "/")
		connected := replicaUp(m, r) && replicaUp(m, primary)
		replica := sqlengine.Replica{
			ID: identifier(g.Name + r), Server: serverName(vm, name), Local: r == self, AvailabilityMode: 1, FailoverMode: 1,
			Role: 2, OperationalState: 2, RecoveryHealth: 1,
		}
		database := sqlengine.ReplicaDatabase{ID: identifier(g.Name + "sales"), Name: "sales", FailoverReady: connected}
		switch {
		case r == primary:
			replica.Role, replica.Connected, replica.Synchronization = 1, 1, 2
			database.Synchronization, database.LagSec = 2, -1
		case connected:
			replica.Connected, replica.Synchronization, database.Synchronization = 1, 2, 2
		default:
			if r == self {
				replica.Role = 0
			}
			database.LogSendQueue = 1024
		}
		replica.Databases = []sqlengine.ReplicaDatabase{database}
		if self == primary || replica.Local {
			out.Replicas = append(out.Replicas, replica)
		}
	}
	out.Listeners = []sqlengine.Listener{{ID: g.Name, Name: strings.ToLower(g.Name) + "-listener", IPs: map[string]int64{"10.0.1.200": 1}}}
	return out
}

// identifier makes the same UUID of the same text.
func identifier(text string) (u tdsserver.UUID) {
	sum := sha256.Sum256([]byte(text))
	copy(u[:], sum[:])
	return u
}
