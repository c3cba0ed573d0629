package receiver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/receiver"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// quickPolicy is the policy's limits in these tests: only the lab may have them.
const quickPolicy = "      limits: {hold: 2s, settle: 1s, cool_down: 1s}\n"

// alerts plays Alertmanager's API: it holds what the test says is active, whatever filter is asked for.
type alerts struct {
	mu   sync.Mutex
	list []map[string]any
}

// ServeHTTP answers GET /api/v2/alerts (prometheus/alertmanager, api/v2/openapi.yaml).
func (a *alerts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/api/v2/alerts" {
		http.NotFound(w, r)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	list := a.list
	if list == nil {
		list = []map[string]any{}
	}
	_ = json.NewEncoder(w).Encode(list)
}

// set makes the alert of one instance active from at on, or, where at is zero, nothing.
func (a *alerts) set(at time.Time, labels map[string]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = nil
	if at.IsZero() {
		return
	}
	stamp := at.UTC().Format(time.RFC3339Nano)
	a.list = []map[string]any{{
		"labels": labels, "annotations": map[string]string{}, "fingerprint": "f1", "startsAt": stamp, "updatedAt": stamp,
		"endsAt": at.Add(time.Hour).UTC().Format(time.RFC3339Nano), "generatorURL": "http://127.0.0.1/",
		"receivers": []map[string]string{{"name": "hypervigil"}},
		"status":    map[string]any{"state": "active", "silencedBy": []string{}, "inhibitedBy": []string{}, "mutedBy": []string{}},
	}}
}

// labels of the alert for a dead service.
func serviceAlert(vm string) map[string]string {
	return map[string]string{
		"alertname": "SQLServerDown", "cluster": "hv-lab", "vm": vm, "sql_instance": "MSSQLSERVER", "fault": "service",
		"severity": "critical", "hypervigil": "act",
	}
}

// body is a notification of one alert as Alertmanager 0.31 posts it (receiver/intake/testdata).
func body(status string, at time.Time, labels map[string]string) []byte {
	b, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": `{}:{cluster="hv-lab", vm="` + labels["vm"] + `"}`, "truncatedAlerts": 0, "status": status,
		"receiver": "hypervigil", "groupLabels": map[string]string{}, "commonLabels": labels, "commonAnnotations": map[string]string{},
		"externalURL": "http://127.0.0.1/", "alerts": []map[string]any{{
			"status": status, "labels": labels, "annotations": map[string]string{}, "startsAt": at.UTC(), "endsAt": time.Time{},
			"generatorURL": "http://127.0.0.1/", "fingerprint": "f1",
		}},
	})
	if err != nil {
		panic(err) // maps of strings
	}
	return b
}

// chain is a lab with a receiver's surroundings: a configuration and an Alertmanager.
type chain struct {
	t      *testing.T
	lab    *lab.Lab
	alerts *alerts
	config string // path of hypervigil.yml
	token  string
}

func newChain(t *testing.T, policy string) *chain {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the lab's dead machines need Linux")
	}
	l, err := lab.Start(lab.Options{Dir: t.TempDir(), Logger: log.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	a := &alerts{}
	am := httptest.NewServer(a)
	t.Cleanup(am.Close)
	path, err := l.Config(lab.ConfigOptions{Alertmanagers: []string{am.URL}, HoldOff: time.Second, Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(filepath.Dir(path), "webhook.token"))
	if err != nil {
		t.Fatal(err)
	}
	return &chain{t: t, lab: l, alerts: a, config: path, token: strings.TrimSpace(string(token))}
}

// served is a receiver that runs within the test.
type served struct {
	chain    *chain
	receiver *receiver.Receiver
	web      *httptest.Server
	webhook  string
	stop     func()
}

// serve starts a receiver. It is stopped at the end of the test, or by stop.
func (c *chain) serve() *served {
	c.t.Helper()
	r, err := receiver.New(receiver.Options{ConfigFile: c.config, Logger: log.NewNopLogger(), Registry: prometheus.NewRegistry()})
	if err != nil {
		c.t.Fatal(err)
	}
	// The webhook's listener is the receiver's own: it is told an address that was free a moment ago.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for _, run := range []func() error{
		func() error { return r.Run(ctx) },
		func() error { return r.ServeWebhook(ctx, address) },
	} {
		work.Go(func() {
			if err := run(); err != nil {
				c.t.Errorf("receiver: %v", err)
			}
		})
	}
	s := &served{chain: c, receiver: r, web: httptest.NewServer(r.Web()), webhook: "http://" + address + "/webhook"}
	s.stop = sync.OnceFunc(func() {
		cancel()
		work.Wait()
		s.web.Close()
		if err := r.Close(); err != nil {
			c.t.Errorf("close: %v", err)
		}
	})
	c.t.Cleanup(s.stop)
	return s
}

// until asks again and again until ok, or fails the test with what was seen last.
func until(t *testing.T, what string, atMost time.Duration, ok func() (bool, string)) {
	t.Helper()
	deadline := time.After(atMost)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		done, seen := ok()
		if done {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: not within %s; last seen: %s", what, atMost, seen)
		case <-tick.C:
		}
	}
}

// get asks a page.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

// ready waits until commands could be decided.
func (s *served) ready() {
	s.chain.t.Helper()
	ready(s.chain.t, s.web.URL)
}

// ready waits until the receiver whose web listener is at that URL could decide commands.
func ready(t *testing.T, web string) {
	t.Helper()
	until(t, "ready", 30*time.Second, func() (bool, string) {
		code, text := get(t, web+"/-/ready")
		return code == http.StatusOK, text
	})
}

// post posts a notification and returns the answer's status.
func (c *chain) post(url string, payload []byte) int {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// incidents lists what the receiver's API shows.
func incidents(t *testing.T, web string) []incident.Incident {
	t.Helper()
	var all struct{ Incidents []incident.Incident }
	code, text := get(t, web+"/api/v1/incidents")
	if err := json.Unmarshal([]byte(text), &all); err != nil || code != http.StatusOK {
		t.Fatalf("incidents: %d %s", code, text)
	}
	return all.Incidents
}

// phase waits until the one incident has come to a phase, and returns it.
func (s *served) phase(want incident.Phase, atMost time.Duration) incident.Incident {
	s.chain.t.Helper()
	return phase(s.chain.t, s.web.URL, want, atMost)
}

// phase does so at the receiver whose web listener is at that URL.
func phase(t *testing.T, web string, want incident.Phase, atMost time.Duration) incident.Incident {
	t.Helper()
	var found incident.Incident
	until(t, "incident "+string(want), atMost, func() (bool, string) {
		all := incidents(t, web)
		if len(all) != 1 {
			return false, fmt.Sprintf("%d incidents", len(all))
		}
		found = all[0]
		return found.Phase == want, string(found.Phase) + ": " + found.Summary
	})
	return found
}
