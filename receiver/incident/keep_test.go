package incident_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// reload gives the receiver a changed copy of its configuration.
func (w *world) reload(change func(*config.Cluster)) {
	cfg, cl := *w.cfg, *w.cfg.Clusters[0]
	cl.VirtualMachines = slices.Clone(cl.VirtualMachines)
	change(&cl)
	cfg.Clusters = []*config.Cluster{&cl}
	w.configure(&cfg)
}

// quiet lets hours pass in which nothing happens. The cluster is looked at every five minutes then, not every ten seconds,
// and no rehearsal is answered: what is forgotten and what is made anew goes by hours, of which thirty are 10,000 samples
// and 7,000 rehearsals otherwise.
func (w *world) quiet(d time.Duration) {
	w.t.Helper()
	usual := w.cfg
	rare := *usual
	rare.Receiver.SampleInterval = 5 * time.Minute
	w.unrehearsed = true
	w.configure(&rare)
	w.advance(d)
	w.unrehearsed = false
	w.configure(usual)
}

// configure has the receiver take another configuration.
func (w *world) configure(cfg *config.Config) {
	w.cfg = cfg
	w.step(incident.Reloaded{At: incident.At(w.now), Config: cfg})
}

// records counts those whose key begins so.
func (w *world) kept(prefix string) int {
	n := 0
	for key := range w.records {
		if strings.HasPrefix(key, prefix) {
			n++
		}
	}
	return n
}

// TestTakenOutOfTheInventory: an incident whose virtual machine is gone from the configuration is closed, whatever it
// was doing, blocks nobody, and does not come back with a restart.
func TestTakenOutOfTheInventory(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]time.Duration{"while it is read": 100 * time.Millisecond, "while it acts": 1500 * time.Millisecond, "while it is proven": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, actPolicy)
			w.warm()
			w.kill("SQL01")
			w.fire("SQL01", evidence.Service)
			w.advance(after)
			w.reload(func(c *config.Cluster) {
				c.VirtualMachines = slices.DeleteFunc(c.VirtualMachines, func(vm *config.VirtualMachine) bool { return vm.Name == "SQL01" })
			})
			sent := len(w.commands)
			w.advance(30 * time.Second)
			i := w.only("SQL01", evidence.Service)
			if !i.Closed() || i.Phase != incident.Told || len(w.commands) != sent {
				t.Errorf("closed = %v as %s with %d more commands, want it told and over: %s", i.Closed(), i.Phase, len(w.commands)-sent, i.Summary)
			}
			w.crash(time.Second)
			w.advance(65 * time.Second)
			w.kill("SQL02")
			w.fire("SQL02", evidence.Service)
			w.advance(10 * time.Second)
			if last := w.commands[len(w.commands)-1]; last.VM.Name != "SQL02" {
				t.Errorf("SQL02 was not started after SQL01 was taken out: %v", w.methods())
			}
		})
	}
}

// TestALatchOutlivesItsIncident: it is released by its incident's id, however long ago that was and whatever restarted.
func TestALatchOutlivesItsIncident(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.dropSend = true
	w.fire("SQL01", evidence.Service)
	w.advance(time.Minute)
	id := w.only("SQL01", evidence.Service).ID
	m := w.vms["SQL01"]
	m.service.State, m.reason = cluster.ServiceRunning, "" // a person started it
	w.alert("SQL01", false)
	w.quiet(30 * time.Hour)
	w.crash(time.Second)
	w.advance(65 * time.Second)
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(10 * time.Second)
	if len(w.commands) != 0 {
		t.Fatalf("commands while latched: %v", w.methods())
	}
	w.step(incident.Acknowledged{At: incident.At(w.now), Incident: id, By: "ada"})
	w.advance(10 * time.Second)
	if len(w.commands) != 1 {
		t.Errorf("commands = %v after the acknowledgement, want the incident that waited for it to act", w.methods())
	}
}

func TestWhatIsOverIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.step(incident.PauseSet{At: incident.At(w.now), Pause: pauseOf("SQL04", w.now.Add(time.Hour))})
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(5 * time.Minute)
	if w.kept("incident/") != 1 || w.kept("action/") != 1 || w.kept("pause/") != 1 {
		t.Fatalf("%d incidents, %d actions, %d pauses in the ledger, want one each", w.kept("incident/"), w.kept("action/"), w.kept("pause/"))
	}
	w.quiet(25 * time.Hour)
	if w.kept("incident/") != 0 || w.kept("action/") != 0 || w.kept("pause/") != 0 || w.state.Incidents.Len() != 0 || len(w.state.Pauses) != 0 {
		t.Errorf("%d incidents, %d actions, %d pauses in the ledger a day later, want none; %d in memory", w.kept("incident/"), w.kept("action/"),
			w.kept("pause/"), w.state.Incidents.Len())
	}
}

