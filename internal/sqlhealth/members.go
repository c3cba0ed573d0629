package sqlhealth

import "context"

// MemberReport is the cluster that Always On lives in, as it is seen from inside: not the one of the hosts. Enabled is
// false where Always On is not, and then there is nothing else.
type MemberReport struct {
	Enabled bool
	// QuorumState is 1 normal, 2 forced, 0 unknown; nil where the cluster has no quorum to tell of.
	QuorumState *int64
	Members     []Member
	// Nodes are those on which this failover cluster instance was installed; nil for any other instance.
	Nodes []ClusterNode
}

// ClusterNode is a node of a failover cluster instance.
type ClusterNode struct {
	Name  string
	State int64 // -1 unknown, 0 up, 1 down, 2 paused, 3 joining
	Owner bool
}

// Member is a node or the witness.
type Member struct {
	Name  string
	Type  int64 // 0 node, 1 disk witness, 2 file share witness, 3 cloud witness
	State int64 // 0 offline, 1 online
	Votes *int64
}

const (
	hadrClusterText = `SELECT quorum_state FROM sys.dm_hadr_cluster`
	clusteredText   = `SELECT CAST(SERVERPROPERTY('IsClustered') AS int)`
	// Source: learn.microsoft.com, "sys.dm_os_cluster_nodes (Transact-SQL)"; it needs VIEW SERVER STATE.
	nodesText   = `SELECT NodeName, status, is_current_owner FROM sys.dm_os_cluster_nodes ORDER BY NodeName`
	membersText = `SELECT member_name, member_type, member_state, number_of_quorum_votes FROM sys.dm_hadr_cluster_members ORDER BY member_name`
)

// MemberReport logs in anew and asks for the cluster's members.
func (p *Prober) MemberReport(ctx context.Context) (MemberReport, []*Failure) {
	enabled, clustered := false, false
	return report(ctx, p, []step[MemberReport]{
		{"read whether Always On is enabled", func(s *session, add func(func(*MemberReport))) (err error) {
			enabled, err = s.hadrEnabled()
			add(func(r *MemberReport) { r.Enabled = enabled })
			return err
		}},
		{"read the quorum", func(s *session, add func(func(*MemberReport))) error {
			if !enabled {
				return nil
			}
			states, err := all(s, hadrClusterText, 1, 1, func(r *record) *int64 { return r.maybe(0) })
			if len(states) == 1 {
				add(func(r *MemberReport) { r.QuorumState = states[0] })
			}
			return err
		}},
		{"read the members", func(s *session, add func(func(*MemberReport))) error {
			if !enabled {
				return nil
			}
			list, err := all(s, membersText, 4, maxReplicas, func(r *record) Member {
				return Member{Name: r.text(0), Type: r.number(1), State: r.number(2), Votes: r.maybe(3)}
			})
			add(func(r *MemberReport) { r.Members = list })
			return err
		}},
		{"read whether it is a failover cluster instance", func(s *session, _ func(func(*MemberReport))) error {
			is, err := all(s, clusteredText, 1, 1, func(r *record) int64 { return r.number(0) })
			clustered = len(is) == 1 && is[0] == 1
			return err
		}},
		{"read the instance's nodes", func(s *session, add func(func(*MemberReport))) error {
			if !clustered {
				return nil
			}
			list, err := all(s, nodesText, 3, maxReplicas, func(r *record) ClusterNode {
				return ClusterNode{Name: r.text(0), State: r.number(1), Owner: r.flag(2)}
			})
			add(func(r *MemberReport) { r.Nodes = list })
			return err
		}},
	})
}
