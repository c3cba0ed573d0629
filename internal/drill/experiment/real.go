package experiment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/load"
	"github.com/hypervigil/hypervigil/internal/drill/stage"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/targets"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// The times of a trial on the real clock.
const (
	lookEvery   = 200 * time.Millisecond
	loadStarts  = 20 * time.Second
	loadRuns    = 10              // commits before the first fault: where that ends the load at once, there is something to be lost
	afterwards  = 3 * time.Second // after the end, whether something follows
	unexpectedT = 3 * time.Minute // a trial of which nothing is expected
	patience    = time.Minute     // beyond the bound, for a slow machine: then it is told what was missing
	verifyLimit = 90 * time.Second
)

// loadDatabase is the lab's database that the load client makes its tables in.
const loadDatabase = "sales"

// real plays scenarios on the real clock: through the programs as they are shipped, or, in a configuration without a receiver,
// on the lab's servers alone.
type real struct {
	dir      string
	programs stage.Programs
	out      io.Writer

	mu    sync.Mutex
	given []drill.Given
}

// playable reports why a row cannot be played on the real clock; empty where it can.
func playable(s drill.Scenario, e *drill.Expected) string {
	const longest = 7 * time.Minute
	for _, step := range s.Steps {
		if slices.Contains(drill.ChainFaults(), step.Fault) {
			return "it takes a part of the chain away"
		}
	}
	switch {
	case s.Policy == drill.WhitePaperPolicy:
		return "the half hour that a guest gets which lives (G32) is waited for"
	case e != nil && e.Bound > longest, s.Steps[len(s.Steps)-1].At+s.Steps[len(s.Steps)-1].For > longest:
		return "it takes too long"
	case s.World != drill.World{}:
		return "its cluster is another one than the stage's"
	}
	return ""
}

// play plays one trial, and judges it where something is expected of it.
func (r *real) play(ctx context.Context, c setting) (drill.Trial, error) {
	spec, err := clusterOf(c.Scenario, c.Configuration, c.Era, c.Profile)
	if err != nil {
		return drill.Trial{}, err
	}
	dir := filepath.Join(r.dir, "trials", strings.Join([]string{c.Scenario.Name, c.Configuration, c.Era, fmt.Sprint(c.Repetition)}, "."))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return drill.Trial{}, err
	}
	if c.Configuration == drill.MonitoredHostCluster {
		return r.monitored(ctx, c, spec, dir)
	}
	return r.alone(ctx, c, spec, dir)
}

// monitored plays through the whole chain.
func (r *real) monitored(ctx context.Context, c setting, spec model.Spec, dir string) (_ drill.Trial, err error) {
	file, err := os.Create(filepath.Join(dir, "stage.log"))
	if err != nil {
		return drill.Trial{}, err
	}
	defer file.Close()
	o := stage.Options{Dir: dir, Programs: r.programs, Out: file, Profile: c.Profile, Spec: spec, HealCleanStop: c.Scenario.Policy == drill.HealCleanStopPolicy}
	switch c.Scenario.Policy {
	case drill.MovesPolicy:
		o.Rungs = map[string]string{config.RungLiveMigrate: string(config.Act)}
	case drill.InternalPolicy:
		o.InternalLevel = drill.InternalLevel
	}
	s, err := stage.Start(ctx, o)
	if err != nil {
		return drill.Trial{}, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	given, err := ofStage(s)
	if err != nil {
		return drill.Trial{}, err
	}
	r.mu.Lock()
	for _, g := range given {
		if !slices.ContainsFunc(r.given, func(o drill.Given) bool { return o.Name == g.Name && o.Value == g.Value }) {
			r.given = append(r.given, g)
		}
	}
	r.mu.Unlock()
	watched, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.Ended(), func() { cancel(context.Cause(s.Ended())) })()
	return (&course{setting: c, lab: s.Lab, chain: &s.Endpoints, config: s.Config, spec: spec, out: r.out}).play(watched)
}

