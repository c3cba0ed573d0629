// Package receiver is the program hypervigil-receiver without its flags: the webhook's intake, the ledger, the driver
// of incident.Step, and the console, wired together.
//
// Data flows one way: a notification is written down by the intake and answered; the driver takes it up, asks
// incident.Step what it means, commits what changed and carries out the effects through receiver/site; the console
// shows the driver's newest state. Only the driver hands commands to the site, and only for a Send effect.
package receiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/alertmanager"
	"github.com/hypervigil/hypervigil/receiver/console"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/intake"
	"github.com/hypervigil/hypervigil/receiver/ledger"
	"github.com/hypervigil/hypervigil/receiver/site"
)

// HeaderTimeout bounds how long a client of the web listener may take for its header.
const HeaderTimeout = 10 * time.Second

// epoch is the fencing token of a single-node ledger: there is one writer, which the file's lock guarantees.
const epoch = 1

// Options are what a receiver needs; all of it.
type Options struct {
	ConfigFile string
	Logger     log.Logger
	Registry   *prometheus.Registry
	// Hosts are the web listener's names; see console.Options.
	Hosts []string
}

// Receiver is the running program. Its methods may be called from any goroutine.
type Receiver struct {
	options   Options
	store     *ledger.Bolt
	committer *ledger.Committer
	driver    *driver
	recorder  *recorder
	first     []incident.Effect
	truncated chan struct{} // a notification came that Alertmanager had cut short
	world     *world
	intake    *intake.Handler
	web       http.Handler

	reloading sync.Mutex // one reload at a time
	config    atomic.Pointer[config.Config]

	reloadOK   prometheus.Gauge
	reloadTime prometheus.Gauge
}

// Check reads the configuration as the receiver does, its secrets included, and begins nothing.
func Check(file string) error {
	cfg, err := load(file)
	if err != nil {
		return err
	}
	s, err := site.New(site.Options{Config: cfg, Logger: log.NewNopLogger()})
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return s.Close()
}

// load reads the configuration and what of it the receiver needs beyond the rest.
func load(file string) (*config.Config, error) {
	cfg, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	if err := cfg.CheckReceiver(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return cfg, nil
}

// New opens the ledger and takes up where an earlier life left off. Nothing is sent or served before Run.
func New(o Options) (*Receiver, error) {
	cfg, err := load(o.ConfigFile)
	if err != nil {
		return nil, err
	}
	r := &Receiver{
		options: o, truncated: make(chan struct{}, 1),
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hypervigil_receiver_config_last_reload_successful", Help: "1 when the newest read of the configuration was taken; 0 when it was refused and the old one stands.",
		}),
		reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hypervigil_receiver_config_last_reload_success_timestamp_seconds", Help: "When the configuration was last taken.",
		}),
	}
	o.Registry.MustRegister(r.reloadOK, r.reloadTime)
	r.config.Store(cfg)
	r.warn(cfg)
	tellModes(o.Logger, cfg)
	r.reloaded()
	if err := r.open(cfg); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Receiver) open(cfg *config.Config) error {
	o := r.options
	s, err := r.newSite(cfg)
	if err != nil {
		return err
	}
	r.world = newWorld(s)
	o.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hypervigil_receiver_stale_names",
		Help: "Names that the name server does not resolve now, and which are reached by the addresses that it gave last.",
	}, r.world.staleNames))
	if err = r.openLedger(cfg); err != nil {
		return err
	}
	r.committer = ledger.NewCommitter(r.store, epoch)
	o.Registry.MustRegister(r.committer)
	state, err := r.restore(cfg)
	if err != nil {
		return err
	}
	m := newMetrics(o.Registry)
	r.driver = newDriver(r.world, r.committer.Commit, state, log.With(o.Logger, "component", "driver"), m)
	r.recorder = newRecorder(cfg.Receiver.Ledger, log.With(o.Logger, "component", "recorder"), func(why string) { m.leftOut.WithLabelValues(why).Inc() })
	r.driver.recorder = r.recorder
	if r.intake, err = r.newIntake(cfg); err != nil {
		return err
	}
	r.web, err = console.New(console.Options{
		State: r.driver.state.Load, Send: r.driver.send, Reload: r.Reload, Gatherer: o.Registry,
		Recording: r.recorder.copyTo,
		Approver:  r.approver, Denied: m.denied.Inc, List: r.store.List,
		Logger: log.With(o.Logger, "component", "console"), Hosts: o.Hosts,
	})
	return err
}

func (r *Receiver) newSite(cfg *config.Config) (*site.Site, error) {
	return site.New(site.Options{Config: cfg, Logger: log.With(r.options.Logger, "component", "site")})
}

