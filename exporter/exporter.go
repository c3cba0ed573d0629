// Package exporter answers Prometheus: /probe asks one target of the inventory by one module, /sd tells Prometheus the
// targets, /metrics shows the exporter itself. It reads; it never acts.
//
//	e, err := exporter.New(exporter.Options{ConfigFile: "hypervigil.yml", Logger: logger, Registry: registry})
//	defer e.Close(ctx)
//	http.ListenAndServe(":9877", e.Handler())
//
// What is not in the inventory cannot be probed, so that no caller can make the exporter send a stored credential to a
// host of his choosing. An *Exporter is safe for concurrent use.
package exporter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/internal/config"
)

// Options of an Exporter. All are required.
type Options struct {
	// ConfigFile is hypervigil.yml; it is read now and at every Reload.
	ConfigFile string
	Logger     log.Logger
	// Registry gets the exporter's own metrics and is what /metrics shows. Process and Go metrics are the caller's to
	// add.
	Registry *prometheus.Registry

	// open makes the sources of a configuration; tests put others in place of the network's.
	open opener
}

func (o *Options) validate() error {
	switch {
	case o.ConfigFile == "":
		return errors.New("exporter: no configuration file given")
	case o.Logger == nil:
		return errors.New("exporter: no logger given")
	case o.Registry == nil:
		return errors.New("exporter: no registry given")
	}
	if o.open == nil {
		o.open = openSources
	}
	return nil
}

// Exporter is the program without its listeners and signals.
type Exporter struct {
	options Options
	logger  log.Logger
	metrics *metrics
	handler http.Handler

	// ctx ends when the exporter closes; every probe runs under it.
	ctx    context.Context //nolint:containedctx // the life of the exporter, not of a call
	cancel context.CancelFunc
	wg     sync.WaitGroup // everything that outlives a request

	reloading sync.Mutex // one reload at a time

	mu      sync.Mutex
	present *generation
	closed  bool

	flights flights
	writers writers
}

// New reads the configuration and connects to nothing yet. It fails where a reload would.
func New(o Options) (*Exporter, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	e := &Exporter{options: o, logger: log.With(o.Logger, "component", "exporter")}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	m, err := newMetrics(o.Registry, abandonedCollector(e.abandoned), newStaleNames(e.staleNames), thresholdCollector(e.configuration))
	if err != nil {
		e.cancel()
		return nil, fmt.Errorf("register the exporter's own metrics: %w", err)
	}
	e.metrics = m
	if err := e.Reload(); err != nil {
		e.cancel()
		return nil, err
	}
	e.handler = e.routes()
	return e, nil
}

// Handler serves the exporter's pages.
func (e *Exporter) Handler() http.Handler { return e.handler }

// Reload reads the configuration file again. All or nothing: where anything about it is wrong, the exporter goes on
// with what it has, and the error says what to repair. Probes under way end with the configuration they began with.
func (e *Exporter) Reload() error {
	e.reloading.Lock()
	defer e.reloading.Unlock()
	next, err := load(e.options.ConfigFile, e.logger, e.options.open)
	if err != nil {
		e.metrics.refused()
		return err
	}
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		next.close()
		return errors.New("the exporter is closed")
	}
	old := e.present
	e.present = next
	for module := range next.config.Exporter.Modules {
		e.metrics.module(module)
	}
	if old != nil {
		e.wg.Go(old.retire)
	}
	e.mu.Unlock()
	e.metrics.loaded(next.loaded)
	level.Info(e.logger).Log("msg", "configuration loaded", "file", e.options.ConfigFile, "clusters", len(next.config.Clusters), "targets", len(next.targets))
	return nil
}

// load builds a generation from the file, complete or not at all.
func load(file string, l log.Logger, open opener) (*generation, error) {
	c, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	if err := c.CheckExporter(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	g, err := newGeneration(c, l, open)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return g, nil
}

// acquire returns the present generation, which stays open until it is released.
func (e *Exporter) acquire() (*generation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("the exporter is closing")
	}
	e.present.users.Add(1)
	return e.present, nil
}

// Close ends every probe and closes every connection. It waits for all that the exporter started, until ctx ends: a
// driver that never returns is named in the log, and not waited for. What a request is still writing is the HTTP
// server's to wait for, before.
func (e *Exporter) Close(ctx context.Context) error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	last := e.present
	e.mu.Unlock()
	e.cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		last.retire()
		e.wg.Wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the exporter: %w; collectors that hang, by target: %v", ctx.Err(), e.flights.abandoned())
	}
}

// Check reads a configuration file as New would, and says what is wrong with it. It connects to nothing.
func Check(file string) error {
	g, err := load(file, log.NewNopLogger(), openSources)
	if err != nil {
		return err
	}
	g.close()
	return nil
}
