package experiment

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kingpin/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// parsed are the options of a command line.
func parsed(t *testing.T, args ...string) *Options {
	t.Helper()
	app := kingpin.New("lab", "")
	o := Flags(app.Command("drill", ""))
	if _, err := app.Parse(append([]string{"drill"}, args...)); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestAllIsEveryRowAndOneOfEachClassReally: each row in virtual time as often as asked for, and on the real clock one of each
// class in each configuration that the table has it in.
func TestAllIsEveryRowAndOneOfEachClassReally(t *testing.T) {
	t.Parallel()
	scenarios, err := drill.Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	table, err := drill.Table()
	if err != nil {
		t.Fatal(err)
	}
	plan, _, err := parsed(t, "--all", "--trials=2").plan(scenarios)
	if err != nil {
		t.Fatal(err)
	}
	virtually := 0
	really := map[string]int{}
	for _, c := range plan {
		switch c.Clock {
		case drill.VirtualClock:
			virtually++
		case drill.RealClock:
			really[c.Scenario.Class+" in "+c.Configuration]++
			if c.Profile.Name != model.Quick().Name || c.Era != drill.EraToday {
				t.Errorf("%s is played really in profile %s, era %s", c.Scenario.Name, c.Profile.Name, c.Era)
			}
		}
	}
	if virtually != 2*len(table) {
		t.Errorf("%d trials in virtual time, want two of each of %d rows", virtually, len(table))
	}
	for _, class := range []string{"service", "hang", "guest", "network", "host", "storage", "resource", "internal", "database"} {
		for _, c := range drill.Configurations() {
			if n := really[class+" in "+c]; n != 2 {
				t.Errorf("class %s in %s is played really %d times, want 2", class, c, n)
			}
		}
	}
}

func TestWhatCannotBePlayedIsRefused(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"nothing to play; use --fault=NAME":                      nil,
		"--fault=meteor is no scenario; use one of alertmanager": {"--fault=meteor"},
		"--trials=0: at least one is needed":                     {"--all", "--trials=0"},
		"no row of expected.yml is both":                         {"--fault=quarantine", "--era=2008r2"},
		"no such file":                                           {"--scenario=" + filepath.Join(t.TempDir(), "none.yml")},
	} {
		o := parsed(t, args...)
		o.Out = t.TempDir()
		if err := o.Run(t.Context(), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

// TestADrillOfOnesOwn plays a file, judges it by its own rows, writes every form of the report, and fails where a row does not
// hold, by its name and difference.
func TestADrillOfOnesOwn(t *testing.T) {
	t.Parallel()
	const scenario = "name: mine\ntitle: t\nclass: service\nvictim: {vm: SQL02}\nsteps: [{at: 0s, fault: service-crash}]\nexpect:\n" +
		"  - {configurations: [monitored-host-cluster], eras: [today], acts: hypervigil, commands: {start_service: 1}, outcome: healed, bound: 30s, because: b}\n"
	for name, test := range map[string]struct{ old, new, want string }{
		"it holds":    {"outcome: healed", "outcome: healed", ""},
		"it does not": {"commands: {start_service: 1}", "commands: {reset: 1}", "mine in monitored-host-cluster, era today, virtual clock, trial 1: commands: 1 start_service, expected 1 reset"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "mine.yml")
			if err := os.WriteFile(file, []byte(strings.Replace(scenario, test.old, test.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			o := parsed(t, "--scenario="+file, "--clock=virtual")
			o.Out = t.TempDir()
			var out bytes.Buffer
			err := o.Run(t.Context(), &out)
			switch {
			case test.want == "" && err != nil, test.want != "" && !errors.Is(err, ErrDiffers):
				t.Fatalf("Run = %v\n%s", err, out.String())
			case test.want != "" && !strings.Contains(err.Error(), test.want):
				t.Errorf("Run = %v, want %q", err, test.want)
			}
			var r struct{ Trials []map[string]any }
			b, err := os.ReadFile(filepath.Join(o.Out, "report.json"))
			if err == nil {
				err = json.Unmarshal(b, &r)
			}
			if err != nil || len(r.Trials) != 1 {
				t.Fatalf("%d trials, %v", len(r.Trials), err)
			}
			for key, want := range map[string]any{"era": "today", "clock": "virtual", "expected": "healed", "outcome": "healed", "acknowledged": nil, "lost": nil, "scenario": "mine"} {
				if got, ok := r.Trials[0][key]; !ok || got != want {
					t.Errorf("%s = %v, %t, want %v", key, got, ok, want)
				}
			}
			for _, form := range []string{"report.txt", "report.md", "report.html"} {
				if s, err := os.Stat(filepath.Join(o.Out, form)); err != nil || s.Size() == 0 {
					t.Errorf("%s: %v", form, err)
				}
			}
			if !strings.Contains(out.String(), "[  1/1] virtual mine") {
				t.Errorf("no progress was told:\n%s", out.String())
			}
		})
	}
}

// TestTheReceiverOf2010FailsOverTwice, whenever its poll falls: the cluster has moved the group already, and it moves it again.
func TestTheReceiverOf2010FailsOverTwice(t *testing.T) {
	t.Parallel()
	scenarios, err := drill.Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	v := &virtual{}
	for _, s := range scenarios {
		if s.Name != powerOff {
			continue
		}
		for n := range 6 {
			trial, err := v.play(of2010(setting{Scenario: s, Profile: model.Paper(), Repetition: n + 1}))
			if err != nil {
				t.Fatal(err)
			}
			if trial.FailoversByCluster != 1 || trial.FailoversCommanded != 1 || trial.Outcome != "healed" {
				t.Errorf("trial %d: %d failovers by the cluster, %d commanded, %s; want one of each, as in 2010, and SQL Server back", n+1, trial.FailoversByCluster, trial.FailoversCommanded, trial.Outcome)
			}
		}
	}
}

// TestWhatALadderWaitsForIsGiven: what sets a figure of the white paper's remedy is told beside it, and of no other.
func TestWhatALadderWaitsForIsGiven(t *testing.T) {
	t.Parallel()
	scenarios, err := drill.Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	plan, _, err := parsed(t, "--fault=service-crash", "--fault=service-crash-white-paper", "--configuration=monitored-host-cluster", "--era=today", "--clock=virtual").plan(scenarios)
	if err != nil {
		t.Fatal(err)
	}
	r := drill.Report{Given: append(givenOf(plan, nil), ofLadder(named2010)...)}
	of := func(ladder string) (names []string) {
		k := drill.Key{Configuration: drill.MonitoredHostCluster, Era: drill.EraToday, Profile: model.Paper().Name, Ladder: ladder, Clock: drill.VirtualClock}
		for _, n := range r.GivenOf(drill.CommandFigure, k) {
			names = append(names, r.Given[n].Value)
		}
		return names
	}
	clock := ofVirtualTime().Value
	for ladder, want := range map[string][]string{
		drill.DefaultPolicy: {clock}, drill.WhitePaperPolicy: {clock, "30m0s"}, named2010: {clock, "1m0s, 36s"},
	} {
		if diff := cmp.Diff(want, of(ladder)); diff != "" {
			t.Errorf("what sets the first command of %s (-want +got):\n%s", ladder, diff)
		}
	}
}

// TestEachRepetitionFallsAtAnotherMoment: seconds of a scrape are not the same in every trial.
func TestEachRepetitionFallsAtAnotherMoment(t *testing.T) {
	t.Parallel()
	scenarios, err := drill.Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	plan, _, err := parsed(t, "--fault=service-crash", "--configuration=monitored-host-cluster", "--era=today", "--clock=virtual", "--trials=3").plan(scenarios)
	if err != nil || len(plan) != 3 {
		t.Fatalf("%d trials, %v", len(plan), err)
	}
	v := &virtual{}
	seen := map[float64]bool{}
	for _, c := range plan {
		trial, err := v.play(c)
		if err != nil || trial.DetectionSeconds == nil {
			t.Fatalf("%+v, %v", trial, err)
		}
		seen[*trial.DetectionSeconds] = true
	}
	if len(seen) != len(plan) {
		t.Errorf("detected after %v s in %d trials", seen, len(plan))
	}
}
