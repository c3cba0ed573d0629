package simulate

import (
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// What Hyper-V does for the receiver, and what it tells of it.

// toHyperV does one command to a virtual machine on the node that it is sent to. ok is false where that node has no such
// virtual machine.
func (w *world) toHyperV(c remedy.Command) (code uint32, job string, ok bool) {
	v := w.model.VM(c.VM.Name)
	if w.model.Host(v) != c.Node || !strings.EqualFold(v.ID, c.VMID) {
		return 0, "", false
	}
	w.model.Received(v, string(c.Method), c.VMID)
	var j *model.Job
	switch c.Method {
	case remedy.ResetSystem:
		code, j = w.model.Reset(v)
	case remedy.InjectNMI:
		code, j = w.model.InjectNMI(v)
	case remedy.RebootGuest:
		code = w.model.Reboot(v)
	}
	if j != nil {
		job = j.ID
	}
	return code, job, true
}

// job is what a node tells of what it was told to do.
func (w *world) job(a evidence.Ask, at time.Time) evidence.Reading[cluster.Job] {
	if a.Job == "" {
		return evidence.Reading[cluster.Job]{}
	}
	if w.silent(a.Via) {
		return evidence.Reading[cluster.Job]{At: at, Failure: dial.TCPTimeout}
	}
	for _, j := range w.model.Jobs {
		if j.ID == a.Job && j.Node == a.Via {
			return evidence.Reading[cluster.Job]{At: at, Value: cluster.Job{ID: j.ID, State: j.State, ErrorCode: j.ErrorCode}}
		}
	}
	return evidence.Reading[cluster.Job]{At: at, Failure: dial.Other, Detail: "not found"}
}

// monitoring is whether the cluster watches the guests' heartbeats.
func (w *world) monitoring(a evidence.Ask, at time.Time) evidence.Reading[cluster.HeartbeatMonitoring] {
	switch {
	case a.Owner == "":
		return evidence.Reading[cluster.HeartbeatMonitoring]{At: at, Failure: dial.Other, Detail: "no owner is known yet"}
	case w.silent(a.Owner):
		return evidence.Reading[cluster.HeartbeatMonitoring]{At: at, Failure: dial.TCPTimeout}
	}
	return evidence.Reading[cluster.HeartbeatMonitoring]{At: at, Value: cluster.HeartbeatMonitoring{On: w.spec.CheckHeartbeat, Within: model.IsAlive + model.Deadlock}}
}

// count is what was once read of a virtual machine's disks.
type count struct {
	at    time.Time
	host  string
	reads uint32
}

// heardOfDisks takes down what was counted: a reading that was not made is none.
func (j *judge) heardOfDisks(v evidence.Vitals) {
	if !v.Disks.Known() {
		return
	}
	for _, d := range v.Disks.Value.Disks { // it has one
		j.counts[v.VM.Name] = append(j.counts[v.VM.Name], count{v.Disks.At, v.Disks.Value.Host, d.Reads})
	}
}

// still is how long the disks of a virtual machine were seen to do nothing, and how old the newest word of that is.
func (j *judge) still(vm string) (long, age time.Duration) {
	list := j.counts[vm]
	if len(list) == 0 {
		return 0, longestDump
	}
	last := list[len(list)-1]
	for _, c := range list {
		if c.host != last.host || c.reads != last.reads {
			long = 0
			continue
		}
		long = max(long, last.at.Sub(c.at))
	}
	return long, j.w.now.Sub(last.at)
}

// guestFor is how long a guest must be dead, and deadFor how long the cluster has for it where it watches the heartbeat: the
// numbers of the catalogue, written down a second time.
const (
	guestFor = 60 * time.Second
	deadFor  = (60 + 300 + 60) * time.Second
)

// dead reports whether a guest shows no life at all.
func (s *snapshot) guestDead() bool {
	return s.vm == cluster.VMRunning && s.heartbeat != cluster.HeartbeatOK && !s.guestKnown && s.login != dial.Answered && s.login != dial.Refused
}
