package onsite

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// sound are facts that every check passes.
func sound() facts {
	vm := evidence.VM{Cluster: "hv-cl1", Name: "SQL01"}
	return facts{
		subject: evidence.Subject{VM: vm, Instance: "MSSQLSERVER", Fault: evidence.Service},
		rescues: []drill.Rescue{{VM: evidence.VM{Cluster: "hv-cl1", Name: "SQL02"}}, {VM: vm, Rescue: incident.Rescue{At: now.Add(-time.Minute), Rungs: []incident.Rescuer{
			{Fault: evidence.Service, Instance: "MSSQLSERVER", Rung: remedy.RestartService, Mode: config.Act, Ready: true},
			{Fault: evidence.Guest, Instance: evidence.NoInstance, Rung: remedy.ResetVM, Mode: config.Propose},
		}}}},
		incidents: []incident.Incident{
			{ID: "old", Subject: evidence.Subject{VM: vm}, ClosedAt: now.Add(-time.Hour)},
			{ID: "another's", Subject: evidence.Subject{VM: evidence.VM{Cluster: "hv-cl1", Name: "SQL02"}}},
		},
		pauses: []drill.Pause{{ID: "p1", Cluster: "hv-cl1", VM: "SQL02", Owner: "ada"}, {ID: "p2", Cluster: "hv-cl2"}},
		probes: []drill.Series{{Samples: []drill.Sample{{At: now.Add(-90 * time.Second)}, {At: now.Add(-5 * time.Second), Value: 1}}}},
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change  func(*facts)
		refused string // the check
		want    string // in its detail or what unblocks it
	}{
		"all is well":            {func(*facts) {}, "", ""},
		"never to be touched":    {func(f *facts) { f.neverTouch = true }, "allowed", "never_touch"},
		"receiver not ready":     {func(f *facts) { f.notReady = errors.New("503:\nnot ready") }, "receiver", "503: not ready"},
		"no rehearsals":          {func(f *facts) { f.rescuesErr = errors.New("refused") }, "rescue", "refused"},
		"unknown machine":        {func(f *facts) { f.rescues = f.rescues[:1] }, "rescue", "does not know it"},
		"never rehearsed":        {func(f *facts) { f.rescues[1].At = time.Time{} }, "rescue", "not rehearsed"},
		"rehearsed long ago":     {func(f *facts) { f.rescues[1].At = now.Add(-rehearsedWithin - time.Second) }, "rescue", "not rehearsed"},
		"another instance's":     {func(f *facts) { f.subject.Instance = "PAY" }, "rescue", "no rung for the class service"},
		"a class without a rung": {func(f *facts) { f.subject.Fault = evidence.Storage }, "rescue", "no rung for the class storage"},
		"a rung that is not ready": {func(f *facts) {
			r := &f.rescues[1].Rungs[0]
			r.Ready, r.Decisive = false, guard.Verdict{Guard: "G32", Name: "work", Detail: "a backup runs"}
		}, "rescue", "restart_service: mode act, not ready (G32 work: a backup runs)"},
		"no incidents":       {func(f *facts) { f.incidentsErr = errors.New("refused") }, "nothing open", "refused"},
		"an open incident":   {func(f *facts) { f.incidents[0].ClosedAt = time.Time{} }, "nothing open", "explain old"},
		"no pauses":          {func(f *facts) { f.pausesErr = errors.New("refused") }, "no pause", "refused"},
		"its pause":          {func(f *facts) { f.pauses[0].VM = "SQL01" }, "no pause", "resume p1"},
		"its cluster's":      {func(f *facts) { f.pauses[0].VM = "" }, "no pause", "resume p1"},
		"everybody's":        {func(f *facts) { f.pauses[1].Cluster = "" }, "no pause", "resume p2"},
		"no Prometheus":      {func(f *facts) { f.probesErr = errors.New("refused") }, "watched", "refused"},
		"no probe":           {func(f *facts) { f.probes = nil }, "watched", "no probe"},
		"an old probe":       {func(f *facts) { f.probes[0].Samples[1].At = now.Add(-probedWithin - time.Second) }, "watched", "no probe"},
		"a sick instance":    {func(f *facts) { f.probes[0].Samples[1].Value = 0 }, "watched", "not well now"},
		"it came back since": {func(f *facts) { f.probes[0].Samples[0].Value = 0 }, "", ""},
	} {
		f := sound()
		tt.change(&f)
		refused := 0
		for _, c := range check(f, now) {
			if c.OK {
				continue
			}
			refused++
			if c.Name != tt.refused || !strings.Contains(c.Detail+" "+c.Unblock, tt.want) {
				t.Errorf("%s: %s: %s (%s), want %s to say %q", name, c.Name, c.Detail, c.Unblock, tt.refused, tt.want)
			}
		}
		if want := tt.refused != ""; (refused == 1) != want || refused > 1 {
			t.Errorf("%s: %d checks refuse, want %v", name, refused, want)
		}
	}
}

// TestTheModeIsSaid shows that a person reads how far the receiver will go before he makes a fault.
func TestTheModeIsSaid(t *testing.T) {
	t.Parallel()
	for _, c := range check(sound(), now) {
		if c.Name == "rescue" {
			if want := "the ladder of class service: restart_service: mode act"; c.Detail != want {
				t.Errorf("it says %q, want %q", c.Detail, want)
			}
			return
		}
	}
	t.Error("no check says the mode")
}

// TestEachFaultIsAScenario shows that what a person can be asked for is what the experiment knows.
func TestEachFaultIsAScenario(t *testing.T) {
	t.Parallel()
	for _, f := range faults() {
		s, err := f.scenario()
		if err != nil {
			t.Error(err)
			continue
		}
		if s.Class == "" || !evidence.Fault(s.Class).Known() {
			t.Errorf("%s: class %q", f.name, s.Class)
		}
		if strings.Count(f.how, "%s") != 1 {
			t.Errorf("%s: %q names its victim other than once", f.name, f.how)
		}
	}
	if _, err := faultNamed("fire"); err == nil {
		t.Error("a fault that nobody knows is taken")
	}
}
