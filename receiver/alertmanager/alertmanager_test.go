package alertmanager

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

func TestNewNamesAWrongURLWithoutItsPassword(t *testing.T) {
	t.Parallel()
	const good = "http://127.0.0.1:9093"
	for name, c := range map[string]struct {
		urls []string
		want string
	}{
		"none":               {nil, "make alertmanager client: no URL"},
		"no scheme":          {[]string{good, "am2:9093"}, `alertmanager 2 of 2: "am2:9093" is not allowed; use http://host:port or https://host:port, with a path where there is one`},
		"another scheme":     {[]string{"ftp://am"}, `alertmanager 1 of 1: "ftp://am" is not allowed; use http://host:port or https://host:port, with a path where there is one`},
		"no host":            {[]string{"http:///x"}, `alertmanager 1 of 1: "http:///x" is not allowed; use http://host:port or https://host:port, with a path where there is one`},
		"a query":            {[]string{good + "?x=hunter2"}, ""},
		"a password":         {[]string{"https://hv:hunter2@am"}, `alertmanager 1 of 1: "https://hv:xxxxx@am" has a user name in it; a secret does not stand in a URL`},
		"a password, broken": {[]string{"https://hv:hunter2@a b"}, "alertmanager 1 of 1: is not a URL; use for example http://127.0.0.1:9093"},
	} {
		_, err := New(Options{URLs: c.urls, Logger: log.NewNopLogger()})
		if err == nil {
			t.Errorf("%s: New = no error", name)
			continue
		}
		if c.want != "" && err.Error() != c.want {
			t.Errorf("%s: New = %q, want %q", name, err, c.want)
		}
		if strings.Contains(err.Error(), "hv:hunter2") {
			t.Errorf("%s: New = %q, which has the password in it", name, err)
		}
	}
	if _, err := New(Options{URLs: []string{good}}); err == nil {
		t.Error("New without a logger = no error")
	}
}

// labelsOf are the labels of the alert asked for.
func labelsOf(vm string) map[string]string {
	return map[string]string{"alertname": "SQLServerDown", "cluster": "hv-cl1", "vm": vm, "hypervigil": "act"}
}

func with(l map[string]string, name, value string) map[string]string {
	l = maps.Clone(l)
	l[name] = value
	return l
}

