package simulate

import (
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// apply does one op, or lets it wait for its point.
func (w *world) apply(o Op) {
	if o.On != "" {
		w.waiting = append(w.waiting, o)
		return
	}
	if w.trace != nil {
		w.trace.add(w.now, "op: %s", o)
	}
	w.result.events[string(o.Kind)]++
	v := w.model.VM(o.VM)
	switch o.Kind {
	case opFault:
		w.fault(o)
	case opFalseAlert:
		for _, a := range w.alerts.list {
			if a.Name == o.VM && string(a.Fault) == o.What && (a.Instance == o.Instance || a.Instance == "-") {
				a.lied = w.now.Add(o.For)
			}
		}
	case opBlindNode, opSuspend, opDrain, opSplit, opQuorum, opStranger:
		w.lasts(o.Kind, o.Node, o.For)
		if o.Kind == opDrain {
			w.drain(o.Node)
		}
	case opBlindGuest, opBlindSQL, opSilence, opLock, opQueue:
		w.lasts(o.Kind, o.VM, o.For)
	case opControls, opCut, opSlow, opAMDown, opAMHalf, opWebhook, opLose, opDouble, opLate, opLedger, opMute:
		w.lasts(o.Kind, "", o.For)
	case opSwap:
		w.swapped[o.VM] = o.What
		w.lasts(o.Kind, o.VM, o.For)
	case opSkew:
		w.ahead = o.For
		w.lasts(o.Kind, "", 3*time.Minute)
	case opStale:
		for _, a := range w.alerts.list {
			if a.Name == o.VM && !a.last.IsZero() {
				w.alerts.deliver(a, true, a.last)
			}
		}
	case opStop:
		if _, err := w.model.Inject(model.Request{Fault: model.ServiceStop, VM: o.VM, Instance: o.Instance}); err == nil {
			w.judge.stopped(v, o.Instance, w.now)
		}
	case opStart:
		if s := v.Server(o.Instance); s != nil && v.Guest == model.GuestRunning && s.Service().State == cluster.ServiceStopped {
			w.model.StartService(v, s.Service())
		}
	case opServe:
		for _, in := range w.model.Injected() {
			if in.Request.Fault == model.HostStarved && in.Request.Node == v.Owner {
				w.model.Heal(in.ID)
				continue
			}
			if f := in.Request.Fault; (f == model.SQLHang || f == model.SQLInternal) && in.Request.VM == o.VM {
				w.model.Heal(in.ID)
				if f == model.SQLInternal {
					w.wellSince[v.Server(in.Request.Instance)] = w.now
				}
			}
		}
	case opDisable:
		if s := v.Server(o.Instance); s != nil {
			s.Service().StartMode = "Manual"
		}
	case opHeartbeat:
		w.model.StopHeartbeat(v)
		if o.For > 0 {
			w.after(o.For, func() { w.model.Beat(v) })
		}
	case opJobs:
		v.Fate = map[string]model.JobFate{"fails": model.JobFails, "hangs": model.JobHangs, "late": model.JobLate}[o.What]
		w.after(o.For, func() { v.Fate = model.JobSucceeds })
	case opBusy:
		w.busy(o)
	case opOpen:
		if s := v.Server(o.Instance); s != nil && s.Up {
			s.Open, s.RollingBack = w.now, o.What == "rollback"
			began := w.now
			w.after(o.For, func() {
				if s.Up && s.Open.Equal(began) {
					s.Open, s.RollingBack = time.Time{}, false
				}
			})
		}
	case opBroken:
		v.Broken = true
		if o.For > 0 {
			w.after(o.For, func() { v.Broken = false })
		}
	case opMoves:
		v.NextMove = model.Moves{Stuck: o.What == "stuck", Fails: o.What == "fails"}
	case opPlace:
		w.arrange(v, o)
	case opMove, opMigrate:
		w.move(v, o.Node, o.Kind == opMove)
	case opGiveUp:
		w.giveUp(v, o.For)
	case opPause:
		p := guard.Pause{ID: "p" + o.VM, Cluster: w.spec.Cluster, VM: o.VM, Owner: "ada", Reason: "patching", Since: w.now, Expires: w.now.Add(o.For)}
		if o.What == "cluster" {
			p.ID, p.VM = "cluster", ""
		}
		w.handle(incident.PauseSet{At: incident.At(w.now), Pause: p})
	case opAck:
		w.acknowledge()
	case opApprove:
		w.approves(o)
	case opFate:
		w.fates = append(w.fates, o)
	case opCrash:
		w.crash(o.For)
	}
}

// lasts makes a disturbance last.
func (w *world) lasts(k Kind, name string, d time.Duration) {
	w.until[key{k, name}] = w.now.Add(d)
}

// ambush takes the op that waits for a point, if there is one.
func (w *world) ambush(p Point) (Op, bool) {
	for n, o := range w.waiting {
		if o.On == p {
			w.waiting = slices.Delete(slices.Clone(w.waiting), n, n+1)
			o.On = ""
			return o, true
		}
	}
	return Op{}, false
}

// fault injects one of the model's, where it can be: it is no failure that a dead guest cannot crash.
func (w *world) fault(o Op) {
	in, err := w.model.Inject(model.Request{Fault: o.What, VM: o.VM, Node: o.Node, Instance: o.Instance, Component: o.Component})
	if err != nil {
		return
	}
	if o.What == model.HostStarved {
		w.starve(o)
	}
	w.result.events["fault "+o.What]++
	w.judge.injected(in)
	var s *model.Server
	if o.What == model.SQLInternal {
		s = w.model.VM(o.VM).Server(o.Instance)
		w.sickSince[s] = w.now
	}
	if o.For > 0 {
		w.after(o.For, func() {
			w.model.Heal(in.ID)
			if o.What == model.SQLInternal {
				w.wellSince[s] = w.now
			}
		})
	}
}

// drain moves a node's virtual machines away, live, one after the other.
func (w *world) drain(node string) {
	for n, v := range w.model.VMs {
		if v.Owner != node {
			continue
		}
		w.after(time.Duration(n+2)*time.Second, func() {
			for _, to := range w.model.Nodes {
				if to.Name != node && v.Owner == node {
					w.move(v, to.Name, false)
				}
			}
		})
	}
}

// move is a person's: saved, moved and resumed, or live, where the guest notices nothing.
func (w *world) move(v *model.VM, to string, save bool) {
	n := w.model.Node(to)
	from := w.model.Node(v.Owner)
	if v.Owner == to || !n.Powered || n.State != cluster.NodeUp || !from.Powered || v.GroupState != cluster.GroupOnline {
		return
	}
	w.judge.movedByHand(v)
	if save {
		w.model.MoveGroup(v, to, cluster.VMSave, 0)
		return
	}
	v.Owner = to
}

// giveUp is the cluster that has used up its failovers and its patience: the group is failed, its owner well.
func (w *world) giveUp(v *model.VM, d time.Duration) {
	if v.GroupState != cluster.GroupOnline || v.State != cluster.VMRunning {
		return
	}
	w.model.TakeOffline(v, cluster.VMTurnOff)
	v.State, v.GroupState, v.PersistentState = cluster.VMOff, cluster.GroupFailed, true
	w.after(d, func() {
		if v.GroupState == cluster.GroupFailed {
			w.model.BringOnline(v)
		}
	})
}

// acknowledge lets a person see to every failure that latches a virtual machine.
func (w *world) acknowledge() {
	for _, vm := range w.config.Clusters[0].VirtualMachines {
		for id, s := range w.state.VMs.All() {
			if id.Name == vm.Name && s.Latched != "" {
				w.handle(incident.Acknowledged{At: incident.At(w.now), Incident: s.Latched, By: "ada"})
			}
		}
	}
}

// quiet ends everything that disturbs, so that what is left is what the receiver must come to an end with. A fault
// stays what it is.
func (w *world) quiet() {
	if w.trace != nil {
		w.trace.add(w.now, "everything that disturbs ends")
	}
	clear(w.until)
	w.fates, w.waiting = nil, nil
	for _, a := range w.alerts.list {
		a.lied = time.Time{}
	}
	for _, id := range w.judge.pauseIDs() {
		p := w.judge.pauses[id]
		p.Expires = w.now
		w.handle(incident.PauseSet{At: incident.At(w.now), Pause: p})
	}
}

// callTimeout is how long the receiver's client waits for an answer (receiver/remedy).
const callTimeout = 10 * time.Second

// send carries out a Send effect: the driver's last look at the clock, the site's at the list of what is never touched,
// and then the network and Windows.
func (w *world) send(e incident.Send) {
	w.judge.sending(e)
	c := &call{w: w, Send: e, life: w.life, began: w.now}
	if len(w.fates) > 0 {
		c.fate, w.fates = w.fates[0], w.fates[1:]
	}
	if w.trace != nil {
		w.trace.add(w.now, "command %s/%d: %s %s %s %s", e.Incident, e.Number, e.Command.Method, e.Command.VM, e.Command.What(), c.fate.What)
	}
	switch {
	case w.now.After(e.NotAfter):
		c.answer(0, remedy.Result{Failure: "stale"})
		return
	case w.config.NeverTouch(e.Command.VM.Cluster, e.Command.VM.Name):
		c.answer(0, remedy.Result{Failure: "never_touch"})
		return
	case c.fate.What == fateKept:
		c.answer(oneWay, remedy.Result{Failure: string(dial.Refused)})
		return
	}
	w.judge.left(e)
	switch c.fate.What {
	case fateNever:
		c.lost()
	case fateLate:
		c.lost()
		w.after(c.fate.For, func() { c.execute() })
	case fateAnswerLost:
		c.lost()
		w.after(oneWay, func() { c.execute() })
	default:
		w.after(oneWay, c.arrive)
	}
}

// oneWay is the network's latency for a command or its answer.
const oneWay = 8 * time.Millisecond

// call is one command on its way.
type call struct {
	incident.Send
	w     *world
	fate  Op
	life  int // of the receiver that sent it; a later one gets no answer
	began time.Time
	job   string // what it began
}

// answer gives the caller its result, if it still lives.
func (c *call) answer(after time.Duration, r remedy.Result) {
	w := c.w
	r.StartedAt = c.began
	w.later(after, c.life, func() {
		r.EndedAt = w.now
		w.judge.answered(c.Send)
		w.handle(incident.Commanded{At: incident.At(w.now), Incident: c.Incident, Number: c.Number, Result: r})
	})
}

// lost lets the caller wait in vain.
func (c *call) lost() {
	c.answer(callTimeout-c.w.now.Sub(c.began), remedy.Result{Sent: true, Unknown: true, Failure: string(dial.QueryTimeout)})
}

// arrive is the command at the guest, and its answer.
func (c *call) arrive() {
	w := c.w
	switch {
	case w.unsendable(c.Command) != dial.Answered:
		c.lost()
		return
	case c.fate.What == fateFails:
		codes := refusals(c.Command)
		code := codes[w.rnd.IntN(len(codes))]
		c.answer(oneWay, remedy.Result{Sent: true, Answered: true, Code: code})
		return
	}
	code, ok := c.execute()
	if !ok { // the process that was meant is gone, or there is no such service: the client says that nothing was done
		w.judge.undone(c.Send)
		c.answer(oneWay, remedy.Result{Failure: string(dial.Other)})
		return
	}
	c.answer(oneWay, remedy.Result{Sent: true, Answered: true, Code: code, Job: c.job})
	if c.fate.What == fateDies {
		w.after(w.spec.Profile.ServiceStart+1500*time.Millisecond, func() {
			_, _ = w.model.Inject(model.Request{Fault: model.ServiceCrash, VM: c.Command.VM.Name, Instance: c.Command.Instance}) // it may have died before
		})
	}
}

func (c *call) execute() (uint32, bool) {
	w := c.w
	if w.unsendable(c.Command) != dial.Answered {
		return 0, false
	}
	var code uint32
	var ok bool
	if s, _ := c.Command.Method.Spec(); s.Target == remedy.Host {
		code, c.job, ok = w.toHyperV(c.Command)
	} else {
		code, ok = w.execute(c.Command)
	}
	if w.trace != nil {
		w.trace.add(w.now, "executed: %s %s %s: %d %t", c.Command.Method, c.Command.VM, c.Command.Service, code, ok)
	}
	return code, ok
}

// arrange changes something about where a virtual machine may run, for a while.
func (w *world) arrange(v *model.VM, o Op) {
	n := w.model.Node(o.Node)
	var back func()
	switch o.What {
	case "memory":
		was := n.Spare
		n.Spare = v.Memory + (1 << 30)
		back = func() { n.Spare = was }
	case "volume":
		n.Volume = cluster.VolumeFaultNoAccess
		back = func() { n.Volume = cluster.VolumeFaultNone }
	case "possible":
		v.Possible = []string{v.Owner, o.Node}
		back = func() { v.Possible = nil }
	case "alone":
		v.Possible = []string{v.Owner}
		back = func() { v.Possible = nil }
	case "apart":
		v.Apart = []string{"sql"}
		for _, other := range w.model.VMs {
			if other != v && other.Owner == o.Node {
				other.Apart = []string{"sql"}
			}
		}
		back = func() {
			for _, other := range w.model.VMs {
				other.Apart = nil
			}
		}
	case "site":
		for _, node := range w.model.Nodes {
			node.Site = "A"
		}
		n.Site = "B"
		back = func() {
			for _, node := range w.model.Nodes {
				node.Site = ""
			}
		}
	case "level":
		n.Version = clusterLevel + 1
		back = func() { n.Version = clusterLevel }
	}
	w.after(o.For, back)
}
