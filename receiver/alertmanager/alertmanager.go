// Package alertmanager asks Alertmanager back, over its API v2: whether an alert is still active, and which alerts ask
// to be acted on. A notification is only a wake-up call; what the receiver acts on is the answer to these questions.
//
//	c, err := alertmanager.New(alertmanager.Options{URLs: cfg.Receiver.Alertmanagers, Logger: logger})
//	reading := c.Ask(ctx, incident.Alert.Labels)
//
// All Alertmanagers are asked at once. One that has not answered in full when the context ends, or after 5 s where the
// context has no deadline, was not reachable. Nothing is written to Alertmanager, ever: a silence set for our own alert
// would look to us like its end.
//
// A Client is safe for concurrent use. It keeps no connection between questions: each has its own, so that one that
// died unnoticed never costs an answer.
package alertmanager

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// defaultTimeout bounds a question whose context has no deadline.
const defaultTimeout = 5 * time.Second

// The label and its value by which an alert asks to be acted on.
const (
	actLabel = "hypervigil"
	actValue = "act"
)

// errClosed says that Close was called.
var errClosed = errors.New("client is closed")

// Options are what a Client needs; all of it.
type Options struct {
	URLs   []string // base URLs, with a path prefix where Alertmanager has one; no credential in them
	Logger log.Logger
	// Names remembers what the URLs' names resolved to; nil remembers nothing.
	Names *dial.Names
}

// Client asks the configured Alertmanagers.
type Client struct {
	peers  []*peer
	logger log.Logger
	closed atomic.Bool
}

// Alert is one alert that asks to be acted on, as the Alertmanagers hold it now.
type Alert struct {
	Labels      map[string]string
	StartsAt    time.Time
	Fingerprint string
	// Suppressed says that another Alertmanager silences or inhibits it.
	Suppressed bool
}

// New makes a Client; it connects to nothing. A URL that cannot be used is an error that names it, but for a password
// in it.
func New(o Options) (*Client, error) {
	if o.Logger == nil {
		return nil, errors.New("make alertmanager client: no logger")
	}
	if len(o.URLs) == 0 {
		return nil, errors.New("make alertmanager client: no URL")
	}
	c := &Client{logger: o.Logger}
	for i, raw := range o.URLs {
		p, err := newPeer(raw, o.Names)
		if err != nil {
			return nil, fmt.Errorf("alertmanager %d of %d: %w", i+1, len(o.URLs), err)
		}
		c.peers = append(c.peers, p)
	}
	return c, nil
}

// Close ends the use of the client: what is being asked goes on until its context ends, whatever is asked later has no
// answer.
func (c *Client) Close() { c.closed.Store(true) }

// Acting lists the alerts that ask to be acted on and that at least one Alertmanager holds as active, neither silenced
// nor inhibited: one for each fingerprint, with the earliest StartsAt, in the fingerprints' order. It is an error only
// where no Alertmanager answered.
func (c *Client) Acting(ctx context.Context) ([]Alert, error) {
	answers := c.all(ctx, map[string]string{actLabel: actValue})
	if reachable(answers) == 0 {
		return nil, joined(answers)
	}
	found := map[string]Alert{}
	active := map[string]bool{}
	for _, a := range answers {
		for _, g := range a.alerts {
			fingerprint := *g.Fingerprint
			alert, known := found[fingerprint]
			if !known {
				alert = Alert{Labels: maps.Clone(g.Labels), Fingerprint: fingerprint}
			}
			alert.StartsAt = earliest(alert.StartsAt, time.Time(*g.StartsAt))
			alert.Suppressed = alert.Suppressed || suppressed(g)
			found[fingerprint] = alert
			active[fingerprint] = active[fingerprint] || !suppressed(g)
		}
	}
	var list []Alert
	for _, fingerprint := range slices.Sorted(maps.Keys(found)) {
		if active[fingerprint] {
			list = append(list, found[fingerprint])
		}
	}
	return list, nil
}

