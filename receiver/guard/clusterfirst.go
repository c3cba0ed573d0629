package guard

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// The waits of G12, over what the cluster's own settings say.
const (
	hostWait   = 300 * time.Second
	hostMargin = 60 * time.Second
	lossMargin = 2 * time.Second
)

// clusterFirst is G12: the cluster's own recovery goes first. A host is left to it for as long as its settings
// say it may take, and longer; a class that shows itself by silence waits at least until the cluster has had the
// time to notice a dead host, because until then even the other nodes call it Up.
func clusterFirst(in Input) Verdict {
	delay, threshold := in.Info.SameSubnetDelay, in.Info.SameSubnetThreshold
	if d := in.Info.CrossSubnetDelay * time.Duration(in.Info.CrossSubnetThreshold); d > delay*time.Duration(threshold) {
		delay, threshold = in.Info.CrossSubnetDelay, in.Info.CrossSubnetThreshold
	}
	heartbeat := delay * time.Duration(threshold)
	if !in.Subject.Fault.Silent() {
		return pass("proof of life was made after the fault: the cluster has nothing to recover")
	}
	if heartbeat == 0 {
		return hold("unreadable", in.soon(), "the cluster's heartbeat settings have not been read")
	}
	if in.Opened.IsZero() || in.StartsAt.IsZero() { // the cluster's time would be over since ever
		return hold("unreadable", in.soon(), "since when the alert is there is not known, so that nobody knows how much time the cluster had")
	}
	if in.Subject.Fault != evidence.Host {
		if over := in.Opened.Add(heartbeat + lossMargin); in.Now.Before(over) {
			return hold("cluster_first", over, "until %s the cluster may not have noticed a dead host", over.Format(time.RFC3339))
		}
		return pass("the cluster has had the time to notice a dead host (%s)", heartbeat)
	}
	wait := max(hostWait, heartbeat+in.Info.ResiliencyDefaultPeriod+hostMargin)
	over := in.StartsAt.Add(wait)
	if in.Now.Before(over) {
		return hold("cluster_first", over, "a host is the cluster's to recover: waiting for it until %s", over.Format(time.RFC3339))
	}
	round, ok := in.last()
	if !ok {
		return hold("no_evidence", in.soon(), "no evidence has been read yet")
	}
	for _, v := range round.KnownViews() {
		if g, ok := v.Value.Group(in.Group); ok {
			switch g.State {
			case cluster.GroupFailed, cluster.GroupOffline:
				if !g.PersistentState {
					return refuse("offline_by_hand", "somebody took the group offline (its persistent state is false), says %s", v.Value.By).
						unblocked("Start-ClusterGroup -Name '%s', when it is meant to run", in.Group)
				}
				return pass("%s after the fault the group is still not online, says %s", wait, v.Value.By)
			case cluster.GroupUnknown, cluster.GroupOnline, cluster.GroupPartialOnline, cluster.GroupPending:
				return hold("cluster_first", in.soon(), "the group is in state %d, says %s: the cluster is at it", g.State, v.Value.By)
			}
		}
	}
	return hold("unreadable", in.soon(), "no node shows group %q", in.Group)
}
