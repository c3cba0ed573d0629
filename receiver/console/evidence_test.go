package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/receiver/console"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// TestEvidenceIsShown of the incident that is asked for, and of no other whose id begins the same.
func TestEvidenceIsShown(t *testing.T) {
	t.Parallel()
	s := state()
	for _, id := range []string{"i1", "i10"} {
		s.Incidents = s.Incidents.With(incident.Incident{ID: id, OpenedAt: opened})
	}
	store := ledger.NewMemory()
	var batch []ledger.Op
	for _, key := range []string{"bundle/i1/001", "bundle/i1/003", "bundle/i10/001"} {
		v, err := json.Marshal(evidence.Bundle{Incident: key})
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, ledger.Op{Key: key, Value: v})
	}
	if err := store.Commit(t.Context(), 1, batch); err != nil {
		t.Fatal(err)
	}
	broken := false
	h, err := console.New(console.Options{
		State: func() *incident.State { return s }, Send: func(incident.Event) {}, Reload: func() error { return nil }, Approver: who,
		Denied: func() {}, Gatherer: prometheus.NewRegistry(), Logger: log.NewNopLogger(),
		List: func(ctx context.Context, prefix string, fn func(string, []byte) error) error {
			if broken {
				return errors.New("no disk")
			}
			return store.List(ctx, prefix, fn)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(id string) (int, []string) {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/incidents/"+id+"/evidence", nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var got struct{ Evidence []evidence.Bundle }
		b, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Errorf("%s: %v in %s", id, err, b)
		}
		var keys []string
		for _, e := range got.Evidence {
			keys = append(keys, e.Incident)
		}
		return w.Code, keys
	}
	if code, keys := ask("i1"); code != http.StatusOK || len(keys) != 2 || keys[0] != "bundle/i1/001" || keys[1] != "bundle/i1/003" {
		t.Errorf("evidence of i1: %d %v, want its own two, oldest first", code, keys)
	}
	if code, _ := ask("i2"); code != http.StatusNotFound {
		t.Errorf("evidence of an unknown incident: %d, want 404", code)
	}
	broken = true
	if code, _ := ask("i1"); code != http.StatusInternalServerError {
		t.Errorf("with a ledger that cannot be read: %d, want 500", code)
	}
}
