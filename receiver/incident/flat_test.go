package incident_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// fleet is a receiver with many open incidents, one on each virtual machine of a cluster. All are held by a pause, so that
// each is decided on anew, by every guard and on a fresh round, again and again.
type fleet struct {
	state    incident.State
	now      time.Time
	wake     time.Time
	round    evidence.Round
	decided  int
	commands int
}

// newFleet opens the incidents, spread over the hold's rhythm as time would spread them.
func newFleet(t testing.TB, n int) *fleet {
	t.Helper()
	w := newWorld(t, actPolicy)
	w.warm()
	w.kill("SQL01")
	cfg, cl := *w.cfg, *w.cfg.Clusters[0]
	one := cl.VirtualMachines[0]
	cl.VirtualMachines = nil
	for k := range n {
		vm := *one
		vm.Name, vm.Group = fmt.Sprintf("VM%05d", k), fmt.Sprintf("VM%05d group", k)
		cl.VirtualMachines = append(cl.VirtualMachines, &vm)
	}
	cfg.Clusters = []*config.Cluster{&cl}
	f := &fleet{now: w.now, round: w.round(evidence.Ask{VM: evidence.VM{Cluster: clusterName, Name: "SQL01"}, Parts: []evidence.Part{
		evidence.PartAlert, evidence.PartLogin, evidence.PartService, evidence.PartDependents, evidence.PartProcess,
		evidence.PartEvents, evidence.PartGuest, evidence.PartHost, evidence.PartViews, evidence.PartSweep,
	}})}
	f.state = incident.New(&cfg, f.now)
	f.step(incident.PauseSet{At: incident.At(f.now), Pause: guard.Pause{ID: "p", Owner: "ada", Reason: "patching", Expires: f.now.Add(time.Hour)}})
	f.step(incident.Ticked{At: incident.At(f.now)})
	for k := range n {
		f.run(f.now.Add(5 * time.Second / time.Duration(n)))
		f.step(incident.Notified{At: incident.At(f.now), Alerts: []incident.NotifiedAlert{{Firing: true, StartsAt: f.now, Labels: map[string]string{
			"alertname": "HypervigilService", "cluster": clusterName, "vm": fmt.Sprintf("VM%05d", k), "sql_instance": "MSSQLSERVER",
			"fault": "service", "severity": "critical", "hypervigil": "act",
		}}}})
	}
	f.decide(n * 7) // until each has as many rounds of evidence as are kept
	if open := len(slices.Collect(f.state.Incidents.Open())); open != n || f.commands > 0 {
		t.Fatalf("%d incidents are open, %d commands were sent; want %d, and none", open, f.commands, n)
	}
	return f
}

// step takes a step and answers what it asks for at once. What is read of virtual machines in the background is not
// answered: it is the same with no incident open.
func (f *fleet) step(e incident.Event) {
	var effects []incident.Effect
	f.state, effects = incident.Step(f.state, e)
	for _, e := range effects {
		switch e := e.(type) {
		case incident.Wake:
			f.wake = e.When
		case incident.Look:
			f.decided++
			r := f.round
			r.Started, r.Finished = f.now, f.now
			f.step(incident.Looked{At: incident.At(f.now), Incident: e.Incident, AskID: e.AskID, Round: r})
		case incident.Send:
			f.commands++
		}
	}
}

// run lets time pass.
func (f *fleet) run(until time.Time) {
	for !f.wake.IsZero() && f.wake.Before(until) {
		if f.wake.After(f.now) {
			f.now = f.wake
		}
		f.wake = time.Time{}
		f.step(incident.Ticked{At: incident.At(f.now)})
	}
	f.now = until
}

// decide lets time pass until so many decisions were made.
func (f *fleet) decide(n int) {
	for end := f.decided + n; f.decided < end; {
		f.run(f.now.Add(time.Millisecond))
	}
}

// cost is what one decision allocates, in bytes, and what one open incident keeps, in bytes.
func cost(t testing.TB, n int) (perDecision, perIncident float64) {
	t.Helper()
	var before, warm, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f := newFleet(t, n)
	runtime.GC()
	runtime.ReadMemStats(&warm)
	decided := f.decided
	f.decide(4 * n)
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(f)
	return float64(after.TotalAlloc-warm.TotalAlloc) / float64(f.decided-decided), float64(warm.HeapAlloc-before.HeapAlloc) / float64(n)
}

// TestManyOpenIncidentsCostNoMoreEach: with 10,000 open incidents a decision and an incident cost what they do with 100,
// within 20 %. What is compared is memory, for on a busy machine time tells little; a decision that looked at every other
// incident would show in both. BenchmarkDecision has the time. It is not parallel to other tests, whose memory it would count.
func TestManyOpenIncidentsCostNoMoreEach(t *testing.T) {
	many := 10_000
	if testing.Short() || raceDetector {
		many = 1_000
	}
	fewDecision, fewIncident := cost(t, 100)
	manyDecision, manyIncident := cost(t, many)
	t.Logf("100 open: %.0f bytes a decision, %.0f kept an incident; %d open: %.0f and %.0f", fewDecision, fewIncident, many, manyDecision, manyIncident)
	if manyDecision > 1.2*fewDecision {
		t.Errorf("a decision allocates %.0f bytes with %d open incidents and %.0f with 100", manyDecision, many, fewDecision)
	}
	if manyIncident > 1.2*fewIncident {
		t.Errorf("an incident keeps %.0f bytes with %d open and %.0f with 100", manyIncident, many, fewIncident)
	}
}

// heap is what is in use after a collection.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkDecision is one decision: the step that asks for a round of evidence, and the one that asks every guard about
// it; kept-B is what an open incident keeps.
func BenchmarkDecision(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		var f *fleet // made once: ten thousand incidents take half a minute
		var kept float64
		b.Run(fmt.Sprintf("open=%d", n), func(b *testing.B) {
			if f == nil {
				before := heap()
				f = newFleet(b, n)
				kept = float64(heap()-before) / float64(n)
			}
			b.ReportAllocs()
			b.ResetTimer()
			f.decide(b.N)
			b.ReportMetric(kept, "kept-B")
		})
	}
}
