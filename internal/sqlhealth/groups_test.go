package sqlhealth

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/lab/sqlengine"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// group is a primary's view of a group of two replicas.
func group(s *sqlengine.Snapshot) {
	shop := tdsserver.UUID{9}
	s.Hadr = &sqlengine.Hadr{
		Cluster: "guests", QuorumState: 1,
		Members: []sqlengine.Member{{Name: "SQL01", State: 1, Votes: 1}, {Name: "witness", Type: 2, Votes: 1}},
		Groups: []sqlengine.Group{{
			ID: tdsserver.UUID{1}, Name: "AG1", FailureConditionLevel: 3, HealthCheckTimeout: 30 * time.Second,
			Listeners: []sqlengine.Listener{{ID: "L1", Name: "shop", IPs: map[string]int64{"10.0.0.9": 1}}},
			Replicas: []sqlengine.Replica{
				{
					ID: tdsserver.UUID{2}, Server: "SQL01", Local: true, AvailabilityMode: 1, Role: 1, Connected: 1, Synchronization: 2, OperationalState: 2, RecoveryHealth: 1,
					Databases: []sqlengine.ReplicaDatabase{{ID: shop, Name: "Shop", Synchronization: 2, FailoverReady: true, LagSec: -1}},
				},
				{
					ID: tdsserver.UUID{3}, Server: "SQL02", FailoverMode: 1, Role: 2, Synchronization: 1,
					Databases: []sqlengine.ReplicaDatabase{{ID: shop, Name: "Shop", Suspended: true, LogSendQueue: 1, RedoQueue: 2, RedoRate: 3, LagSec: 4}},
				},
			},
		}},
	}
}

func TestGroupReport(t *testing.T) {
	t.Parallel()
	n := func(v int64) *int64 { return &v }
	yes, no := true, false
	whole := func() GroupReport {
		return GroupReport{
			Enabled: true, Groups: []Group{{"AG1", 3, 30 * time.Second}},
			Replicas: []Replica{
				{"AG1", "SQL01", true, n(1), n(0), n(1), n(1), n(2), n(2), n(1)},
				{"AG1", "SQL02", false, n(0), n(1), n(2), n(0), n(1), nil, nil},
			},
			Databases: []ReplicaDatabase{
				{Group: "AG1", Server: "SQL01", Database: "Shop", Synchronization: n(2), Suspended: &no, FailoverReady: &yes},
				{"AG1", "SQL02", "Shop", n(0), &yes, &no, n(1024), n(2048), n(3072), n(4)},
			},
			Listeners: []ListenerIP{{"AG1", "shop", "10.0.0.9", n(1)}},
		}
	}
	members := MemberReport{Enabled: true, QuorumState: n(1), Members: []Member{{"SQL01", 0, 1, n(1)}, {"witness", 2, 0, n(1)}}}
	for _, tt := range []struct {
		name         string
		model        func(*sqlengine.Snapshot)
		groups       GroupReport
		members      MemberReport
		want, wantIn []string
	}{
		{"everything granted", group, whole(), members, nil, nil},
		{
			"a failover cluster instance", func(s *sqlengine.Snapshot) {
				s.ClusterNodes = []sqlengine.ClusterNode{{Name: "SQL01", Owner: true}, {Name: "SQL02", State: -1}}
			}, GroupReport{}, MemberReport{Nodes: []ClusterNode{{"SQL01", 0, true}, {"SQL02", -1, false}}}, nil, nil,
		},
		{
			"a failover cluster instance, and nothing granted", func(s *sqlengine.Snapshot) {
				s.ClusterNodes, s.Lacks = []sqlengine.ClusterNode{{Name: "SQL01"}}, sqlengine.ServerState
			}, GroupReport{}, MemberReport{}, nil, []string{"read the instance's nodes: permission"},
		},
		{"not enabled", func(*sqlengine.Snapshot) {}, GroupReport{}, MemberReport{}, nil, nil},
		{"not enabled, and nothing granted", func(s *sqlengine.Snapshot) { s.Lacks = sqlengine.ServerState }, GroupReport{}, MemberReport{}, nil, nil},
		{
			"no server state", func(s *sqlengine.Snapshot) { group(s); s.Lacks = sqlengine.ServerState },
			GroupReport{Enabled: true, Groups: whole().Groups, Listeners: whole().Listeners},
			MemberReport{Enabled: true},
			[]string{"read the replicas: permission", "read the replicas' databases: permission"},
			[]string{"read the quorum: permission", "read the members: permission"},
		},
		{
			"no definition", func(s *sqlengine.Snapshot) { group(s); s.Lacks = sqlengine.AnyDefinition },
			GroupReport{Enabled: true, Groups: []Group{}, Databases: []ReplicaDatabase{}, Listeners: []ListenerIP{}},
			members,
			[]string{"read the replicas: permission"},
			nil,
		},
	} {
		p := start(t, server{model: &model{more: tt.model}}).prober(t, config.Strict)
		got, failures := p.GroupReport(within(t, 5*time.Second))
		if diff := cmp.Diff(tt.want, parts(failures)); diff != "" {
			t.Errorf("%s: missing (-want +got)\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.groups, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
		inside, failures := p.MemberReport(within(t, 5*time.Second))
		if diff := cmp.Diff(tt.wantIn, parts(failures)); diff != "" {
			t.Errorf("%s: missing of the members (-want +got)\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.members, inside); diff != "" {
			t.Errorf("%s: members (-want +got)\n%s", tt.name, diff)
		}
	}
}
