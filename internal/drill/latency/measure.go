package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hypervigil/hypervigil/internal/budget"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/stage"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/rules"
)

type options struct {
	dir, prometheus, promtool, alertmanager string
	n, chains                               int
	seed                                    uint64
}

// The patience of a run.
const (
	pollEvery  = 50 * time.Millisecond
	readyLimit = 3 * time.Minute // until every machine was rehearsed once: that is done every minute
	wellLimit  = 3 * time.Minute // until all is well again after a trial
	slack      = time.Minute     // beyond the worst that was reckoned, before a trial is given up

	// Alertmanager forgets an empty group when it next tidies up (--dispatch.maintenance-interval, 30 s; dispatch/dispatch.go of
	// v0.31.1). Until then an alert of the same machine is sent with the group's next group_interval, not at once: a fault
	// that follows so soon on the one before is no fault of a machine that was well.
	tidying    = 30 * time.Second
	idleMargin = 2 * time.Second
)

// measure runs the rows one after the other, and reports whether each reached its goal. A row that breaks off is a miss with its
// reason, and the next one is measured.
func measure(ctx context.Context, o options, list []row, out io.Writer) (met bool, err error) {
	if o.seed == 0 {
		o.seed = rand.Uint64() //nolint:gosec // a moment, not a secret
	}
	r := newReport(o.seed)
	for _, x := range list {
		if o.n > 0 {
			x.Chains = min(x.Chains, o.n)
		}
		if o.chains > 0 {
			x.Chains = o.chains
		}
		m := &measurement{result: &result{row: x}, options: o, left: x.N, out: out}
		if o.n > 0 {
			m.left = o.n
		}
		r.Results = append(r.Results, m.result)
		m.save = func() error { return r.write(o.dir) }
		fmt.Fprintf(out, "\n%s: %s, %d trials in %d chains\n", x.Name, x.Fault, m.left, x.Chains)
		runErr := m.run(ctx)
		if runErr != nil {
			m.Broken = runErr.Error()
		}
		m.judge()
		if err := m.save(); err != nil || ctx.Err() != nil {
			return false, errors.Join(runErr, err)
		}
	}
	met = r.print(out)
	fmt.Fprintf(out, "%s, %d cores, seed %d; every sample in %s\n", r.Platform, r.Cores, r.Seed, filepath.Join(o.dir, "report.json"))
	return met, nil
}

// measurement is one row under way: its chains are independent of each other, each with a lab, an exporter, a Prometheus, an
// Alertmanager and a receiver of its own, and share nothing but the row's trials and the machine.
type measurement struct {
	*result
	options options
	save    func() error

	mu   sync.Mutex // of everything below, of the result and of save
	out  io.Writer
	left int // trials that no chain has taken
	took int
}

// run measures all the row's trials.
func (m *measurement) run(ctx context.Context) error {
	began, before := time.Now(), processorTime()
	group, ctx := errgroup.WithContext(ctx)
	for k := range m.Chains {
		group.Go(func() error {
			for {
				ended, err := m.chain(ctx, k+1)
				if err != nil {
					return fmt.Errorf("chain %d: %w", k+1, err)
				}
				if ended {
					return nil
				}
			}
		})
	}
	err := group.Wait()
	m.Seconds = time.Since(began).Seconds()
	m.OwnCores = (processorTime() - before).Seconds() / m.Seconds
	return err
}

// take is the number of a trial that nobody has taken yet, from 1; false where there is none.
func (m *measurement) take() (int, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left == 0 {
		return 0, false
	}
	m.left--
	m.took++
	return m.took, true
}

// done keeps a sample.
func (m *measurement) done(x sample) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Samples = append(m.Samples, x)
	said := "no command: " + x.Why
	if x.FirstCommand != nil {
		said = fmt.Sprintf("%.2f s (%s)", *x.FirstCommand, x.Command)
	}
	fmt.Fprintf(m.out, "  %d of %d: chain %d, %s, %s\n", len(m.Samples), m.took+m.left, x.Chain, x.VM, said)
	m.judge()
	return m.save()
}

// alike keeps what all chains of a row have alike, and prints it for the first.
func (m *measurement) alike(s *stage.Stage, dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Overrides != nil {
		return nil
	}
	var err error
	if m.Overrides, err = s.Overrides(); err != nil {
		return err
	}
	for _, x := range m.Overrides {
		fmt.Fprintf(m.out, "  not the default: %s is %s, not %s\n", x.Name, x.Value, x.Default)
	}
	return m.reckon(dir, s)
}

// trials is one chain of a row.
type trials struct {
	*measurement
	number int
	stage  *stage.Stage
	kept   string               // the ledger that each trial starts from
	well   map[string]time.Time // since when a machine that was broken is well again
}

// idle is how much longer a machine has to be left alone before it is as one that was never broken.
func (t *trials) idle(vm string, now time.Time) time.Duration {
	since, broken := t.well[vm]
	if !broken {
		return 0
	}
	return max(0, since.Add(t.again+tidying+idleMargin).Sub(now))
}

