//go:build crashtest

package receiver_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/intake"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// program is the program under test.
const program = "github.com/hypervigil/hypervigil/cmd/hypervigil-receiver"

// programs are the receiver built twice: with the hook that stops it, and as it is shipped.
type programs struct{ hooked, shipped string }

func build(t *testing.T) programs {
	t.Helper()
	p := programs{hooked: filepath.Join(t.TempDir(), "receiver-crashtest"), shipped: filepath.Join(t.TempDir(), "receiver")}
	for _, args := range [][]string{{"-tags=crashtest", "-o", p.hooked}, {"-o", p.shipped}} {
		args = append(append([]string{"build", "-buildvcs=false"}, args...), program)
		if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return p
}

// life is one process of the receiver.
type life struct {
	chain *chain
	cmd   *exec.Cmd
	log   string // its log's path
	crash string // the file that the hook writes
	web   string
	hook  string // URL of the webhook
	dead  bool
}

// The log lines that name the addresses; ports are the system's choice.
var (
	webLine  = regexp.MustCompile(`msg="Listening on" address=(127\.0\.0\.1:\d+)`)
	hookLine = regexp.MustCompile(`msg="webhook listening" address=(127\.0\.0\.1:\d+)`)
)

// begin starts a process and waits until it listens. One with the hook will stop at the crash point; one that is
// shipped takes no notice of it.
func (c *chain) begin(binary, crashAt string) *life {
	c.t.Helper()
	dir := c.t.TempDir()
	l := &life{chain: c, log: filepath.Join(dir, "log"), crash: filepath.Join(dir, "crash")}
	file, err := os.Create(l.log)
	if err != nil {
		c.t.Fatal(err)
	}
	defer file.Close()
	l.cmd = exec.Command(binary, "--config.file="+c.config, "--web.listen-address=127.0.0.1:0", "--webhook.listen-address=127.0.0.1:0")
	l.cmd.Stderr = file
	l.cmd.Env = append(os.Environ(), "HYPERVIGIL_CRASH_AT="+crashAt, "HYPERVIGIL_CRASH_FILE="+l.crash)
	if err := l.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if !l.dead {
			l.kill()
		}
		if c.t.Failed() {
			c.t.Logf("log of %s:\n%s", filepath.Base(binary), l.read())
		}
	})
	until(c.t, "listeners", 30*time.Second, func() (bool, string) {
		text := l.read()
		web, hook := webLine.FindStringSubmatch(text), hookLine.FindStringSubmatch(text)
		if web == nil || hook == nil {
			return false, text
		}
		l.web, l.hook = "http://"+web[1], "http://"+hook[1]+"/webhook"
		return true, ""
	})
	return l
}

