package simulate

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// actionOf finds the action that a Send effect belongs to, and its key in the ledger.
func (j *judge) actionOf(e incident.Send) (incident.Action, string, bool) {
	i, _ := j.w.state.Incidents.Get(e.Incident)
	for _, a := range i.Actions {
		if a.Number == e.Number {
			return a, ledger.Key("action", i.ID, string(a.Rung), fmt.Sprintf("%03d", a.Number)), true
		}
	}
	return incident.Action{}, "", false
}

// sending judges a Send effect, whatever becomes of it.
func (j *judge) sending(e incident.Send) {
	w := j.w
	a, key, ok := j.actionOf(e)
	if !ok {
		w.breaks(onDisk, "%s/%d: the incident has no such action", e.Incident, e.Number)
		return
	}
	if stored, ok := w.disk.action(key); !ok || stored.State != incident.Issued {
		w.breaks(onDisk, "%s: the ledger says %q", key, stored.State)
	}
	if n := j.flying[e.Command.VM]; n > 0 {
		w.breaks(onePerVM, "%s: %d in flight already", key, n)
	}
	if j.keys[key] {
		w.breaks(sentOnce, "%s", key)
	}
	switch e.Command.Method {
	case remedy.StartService, remedy.StopService, remedy.TerminateProcess, remedy.MoveGroup, remedy.BringOnline, remedy.CancelOperation,
		remedy.ResetSystem, remedy.InjectNMI, remedy.RebootGuest:
	default:
		w.breaks(noFailover, "%s: %s", key, e.Command.Method)
	}
	if w.config.NeverTouch(e.Command.VM.Cluster, e.Command.VM.Name) {
		w.breaks(neverTouched, "%s", key)
	}
	j.unchanged(e, a, key)
}

// unchanged judges a command by the truth of its re-validation (G9).
func (j *judge) unchanged(e incident.Send, a incident.Action, key string) {
	w := j.w
	s := j.checked[e.Incident]
	delete(j.checked, e.Incident)
	if s == nil {
		w.breaks(asPlanned, "%s: nothing was read right before it", key)
		return
	}
	i, _ := w.state.Incidents.Get(e.Incident)
	if i.Fault == evidence.Resource {
		j.serving(e, s, key)
	}
	const busy = cluster.GroupLocked | cluster.GroupWaitingInQueueForMove | cluster.GroupWaitingToStart | cluster.GroupUnmonitored
	switch {
	case w.now.Sub(s.asked) > freshRead && !w.now.After(e.NotAfter):
		w.breaks(asPlanned, "%s: the read is %s old", key, w.now.Sub(s.asked))
	case e.Command.Method == remedy.CancelOperation:
	case s.owner != a.Owner:
		w.breaks(asPlanned, "%s: the owner is %s, the plan was made for %s", key, s.owner, a.Owner)
	case !s.lab && !w.variant.strict:
		w.breaks(inMode, "%s: limits are weaker than their defaults, and the cluster does not say that it is the lab", key)
	case e.Command.Method == remedy.BringOnline:
		if s.group != cluster.GroupFailed && s.group != cluster.GroupOffline || s.status&busy != 0 || s.node != cluster.NodeUp || s.nodeStatus != 0 {
			w.breaks(asPlanned, "%s: group state %d, status %#x, owner's state %d", key, s.group, uint64(s.status), s.node)
		}
	case e.Command.Method == remedy.MoveGroup && i.Fault != evidence.Resource && s.login == dial.Answered && s.loginKnown:
		w.breaks(veto, "%s", key)
	case s.group != cluster.GroupOnline || s.status&busy != 0:
		w.breaks(asPlanned, "%s: group state %d, status %#x", key, s.group, uint64(s.status))
	case s.node != cluster.NodeUp || s.nodeStatus != 0:
		w.breaks(asPlanned, "%s: owner's state %d, status %#x", key, s.node, uint32(s.nodeStatus))
	case s.vm != cluster.VMRunning:
		w.breaks(asPlanned, "%s: VM state %d", key, s.vm)
	case e.Command.Method == remedy.StartService && s.service != nil && e.Command.Service == s.service.Name && s.state != cluster.ServiceStopped:
		w.breaks(asPlanned, "%s: the service is %q", key, s.state)
	case e.Command.Method == remedy.TerminateProcess && s.pid != e.Command.PID:
		w.breaks(asPlanned, "%s: the process is %d, the plan's %d", key, s.pid, e.Command.PID)
	case e.Command.Method == remedy.TerminateProcess && j.serves(e.Incident, s):
		w.breaks(veto, "%s: component %q in error", key, s.failing)
	case endsRun(e.Command.Method):
		j.restarts(e, s, key)
	}
}

