package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// The keeper's rhythm and patience.
const (
	faultsEvery = 100 * time.Millisecond
	// patience is how long a fault may take to lead to an incident; the slowest class takes a few scrapes of 5 s.
	patience = 3 * time.Minute
)

// keep leaves everything running and makes a trial of each fault that somebody injects, until ctx ends.
func (s *Stage) keep(ctx context.Context, out io.Writer) error {
	env := filepath.Join(s.options.Dir, envFile)
	fmt.Fprintf(out, `
Everything runs until Ctrl-C.

  lab           %s   POST /faults, GET /state, GET /counters
  exporter      %s
  receiver      %s
  Prometheus    %s
  Alertmanager  %s

  . %s
  curl -d '{"fault":"service-crash","vm":"SQL02"}' "$HYPERVIGIL_LAB_CONTROL/faults"

`, s.Endpoints.LabControl, s.Endpoints.Exporter, s.Endpoints.Receiver, s.Endpoints.Prometheus, s.Endpoints.Alertmanager, env)
	k := &keeper{
		lab: s.Lab, endpoints: s.Endpoints, profile: s.options.Profile.Name,
		path: filepath.Join(s.options.Dir, reportFile), out: out,
	}
	running, stop := s.while(ctx)
	defer stop()
	return k.run(running)
}

// injectedFaults is what the keeper asks of the lab.
type injectedFaults interface {
	Faults() []model.Injected
	State() lab.State
}

// keeper watches the lab for faults and appends a trial to the report when the incident of one has ended. Several at
// once are watched in parallel.
type keeper struct {
	lab       injectedFaults
	endpoints drill.Endpoints
	profile   string
	path      string

	outMu sync.Mutex
	out   io.Writer

	mu     sync.Mutex // of report
	report drill.Report
}

// run returns when ctx has ended and every watch with it.
func (k *keeper) run(ctx context.Context) error {
	if err := k.report.Write(k.path); err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var trials sync.WaitGroup
	defer trials.Wait()
	known := 0 // the lab is as new as we are
	tick := time.NewTicker(faultsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		case <-tick.C:
		}
		faults := k.lab.Faults()
		for _, f := range faults[known:] {
			for _, vm := range hit(f.Request, k.lab.State()) {
				trials.Go(func() {
					if err := k.trial(ctx, f, vm); err != nil {
						fail(err)
					}
				})
			}
		}
		known = len(faults)
	}
}

// hit lists the virtual machines that a fault is about: its own, or, for a host's, each with SQL Server on that host.
func hit(r model.Request, s lab.State) []string {
	if r.Node == "" {
		return []string{r.VM}
	}
	var list []string
	for _, g := range s.Groups {
		watched := slices.ContainsFunc(s.Instances, func(i lab.InstanceState) bool { return i.VM == g.VM })
		if watched && g.Owner == r.Node {
			list = append(list, g.VM)
		}
	}
	return list
}

// trial watches one fault on one virtual machine and appends it. The error is one of the report's file.
func (k *keeper) trial(ctx context.Context, f model.Injected, vm string) error {
	out := &lines{mu: &k.outMu, to: k.out, prefix: vm + " "}
	t := drill.Trialling{
		Endpoints: k.endpoints, Out: out, Profile: k.profile, At: f.At, Patience: patience,
		Fault: drill.Fault{Fault: f.Request.Fault, VM: vm, Node: f.Request.Node, Instance: f.Request.Instance},
	}
	trial, err := t.Watch(ctx)
	if err != nil {
		fmt.Fprintf(out, "%s is not in the report: %v\n", f.Request.Fault, err)
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.report.Trials = append(k.report.Trials, trial)
	if err := k.report.Write(k.path); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %s; trial %d in %s\n", trial.Outcome, trial.Summary, len(k.report.Trials), k.path)
	return nil
}

// lines writes each line with a prefix, whole.
type lines struct {
	mu     *sync.Mutex
	to     io.Writer
	prefix string
}

// Write implements io.Writer for callers that write whole lines.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var text bytes.Buffer
	for line := range bytes.Lines(b) {
		text.WriteString(l.prefix)
		text.Write(line)
	}
	if _, err := l.to.Write(text.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}
