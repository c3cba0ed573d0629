package mssql

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/probe/probetest"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

func TestAvailabilityGroups(t *testing.T) {
	t.Parallel()
	n := func(v int64) *int64 { return &v }
	yes, no := true, false
	groups := []sqlhealth.Group{{Name: "AG1", FailureConditionLevel: 3, HealthCheckTimeout: 30 * time.Second}}
	whole := sqlhealth.GroupReport{
		Enabled: true, Groups: groups,
		Replicas: []sqlhealth.Replica{
			{
				Group: "AG1", Server: "SQL01", Local: true, AvailabilityMode: n(1), FailoverMode: n(0),
				Role: n(1), Connected: n(1), Synchronization: n(2), Operational: n(2), Health: n(1),
			},
			{Group: "AG1", Server: "SQL02", AvailabilityMode: n(4), FailoverMode: n(1), Role: n(2), Connected: n(0), Synchronization: n(1)},
			{Group: "AG1", Server: "SQL03", AvailabilityMode: n(0), FailoverMode: n(1)},
		},
		Databases: []sqlhealth.ReplicaDatabase{
			{Group: "AG1", Server: "SQL01", Database: "Shop", Synchronization: n(2), Suspended: &no, FailoverReady: &yes},
			{Group: "AG1", Server: "SQL02", Database: "Shop", Synchronization: n(0), Suspended: &yes, FailoverReady: &no, LogSendQueue: n(1024), RedoQueue: n(2048), RedoRate: n(4096), Lag: n(7)},
			{Group: "AG1", Server: "SQL03", Database: "Shop"},
		},
		Listeners: []sqlhealth.ListenerIP{{Group: "AG1", Listener: "shop", IP: "10.0.0.9", State: n(1)}, {Group: "AG1", Listener: "shop", IP: "10.1.0.9"}},
	}
	members := sqlhealth.MemberReport{Enabled: true, QuorumState: n(1), Members: []sqlhealth.Member{
		{Name: "SQL01", State: 1, Votes: n(1)}, {Name: "SQL02", Votes: n(0)}, {Name: "Cloud Witness", Type: 3, State: 1},
	}}
	fci := sqlhealth.MemberReport{Nodes: []sqlhealth.ClusterNode{{Name: "SQL01", Owner: true}, {Name: "SQL02", State: 1}, {Name: "SQL03", State: -1}, {Name: "SQL04", State: 7}}}
	denied := []*sqlhealth.Failure{failure("read the replicas", dial.Permission)}
	for _, tt := range []struct {
		name, collector string
		source          reports
		reason          dial.Reason
	}{
		{"groups", "availability_groups", reports{groups: whole}, dial.Answered},
		{"groups_not_enabled", "availability_groups", reports{}, dial.Answered},
		{"groups_denied", "availability_groups", reports{groups: sqlhealth.GroupReport{Enabled: true, Groups: groups}, failures: denied}, dial.Permission},
		{"groups_hung", "availability_groups", reports{failures: []*sqlhealth.Failure{failure("log in", dial.LoginTimeout)}}, dial.LoginTimeout},
		{"members", "cluster_members", reports{members: members}, dial.Answered},
		{"members_fci", "cluster_members", reports{members: fci}, dial.Answered},
		{"members_not_enabled", "cluster_members", reports{}, dial.Answered},
		{"members_denied", "cluster_members", reports{members: sqlhealth.MemberReport{Enabled: true}, failures: denied}, dial.Permission},
		{"members_hung", "cluster_members", reports{failures: []*sqlhealth.Failure{failure("read the quorum", dial.QueryTimeout)}}, dial.QueryTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := collect(t, tt.source, tt.collector)
			if got := probe.Reason(r.Err); got != tt.reason {
				t.Errorf("reason = %q, want %q (%v)", got, tt.reason, r.Err)
			}
			probetest.Golden(t, tt.name, r.Metrics)
		})
	}
}
