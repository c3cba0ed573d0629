package onsite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// echo asks a machine again and again for an answer to an ICMP echo request. It is used by one goroutine.
type echo interface {
	// Ask sends one request. It returns nil once that was answered, and an error where it was not when ctx ended.
	Ask(ctx context.Context) error
	Close() error
}

// The rhythm of the requests, as of the load's connections, so that what both call lost can be compared.
const (
	echoEvery    = 100 * time.Millisecond
	echoPatience = 500 * time.Millisecond
)

// pings measures for how long echo requests were not answered: from the first that was not to the answer that ended it, all
// outages together. Its methods are safe for concurrent use; run is called once.
type pings struct {
	echo echo

	mu       sync.Mutex
	answered bool          // once at least
	lost     time.Duration // of the outages that are over
	since    time.Time     // of the one that is not; zero: there is none
	last     error         // of the newest request without an answer; errUnasked before the first
}

var errUnasked = errors.New("none was asked for")

func newPings(e echo) *pings { return &pings{echo: e, last: errUnasked} }

// run asks until ctx ends.
func (p *pings) run(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		asking, cancel := context.WithTimeout(ctx, echoPatience)
		err := p.echo.Ask(asking)
		cancel()
		if ctx.Err() != nil {
			return // what was cut short says nothing
		}
		p.asked(began, time.Now(), err)
		pause(ctx, echoEvery-time.Since(began))
	}
}

// asked notes how a request went. A machine that has never answered is not lost: something between does not let echoes pass.
func (p *pings) asked(began, ended time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil && !p.since.IsZero():
		p.lost += ended.Sub(p.since)
		p.since = time.Time{}
	case err == nil:
		p.answered = true
	case p.answered && p.since.IsZero():
		p.since = began
	}
	if err != nil {
		p.last = err
	}
}

// result is for how long the answers were lost by now; nil, with the reason, where no request was ever answered.
func (p *pings) result(now time.Time) (*time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.answered {
		return nil, fmt.Errorf("no echo was answered, not even before the fault: %w", p.last)
	}
	lost := p.lost
	if !p.since.IsZero() {
		lost += now.Sub(p.since)
	}
	return &lost, nil
}
