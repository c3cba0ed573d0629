package cluster

import "context"

// The classes of the cluster service's own counters, without the prefix.
const (
	ClassHeartbeats    = "NetFtPerfProvider_ClusterNetFtHeartbeats"
	ClassVolumes       = "CsvFsPerfProvider_ClusterCSVFS"
	ClassResources     = "ClussvcPerfProvider_ClusterResources"
	ClassReconnections = "ClussvcPerfProvider_ClusterNetworkReconnections"
)

// total is the instance that adds up the others.
const total = "_Total"

// Heartbeats is NetFtPerfProvider_ClusterNetFtHeartbeats: one route from this node to another.
type Heartbeats struct {
	Route   string
	Missing uint64 // now, one after the other
	Limit   uint64 // from which on the other counts as lost
}

// Heartbeats reads the heartbeats that this node misses, by route.
func (h *Host) Heartbeats(ctx context.Context) ([]Heartbeats, error) {
	rows, err := all(ctx, &h.machine, nsWindows, "SELECT Name, Missingheartbeats, Missingheartbeatslimit FROM "+perfRaw+ClassHeartbeats, func(f *fields) Heartbeats {
		return Heartbeats{f.mustText("Name"), f.mustUint64("Missingheartbeats"), f.mustUint64("Missingheartbeatslimit")}
	})
	return without(rows, func(r Heartbeats) string { return r.Route }), err
}

// VolumePauses is CsvFsPerfProvider_ClusterCSVFS: how often a cluster shared volume stood still on this node, by what
// for, since the node mounted it.
type VolumePauses struct {
	Volume               string
	Disk, Network, Other uint64
}

// VolumePauses reads the pauses of every cluster shared volume on this node.
func (h *Host) VolumePauses(ctx context.Context) ([]VolumePauses, error) {
	rows, err := all(ctx, &h.machine, nsWindows, "SELECT Name, VolumePauseCountDisk, VolumePauseCountNetwork, VolumePauseCountOther FROM "+perfRaw+ClassVolumes,
		func(f *fields) VolumePauses {
			return VolumePauses{f.mustText("Name"), f.mustUint64("VolumePauseCountDisk"), f.mustUint64("VolumePauseCountNetwork"), f.mustUint64("VolumePauseCountOther")}
		})
	return without(rows, func(r VolumePauses) string { return r.Volume }), err
}

// without leaves the instance _Total out.
func without[T any](rows []T, name func(T) string) []T {
	var out []T
	for _, r := range rows {
		if name(r) != total {
			out = append(out, r)
		}
	}
	return out
}

// ResourceFailures is ClussvcPerfProvider_ClusterResources, of all resources of this node together.
type ResourceFailures struct{ All, Deadlocks uint64 }

// ResourceFailures reads how often resources failed on this node. Where the class has one instance for each, they are
// added up; where it has only their sum, that counts.
func (h *Host) ResourceFailures(ctx context.Context) (ResourceFailures, error) {
	type row struct {
		name string
		ResourceFailures
	}
	rows, err := all(ctx, &h.machine, nsWindows, "SELECT Name, ResourceFailure, ResourceFailureDeadlock FROM "+perfRaw+ClassResources, func(f *fields) row {
		return row{f.text("Name"), ResourceFailures{f.mustUint64("ResourceFailure"), f.mustUint64("ResourceFailureDeadlock")}}
	})
	var sum ResourceFailures
	if each := without(rows, func(r row) string { return r.name }); len(each) > 0 {
		rows = each
	}
	for _, r := range rows {
		sum.All += r.All
		sum.Deadlocks += r.Deadlocks
	}
	return sum, err
}

// Reconnects reads how often this node had to connect to others anew (ClussvcPerfProvider_ClusterNetworkReconnections),
// added up in the same way.
func (h *Host) Reconnects(ctx context.Context) (uint64, error) {
	type row struct {
		name  string
		count uint64
	}
	rows, err := all(ctx, &h.machine, nsWindows, "SELECT Name, ReconnectCount FROM "+perfRaw+ClassReconnections, func(f *fields) row {
		return row{f.text("Name"), f.mustUint64("ReconnectCount")}
	})
	if each := without(rows, func(r row) string { return r.name }); len(each) > 0 {
		rows = each
	}
	sum := uint64(0)
	for _, r := range rows {
		sum += r.count
	}
	return sum, err
}
