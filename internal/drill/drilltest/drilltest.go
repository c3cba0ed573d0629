// Package drilltest is a stand-in for the whole chain, for tests of what watches one: it answers as the lab, the
// receiver and Prometheus do, one scripted step after the other, without any of them.
//
//	endpoints := drilltest.Serve(t, []drilltest.Step{{State: …}, {State: …, Incidents: …}})
package drilltest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// Step is what the chain answers from one look to the next. A nil Counters, Incidents or Alerts is an empty one.
type Step struct {
	State     drill.LabState
	Counters  map[string]drill.LabCounts // by virtual machine
	Incidents []incident.Incident
	Alerts    []drill.PrometheusAlert
	Failed    time.Time // of the first failed probe; zero: none failed yet
	Silent    bool      // the receiver does not answer
}

// Serve serves the steps until the test ends. Each question for the lab's state, which begins a look, goes one step
// further; the last step stays.
func Serve(t testing.TB, steps []Step) drill.Endpoints {
	t.Helper()
	c := &chain{steps: steps, now: -1}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) { answer(w, c.next().State) })
	mux.HandleFunc("GET /counters", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, drill.LabCounters{VMs: c.step().Counters})
	})
	mux.HandleFunc("GET /api/v1/incidents", func(w http.ResponseWriter, _ *http.Request) {
		if c.step().Silent {
			http.Error(w, "the ledger is not open", http.StatusServiceUnavailable)
			return
		}
		answer(w, map[string]any{"incidents": c.step().Incidents})
	})
	mux.HandleFunc("GET /api/v1/alerts", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"status": "success", "data": map[string]any{"alerts": c.step().Alerts}})
	})
	mux.HandleFunc("GET /api/v1/query", func(w http.ResponseWriter, _ *http.Request) {
		result := []any{}
		if at := c.step().Failed; !at.IsZero() {
			result = append(result, map[string]any{"values": [][2]any{
				{float64(at.Add(-time.Second).UnixMilli()) / 1e3, "1"}, {float64(at.UnixMilli()) / 1e3, "0"},
			}})
		}
		answer(w, map[string]any{"status": "success", "data": map[string]any{"result": result}})
	})
	s := httptest.NewServer(mux)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		s.Close()
	})
	return drill.Endpoints{LabControl: s.URL, Exporter: s.URL, Receiver: s.URL, Prometheus: s.URL, Alertmanager: s.URL}
}

type chain struct {
	mu    sync.Mutex
	steps []Step
	now   int
}

func (c *chain) next() Step {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = min(c.now+1, len(c.steps)-1)
	return c.steps[c.now]
}

func (c *chain) step() Step {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.steps[max(c.now, 0)]
}

func answer(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("an answer of the stand-in: %v", err)) // a test's own data
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // the client hung up; the test sees that itself
}
