package receiver_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultClient.CloseIdleConnections()
		os.Exit(code)
	}))
}

func methods(l *lab.Lab, vm string) []string {
	var list []string
	for _, c := range l.Counters().VMs[vm].Commands {
		list = append(list, c.Method)
	}
	return list
}

// heal lets the alert end once SQL Server serves again, as Prometheus would.
func (c *chain) heal(vm string) {
	c.t.Helper()
	until(c.t, vm+" serves again", 30*time.Second, func() (bool, string) {
		for _, i := range c.lab.State().Instances {
			if i.VM == vm && i.Instance == "MSSQLSERVER" {
				return i.Up, "down"
			}
		}
		return false, "not there"
	})
	c.alerts.set(time.Time{}, nil)
}

func TestADeadServiceIsHealedOnce(t *testing.T) {
	t.Parallel()
	c := newChain(t, quickPolicy)
	s := c.serve()
	s.ready()
	in, err := c.lab.Inject(model.Request{Fault: model.ServiceCrash, VM: "SQL01"})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Time(in.At).Add(time.Millisecond)
	c.alerts.set(at, serviceAlert("SQL01"))
	// A pair of Alertmanagers sends the same twice, and one repeats itself.
	for range 3 {
		if code := c.post(s.webhook, body("firing", at, serviceAlert("SQL01"))); code != http.StatusAccepted {
			t.Fatalf("webhook answered %d, want 202", code)
		}
	}
	c.heal("SQL01")
	i := s.phase(incident.Healed, 30*time.Second)
	if i.HealedBy != incident.ByHypervigil || len(i.Actions) == 0 || i.Actions[0].ReadAge <= 0 || i.Actions[0].ReadAge > 500*time.Millisecond {
		t.Errorf("healed by %q with %+v, want hypervigil with a read of at most 500 ms", i.HealedBy, i.Actions)
	}
	if diff := cmp.Diff([]string{"Win32_Service.StartService"}, methods(c.lab, "SQL01")); diff != "" {
		t.Errorf("commands received (-want +got):\n%s", diff)
	}
	_, metrics := get(t, s.web.URL+"/metrics")
	for _, want := range []string{
		`hypervigil_receiver_ready 1`, `hypervigil_commands_issued_total{method="Win32_Service.StartService",result="answered",rung="restart_service"} 1`,
		`hypervigil_incidents_closed_total{fault="service",healed_by="hypervigil",state="healed"} 1`,
		`hypervigil_incident_first_command_seconds_count 1`, `hypervigil_revalidation_window_seconds_count 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	replays(t, s.web.URL)
}

// TestARestartForgetsNothing: what was accepted and decided in one life is known in the next, and not done again.
func TestARestartForgetsNothing(t *testing.T) {
	t.Parallel()
	c := newChain(t, quickPolicy)
	s := c.serve()
	s.ready()
	if _, err := c.lab.Inject(model.Request{Fault: model.ServiceStop, VM: "SQL02"}); err != nil {
		t.Fatal(err)
	}
	if _, m := get(t, s.web.URL+"/metrics"); !strings.Contains(m, "hypervigil_receiver_stale_names 0\n") {
		t.Error("the metrics do not tell the names that are answered from memory")
	}
	at := time.Now()
	c.alerts.set(at, serviceAlert("SQL02"))
	if code := c.post(s.webhook, body("firing", at, serviceAlert("SQL02"))); code != http.StatusAccepted {
		t.Fatalf("webhook answered %d, want 202", code)
	}
	before := s.phase(incident.Refused, 20*time.Second)
	s.stop()

	again := c.serve()
	again.ready()
	if code := c.post(again.webhook, body("firing", at, serviceAlert("SQL02"))); code != http.StatusAccepted {
		t.Fatalf("webhook answered %d, want 202", code)
	}
	after := again.phase(incident.Refused, 20*time.Second)
	replays(t, again.web.URL) // both lives
	if after.ID != before.ID {
		t.Errorf("incident %s after the restart, want %s again", after.ID, before.ID)
	}
	if got := methods(c.lab, "SQL02"); len(got) != 0 {
		t.Errorf("commands received = %v, want none: somebody meant it", got)
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	c := newChain(t, quickPolicy)
	s := c.serve()
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(c.config, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct{ name, text, want string }{
		{"an unknown field", strings.Replace(string(text), "receiver:\n", "receiver:\n  holdoff: 1s\n", 1), "holdoff"},
		{"a ledger elsewhere", strings.Replace(string(text), "ledger.db", "other.db", 1), "without a restart"},
		{"another proof", strings.Replace(string(text), "webhook: {token_file:", "webhook: {token_env: HYPERVIGIL_NOWHERE, token_file:", 1), "token"},
	}
	for _, tt := range tests {
		write(tt.text)
		if err := s.receiver.Reload(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Reload = %v, want an error about %q", tt.name, err, tt.want)
		}
	}
	if _, m := get(t, s.web.URL+"/metrics"); !strings.Contains(m, "hypervigil_receiver_config_last_reload_successful 0\n") {
		t.Error("a refused reload does not show in the metrics")
	}
	write(strings.Replace(string(text), "mode: act", "mode: observe", 1))
	if err := s.receiver.Reload(); err != nil {
		t.Fatalf("Reload of a good file: %v", err)
	}
	s.ready()
	if _, m := get(t, s.web.URL+"/metrics"); !strings.Contains(m, "hypervigil_receiver_config_last_reload_successful 1\n") {
		t.Error("a reload does not show in the metrics")
	}
	at := time.Now()
	if _, err := c.lab.Inject(model.Request{Fault: model.ServiceCrash, VM: "SQL01"}); err != nil {
		t.Fatal(err)
	}
	c.alerts.set(at, serviceAlert("SQL01"))
	c.post(s.webhook, body("firing", at, serviceAlert("SQL01")))
	if i := s.phase(incident.Told, 20*time.Second); len(i.Plan) == 0 {
		t.Errorf("observed without a plan: %s", i.Summary)
	}
	if got := methods(c.lab, "SQL01"); len(got) != 0 {
		t.Errorf("commands received = %v in mode observe", got)
	}
}

// TestTheTokenIsReadAnew: a token that was changed in its file counts at once, and an unreadable one lets nobody in.
func TestTheTokenIsReadAnew(t *testing.T) {
	t.Parallel()
	c := newChain(t, quickPolicy)
	s := c.serve()
	file := filepath.Join(filepath.Dir(c.config), "webhook.token")
	payload := body("resolved", time.Now(), serviceAlert("SQL01"))
	until(t, "the webhook answers", 10*time.Second, func() (bool, string) {
		code, text := get(t, s.webhook)
		return code == http.StatusMethodNotAllowed, text
	})
	if err := os.WriteFile(file, []byte("changed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := c.post(s.webhook, payload); code != http.StatusUnauthorized {
		t.Errorf("the old token: %d, want 401", code)
	}
	c.token = "changed"
	if code := c.post(s.webhook, payload); code != http.StatusAccepted {
		t.Errorf("the new token: %d, want 202", code)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if code := c.post(s.webhook, payload); code != http.StatusUnauthorized {
		t.Errorf("no token file: %d, want 401", code)
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := newChain(t, quickPolicy)
	if err := receiver.Check(c.config); err != nil {
		t.Fatalf("Check of the lab's own file: %v", err)
	}
	secret := filepath.Join(filepath.Dir(c.config), "guest-operator.pass")
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	err := receiver.Check(c.config)
	for _, want := range []string{c.config, "guest-operator", secret} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check without a password's file = %v, want an error that names %s", err, want)
		}
	}
	if _, err := receiver.New(receiver.Options{ConfigFile: c.config, Logger: log.NewNopLogger(), Registry: prometheus.NewRegistry()}); err == nil {
		t.Error("New took a configuration that Check refuses")
	}
}

// TestTwoReceiversCannotShareALedger: the second one says who is in the way.
// TestRunTellsThatItWasFencedOff: a receiver whose ledger a newer one has written to ends, and says who has to be stopped.
func TestRunTellsThatItWasFencedOff(t *testing.T) {
	t.Parallel()
	c := newChain(t, quickPolicy)
	path := filepath.Join(filepath.Dir(c.config), "ledger.db")
	store, err := ledger.OpenBolt(path, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.Commit(t.Context(), 1<<40, nil), store.Close()); err != nil {
		t.Fatal(err)
	}
	r, err := receiver.New(receiver.Options{ConfigFile: c.config, Logger: log.NewNopLogger(), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = r.Run(ctx)
	if !errors.Is(err, ledger.ErrFenced) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "stop that one") {
		t.Errorf("Run() = %v, want %v with the ledger's path and what to do", err, ledger.ErrFenced)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

func TestTwoReceiversCannotShareALedger(t *testing.T) {
	t.Parallel()
	c := newChain(t, quickPolicy)
	c.serve()
	_, err := receiver.New(receiver.Options{ConfigFile: c.config, Logger: log.NewNopLogger(), Registry: prometheus.NewRegistry()})
	if err == nil || !strings.Contains(err.Error(), "ledger.db") {
		t.Errorf("a second receiver = %v, want an error that names the ledger", err)
	}
}
