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

// Float is 1 for true.
func Float(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