func (l *life) read() string {
	text, err := os.ReadFile(l.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// kill ends the process as kill -9 does, and waits until it is gone.
func (l *life) kill() {
	l.chain.t.Helper()
	l.dead = true
	if err := l.cmd.Process.Kill(); err != nil {
		l.chain.t.Errorf("kill -9 %d: %v", l.cmd.Process.Pid, err)
	}
	_ = l.cmd.Wait() // "signal: killed" is what it says
	if got := l.cmd.ProcessState.String(); got != "signal: killed" {
		l.chain.t.Errorf("the receiver ended with %q, want it killed", got)
	}
}

// stopped waits until the process stands at its crash point, and kills it there.
func (l *life) stopped(at string) {
	l.chain.t.Helper()
	until(l.chain.t, "crash point "+at, 2*time.Minute, func() (bool, string) {
		text, err := os.ReadFile(l.crash)
		return err == nil && string(text) == at, fmt.Sprint(err)
	})
	l.kill()
}

// stored is what the ledger's file holds.
type stored struct {
	incidents []incident.Incident
	actions   []incident.Action
	pending   []intake.Notification // accepted and not taken up
}

// ledger reads the file that a dead process left.
func (c *chain) ledger() stored {
	c.t.Helper()
	store, err := ledger.OpenBolt(filepath.Join(filepath.Dir(c.config), "ledger.db"), ledger.Options{})
	if err != nil {
		c.t.Fatal(err)
	}
	defer store.Close()
	var s stored
	if s.pending, err = intake.Pending(c.t.Context(), store); err != nil {
		c.t.Fatal(err)
	}
	for prefix, take := range map[string]func([]byte) error{
		"incident": func(value []byte) error { return decode(value, &s.incidents) },
		"action":   func(value []byte) error { return decode(value, &s.actions) },
	} {
		if err := store.List(c.t.Context(), ledger.Prefix(prefix), func(_ string, value []byte) error { return take(value) }); err != nil {
			c.t.Fatal(err)
		}
	}
	return s
}

// decode appends a record to a list.
func decode[T any](value []byte, list *[]T) error {
	var one T
	err := json.Unmarshal(value, &one)
	*list = append(*list, one)
	return err
}

// received lists what any virtual machine was told to do, in order.
func received(l *lab.Lab) []string {
	var list []lab.Count
	for _, counts := range l.Counters().VMs {
		list = append(list, counts.Commands...)
	}
	slices.SortStableFunc(list, func(a, b lab.Count) int { return time.Time(a.At).Compare(time.Time(b.At)) })
	texts := []string{}
	for _, c := range list {
		text := c.Method
		if strings.HasPrefix(c.Method, "Win32_Service.") {
			text += " " + c.Detail // the service; of a process it is the PID
		}
		texts = append(texts, text)
	}
	return texts
}

// crash is one moment at which the receiver is killed, and what must be so then and in the end.
type crash struct {
	fault string   // of the lab
	at    []string // the crash point of each life that is killed, one after the other

	stored  []incident.ActionState // of the plan's actions, in the last dead process's ledger
	phase   incident.Phase         // acting where empty
	records int                    // of actions: what was claimed has one
	before  []string               // received until then

	end    incident.Phase
	states []incident.ActionState // of the incident's actions
	all    []string               // received
	word   string                 // a part of the incident's summary
}

// TestTheReceiverIsKilled stops a real process at a crash point, kills it with SIGKILL, reads what it left on disk, and
// starts it again as it is shipped. In whichever state of its action that is, no command is received twice, and what may
// never have left is not sent but told to a person.
func TestTheReceiverIsKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the lab's dead machines need Linux")
	}
	const (
		startSQL   = "Win32_Service.StartService MSSQLSERVER"
		stopAgent  = "Win32_Service.StopService SQLSERVERAGENT"
		terminate  = "Win32_Process.Terminate"
		startAgent = "Win32_Service.StartService SQLSERVERAGENT"
		sent       = "SENT"
		healed     = "Healed by hypervigil: restart_service with 1 command."
		noEffect   = "it was issued, its answer was lost, and 3 reads show no effect"
	)
	type list = []incident.ActionState
	at := func(points ...any) (names []string) {
		for _, p := range points {
			names = append(names, fmt.Sprint(p))
		}
		return names
	}
	p := build(t)
	for name, c := range map[string]crash{
		"PLANNED": {
			fault: model.ServiceCrash, at: at(incident.Planned), stored: list{incident.Planned}, before: []string{},
			// The first plan never began; the second is the same one, made anew.
			end: incident.Healed, states: list{incident.Failed, incident.Verified}, all: []string{startSQL}, word: healed,
		},
		"CLAIMED": {
			fault: model.ServiceCrash, at: at(incident.Claimed), stored: list{incident.Claimed}, records: 1, before: []string{},
			end: incident.Healed, states: list{incident.Failed, incident.Verified}, all: []string{startSQL}, word: healed,
		},
		"ISSUED, before the bytes left": {
			fault: model.ServiceCrash, at: at(incident.Issued), stored: list{incident.Issued}, records: 1, before: []string{},
			end: incident.Escalated, states: list{incident.Failed}, all: []string{}, word: noEffect,
		},
		"ISSUED, after the bytes left": {
			fault: model.ServiceCrash, at: at(sent), stored: list{incident.Issued}, records: 1, before: []string{startSQL},
			end: incident.Healed, states: list{incident.Verified}, all: []string{startSQL}, word: healed,
		},
		"ISSUED, the first of several": {
			fault: model.SQLHang, at: at(sent), before: []string{stopAgent}, records: 1,
			stored: list{incident.Issued, incident.Planned, incident.Planned, incident.Planned},
			end:    incident.Healed, states: list{incident.Verified, incident.Verified, incident.Verified, incident.Verified},
			all:  []string{stopAgent, terminate, startSQL, startAgent},
			word: "Healed by hypervigil: restart_service with 4 commands.",
		},
		"UNKNOWN, never arrived": {
			fault: model.ServiceCrash, at: at(incident.Issued, incident.Unknown), stored: list{incident.Unknown}, records: 1, before: []string{},
			end: incident.Escalated, states: list{incident.Failed}, all: []string{}, word: noEffect,
		},
		"UNKNOWN, carried out": {
			fault: model.ServiceCrash, at: at(sent, incident.Unknown), stored: list{incident.Unknown}, records: 1, before: []string{startSQL},
			end: incident.Healed, states: list{incident.Verified}, all: []string{startSQL}, word: healed,
		},
		"OBSERVED": {
			fault: model.ServiceCrash, at: at(incident.Observed), stored: list{incident.Observed}, records: 1, before: []string{startSQL},
			end: incident.Healed, states: list{incident.Verified}, all: []string{startSQL}, word: healed,
		},
		"VERIFIED": {
			fault: model.ServiceCrash, at: at(incident.Verified), stored: list{incident.Verified}, records: 1, before: []string{startSQL},
			phase: incident.Verifying, end: incident.Healed, states: list{incident.Verified}, all: []string{startSQL}, word: healed,
		},
		"FAILED": {
			fault: model.ServiceLogonFailure, at: at(incident.Failed), stored: list{incident.Failed}, records: 1, before: []string{startSQL},
			phase: incident.Escalated, end: incident.Escalated, states: list{incident.Failed}, all: []string{startSQL},
			word: `the account LAB\sqlservice of MSSQLSERVER cannot log on`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t, p)
		})
	}
}