// alone plays on the lab's servers, with the load client and nobody else.
func (r *real) alone(ctx context.Context, c setting, spec model.Spec, dir string) (_ drill.Trial, err error) {
	l, err := lab.Start(lab.Options{Spec: spec, Dir: dir, Logger: log.NewNopLogger()})
	if err != nil {
		return drill.Trial{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	path, err := l.Config(lab.ConfigOptions{Dir: dir})
	if err != nil {
		return drill.Trial{}, err
	}
	cfg, err := config.Load(path)
	if err != nil {
		return drill.Trial{}, err
	}
	return (&course{setting: c, lab: l, config: cfg, spec: spec}).play(ctx)
}

// course is one trial on the real clock. It has one goroutine beside the load's.
type course struct {
	setting
	lab    *lab.Lab
	chain  *drill.Endpoints // nil: there is nothing but the lab
	config *config.Config
	spec   model.Spec
	out    io.Writer

	observer *observer
	due      []happening
	faults   []string // the ids of what was injected
	last     drill.Observation
}

// happening is a step, or its mending.
type happening struct {
	after time.Duration
	do    func() error
}

func (c *course) play(ctx context.Context) (drill.Trial, error) {
	client, remove, err := c.client(ctx)
	if err != nil {
		return drill.Trial{}, err
	}
	defer remove()
	loading, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	var work sync.WaitGroup
	var loadErr error
	work.Go(func() { loadErr = client.Run(loading) })
	if err := until(ctx, loadStarts, func() bool { return client.Tally().Acknowledged >= loadRuns }); err != nil {
		stopLoad()
		work.Wait()
		return drill.Trial{}, fmt.Errorf("the load's first commits: %w", err)
	}
	c.observer = newObserver(c.setting)
	err = c.follow(ctx)
	stopLoad()
	work.Wait()
	if err = errors.Join(err, loadErr); err != nil {
		return drill.Trial{}, err
	}
	t := c.observer.trial(drill.RealClock)
	c.observer.judge(&t)
	return t, c.verify(ctx, client, &t)
}

// client makes the load client, and what removes its tables.
func (c *course) client(ctx context.Context) (*load.Client, func(), error) {
	vm := c.config.Clusters[0].VirtualMachine(c.Scenario.Victim.VM)
	if vm == nil || len(vm.SQLServers) == 0 {
		return nil, nil, fmt.Errorf("%s: victim.vm: no SQL Server on %q", c.Scenario.File, c.Scenario.Victim.VM)
	}
	server := vm.SQLServers[0]
	if name := c.Scenario.Victim.Instance; name != "" {
		if server = vm.SQLServer(name); server == nil {
			return nil, nil, fmt.Errorf("%s: victim.instance: %q is not on %s", c.Scenario.File, name, vm.Name)
		}
	}
	of := targets.New(c.config, log.NewNopLogger())
	prober, err := of.SQL(c.config.Clusters[0], server)
	if err != nil {
		return nil, nil, errors.Join(err, of.Close())
	}
	client, err := load.New(load.Options{Prober: prober, Instance: vm.Name + "/" + server.Instance, Database: loadDatabase})
	if err == nil {
		err = client.Prepare(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, of.Close())
	}
	return client, func() {
		_ = of.Close() // the tables go with the lab
	}, nil
}

// until waits for something.
func until(ctx context.Context, limit time.Duration, is func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("it did not come within %s: %w", limit, context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}

// follow does the steps in their time and watches until the trial has come to its end.
func (c *course) follow(ctx context.Context) error {
	c.plan()
	began := time.Now()
	begins := c.Scenario.Begins().At
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var ended time.Time
	for {
		for len(c.due) > 0 && time.Since(began) >= c.due[0].after {
			do := c.due[0].do
			c.due = c.due[1:]
			if err := do(); err != nil {
				return err
			}
		}
		if !c.observer.began.IsZero() {
			c.look(ctx)
			gone := time.Since(c.observer.began)
			switch {
			case !c.over(gone):
				ended = time.Time{}
			case ended.IsZero():
				ended = time.Now()
			case time.Since(ended) >= afterwards:
				return nil
			}
		} else if time.Since(began) > begins+patience {
			return errors.New("the trial's clock never began")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// plan puts the steps and their mending into their order.
func (c *course) plan() {
	for n, step := range c.Scenario.Steps {
		begins := step == c.Scenario.Begins()
		c.due = append(c.due, happening{step.At, func() error {
			for _, r := range requests(c.Scenario, step, c.spec) {
				in, err := c.lab.Inject(r)
				if err != nil {
					return fmt.Errorf("%s: steps[%d]: %w", c.Scenario.File, n, err)
				}
				if begins && c.observer.began.IsZero() {
					c.observer.begin(time.Time(in.At))
					c.observer.watch.Out = c.out
				}
				c.faults = append(c.faults, in.ID)
				if step.For > 0 {
					c.due = append(c.due, happening{step.At + step.For, func() error { c.lab.Heal(in.ID); return nil }})
				}
			}
			slices.SortStableFunc(c.due, func(a, b happening) int { return cmp.Compare(a.after, b.after) })
			return nil
		}})
	}
}

// look asks every part once.
func (c *course) look(ctx context.Context) {
	now := drill.Observation{At: time.Now()}
	if c.chain != nil {
		// A part that does not answer once takes nothing back, and is asked again.
		if list, err := c.chain.Incidents(ctx); err == nil {
			now.Incidents = append([]incident.Incident{}, list...)
		}
		if list, err := c.chain.Alerts(ctx); err == nil {
			now.Alerts = list
		}
		if c.last.Failed.IsZero() {
			at, ok, err := c.chain.FirstFailedProbe(ctx, "", c.Scenario.Victim.VM, c.Scenario.Victim.Instance, c.observer.began)
			if err == nil && ok {
				now.Failed = at
			}
		}
	}
	c.last = now
	c.lab.With(func(m *model.Model) { c.observer.see(m, now) })
}

// over reports whether nothing is waited for any more.
func (c *course) over(gone time.Duration) bool {
	if len(c.due) > 0 {
		return false
	}
	e := c.Expected
	if e == nil {
		return gone > unexpectedT || c.observer.ended || c.chain == nil && c.observer.wasDown()
	}
	switch {
	case gone > e.Bound+patience:
		return true // whatever was expected did not come
	case len(c.observer.all.hanging()) > 0:
		return false
	case e.Outcome == drill.Down || e.Outcome == drill.NoFault:
		return gone > 2*c.quiet() || gone > c.quiet() && c.observer.ended
	case c.chain == nil:
		return c.observer.wasDown()
	case c.observer.known.Incident == "":
		// The cluster was faster than any alert: nothing is waited for but an alert that comes all the same.
		return c.observer.wasDown() && c.observer.silence(gone) > c.quiet()
	}
	return c.observer.ended
}

// quiet is how long it is watched that nothing happens: longer than the cluster and the chain take for anything that they do.
func (c *course) quiet() time.Duration {
	if c.Profile.Shortened > 1 {
		return 20 * time.Second
	}
	return 60 * time.Second
}

// verify mends what is still broken, has SQL Server's word on what was committed, and judges that.
func (c *course) verify(ctx context.Context, client *load.Client, t *drill.Trial) error {
	for _, id := range slices.Backward(c.faults) {
		c.lab.Heal(id)
	}
	ctx, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	r, err := client.Verify(ctx)
	if err != nil {
		return fmt.Errorf("verify what was committed: %w", err)
	}
	lost := seconds(r.TCPLost)
	t.Acknowledged, t.Lost, t.Unknown, t.TCPLostSeconds = &r.Acknowledged, &r.Lost, &r.Unknown, &lost
	fail := func(format string, args ...any) { t.Failures = append(t.Failures, fmt.Sprintf(format, args...)) }
	switch {
	case r.Acknowledged == 0:
		fail("load: no commit was acknowledged")
	case r.Lost > 0:
		fail("load: %d of %d acknowledged commits are lost", r.Lost, r.Acknowledged)
	}
	if r.Ghosts > 0 || r.Torn > 0 {
		fail("load: %d transactions are there that failed, %d products are torn", r.Ghosts, r.Torn)
	}
	return client.Remove(ctx)
}

func seconds(d time.Duration) float64 { return drill.Seconds(d.Seconds()) }
