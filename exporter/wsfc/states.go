package wsfc

import (
	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// The states and flags as labels. The lists hold every known one; a code nobody told us about shows as "other" and
// keeps its number in the _code series.
var (
	nodeStates     = []string{"up", "down", "paused", "joining", "unknown", probe.Other}
	drainStates    = []string{"not_initiated", "in_progress", "completed", "failed", probe.Other}
	groupStates    = []string{"online", "offline", "failed", "partial_online", "pending", "unknown", probe.Other}
	resourceStates = []string{
		"inherited", "initializing", "online", "offline", "failed", "pending", "online_pending", "offline_pending", "unknown", probe.Other,
	}
)

// flag is one bit of a status and its label.
type flag[T cluster.NodeStatus | cluster.GroupStatus | cluster.ResourceStatus] struct {
	bit  T
	name string
}

var nodeFlags = []flag[cluster.NodeStatus]{
	{cluster.NodeIsolated, "isolated"},
	{cluster.NodeQuarantined, "quarantined"},
	{cluster.NodeDrainInProgress, "drain_in_progress"},
	{cluster.NodeDrainCompleted, "drain_completed"},
	{cluster.NodeDrainFailed, "drain_failed"},
	{cluster.NodeAvoidPlacement, "avoid_placement"},
}

var groupFlags = []flag[cluster.GroupStatus]{
	{cluster.GroupLocked, "locked"},
	{cluster.GroupPreempted, "preempted"},
	{cluster.GroupWaitingInQueueForMove, "waiting_in_queue_for_move"},
	{cluster.GroupResourcesLacking, "physical_resources_lacking"},
	{cluster.GroupWaitingToStart, "waiting_to_start"},
	{cluster.GroupEmbeddedFailure, "embedded_failure"},
	{cluster.GroupAntiAffinityConflict, "anti_affinity_conflict"},
	{cluster.GroupNetworkFailure, "network_failure"},
	{cluster.GroupUnmonitored, "unmonitored"},
	{cluster.GroupOSHeartbeat, "os_heartbeat"},
	{cluster.GroupApplicationReady, "application_ready"},
	{cluster.GroupNotLocalDiskOwner, "not_local_disk_owner"},
	{cluster.GroupWaitingForDependencies, "waiting_for_dependencies"},
}

var resourceFlags = []flag[cluster.ResourceStatus]{
	{cluster.ResourceLocked, "locked"},
	{cluster.ResourceEmbeddedFailure, "embedded_failure"},
	{cluster.ResourceInsufficientCPU, "insufficient_cpu"},
	{cluster.ResourceInsufficientMemory, "insufficient_memory"},
	{cluster.ResourceInsufficientGeneric, "insufficient_generic_resources"},
	{cluster.ResourceNetworkFailure, "network_failure"},
	{cluster.ResourceUnmonitored, "unmonitored"},
	{cluster.ResourceOSHeartbeat, "os_heartbeat"},
	{cluster.ResourceApplicationReady, "application_ready"},
	{cluster.ResourceNotLocalDiskOwner, "not_local_disk_owner"},
}

func nodeState(s cluster.NodeState) string {
	switch s {
	case cluster.NodeUp:
		return "up"
	case cluster.NodeDown:
		return "down"
	case cluster.NodePaused:
		return "paused"
	case cluster.NodeJoining:
		return "joining"
	case cluster.NodeUnknown:
		return "unknown"
	}
	return probe.Other
}

// drainState names MSCluster_Node.NodeDrainStatus.
func drainState(s uint32) string {
	switch s {
	case 0:
		return "not_initiated"
	case 1:
		return "in_progress"
	case 2:
		return "completed"
	case 3:
		return "failed"
	}
	return probe.Other
}

func groupState(s cluster.GroupState) string {
	switch s {
	case cluster.GroupOnline:
		return "online"
	case cluster.GroupOffline:
		return "offline"
	case cluster.GroupFailed:
		return "failed"
	case cluster.GroupPartialOnline:
		return "partial_online"
	case cluster.GroupPending:
		return "pending"
	case cluster.GroupUnknown:
		return "unknown"
	}
	return probe.Other
}

func resourceState(s cluster.ResourceState) string {
	switch s {
	case cluster.ResourceInherited:
		return "inherited"
	case cluster.ResourceInitializing:
		return "initializing"
	case cluster.ResourceOnline:
		return "online"
	case cluster.ResourceOffline:
		return "offline"
	case cluster.ResourceFailed:
		return "failed"
	case cluster.ResourcePending:
		return "pending"
	case cluster.ResourceOnlinePending:
		return "online_pending"
	case cluster.ResourceOfflinePending:
		return "offline_pending"
	case cluster.ResourceUnknown:
		return "unknown"
	}
	return probe.Other
}
