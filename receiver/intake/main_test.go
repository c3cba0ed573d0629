package intake

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// token is a secret of tests.
type token string

func (t token) Reveal() string { return string(t) }

const goodToken = token("the-right-token")

// fixture is a handler with all that it needs.
type fixture struct {
	t         *testing.T
	store     *ledger.Memory
	committer *ledger.Committer
	registry  *prometheus.Registry
	handler   *Handler
	log       *lockedBuffer
	clock     time.Time // of the handler; changed between requests only

	mu       sync.Mutex
	accepted []Notification
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start returns a handler on a store; change may alter its options.
func start(t *testing.T, store *ledger.Memory, change func(*fixture, *Options)) *fixture {
	t.Helper()
	f := &fixture{
		t: t, store: store, committer: ledger.NewCommitter(store, 1), registry: newRegistry(),
		log: &lockedBuffer{}, clock: time.Date(2026, 11, 23, 9, 20, 0, 0, time.UTC),
	}
	o := Options{
		Token: goodToken, Commit: f.committer.Commit, Store: store,
		Accepted: func(n Notification) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.accepted = append(f.accepted, n)
		},
		Logger: log.NewLogfmtLogger(f.log), Registerer: f.registry, Now: func() time.Time { return f.clock },
	}
	if change != nil {
		change(f, &o)
	}
	h, err := New(o)
	if err != nil {
		t.Fatalf("New() = %v, want no error", err)
	}
	f.handler = h
	t.Cleanup(f.stop)
	return f
}

func (f *fixture) stop() {
	if err := f.handler.Close(context.Background()); err != nil {
		f.t.Errorf("Close() = %v", err)
	}
	if err := f.committer.Close(); err != nil {
		f.t.Errorf("Close() of the committer = %v", err)
	}
}

// request is a good one, to be made a bad one.
func request(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, DefaultPath, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+goodToken.Reveal())
	r.Header.Set("Content-Type", "application/json")
	return r
}

func (f *fixture) serve(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w.Result()
}

// post sends a body and wants a status.
func (f *fixture) post(body string, want int) {
	f.t.Helper()
	if got := f.serve(request(body)).StatusCode; got != want {
		f.t.Errorf("status = %d, want %d, for %.200s", got, want, body)
	}
}

// handed returns what the handler gave away so far.
func (f *fixture) handed() []Notification {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Notification(nil), f.accepted...)
}

// keys lists the store's keys with a prefix.
func (f *fixture) keys(prefix string) []string {
	f.t.Helper()
	var keys []string
	if err := f.store.List(context.Background(), prefix, func(key string, _ []byte) error {
		keys = append(keys, key)
		return nil
	}); err != nil {
		f.t.Fatal(err)
	}
	return keys
}

func newRegistry() *prometheus.Registry { return prometheus.NewPedanticRegistry() }

func sample(t testing.TB, name string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// body is a minimal notification about one alert of a group.
func body(group, status string, startsAt time.Time) string {
	return fmt.Sprintf(`{"version":"4","groupKey":%q,"status":%q,"alerts":[{"status":%q,"labels":{"alertname":"A","vm":%q},"startsAt":%q,"fingerprint":"%016x"}]}`,
		group, status, status, group, startsAt.Format(time.RFC3339Nano), len(group))
}
