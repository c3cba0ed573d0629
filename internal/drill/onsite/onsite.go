// Package onsite is the experiment on a real cluster: a person makes the fault when asked, and everything else is
// measured: detection by Prometheus' and the receiver's word, commands by the receiver's incident, the outage by a load of
// transactions from outside, stop and start of the service by the guest's event log. It sends no command; what acts is the
// receiver, as far as its policy lets it.
//
//	report, err := onsite.Run(ctx, onsite.Options{…})
//
// It refuses to begin unless its checks pass. Seconds count from the moment at which the person says that he makes the
// fault. It writes into the database that it is told, in tables of its own, which it removes; see package load. It knows
// nothing of the lab.
package onsite

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/version"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/load"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// Options are what a drill needs. Config, Logger, Cluster, VM, Endpoints' Receiver and Prometheus, Fault, the load's
// database, In and Out are required.
type Options struct {
	Config    *config.Config
	Logger    log.Logger
	Endpoints drill.Endpoints
	// Cluster, VM and Instance are inventory names. Instance may be empty where the virtual machine has one only.
	Cluster, VM, Instance string
	Fault                 string // one of Faults
	Era                   string // one of drill.Eras; today where empty
	Load                  Load
	// Patience is how long after the fault an incident may take to come, Bound how long the whole trial may take; 5 min and
	// 30 min where zero.
	Patience, Bound time.Duration
	In              io.Reader // the person's keyboard
	Out             io.Writer // what the person reads
	Command         string    // the words that repeat the drill, for the report

	// echo opens what asks a host for echoes; dialEcho where nil.
	echo func(ctx context.Context, host string) (echo, error)
}

// Load is the load during the fault.
type Load struct {
	Credential string // of hypervigil.yml; the instance's own where empty
	Database   string
	Shape      load.Shape
	Rows       int
	Hold       time.Duration
}

// The times of a drill besides those of Options.
const (
	defaultPatience = 5 * time.Minute
	defaultBound    = 30 * time.Minute
	lookTimeout     = 30 * time.Second // of the checks
	countTimeout    = 5 * time.Minute  // of the count afterwards
	removeTimeout   = 2 * time.Minute  // of the removal of the tables
	askEvery        = 200 * time.Millisecond
)

// profile stands in a report where the lab's profile stands otherwise: nothing was put in.
const profile = "real"

// ErrRefused is the error of a drill whose checks did not pass: nothing was done.
var ErrRefused = errors.New("the drill is refused")

