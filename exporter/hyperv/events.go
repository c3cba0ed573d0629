package hyperv

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/exporter/eventlog"
	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// clusterEvents are the failover cluster's events that are counted, of a node's System log (learn.microsoft.com,
// "Failover Clustering system log events"): 1069 a resource failed, 1135 a node was removed from the membership, 1177
// the quorum was lost, 1205 a group did not come completely online or offline, 1254 a group failed too often and is
// given up, 1672 a node was quarantined, 1673 isolated. Event 1641, a group moves, is not in the System log but in the
// channel FailoverClustering/Operational, which WMI does not reach; changes of wsfc_group_owner_info tell it.
var clusterEvents = []uint32{1069, 1135, 1177, 1205, 1254, 1672, 1673}

// eventsCollector counts the cluster's events in the host's System log.
func eventsCollector(o Options, d probe.Descs) probe.Collector {
	total := d.New("hyperv_host_cluster_events_total", "Events of the failover cluster in the host's System log since hyperv_host_events_counted_since_timestamp_seconds: 1069 a resource failed, 1135 a node was removed, 1177 quorum was lost, 1205 a group did not come online, 1254 a group is given up, 1672 a node was quarantined, 1673 isolated.", "event")
	since := d.New("hyperv_host_events_counted_since_timestamp_seconds", "Since when the events are counted, by the host's clock, in seconds since 1970. A restart of the exporter, a reload of its configuration, and a log that could not be read for a quarter of an hour begin anew.")
	counter := eventlog.New(o.Source, []cluster.EventQuery{{
		Log: "System", Source: cluster.EventSourceCluster, First: slices.Min(clusterEvents), Last: slices.Max(clusterEvents),
	}}, func(e cluster.Event) (string, bool) {
		return strconv.Itoa(int(e.ID)), slices.Contains(clusterEvents, e.ID)
	})
	return probe.Collector{Name: "events", Collect: func(ctx context.Context, _ log.Logger) probe.Result {
		counts, from, err := counter.Read(ctx)
		if err != nil {
			return probe.Result{Err: fmt.Errorf("count the cluster's events: %w", err)}
		}
		var s probe.Set
		for _, id := range clusterEvents {
			event := strconv.Itoa(int(id))
			s.Counter(total, float64(counts[event]), event)
		}
		s.Time(since, from)
		return probe.Result{Metrics: s}
	}}
}