func TestAsk(t *testing.T) {
	t.Parallel()
	mine := labelsOf("SQL01")
	firing := held{labels: mine, startsAt: start}
	change := func(f func(*held)) held {
		h := firing
		f(&h)
		return h
	}
	type am = []http.Handler
	active := evidence.Alert{Active: true, StartsAt: start, Reachable: 1, Asked: 1}
	suppressed := evidence.Alert{Suppressed: true, StartsAt: start, Reachable: 1, Asked: 1}
	gone := evidence.Alert{Reachable: 1, Asked: 1}
	for name, c := range map[string]struct {
		ams     am
		want    evidence.Alert
		failure dial.Reason
		detail  string // a part of it
	}{
		"active":                    {ams: am{holding(firing)}, want: active},
		"active among others":       {ams: am{holding(held{labels: labelsOf("SQL02"), startsAt: start.Add(-time.Hour), silenced: []string{"s"}}, firing)}, want: active},
		"an Alertmanager of 0.27":   {ams: am{holding(change(func(h *held) { h.withoutMuted = true }))}, want: active},
		"silenced":                  {ams: am{holding(change(func(h *held) { h.state, h.silenced = "suppressed", []string{"s"} }))}, want: suppressed},
		"inhibited":                 {ams: am{holding(change(func(h *held) { h.state, h.inhibited = "suppressed", []string{"f"} }))}, want: suppressed},
		"muted by a time interval":  {ams: am{holding(change(func(h *held) { h.state, h.muted = "suppressed", []string{"weekend"} }))}, want: suppressed},
		"silenced, not in state":    {ams: am{holding(change(func(h *held) { h.silenced = []string{"s"} }))}, want: suppressed},
		"inhibited, not in state":   {ams: am{holding(change(func(h *held) { h.inhibited = []string{"f"} }))}, want: suppressed},
		"not looked at yet":         {ams: am{holding(change(func(h *held) { h.state = "unprocessed" }))}, want: suppressed},
		"resolved":                  {ams: am{holding()}, want: gone},
		"only one with more labels": {ams: am{holding(change(func(h *held) { h.labels = with(mine, "node", "HV1") }))}, want: gone},
		"its like with more labels is silenced": {
			ams: am{holding(change(func(h *held) { h.labels, h.silenced = with(mine, "node", "HV1"), []string{"s"} }), firing)}, want: active,
		},

		"active on both": {
			ams:  am{holding(firing), holding(change(func(h *held) { h.startsAt = start.Add(-time.Minute) }))},
			want: evidence.Alert{Active: true, StartsAt: start.Add(-time.Minute), Reachable: 2, Asked: 2},
		},
		"silenced on the second": {
			ams:  am{holding(firing), holding(change(func(h *held) { h.silenced = []string{"s"} }))},
			want: evidence.Alert{Suppressed: true, StartsAt: start, Reachable: 2, Asked: 2},
		},
		"only the first has it": {
			ams: am{holding(firing), holding()}, want: evidence.Alert{StartsAt: start, Reachable: 2, Asked: 2},
		},
		"the first refuses": {
			ams: am{nil, holding(firing)}, want: evidence.Alert{Active: true, StartsAt: start, Reachable: 1, Asked: 2}, detail: "tcp_refused",
		},
		"the second hangs": {
			ams: am{holding(firing), hangs("")}, want: evidence.Alert{Active: true, StartsAt: start, Reachable: 1, Asked: 2}, detail: "query_timeout",
		},
		"the second refuses and the first has nothing": {
			ams: am{holding(), nil}, want: evidence.Alert{Reachable: 1, Asked: 2}, detail: "tcp_refused",
		},

		"refuses":                   {ams: am{nil}, failure: dial.Refused, detail: "http://127.0.0.1:"},
		"hangs":                     {ams: am{hangs("")}, failure: dial.QueryTimeout},
		"hangs within its answer":   {ams: am{hangs(`[{"labels":{`)}, failure: dial.QueryTimeout},
		"demands a password":        {ams: am{says(401, "text/plain", "no")}, failure: dial.Auth, detail: "HTTP status 401"},
		"forbids":                   {ams: am{says(403, "text/html", "no")}, failure: dial.Permission},
		"refuses the filter":        {ams: am{says(400, "application/json", `"bad matcher"`)}, failure: dial.Protocol, detail: `HTTP status 400: "bad matcher"`},
		"is broken":                 {ams: am{says(500, "application/json", `"out of memory"`)}, failure: dial.Protocol, detail: `HTTP status 500: "out of memory"`},
		"is behind a broken proxy":  {ams: am{says(502, "text/html", "<html>")}, failure: dial.Protocol, detail: "HTTP status 502"},
		"talks at length":           {ams: am{says(500, "application/json", `"`+strings.Repeat("x", 100_000)+`"`)}, failure: dial.Protocol},
		"redirects":                 {ams: am{redirects(t, 302)}, failure: dial.Protocol, detail: "HTTP status 302"},
		"redirects for good":        {ams: am{redirects(t, 308)}, failure: dial.Protocol, detail: "HTTP status 308"},
		"shows a page":              {ams: am{says(200, "text/html", "<html>")}, failure: dial.Protocol, detail: "not JSON"},
		"shows JSON of another API": {ams: am{says(200, "application/json", `{"status":"success"}`)}, failure: dial.Protocol},
		"says nothing":              {ams: am{says(200, "application/json", "")}, failure: dial.Protocol, detail: "no list"},
		"says null":                 {ams: am{says(200, "application/json", "null")}, failure: dial.Protocol, detail: "no list"},
		"breaks off":                {ams: am{says(200, "application/json", `[{"labels":`)}, failure: dial.Protocol},
		"an alert without a status": {ams: am{holding(change(func(h *held) { h.withNil = true }))}, failure: dial.Protocol, detail: "lacks its"},
		"an alert without a start":  {ams: am{holding(change(func(h *held) { h.startsAt = time.Time{} }))}, failure: dial.Protocol, detail: "has no start"},
		"a null in the list":        {ams: am{says(200, "application/json", "[null]")}, failure: dial.Protocol},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var urls []string
			for _, h := range c.ams {
				urls = append(urls, serve(t, h))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			begun := time.Now()
			got := client(t, urls...).Ask(ctx, mine)
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("Ask took %v with a deadline of 1 s", took)
			}
			if got.Failure != c.failure || got.Known() != (c.failure == dial.Answered) {
				t.Fatalf("Ask = failure %q (%s), known %v; want failure %q", got.Failure, got.Detail, got.Known(), c.failure)
			}
			if c.failure != dial.Answered {
				c.want = evidence.Alert{Asked: len(urls)}
			}
			if diff := cmp.Diff(c.want, got.Value); diff != "" {
				t.Errorf("Ask (-want +got):\n%s", diff)
			}
			if got.At.Before(begun) || got.At.After(time.Now()) {
				t.Errorf("At = %v, want a moment of the question", got.At)
			}
			if !strings.Contains(got.Detail, c.detail) || c.detail == "" && c.failure == dial.Answered && got.Detail != "" {
				t.Errorf("Detail = %q, want %q in it", got.Detail, c.detail)
			}
			if strings.ContainsAny(got.Detail, "\r\n") || len(got.Detail) > 1000 || strings.Contains(got.Detail, "SQL01") {
				t.Errorf("Detail = %q, want one short line without the alert's labels", got.Detail)
			}
		})
	}
}