// chain sets a chain up and takes trials until none is left. Where the receiver leaves a fault alone, or all is not well
// again, ended is false and the next trial needs a chain set up anew.
func (m *measurement) chain(ctx context.Context, number int) (ended bool, err error) {
	o := m.options
	programs := stage.Ours(o.dir)
	programs.Prometheus, programs.Promtool, programs.Alertmanager = o.prometheus, o.promtool, o.alertmanager
	dir := filepath.Join(o.dir, "files", m.Name, strconv.Itoa(number))
	s, err := stage.Start(ctx, stage.Options{
		Dir: dir, Programs: programs, Out: io.Discard, Profile: model.Quick(), Speed: m.Speed, Measured: true, Policy: m.policy,
	})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.Ended(), func() { cancel(context.Cause(s.Ended())) })()
	if err := m.alike(s, dir); err != nil {
		return false, err
	}
	t := &trials{measurement: m, number: number, stage: s, kept: filepath.Join(dir, "ledger.kept"), well: map[string]time.Time{}}
	if err := t.keepLedger(ctx); err != nil {
		return false, err
	}
	for k := number - 1; ; k++ {
		n, ok := m.take()
		if !ok {
			return true, nil
		}
		x, well, err := t.trial(ctx, n, machines()[k%len(machines())])
		if err != nil {
			return false, fmt.Errorf("trial %d: %w", n, err)
		}
		if err := m.done(x); err != nil {
			return false, err
		}
		if !well {
			return false, nil
		}
	}
}

// reckon is what hypervigilctl budget says of the files that run, with the lab's own heartbeat: a guest that dies there
// stops beating at once.
func (r *result) reckon(dir string, s *stage.Stage) error {
	sources := budget.Sources{Modules: s.Config.Exporter.Modules, Rules: map[string][]byte{}}
	var err error
	if sources.Prometheus, err = os.ReadFile(filepath.Join(dir, "prometheus.yml")); err != nil {
		return err
	}
	if sources.Alertmanager, err = os.ReadFile(filepath.Join(dir, "alertmanager.yml")); err != nil {
		return err
	}
	if sources.Rules[rules.File], err = os.ReadFile(filepath.Join(dir, rules.File)); err != nil {
		return err
	}
	chain, err := budget.Read(sources)
	if err != nil {
		return err
	}
	p := s.Lab.Profile()
	classes, err := chain.Reckon(budget.Given{
		Policy: s.Config.Receiver.Policies[config.StandardPolicy],
		Info:   cluster.Info{SameSubnetDelay: p.HeartbeatDelay, SameSubnetThreshold: p.HeartbeatThreshold, ResiliencyDefaultPeriod: p.Resiliency},
	})
	if err != nil {
		return err
	}
	n := slices.IndexFunc(classes, func(c budget.Class) bool { return c.Fault == r.Class })
	if n < 0 {
		return fmt.Errorf("no alert acts on the class %s", r.Class)
	}
	if len(classes[n].Notes) > 0 {
		return fmt.Errorf("nothing to measure: %s", strings.Join(classes[n].Notes, "; "))
	}
	r.Reckoned, r.Alert, r.again = classes[n].Total, classes[n].Alert, classes[n].Again
	return nil
}

// keepLedger waits until the receiver knows every machine to be well and ready to be rescued by the row's rung, and keeps the
// ledger that it has written by then.
func (t *trials) keepLedger(ctx context.Context) error {
	err := t.wait(ctx, readyLimit, "every machine to be ready for "+string(t.rung), func() (bool, error) {
		return t.rehearsed(ctx)
	})
	if err != nil {
		return err
	}
	return t.stage.RestartReceiver(ctx, func(ledger string) error { return replace(t.kept, ledger) })
}

// replace makes to what from is, with nothing of what stood there.
func replace(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	// What was recorded for a replay belongs to the other ledger.
	if err := errors.Join(os.RemoveAll(to), os.RemoveAll(to+".replay")); err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

// rehearsed reports whether the receiver says of every machine of the trials that its rung could be carried out now.
func (t *trials) rehearsed(ctx context.Context) (bool, error) {
	text, err := t.stage.Endpoints.ReceiverMetrics(ctx)
	if err != nil {
		return false, err
	}
	for _, vm := range machines() {
		ready := slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool {
			return strings.HasPrefix(line, "hypervigil_rescue_ready{") && strings.HasSuffix(line, "} 1") &&
				strings.Contains(line, `rung="`+string(t.rung)+`"`) && strings.Contains(line, `vm="`+vm+`"`)
		})
		if !ready {
			return false, nil
		}
	}
	return true, nil
}

