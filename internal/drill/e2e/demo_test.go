//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// demo is hypervigil-lab demo as make starts it.
type demo struct {
	dir string
	cmd *exec.Cmd
	out bytes.Buffer
}

func newDemo(t *testing.T, env ...string) *demo {
	t.Helper()
	p := programs(t)
	d := &demo{dir: t.TempDir()}
	d.cmd = exec.CommandContext(t.Context(), filepath.Join(bin, "hypervigil-lab"), "demo", "--dir="+d.dir)
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(os.Interrupt) }
	d.cmd.WaitDelay = 20 * time.Second
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.out
	d.cmd.Env = append(os.Environ(), "PROMETHEUS="+p.Prometheus, "PROMTOOL="+p.Promtool, "ALERTMANAGER="+p.Alertmanager, "FAULT=", "POLICY=", "KEEP=")
	d.cmd.Env = append(d.cmd.Env, env...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(d.out.String())
			tail(t, filepath.Join(d.dir, "receiver.log"))
		}
	})
	return d
}

func (d *demo) report(t *testing.T) drill.Report {
	t.Helper()
	var r drill.Report
	b, err := os.ReadFile(filepath.Join(d.dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// env reads the file that the demo writes for a shell.
func (d *demo) env(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d.dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{}
	for line := range strings.Lines(string(b)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if !ok {
			t.Errorf("env has the line %q", line)
		}
		vars[name] = value
	}
	return vars
}

var processOf = regexp.MustCompile(`(\S+) is ready on \S+ \(process (\d+)`)

// leftNothing checks that every process that the demo told of, and every address, is no more.
func (d *demo) leftNothing(t *testing.T) {
	t.Helper()
	found := processOf.FindAllStringSubmatch(d.out.String(), -1)
	if len(found) != 4 {
		t.Errorf("the demo told of %d processes, want 4", len(found))
	}
	for _, m := range found {
		pid, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		gone(t, m[1], pid)
	}
	for name, value := range d.env(t) {
		u, err := url.Parse(value)
		if err != nil || u.Host == "" {
			continue
		}
		if c, err := net.DialTimeout("tcp", u.Host, time.Second); err == nil {
			c.Close()
			t.Errorf("%s: somebody still listens on %s", name, u.Host)
		}
	}
}

// TestDemo is "make demo" after the build: a dead SQL Server heals itself, and nothing is left.
func TestDemo(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	began := time.Now()
	if err := d.cmd.Run(); err != nil {
		t.Fatalf("the demo: %v", err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("the demo took %s, want less than a minute", took)
	}
	trials := d.report(t).Trials
	if len(trials) != 1 {
		t.Fatalf("%d trials, want 1", len(trials))
	}
	tr := trials[0]
	got := []string{tr.Fault, tr.Configuration, tr.Profile, tr.Outcome, tr.HealedBy, strings.Join(tr.Commands, " "), fmt.Sprint(tr.FailoversByCluster, tr.FailoversCommanded)}
	want := []string{"service-crash", "monitored-host-cluster", "quick", "healed", "hypervigil", "Win32_Service.StartService", "0 0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	within(t, "detection", tr.DetectionSeconds, 10)
	within(t, "SQL Server down", tr.SQLDownSeconds, 30)
	// What a reader sees, in this order.
	said := d.out.String()
	at := 0
	for _, what := range []string{
		"receiver.hold_off", "receiver.policies.standard.limits.hold", "  fault  ", "first failed probe", "  alert  ", "  webhook  ", "guard G5 ", "guard G33 ", "guard G19 ",
		"issued ", "verified ", "verification ", "  healed  ", "192", "given parameters", "start of a service 2s", "Everything is stopped",
	} {
		i := strings.Index(said[at:], what)
		if i < 0 {
			t.Errorf("%q was not told, or not in its place", what)
			continue
		}
		at += i
	}
	d.leftNothing(t)
}

// TestKeep: everything runs, two faults from outside on two virtual machines become trials, and the report, the lab's
// counters, Prometheus and the receiver tell the same story of each.
func TestKeep(t *testing.T) {
	t.Parallel()
	d := newDemo(t, "KEEP=1")
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.cmd.Wait() }()
	await(t, 90*time.Second, "the demo's env file", func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the demo ended: %v", err)
		default:
		}
		_, err := os.Stat(filepath.Join(d.dir, "env"))
		return err == nil
	})
	vars := d.env(t)
	e := drill.Endpoints{
		LabControl: vars["HYPERVIGIL_LAB_CONTROL"], Exporter: vars["HYPERVIGIL_EXPORTER_URL"], Receiver: vars["HYPERVIGIL_RECEIVER_URL"],
		Prometheus: vars["PROMETHEUS_URL"], Alertmanager: vars["ALERTMANAGER_URL"],
	}
	for _, base := range []string{e.Receiver, e.Exporter, e.Prometheus, e.Alertmanager} {
		if code, body := fetch(t, base+"/-/ready"); code != 200 {
			t.Errorf("GET %s/-/ready = %d %s", base, code, body)
		}
	}
	for _, f := range []drill.Fault{{Fault: model.ServiceCrash, VM: "SQL02"}, {Fault: model.SQLHang, VM: "SQL03", Instance: "REPORTING"}} {
		if _, err := e.Inject(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]time.Time{}
	await(t, 2*time.Minute, "two trials", func() bool {
		for _, tr := range d.report(t).Trials {
			if seen[tr.Incident].IsZero() {
				seen[tr.Incident] = time.Now()
			}
		}
		return len(seen) == 2
	})
	for _, tr := range d.report(t).Trials {
		t.Run(tr.VM, func(t *testing.T) { d.agree(t, e, tr, seen[tr.Incident]) })
	}

	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("KEEP=1 ended by SIGTERM: %v, want exit 0", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("SIGTERM did not end the demo within 30 s")
	}
	d.leftNothing(t)
}

// agree checks that all tell the same of one trial.
func (d *demo) agree(t *testing.T, e drill.Endpoints, tr drill.Trial, reported time.Time) {
	i := incidentOf(t, e, tr.Incident)
	if tr.Outcome != "healed" || string(i.Phase) != tr.Outcome {
		t.Errorf("report: %s; receiver: %s; want healed", tr.Outcome, i.Phase)
	}
	if late := reported.Sub(i.ClosedAt); late > time.Second {
		t.Errorf("it was in the report %s after its end, want within 1 s", late)
	}
	if i.Alert.Name != tr.Alert {
		t.Errorf("alert: report %q, receiver %q", tr.Alert, i.Alert.Name)
	}
	startsAt, err := time.Parse(time.RFC3339, tr.AlertAt)
	if err != nil || !same(startsAt, i.Alert.StartsAt) {
		t.Errorf("firing since: report %s, receiver %s (%v)", tr.AlertAt, i.Alert.StartsAt, err)
	}
	if fired := firing(t, e, tr); !same(fired, startsAt) {
		t.Errorf("firing since: report %s, Prometheus' ALERTS %s", tr.AlertAt, fired)
	}
	faultAt, err := time.Parse(time.RFC3339, tr.FaultAt)
	n := slices.IndexFunc(tr.Timeline, func(m drill.Moment) bool { return m.Event == "alert" })
	if err != nil || n < 0 || !same(faultAt.Add(time.Duration(tr.Timeline[n].AtSeconds*float64(time.Second))), startsAt) {
		t.Errorf("the report's timeline does not tell the alert at %s: %v", tr.AlertAt, tr.Timeline)
	}
	counters, err := e.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var counted, sent []string
	for _, c := range counters.VMs[tr.VM].Commands {
		counted = append(counted, c.Method)
	}
	for _, a := range i.Actions {
		if a.Result == nil || !a.Result.Sent {
			t.Errorf("action %d was not sent: %+v", a.Number, a)
		}
		sent = append(sent, string(a.Command.Method))
	}
	if diff := cmp.Diff(counted, tr.Commands); diff != "" {
		t.Errorf("commands of counters and report (-counters +report):\n%s", diff)
	}
	if diff := cmp.Diff(counted, sent); diff != "" {
		t.Errorf("commands of counters and receiver (-counters +receiver):\n%s", diff)
	}
}

func same(a, b time.Time) bool { return a.Sub(b).Abs() <= time.Second }

// firing is when Prometheus' ALERTS first had the trial's alert.
func firing(t *testing.T, e drill.Endpoints, tr drill.Trial) time.Time {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct {
				Values [][2]any `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	query := fmt.Sprintf(`ALERTS{alertname=%q,vm=%q,sql_instance=%q,alertstate="firing"}[10m]`, tr.Alert, tr.VM, tr.Instance)
	fetchJSON(t, e.Prometheus+"/api/v1/query?query="+url.QueryEscape(query), &answer)
	if len(answer.Data.Result) != 1 {
		t.Fatalf("%s has %d series, want 1", query, len(answer.Data.Result))
	}
	seconds, ok := answer.Data.Result[0].Values[0][0].(float64)
	if !ok {
		t.Fatalf("%s: %v", query, answer.Data.Result[0].Values[0])
	}
	return time.UnixMilli(int64(seconds * 1000))
}

// await polls what happens in other processes.
func await(t *testing.T, bound time.Duration, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > bound {
			t.Fatalf("%s did not come within %s", what, bound)
		}
	}
}

// TestDemoInterrupted: Ctrl-C at any time leaves nothing, and a demo that did not come to its end does not say that all
// is well.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	d := newDemo(t, "FAULT=guest-crash")
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.cmd.Wait() }()
	await(t, 90*time.Second, "the fault", func() bool {
		_, err := os.Stat(filepath.Join(d.dir, "env"))
		return err == nil
	})
	// The fault follows the env file within moments; wherever the signal falls, nothing may be left.
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if _, is := errors.AsType[*exec.ExitError](err); !is {
			t.Errorf("the demo ended with %v, want an exit code that is not 0", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("Ctrl-C did not end the demo within 30 s")
	}
	d.leftNothing(t)
}
