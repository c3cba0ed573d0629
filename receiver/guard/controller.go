package guard

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// oneController is G11: for each fault class one controller acts. A SQL Server that a failover cluster inside the
// guests owns, or that takes part in an availability group, is restarted and failed over by those; two hands on it
// would undo each other. Who owns a guest's or a network's fault is a setting of the cluster (CheckHeartbeat,
// ClusterMonitored): where it is the cluster, it is ours only after the cluster's own time has run out, and while that
// is not read, it is not ours.
//
// What the service control manager does by itself (its recovery actions) is not asked for: G8 waits a second for a
// service that comes back, and G9 starts none that runs.
func oneController(in Input) Verdict {
	switch in.Rung {
	case remedy.RestartService:
		if _, ok := in.Proof.Baseline[in.Subject.Instance]; !ok {
			return refuse("unread", "whether instance %s is clustered was never read", in.Subject.Instance).unblocked(unreadHelp)
		}
		return in.insideController(in.Subject.Instance)
	case remedy.ShutdownRestart, remedy.NMIRestart, remedy.ResetVM:
		return in.guestController()
	case remedy.LiveMigrate, remedy.MoveSave, remedy.MoveShutdown, remedy.MoveTurnOff:
		return in.moveController()
	case remedy.WhitePaper: // it is both, and whoever owns either part owns it
		if v := in.guestController(); v.Outcome != Pass {
			return v
		}
		return in.moveController()
	case remedy.StartGroup:
		return pass("a lost host is the cluster's first; G12 waits for it")
	}
	return refuse("unknown_rung", "rung %q is not known", in.Rung)
}

const unreadHelp = "the proof is made by itself once the virtual machine is healthy; see /-/ready"

// insideController: neither a failover cluster inside the guests nor an availability group looks after these instances.
func (in Input) insideController(instances ...string) Verdict {
	for _, name := range instances {
		switch base := in.Proof.Baseline[name]; {
		case base.Clustered:
			return refuse("failover_cluster_instance", "instance %s belongs to a failover cluster inside the guests, which restarts it or fails it over", name).
				unblocked("nothing: a clustered instance is only observed")
		case base.Hadr:
			return refuse("availability_groups", "availability groups are enabled on instance %s; their failover is not ours to race", name).
				unblocked("do it by hand, or let its group fail over")
		}
	}
	return pass("%s neither clustered nor enabled for availability groups", plural(len(instances), "instance"))
}

// wholeController is insideController of all that a rung on the virtual machine touches.
func (in Input) wholeController() Verdict {
	names := slices.Sorted(maps.Keys(in.Proof.Baseline))
	for _, name := range in.Instances {
		if !slices.Contains(names, name) {
			return refuse("unread", "whether instance %s is clustered was never read", name).unblocked(unreadHelp)
		}
	}
	if len(names) == 0 {
		return refuse("unread", "whether an instance in it is clustered was never read").unblocked(unreadHelp)
	}
	return in.insideController(names...)
}

// guestMargin is what the cluster gets on top of the time within which it finds that a heartbeat is lost: until what it
// does about it shows in the group's state.
const guestMargin = 60 * time.Second

// guestController is G11 for rungs that end the whole virtual machine: where the cluster watches the guest's heartbeat
// (CheckHeartbeat), a dead guest is the cluster's to restart. Its own time counts from the incident's beginning; a group
// that it has begun to restart by then is not online (G19), and a virtual machine that it has restarted is given the same
// time anew.
func (in Input) guestController() Verdict {
	if v := in.wholeController(); v.Outcome != Pass {
		return v
	}
	round, _ := in.last()
	m := round.Monitoring
	switch {
	case !m.Known():
		return hold("unread", in.soon(), "whether the cluster watches the guest's heartbeat (CheckHeartbeat) could not be read: %s",
			strings.TrimSpace(string(m.Failure)+" "+m.Detail))
	case !m.Value.On:
		return pass("no instance in it is clustered, and the cluster does not watch the guest's heartbeat")
	case in.Subject.Fault != evidence.Guest:
		return pass("no instance in it is clustered; the cluster watches the guest's heartbeat, and the guest answers")
	case in.Opened.IsZero():
		return hold("unread", in.soon(), "since when the alert is there is not known, so that nobody knows how much time the cluster had")
	case !round.Host.Known() || round.Host.Value.Uptime == 0:
		return hold("unread", in.soon(), "the owner host does not tell since when the virtual machine runs: %s %s", round.Host.Failure, round.Host.Detail)
	}
	since := in.Opened
	if began := round.Host.At.Add(-round.Host.Value.Uptime); began.After(since) {
		since = began
	}
	if over := since.Add(m.Value.Within + guestMargin); in.Now.Before(over) {
		return hold("heartbeat_monitoring", over, "the cluster watches the guest's heartbeat and restarts it itself; its time is over at %s", over.Format(time.RFC3339)).
			unblocked("nothing; or Get-ClusterResource, Set-ClusterParameter CheckHeartbeat 0 where this is to be ours alone")
	}
	return pass("the cluster watches the guest's heartbeat, and in %s has done nothing about it", m.Value.Within+guestMargin)
}
