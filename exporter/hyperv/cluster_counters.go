package hyperv

import (
	"context"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// clusterCounterSource tells the counters of the cluster service on the host.
type clusterCounterSource interface {
	Heartbeats(ctx context.Context) ([]cluster.Heartbeats, error)
	VolumePauses(ctx context.Context) ([]cluster.VolumePauses, error)
	ResourceFailures(ctx context.Context) (cluster.ResourceFailures, error)
	Reconnects(ctx context.Context) (uint64, error)
}

// clusterCounterDescs describe the cluster's metrics that each node counts for itself; they are asked of the node and
// belong to the cluster's layer.
type clusterCounterDescs struct {
	missing, limit                          probe.Desc
	pauses, failures, deadlocks, reconnects probe.Desc
}

func newClusterCounterDescs(d probe.Descs) clusterCounterDescs {
	return clusterCounterDescs{
		missing:    d.New("wsfc_heartbeat_missing", "Heartbeats that the node misses now on the route to another, one after the other: the earliest sign of a node that goes away.", "route"),
		limit:      d.New("wsfc_heartbeat_missing_limit", "Missed heartbeats from which on the node calls the other one lost.", "route"),
		pauses:     d.New("wsfc_csv_pauses_total", "How often the cluster shared volume stood still on the node, by what for.", "volume", "reason"),
		failures:   d.New("wsfc_resource_failures_total", "How often resources failed on the node."),
		deadlocks:  d.New("wsfc_resource_deadlocks_total", "How often resources failed on the node because they hung."),
		reconnects: d.New("wsfc_node_reconnects_total", "How often the node had to connect to other nodes anew."),
	}
}

func (c *counters) heartbeats() probe.Collector {
	return collector(c, "heartbeats", cluster.ClassHeartbeats, Source.Heartbeats, func(s *probe.Set, routes []cluster.Heartbeats) {
		for _, r := range routes {
			s.Gauge(c.cluster.missing, float64(r.Missing), r.Route)
			s.Gauge(c.cluster.limit, float64(r.Limit), r.Route)
		}
	})
}

func (c *counters) csv() probe.Collector {
	return collector(c, "csv", cluster.ClassVolumes, Source.VolumePauses, func(s *probe.Set, volumes []cluster.VolumePauses) {
		for _, v := range volumes {
			s.Counter(c.cluster.pauses, float64(v.Disk), v.Volume, "disk")
			s.Counter(c.cluster.pauses, float64(v.Network), v.Volume, "network")
			s.Counter(c.cluster.pauses, float64(v.Other), v.Volume, "other")
		}
	})
}

func (c *counters) resourceFailures() probe.Collector {
	return collector(c, "resource_failures", cluster.ClassResources, Source.ResourceFailures, func(s *probe.Set, f cluster.ResourceFailures) {
		s.Counter(c.cluster.failures, float64(f.All))
		s.Counter(c.cluster.deadlocks, float64(f.Deadlocks))
	})
}

func (c *counters) reconnects() probe.Collector {
	return collector(c, "reconnects", cluster.ClassReconnections, Source.Reconnects, func(s *probe.Set, n uint64) {
		s.Counter(c.cluster.reconnects, float64(n))
	})
}