// restore reads the whole ledger into a state.
func (r *Receiver) restore(cfg *config.Config) (incident.State, error) {
	var records []incident.Record
	err := r.store.List(context.Background(), "", func(key string, value []byte) error {
		records = append(records, incident.Record{Key: key, Value: slices.Clone(value)})
		return nil
	})
	if err != nil {
		return incident.State{}, fmt.Errorf("read the ledger: %w", err)
	}
	state, effects, err := incident.Restore(cfg, records, epoch, time.Now())
	r.first = effects
	return state, err
}

// configuration is the one in use.
func (r *Receiver) configuration() *config.Config { return r.config.Load() }

// Web is the handler of the web listener.
func (r *Receiver) Web() http.Handler { return r.web }

// Run drives until ctx ends. What was accepted in an earlier life and not taken up goes first.
func (r *Receiver) Run(ctx context.Context) error {
	pending, err := intake.Pending(ctx, r.store)
	if err != nil {
		// Alertmanager repeats what fires, and is asked below; a record that cannot be read stops nobody.
		level.Error(r.options.Logger).Log("msg", "notifications of an earlier life not read", "err", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel() // a driver that stops by itself ends what else runs here
	work.Go(func() {
		for _, n := range pending {
			r.driver.send(notified(n))
		}
		for {
			r.reconcile(ctx)
			select {
			case <-ctx.Done():
				return
			case <-r.truncated:
			}
		}
	})
	stop := context.AfterFunc(ctx, r.driver.stop)
	defer stop()
	r.driver.run(r.first)
	if r.driver.fenced.Load() {
		return fmt.Errorf("this receiver was fenced off: another one has taken over the ledger %s; stop that one, or leave this one stopped: %w",
			r.configuration().Receiver.Ledger.Path, ledger.ErrFenced)
	}
	return nil
}

// reconcile asks Alertmanager for every acting alert: what a lost or truncated notification would have told (G4).
func (r *Receiver) reconcile(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	alerts, err := r.world.alerts(ctx)
	if err != nil {
		level.Warn(r.options.Logger).Log("msg", "alerts not reconciled; the next notification will tell", "err", err)
		return
	}
	r.driver.send(incident.Notified{At: incident.At(time.Now()), Alerts: active(alerts)})
}

func active(alerts []alertmanager.Alert) []incident.NotifiedAlert {
	var list []incident.NotifiedAlert
	for _, a := range alerts {
		list = append(list, incident.NotifiedAlert{Firing: true, Labels: a.Labels, StartsAt: a.StartsAt, Fingerprint: a.Fingerprint})
	}
	return list
}

// Reload reads the configuration again, all or nothing. The ledger's path and the listeners need a restart.
func (r *Receiver) Reload() error {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	cfg, err := load(r.options.ConfigFile)
	if err == nil {
		err = fixed(&r.configuration().Receiver, &cfg.Receiver)
	}
	var s *site.Site
	if err == nil {
		s, err = r.newSite(cfg)
	}
	if err != nil {
		r.reloadOK.Set(0)
		return err
	}
	r.config.Store(cfg)
	r.world.swap(s)
	r.driver.reload(cfg)
	r.recorder.configure(cfg.Receiver.Ledger)
	r.warn(cfg)
	tellModes(r.options.Logger, cfg)
	r.reloaded()
	level.Info(r.options.Logger).Log("msg", "configuration reloaded", "config", r.options.ConfigFile)
	return nil
}

// fixed reports a change of what only a restart can change.
func fixed(old, next *config.Receiver) error {
	if old.Ledger.Path != next.Ledger.Path {
		return fmt.Errorf("receiver.ledger.path: %q cannot become %q without a restart", old.Ledger.Path, next.Ledger.Path)
	}
	proofs := func(w config.Webhook) (token bool, tls config.ServerTLS) {
		if w.TLS != nil {
			tls = *w.TLS
		}
		return w.TokenFile != "" || w.TokenEnv != "", tls
	}
	oldToken, oldTLS := proofs(old.Webhook)
	nextToken, nextTLS := proofs(next.Webhook)
	if oldToken != nextToken || oldTLS != nextTLS {
		return errors.New("receiver.webhook: how Alertmanager proves itself, and the listener's certificate files, cannot change without a restart")
	}
	return nil
}

func (r *Receiver) warn(cfg *config.Config) {
	for _, w := range cfg.Warnings() {
		level.Warn(r.options.Logger).Log("msg", "configuration gives away more than it must", "what", w)
	}
}

func (r *Receiver) reloaded() {
	r.reloadOK.Set(1)
	r.reloadTime.SetToCurrentTime()
}

// Close ends what New began. The driver must have stopped.
func (r *Receiver) Close() error {
	var errs []error
	if r.recorder != nil {
		r.recorder.close()
	}
	if r.committer != nil {
		errs = append(errs, r.committer.Close())
	}
	if r.store != nil {
		errs = append(errs, r.store.Close())
	}
	if r.world != nil {
		errs = append(errs, r.world.close())
	}
	return errors.Join(errs...)
}
