package mssql

import (
	"context"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
)

type memberDescs struct{ state, votes, quorum, owner, node probe.Desc }

// The members of the state sets, in the order of SQL Server's numbers. Source: learn.microsoft.com,
// "sys.dm_hadr_cluster" and "sys.dm_hadr_cluster_members".
var (
	memberTypes  = []string{"node", "disk_witness", "file_share_witness", "cloud_witness", probe.Other}
	memberStates = []string{"offline", "online", probe.Other}
	quorumStates = []string{"unknown", "normal", "forced", probe.Other}
	// nodeStates begin at -1. Source: learn.microsoft.com, "sys.dm_os_cluster_nodes (Transact-SQL)".
	nodeStates = []string{"unknown", "up", "down", "paused", "joining", probe.Other}
)

// membersCollector tells the cluster that the availability groups live in, as it is seen from inside a guest, and the
// nodes of a failover cluster instance.
func membersCollector(o Options, d probe.Descs) probe.Collector {
	descs := memberDescs{
		state:  d.New("mssql_wsfc_member_state", "1 for the state of a member of the guests' own cluster.", "member", "type", "state"),
		votes:  d.New("mssql_wsfc_member_votes", "The member's votes for the quorum of the guests' own cluster.", "member", "type"),
		quorum: d.New("mssql_wsfc_quorum_state", "1 for the state of the quorum of the guests' own cluster.", "state"),
		owner:  d.New("mssql_fci_owner", "1 for the node, a guest, on which the failover cluster instance runs; there is no series for the others, and none for another kind of instance.", "fci_node"),
		node:   d.New("mssql_fci_node_state", "1 for the state of a node on which the failover cluster instance was installed.", "fci_node", "state"),
	}
	return probe.Collector{Name: "cluster_members", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		report, failures := o.Source.MemberReport(ctx)
		level.Debug(l).Log("msg", "members of the guests' cluster read", "enabled", report.Enabled, "members", len(report.Members), "missing", len(failures))
		var s probe.Set
		known(&s, descs.quorum, quorumStates, report.QuorumState)
		for _, m := range report.Members {
			kind := member(memberTypes, m.Type)
			s.States(descs.state, memberStates, member(memberStates, m.State), m.Name, kind)
			amount(&s, descs.votes, m.Votes, m.Name, kind)
		}
		for _, n := range report.Nodes {
			s.States(descs.node, nodeStates, member(nodeStates, n.State+1), n.Name)
			if n.Owner {
				s.Gauge(descs.owner, 1, n.Name)
			}
		}
		return probe.Result{Metrics: s, Err: missing(failures)}
	}}
}
