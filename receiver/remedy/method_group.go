package remedy

import (
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// The methods of a cluster group.
const (
	MoveGroup       Method = "MSCluster_ResourceGroup.MoveToNewNodeParams"
	BringOnline     Method = "MSCluster_ResourceGroup.BringOnline"
	CancelOperation Method = "MSCluster_ResourceGroup.CancelOperation"
)

// The bounds of a group's methods (G24).
const (
	MoveTimeout   = 300 * time.Second
	OnlineTimeout = 300 * time.Second
	CancelTimeout = 60 * time.Second
	// groupSettle is how long the cluster may take until what it has accepted shows in the group's state.
	groupSettle = 3 * time.Second
)

// groupParts are what a group's step is judged by.
func groupParts() []evidence.Part {
	return []evidence.Part{evidence.PartViews, evidence.PartHost, evidence.PartLogin}
}

func moveGroup() MethodSpec {
	return MethodSpec{
		Method: MoveGroup, Target: Cluster, Within: MoveTimeout, Ends: true, Revives: true, Cancel: CancelOperation,
		Before: []evidence.Part{evidence.PartLogin}, After: groupParts(), judge: judgeGroup, effect: movedGroup,
	}
}

func bringOnline() MethodSpec {
	return MethodSpec{
		Method: BringOnline, Target: Cluster, Within: OnlineTimeout, Revives: true, Boots: true, Cancel: CancelOperation,
		After: groupParts(), judge: judgeGroup, effect: broughtOnline,
	}
}

func cancelOperation() MethodSpec {
	return MethodSpec{Method: CancelOperation, Target: Cluster, Within: CancelTimeout, After: groupParts(), judge: judgeGroup, effect: groupStable}
}

// How is what a move does to the virtual machine, by name: no move without one, for the zero of Windows' own enumeration
// turns the machine off.
type How string

// The ways to move.
const (
	Live     How = "live_migration"
	Save     How = "save"
	Shutdown How = "shutdown"
	TurnOff  How = "turn_off"
)

// Context is Windows' number for it; ok is false for a name that is none.
func (h How) Context() (c cluster.VMContext, ok bool) {
	switch h {
	case Live:
		return cluster.VMLiveMigration, true
	case Save:
		return cluster.VMSave, true
	case Shutdown:
		return cluster.VMShutdown, true
	case TurnOff:
		return cluster.VMTurnOff, true
	}
	return 0, false
}

// migrationType is what Move-ClusterVirtualMachineRole calls it.
func (h How) migrationType() string {
	switch h {
	case Live:
		return "Live"
	case Save:
		return "Quick"
	case Shutdown:
		return "Shutdown"
	case TurnOff:
		return "TurnOff"
	}
	return ""
}

// judgeGroup says what the cluster's answer means (learn.microsoft.com, "System Error Codes (4000-5999)"). Where it is in
// another state than it was a moment ago, somebody else is at it; where the node cannot, it is the node.
func judgeGroup(cmd Command, r Result) (cause Cause, why string, ok bool) {
	code := cluster.GroupCode(r.Code)
	if code.Accepted() {
		return "", "", true
	}
	why = fmt.Sprintf("the cluster refused %s of %s (error %d)", cmd.Method, cmd.What(), r.Code)
	switch code {
	case cluster.GroupAccessDenied:
		return Permanent, why + ": the operator's account has no full access to the cluster", false
	case cluster.GroupInvalidParameter, cluster.GroupNotFound:
		return Permanent, why, false
	case cluster.GroupHostNotOwner:
		return Transient, why + ": the group's owner, or who may own it, has changed", false
	case cluster.GroupVetoedTarget, cluster.GroupNodeCannotHost, cluster.GroupVetoedNodes:
		return NodeBound, why + ": the destination cannot take it", false
	case cluster.GroupVetoedSource:
		return NodeBound, why + ": the source has not enough resources for it", false
	case cluster.GroupResourceFailed:
		return NodeBound, why + ": a resource of the group failed", false
	default:
		return Transient, why, false
	}
}

// groupOf finds the command's group in the first view that shows it.
func groupOf(c Call, r evidence.Round) (cluster.Group, bool) {
	for _, v := range r.KnownViews() {
		if g, ok := v.Value.Group(c.Group); ok {
			return g, true
		}
	}
	return cluster.Group{}, false
}

// underway reports whether the cluster is at work on a group.
func underway(g cluster.Group) bool {
	return g.State == cluster.GroupPending || g.Status&(cluster.GroupWaitingInQueueForMove|cluster.GroupWaitingToStart) != 0
}

// movedGroup is the effect of a move: the group is online on its destination. On a third node somebody else was quicker,
// which no other move answers.
func movedGroup(c Call, r evidence.Round) Effect {
	g, ok := groupOf(c, r)
	switch {
	case !ok:
		return Effect{Unreadable: true, Detail: "no node shows group " + c.Group}
	case underway(g):
		return Effect{Pending: true, Detail: fmt.Sprintf("%s is under way, owner %s", c.Group, g.Owner)}
	case g.Owner == c.To && g.State == cluster.GroupOnline:
		return Effect{Done: true, Detail: fmt.Sprintf("%s is online on %s", c.Group, c.To)}
	case g.Owner == c.To:
		return Effect{Failed: c.Observed, Cause: NodeBound, Detail: fmt.Sprintf("%s came to %s and is in state %d there", c.Group, c.To, g.State)}
	case g.Owner != c.From:
		return Effect{
			Failed: c.Observed, Cause: Transient,
			Detail: fmt.Sprintf("%s is on %s: somebody else moved it from %s meanwhile, and nothing follows", c.Group, g.Owner, c.From),
		}
	case r.Started.Sub(c.Issued) < groupSettle:
		return Effect{Detail: fmt.Sprintf("%s is on %s still", c.Group, g.Owner)}
	}
	return Effect{Failed: c.Observed, Cause: Transient, Detail: fmt.Sprintf("%s did not leave %s, or came back to it", c.Group, c.From)}
}

// broughtOnline is the effect of BringOnline: the group is online, wherever the cluster has brought it.
func broughtOnline(c Call, r evidence.Round) Effect {
	g, ok := groupOf(c, r)
	switch {
	case !ok:
		return Effect{Unreadable: true, Detail: "no node shows group " + c.Group}
	case g.State == cluster.GroupOnline && !underway(g):
		return Effect{Done: true, Detail: fmt.Sprintf("%s is online on %s", c.Group, g.Owner)}
	case underway(g):
		return Effect{Pending: true, Detail: c.Group + " is being started"}
	case r.Started.Sub(c.Issued) < groupSettle:
		return Effect{Detail: fmt.Sprintf("%s is in state %d still", c.Group, g.State)}
	}
	return Effect{Failed: c.Observed, Cause: NodeBound, Detail: fmt.Sprintf("%s was started on %s and is in state %d", c.Group, g.Owner, g.State)}
}

// groupStable is the effect of CancelOperation: the cluster is at work on the group no longer. Where it stands then is
// what came of the operation.
func groupStable(c Call, r evidence.Round) Effect {
	g, ok := groupOf(c, r)
	switch {
	case !ok:
		return Effect{Unreadable: true, Detail: "no node shows group " + c.Group}
	case underway(g):
		return Effect{Pending: true, Detail: fmt.Sprintf("the cluster is still at work on %s", c.Group)}
	}
	return Effect{Done: true, Detail: fmt.Sprintf("%s is on %s in state %d", c.Group, g.Owner, g.State)}
}

// move is the command of a move, whose destination was chosen before (G20). It is sent to the destination, which answers,
// and not to a source that may be sick.
func (c Case) move(how How) (Command, error) {
	switch {
	case c.Group == "":
		return Command{}, fmt.Errorf("the group of %s is not known", c.Subject.VM)
	case c.Owner == "":
		return Command{}, fmt.Errorf("who owns group %s is not known", c.Group)
	case c.Destination == "" || c.Destination == c.Owner:
		return Command{}, fmt.Errorf("no destination was chosen for group %s", c.Group)
	}
	return Command{
		Method: MoveGroup, VM: c.Subject.VM, Instance: c.Subject.Instance, Node: c.Destination, Group: c.Group, VMID: c.VMID,
		From: c.Owner, To: c.Destination, How: how, Timeout: callTimeout,
		Cmdlet: fmt.Sprintf("Move-ClusterVirtualMachineRole -Name %s -Node %s -MigrationType %s", quote(c.Group), quote(c.Destination), how.migrationType()),
	}, nil
}

// moves is a rung that is one move.
func moves(r Rung, how How) Spec {
	return Spec{
		Rung: r, Destructive: how == Shutdown || how == TurnOff,
		plan: func(c Case) ([]Command, error) {
			cmd, err := c.move(how)
			if err != nil {
				return nil, err
			}
			return []Command{cmd}, nil
		},
		propose: func(group, _ string) []string {
			return []string{fmt.Sprintf("Move-ClusterVirtualMachineRole -Name %s -MigrationType %s", quote(group), how.migrationType())}
		},
	}
}

// Cancelling is the command that cancels another one's operation, by the same node.
func Cancelling(c Command) (Command, bool) {
	s, ok := c.Method.Spec()
	if !ok || s.Cancel == "" {
		return Command{}, false
	}
	return Command{
		Method: s.Cancel, VM: c.VM, Instance: c.Instance, Node: c.Node, Group: c.Group, From: c.From, To: c.To, Timeout: callTimeout,
		Cmdlet: fmt.Sprintf("Move-ClusterVirtualMachineRole -Name %s -Cancel", quote(c.Group)),
	}, true
}
