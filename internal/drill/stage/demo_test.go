package stage

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/drilltest"
	"github.com/hypervigil/hypervigil/internal/generate"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

func TestWhatMakeHandsOnIsUnderstood(t *testing.T) {
	for k, v := range map[string]string{"FAULT": "sql-hang", "POLICY": "heal-clean-stop", "KEEP": "1", "PROMETHEUS": "/p", "PROMTOOL": "/t", "ALERTMANAGER": "/a"} {
		t.Setenv(k, v)
	}
	parse := func() DemoOptions {
		app := kingpin.New("lab", "")
		c := app.Command("demo", "")
		o := DemoFlags(c)
		if _, err := app.Parse([]string{"demo"}); err != nil {
			t.Fatal(err)
		}
		return *o
	}
	want := DemoOptions{
		Fault: "sql-hang", Policy: "heal-clean-stop", Keep: "1", Dir: filepath.Join("build", "demo"),
		ProgramOptions: ProgramOptions{Prometheus: "/p", Promtool: "/t", Alertmanager: "/a"},
	}
	got := parse()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := got.validate(); err != nil || !got.keeps() {
		t.Errorf("validate = %v, keeps = %v", err, got.keeps())
	}
	// make exports a variable that was set to nothing as an empty one.
	for _, k := range []string{"FAULT", "POLICY", "KEEP", "PROMETHEUS", "PROMTOOL", "ALERTMANAGER"} {
		t.Setenv(k, "")
	}
	got = parse()
	if err := got.validate(); err != nil || got.Fault != model.ServiceCrash || got.keeps() || got.Prometheus != "prometheus" {
		t.Errorf("with empty variables: %+v, %v", got, err)
	}
}

func TestWhatCannotBeMeantIsRefusedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for want, o := range map[string]DemoOptions{
		"FAULT=meteor is not a fault; use one of service-crash, service-stop": {Fault: "meteor"},
		"FAULT= is not a fault": {},
		"POLICY=standard is not a policy of the demo; use heal-clean-stop": {Fault: model.ServiceStop, Policy: "standard"},
		"KEEP=yes is not understood; use 1":                                {Fault: model.ServiceStop, Keep: "yes"},
	} {
		o.Dir = filepath.Join(dir, "demo")
		var out bytes.Buffer
		if err := Demo(t.Context(), o, &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Demo = %v, want %q", err, want)
		}
		if _, err := os.Stat(o.Dir); err == nil || out.Len() > 0 {
			t.Errorf("%s: something was begun: %s", want, out.String())
		}
	}
}

func TestTwoDemosDoNotShareAFolder(t *testing.T) {
	t.Parallel()
	e := drilltest.Serve(t, []drilltest.Step{{State: drill.LabState{Nodes: []drill.LabNode{{Name: "HV1"}}}}})
	dir := t.TempDir()
	env := filepath.Join(dir, "env")
	if err := alone(t.Context(), env); err != nil {
		t.Errorf("without a file: %v", err)
	}
	write := func(control string) {
		if err := os.WriteFile(env, []byte("export OTHER=1\nexport HYPERVIGIL_LAB_CONTROL="+control+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("http://127.0.0.1:1")
	if err := alone(t.Context(), env); err != nil {
		t.Errorf("a demo that has ended: %v", err)
	}
	write(e.LabControl)
	if err := alone(t.Context(), env); err == nil || !strings.Contains(err.Error(), e.LabControl) {
		t.Errorf("a demo that runs: %v, want an error that names it", err)
	}
}

func TestEveryFaultHasAnExpectation(t *testing.T) {
	t.Parallel()
	for _, f := range DemoFaults() {
		for _, heal := range []bool{false, true} {
			e := expected(f, heal)
			if e.words == "" || e.within <= 0 || e.outcome == "" || e.outcome == "healed" && e.healedBy == "" || e.acts != (e.healedBy == "hypervigil") {
				t.Errorf("%s, heal %v: %+v", f, heal, e)
			}
		}
	}
	if a, b := expected(model.ServiceStop, false), expected(model.ServiceStop, true); a.outcome == b.outcome {
		t.Error("the policy makes no difference to a clean stop")
	}
}

// TestATrialThatCameOutOtherwiseFails: each thing that may be wrong is seen.
func TestATrialThatCameOutOtherwiseFails(t *testing.T) {
	t.Parallel()
	down := 4.0
	good := func() (drill.Trial, drill.LabCounts) {
		return drill.Trial{Outcome: "healed", HealedBy: "hypervigil", SQLDownSeconds: &down},
			drill.LabCounts{Commands: make([]drill.LabCount, 1), ServiceStarts: make([]drill.LabCount, 1)}
	}
	e := expected(model.ServiceCrash, false)
	if tr, c := good(); e.check(tr, c) != nil {
		t.Errorf("a good trial: %v", e.check(tr, c))
	}
	for want, spoil := range map[string]func(*drill.Trial, *drill.LabCounts){
		"outcome: escalated, not healed":         func(t *drill.Trial, _ *drill.LabCounts) { t.Outcome = "escalated" },
		"healed by: itself, not hypervigil":      func(t *drill.Trial, _ *drill.LabCounts) { t.HealedBy = "itself" },
		"SQL Server came back: false":            func(t *drill.Trial, _ *drill.LabCounts) { t.SQLDownSeconds = nil },
		"commands were sent: false":              func(_ *drill.Trial, c *drill.LabCounts) { c.Commands = nil },
		"starts of SQL Server's service: 2":      func(_ *drill.Trial, c *drill.LabCounts) { c.ServiceStarts = make([]drill.LabCount, 2) },
		"moves commanded: 1, not 0":              func(_ *drill.Trial, c *drill.LabCounts) { c.MovesCommanded = make([]drill.LabCount, 1) },
		"failovers by the cluster: 1, not 0":     func(_ *drill.Trial, c *drill.LabCounts) { c.FailoversByCluster = make([]drill.LabCount, 1) },
		"resets of the virtual machine: 1 not 0": func(_ *drill.Trial, c *drill.LabCounts) { c.VMResets = make([]drill.LabCount, 1) },
	} {
		tr, c := good()
		spoil(&tr, &c)
		if err := e.check(tr, c); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), ",", ""), strings.ReplaceAll(want, ",", "")) {
			t.Errorf("check = %v, want %q", err, want)
		}
	}
	host := expected(model.HostPowerOff, false)
	tr := drill.Trial{Outcome: "healed", HealedBy: "cluster", SQLDownSeconds: &down}
	c := drill.LabCounts{FailoversByCluster: make([]drill.LabCount, 1), ServiceStarts: make([]drill.LabCount, 1)}
	if err := host.check(tr, c); err != nil {
		t.Errorf("one failover by the cluster and no command: %v", err)
	}
	c.FailoversByCluster = make([]drill.LabCount, 2)
	if host.check(tr, c) == nil {
		t.Error("two failovers passed")
	}
}

