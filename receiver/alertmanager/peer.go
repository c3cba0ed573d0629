package alertmanager

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-openapi/runtime"
	httptransport "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client/alert"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// The bounds of an answer, in bytes. An alert is about 1 KiB of JSON, and only alerts that ask to be acted on are
// asked for: four thousand of them fit.
const (
	maxBody   = 4 << 20
	maxHeader = 64 << 10
	maxText   = 200 // of what a peer says in its own words
)

// peer is one Alertmanager.
type peer struct {
	name   string // its base URL
	secure bool   // HTTPS
	client alert.ClientService
	names  *dial.Names
}

// newPeer makes the client of one Alertmanager from its base URL; names may be nil.
func newPeer(raw string, names *dial.Names) (*peer, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		// The error of url.Parse repeats the value, and where a password would stand in it is not known.
		return nil, errors.New("is not a URL; use for example http://127.0.0.1:9093")
	case u.User != nil:
		return nil, fmt.Errorf("%q has a user name in it; a secret does not stand in a URL", u.Redacted())
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%q is not allowed; use http://host:port or https://host:port, with a path where there is one", raw)
	}
	// The API's paths lie below the prefix that Alertmanager has by --web.route-prefix or a proxy.
	rt := httptransport.New(u.Host, u.JoinPath("api/v2").Path, []string{u.Scheme})
	rt.Debug = false // the library takes it from DEBUG in the environment, and would print every exchange
	rt.Consumers = map[string]runtime.Consumer{
		runtime.JSONMime: runtime.JSONConsumer(),
		"*/*":            runtime.ConsumerFunc(func(io.Reader, any) error { return errNotJSON }),
	}
	return &peer{name: strings.TrimSuffix(u.String(), "/"), secure: u.Scheme == "https", client: alert.New(rt, strfmt.Default), names: names}, nil
}

var (
	errNotJSON = errors.New("the answer is not JSON; is this Alertmanager's base URL?")
	errNoList  = errors.New("the answer has no list of alerts; is this Alertmanager's base URL?")
)

// alerts asks for every alert that has at least these labels, whatever its state, and returns when ctx ends.
func (p *peer) alerts(ctx context.Context, want map[string]string) ([]*models.GettableAlert, *Error) {
	tracker := p.names.NewTracker()
	defer tracker.CloseAll()
	all := true
	params := alert.NewGetAlertsParamsWithContext(ctx).WithHTTPClient(p.http(ctx, tracker)).
		WithActive(&all).WithSilenced(&all).WithInhibited(&all).WithUnprocessed(&all)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		m, err := labels.NewMatcher(labels.MatchEqual, name, want[name])
		if err != nil {
			return nil, &Error{URL: p.name, Reason: dial.Other, Err: err}
		}
		params.Filter = append(params.Filter, m.String()) // String quotes as Alertmanager's parsers unquote
	}
	answer, err := p.client.GetAlerts(params)
	if err == nil {
		err = check(answer.Payload)
	}
	if err != nil {
		return nil, p.failed(ctx, tracker, err)
	}
	return answer.Payload, nil
}

// http makes the HTTP client of one question. It follows no redirect: whoever answers for Alertmanager has to be
// configured by name. It uses no proxy, not even one that the environment names: a word that releases commands does
// not go through a machine that nobody listed, nor come out of its cache.
func (p *peer) http(ctx context.Context, tracker *dial.Tracker) *http.Client {
	connect := func(network, address string) (net.Conn, error) {
		// Not the context that Transport hands to its dialer: that one outlives the question.
		return tracker.DialContext(ctx, network, address)
	}
	transport := &http.Transport{
		Proxy: nil, DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeader,
		DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
			conn, err := connect(network, address)
			if err == nil {
				tracker.Enter(dial.PhaseQuery)
			}
			return conn, err
		},
		DialTLSContext: func(_ context.Context, network, address string) (net.Conn, error) {
			conn, err := connect(network, address)
			if err != nil {
				return nil, err
			}
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			secured := tls.Client(conn, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12})
			if err := secured.HandshakeContext(ctx); err != nil {
				return nil, err
			}
			tracker.Enter(dial.PhaseQuery)
			return secured, nil
		},
	}
	return &http.Client{
		Transport:     bounded{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded cuts answers off at maxBody, with an error.
type bounded struct{ next http.RoundTripper }

// RoundTrip does one exchange.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxBody)
	}
	return response, err
}

// check looks for what the API promises and we rely on. The models' own Validate demands more: mutedBy, for one, which
// Alertmanager has only had since 0.28.
func check(alerts models.GettableAlerts) error {
	if alerts == nil {
		// The generated client takes an empty body for no alerts, and that would read as "resolved".
		return errNoList
	}
	for i, g := range alerts {
		switch {
		case g == nil || g.Fingerprint == nil || g.StartsAt == nil || g.Status == nil || g.Status.State == nil:
			return fmt.Errorf("alert %d of %d lacks its fingerprint, start or state", i+1, len(alerts))
		case time.Time(*g.StartsAt).IsZero():
			return fmt.Errorf("alert %d of %d has no start", i+1, len(alerts))
		}
	}
	return nil
}

// failed classifies what stood between us and an answer.
func (p *peer) failed(ctx context.Context, tracker *dial.Tracker, err error) *Error {
	e := &Error{URL: p.name}
	var (
		status interface{ Code() int } // the generated errors of 400 and 500
		other  *runtime.APIError       // every other status
		large  *http.MaxBytesError
		in     *url.Error
	)
	switch {
	case errors.As(err, &other):
		e.Reason, e.Err = byStatus(other.Code), fmt.Errorf("HTTP status %d", other.Code)
	case errors.As(err, &status):
		e.Reason, e.Err = byStatus(status.Code()), fmt.Errorf("HTTP status %d: %s", status.Code(), words(err))
	case errors.As(err, &large):
		e.Reason, e.Err = dial.Protocol, fmt.Errorf("the answer has more than %d bytes", maxBody)
	case errors.As(err, &in):
		// Without the request's URL: it has every label of the alert in it.
		e.Reason, e.Err = dial.Classify(ctx, tracker, err), in.Err
	default:
		e.Reason, e.Err = dial.Classify(ctx, tracker, err), err
	}
	return e
}

// byStatus is the reason for a status that is not 200.
func byStatus(code int) dial.Reason {
	switch code {
	case http.StatusUnauthorized:
		return dial.Auth
	case http.StatusForbidden:
		return dial.Permission
	}
	return dial.Protocol
}

// words returns what Alertmanager said about a status, as one bounded line.
func words(err error) string {
	var said string
	var bad *alert.GetAlertsBadRequest
	var broken *alert.GetAlertsInternalServerError
	switch {
	case errors.As(err, &bad):
		said = bad.Payload
	case errors.As(err, &broken):
		said = broken.Payload
	}
	if len(said) > maxText {
		said = said[:maxText] + "…"
	}
	return fmt.Sprintf("%q", said)
}
