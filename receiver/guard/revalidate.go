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
	return mutated(v)
}

// Forbidden asks again, right before the first command of a rung, what people may have said since the plan was made: a
// pause, a mode, the never-touch list. A rung of which a command has left is gone on with.
func Forbidden(in Input) (Verdict, bool) {
	for _, g := range All() {
		if g.ID != "G21" && g.ID != "G22" && g.ID != "G18" {
			continue
		}
		if v := g.ask(in); v.Outcome != Pass {
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
	if !in.Lab {
		return refuse("mode_act_lab_only", "the cluster no longer identifies itself as the lab")
	}
	if !round.Host.Known() {
		return hold("unreadable", in.soon(), "the owner host could not be read again: %s", round.Host.Failure)
	}
	if round.Host.Value.State != cluster.VMRunning {
		return hold("vm_state", in.soon(), "the VM is not running (EnabledState %d)", round.Host.Value.State)
	}
	seen := false
	for _, view := range round.KnownViews() {
		g, ok := view.Value.Group(in.Group)
		if !ok {
			continue
		}
		seen = true
		const busy = cluster.GroupLocked | cluster.GroupWaitingInQueueForMove | cluster.GroupWaitingToStart | cluster.GroupUnmonitored
		n, known := view.Value.Node(g.Owner)
		current, needed := view.Value.Votes()
		switch {
		case current < needed:
			return hold("no_quorum", in.soon(), "%d of %d needed votes are present now, says %s", current, needed, view.Value.By)
		case g.Owner != owner:
			return refuse("moved", "the owner is %s now; the plan was made for %s", g.Owner, owner)
		case g.State != cluster.GroupOnline:
			return hold("group_state", in.soon(), "the group is in state %d now", g.State)
		case g.Status&busy != 0:
			return hold("group_status", in.soon(), "the group's status is %#x now", uint64(g.Status))
		case !known || n.State != cluster.NodeUp || n.Status != 0:
			return hold("node_state", in.soon(), "owner %s is not up and normal now", g.Owner)
		}
	}
	if !seen {
		return hold("unreadable", in.soon(), "no node shows group %q now", in.Group)
	}
	if age := in.Now.Sub(Oldest(round)); age > MaxReadAge {
		return hold("stale", in.Now, "the read is %s old; %s is allowed", age.Round(time.Millisecond), MaxReadAge)
	}
	switch cmd.Method {
	case remedy.StartService:
		return in.startable(round, cmd)
	case remedy.StopService:
		if !round.Service.Known() {
			return hold("unreadable", in.soon(), "%s could not be read again", in.Service)
		}
		return pass("owner %s, group online, VM running, read %s before", owner, in.Now.Sub(Oldest(round)).Round(time.Millisecond))
	case remedy.TerminateProcess:
		switch p := round.Process; {
		case round.Login.Known() && round.Login.Value.Up:
			return refuse("login", "vetoed: SQL Server logs in again")
		case !round.Login.Known():
			return hold("unreadable", in.soon(), "SQL Server could not be tried again: %s", round.Login.Failure)
		case !p.Known():
			return hold("unreadable", in.soon(), "process %d could not be read again", cmd.PID)
		case p.Value.ID != cmd.PID || !p.Value.Created.Equal(cmd.Created):
			return refuse("gone", "process %d of %s is not there any more", cmd.PID, cmd.Created.Format(time.RFC3339Nano))
		}
		return pass("process %d is the one of the plan, read %s before", cmd.PID, in.Now.Sub(Oldest(round)).Round(time.Millisecond))
	}
	return refuse("unknown_method", "method %q is not known", cmd.Method)
}

// startable: a service that somebody else has started meanwhile is not started again.
func (in Input) startable(round evidence.Round, cmd remedy.Command) Verdict {
	service := round.Service
	if cmd.Service != in.Service {
		if !service.Known() || service.Value.State != cluster.ServiceRunning {
			return hold("not_running", in.soon(), "%s does not run now, and %s depends on it", in.Service, cmd.Service)
		}
		for _, d := range round.Dependents.Value {
			if round.Dependents.Known() && d.Name == cmd.Service {
				service = evidence.Reading[cluster.Service]{Value: d, At: round.Dependents.At}
			}
		}
		if service.Value.Name != cmd.Service {
			return hold("unreadable", in.soon(), "%s could not be read again", cmd.Service)
		}
	}
	if !service.Known() {
		return hold("unreadable", in.soon(), "%s could not be read again: %s", cmd.Service, service.Failure)
	}
	switch service.Value.State {
	case cluster.ServiceStopped:
	case cluster.ServiceStopPending:
		return hold("stop_pending", in.soon(), "%s is still stopping", cmd.Service)
	case cluster.ServiceRunning, cluster.ServiceStartPending, cluster.ServiceContinuePending, cluster.ServicePausePending,
		cluster.ServicePaused, cluster.ServiceUnknown:
		return refuse("not_stopped", "%s is %q now: somebody started it", cmd.Service, service.Value.State)
	}
	return pass("%s is stopped, owner unchanged, read %s before", cmd.Service, in.Now.Sub(Oldest(round)).Round(time.Millisecond))
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
	return oldest
}
