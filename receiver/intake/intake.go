// Package intake takes Alertmanager's notifications in: it authenticates, decodes, writes down what changed, and
// answers. It judges nothing: whether an alert leads to anything is decided afterwards, by others.
//
//	h, err := intake.New(intake.Options{Token: token, Commit: committer.Commit, Accepted: driver.notify, Store: store, ...})
//	s, err := intake.NewServer(intake.ServerOptions{Handler: h, Logger: logger})
//
// The answers, and what Alertmanager makes of them: 202 accepted or accepted before; 400 malformed or another
// version than "4"; 401 no or a wrong credential; 404 any other path; 405 any other method; 413 more than 1 MiB; 415
// any Content-Encoding; 503 when it could not be written down within a second, so that Alertmanager tries again.
// Never a redirect: Alertmanager would follow it with a GET, take the answer for success, and the alert would be
// lost. Never 429: Alertmanager tries that no second time.
//
// A Handler is safe for concurrent use.
package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// DefaultPath is where Alertmanager posts to.
const DefaultPath = "/webhook"

// The bounds of one request and of all.
const (
	maxBody    = 1 << 20
	maxFlights = 1024 // deliveries being written at once; a disk that hangs must not fill the memory
	deadline   = time.Second
	logEvery   = 10 * time.Second // one line for each kind of refusal
)

// Lister reads the ledger; ledger.Store is one.
type Lister interface {
	List(ctx context.Context, prefix string, fn func(key string, value []byte) error) error
}

// Options are what a Handler needs. Path may be empty; of Token and RequireClientCert one at least must be set.
type Options struct {
	// Path is the one path that exists. Empty means DefaultPath.
	Path string
	// Token is the bearer token that every request must carry; nil: none is asked for. It is revealed anew at each
	// request. One that is empty is refused, by New and at a request.
	Token interface{ Reveal() string }
	// RequireClientCert asks for a client certificate that the listener has verified.
	RequireClientCert bool

	// Commit writes a batch durably; (*ledger.Committer).Commit does.
	Commit func(context.Context, []ledger.Op) error
	// Store is read by New: what was accepted in the last day, and the last sequence.
	Store Lister
	// Accepted is given each accepted notification, and with Repeat set each delivery that was accepted before. It
	// must not block, for the answer waits for it. Of two deliveries that arrive one after the other, as one
	// Alertmanager sends those of one group, it gets the earlier one first.
	Accepted func(Notification)

	Logger     log.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time // nil means time.Now
}

func (o *Options) validate() error {
	if o.Path == "" {
		o.Path = DefaultPath
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	switch u := (url.URL{Path: o.Path}); {
	case !strings.HasPrefix(o.Path, "/") || path.Clean(o.Path) != o.Path || u.EscapedPath() != o.Path:
		return fmt.Errorf("path %q is not one that a request can name exactly: it begins with /, ends with none, and needs no escaping", o.Path)
	case o.Token == nil && !o.RequireClientCert:
		return errors.New("neither a token nor a client certificate is asked for: anybody could post")
	case o.Token != nil && o.Token.Reveal() == "":
		return errors.New("the token is empty")
	case o.Commit == nil:
		return errors.New("option Commit is missing")
	case o.Store == nil:
		return errors.New("option Store is missing")
	case o.Accepted == nil:
		return errors.New("option Accepted is missing")
	case o.Logger == nil:
		return errors.New("option Logger is missing")
	case o.Registerer == nil:
		return errors.New("option Registerer is missing")
	}
	return nil
}

// Handler is the webhook. Close it after its listener and before the committer.
type Handler struct {
	o       Options
	metrics *metrics

	mu      sync.Mutex
	known   *deliveries
	flights map[string]*flight // by delivery key
	closed  bool
	writers sync.WaitGroup

	logMu  sync.Mutex
	logged map[result]quiet
}

var _ http.Handler = (*Handler)(nil)

// flight is a delivery that is being written. The same delivery arriving meanwhile, from the other Alertmanager of a
// pair or after a time-out, waits for it and is not written twice.
type flight struct {
	done chan struct{} // closed when err is set
	err  error
}

// quiet is what was not logged of one kind of refusal.
type quiet struct {
	since      time.Time
	suppressed int
}

// New reads what an earlier life accepted and returns the handler.
func New(o Options) (*Handler, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	known, err := load(ctx, o.Store)
	if err != nil {
		return nil, fmt.Errorf("webhook: read the deliveries of the last day: %w", err)
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("webhook: register metrics: %w", err)
	}
	return &Handler{o: o, metrics: m, known: known, flights: map[string]*flight{}, logged: map[result]quiet{}}, nil
}

// Close refuses what comes later and waits until what is being written is, or until ctx ends.
func (h *Handler) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	done := make(chan struct{})
	go func() {
		h.writers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("webhook: notifications are still being written: %w", ctx.Err())
	}
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	result, err := h.guarded(w, r)
	h.metrics.notifications.WithLabelValues(result.String()).Inc()
	if err != nil {
		h.complain(result, r, err)
	}
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	switch result {
	case notAllowed:
		header.Set("Allow", http.MethodPost)
	case unauthorized:
		header.Set("WWW-Authenticate", "Bearer")
	case accepted, duplicate, malformed, notFound, tooLarge, encoded, unavailable, panicked:
	}
	w.WriteHeader(result.code())
	text := result.String()
	if err != nil && result == malformed { // the sender has authenticated himself: he may know why
		text += ": " + err.Error()
	}
	_, _ = io.WriteString(w, text+"\n") // one who does not listen has his answer in the status
	h.metrics.duration.Observe(time.Since(begun).Seconds())
}