// trial is one fault, from the kept ledger to the moment at which all is well again; well is false where that does not come. A
// command that does not come within the worst that was reckoned and a minute is a sample too: one without a command.
func (t *trials) trial(ctx context.Context, number int, vm string) (x sample, well bool, err error) {
	select {
	case <-ctx.Done():
		return sample{}, false, context.Cause(ctx)
	case <-time.After(t.idle(vm, time.Now())):
	}
	err = t.stage.RestartReceiver(ctx, func(ledger string) error { return replace(ledger, t.kept) })
	if err != nil {
		return sample{}, false, err
	}
	timing, err := t.Speed.Timing()
	if err != nil {
		return sample{}, false, err
	}
	scrape := timing.SQL
	if t.Class != evidence.Service && t.Class != evidence.Hang {
		scrape = timing.Host // the slower of the two that have to see it
	}
	// Of the trial's own number, so that the seed repeats it whichever chain takes it.
	random := rand.New(rand.NewPCG(t.options.seed, uint64(number))) //nolint:gosec // a moment, not a secret
	wait := time.Duration(random.Int64N(int64(scrape + timing.Evaluation)))
	select {
	case <-ctx.Done():
		return sample{}, false, context.Cause(ctx)
	case <-time.After(wait):
	}
	hit := t.hit(vm)
	in, err := t.stage.Lab.Inject(model.Request{Fault: t.Fault, VM: vm})
	if err != nil {
		return sample{}, false, err
	}
	at := time.Time(in.At)
	x = sample{Number: number, Chain: t.number, VM: vm, At: at.UTC(), After: wait.Seconds(), Load: drill.Load()}
	err = t.wait(ctx, t.Reckoned.Worst+slack, "the first command for "+vm, func() (bool, error) {
		counters, err := t.stage.Endpoints.Counters(ctx)
		if err != nil {
			return false, err
		}
		for _, vm := range hit {
			for _, c := range counters.VMs[vm].Commands {
				d := c.At.Sub(at).Seconds()
				if !c.At.Before(at.Truncate(time.Millisecond)) && (x.FirstCommand == nil || d < *x.FirstCommand) {
					x.FirstCommand, x.Command = &d, c.Method
				}
			}
		}
		return x.FirstCommand != nil, nil
	})
	if ctx.Err() != nil {
		return sample{}, false, context.Cause(ctx)
	}
	if err != nil {
		x.Why = errors.Join(err, t.why(ctx, vm)).Error()
		return x, false, nil
	}
	if x.Detection, err = t.detection(ctx, vm, at); err != nil {
		return sample{}, false, err
	}
	err = t.mend(ctx, in.ID)
	if ctx.Err() != nil {
		return sample{}, false, context.Cause(ctx)
	}
	if err != nil {
		x.Why = err.Error()
	}
	for _, vm := range hit {
		t.well[vm] = time.Now()
	}
	return x, err == nil, nil
}

// hit lists the machines of which a command follows from the row's fault: a host's board is that of all that it runs, and
// which of them the receiver takes first is its own choice.
func (t *trials) hit(vm string) []string {
	if t.Fault != model.LANBoard {
		return []string{vm}
	}
	var list []string
	t.stage.Lab.With(func(m *model.Model) {
		for _, v := range m.VMs {
			if v.Owner == m.VM(vm).Owner {
				list = append(list, v.Name)
			}
		}
	})
	return list
}

// detection is when the receiver opened the first incident of the machine.
func (t *trials) detection(ctx context.Context, vm string, at time.Time) (*float64, error) {
	all, err := t.stage.Endpoints.Incidents(ctx)
	if err != nil {
		return nil, err
	}
	var first *float64
	for _, i := range all {
		if d := i.OpenedAt.Sub(at).Seconds(); i.VM.Name == vm && d > 0 && (first == nil || d < *first) {
			first = &d
		}
	}
	return first, nil
}

// why is what the receiver says of a machine for which no command came.
func (t *trials) why(ctx context.Context, vm string) error {
	all, err := t.stage.Endpoints.Incidents(ctx)
	if err != nil {
		return err
	}
	var said []error
	for _, i := range all {
		if i.VM.Name == vm {
			said = append(said, fmt.Errorf("incident %s (%s, %s): %s", i.ID, i.Fault, i.Phase, i.Summary))
		}
	}
	return errors.Join(said...)
}

// mend ends what the receiver's command did not, and waits until every SQL Server answers and no acting alert is left.
func (t *trials) mend(ctx context.Context, fault string) error {
	if t.Fault == model.LANBoard {
		t.stage.Lab.Heal(fault)
	}
	return t.wait(ctx, wellLimit, "all to be well again", func() (bool, error) {
		state, err := t.stage.Endpoints.State(ctx)
		if err != nil || slices.ContainsFunc(state.Instances, func(q drill.LabInstance) bool { return !q.Up }) {
			return false, err
		}
		alerts, err := t.stage.Endpoints.Alerts(ctx)
		return err == nil && !slices.ContainsFunc(alerts, func(a drill.PrometheusAlert) bool { return a.Labels["hypervigil"] == "act" }), err
	})
}

// wait asks until it is so, for a while; an answer that does not come is asked for again.
func (t *trials) wait(ctx context.Context, within time.Duration, what string, is func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("waited %s for %s", within, what))
	defer cancel()
	var last error
	for {
		ok, err := is()
		if ok {
			return nil
		}
		last = err
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), last)
		case <-time.After(pollEvery):
		}
	}
}