func TestAskReadsNoMoreThanABoundedAnswer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := client(t, serve(t, says(200, "application/json", "["+strings.Repeat(" ", maxBody)))).Ask(ctx, labelsOf("SQL01"))
	if got.Failure != dial.Protocol || !strings.Contains(got.Detail, "more than 4194304 bytes") {
		t.Errorf("Ask = %+v, want the failure %q and the bound", got, dial.Protocol)
	}
}

// TestAskDoesNotAgeAnAnswer shows that the reading is as old as the first answer, however long another one took.
func TestAskDoesNotAgeAnAnswer(t *testing.T) {
	t.Parallel()
	fast := serve(t, holding(held{labels: labelsOf("SQL01"), startsAt: start}))
	slow := serve(t, hangs(""))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	got := client(t, slow, fast).Ask(ctx, labelsOf("SQL01"))
	ended := time.Now()
	if !got.Value.Active || ended.Sub(got.At) < time.Second/2 {
		t.Errorf("Ask = %+v, %v before its end; want an active alert with the time of the first answer", got, ended.Sub(got.At))
	}
}

func TestAskIgnoresLabelsWithoutAValue(t *testing.T) {
	t.Parallel()
	c := client(t, serve(t, holding(held{labels: labelsOf("SQL01"), startsAt: start})))
	if got := c.Ask(t.Context(), with(labelsOf("SQL01"), "instance", "")); !got.Value.Active {
		t.Errorf("Ask = %+v, want it active", got)
	}
}

// awkward are label values that break what does not quote.
func awkward() []string {
	return []string{
		`plain`, `"`, `say "hi"`, `\`, `C:\SQL\n`, `\\`, `\"`, "two\nlines", "tab\tand\rreturn", "a,b", `{x="y"}`, ` blank ends `,
		"Größe", "数据库", "🚑", `=~".*"`, "'", "`", "%0A&filter=x", "+", "nul\x00",
	}
}

func TestAskQuotesAnyValue(t *testing.T) {
	t.Parallel()
	for _, value := range awkward() {
		mine := with(labelsOf("SQL01"), "sql_instance", value)
		c := client(t, serve(t, holding(held{labels: mine, startsAt: start}, held{labels: labelsOf("SQL01"), startsAt: start})))
		if got := c.Ask(t.Context(), mine); !got.Known() || !got.Value.Active {
			t.Errorf("Ask for the value %q = %+v, want it active", value, got)
		}
	}
}

// TestBothParsersOfAlertmanagerReadTheFilter: which one is used is the administrator's choice, by a feature flag.
func TestBothParsersOfAlertmanagerReadTheFilter(t *testing.T) {
	t.Parallel()
	for _, value := range awkward() {
		var filter string
		url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			filter = r.URL.Query().Get("filter")
			holding()(w, r)
		}))
		if got := client(t, url).Ask(t.Context(), map[string]string{"vm": value}); !got.Known() {
			t.Fatalf("Ask for the value %q = %+v", value, got)
		}
		classic, err := labels.ParseMatcher(filter)
		if err != nil || classic.Value != value || classic.Name != "vm" || classic.Type != labels.MatchEqual {
			t.Errorf("the classic parser reads %s as %v (%v), want vm = %q", filter, classic, err, value)
		}
		newer, err := parse.Matcher(filter)
		if err != nil || newer.Value != value || newer.Name != "vm" || newer.Type != labels.MatchEqual {
			t.Errorf("the UTF-8 parser reads %s as %v (%v), want vm = %q", filter, newer, err, value)
		}
	}
}