func (c crash) run(t *testing.T, p programs) {
	// 15 s is the shortest hang that is believed.
	chain := newChain(t, quickPolicy+"      health_check_timeout: 15s\n")
	sampleFaster(t, chain.config)
	first := chain.begin(p.hooked, c.at[0])
	ready(t, first.web)

	in, err := chain.lab.Inject(model.Request{Fault: c.fault, VM: "SQL01"})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Time(in.At).Add(time.Millisecond)
	labels := serviceAlert("SQL01")
	if c.fault == model.SQLHang {
		labels["alertname"], labels["fault"] = "SQLServerHung", "hang"
	}
	notification := body("firing", at, labels)
	chain.alerts.set(at, labels)
	chain.notify(first, notification)
	first.stopped(c.at[0])
	for _, point := range c.at[1:] {
		// What the start itself makes of what it found: this life never gets ready.
		chain.begin(p.hooked, point).stopped(point)
	}
	c.left(t, chain)

	second := chain.begin(p.shipped, c.at[0])
	ready(t, second.web)
	chain.notify(second, notification) // Alertmanager repeats itself
	if c.end == incident.Healed {
		chain.heal("SQL01")
	}
	c.ended(t, chain, phase(t, second.web, c.end, time.Minute))
	if c.end == incident.Healed {
		return
	}

	// Nobody has seen to it: neither another death nor another notification makes the receiver try.
	told := time.Now()
	second.kill()
	third := chain.begin(p.shipped, c.at[0])
	ready(t, third.web)
	chain.notify(third, notification)
	until(t, "the notification taken up", 30*time.Second, func() (bool, string) {
		all := incidents(t, third.web)
		return len(all) == 1 && all[0].Alert.ReceivedAt.After(told) && all[0].Asked == "", fmt.Sprintf("%+v", all)
	})
	c.ended(t, chain, phase(t, third.web, c.end, time.Second))
}

// left checks what the dead process left: its plan as far as the crash point, and nothing else.
func (c crash) left(t *testing.T, chain *chain) {
	t.Helper()
	s := chain.ledger()
	want := cmp.Or(c.phase, incident.Acting)
	if len(s.incidents) != 1 || s.incidents[0].Phase != want || len(s.pending) != 0 {
		t.Fatalf("ledger: incidents %+v, notifications %+v; want one incident, %s, and no notification", s.incidents, s.pending, want)
	}
	i := s.incidents[0]
	if diff := gocmp.Diff(c.stored, states(i)); diff != "" {
		t.Errorf("states of the actions in the ledger (-want +got):\n%s", diff)
	}
	// Only what was claimed has a record of its own, which the restart goes by.
	if diff := gocmp.Diff(i.Actions[:c.records], s.actions, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the incident's action and its own record (-incident +record):\n%s", diff)
	}
	a := i.Actions[0]
	issued := a.State != incident.Planned && a.State != incident.Claimed
	answered := a.State == incident.Observed || a.State == incident.Verified || a.State == incident.Failed
	over := a.State == incident.Verified || a.State == incident.Failed
	if a.Issued.IsZero() == issued || a.Ended.IsZero() == over || (a.Result != nil) != answered {
		t.Errorf("action in the ledger = %+v, want it issued (%t), answered (%t) and ended (%t) as its state says", a, issued, answered, over)
	}
	if diff := gocmp.Diff(c.before, received(chain.lab)); diff != "" {
		t.Errorf("received before the crash (-want +got):\n%s", diff)
	}
}

// ended checks the end.
func (c crash) ended(t *testing.T, chain *chain, i incident.Incident) {
	t.Helper()
	if diff := gocmp.Diff(c.states, states(i)); diff != "" {
		t.Errorf("states of the actions in the end (-want +got):\n%s", diff)
	}
	if (i.HealedBy == incident.ByHypervigil) != (c.end == incident.Healed) || !strings.Contains(i.Summary, c.word) {
		t.Errorf("healed by %q, summary %q; want %q in it", i.HealedBy, i.Summary, c.word)
	}
	if diff := gocmp.Diff(c.all, received(chain.lab)); diff != "" {
		t.Errorf("received in all (-want +got):\n%s", diff)
	}
}

// states lists the states of an incident's actions.
func states(i incident.Incident) []incident.ActionState {
	var list []incident.ActionState
	for _, a := range i.Actions {
		list = append(list, a.State)
	}
	return list
}

// notify posts a notification, and wants it taken in.
func (c *chain) notify(l *life, notification []byte) {
	c.t.Helper()
	if code := c.post(l.hook, notification); code != http.StatusAccepted {
		c.t.Fatalf("webhook answered %d, want 202", code)
	}
}

// sampleFaster makes a configuration sample the cluster each second: a receiver is ready after three samples.
func sampleFaster(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	quick := strings.Replace(string(text), "\nreceiver:\n", "\nreceiver:\n  sample_interval: 1s\n", 1)
	if quick == string(text) {
		t.Fatalf("no section receiver in\n%s", text)
	}
	if err := os.WriteFile(path, []byte(quick), 0o600); err != nil {
		t.Fatal(err)
	}
}