// Ask says how the alert with exactly these labels is now (G7). It is active only where every Alertmanager that
// answered has it and none silences or inhibits it; one that has lost it, after a restart for example, is reason enough
// to wait. StartsAt is the earliest that any of them says, and zero where none has the alert.
//
// The reading is as old as the first of the answers. It has a Failure where nobody answered; Detail names those that
// did not.
func (c *Client) Ask(ctx context.Context, labels map[string]string) evidence.Reading[evidence.Alert] {
	labels = withoutEmpty(labels)
	answers := c.all(ctx, labels)
	r := evidence.Reading[evidence.Alert]{Value: evidence.Alert{Asked: len(c.peers), Reachable: reachable(answers)}}
	if err := joined(answers); err != nil {
		r.Detail = err.Error()
	}
	if r.Value.Reachable == 0 {
		// The first configured one stands for all; Detail has every one's own.
		r.At, r.Failure = answers[0].at, answers[0].failure.Reason
		return r
	}
	has := 0
	for _, a := range answers {
		if a.failure != nil {
			continue
		}
		r.At = earliest(r.At, a.at)
		// The filter finds alerts that have more labels than these as well.
		i := slices.IndexFunc(a.alerts, func(g *models.GettableAlert) bool { return maps.Equal(g.Labels, labels) })
		if i < 0 {
			continue
		}
		has++
		r.Value.StartsAt = earliest(r.Value.StartsAt, time.Time(*a.alerts[i].StartsAt))
		r.Value.Suppressed = r.Value.Suppressed || suppressed(a.alerts[i])
	}
	r.Value.Active = has == r.Value.Reachable && !r.Value.Suppressed
	return r
}

// answer is what one Alertmanager said, or why it did not.
type answer struct {
	alerts  []*models.GettableAlert
	failure *Error
	at      time.Time // when the answer, or the failure, was there
}

// all puts the same question to every Alertmanager at once. There is an answer for each, in the configuration's order.
func (c *Client) all(ctx context.Context, labels map[string]string) []answer {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultTimeout)
		defer cancel()
	}
	answers := make([]answer, len(c.peers))
	var work sync.WaitGroup
	for i, p := range c.peers {
		if c.closed.Load() {
			answers[i] = answer{failure: &Error{URL: p.name, Reason: dial.Other, Err: errClosed}, at: time.Now()}
			continue
		}
		work.Go(func() {
			alerts, failure := p.alerts(ctx, labels)
			answers[i] = answer{alerts: alerts, failure: failure, at: time.Now()}
		})
	}
	work.Wait()
	for _, a := range answers {
		if a.failure != nil {
			level.Debug(c.logger).Log("msg", "alertmanager did not answer", "url", a.failure.URL, "reason", a.failure.Reason, "err", a.failure.Err)
		}
	}
	return answers
}

func reachable(answers []answer) int {
	n := 0
	for _, a := range answers {
		if a.failure == nil {
			n++
		}
	}
	return n
}

// joined returns one error of one line for all that did not answer, nil where there is none.
func joined(answers []answer) error {
	var all failures
	for _, a := range answers {
		if a.failure != nil {
			all = append(all, a.failure)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// failures are the errors of several Alertmanagers.
type failures []*Error

func (f failures) Error() string {
	texts := make([]string, len(f))
	for i, e := range f {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap lets errors.As find each.
func (f failures) Unwrap() []error {
	errs := make([]error, len(f))
	for i, e := range f {
		errs[i] = e
	}
	return errs
}

// suppressed reports whether people are not being told of an alert: it is silenced, inhibited, or muted by a time
// interval. An alert that Alertmanager has not looked at yet ("unprocessed") may turn out to be any of these.
func suppressed(g *models.GettableAlert) bool {
	return *g.Status.State != models.AlertStatusStateActive ||
		len(g.Status.SilencedBy)+len(g.Status.InhibitedBy)+len(g.Status.MutedBy) > 0
}

// earliest returns the earlier of two moments; a zero one does not count.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b.UTC()
	}
	return a
}

// withoutEmpty leaves out labels without a value, which to Alertmanager are no labels.
func withoutEmpty(labels map[string]string) map[string]string {
	labels = maps.Clone(labels)
	maps.DeleteFunc(labels, func(_, value string) bool { return value == "" })
	return labels
}

var _ error = failures(nil)

// Error says why an Alertmanager could not be asked.
type Error struct {
	URL    string // its base URL
	Reason dial.Reason
	Err    error
}

var _ error = (*Error)(nil)

func (e *Error) Error() string { return fmt.Sprintf("ask %s: %s: %v", e.URL, e.Reason, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
