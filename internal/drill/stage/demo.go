package stage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// The demo's own.
const (
	demoVM     = "SQL01"
	reportFile = "report.json"
	envFile    = "env"
)

// Demo sets everything up, breaks SQL01 as the options say, tells what follows as it happens, measures it, and stops
// everything. With KEEP=1 it breaks nothing and reports what is done from outside until ctx ends. It returns nil only
// if the trial came out as it should.
func Demo(ctx context.Context, o DemoOptions, out io.Writer) (err error) {
	began := time.Now()
	if err := o.validate(); err != nil {
		return err
	}
	programs, err := o.Programs()
	if err != nil {
		return err
	}
	if err := alone(ctx, filepath.Join(o.Dir, envFile)); err != nil {
		return err
	}
	for _, old := range []string{reportFile, envFile} {
		if err := os.RemoveAll(filepath.Join(o.Dir, old)); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "Setting up, on loopback alone:")
	s, err := Start(ctx, Options{Dir: o.Dir, Programs: programs, Out: out, HealCleanStop: o.Policy == healCleanStop})
	if err != nil {
		return interrupted(ctx, err, out)
	}
	defer func() {
		fmt.Fprintln(out, "\nStopping everything.")
		err = errors.Join(err, s.Stop())
		if err == nil {
			fmt.Fprintf(out, "Everything is stopped; %.1f s in all.\n", time.Since(began).Seconds())
		}
	}()
	if err := s.tellOverrides(out); err != nil {
		return err
	}
	if err := s.Write(filepath.Join(s.options.Dir, envFile)); err != nil {
		return err
	}
	if o.keeps() {
		return s.keep(ctx, out)
	}
	return interrupted(ctx, s.trial(ctx, o, out), out)
}

// interrupted makes an error that only says that somebody pressed Ctrl-C a plain one.
func interrupted(ctx context.Context, err error, out io.Writer) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		fmt.Fprintln(out, "\nInterrupted.")
		return errors.New("interrupted")
	}
	return err
}

// alone refuses to start where another demo runs with the same folder: it would take its files away from under it.
func alone(ctx context.Context, env string) error {
	f, err := os.Open(env)
	if err != nil {
		return nil //nolint:nilerr // no file, no demo
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		control, ok := strings.CutPrefix(lines.Text(), "export HYPERVIGIL_LAB_CONTROL=")
		if !ok {
			continue
		}
		if s, err := (drill.Endpoints{LabControl: control}).State(ctx); err == nil && len(s.Nodes) > 0 {
			return fmt.Errorf("another demo runs here (%s answers); stop it first", control)
		}
	}
	return nil
}

func (s *Stage) tellOverrides(out io.Writer) error {
	list, err := s.Overrides()
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "\nDefaults that are overridden here (the limits: because it is the lab; nowhere else would they be taken):")
	tw := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "  \tdefault\there")
	for _, o := range list {
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", o.Name, o.Default, o.Value)
	}
	return tw.Flush()
}

// trial injects the fault and follows it to its end.
func (s *Stage) trial(ctx context.Context, o DemoOptions, out io.Writer) error {
	want := expected(o.Fault, o.Policy == healCleanStop)
	fmt.Fprintf(out, "\n%s on %s. To be expected: %s\n", o.Fault, demoVM, want.words)
	fmt.Fprintln(out, "Seconds count from the fault.")
	in, err := s.Lab.Inject(model.Request{Fault: o.Fault, VM: demoVM})
	if err != nil {
		return fmt.Errorf("inject %s: %w", o.Fault, err)
	}
	bound := fmt.Errorf("it should have ended within %s", want.within)
	watched, cancel := context.WithTimeoutCause(ctx, want.within, bound)
	defer cancel()
	watched, stop := s.while(watched)
	defer stop()
	t := drill.Trialling{
		Endpoints: s.Endpoints, Out: out, Profile: s.options.Profile.Name,
		Fault: drill.Fault{Fault: o.Fault, VM: demoVM}, At: time.Time(in.At),
	}
	trial, watchErr := t.Watch(watched)
	path := filepath.Join(s.options.Dir, reportFile)
	if err := (drill.Report{Trials: []drill.Trial{trial}}).Write(path); err != nil {
		return errors.Join(watchErr, err)
	}
	if watchErr != nil {
		return watchErr
	}
	counters, err := s.Endpoints.Counters(ctx)
	if err != nil {
		return err
	}
	if len(trial.Plan) > 0 && len(trial.Commands) == 0 {
		fmt.Fprintln(out, "\nLeft to a person, who would type:")
		for _, line := range trial.Plan {
			fmt.Fprintln(out, "  ", line)
		}
	}
	trial.Compare(out, s.Lab.Given())
	fmt.Fprintf(out, "\n%s: %s\nThe whole trial: %s\n", trial.Outcome, trial.Summary, path)
	if err := want.check(trial, counters.VMs[demoVM]); err != nil {
		return fmt.Errorf("the trial did not come out as it should: %w", err)
	}
	return nil
}

// while is ctx for as long as every program of the stage runs.
func (s *Stage) while(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.ended, func() { cancel(context.Cause(s.ended)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}
