package site

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// The failures of a command that was not sent, beside the reasons of package dial.
const (
	failNeverTouch = "never_touch"
	failInventory  = "not_in_inventory"
	failMethod     = "unknown_method"
)

// Do sends one command, once, unless notAfter has passed before its bytes could leave, and reports what came of it. It is the last place on the way: a virtual machine on the
// never-touch list is refused here, below every policy and whatever was decided.
func (s *Site) Do(ctx context.Context, c remedy.Command, notAfter time.Time) remedy.Result {
	r := remedy.Result{StartedAt: time.Now().UTC()}
	refuse := func(failure, format string, args ...any) remedy.Result {
		r.Failure, r.Detail, r.EndedAt = failure, fmt.Sprintf(format, args...), time.Now().UTC()
		return r
	}
	if s.config.NeverTouch(c.VM.Cluster, c.VM.Name, c.VMID, c.Group) {
		return refuse(failNeverTouch, "%s is on receiver.never_touch", c.VM)
	}
	p, m, ok := s.find(c.VM)
	if !ok {
		return refuse(failInventory, "%s is not in the inventory", c.VM)
	}
	var outcome cluster.Outcome
	var err error
	method, known := c.Method.Spec()
	switch {
	case !known:
		return refuse(failMethod, "method %q is not known", c.Method)
	case method.Target == remedy.Guest && m.operator == nil:
		return refuse(failInventory, "%s has no guest address in the inventory", c.VM)
	case method.Target == remedy.Guest:
		outcome, err = toGuest(ctx, m.operator, c, notAfter)
	default:
		h, ok := p.operators[c.Node]
		if !ok {
			return refuse(failInventory, "node %q is not in the inventory of cluster %s", c.Node, p.name)
		}
		outcome, err = toNode(ctx, h, c, notAfter)
	}
	r.Sent, r.Answered, r.Code, r.Unknown, r.EndedAt = outcome.Sent, outcome.Answered, outcome.Code, outcome.Unknown, time.Now().UTC()
	r.LeftAt, r.Job = outcome.LeftAt, outcome.Job
	if err != nil {
		r.Failure, r.Detail = string(reason(err)), err.Error()
	}
	if errors.Is(err, cluster.ErrStale) {
		r.Failure = remedy.Stale
	}
	return r
}

// toGuest calls a method inside a guest.
func toGuest(ctx context.Context, g *cluster.Guest, c remedy.Command, notAfter time.Time) (cluster.Outcome, error) {
	switch c.Method {
	case remedy.StartService:
		return g.StartService(ctx, c.Service, notAfter)
	case remedy.StopService:
		return g.StopService(ctx, c.Service, notAfter)
	case remedy.TerminateProcess:
		return g.TerminateProcess(ctx, c.PID, c.Created, notAfter)
	}
	return cluster.Outcome{}, fmt.Errorf("method %q is not a guest's", c.Method)
}

// toNode calls a method of a node's Hyper-V, or of the cluster by that node.
func toNode(ctx context.Context, h *cluster.Host, c remedy.Command, notAfter time.Time) (cluster.Outcome, error) {
	switch c.Method {
	case remedy.ResetSystem:
		return h.ResetVM(ctx, c.VMID, notAfter)
	case remedy.InjectNMI:
		return h.InjectNMI(ctx, c.VMID, notAfter)
	case remedy.RebootGuest:
		return h.RebootGuest(ctx, c.VMID, rebootReason, notAfter)
	case remedy.MoveGroup:
		how, ok := c.How.Context()
		if !ok {
			return cluster.Outcome{}, fmt.Errorf("a move by %q is not known; nothing was sent to %s", c.How, h.Name())
		}
		return h.MoveGroup(ctx, c.Group, c.To, how, notAfter)
	case remedy.BringOnline:
		return h.BringGroupOnline(ctx, c.Group, notAfter)
	case remedy.CancelOperation:
		return h.CancelGroupOperation(ctx, c.Group, notAfter)
	}
	return cluster.Outcome{}, fmt.Errorf("method %q is not a node's; nothing was sent to %s", c.Method, h.Name())
}

// rebootReason is what the guest's event log shows of a reboot that was ordered here.
const rebootReason = "hypervigil: SQL Server is not available"
