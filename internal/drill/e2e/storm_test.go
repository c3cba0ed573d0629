//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/drill/stage"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// tap stands between the Alertmanagers and the receiver. It hands every notification on twice, keeps a copy, and sends
// copies again in any order, and as if the alerts were over.
type tap struct {
	mu       sync.Mutex
	bodies   [][]byte
	senders  map[string]int // by the Alertmanager's own URL
	codes    map[int]int    // the receiver's answers
	receiver string         // the webhook's URL; empty while there is none
	token    string
}

func (p *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var message struct {
		ExternalURL string `json:"externalURL"`
		Alerts      []struct{ Labels map[string]string }
	}
	if err := json.Unmarshal(body, &message); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	ready := p.receiver != ""
	if ready && len(message.Alerts) > 0 && message.Alerts[0].Labels["hypervigil"] == "act" {
		p.bodies = append(p.bodies, body)
		p.senders[message.ExternalURL]++
	}
	p.mu.Unlock()
	if !ready {
		http.Error(w, "the receiver is not known yet", http.StatusServiceUnavailable)
		return
	}
	code := p.send(body)
	p.send(body)
	w.WriteHeader(code)
}

// send posts a body to the receiver and returns its answer, 502 where there is none.
func (p *tap) send(body []byte) int {
	p.mu.Lock()
	url, token := p.receiver, p.token
	p.mu.Unlock()
	code := http.StatusBadGateway
	if r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body)); err == nil {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		if resp, err := http.DefaultClient.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is used again
			resp.Body.Close()
			code = resp.StatusCode
		}
	}
	p.mu.Lock()
	p.codes[code]++
	p.mu.Unlock()
	return code
}

// replay sends every copy again in some order, every second one as if its alerts were over.
func (p *tap) replay(t *testing.T) int {
	p.mu.Lock()
	bodies := slices.Clone(p.bodies)
	p.mu.Unlock()
	rand.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
	for n, b := range bodies {
		if n%2 == 1 {
			b = over(t, b)
		}
		p.send(b)
	}
	return len(bodies)
}

// over is a notification as if all its alerts were resolved now.
func over(t *testing.T, body []byte) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Error(err)
		return body
	}
	m["status"] = "resolved"
	alerts, _ := m["alerts"].([]any)
	for _, a := range alerts {
		alert, _ := a.(map[string]any)
		alert["status"], alert["endsAt"] = "resolved", time.Now().UTC().Format(time.RFC3339Nano)
	}
	out, err := json.Marshal(m)
	if err != nil {
		t.Error(err)
		return body
	}
	return out
}

// TestAStormOfNotificationsLeadsToOneRestart: a pair of Alertmanagers that both notify, and repeat themselves every
// second, with every notification sent twice, reordered and resolved early by somebody in between.
func TestAStormOfNotificationsLeadsToOneRestart(t *testing.T) {
	t.Parallel()
	p := &tap{senders: map[string]int{}, codes: map[int]int{}}
	between := httptest.NewServer(p)
	t.Cleanup(between.Close)
	s := start(t, stage.Options{
		Alertmanagers: 2, Webhook: between.URL + "/webhook",
		EditAlertmanager: func(text string) string {
			// The route of the acting alerts comes first.
			for _, r := range [][2]string{{"group_interval: 10s", "group_interval: 1s"}, {"repeat_interval: 1m", "repeat_interval: 1s"}} {
				if !strings.Contains(text, r[0]) {
					t.Errorf("alertmanager.yml has no %q", r[0])
				}
				text = strings.Replace(text, r[0], r[1], 1)
			}
			return text
		},
	})
	token, err := os.ReadFile(s.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.receiver, p.token = s.Webhook, strings.TrimSpace(string(token))
	p.mu.Unlock()

	stop := make(chan struct{})
	var storm sync.WaitGroup
	var replayed int
	storm.Go(func() {
		tick := time.NewTicker(150 * time.Millisecond)
		defer tick.Stop()
		for {
			replayed += p.replay(t)
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	})
	tr, c := trial(t, s, model.Request{Fault: model.ServiceCrash, VM: "SQL01"}, 2*time.Minute)
	// The storm goes on after the incident is closed: an echo of the old alert must not begin a new story.
	closed := time.Now()
	await(t, 30*time.Second, "ten seconds of echoes", func() bool { return time.Since(closed) > 10*time.Second })
	close(stop)
	storm.Wait()

	if diff := cmp.Diff(outcome{Outcome: "healed", HealedBy: "hypervigil", Commands: 1, Starts: 1}, outcomeOf(tr, c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	counters, err := s.Endpoints.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n, starts := len(counters.VMs["SQL01"].Commands), len(counters.VMs["SQL01"].ServiceStarts); n != 1 || starts != 1 {
		t.Errorf("after the echoes: %d commands, %d starts; want one of each", n, starts)
	}
	all, err := s.Endpoints.Incidents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Errorf("%d incidents, want one: %v", len(all), all)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.senders) != 2 {
		t.Errorf("notifications came from %v, want both Alertmanagers", p.senders)
	}
	if codes := slices.Collect(maps.Keys(p.codes)); len(codes) != 1 || codes[0] != http.StatusAccepted {
		t.Errorf("the receiver answered %v, want 202 alone", p.codes)
	}
	if replayed < 50 || len(p.bodies) < 4 {
		t.Errorf("%d notifications, %d replays: that was no storm", len(p.bodies), replayed)
	}
	t.Logf("%d notifications from %v, each sent twice, and %d replays: one restart", len(p.bodies), p.senders, replayed)
}
