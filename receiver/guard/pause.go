package guard

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// pause is G21: a pause of ours, a node that is paused or drained, a locked group. Our pauses are part of the state: a
// receiver that cannot read them does not start.
func pause(in Input) Verdict {
	for _, p := range in.Pauses {
		if p.Matches(in) {
			if p.Expires.IsZero() {
				return hold("paused", in.soon(), "%s paused it, until when is not known: %s", p.Owner, p.Reason).unblocked("hypervigilctl resume %s", p.ID)
			}
			return hold("paused", p.Expires, "%s paused it until %s: %s", p.Owner, p.Expires.Format(time.RFC3339), p.Reason).
				unblocked("hypervigilctl resume %s", p.ID)
		}
	}
	round, ok := in.last()
	if !ok {
		return hold("no_evidence", in.soon(), "no evidence has been read yet")
	}
	known := false
	for _, view := range round.KnownViews() {
		group, ok := view.Value.Group(in.Group)
		if !ok {
			continue
		}
		known = true
		if group.Status&cluster.GroupLocked != 0 {
			return hold("locked", in.soon(), "group %q is locked, says %s", in.Group, view.Value.By)
		}
		owner, ok := view.Value.Node(group.Owner)
		if !ok {
			continue
		}
		const draining = cluster.NodeDrainInProgress | cluster.NodeDrainCompleted | cluster.NodeDrainFailed
		if owner.State == cluster.NodePaused || owner.Status&draining != 0 {
			return hold("maintenance", in.soon(), "owner %s is paused or drained, says %s", group.Owner, view.Value.By).
				unblocked("resume the node: Resume-ClusterNode -Name %s", group.Owner)
		}
	}
	if !known {
		return hold("unreadable", in.soon(), "no node shows group %q, so a lock or a drain cannot be ruled out", in.Group)
	}
	return pass("nothing is paused, locked or drained")
}

// Matches reports whether the pause applies to the input's rung now. One whose end is not known does.
func (p Pause) Matches(in Input) bool {
	return (p.Expires.IsZero() || in.Now.Before(p.Expires)) &&
		(p.Cluster == "" || p.Cluster == in.Subject.Cluster) &&
		(p.VM == "" || p.VM == in.Subject.VM.Name) &&
		(p.Rung == "" || p.Rung == in.Rung)
}
