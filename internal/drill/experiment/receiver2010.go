package experiment

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// receiver2010 does what the white paper's monitoring did: it asks SQL Server for its databases from outside, and where that
// fails has the virtual machine moved by quick migration and restarted. Nothing else: it does not look whether the group has
// moved already (G10), does not wait for the cluster (G12), and does not look at anybody else (G17), nor at anything that the
// other guards are about. No guard of ours is switched off for it; it is not our receiver, and knows the model alone.
type receiver2010 struct {
	vm     string
	alarm  bool // fired, and not yet over
	step   func(*model.Model) time.Duration
	phase  time.Duration // of the first poll
	polled bool
}

// The white paper's timings: a poll every 60 s, and 66 s from the fault to its detection, of which a poll takes 30 on average.
const (
	poll2010   = 60 * time.Second
	detect2010 = 36 * time.Second
	look2010   = time.Second // between two looks at how a command goes
)

// named2010 is what a report calls it, where ours has its ladder.
const named2010 = "the receiver of 2010"

// act is what it does now; it returns when it wants to be called again.
func (r *receiver2010) act(m *model.Model) time.Duration {
	if r.step != nil {
		step := r.step
		r.step = nil
		if again := step(m); again > 0 {
			return again
		}
		return poll2010
	}
	if !r.polled {
		r.polled = true
		return r.phase
	}
	v := m.VM(r.vm)
	well := m.Reachable(v) && v.Servers[0].Up
	if well || r.alarm {
		r.alarm = r.alarm && !well
		return poll2010
	}
	r.alarm = true
	r.step = r.move
	return detect2010
}

// move has the group moved to the first other host that is a member, or, where there is none, to the first other one: the
// script of 2010 names a host, and does not ask who owns the group by now.
func (r *receiver2010) move(m *model.Model) time.Duration {
	v := m.VM(r.vm)
	var to string
	for _, n := range m.Nodes {
		if n.Name != v.Owner && (to == "" || m.Node(to).State != cluster.NodeUp && n.State == cluster.NodeUp) {
			to = n.Name
		}
	}
	const method = "MSCluster_ResourceGroup.MoveToNewNodeParams"
	m.Received(v, method, v.Group)
	switch m.MoveGroup(v, to, cluster.VMSave, 0) {
	case cluster.GroupIOPending, cluster.GroupDone:
		r.step = r.restart
		return look2010
	default:
	}
	return 0 // refused: the script ends
}

// restart resets the guest once the move has come to its end.
func (r *receiver2010) restart(m *model.Model) time.Duration {
	v := m.VM(r.vm)
	if v.GroupState != cluster.GroupOnline || v.State != cluster.VMRunning {
		r.step = r.restart
		return look2010
	}
	m.Received(v, "Msvm_ComputerSystem.RequestStateChange", v.ID)
	m.Reset(v)
	return 0
}

// of2010 is a setting in which the receiver of 2010 stands where ours would.
func of2010(c setting) setting {
	phase := time.Duration(c.Repetition*23%60) * time.Second
	r := &receiver2010{vm: c.Scenario.Victim.VM, phase: phase}
	c.actor, c.name, c.Expected = r.act, named2010, nil
	c.Era, c.Configuration = drill.Era2008R2, drill.MonitoredHostCluster
	return c
}
