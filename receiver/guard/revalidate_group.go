package guard

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// ReasonDone is G9's word for a command that has nothing left to do: somebody else did it, or it came to its end.
const ReasonDone = "done"

// movable: the destination is still a node that is up and normal, by every view, nobody logs in to what is about to be
// moved away from its clients, and a guest that was called dead shows no life. The source is the place (standing): the cluster knows none.
func (in Input) movable(round evidence.Round, cmd remedy.Command) Verdict {
	if in.Subject.Fault == evidence.Resource {
		// It serves, and the live migration lets it.
		if v, over := in.relieved(round); over {
			return v
		}
		return in.movableTo(round, cmd)
	}
	switch l := round.Login; {
	case l.Known() && l.Value.Up:
		return refuse("login", "vetoed: SQL Server logs in again")
	case !l.Known() && !l.At.IsZero():
		return hold("unreadable", in.soon(), "SQL Server could not be tried again: %s", l.Failure)
	case in.Subject.Fault == evidence.Guest && round.Host.Value.Heartbeat == cluster.HeartbeatOK:
		return refuse("heartbeat", "vetoed: the guest's heartbeat is OK again")
	}
	return in.movableTo(round, cmd)
}

// movableTo: the destination is still up and normal, and the node that the command goes to answers.
func (in Input) movableTo(round evidence.Round, cmd remedy.Command) Verdict {
	for _, view := range round.KnownViews() {
		n, ok := view.Value.Node(cmd.To)
		if !ok || n.State != cluster.NodeUp || n.Status != 0 {
			return hold("destination", in.soon(), "%s is not up and normal now, says %s", cmd.To, view.Value.By)
		}
	}
	if !round.Views[cmd.Node].Known() {
		return hold("unreadable", in.soon(), "%s, which the command goes to, does not answer now", cmd.Node)
	}
	return pass("owner %s, %s is up and normal, read %s before", cmd.From, cmd.To, in.Now.Sub(Oldest(round)).Round(time.Millisecond))
}

// fallen is the place of what starts a group: it is failed or offline on the owner of the plan, which is well, and the
// cluster would have it online. The second result is false where all of that is so.
func (in Input) fallen(round evidence.Round, owner string) (Verdict, bool) {
	return in.placed(round, owner, stage{
		// Wherever it runs, there is nothing to start any more.
		early: func(g cluster.Group) (Verdict, bool) {
			return refuse(ReasonDone, "the group is in state %d now: the cluster, or somebody, has started it", g.State), g.State == cluster.GroupOnline || g.State == cluster.GroupPending
		},
		state: func(g cluster.Group) (Verdict, bool) {
			if g.State != cluster.GroupFailed && g.State != cluster.GroupOffline {
				return hold("group_state", in.soon(), "the group is in state %d now", g.State), true
			}
			return refuse("offline_by_hand", "somebody took the group offline: its persistent state is false"), !g.PersistentState
		},
	})
}

// bringable: the owner, which the command goes to, answers.
func (in Input) bringable(round evidence.Round, cmd remedy.Command) Verdict {
	if !round.Views[cmd.Node].Known() {
		return hold("unreadable", in.soon(), "%s, which the command goes to, does not answer now", cmd.Node)
	}
	return pass("group %s is down on %s, which is up and normal, read %s before", cmd.Group, cmd.Node, in.Now.Sub(Oldest(round)).Round(time.Millisecond))
}

// cancelled is the place of what cancels an operation of ours: wherever the group is.
func (in Input) cancelled(evidence.Round, string) (Verdict, bool) { return Verdict{}, false }

// cancellable: the cluster is still at work on the group, on the node that it left it on or that it takes it to. On a third
// one it is somebody else's operation.
func (in Input) cancellable(round evidence.Round, cmd remedy.Command) Verdict {
	for _, view := range round.KnownViews() {
		g, ok := view.Value.Group(in.Group)
		switch {
		case !ok:
			continue
		case g.Owner != cmd.From && g.Owner != cmd.To:
			return refuse(ReasonDone, "the group is on %s: what the cluster does there is not ours", g.Owner)
		case g.State != cluster.GroupPending && g.Status&(cluster.GroupWaitingInQueueForMove|cluster.GroupWaitingToStart) == 0:
			return refuse(ReasonDone, "the group is in state %d now: there is nothing left to cancel", g.State)
		}
		return pass("the cluster is still at work on the group, says %s, read %s before", view.Value.By, in.Now.Sub(Oldest(round)).Round(time.Millisecond))
	}
	return hold("unreadable", in.soon(), "no node shows group %q now", in.Group)
}
