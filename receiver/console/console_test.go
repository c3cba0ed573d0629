package console_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/servetest"
	"github.com/hypervigil/hypervigil/receiver/console"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

var opened = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

func state() *incident.State {
	vm := evidence.VM{Cluster: "hv-cl1", Name: "SQL01"}
	i := incident.Incident{
		ID: "one", Subject: evidence.Subject{VM: vm, Instance: "MSSQLSERVER", Fault: evidence.Service},
		Phase: incident.Refused, Summary: "Nothing is done. <script>alert(1)</script>", OpenedAt: opened,
		Verdicts: []guard.Verdict{{Guard: "G31", Name: "deliberate stop", Outcome: guard.Refuse, Detail: "somebody meant it", Unblock: "start it"}},
		Timeline: []incident.Entry{{At: opened, Event: "open", Detail: "it fires"}},
		Rounds:   []evidence.Round{{Started: opened}},
	}
	s := incident.New(&config.Config{
		Clusters: []*config.Cluster{{Name: "hv-cl1", VirtualMachines: []*config.VirtualMachine{{Name: "SQL01", Policy: config.StandardPolicy}}}},
		Receiver: config.Receiver{Policies: map[string]*config.Policy{config.StandardPolicy: {}}},
	}, opened)
	s.Clusters["hv-cl1"] = incident.Cluster{}
	s.Incidents = s.Incidents.With(i)
	s.Pauses["p1"] = guard.Pause{ID: "p1", Cluster: "hv-cl1", Owner: "ada", Reason: "patching", Expires: opened.Add(time.Hour)}
	return &s
}

