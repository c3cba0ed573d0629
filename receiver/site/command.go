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
	if s.config.NeverTouch(c.VM.Cluster, c.VM.Name) {
		return refuse(failNeverTouch, "%s is on receiver.never_touch", c.VM)
	}
	_, m, ok := s.find(c.VM)
	if !ok || m.operator == nil {
		return refuse(failInventory, "%s is not in the inventory, or has no guest address there", c.VM)
	}
	var outcome cluster.Outcome
	var err error
	switch c.Method {
	case remedy.StartService:
		outcome, err = m.operator.StartService(ctx, c.Service, notAfter)
	case remedy.StopService:
		outcome, err = m.operator.StopService(ctx, c.Service, notAfter)
	case remedy.TerminateProcess:
		outcome, err = m.operator.TerminateProcess(ctx, c.PID, c.Created, notAfter)
	default:
		return refuse(failMethod, "method %q is not known", c.Method)
	}
	r.Sent, r.Answered, r.Code, r.Unknown, r.EndedAt = outcome.Sent, outcome.Answered, outcome.Code, outcome.Unknown, time.Now().UTC()
	r.LeftAt = outcome.LeftAt
	if err != nil {
		r.Failure, r.Detail = string(reason(err)), err.Error()
	}
	if errors.Is(err, cluster.ErrStale) {
		r.Failure = remedy.Stale
	}
	return r
}
