package ctl_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/ctl"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/audit"
	"github.com/hypervigil/hypervigil/receiver/console"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
	"github.com/hypervigil/hypervigil/receiver/replay"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"hypervigilctl": func() { os.Exit(ctl.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs the command against the receiver's own console, so that the two agree about the API.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			handler, err := receiver()
			if err != nil {
				return err
			}
			server := httptest.NewServer(handler)
			e.Defer(server.Close)
			e.Setenv("HYPERVIGIL_RECEIVER_URL", server.URL)
			e.Setenv("USER", "ada")
			return nil
		},
	})
}

var opened = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// receiver is a console over one incident that was healed and one that was refused. It takes pauses and their ends as
// the driver would.
func receiver() (http.Handler, error) {
	vm := evidence.VM{Cluster: "hv-cl1", Name: "SQL01"}
	state := incident.New(&config.Config{Receiver: config.Receiver{Policies: map[string]*config.Policy{"": {}}}, Clusters: []*config.Cluster{{Name: "hv-cl1", VirtualMachines: []*config.VirtualMachine{{Name: "SQL01"}}}}}, opened)
	state.Clusters["hv-cl1"] = incident.Cluster{}
	state.VMs = state.VMs.With(vm, incident.VM{Rescue: incident.Rescue{At: opened, Rungs: []incident.Rescuer{
		{Fault: evidence.Service, Instance: "MSSQLSERVER", Rung: remedy.RestartService, Mode: config.Act, Ready: true, Predicted: 6 * time.Second},
		{
			Fault: evidence.Guest, Instance: evidence.NoInstance, Rung: remedy.ResetVM, Mode: config.Propose, Predicted: 90 * time.Second, Bound: true,
			Verdicts: []guard.Verdict{
				{Guard: "G13", Name: "hold-off", Outcome: guard.Pass},
				{Guard: "G17", Name: "storm brake", Outcome: guard.Hold, Reason: "controls", Detail: "receiver.controls lists 1 address", Unblock: "add controls"},
			},
		},
	}}})
	state.Incidents = state.Incidents.With(incident.Incident{
		ID: "healed-1", Subject: evidence.Subject{VM: vm, Instance: "MSSQLSERVER", Fault: evidence.Service},
		Phase: incident.Healed, HealedBy: incident.ByHypervigil, Policy: "careful",
		Summary:  "SQL Server died and was started again.",
		OpenedAt: opened, ClosedAt: opened.Add(125 * time.Second),
		Alert:    incident.Alert{Name: "SQLServerDown", StartsAt: opened.Add(-2 * time.Second)},
		Verdicts: []guard.Verdict{{Guard: "G8", Name: "second opinion", Outcome: guard.Pass, Detail: "refused, and the service is stopped"}},
		Actions: []incident.Action{{
			Number: 1, Rung: remedy.RestartService, State: incident.Verified, Issued: opened.Add(3 * time.Second),
			Command: remedy.Command{Method: remedy.StartService, VM: vm, Cmdlet: "Start-Service MSSQLSERVER"},
			Result:  &remedy.Result{Sent: true, Answered: true},
		}},
		Timeline: []incident.Entry{{At: opened, Event: "open", Detail: "SQLServerDown fires"}},
	})
	state.Config.Receiver.Approvers = []*config.Approver{{Name: "grace"}}
	state.Incidents = state.Incidents.With(incident.Incident{
		ID: "proposed-1", Subject: evidence.Subject{VM: vm, Instance: "MSSQLSERVER", Fault: evidence.Hang},
		Phase: incident.Proposed, Policy: "careful", Summary: "Left to a person. G22 mode: mode is propose",
		OpenedAt: opened.Add(-time.Hour), Alert: incident.Alert{Name: "SQLServerHangs", StartsAt: opened.Add(-time.Hour), Firing: true},
		Offer: &incident.Offer{
			Plan: "feed", Rung: remedy.RestartService, Owner: "HV1", Wanted: []string{"G22 mode_propose"},
			Expires:  time.Now().Add(time.Hour),
			Commands: []remedy.Command{{Method: remedy.StartService, Cmdlet: "Start-Service MSSQLSERVER"}},
		},
	})
	state.Incidents = state.Incidents.With(incident.Incident{
		ID: "refused-1", Subject: evidence.Subject{VM: vm, Instance: "-", Fault: evidence.Guest},
		Phase: incident.Refused, Policy: "careful", Summary: "Nothing is done: the guest was restarted in order.",
		OpenedAt: opened.Add(time.Hour),
		// It has resolved: firing, it would lead, and what waits for an approval would be explained by it.
		Alert: incident.Alert{Name: "SQLServerGuestDown", StartsAt: opened.Add(time.Hour)},
		Verdicts: []guard.Verdict{
			{Guard: "G13", Name: "hold-off", Outcome: guard.Pass, Detail: "over"},
			{Guard: "G31", Name: "deliberate stop", Outcome: guard.Refuse, Reason: "clean_stop", Detail: "somebody meant it", Unblock: "start it by hand"},
			{Guard: "G12", Name: "cluster first", Outcome: guard.Hold, Reason: "waiting", Detail: "the cluster is at it", Until: opened.Add(2 * time.Hour)},
		},
		Plan: []string{"Restart-VM SQL01 -Force"},
	})
	var lines [][]byte
	for _, detail := range []string{"SQLServerDown fires", "somebody meant it"} {
		var line []byte
		state.Audit, line = state.Audit.Append(audit.Entry{At: opened, Event: "open", Detail: detail}, 1<<20)
		lines = append(lines, line)
	}
	var mu sync.Mutex
	bundle, err := json.Marshal(kept(vm))
	if err != nil {
		return nil, err
	}
	return console.New(console.Options{
		State: func() *incident.State {
			mu.Lock()
			defer mu.Unlock()
			now := state
			now.Pauses = maps.Clone(state.Pauses)
			return &now
		},
		Send: func(e incident.Event) {
			mu.Lock()
			defer mu.Unlock()
			state, _ = incident.Step(state, e)
		},
		Reload: func() error { return nil },
		Approver: func(r *http.Request) (string, error) {
			if r.Header.Get(console.ApprovalHeader) == "grace-knows-this" {
				return "grace", nil
			}
			return "", errors.New("nobody whom receiver.approvers names")
		},
		Denied: func() {},
		List: func(ctx context.Context, prefix string, fn func(string, []byte) error) error {
			if key := "bundle/healed-1/001"; strings.HasPrefix(key, prefix) {
				if err := fn(key, bundle); err != nil {
					return err
				}
			}
			for n, line := range lines {
				if key := audit.Key(uint64(n + 1)); strings.HasPrefix(key, prefix) { //nolint:gosec // a few
					if err := fn(key, line); err != nil {
						return err
					}
				}
			}
			return ctx.Err()
		},
		Recording: recording,
		Gatherer:  prometheus.NewRegistry(), Logger: log.NewNopLogger(),
	})
}