// guarded turns a panic into an answer that Alertmanager tries again. Nothing was answered when it happened.
func (h *Handler) guarded(w http.ResponseWriter, r *http.Request) (res result, err error) {
	res = panicked // unless serve comes back
	defer recovered(&err)
	return h.serve(w, r)
}

// serve decides in this order: path, method, credential, encoding, size, content. Nothing of the body is read before
// the credential is known to be right.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) (result, error) {
	switch {
	case r.RequestURI != h.o.Path || r.URL.Path != h.o.Path || r.URL.RawQuery != "":
		return notFound, fmt.Errorf("only %s exists", h.o.Path)
	case r.Method != http.MethodPost:
		return notAllowed, errors.New("only POST is allowed")
	case !h.authorized(r):
		return unauthorized, errors.New("no or a wrong credential")
	case len(r.Header.Values("Content-Encoding")) > 0:
		return encoded, errors.New("the body has a Content-Encoding")
	case r.ContentLength > maxBody:
		return tooLarge, fmt.Errorf("the body is larger than %d bytes", maxBody)
	}
	body, err := readBody(w, r)
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return tooLarge, fmt.Errorf("the body is larger than %d bytes", maxBody)
	}
	if err != nil {
		return malformed, errors.New("the body ended early or never came to its end")
	}
	h.metrics.bytes.Add(float64(len(body)))
	n, dropped, err := decode(body, h.o.Now())
	if err != nil {
		return malformed, err
	}
	res, err := h.accept(&n)
	if err != nil {
		return res, err
	}
	h.metrics.accepted(&n, dropped)
	h.report(res, &n, dropped)
	return res, nil
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(r.ContentLength) + bytes.MinRead) // at most maxBody
	}
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	return b.Bytes(), err
}

// authorized compares in constant time, whatever is missing.
func (h *Handler) authorized(r *http.Request) bool {
	ok := true
	if h.o.RequireClientCert && (r.TLS == nil || len(r.TLS.VerifiedChains) == 0) {
		ok = false
	}
	if h.o.Token == nil {
		return ok
	}
	want := h.o.Token.Reveal()
	given := ""
	if values := r.Header.Values("Authorization"); len(values) == 1 {
		if scheme, token, found := strings.Cut(values[0], " "); found && strings.EqualFold(scheme, "Bearer") {
			given = token
		}
	}
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && want != "" && ok
}

// accept makes a notification durable, or finds that it is. It does not look at the request's context: net/http ends
// that when the sender has closed his half of the connection, too, and he waits for the answer all the same.
func (h *Handler) accept(n *Notification) (result, error) {
	timeout := time.NewTimer(deadline)
	defer timeout.Stop()
	group := groupID(n.GroupKey)

	h.mu.Lock()
	f, writing := h.flights[n.DeliveryKey]
	known := !writing && h.known.repeated(n, group, n.At)
	if !writing && !known {
		switch {
		case h.closed:
			h.mu.Unlock()
			return unavailable, errors.New("the receiver is stopping")
		case len(h.flights) >= maxFlights:
			h.mu.Unlock()
			return unavailable, fmt.Errorf("%d notifications wait for the ledger already", maxFlights)
		}
		f = h.depart(n, group)
	}
	h.mu.Unlock()

	if !known {
		select {
		case <-f.done:
			if f.err != nil {
				return unavailable, f.err
			}
		case <-timeout.C:
			return unavailable, fmt.Errorf("not written to the ledger within %s", deadline)
		}
		if !writing {
			return accepted, nil
		}
	}
	n.Repeat = true
	h.o.Accepted(*n)
	return duplicate, nil
}

