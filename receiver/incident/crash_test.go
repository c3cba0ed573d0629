package incident_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

func pauseOf(vm string, expires time.Time) guard.Pause {
	return guard.Pause{ID: "p1", Cluster: clusterName, VM: vm, Owner: "ada", Reason: "patching", Expires: expires}
}

// TestCrashAtAnyMoment kills the receiver at each of many moments of a restart and starts it again. The world itself
// fails the test when an action is sent twice; here the end is looked at.
func TestCrashAtAnyMoment(t *testing.T) {
	t.Parallel()
	for ms := 0; ms < 4000; ms += 53 {
		t.Run(fmt.Sprintf("%dms", ms), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, actPolicy)
			w.warm()
			w.kill("SQL01")
			w.fire("SQL01", evidence.Service)
			began := w.vms["SQL01"].alertAt
			w.advance(time.Duration(ms) * time.Millisecond)
			w.crash(3 * time.Second)
			for range 9 {
				if !w.vms["SQL01"].alertAt.IsZero() {
					w.notify("SQL01", evidence.Service, "MSSQLSERVER", true, began)
				}
				w.advance(30 * time.Second)
			}
			if n := len(w.commands); n > 1 {
				t.Fatalf("%d commands: %v", n, w.methods())
			}
			i := w.only("SQL01", evidence.Service)
			switch i.Phase {
			case incident.Healed:
				if len(w.commands) != 1 {
					t.Errorf("healed by %s without a command: %s", i.HealedBy, i.Summary)
				}
			case incident.Escalated:
				if len(i.Actions) == 0 || i.Actions[0].Issued.IsZero() {
					t.Errorf("escalated although nothing was issued: %s", i.Summary)
				}
			default:
				t.Errorf("phase = %s: %s", i.Phase, i.Summary)
			}
		})
	}
}

// TestStepChangesNothingItWasGiven plays an outage with a restart of the receiver, a pause and a second incident, and
// compares what every step was given with what it is afterwards; and feeds one state twice: Step must be a function.
func TestStepChangesNothingItWasGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.pure = true
	w.warm()
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(500 * time.Millisecond)
	at := incident.At(w.now.Add(3 * time.Second))
	_, first := incident.Step(w.state, incident.Ticked{At: at})
	_, second := incident.Step(w.state, incident.Ticked{At: at})
	if a, b := fmt.Sprintf("%+v", first), fmt.Sprintf("%+v", second); a != b {
		t.Errorf("the same step twice gave different effects:\n%s\n%s", a, b)
	}
	w.issue(1)
	w.crash(time.Second)
	w.vms["SQL02"].reason = dial.LoginTimeout
	w.fire("SQL02", evidence.Hang)
	w.step(incident.PauseSet{At: incident.At(w.now), Pause: pauseOf("SQL02", w.now.Add(time.Minute))})
	w.advance(5 * time.Minute)
	w.reload(func(*config.Cluster) {})
	open := len(slices.Collect(w.state.Incidents.Open()))
	if n := w.state.Incidents.Len(); n != 2 || open == 2 {
		t.Fatalf("%d incidents, %d of them open; want two, and one that has ended", n, open)
	}
	at = incident.At(w.now.Add(25 * time.Hour))
	w.now = time.Time(at)
	w.step(incident.Ticked{At: at}) // what has ended is forgotten
	if n := w.state.Incidents.Len(); n != open {
		t.Errorf("%d incidents are kept after a day, want the %d open ones", n, open)
	}
}

// TestRandomSchedules plays random faults, healings, notifications, lost answers, drains and crashes. After each,
// the promises must hold: no action twice (the world checks), no command on a service that somebody stopped on
// purpose, at most the budget of restarts, none on a cluster that shows a storm.
func TestRandomSchedules(t *testing.T) {
	t.Parallel()
	schedules := 100
	if testing.Short() || raceDetector {
		schedules = 20 // nothing here runs beside anything else: the race detector only makes it slow
	}
	for seed := range schedules {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := play(t, uint64(seed))
			perVM := map[string]int{}
			for id, vm := range w.state.VMs.All() {
				for _, p := range vm.Past {
					perVM[id.Name]++
					if p.Started.After(w.now) {
						t.Errorf("a rung on %s began in the future", id)
					}
				}
			}
			for name, n := range perVM {
				if n > 3 {
					t.Errorf("%d rungs on %s within a day; actions_per_24h is 3", n, name)
				}
			}
		})
	}
}

// TestTheSameScheduleGivesTheSameTrace: Step decides by nothing but state and event, so that what a replay shows is
// what happened.
func TestTheSameScheduleGivesTheSameTrace(t *testing.T) {
	t.Parallel()
	schedules := uint64(10)
	if raceDetector {
		schedules = 3
	}
	for seed := range schedules {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			first, second := play(t, seed), play(t, seed)
			if diff := cmp.Diff(first.notes, second.notes); diff != "" {
				t.Fatalf("two runs told different stories (-first +second):\n%s", diff)
			}
			for key, value := range first.records {
				if !bytes.Equal(value, second.records[key]) {
					t.Fatalf("record %s differs:\n%s\n%s", key, value, second.records[key])
				}
			}
			if len(first.records) != len(second.records) {
				t.Fatalf("%d and %d records", len(first.records), len(second.records))
			}
		})
	}
}

// play runs the schedule of one seed.
func play(t *testing.T, seed uint64) *world {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 2))
	w := newWorld(t, actPolicy)
	w.pure = seed%10 == 0
	w.warm()
	names := []string{"SQL01", "SQL02", "SQL03", "SQL04"}
	deliberate := map[string]bool{}
	for range 40 {
		vm := names[rnd.IntN(len(names))]
		m := w.vms[vm]
		before := len(w.commands)
		switch rnd.IntN(14) {
		case 0, 1:
			if m.reason == "" {
				w.kill(vm)
				w.fire(vm, evidence.Service)
			}
		case 2:
			if m.reason == "" {
				w.stopCleanly(vm)
				deliberate[vm] = true
				w.fire(vm, evidence.Service)
			}
		case 3:
			m.service.State, m.reason = cluster.ServiceRunning, ""
			deliberate[vm] = false
			w.alert(vm, false)
		case 4:
			if m.reason == "" {
				m.reason = dial.LoginTimeout
				w.fire(vm, evidence.Hang)
			}
		case 5:
			w.notify(vm, evidence.Service, "MSSQLSERVER", rnd.IntN(2) == 0, w.now.Add(-time.Duration(rnd.IntN(1200))*time.Second))
		case 6:
			w.crash(time.Duration(rnd.IntN(20000)) * time.Millisecond)
		case 7:
			w.loseReply = true
		case 8:
			w.dropSend = true
		case 9:
			w.blind[vm] = !w.blind[vm]
		case 10:
			w.down["HV3"] = !w.down["HV3"]
		case 11:
			m.owner = w.nodes[rnd.IntN(3)]
		case 12:
			w.controls = rnd.IntN(4) != 0
		case 13:
			w.silenced = rnd.IntN(4) == 0
		}
		w.advance(time.Duration(rnd.IntN(40000)) * time.Millisecond)
		for _, c := range w.commands[before:] {
			if deliberate[c.VM.Name] {
				t.Errorf("%s on %s, which somebody stopped on purpose", c.Method, c.VM)
			}
		}
	}
	return w
}
