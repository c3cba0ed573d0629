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
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/budget"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/stage"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/rules"
)

type options struct {
	dir, prometheus, promtool, alertmanager string
	n                                       int
	seed                                    uint64
}

// The patience of a run.
const (
	pollEvery  = 50 * time.Millisecond
	readyLimit = 3 * time.Minute // until every machine was rehearsed once: that is done every minute
	wellLimit  = 3 * time.Minute // until all is well again after a trial
	slack      = time.Minute     // beyond the worst that was reckoned, before a trial is given up
)

// measure runs the rows one after the other, and reports whether each reached its goal.
func measure(ctx context.Context, o options, list []row, out io.Writer) (met bool, err error) {
	if o.seed == 0 {
		o.seed = rand.Uint64() //nolint:gosec // a moment, not a secret
	}
	random := rand.New(rand.NewPCG(o.seed, 1)) //nolint:gosec // the same
	r := newReport(o.seed)
	for _, x := range list {
		res := &result{row: x}
		r.Results = append(r.Results, res)
		n := x.N
		if o.n > 0 {
			n = o.n
		}
		fmt.Fprintf(out, "\n%s: %s, %d trials\n", x.Name, x.Fault, n)
		runErr := runRow(ctx, o, res, n, random, out, func() error { return r.write(o.dir) })
		res.judge()
		if err := errors.Join(runErr, r.write(o.dir)); err != nil {
			return false, fmt.Errorf("%s: %w", x.Name, err)
		}
	}
	met = r.print(out)
	fmt.Fprintf(out, "%s, %d cores, seed %d; every sample in %s\n", r.Platform, r.Cores, r.Seed, filepath.Join(o.dir, "report.json"))
	return met, nil
}

// trials is one row under way.
type trials struct {
	*result
	stage  *stage.Stage
	random *rand.Rand
	out    io.Writer
	kept   string // the ledger that each trial starts from
}

func runRow(ctx context.Context, o options, res *result, n int, random *rand.Rand, out io.Writer, save func() error) (err error) {
	programs := stage.Ours(o.dir)
	programs.Prometheus, programs.Promtool, programs.Alertmanager = o.prometheus, o.promtool, o.alertmanager
	dir := filepath.Join(o.dir, "files", res.Name)
	s, err := stage.Start(ctx, stage.Options{
		Dir: dir, Programs: programs, Out: out, Profile: model.Quick(), Speed: res.Speed, Measured: true, Policy: res.policy,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer context.AfterFunc(s.Ended(), func() { cancel(context.Cause(s.Ended())) })()
	if res.Overrides, err = s.Overrides(); err != nil {
		return err
	}
	for _, x := range res.Overrides {
		fmt.Fprintf(out, "  not the default: %s is %s, not %s\n", x.Name, x.Value, x.Default)
	}
	if err := res.reckon(dir, s); err != nil {
		return err
	}
	t := &trials{result: res, stage: s, random: random, out: out, kept: filepath.Join(dir, "ledger.kept")}
	if err := t.keepLedger(ctx); err != nil {
		return err
	}
	for k := range n {
		x, err := t.trial(ctx, machines()[k%len(machines())])
		if err != nil {
			return fmt.Errorf("trial %d: %w", k+1, err)
		}
		res.Samples = append(res.Samples, x)
		fmt.Fprintf(out, "  %d of %d: %s, %.2f s (%s)\n", k+1, n, x.VM, x.FirstCommand, x.Command)
		res.judge()
		if err := save(); err != nil {
			return err
		}
	}
	return nil
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
	r.Reckoned, r.Alert = classes[n].Total, classes[n].Alert
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

// trial is one fault, from the kept ledger to the moment at which all is well again.
func (t *trials) trial(ctx context.Context, vm string) (sample, error) {
	err := t.stage.RestartReceiver(ctx, func(ledger string) error { return replace(ledger, t.kept) })
	if err != nil {
		return sample{}, err
	}
	timing, err := t.Speed.Timing()
	if err != nil {
		return sample{}, err
	}
	scrape := timing.SQL
	if t.Class != "service" && t.Class != "hang" {
		scrape = timing.Host // the slower of the two that have to see it
	}
	wait := time.Duration(t.random.Int64N(int64(scrape + timing.Evaluation)))
	select {
	case <-ctx.Done():
		return sample{}, context.Cause(ctx)
	case <-time.After(wait):
	}
	in, err := t.stage.Lab.Inject(model.Request{Fault: t.Fault, VM: vm})
	if err != nil {
		return sample{}, err
	}
	at := time.Time(in.At)
	x := sample{VM: vm, At: at.UTC(), After: wait.Seconds()}
	err = t.wait(ctx, t.Reckoned.Worst+slack, "the first command for "+vm, func() (bool, error) {
		counters, err := t.stage.Endpoints.Counters(ctx)
		if err != nil {
			return false, err
		}
		for _, c := range counters.VMs[vm].Commands {
			if !c.At.Before(at.Truncate(time.Millisecond)) {
				x.FirstCommand, x.Command = c.At.Sub(at).Seconds(), c.Method
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return sample{}, errors.Join(err, t.why(ctx, vm))
	}
	if x.Detection, err = t.detection(ctx, vm, at); err != nil {
		return sample{}, err
	}
	return x, t.mend(ctx, in.ID)
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