func TestAskUnderAPathPrefix(t *testing.T) {
	t.Parallel()
	url := serve(t, http.StripPrefix("/monitoring/am", holding(held{labels: labelsOf("SQL01"), startsAt: start})))
	for _, suffix := range []string{"/monitoring/am", "/monitoring/am/"} {
		if got := client(t, url+suffix).Ask(t.Context(), labelsOf("SQL01")); !got.Value.Active {
			t.Errorf("Ask at %s = %+v, want it active", suffix, got)
		}
	}
}

func TestAskEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	url := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	// Nobody's silence: we gave up ourselves.
	if got := client(t, url).Ask(ctx, labelsOf("SQL01")); got.Known() || got.Failure != dial.Other {
		t.Errorf("Ask = %+v, want the failure %q", got, dial.Other)
	}
}

// TestAskOverTLSVerifiesTheCertificate also covers a peer that accepts and never answers the handshake.
func TestAskOverTLSVerifiesTheCertificate(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(holding(held{labels: labelsOf("SQL01"), startsAt: start}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // our refusals, which are wanted
	server.StartTLS()
	t.Cleanup(server.Close)
	got := client(t, server.URL).Ask(t.Context(), labelsOf("SQL01"))
	if got.Failure != dial.TLS {
		t.Errorf("Ask of a server with a certificate of its own = %+v, want the failure %q", got, dial.TLS)
	}
	c := client(t, server.URL)
	if _, err := c.Acting(t.Context()); !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("Acting = %v, want an unknown authority", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if got := client(t, "https://"+l.Addr().String()).Ask(ctx, labelsOf("SQL01")); got.Failure != dial.TLSTimeout {
		t.Errorf("Ask of a server that does not shake hands = %+v, want the failure %q", got, dial.TLSTimeout)
	}
}

func TestClosedClientAsksNobody(t *testing.T) {
	t.Parallel()
	c := client(t, serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a closed client asked") })))
	c.Close()
	if got := c.Ask(t.Context(), labelsOf("SQL01")); got.Known() || got.Value.Asked != 1 {
		t.Errorf("Ask = %+v, want a failure", got)
	}
	if _, err := c.Acting(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("Acting = %v, want %v", err, errClosed)
	}
}

func TestActing(t *testing.T) {
	t.Parallel()
	one, two, three := labelsOf("SQL01"), labelsOf("SQL02"), labelsOf("SQL03")
	tell := with(labelsOf("SQL04"), "hypervigil", "tell")
	first := holding(
		held{labels: three, startsAt: start, silenced: []string{"s"}, state: "suppressed"},
		held{labels: two, startsAt: start},
		held{labels: one, startsAt: start},
		held{labels: tell, startsAt: start},
	)
	second := holding(
		held{labels: one, startsAt: start.Add(-time.Minute)},
		held{labels: two, startsAt: start, inhibited: []string{"f"}, state: "suppressed"},
		held{labels: three, startsAt: start, silenced: []string{"s"}, state: "suppressed"},
	)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	got, err := client(t, serve(t, nil), serve(t, first), serve(t, second), serve(t, hangs(""))).Acting(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []Alert{
		{Labels: one, StartsAt: start.Add(-time.Minute), Fingerprint: "SQL01-fingerprint"},
		{Labels: two, StartsAt: start, Fingerprint: "SQL02-fingerprint", Suppressed: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Acting (-want +got):\n%s", diff)
	}
}

func TestActingWhereNobodyAnswers(t *testing.T) {
	t.Parallel()
	refuses, broken := serve(t, nil), serve(t, says(500, "application/json", `"out of memory"`))
	list, err := client(t, refuses, broken).Acting(t.Context())
	var failure *Error
	if !errors.As(err, &failure) || failure.Reason != dial.Refused || list != nil {
		t.Fatalf("Acting = %v, %v; want the failure %q of the first", list, err, dial.Refused)
	}
	for _, part := range []string{refuses + ": tcp_refused: ", broken + `: protocol: HTTP status 500: "out of memory"`} {
		if !strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("Acting = %v, want %q in it", err, part)
		}
	}
	if list, err := client(t, serve(t, holding())).Acting(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("Acting without an alert = %v, %v; want none and no error", list, err)
	}
}