func serve(t *testing.T) (*httptest.Server, chan incident.Event) {
	t.Helper()
	events := make(chan incident.Event, 10)
	var now atomic.Pointer[incident.State]
	now.Store(state())
	// The driver: one at a time, and the state is the new one when it is on disk.
	take := func(e incident.Event) {
		next, _ := incident.Step(*now.Load(), e)
		now.Store(&next)
		events <- e
	}
	h, err := console.New(console.Options{
		State: now.Load, Send: take, Reload: func() error { return nil }, Approver: who, Denied: func() {}, List: ledger.NewMemory().List, Hosts: []string{"receiver.corp.example"},
		Gatherer: prometheus.NewRegistry(), Logger: log.NewNopLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server, events
}

func TestAPI(t *testing.T) {
	t.Parallel()
	server, events := serve(t)
	tests := []struct {
		name, method, path, body string
		code                     int
		want                     string // in the answer
		event                    bool
	}{
		{"the list", "GET", "/api/v1/incidents", "", 200, `"state": "refused"`, false},
		{"one, with its evidence", "GET", "/api/v1/incidents/one", "", 200, `"rounds": [`, false},
		{"one that is not", "GET", "/api/v1/incidents/two", "", 404, "no incident", false},
		{"acknowledge", "POST", "/api/v1/incidents/one/ack", `{"by":"ada"}`, 204, "", true},
		{"acknowledge by nobody", "POST", "/api/v1/incidents/one/ack", `{}`, 400, "who", false},
		{"acknowledge what is not", "POST", "/api/v1/incidents/two/ack", `{"by":"ada"}`, 404, "no incident", false},
		{"pauses", "GET", "/api/v1/pauses", "", 200, "patching", false},
		{"pause", "POST", "/api/v1/pauses", `{"cluster":"hv-cl1","vm":"SQL01","rung":"restart_service","owner":"ada","reason":"patching","expires_in":"2h"}`, 201, `"owner": "ada"`, true},
		{"pause without a reason", "POST", "/api/v1/pauses", `{"owner":"ada"}`, 400, "reason", false},
		{"pause an unknown cluster", "POST", "/api/v1/pauses", `{"cluster":"x","owner":"a","reason":"r"}`, 400, "inventory", false},
		{"pause an unknown VM", "POST", "/api/v1/pauses", `{"cluster":"hv-cl1","vm":"x","owner":"a","reason":"r"}`, 400, "inventory", false},
		{"pause a VM of no cluster", "POST", "/api/v1/pauses", `{"vm":"SQL01","owner":"a","reason":"r"}`, 400, "cluster", false},
		{"pause an unknown rung", "POST", "/api/v1/pauses", `{"rung":"x","owner":"a","reason":"r"}`, 400, "not known", false},
		{"pause for no time", "POST", "/api/v1/pauses", `{"owner":"a","reason":"r","expires_in":"-1h"}`, 400, "duration", false},
		{"an unknown field", "POST", "/api/v1/pauses", `{"owner":"a","reason":"r","until":"x"}`, 400, "until", false},
		{"two bodies", "POST", "/api/v1/pauses", `{"owner":"a","reason":"r"}{}`, 400, "follows", false},
		{"lift a pause", "DELETE", "/api/v1/pauses/p1", "", 204, "", true},
		{"lift what is not", "DELETE", "/api/v1/pauses/p2", "", 404, "no pause", false},
		{"health", "GET", "/-/healthy", "", 200, "healthy", false},
		{"reload by GET", "GET", "/-/reload", "", 405, "", false},
		{"reload", "POST", "/-/reload", "", 200, "reloaded", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, body := servetest.Ask(t, tt.method, server.URL+tt.path, tt.body)
			if code != tt.code || !strings.Contains(body, tt.want) {
				t.Errorf("%s %s = %d %s, want %d with %q", tt.method, tt.path, code, body, tt.code, tt.want)
			}
			select {
			case e := <-events:
				if !tt.event {
					t.Errorf("event %T, want none", e)
				}
			default:
				if tt.event {
					t.Error("no event reached the driver")
				}
			}
		})
	}
}

// TestAPauseLastsFourHoursWhereNobodySays: G21's default, which docs/guards.md promises.
func TestAPauseLastsFourHoursWhereNobodySays(t *testing.T) {
	t.Parallel()
	server, events := serve(t)
	for body, want := range map[string]time.Duration{
		`{"owner":"ada","reason":"patching"}`:                      4 * time.Hour,
		`{"owner":"ada","reason":"patching","expires_in":"90m"}`:   90 * time.Minute,
		`{"owner":"ada","reason":"patching","expires_in":"1000h"}`: 1000 * time.Hour,
	} {
		code, text := servetest.Ask(t, http.MethodPost, server.URL+"/api/v1/pauses", body)
		var p guard.Pause
		if err := json.Unmarshal([]byte(text), &p); code != http.StatusCreated || err != nil {
			t.Fatalf("%s = %d %s, %v", body, code, text, err)
		}
		if e, ok := (<-events).(incident.PauseSet); !ok || e.Pause != p || p.Expires.Sub(p.Since) != want {
			t.Errorf("%s lasts %s, as %+v; want %s, and the driver told the same", body, p.Expires.Sub(p.Since), e, want)
		}
	}
}

func TestIncidentJSONHasTheFieldsThatToolsRead(t *testing.T) {
	t.Parallel()
	server, _ := serve(t)
	_, body := servetest.Ask(t, "GET", server.URL+"/api/v1/incidents/one", "")
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"id", "cluster", "vm", "sql_instance", "fault", "state", "summary", "opened_at", "alert", "verdicts", "actions", "timeline", "rounds"} {
		if _, ok := got[field]; !ok {
			t.Errorf("field %q is missing in %s", field, body)
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	server, _ := serve(t)
	for path, want := range map[string]string{"/": "SQL01", "/incidents/one": "somebody meant it"} {
		code, body := servetest.Ask(t, "GET", server.URL+path, "")
		if code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("GET %s = %d without %q:\n%s", path, code, want, body)
		}
		if strings.Contains(body, "<script>") {
			t.Errorf("GET %s lets an alert's words become markup", path)
		}
	}
	if code, _ := servetest.Ask(t, "GET", server.URL+"/incidents/two", ""); code != http.StatusNotFound {
		t.Errorf("GET of an unknown incident = %d, want 404", code)
	}
	if code, body := servetest.Ask(t, "GET", server.URL+"/-/ready", ""); code != http.StatusServiceUnavailable || !strings.Contains(body, "sampled") {
		t.Errorf("readiness = %d %s, want 503 and what is missing", code, body)
	}
}

func TestAnotherSitesFormIsRefused(t *testing.T) {
	t.Parallel()
	server, events := serve(t)
	code, _ := servetest.Ask(t, "POST", server.URL+"/api/v1/pauses", `{"owner":"a","reason":"r"}`, "Sec-Fetch-Site", "cross-site")
	if code != http.StatusForbidden || len(events) != 0 {
		t.Errorf("a cross-site POST = %d with %d events, want 403 and none", code, len(events))
	}
}

// TestAForeignNameChangesNothing: a page whose name was made to point here (DNS rebinding) may not speak for anybody.
func TestAForeignNameChangesNothing(t *testing.T) {
	t.Parallel()
	server, events := serve(t)
	for host, want := range map[string]int{
		"attacker.example": 421, "attacker.example:9878": 421, "127.0.0.1:9878": 201, "[::1]:9878": 201, "localhost:9878": 201,
		"receiver.corp.example": 201, "RECEIVER.corp.example:443": 201,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/api/v1/pauses", strings.NewReader(`{"owner":"a","reason":"r"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("POST to %s = %d, want %d", host, resp.StatusCode, want)
		}
	}
	if n := len(events); n != 5 {
		t.Errorf("%d events, want the 5 of the names that are the receiver's", n)
	}
}

// TestWhatIsNotInForceIsNotConfirmed: while the ledger cannot be written, a pause is no pause.
func TestWhatIsNotInForceIsNotConfirmed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, err := console.New(console.Options{
			State: state, Send: func(incident.Event) {}, Reload: func() error { return nil }, Approver: who, Denied: func() {}, List: ledger.NewMemory().List,
			Gatherer: prometheus.NewRegistry(), Logger: log.NewNopLogger(),
		})
		if err != nil {
			t.Fatal(err)
		}
		for method, target := range map[string]string{"POST": "/api/v1/pauses", "DELETE": "/api/v1/pauses/p1"} {
			r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1"+target, strings.NewReader(`{"owner":"a","reason":"r"}`))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "not in force") {
				t.Errorf("%s %s = %d %s, want 503 and why", method, target, w.Code, w.Body)
			}
		}
	})
}
