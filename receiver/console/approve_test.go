package console_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/servetest"
	"github.com/hypervigil/hypervigil/receiver/console"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// who believes whoever says ada in the header; the receiver has the real one.
func who(r *http.Request) (string, error) {
	if by := r.Header.Get(console.ApprovalHeader); by == "ada" || by == "mallory" {
		return by, nil
	}
	return "", errors.New("nobody whom receiver.approvers names")
}

// offered serves an incident that offers a plan, and counts the denied.
func offered(t *testing.T, expires time.Time) (url string, now *atomic.Pointer[incident.State], denied *atomic.Int64) {
	t.Helper()
	s := state()
	s.Config.Receiver.Approvers = []*config.Approver{{Name: "ada"}}
	i, _ := s.Incidents.Get("one")
	i.Phase = incident.Proposed
	i.Offer = &incident.Offer{
		Plan: "feed", Rung: remedy.RestartService, Owner: "HV1", Wanted: []string{"G22 mode_propose"}, Expires: expires,
		Commands: []remedy.Command{{Method: remedy.StartService, Cmdlet: "Start-Service -Name 'MSSQLSERVER'"}},
	}
	s.Incidents = s.Incidents.With(i)
	now, denied = &atomic.Pointer[incident.State]{}, &atomic.Int64{}
	now.Store(s)
	h, err := console.New(console.Options{
		State: now.Load, Reload: func() error { return nil }, Approver: who, Denied: func() { denied.Add(1) }, List: ledger.NewMemory().List,
		Send: func(e incident.Event) {
			next, _ := incident.Step(*now.Load(), e)
			now.Store(&next)
		},
		Gatherer: prometheus.NewRegistry(), Logger: log.NewNopLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL, now, denied
}

func TestApprove(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		by, path, body string
		expires        time.Duration
		code           int
		want           string
		taken          bool
	}{
		"the plan":           {"ada", "one", `{"plan":"feed"}`, time.Minute, 200, `"by": "ada"`, true},
		"by nobody":          {"", "one", `{"plan":"feed"}`, time.Minute, 403, "receiver.approvers", false},
		"by no approver":     {"mallory", "one", `{"plan":"feed"}`, time.Minute, 409, "not_an_approver", false},
		"another plan":       {"ada", "one", `{"plan":"dead"}`, time.Minute, 409, "other_plan", false},
		"late":               {"ada", "one", `{"plan":"feed"}`, -time.Minute, 409, "late", false},
		"no plan":            {"ada", "one", `{}`, time.Minute, 400, "plan", false},
		"who is not asked":   {"ada", "one", `{"plan":"feed","by":"bob"}`, time.Minute, 400, "by", false},
		"no such incident":   {"ada", "two", `{"plan":"feed"}`, time.Minute, 404, "no incident", false},
		"of another website": {"ada", "one", `{"plan":"feed"}`, time.Minute, 403, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, now, denied := offered(t, time.Now().Add(tt.expires))
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/v1/incidents/"+tt.path+"/approve", strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set(console.ApprovalHeader, tt.by)
			if name == "of another website" {
				r.Header.Set("Origin", "https://evil.example")
			}
			w, body := servetest.Send(t, r)
			if w != tt.code || !strings.Contains(body, tt.want) {
				t.Errorf("%d %s, want %d with %q", w, body, tt.code, tt.want)
			}
			if got := denied.Load(); (got == 1) != (name == "by nobody") {
				t.Errorf("%d denied", got)
			}
			taken := false
			i, _ := now.Load().Incidents.Get("one")
			for _, a := range i.Approvals {
				taken = taken || a.Refused == "" && a.By == "ada"
			}
			if taken != tt.taken {
				t.Errorf("taken = %t, want %t", taken, tt.taken)
			}
		})
	}
}

// TestWhatIsShownOfAnOffer: the lines, the hash and the end of an offer, and how to approve it.
func TestWhatIsShownOfAnOffer(t *testing.T) {
	t.Parallel()
	url, _, _ := offered(t, opened.Add(10*time.Minute))
	code, page := servetest.Ask(t, http.MethodGet, url+"/incidents/one", "")
	for _, want := range []string{"Start-Service -Name &#39;MSSQLSERVER&#39;", "hypervigilctl approve one --plan feed", "2026-11-23 08:10:00 UTC", "G22 mode_propose"} {
		if code != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("the page (%d) does not show %q:\n%s", code, want, page)
		}
	}
}