// Run makes the checks, starts the load, asks the person for the fault, and measures what follows. The report is there
// where the error is nil; what must not be is in its trial's Failures.
func Run(ctx context.Context, o Options) (_ drill.Report, err error) {
	if err := o.complete(); err != nil {
		return drill.Report{}, err
	}
	s, err := open(o)
	if err != nil {
		return drill.Report{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	began := time.Now()
	list := check(s.look(ctx), began)
	s.tell(list)
	if slices.ContainsFunc(list, func(c Check) bool { return !c.OK }) {
		return drill.Report{}, ErrRefused
	}
	if err := s.load.Prepare(ctx); err != nil {
		return drill.Report{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
		defer cancel()
		err = errors.Join(err, s.load.Remove(ctx))
	}()
	trial, err := s.trial(ctx)
	if err != nil {
		return drill.Report{}, err
	}
	return drill.Report{
		Trials: []drill.Trial{trial}, Command: o.Command, Began: began.UTC().Format(time.RFC3339),
		Program: version.Info(), Machine: fmt.Sprintf("%s/%s, %d processors; the cluster is a real one", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()),
	}, nil
}

// complete checks the options and fills in what may be left out.
func (o *Options) complete() error {
	switch {
	case o.Config == nil, o.Logger == nil, o.In == nil, o.Out == nil:
		return errors.New("drill: Config, Logger, In and Out are needed")
	case o.Endpoints.Receiver == "" || o.Endpoints.Prometheus == "":
		return errors.New("drill: where the receiver and Prometheus are is needed")
	case o.Endpoints.LabControl != "":
		return errors.New("drill: the lab has a drill of its own")
	}
	vm := o.Config.VirtualMachine(o.Cluster, o.VM)
	if vm == nil {
		return fmt.Errorf("drill: %s/%s is not in the inventory", o.Cluster, o.VM)
	}
	if len(vm.SQLServers) == 0 {
		return fmt.Errorf("drill: %s/%s has no SQL Server", o.Cluster, o.VM)
	}
	if o.Instance == "" && len(vm.SQLServers) == 1 {
		o.Instance = vm.SQLServers[0].Instance
	}
	if o.Config.SQLServer(o.Cluster, o.VM, o.Instance) == nil {
		var names []string
		for _, q := range vm.SQLServers {
			names = append(names, q.Instance)
		}
		return fmt.Errorf("drill: %s/%s has no instance %q; name one of %s", o.Cluster, o.VM, o.Instance, strings.Join(names, ", "))
	}
	if _, err := faultNamed(o.Fault); err != nil {
		return err
	}
	o.Era = cmp.Or(o.Era, drill.EraToday)
	if !slices.Contains(drill.Eras(), o.Era) {
		return fmt.Errorf("drill: era %q is not known; use %s", o.Era, strings.Join(drill.Eras(), " or "))
	}
	if c := o.Load.Credential; c != "" && o.Config.Credentials[c] == nil {
		return fmt.Errorf("drill: credential %q is not in hypervigil.yml", c)
	}
	if o.echo == nil {
		o.echo = dialEcho
	}
	o.Patience, o.Bound = cmp.Or(o.Patience, defaultPatience), cmp.Or(o.Bound, defaultBound)
	return nil
}

// tell prints the checks.
func (s *scene) tell(list []Check) {
	s.say("Drill on %s/%s, instance %s: %s.\n\nChecks:", s.Cluster, s.VM, s.Instance, s.scenario.Title)
	for _, c := range list {
		word := "ok"
		if !c.OK {
			word = "REFUSED"
		}
		s.say("  %-8s %s: %s", word, c.Name, c.Detail)
		if !c.OK && c.Unblock != "" {
			s.say("           to unblock: %s", c.Unblock)
		}
	}
}

// trial is the fault and what follows from it, under load.
func (s *scene) trial(ctx context.Context) (drill.Trial, error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	var work sync.WaitGroup
	var loadErr error
	work.Go(func() { loadErr = s.load.Run(running) })
	if s.pings, s.noPings = s.pinged(ctx); s.pings != nil {
		defer func() { _ = s.pings.echo.Close() }() // nothing is kept in it
		work.Go(func() { s.pings.run(running) })
	}
	ended := func() error {
		s.stopped = time.Now()
		stop()
		work.Wait()
		return loadErr
	}
	s.say("\nThe load runs: %v transactions in %s of database %s. Waiting for the first commit.", s.Load.Shape, strings.Join(s.load.Tables(), " and "), s.Load.Database)
	if err := s.commits(ctx, time.Time{}); err != nil {
		return drill.Trial{}, errors.Join(err, ended())
	}
	at, err := s.ask(ctx)
	if err != nil {
		return drill.Trial{}, errors.Join(err, ended())
	}
	trial, err := s.watch(ctx, at)
	if err := errors.Join(err, ended()); err != nil {
		return drill.Trial{}, err
	}
	s.say("\nCounting what was acknowledged.")
	counting, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	m := s.measure(counting, at)
	m.complete(&trial, at)
	return trial, nil
}

// pinged opens what measures whether the address of SQL Server answers echoes; nil, with the reason, where that cannot be.
func (s *scene) pinged(ctx context.Context) (*pings, error) {
	host, _, err := net.SplitHostPort(s.Config.SQLServer(s.Cluster, s.VM, s.Instance).Address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	e, err := s.echo(ctx, host)
	if err != nil {
		return nil, err
	}
	return newPings(e), nil
}

// commits waits for a commit that is acknowledged after a moment.
func (s *scene) commits(ctx context.Context, after time.Time) error {
	bounded, cancel := context.WithTimeout(ctx, s.Bound)
	defer cancel()
	for {
		r := s.load.Tally()
		if r.LastAcknowledged.After(after) {
			return nil
		}
		if !pause(bounded, askEvery) {
			return cmp.Or(context.Cause(ctx), fmt.Errorf("no commit was acknowledged within %s: %v", s.Bound, r.Errors))
		}
	}
}

// ask tells the person what to do, and returns when he does it.
func (s *scene) ask(ctx context.Context) (time.Time, error) {
	s.say("\nThe fault is yours to make: %s.\n\n  %s\n", s.scenario.Title, s.fault.instruct(s))
	s.say("Press Enter at the moment at which you do it; Ctrl-C to leave everything as it is.")
	line := make(chan error, 1)
	// A keyboard cannot be left: where ctx ends first, this waits until the program does.
	go func() {
		_, err := bufio.NewReader(s.In).ReadString('\n')
		line <- err
	}()
	select {
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	case err := <-line:
		if err != nil {
			return time.Time{}, fmt.Errorf("nobody pressed Enter: %w", err)
		}
		return time.Now(), nil
	}
}

// watch follows the fault until its incident has come to its end and SQL Server serves the load again, or the bound is
// reached: what is known then is the trial.
func (s *scene) watch(ctx context.Context, at time.Time) (drill.Trial, error) {
	bounded, cancel := context.WithTimeout(ctx, s.Bound)
	defer cancel()
	t := drill.Trialling{
		Endpoints: s.Endpoints, Out: s.Out, Cluster: s.Cluster, At: at, Profile: profile, Patience: s.Patience,
		Fault: drill.Fault{Fault: s.Fault, VM: s.VM, Instance: s.Instance},
	}
	trial, err := t.Watch(bounded)
	trial.Experiment = &drill.Experiment{
		Scenario: s.scenario.Name, Title: s.scenario.Title, Class: s.scenario.Class, Era: s.Era, Clock: drill.RealClock, Repetition: 1,
		UnexpectedErrors: []string{}, Failures: []string{},
	}
	switch {
	case ctx.Err() != nil:
		return trial, context.Cause(ctx)
	case err != nil:
		trial.Failures = append(trial.Failures, err.Error())
	}
	if trial.Outcome != string(incident.Healed) && trial.Outcome != "" {
		s.say("\n%s: %s\nBring SQL Server back, if it is down; the load waits for it.", trial.Outcome, trial.Summary)
	}
	if err := s.commits(bounded, time.Now()); err != nil {
		if ctx.Err() != nil {
			return trial, context.Cause(ctx)
		}
		trial.Failures = append(trial.Failures, "SQL Server does not serve the load at the end")
	}
	return trial, nil
}

// pause waits; it is false where ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (s *scene) say(format string, args ...any) {
	fmt.Fprintf(s.Out, format+"\n", args...)
}
