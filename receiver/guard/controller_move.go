package guard

import (
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// protectedNetwork is how long the cluster itself takes to move a virtual machine whose network it watches, with a margin
// (the design's 120 s, and a live migration).
const protectedNetwork = 180 * time.Second

// moveController is G11 for rungs that take the virtual machine to another node: no instance in it belongs to a cluster of
// the guests or an availability group, and where the cluster watches the machine's network (ClusterMonitored) or balances its
// load (AutoBalancerMode), its own time has run out first.
func (in Input) moveController() Verdict {
	if v := in.wholeController(); v.Outcome != Pass {
		return v
	}
	if in.Subject.Fault == evidence.Resource {
		return in.balancer()
	}
	if in.Subject.Fault != evidence.Network {
		return pass("no instance in it is clustered or enabled for availability groups")
	}
	round, _ := in.last()
	if m := round.Placement.Value.Monitored; !round.Placement.Known() || !m.Known() {
		return hold("unread", in.soon(), "whether the cluster watches the virtual machine's network (ClusterMonitored) could not be read: %s",
			strings.TrimSpace(string(m.Failure)+" "+m.Detail))
	} else if m.Value && in.StartsAt.IsZero() {
		return hold("unread", in.soon(), "since when the alert is there is not known, so that nobody knows how much time the cluster had")
	} else if over := in.StartsAt.Add(protectedNetwork); m.Value && in.Now.Before(over) {
		return hold("protected_network", over, "the cluster watches the network of this virtual machine and moves it itself; its time is over at %s", over.Format(time.RFC3339))
	}
	return pass("no instance in it is clustered, and the cluster does not watch its network, or its time is over")
}
