package incident_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

func (w *world) rescue(vm string) incident.Rescue {
	known, _ := w.state.VMs.Get(evidence.VM{Cluster: clusterName, Name: vm})
	return known.Rescue
}

// rescuer finds a rung in a virtual machine's last rehearsal.
func (w *world) rescuer(vm string, fault evidence.Fault, rung remedy.Rung) incident.Rescuer {
	w.t.Helper()
	for _, r := range w.rescue(vm).Rungs {
		if r.Fault == fault && r.Rung == rung {
			return r
		}
	}
	w.t.Fatalf("%s has no rehearsal of %s for %s: %+v", vm, rung, fault, w.rescue(vm))
	return incident.Rescuer{}
}

func TestAQuietDayShowsWhoCouldBeRescued(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.advance(2 * time.Minute)
	for vm := range w.vms {
		r := w.rescuer(vm, evidence.Service, remedy.RestartService)
		if !r.Ready || r.Instance != "MSSQLSERVER" || !r.Bound || r.Predicted <= 0 {
			t.Errorf("%s: %+v", vm, r)
		}
	}
	if len(w.commands) > 0 {
		t.Errorf("a rehearsal sent %v", w.commands)
	}
}

// TestWhatStandsInTheWayIsTold changes one thing about a world that is well.
func TestWhatStandsInTheWayIsTold(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		guard  string
		reason string
		change func(*world)
	}{
		{"a control fails", "G17", "storm", func(w *world) { w.controls = false }},
		{"a pause", "G21", "paused", func(w *world) {
			w.step(incident.PauseSet{At: incident.At(w.now), Pause: guard.Pause{ID: "p", Owner: "ada", Reason: "patches", Since: w.now, Expires: w.now.Add(time.Hour)}})
		}},
		{"the guest's account", "readings", guard.ReasonUnreadable, func(w *world) { w.blind["SQL01"] = true }},
		{"the owner host is silent", "readings", guard.ReasonUnreadable, func(w *world) { w.down["HV1"] = true }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, actPolicy)
			w.warm()
			test.change(w)
			w.advance(2 * time.Minute)
			r := w.rescuer("SQL01", evidence.Service, remedy.RestartService)
			if r.Ready || r.Decisive.Guard != test.guard || r.Decisive.Reason != test.reason || r.Decisive.Detail == "" {
				t.Errorf("decisive is %+v, want %s %s", r.Decisive, test.guard, test.reason)
			}
		})
	}
}

// TestModeIsNoHindrance: a new installation observes, and wants to know whether it could act.
func TestModeIsNoHindrance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "      mode: observe\n")
	w.warm()
	w.advance(2 * time.Minute)
	if r := w.rescuer("SQL01", evidence.Hang, remedy.RestartService); !r.Ready || r.Mode != "observe" {
		t.Errorf("%+v", r)
	}
}

// TestAMoveIsRehearsedByWhereItWouldGo: without a question about the other nodes no machine was ever ready to be moved.
func TestAMoveIsRehearsedByWhereItWouldGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.advance(2 * time.Minute)
	if r := w.rescuer("SQL01", evidence.Network, remedy.LiveMigrate); !r.Ready {
		t.Errorf("%+v", r.Decisive)
	}
}

// TestASickMachineIsNotRehearsed: it is looked at in earnest, and what was found out on the last quiet day stays.
func TestASickMachineIsNotRehearsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "      mode: observe\n")
	w.warm()
	w.advance(90 * time.Second)
	w.vms["SQL01"].reason = dial.LoginTimeout // hangs: confirming goes on for the health_check_timeout
	w.fire("SQL01", evidence.Hang)
	w.advance(time.Second)
	before := w.rescue("SQL01").At
	w.vms["SQL01"].heartbeat = cluster.HeartbeatOK
	w.advance(20 * time.Second)
	if !w.rescue("SQL01").At.Equal(before) {
		t.Errorf("it was rehearsed at %s, with an incident open", w.rescue("SQL01").At)
	}
}

// TestThePredictionLearns: where the rung ran lately, its own time counts instead of its bound.
func TestThePredictionLearns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.advance(90 * time.Second)
	bound := w.rescuer("SQL01", evidence.Service, remedy.RestartService)
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(10 * time.Minute)
	learnt := w.rescuer("SQL01", evidence.Service, remedy.RestartService)
	if learnt.Bound || learnt.Predicted >= bound.Predicted {
		t.Errorf("after a restart: %s (bound %v), before: %s", learnt.Predicted, learnt.Bound, bound.Predicted)
	}
	if learnt.Ready || learnt.Decisive.Guard != "G14" {
		t.Errorf("the cool-down stands in the way now: %+v", learnt.Decisive)
	}
}

// TestARehearsalWhoseAnswerIsLostIsAskedAgain, and only after a while.
func TestARehearsalWhoseAnswerIsLostIsAskedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	asked := 0
	w.warm()
	w.queue = nil
	for range 300 { // five minutes without any answer
		w.now = w.now.Add(time.Second)
		next, effects := incident.Step(w.state, incident.Ticked{At: incident.At(w.now)})
		w.state = next
		for _, e := range effects {
			if r, ok := e.(incident.Rehearse); ok && r.VM.Name == "SQL02" {
				asked++
			}
		}
	}
	if asked != 3 {
		t.Errorf("it was asked %d times in five minutes, want every two", asked)
	}
}

// TestMovesAreRehearsed: where the machine could go, and how busy every node is, is read on a quiet day, too; what another
// controller is given first is no obstacle.
func TestMovesAreRehearsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.balancer, w.monitored, w.counted = 2, true, true
	w.warm()
	w.advance(2 * time.Minute)
	for fault, rung := range map[evidence.Fault]remedy.Rung{evidence.Network: remedy.LiveMigrate, evidence.Resource: remedy.LiveMigrate, evidence.Guest: remedy.ResetVM} {
		if r := w.rescuer("SQL01", fault, rung); !r.Ready || r.Mode == "" {
			t.Errorf("%s for %s: %+v", rung, fault, r.Decisive)
		}
	}
	w.loads["HV2"], w.loads["HV3"] = 0.95, 0.95
	w.advance(2 * time.Minute)
	if r := w.rescuer("SQL01", evidence.Resource, remedy.LiveMigrate); r.Ready || r.Decisive.Guard != "G20" {
		t.Errorf("no node has any processor time left: %+v", r.Decisive)
	}
	if r := w.rescuer("SQL01", evidence.Network, remedy.LiveMigrate); !r.Ready {
		t.Errorf("which is nothing to a lost network: %+v", r.Decisive)
	}
	w.loads["HV1"] = -1 // does not tell
	w.advance(2 * time.Minute)
	if r := w.rescuer("SQL01", evidence.Resource, remedy.LiveMigrate); r.Ready || r.Decisive.Guard != "readings" {
		t.Errorf("its host does not tell how busy it is: %+v", r.Decisive)
	}
}