// serves reports whether a read could have shown that what an incident is about is over: a login, or, of a SQL Server that
// takes logins and calls itself sick, that it does not any more. A set may be older than that: what ended since the last one
// was not told yet.
func (j *judge) serves(id string, s *snapshot) bool {
	if i, _ := j.w.state.Incidents.Get(id); i.Fault == evidence.Internal {
		return !s.sick && s.answered.Sub(j.w.wellSince[s.service.Server]) > j.w.setEvery(i.VM.Name)
	}
	return s.login == dial.Answered && s.loginKnown
}

// endsRun reports whether a method ends the virtual machine's run.
func endsRun(m remedy.Method) bool {
	return m == remedy.ResetSystem || m == remedy.InjectNMI || m == remedy.RebootGuest
}

// restarts judges a command that ends the virtual machine's run.
func (j *judge) restarts(e incident.Send, s *snapshot, key string) {
	w := j.w
	i, _ := w.state.Incidents.Get(e.Incident)
	switch {
	case j.serves(e.Incident, s):
		w.breaks(veto, "%s", key)
	case i.Fault == evidence.Guest && s.heartbeat == cluster.HeartbeatOK:
		w.breaks(veto, "%s: the heartbeat is well", key)
	case !s.running.Before(s.asked.Add(-cmp.Or(e.Command.LeastRun, remedy.LeastRun) + time.Second)):
		w.breaks(asPlanned, "%s: the virtual machine runs since %s", key, s.running)
	case s.work.Health != 0 || s.work.Operation != 0:
		w.breaks(asPlanned, "%s: %+v", key, s.work)
	}
}

// left notes a command that may have left the receiver.
func (j *judge) left(e incident.Send) {
	w := j.w
	a, key, _ := j.actionOf(e)
	j.keys[key] = true
	j.flying[e.Command.VM]++
	j.sent = append(j.sent, sent{
		vm: e.Command.VM, instance: e.Command.Instance, incident: e.Incident, rung: a.Rung, method: e.Command.Method, plan: a.Planned, at: w.now,
	})
	w.result.commands[string(a.Rung)+" "+string(e.Command.Method)]++
	w.result.reached[string(a.Rung)+", sent"] = true
	i, _ := w.state.Incidents.Get(e.Incident)
	w.result.reached["class "+string(i.Fault)+", sent"] = true
}

// undone notes that a command found nothing to act on: the machine runs elsewhere, or the process is gone. The client knows
// that nothing was done, so that it counts for no budget and no cool-down.
func (j *judge) undone(e incident.Send) {
	a, _, _ := j.actionOf(e)
	for n, c := range slices.Backward(j.sent) {
		if c.incident == e.Incident && c.method == e.Command.Method && c.plan.Equal(a.Planned) {
			j.sent = slices.Delete(j.sent, n, n+1)
			return
		}
	}
}

// answered notes that nobody waits for a command any more.
func (j *judge) answered(e incident.Send) {
	if j.flying[e.Command.VM] > 0 {
		j.flying[e.Command.VM]--
	}
}
