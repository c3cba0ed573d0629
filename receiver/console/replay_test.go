package console_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/receiver/console"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// TestTheRecordingIsStreamed from the time that is asked for on; one that cannot be read to its end is no whole answer.
func TestTheRecordingIsStreamed(t *testing.T) {
	t.Parallel()
	serve := func(recording func(context.Context, time.Time, io.Writer) error) string {
		h, err := console.New(console.Options{
			State: state, Send: func(incident.Event) {}, Reload: func() error { return nil }, Approver: who, Denied: func() {},
			List:      func(context.Context, string, func(string, []byte) error) error { return nil },
			Recording: recording, Gatherer: prometheus.NewRegistry(), Logger: log.NewNopLogger(),
		})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL + "/api/v1/replay"
	}
	ask := func(url string) (int, string, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b), err
	}
	whole := serve(func(_ context.Context, since time.Time, w io.Writer) error {
		_, err := io.WriteString(w, since.UTC().Format(time.RFC3339)+"\n")
		return err
	})
	if code, body, err := ask(whole + "?since=2026-11-24T12:00:00Z"); code != http.StatusOK || body != "2026-11-24T12:00:00Z\n" || err != nil {
		t.Errorf("%d %q %v, want what was recorded since then", code, body, err)
	}
	if code, _, err := ask(whole + "?since=noon"); code != http.StatusBadRequest || err != nil {
		t.Errorf("since noon: %d %v, want 400", code, err)
	}
	if code, _, err := ask(serve(nil)); code != http.StatusNotFound || err != nil {
		t.Errorf("without a recording: %d %v, want 404", code, err)
	}
	broken := serve(func(_ context.Context, _ time.Time, w io.Writer) error {
		_, err := io.WriteString(w, "{}\n")
		return errors.Join(err, errors.New("no disk"))
	})
	if _, body, err := ask(broken); err == nil {
		t.Errorf("a recording that broke off was taken for whole: %q", body)
	}
}
