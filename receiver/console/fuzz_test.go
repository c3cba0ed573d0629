package console_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/console"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// FuzzBodies sends anything as what a person may tell the receiver. Whatever it is, it is answered in JSON; what is refused
// has told the driver nothing, and what is taken is in force, by whom and for how long the body says.
func FuzzBodies(f *testing.F) {
	for _, body := range []string{
		`{"cluster":"hv-cl1","vm":"SQL01","rung":"restart_service","owner":"ada","reason":"patching","expires_in":"2h"}`,
		`{"owner":"ada","reason":"r"}`, `{"owner":"ada","reason":"r","expires_in":"-1h"}`, `{"owner":"ada","reason":"r","expires_in":"1ns"}`,
		`{"by":"ada"}`, `{"by":""}`, `{"plan":"feed"}`, `{"plan":"dead"}`, `{}`, `null`, `[]`, `"`, `{"by":"ada"}{"by":"ada"}`, "\x00", `{"by":"\ud800"}`,
	} {
		for which := range byte(3) {
			f.Add(which, body)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, body string) {
		s := state()
		s.Config.Receiver.Approvers = []*config.Approver{{Name: "ada"}}
		i, _ := s.Incidents.Get("one")
		i.Phase = incident.Proposed
		i.Offer = &incident.Offer{Plan: "feed", Rung: remedy.RestartService, Expires: time.Now().Add(time.Minute)}
		s.Incidents = s.Incidents.With(i)
		var now atomic.Pointer[incident.State]
		now.Store(s)
		var told atomic.Int64
		h, err := console.New(console.Options{
			State: now.Load, Reload: func() error { return nil }, Approver: who, Denied: func() {}, List: ledger.NewMemory().List,
			Send: func(e incident.Event) {
				next, _ := incident.Step(*now.Load(), e)
				now.Store(&next)
				told.Add(1)
			},
			Gatherer: prometheus.NewRegistry(), Logger: log.NewNopLogger(),
		})
		if err != nil {
			t.Fatal(err)
		}
		paths := []string{"/api/v1/pauses", "/api/v1/incidents/one/ack", "/api/v1/incidents/one/approve"}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1"+paths[int(which)%len(paths)], strings.NewReader(body))
		r.Header.Set(console.ApprovalHeader, "ada")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var answered map[string]any
		if w.Code != http.StatusNoContent {
			if err := json.Unmarshal(w.Body.Bytes(), &answered); err != nil {
				t.Errorf("%d %q is no JSON: %v", w.Code, w.Body, err)
			}
		}
		switch w.Code {
		case http.StatusBadRequest:
			if told.Load() != 0 || answered["error"] == "" {
				t.Errorf("refused with %q, and the driver was told %d times", answered["error"], told.Load())
			}
		case http.StatusConflict: // another plan: the refusal itself is on record
			if a, _ := now.Load().Incidents.Get("one"); told.Load() != 1 || len(a.Approvals) != 1 || a.Approvals[0].Refused == "" {
				t.Errorf("an approval was refused, and the incident says %+v", a.Approvals)
			}
		case http.StatusOK, http.StatusNoContent:
			if told.Load() != 1 {
				t.Errorf("%d, and the driver was told %d times", w.Code, told.Load())
			}
		case http.StatusCreated:
			p := now.Load().Pauses[answered["id"].(string)]
			if told.Load() != 1 || p.Owner == "" || p.Reason == "" || !p.Expires.After(p.Since) {
				t.Errorf("paused by %+v, and the driver was told %d times", p, told.Load())
			}
		default:
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
