// Package probe is what the probers share: how a collector answers, why it could not, and the few shapes that their
// metrics have. It asks nothing of anybody.
//
// A prober is a function that returns the collectors of one target. A collector asks its source for typed data and
// turns them into metrics; it is safe for concurrent use, because the next probe may begin before one that hangs has
// ended.
package probe

import (
	"context"
	"errors"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
)

// Collector asks one thing of one target. Collect returns when ctx ends, whatever the peer does.
type Collector struct {
	Name    string
	Collect func(ctx context.Context, l log.Logger) Result
}

// Session is what one probe of one target needs: the collectors, which run at the same time, and Wait, which returns
// when nothing is under way any more once they have returned and their context has ended. Wait may be nil.
type Session struct {
	Collectors []Collector
	Wait       func()
}

// Result is what a collector found out. Metrics holds what is known, also beside an error; Err says why not all of it
// is, and is nil when the collector could see what it is there for.
type Result struct {
	Metrics []prometheus.Metric
	Err     error
}

// Error is a failure whose reason is already known.
type Error struct {
	Why dial.Reason
	Err error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Reason returns why.
func (e *Error) Reason() dial.Reason { return e.Why }

// Reason says why a source failed: the error's own reason where it has one, otherwise what the cluster's objects make
// of its type.
func Reason(err error) dial.Reason {
	var known interface{ Reason() dial.Reason }
	if errors.As(err, &known) {
		return known.Reason()
	}
	return cluster.Reason(err)
}

// Verdict reports whether a failure says anything about the peer's health: it refused, or it took the connection and
// then kept silent or talked nonsense. Silence on the network, a router's word and our own mistakes say nothing; an
// up gauge is then left out and not 0.
func Verdict(r dial.Reason) bool {
	switch r {
	case dial.Answered, dial.Refused, dial.TLSTimeout, dial.LoginTimeout, dial.QueryTimeout, dial.ProviderHung, dial.Protocol:
		return true
	case dial.DNS, dial.TLS, dial.Auth, dial.Permission, dial.Namespace, dial.Unreachable, dial.TCPTimeout, dial.Other:
		return false
	}
	return false
}

// Descs makes the descriptions of one target's metrics. Every one carries the target's own labels.
type Descs struct{ target prometheus.Labels }

// NewDescs returns Descs for a target with these labels.
func NewDescs(target prometheus.Labels) Descs { return Descs{target} }

// New describes a metric of the target with further labels.
func (d Descs) New(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, d.target)
}

// Set collects metrics.
type Set []prometheus.Metric

// Gauge adds a gauge.
func (s *Set) Gauge(d *prometheus.Desc, v float64, labels ...string) {
	*s = append(*s, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...))
}

// Counter adds a counter.
func (s *Set) Counter(d *prometheus.Desc, v float64, labels ...string) {
	*s = append(*s, prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...))
}

// Bool adds a gauge of 1 or 0.
func (s *Set) Bool(d *prometheus.Desc, v bool, labels ...string) {
	s.Gauge(d, Float(v), labels...)
}

// Seconds adds a gauge in seconds.
func (s *Set) Seconds(d *prometheus.Desc, v time.Duration, labels ...string) {
	s.Gauge(d, v.Seconds(), labels...)
}

// Time adds a moment as seconds since 1970; a zero one is unknown and adds nothing.
func (s *Set) Time(d *prometheus.Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		s.Gauge(d, float64(t.UnixMicro())/1e6, labels...)
	}
}

// Other is the state that a state set shows for a value nobody told us about.
const Other = "other"

// States adds a state set: one series for each state, 1 for the present one. The state is the last label. states has
// to end in Other, which stands for every state that is not in it.
func (s *Set) States(d *prometheus.Desc, states []string, present string, labels ...string) {
	found := false
	for _, state := range states {
		is := state == present || state == Other && !found
		found = found || is
		s.Bool(d, is, append(labels[:len(labels):len(labels)], state)...)
	}
}

// Float is 1 for true.
func Float(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
