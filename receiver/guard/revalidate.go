package guard

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// MaxReadAge is how old the read may be on which a command leaves (G9). The driver sends nothing after it.
const MaxReadAge = 500 * time.Millisecond

// Revalidate is G9, asked right before each command with a round read for it alone: the cluster is as the plan
// found it, and so is the thing the command is about. owner is the plan's owner node.
func Revalidate(in Input, cmd remedy.Command, owner string) Verdict {
	v := in.revalidate(cmd, owner)
	v.Guard, v.Name = "G9", "re-validation"
	return mutated(in, v)
}

// Forbidden asks again, right before the first command of a rung, what people may have said since the plan was made: a
// pause, a mode, the never-touch list, whether alerts still come through, and where one of them leaves it to a person,
// whether that approval still stands. A rung of which a command has left is gone on with.
func Forbidden(in Input) (Verdict, bool) {
	in.Proposed = nil
	for _, g := range All() {
		if g.ID == "G23" && len(in.Proposed) == 0 || g.ID != "G18" && !(Verdict{Guard: g.ID}).Late() {
			continue
		}
		switch v := g.ask(in); {
		case v.Outcome == Propose && g.ID != "G23":
			in.Proposed = append(in.Proposed, v)
		case v.Outcome != Pass:
			return v, true
		}
	}
	return Verdict{}, false
}

func (in Input) revalidate(cmd remedy.Command, owner string) Verdict {
	round, ok := in.last()
	if !ok {
		return hold("no_evidence", in.soon(), "nothing was read for the re-validation")
	}
	if in.weakened() {
		return refuse("weaker_limits", "%s now", in.weakenedWords())
	}
	if v, no := in.spared(cmd); no {
		return v
	}
	check, ok := rechecks()[cmd.Method]
	if !ok {
		return refuse("unknown_method", "method %q is not known", cmd.Method)
	}
	if v, bad := check.place(in, round, owner); bad {
		return v
	}
	if age := in.Now.Sub(Oldest(round)); age > MaxReadAge {
		return hold("stale", in.Now, "the read is %s old; %s is allowed", age.Round(time.Millisecond), MaxReadAge)
	}
	return check.subject(in, round, cmd)
}

// recheck is what G9 asks about one method.
type recheck struct {
	// place judges where the group and the virtual machine are; the second result is false where they are as they must be.
	place func(in Input, round evidence.Round, owner string) (Verdict, bool)
	// subject judges the thing itself that the command is about.
	subject func(in Input, round evidence.Round, cmd remedy.Command) Verdict
}

// rechecks has one for every method; a command whose method is not here is never sent.
func rechecks() map[remedy.Method]recheck {
	return map[remedy.Method]recheck{
		remedy.StartService:     {Input.standing, Input.startable},
		remedy.StopService:      {Input.standing, Input.stoppable},
		remedy.TerminateProcess: {Input.standing, Input.terminable},
		remedy.ResetSystem:      {Input.standing, Input.restartable},
		remedy.InjectNMI:        {Input.standing, Input.restartable},
		remedy.RebootGuest:      {Input.standing, Input.restartable},
		remedy.MoveGroup:        {Input.standing, Input.movable},
		remedy.BringOnline:      {Input.fallen, Input.bringable},
		remedy.CancelOperation:  {Input.cancelled, Input.cancellable},
	}
}

// standing is the place of all that is done to a virtual machine where it runs: its group is online on the owner of the
// plan, which is well, nothing moves it, and the owner itself says that it runs. The second result is false where all
// of that is so.
func (in Input) standing(round evidence.Round, owner string) (Verdict, bool) {
	if !round.Host.Known() {
		return hold("unreadable", in.soon(), "the owner host could not be read again: %s", round.Host.Failure), true
	}
	if round.Host.Value.State != cluster.VMRunning {
		return hold("vm_state", in.soon(), "the VM is not running (EnabledState %d)", round.Host.Value.State), true
	}
	return in.placed(round, owner, stage{state: func(g cluster.Group) (Verdict, bool) {
		return hold("group_state", in.soon(), "the group is in state %d now", g.State), g.State != cluster.GroupOnline
	}})
}

// stage is what G9 asks of a group's state in one view: early before who owns it, state after. The second result of each is
// false where it is as it must be; either may be nil.
type stage struct {
	early, state func(cluster.Group) (Verdict, bool)
}

// placed judges the group in every view that was answered: with quorum it is on the owner of the plan, which is up and
// normal, in the state that is wanted, and nothing is at work on it. The second result is false where all of that is so.
func (in Input) placed(round evidence.Round, owner string, s stage) (Verdict, bool) {
	seen := false
	for _, view := range round.KnownViews() {
		g, ok := view.Value.Group(in.Group)
		if !ok {
			continue
		}
		seen = true
		if v, bad := in.placedIn(view.Value, g, owner, s); bad {
			return v, true
		}
	}
	if !seen {
		return hold("unreadable", in.soon(), "no node shows group %q now", in.Group), true
	}
	return Verdict{}, false
}

// placedIn is placed for one view.
func (in Input) placedIn(view cluster.View, g cluster.Group, owner string, s stage) (Verdict, bool) {
	const busy = cluster.GroupLocked | cluster.GroupWaitingInQueueForMove | cluster.GroupWaitingToStart | cluster.GroupUnmonitored
	if current, needed := view.Votes(); current < needed {
		return hold("no_quorum", in.soon(), "%d of %d needed votes are present now, says %s", current, needed, view.By), true
	}
	if s.early != nil {
		if v, bad := s.early(g); bad {
			return v, true
		}
	}
	if g.Owner != owner {
		return refuse("moved", "the owner is %s now; the plan was made for %s", g.Owner, owner), true
	}
	if s.state != nil {
		if v, bad := s.state(g); bad {
			return v, true
		}
	}
	if g.Status&busy != 0 {
		return hold("group_status", in.soon(), "the group's status is %#x now", uint64(g.Status)), true
	}
	if n, known := view.Node(g.Owner); !known || n.State != cluster.NodeUp || n.Status != 0 {
		return hold("node_state", in.soon(), "owner %s is not up and normal now", g.Owner), true
	}
	return Verdict{}, false
}

// Oldest is the moment of the oldest answer that a re-validation rests on.
func Oldest(r evidence.Round) time.Time {
	oldest := r.Host.At
	consider := func(at time.Time) {
		if !at.IsZero() && at.Before(oldest) {
			oldest = at
		}
	}
	for _, v := range r.KnownViews() {
		consider(v.At)
	}
	consider(r.Service.At)
	consider(r.Process.At)
	consider(r.Login.At)
	consider(r.Diagnostics.At)
	return oldest
}
