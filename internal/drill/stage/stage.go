// Package stage sets the measured experiment up as real programs: the simulated cluster in this process, and the
// exporter, the receiver, Prometheus and Alertmanager as processes on loopback, with configurations that
// hypervigilctl wrote. What watches and measures is internal/drill.
//
//	s, err := stage.Start(ctx, stage.Options{Dir: dir, Programs: programs, Out: os.Stdout})
//	defer s.Stop()
//	in, err := s.Lab.Inject(model.Request{Fault: model.ServiceCrash, VM: "SQL01"})
//
// Everything that a stage starts, it stops, by its process.
package stage

import (
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
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/rules"
)

// receiverName is the receiver's among the processes, and of its log.
const receiverName = "receiver"

// prometheusData is the folder of Prometheus' data within the stage's.
const prometheusData = "prometheus"

// startLimit bounds the start of everything.
const startLimit = 90 * time.Second

// Options say what to set up. Dir, Programs and Out are required.
type Options struct {
	Dir      string // of configurations, logs and data
	Programs Programs
	Out      io.Writer     // progress
	Profile  model.Profile // model.Quick() where it has no name
	Spec     model.Spec    // of the lab; the default one with Profile where it names no cluster
	// Rungs are modes of rungs that the policy names, beside mode act.
	Rungs map[string]string
	// HealCleanStop heals even what somebody stopped on purpose.
	HealCleanStop bool
	// InternalLevel is the policy's; 0: what SQL Server calls an error of its own is only told.
	InternalLevel int
	// Speed is how often Prometheus looks; rules.Fast where empty.
	Speed rules.Speed
	// Measured leaves every limit and wait of the policy at its default, so that what is measured is what production decides:
	// only the receiver's hold-off and the pace of its samples are shortened. Policy is then what else the policy says, as
	// lab.ConfigOptions wants it.
	Measured bool
	Policy   string
	// Alertmanagers is how many run, as one cluster where it is more than one; 1 where zero.
	Alertmanagers int
	// Webhook is the URL that Alertmanager sends to, where that is not the receiver's own.
	Webhook string
	// EditAlertmanager changes what hypervigilctl wrote for Alertmanager; nil: it is taken as it is.
	EditAlertmanager func(string) string
}

// Stage is the experiment, set up. Its fields do not change after Start.
type Stage struct {
	Lab       *lab.Lab
	Endpoints drill.Endpoints
	Webhook   string // the receiver's own
	TokenFile string // of the webhook's token
	Config    *config.Config
	// Alertmanagers are the base URLs of all; Endpoints has the first.
	Alertmanagers []string

	options   Options
	jobs      []string // of Prometheus, that have to have scraped
	labLog    *os.File
	processes []*Process
	ended     context.Context // done once a program has ended by itself, with that as its cause
	end       context.CancelCauseFunc
	stopping  chan struct{}
	watch     sync.WaitGroup
	once      sync.Once
}

