package alertmanager

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/alertmanager/pkg/labels"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 23, 9, 20, 0, 0, time.UTC)

// held is an alert as a stand-in for Alertmanager holds it.
type held struct {
	labels                map[string]string
	startsAt              time.Time
	state                 string // "active" where empty
	silenced, inhibited   []string
	muted                 []string
	withoutMuted, withNil bool // as before 0.28; without a status
}

func (h held) wire() map[string]any {
	state := h.state
	if state == "" {
		state = "active"
	}
	list := func(s []string) []string { return append([]string{}, s...) }
	status := map[string]any{"state": state, "silencedBy": list(h.silenced), "inhibitedBy": list(h.inhibited), "mutedBy": list(h.muted)}
	if h.withoutMuted {
		delete(status, "mutedBy")
	}
	alert := map[string]any{
		"labels": h.labels, "annotations": map[string]string{}, "receivers": []any{map[string]string{"name": "hypervigil"}},
		"fingerprint": h.labels["vm"] + "-fingerprint", "startsAt": h.startsAt, "updatedAt": h.startsAt, "endsAt": h.startsAt.Add(time.Hour),
		"generatorURL": "", "status": status,
	}
	if h.withNil {
		delete(alert, "status")
	}
	return alert
}

// holding answers as API v2 does: by the filter, for GET /api/v2/alerts only.
func holding(alerts ...held) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/api/v2/alerts" {
			http.Error(w, "no such path", http.StatusNotFound)
			return
		}
		var filter labels.Matchers
		for _, f := range r.URL.Query()["filter"] {
			m, err := labels.ParseMatcher(f)
			if err != nil {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				_ = json.NewEncoder(w).Encode(err.Error())
				return
			}
			filter = append(filter, m)
		}
		answer := []any{}
		for _, a := range alerts {
			if !slices.ContainsFunc(filter, func(m *labels.Matcher) bool { return !m.Matches(a.labels[m.Name]) }) {
				answer = append(answer, a.wire())
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}
}

// says answers anything with a status, a type and a body.
func says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// hangs takes the question and says no more than its beginning.
func hangs(beginning string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if beginning != "" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(beginning))
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	}
}

// redirects sends everybody to another server, and fails the test if that one is asked.
func redirects(t *testing.T, status int) http.HandlerFunc {
	var bait atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bait.Add(1)
		holding()(w, r)
	}))
	t.Cleanup(func() {
		other.Close()
		if n := bait.Load(); n != 0 {
			t.Errorf("a redirect was followed %d times", n)
		}
	})
	return func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/api/v2/alerts", status)
	}
}

// serve starts a stand-in and returns its URL; nil is one that refuses connections.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	if h == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return "http://" + l.Addr().String()
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func client(t *testing.T, urls ...string) *Client {
	t.Helper()
	c, err := New(Options{URLs: urls, Logger: log.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