// depart begins to write a notification. It is called with the lock held. The write goes on when the sender has had
// his 503: what is on disk then is handed on like any other, and the sender's second try finds it.
func (h *Handler) depart(n *Notification, group string) *flight {
	f := &flight{done: make(chan struct{})}
	var before *flight
	if entry := h.known.byKey[n.DeliveryKey]; entry != nil {
		before = entry.pruner // which would delete what this one writes
	}
	entry := delivery{At: n.At, Sequence: h.known.next, Group: group, Truncated: n.TruncatedAlerts}
	h.known.next++
	old := h.known.expired(n.At, h.flights, f)
	h.flights[n.DeliveryKey] = f
	stored := *n
	stored.Record = sequenceKey(entry.Sequence)
	h.writers.Go(func() {
		if before != nil {
			<-before.done
		}
		f.err = h.write(&stored, entry, old)
		durable := f.err == nil
		if durable {
			f.err = h.handOn(stored)
		}
		h.mu.Lock()
		delete(h.flights, stored.DeliveryKey)
		if durable {
			h.known.add(stored.DeliveryKey, entry)
			h.known.forget(old)
		} else {
			h.known.keep(old)
		}
		h.mu.Unlock()
		close(f.done)
	})
	return f
}

// handOn gives a stored notification away. Should that panic, the sender tries again, and the repeat is handed on.
func (h *Handler) handOn(n Notification) (err error) {
	defer recovered(&err)
	h.o.Accepted(n)
	return nil
}

// recovered turns a panic into an error; it is to be deferred.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}

// write commits a notification with its delivery, and deletes old deliveries.
func (h *Handler) write(n *Notification, entry delivery, old []place) (err error) {
	defer recovered(&err)
	record, err := n.encode()
	if err != nil {
		return err
	}
	mark, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	batch := []ledger.Op{
		{Key: n.Record, Value: record, IfAbsent: true},
		{Key: deliveryRecordKey(n.DeliveryKey), Value: mark},
	}
	for _, p := range old {
		if p.key != n.DeliveryKey { // else it is overwritten
			batch = append(batch, ledger.Op{Key: deliveryRecordKey(p.key)})
		}
	}
	// Without a deadline: a batch taken back half-way would leave its outcome unknown. The sender does not wait.
	if err := h.o.Commit(context.Background(), batch); err != nil {
		return fmt.Errorf("write the notification: %w", err)
	}
	return nil
}

func (h *Handler) report(res result, n *Notification, dropped []dropReason) {
	l := level.Debug(h.o.Logger)
	if res == accepted {
		l = level.Info(h.o.Logger)
	}
	firing := 0
	for _, a := range n.Alerts {
		if a.Status == Firing {
			firing++
		}
	}
	l.Log("msg", "notification accepted", "group_key", n.GroupKey, "firing", firing, "resolved", len(n.Alerts)-firing,
		"truncated", n.TruncatedAlerts, "repeat", n.Repeat)
	if len(dropped) > 0 && res == accepted {
		level.Warn(h.o.Logger).Log("msg", "alerts of a notification dropped", "group_key", n.GroupKey, "count", len(dropped), "reason", string(dropped[0]))
	}
}

// complain logs a refusal, one line for each kind in a while: a stranger must not be able to fill the log.
func (h *Handler) complain(res result, r *http.Request, err error) {
	now := h.o.Now()
	h.logMu.Lock()
	q := h.logged[res]
	if age := now.Sub(q.since); !q.since.IsZero() && age >= 0 && age < logEvery {
		q.suppressed++
		h.logged[res] = q
		h.logMu.Unlock()
		return
	}
	h.logged[res] = quiet{since: now}
	h.logMu.Unlock()
	l := level.Warn(h.o.Logger)
	if res == panicked {
		l = level.Error(h.o.Logger)
	}
	l.Log("msg", "notification refused", "result", res.String(), "code", res.code(), "remote", r.RemoteAddr,
		"method", shorten(r.Method, maxName), "uri", shorten(r.RequestURI, maxName), "like_it_before", q.suppressed, "err", err)
}