// Start sets everything up and returns when every part is ready: each program answers, the receiver's hold-off is over
// and its bindings are proven, and Prometheus has scraped every target that a fault is noticed by.
func Start(ctx context.Context, o Options) (_ *Stage, err error) {
	if o.Profile.Name == "" {
		o.Profile = model.Quick()
	}
	if o.Speed == "" {
		o.Speed = speed
	}
	o.Alertmanagers = max(o.Alertmanagers, 1)
	if err := o.Programs.check(); err != nil {
		return nil, err
	}
	// The programs run in folders of their own choice; relative paths would mean nothing there.
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	s := &Stage{options: o, stopping: make(chan struct{})}
	s.ended, s.end = context.WithCancelCause(context.Background())
	// What an earlier run that was killed left behind is another story.
	if err := errors.Join(os.RemoveAll(s.ledger()), s.removeData()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("not everything was ready within %s", startLimit))
	defer cancel()
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Ended is done when a program of the stage has ended by itself; its cause says which one and shows its log.
func (s *Stage) Ended() context.Context { return s.ended }

// addresses are the free ones that the programs get.
type addresses struct {
	exporter, receiver, webhook, prometheus string
	alertmanagers, gossip                   []string
}

func findAddresses(alertmanagers int) (addresses, error) {
	list, err := freeAddresses(4 + 2*alertmanagers)
	if err != nil {
		return addresses{}, err
	}
	return addresses{list[0], list[1], list[2], list[3], list[4 : 4+alertmanagers], list[4+alertmanagers:]}, nil
}

func (s *Stage) start(ctx context.Context) error {
	s.say("the lab: a simulated cluster of Hyper-V hosts with SQL Server inside, profile %s", s.options.Profile.Name)
	if err := s.startLab(); err != nil {
		return err
	}
	at, err := findAddresses(s.options.Alertmanagers)
	if err != nil {
		return err
	}
	s.Endpoints = drill.Endpoints{
		LabControl: s.Lab.ControlURL(), Exporter: "http://" + at.exporter, Receiver: "http://" + at.receiver,
		Prometheus: "http://" + at.prometheus, Alertmanager: "http://" + at.alertmanagers[0],
	}
	for _, a := range at.alertmanagers {
		s.Alertmanagers = append(s.Alertmanagers, "http://"+a)
	}
	s.Webhook = "http://" + at.webhook + "/webhook"
	if err := s.configure(ctx); err != nil {
		return err
	}
	if err := s.startPrograms(ctx, at); err != nil {
		return err
	}
	for _, p := range s.processes {
		s.watchOver(p)
	}
	return s.waitScraped(ctx)
}

// watchOver ends the stage when a program ends that nobody stopped.
func (s *Stage) watchOver(p *Process) {
	s.watch.Go(func() {
		select {
		case <-p.Done():
			if !p.meant.Load() {
				s.end(p.ended())
			}
		case <-s.stopping:
		}
	})
}

// RestartReceiver stops the receiver, calls between while it does not run, with the path of its ledger, starts it with what it
// was started with, and returns when it is ready. Not to be called at the same time as another method.
func (s *Stage) RestartReceiver(ctx context.Context, between func(ledger string) error) error {
	n := slices.IndexFunc(s.processes, func(p *Process) bool { return p.Name == receiverName })
	old := s.processes[n]
	old.meant.Store(true)
	old.Stop()
	if err := between(s.ledger()); err != nil {
		return err
	}
	p, err := StartProcess(s.options.Dir, receiverName, s.options.Programs.Receiver, nil, old.cmd.Args[1:]...)
	if err != nil {
		return err
	}
	s.processes[n] = p
	s.watchOver(p)
	return p.WaitReady(ctx, s.options.Out, s.Endpoints.Receiver+"/-/ready")
}

func (s *Stage) startLab() (err error) {
	if s.labLog, err = os.Create(filepath.Join(s.options.Dir, "lab.log")); err != nil {
		return err
	}
	logger := log.With(log.NewLogfmtLogger(log.NewSyncWriter(s.labLog)), "ts", log.DefaultTimestampUTC)
	spec := s.options.Spec
	if spec.Cluster == "" {
		spec = model.Default(s.options.Profile)
	}
	s.Lab, err = lab.Start(lab.Options{Spec: spec, Dir: filepath.Join(s.options.Dir, "lab"), Logger: logger})
	return err
}

// startPrograms starts every program and waits for each. The exporter comes before Prometheus, which asks it for its
// targets at once and then only every half minute.
func (s *Stage) startPrograms(ctx context.Context, at addresses) error {
	dir, programs := s.options.Dir, s.options.Programs
	file := filepath.Join(dir, configFile)
	exporter, err := s.run("exporter", programs.Exporter, "--config.file="+file, "--web.listen-address="+at.exporter)
	if err != nil {
		return err
	}
	receiver, err := s.run(receiverName, programs.Receiver, "--config.file="+file, "--web.listen-address="+at.receiver,
		"--webhook.listen-address="+at.webhook)
	if err != nil {
		return err
	}
	var alertmanagers []*Process
	for n := range at.alertmanagers {
		p, err := s.run(alertmanagerName(n), programs.Alertmanager, alertmanagerArgs(dir, at, n)...)
		if err != nil {
			return err
		}
		alertmanagers = append(alertmanagers, p)
	}
	if err := s.ready(ctx, exporter, s.Endpoints.Exporter); err != nil {
		return err
	}
	prometheus, err := s.run("prometheus", programs.Prometheus, "--config.file="+filepath.Join(dir, prometheusFile),
		"--storage.tsdb.path="+filepath.Join(dir, prometheusData), "--web.listen-address="+at.prometheus)
	if err != nil {
		return err
	}
	if err := s.ready(ctx, prometheus, s.Endpoints.Prometheus); err != nil {
		return err
	}
	for n, p := range alertmanagers {
		if err := s.ready(ctx, p, s.Alertmanagers[n]); err != nil {
			return err
		}
	}
	return s.ready(ctx, receiver, s.Endpoints.Receiver)
}

func alertmanagerName(n int) string {
	if n == 0 {
		return "alertmanager"
	}
	return fmt.Sprintf("alertmanager-%d", n+1)
}

// alertmanagerArgs are the flags of the n-th Alertmanager. One alone needs no gossip. In a cluster each would wait for
// those before it for 15 s; without that wait all of them notify, which is what the receiver has to stand.
func alertmanagerArgs(dir string, at addresses, n int) []string {
	args := []string{
		"--config.file=" + filepath.Join(dir, alertmanagerFile), "--storage.path=" + filepath.Join(dir, alertmanagerName(n)),
		"--web.listen-address=" + at.alertmanagers[n],
	}
	if len(at.alertmanagers) == 1 {
		return append(args, "--cluster.listen-address=")
	}
	args = append(args, "--cluster.listen-address="+at.gossip[n], "--cluster.peer-timeout=0s")
	for m, peer := range at.gossip {
		if m != n {
			args = append(args, "--cluster.peer="+peer)
		}
	}
	return args
}

func (s *Stage) run(name, path string, args ...string) (*Process, error) {
	p, err := StartProcess(s.options.Dir, name, path, nil, args...)
	if err != nil {
		return nil, err
	}
	s.processes = append(s.processes, p)
	return p, nil
}

func (s *Stage) ready(ctx context.Context, p *Process, base string) error {
	if err := p.WaitReady(ctx, s.options.Out, base+"/-/ready"); err != nil {
		return err
	}
	s.say("%s is ready on %s (process %d, log %s)", p.Name, base, p.PID(), p.Log)
	return nil
}

// waitScraped waits until Prometheus has scraped every target that a fault is noticed by with success.
func (s *Stage) waitScraped(ctx context.Context) error {
	began, said := time.Now(), time.Now()
	for {
		missing, err := s.unscraped(ctx)
		if err != nil {
			missing = []string{err.Error()}
		}
		if len(missing) == 0 {
			s.say("Prometheus has scraped what faults are noticed by (%s), %.1f s after everything was ready", strings.Join(s.jobs, ", "), time.Since(began).Seconds())
			return nil
		}
		if time.Since(said) > sayEvery {
			said = time.Now()
			fmt.Fprintf(s.options.Out, "  waiting for Prometheus' first scrape of %s\n", strings.Join(missing, ", "))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("prometheus has not scraped %s: %w", strings.Join(missing, ", "), context.Cause(ctx))
		case <-s.ended.Done():
			return context.Cause(s.ended)
		case <-time.After(readyEvery):
		}
	}
}

// unscraped lists the jobs of which a target was not scraped yet, or in vain.
func (s *Stage) unscraped(ctx context.Context) ([]string, error) {
	targets, err := s.Endpoints.Targets(ctx)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, t := range targets {
		up, known := seen[t.Job]
		seen[t.Job] = t.Health == "up" && (up || !known)
	}
	var missing []string
	for _, job := range s.jobs {
		if !seen[job] {
			missing = append(missing, job)
		}
	}
	return missing, nil
}

func (s *Stage) say(format string, args ...any) {
	fmt.Fprintf(s.options.Out, "  "+format+"\n", args...)
}

// Stop ends every program and the lab, and returns when all is quiet. What the programs wrote stays, but for the data
// of Prometheus and Alertmanager.
func (s *Stage) Stop() error {
	var err error
	s.once.Do(func() {
		close(s.stopping)
		var each sync.WaitGroup
		for _, p := range s.processes {
			each.Go(p.Stop)
		}
		each.Wait()
		s.watch.Wait()
		s.end(nil)
		errs := []error{s.removeData()}
		if s.Lab != nil {
			errs = append(errs, s.Lab.Close())
		}
		if s.labLog != nil {
			errs = append(errs, s.labLog.Close())
		}
		err = errors.Join(errs...)
	})
	return err
}

// ledger is the path of the receiver's ledger.
func (s *Stage) ledger() string { return filepath.Join(s.options.Dir, "ledger.db") }

// removeData removes what Prometheus and Alertmanager store.
func (s *Stage) removeData() error {
	errs := []error{os.RemoveAll(filepath.Join(s.options.Dir, prometheusData))}
	for n := range s.options.Alertmanagers {
		errs = append(errs, os.RemoveAll(filepath.Join(s.options.Dir, alertmanagerName(n))))
	}
	return errors.Join(errs...)
}

// Processes lists the process ids of the running programs by name.
func (s *Stage) Processes() map[string]int {
	list := map[string]int{}
	for _, p := range s.processes {
		list[p.Name] = p.PID()
	}
	return list
}

// Write writes a shell's export lines of every address and account into a file: for whoever wants to look, or to
// inject faults by himself. The accounts are the lab's own, good nowhere else.
func (s *Stage) Write(path string) error {
	lines := slices.Concat(s.Lab.Exports(), []string{
		"export HYPERVIGIL_EXPORTER_URL=" + s.Endpoints.Exporter,
		"export HYPERVIGIL_RECEIVER_URL=" + s.Endpoints.Receiver,
		"export HYPERVIGIL_WEBHOOK_URL=" + s.Webhook,
		"export HYPERVIGIL_WEBHOOK_TOKEN_FILE='" + s.TokenFile + "'",
		"export PROMETHEUS_URL=" + s.Endpoints.Prometheus,
		"export ALERTMANAGER_URL=" + s.Endpoints.Alertmanager,
	})
	// Whole or not at all: somebody may wait for it.
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