// TestOneBadReadEndsNothing: what cannot be read is bounded by how long it cannot, not by the incident's age.
func TestOneBadReadEndsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.silenced = true
	w.fire("SQL01", evidence.Service)
	w.advance(10 * time.Minute)
	w.blind["SQL01"] = true
	w.advance(20 * time.Second)
	w.blind["SQL01"], w.silenced = false, false
	w.advance(20 * time.Second)
	if i := w.only("SQL01", evidence.Service); len(w.commands) != 1 {
		t.Errorf("commands = %v after twenty blind seconds, want it to go on: %s", w.methods(), i.Summary)
	}
	w = newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	w.blind["SQL01"] = true
	w.fire("SQL01", evidence.Service)
	w.advance(3 * time.Minute)
	if v := verdict(w.only("SQL01", evidence.Service), "G8"); v.Outcome != guard.Refuse || v.Reason != "unreadable" {
		t.Errorf("G8 says %s %q after three blind minutes, want it refused as unreadable", v.Outcome, v.Reason)
	}
}

// TestAToldIncidentDoesNotStopTheProofs: a database that is only told about for a day must not leave its virtual machine
// without a proof of its binding.
func TestAToldIncidentDoesNotStopTheProofs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.alert("SQL01", true)
	w.notify("SQL01", evidence.Database, "MSSQLSERVER", true, w.now)
	w.quiet(25 * time.Hour)
	if i := w.only("SQL01", evidence.Database); i.Closed() {
		t.Fatalf("the database's incident is over: %s", i.Summary)
	}
	if age := w.now.Sub(vmOf(w, evidence.VM{Cluster: clusterName, Name: "SQL01"}).Proof.At); age > time.Hour {
		t.Errorf("the binding's proof is %s old, want it made anew all the while", age)
	}
}

// TestHealAfterCountsFromTheStop: the time that a policy gives the one who stopped SQL Server begins when he stopped it,
// not with an earlier trouble.
func TestHealAfterCountsFromTheStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy+"      clean_stop: {heal_after: 10m}\n")
	w.warm()
	w.kill("SQL01")
	w.silenced = true
	w.fire("SQL01", evidence.Service)
	w.advance(12 * time.Minute)
	w.stopCleanly("SQL01") // he had it started, and stops it again for his own reasons
	w.silenced = false
	w.advance(9 * time.Minute)
	if len(w.commands) != 0 {
		t.Fatalf("commands nine minutes after a clean stop: %v", w.methods())
	}
	w.advance(2 * time.Minute)
	if len(w.commands) == 0 {
		t.Errorf("nothing was started eleven minutes after a clean stop: %s", w.only("SQL01", evidence.Service).Summary)
	}
}

// TestAnotherConfigurationNeedsAnotherProof: what was proven was proven for the names of then (G33).
func TestAnotherConfigurationNeedsAnotherProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.blind["SQL01"] = true // no new proof can be made
	w.reload(func(c *config.Cluster) {
		vm := *c.VirtualMachines[0]
		vm.Guest.Address = "127.0.1.99"
		c.VirtualMachines[0] = &vm
	})
	w.advance(time.Second)
	if missing := w.state.Ready(w.now); len(missing) != 1 || !strings.Contains(missing[0], "SQL01") {
		t.Errorf("missing = %q after the guest's address changed, want SQL01's proof", missing)
	}
	w.blind["SQL01"] = false
	w.advance(30 * time.Second)
	if missing := w.state.Ready(w.now); len(missing) != 0 {
		t.Errorf("missing = %q half a minute later, want the proof made anew", missing)
	}
}

// TestAContradictionReplacesAProof: what was proven does not outlive the reading that shows another machine.
func TestAContradictionReplacesAProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	id := evidence.VM{Cluster: clusterName, Name: "SQL01"}
	p := vmOf(w, id).Proof
	p.Differs = []string{"the guest is another machine"}
	w.step(incident.Proved{At: incident.At(w.now), Proof: p})
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(10 * time.Second)
	if v := verdict(w.only("SQL01", evidence.Service), "G33"); v.Outcome != guard.Refuse || v.Reason != "differs" || len(w.commands) != 0 {
		t.Errorf("G33 says %s %q after %v, want it refused as differs", v.Outcome, v.Reason, w.methods())
	}
}
