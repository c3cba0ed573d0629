// Command hypervigil-exporter tells Prometheus how SQL Server, its guests, the hosts and the cluster are. It reads, and
// never acts.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"
	"golang.org/x/sync/errgroup"

	"github.com/hypervigil/hypervigil/exporter"
	"github.com/hypervigil/hypervigil/internal/logging"
)

// stopTimeout is what requests under way get to end when the program is stopped; no module's time-out is longer by
// default.
const stopTimeout = 5 * time.Second

// headerTimeout bounds how slowly a client may ask.
const headerTimeout = 10 * time.Second

func main() {
	app := kingpin.New("hypervigil-exporter", "Watches SQL Server, its guests, the Hyper-V hosts and their cluster for Prometheus.")
	file := app.Flag("config.file", "Path of hypervigil.yml.").Default("hypervigil.yml").String()
	check := app.Flag("config.check", "Check the configuration as this program uses it, and exit.").Bool()
	logs := logging.AddFlags(app)
	toolkit := kingpinflag.AddFlags(app, "127.0.0.1:9877")
	app.Version(version.Print("hypervigil-exporter"))
	app.HelpFlag.Short('h')
	kingpin.MustParse(app.Parse(os.Args[1:]))

	if *check {
		if err := errors.Join(exporter.Check(*file), web.Validate(*toolkit.WebConfigFile)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(*file, "is good for hypervigil-exporter")
		return
	}
	logger, slogger := logs.New(os.Stderr)
	if err := serve(*file, toolkit, logger, slogger); err != nil {
		level.Error(logger).Log("msg", "exporter stopped", "err", err)
		os.Exit(1)
	}
}

func serve(file string, toolkit *web.FlagConfig, logger log.Logger, slogger *slog.Logger) error {
	// Before anything else: a SIGHUP sent while the program starts would end it.
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	e, err := exporter.New(exporter.Options{ConfigFile: file, Logger: logger, Registry: registry})
	if err != nil {
		return err
	}
	level.Info(logger).Log("msg", "exporter started", "version", version.Info(), "config", file)

	server := &http.Server{
		Handler: e.Handler(), ReadHeaderTimeout: headerTimeout, ErrorLog: slog.NewLogLogger(slogger.Handler(), slog.LevelWarn),
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := web.ListenAndServe(server, toolkit, slogger); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("web listener: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		for {
			select {
			case <-reload:
				if err := e.Reload(); err != nil {
					level.Error(logger).Log("msg", "configuration refused, the former one stays in use", "err", err)
				}
			case <-ctx.Done():
				stop() // a second signal ends the program at once
				level.Info(logger).Log("msg", "exporter stops")
				end, cancel := context.WithTimeout(context.Background(), stopTimeout)
				defer cancel()
				return errors.Join(server.Shutdown(end), e.Close(end))
			}
		}
	})
	return group.Wait()
}
