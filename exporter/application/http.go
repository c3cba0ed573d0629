package application

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/dial"
)

// Answer is what a URL answered.
type Answer struct {
	Status int
	Took   time.Duration
	// Expiry is when the server's certificate ends; zero without TLS.
	Expiry time.Time
}

// Getter asks a URL. The error has a Reason and does not repeat the URL's query, which may hold a secret.
type Getter func(ctx context.Context, url string) (Answer, error)

// The most that is read of an answer. What the body holds beyond is not our business: the application has answered.
const (
	maxHeader = 64 << 10
	maxBody   = 64 << 10
)

// NewGetter returns a Getter that trusts what t says; nil trusts the system's authorities. names remembers what names
// resolved to; nil remembers nothing. Each question is a new
// connection, through no proxy; certificates are verified, and a redirection is an answer and not followed: it could
// lead to a host that nobody named.
func NewGetter(t *tls.Config, names *dial.Names) Getter {
	return func(ctx context.Context, url string) (Answer, error) {
		tracker := names.NewTracker()
		defer tracker.CloseAll()
		transport := &http.Transport{
			DialContext: tracker.DialContext, TLSClientConfig: t.Clone(), DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeader,
		}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		start := time.Now()
		a, err := get(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { tracker.Enter(dial.PhaseQuery) },
		}), client, url)
		a.Took = time.Since(start)
		if err == nil {
			// net/http returns also what a server writes when it notices that we have hung up.
			err = ctx.Err()
		}
		if err != nil {
			return Answer{}, &probe.Error{Why: dial.Classify(ctx, tracker, err), Err: fmt.Errorf("ask the application's URL: %w", withoutURL(err))}
		}
		return a, nil
	}
}

func get(ctx context.Context, client *http.Client, url string) (Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Answer{}, err
	}
	r.Header.Set("User-Agent", "hypervigil")
	w, err := client.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer w.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(w.Body, maxBody)); err != nil {
		return Answer{}, fmt.Errorf("read the body: %w", err)
	}
	a := Answer{Status: w.StatusCode}
	if w.TLS != nil && len(w.TLS.PeerCertificates) > 0 {
		a.Expiry = w.TLS.PeerCertificates[0].NotAfter
	}
	return a, nil
}

// httpCollector asks the URL.
func httpCollector(o Options, d probe.Descs) probe.Collector {
	up := d.New("hyperv_guest_application_http_up", "1 means that the application's URL answered with a status from 200 to 299; absent where nothing could be learnt about it.")
	status := d.New("hyperv_guest_application_http_status_code", "The HTTP status that the application's URL answered with. A redirection is not followed.")
	duration := d.New("hyperv_guest_application_http_duration_seconds", "How long the application's URL took to answer.")
	expiry := d.New("hyperv_guest_application_http_certificate_expiry_timestamp_seconds", "When the certificate of the application's URL ends, in seconds since 1970.")
	return probe.Collector{Name: "http", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		if o.VM.Application.HTTP == "" {
			return probe.Result{}
		}
		var s probe.Set
		a, err := o.Get(ctx, o.VM.Application.HTTP)
		if err != nil {
			if probe.Verdict(probe.Reason(err)) {
				s.Bool(up, false)
			}
			return probe.Result{Metrics: s, Err: err}
		}
		level.Debug(l).Log("msg", "the application's URL answered", "status", a.Status, "duration", a.Took)
		s.Bool(up, a.Status/100 == 2)
		s.Gauge(status, float64(a.Status))
		s.Seconds(duration, a.Took)
		s.Time(expiry, a.Expiry)
		return probe.Result{Metrics: s}
	}}
}