// TestEveryOverriddenDefaultIsTold: what the demo overrides is found, whatever it is.
func TestEveryOverriddenDefaultIsTold(t *testing.T) {
	t.Parallel()
	l, err := lab.Start(lab.Options{Dir: t.TempDir(), Logger: log.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	load := func(o lab.ConfigOptions) *config.Config {
		t.Helper()
		path, err := l.Config(o)
		if err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const policy = "receiver.policies.standard."
	fast := Override{"speed of Prometheus (hypervigilctl generate --speed)", "standard", "fast"}
	strict := Override{"clusters: encrypt of the SQL Servers", "mandatory", "strict"}
	act := Override{policy + "mode", "observe", "act"}
	tests := []struct {
		name   string
		config *config.Config
		want   []Override
	}{
		{"only what the lab cannot do without", load(lab.ConfigOptions{}), []Override{fast, strict, act}},
		{"the demo", load(lab.ConfigOptions{HoldOff: holdOff, Policy: Options{}.policy()}), []Override{
			fast, strict, {"receiver.hold_off", "1m0s", "5s"}, {policy + "health_check_timeout", "30s", "15s"}, {policy + "limits.hold", "2m0s", "3s"}, act,
		}},
		{"the demo that heals a clean stop", load(lab.ConfigOptions{HoldOff: holdOff, Policy: Options{HealCleanStop: true}.policy()}), []Override{
			fast, strict,
			{"receiver.hold_off", "1m0s", "5s"},
			{policy + "clean_stop.heal_after", "0s", "5s"},
			{policy + "health_check_timeout", "30s", "15s"},
			{policy + "limits.hold", "2m0s", "3s"},
			act,
		}},
		{"a drill of the class internal", load(lab.ConfigOptions{HoldOff: holdOff, Policy: Options{InternalLevel: 3}.policy()}), []Override{
			fast, strict,
			{"receiver.hold_off", "1m0s", "5s"},
			{policy + "health_check_timeout", "30s", "15s"},
			{policy + "internal_level", "0", "3"},
			{policy + "limits.hold", "2m0s", "3s"},
			act,
		}},
		{"any limit", load(lab.ConfigOptions{Policy: "      limits: {cool_down: 1m, actions_per_24h: 9}\n      ladders: {guest: []}\n"}), []Override{
			fast, strict, {policy + "ladders.guest", "[reset_vm]", "[]"}, {policy + "limits.actions_per_24h", "3", "9"}, {policy + "limits.cool_down", "30m0s", "1m0s"}, act,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := overrides(tt.config, speed)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestTheStageWaitsForTheJobsThatAFaultIsNoticedBy: those that the acting rules read, and our own programs.
func TestTheStageWaitsForTheJobsThatAFaultIsNoticedBy(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.Receiver.Alertmanagers = []string{"http://127.0.0.1:9093"}
	b, err := generate.Prometheus(c, generate.Options{Speed: speed})
	if err != nil {
		t.Fatal(err)
	}
	got, err := quickJobs(b, speed)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"mssql_availability", "hyperv", "wsfc", generate.ExporterJob, generate.ReceiverJob} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not waited for; only %q", want, got)
		}
	}
	if slices.Contains(got, "guest") {
		t.Error("guest is waited for: no acting rule reads it, and its first scrape may be 15 s away")
	}
	if _, err := quickJobs([]byte("scrape_configs: 7"), speed); err == nil {
		t.Error("what is no configuration was read")
	}
}

func TestInterruptedIsNoFault(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	other := errors.New("a disk is full")
	if err := interrupted(ctx, context.Canceled, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("before an interrupt: %v", err)
	}
	cancel()
	if err := interrupted(ctx, context.Canceled, &bytes.Buffer{}); err == nil || err.Error() != "interrupted" {
		t.Errorf("after one: %v", err)
	}
	if err := interrupted(ctx, other, &bytes.Buffer{}); !errors.Is(err, other) {
		t.Errorf("another error: %v", err)
	}
	if err := interrupted(ctx, nil, &bytes.Buffer{}); err != nil {
		t.Errorf("no error: %v", err)
	}
}