// recording is of a receiver that refused an alert for its policy's mode, in the lab's smallest configuration.
func recording(_ context.Context, since time.Time, w io.Writer) error {
	if since.After(opened.Add(time.Hour)) {
		return nil
	}
	cfg, err := config.Parse("recorded.yml", []byte(recordedConfig))
	if err != nil {
		return err
	}
	before := incident.New(cfg, opened)
	line, err := replay.Checkpoint(before, opened)
	if err != nil {
		return err
	}
	e := incident.Notified{At: incident.At(opened), Alerts: []incident.NotifiedAlert{{
		Firing: true, StartsAt: opened, Labels: map[string]string{
			"alertname": "SQLServerDown", "cluster": "hv-cl1", "vm": "SQL01", "sql_instance": "MSSQLSERVER", "fault": "service", "severity": "critical", "hypervigil": "act",
		},
	}}}
	after, effects := incident.Step(before, e)
	step, err := replay.Step(before, e, after, effects)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n%s\n", line, step)
	return err
}

const recordedConfig = `credentials: {c: {username: u, password_env: HYPERVIGIL_TEST_PASSWORD}}
clusters:
  - name: hv-cl1
    reader: c
    operator: c
    guest_operator: c
    nodes: [{name: HV1, addresses: [127.0.0.1]}]
    virtual_machines:
      - {name: SQL01, guest: {address: 127.0.1.1}, sql_servers: [{instance: MSSQLSERVER, address: "127.0.1.1:1433", credential: c}]}
receiver:
  ledger: {path: ledger.db}
  webhook: {token_env: HYPERVIGIL_TEST_TOKEN}
  alertmanagers: ["http://127.0.0.1:9093"]
  policies: {standard: {}}
`

// kept is evidence of a SQL Server that hung.
func kept(vm evidence.VM) evidence.Bundle {
	return evidence.Bundle{
		VM: vm, Incident: "healed-1", Number: 1, Rung: "restart_service", Started: opened, Finished: opened.Add(2 * time.Second),
		Instances: map[string]evidence.Standing{"MSSQLSERVER": {
			Diagnostics: evidence.Reading[[]evidence.Component]{At: opened.Add(-20 * time.Second), Value: []evidence.Component{{Name: "query_processing", State: 3}}},
			Waits:       evidence.Reading[[]evidence.Wait]{At: opened, Failure: dial.LoginTimeout},
			Work:        evidence.Reading[evidence.Work]{At: opened, Value: evidence.Work{Oldest: 90 * time.Second}},
		}},
		Disks:       evidence.Reading[[]evidence.Disk]{At: opened, Value: []evidence.Disk{{Name: "C:-ClusterStorage-sql01.vhdx", Queue: 31}}},
		GuestEvents: evidence.Reading[[]cluster.Event]{At: opened, Value: []cluster.Event{{ID: 7036, Source: "Service Control Manager", At: opened, Strings: []string{"SQL Server", "stopped"}}}},
	}
}
