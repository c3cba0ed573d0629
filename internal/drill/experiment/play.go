package experiment

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/drill"
)

// abreast is how many trials without a receiver run at once: they wait most of the time.
const abreast = 4

// monitored reports whether a receiver is there.
func (c setting) monitored() bool { return c.Configuration == drill.MonitoredHostCluster }

// playAll plays the trials in their order and returns those that were played, in that order. Those in virtual time run one
// after the other, those on the real clock without a receiver several at once, those through the whole chain alone. It ends
// at the first that cannot be played.
func playAll(ctx context.Context, plan []setting, on *real, p *progress) ([]drill.Trial, error) {
	v := &virtual{}
	trials := make([]*drill.Trial, len(plan))
	var (
		mu    sync.Mutex
		first error
		work  sync.WaitGroup
		slots = make(chan struct{}, abreast)
	)
	failed := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return first != nil
	}
	done := func(n int, t drill.Trial, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			if first == nil {
				c := plan[n]
				first = fmt.Errorf("%s in %s, era %s, %s clock: %w", c.Scenario.Name, c.Configuration, c.Era, c.Clock, err)
			}
			return
		}
		trials[n] = &t
		p.done(plan[n], t)
	}
	for n, c := range plan {
		if ctx.Err() != nil || failed() {
			break
		}
		switch {
		case c.Clock == drill.VirtualClock:
			t, err := v.play(c)
			done(n, t, err)
		case c.monitored():
			work.Wait()
			p.begins(c)
			t, err := on.play(ctx, c)
			done(n, t, err)
		default:
			slots <- struct{}{}
			work.Go(func() {
				defer func() { <-slots }()
				t, err := on.play(ctx, c)
				done(n, t, err)
			})
		}
	}
	work.Wait()
	var list []drill.Trial
	for _, t := range trials {
		if t != nil {
			list = append(list, *t)
		}
	}
	if first == nil && ctx.Err() != nil {
		first = context.Cause(ctx)
	}
	return list, first
}

// progress tells how far a drill is. Its methods are called one at a time.
type progress struct {
	out   io.Writer
	left  []setting
	began time.Time
	n     int
	total int
}

// expectedTime is about how long a trial takes.
func expectedTime(c setting) time.Duration {
	if c.Clock == drill.VirtualClock {
		return 150 * time.Millisecond
	}
	d := 45 * time.Second
	if c.Expected != nil {
		d = max(d, c.Expected.Bound/2)
	}
	if c.monitored() {
		return d + 30*time.Second
	}
	return d / abreast
}

// remaining is about how long the rest takes.
func (p *progress) remaining() time.Duration {
	var d time.Duration
	for _, c := range p.left {
		d += expectedTime(c)
	}
	return d.Round(time.Second)
}

func (p *progress) begins(c setting) {
	fmt.Fprintf(p.out, "\n%s in %s, era %s, profile %s, trial %d, through the whole chain. Seconds count from the fault.\n", c.Scenario.Title, c.Configuration, c.Era, c.Profile.Name, c.Repetition)
}

func (p *progress) done(c setting, t drill.Trial) {
	p.n++
	if p.total == 0 {
		p.total = len(p.left)
	}
	for i := range p.left {
		o := p.left[i]
		if o.Scenario.Name == c.Scenario.Name && o.Configuration == c.Configuration && o.Era == c.Era && o.Clock == c.Clock && o.Repetition == c.Repetition {
			p.left = append(append([]setting{}, p.left[:i]...), p.left[i+1:]...)
			break
		}
	}
	verdict := "as expected"
	switch {
	case len(t.Failures) > 0:
		verdict = "DIFFERS: " + strings.Join(t.Failures, "; ")
	case c.Expected == nil:
		verdict = "nothing was expected"
	}
	took := ""
	if t.SQLDownSeconds != nil {
		took = fmt.Sprintf(", down %.1f s", *t.SQLDownSeconds)
	}
	fmt.Fprintf(p.out, "[%3d/%d] %-7s %-26s %-23s %-6s  %s%s; %s. About %s left.\n", p.n, p.total, c.Clock, c.Scenario.Name, c.Configuration, c.Era, t.Outcome, took, verdict, p.remaining())
}
