package console_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/receiver/audit"
	"github.com/hypervigil/hypervigil/receiver/console"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// recorded serves a record of n entries out of a ledger.
func recorded(t *testing.T, n int, list func(*ledger.Memory) func(context.Context, string, func(string, []byte) error) error) (*httptest.Server, audit.Chain) {
	t.Helper()
	s, store := state(), ledger.NewMemory()
	var batch []ledger.Op
	for range n {
		var line []byte
		s.Audit, line = s.Audit.Append(audit.Entry{At: opened, Event: "held"}, 1<<30)
		batch = append(batch, ledger.Op{Key: audit.Key(s.Audit.Last()), Value: line})
	}
	if err := store.Commit(t.Context(), 1, batch); err != nil {
		t.Fatal(err)
	}
	h, err := console.New(console.Options{
		State: func() *incident.State { return s }, Send: func(incident.Event) {}, Reload: func() error { return nil }, Approver: who,
		Denied: func() {}, List: list(store), Gatherer: prometheus.NewRegistry(), Logger: log.NewNopLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server, s.Audit
}

func export(t *testing.T, url string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/audit", nil)
	if err != nil {
		t.Fatal(err)
	}
	return http.DefaultClient.Do(r)
}

// TestTheRecordIsExportedWhole: over the borders of the pages in which it is read.
func TestTheRecordIsExportedWhole(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 999, 1000, 2500} {
		server, chain := recorded(t, n, func(s *ledger.Memory) func(context.Context, string, func(string, []byte) error) error { return s.List })
		resp, err := export(t, server.URL)
		if err != nil {
			t.Fatal(err)
		}
		report, err := audit.Verify(resp.Body, audit.Expect{Head: chain.Head()})
		resp.Body.Close()
		if err != nil || report.Entries != n || !strings.HasSuffix(resp.Header.Get(console.AuditHeader), chain.Head()) {
			t.Errorf("%d entries: %+v, %v, header %q", n, report, err, resp.Header.Get(console.AuditHeader))
		}
	}
}

// TestARecordThatIsBrokenOffIsNoAnswer: an entry that is gone when its turn comes, or a ledger that cannot be read.
func TestARecordThatIsBrokenOffIsNoAnswer(t *testing.T) {
	t.Parallel()
	server, _ := recorded(t, 1500, func(s *ledger.Memory) func(context.Context, string, func(string, []byte) error) error {
		return func(ctx context.Context, prefix string, fn func(string, []byte) error) error {
			return s.List(ctx, prefix, func(key string, value []byte) error {
				if key == audit.Key(1200) {
					return nil
				}
				return fn(key, value)
			})
		}
	})
	resp, err := export(t, server.URL)
	if err != nil {
		return // broken off before the header was through
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a record with a gap was answered as whole: %d bytes", len(b))
	}
}
