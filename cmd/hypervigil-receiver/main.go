// Command hypervigil-receiver takes alerts from Alertmanager and turns them into guarded commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"
	"golang.org/x/sync/errgroup"

	"github.com/hypervigil/hypervigil/internal/logging"
	"github.com/hypervigil/hypervigil/receiver"
)

func main() {
	app := kingpin.New("hypervigil-receiver", "Turns alerts about SQL Server on Hyper-V into guarded failover commands.")
	file := app.Flag("config.file", "Path of hypervigil.yml.").Default("hypervigil.yml").String()
	check := app.Flag("config.check", "Check the configuration as this program uses it, and exit.").Bool()
	webhook := app.Flag("webhook.listen-address", "Address on which Alertmanager's webhook is served, at /webhook.").Default("127.0.0.1:9879").String()
	external := app.Flag("web.external-url", "URL under which people reach the web listener, where that is not this host's name.").URL()
	logs := logging.AddFlags(app)
	toolkit := kingpinflag.AddFlags(app, "127.0.0.1:9878")
	app.Version(version.Print("hypervigil-receiver"))
	app.HelpFlag.Short('h')
	kingpin.MustParse(app.Parse(os.Args[1:]))

	if *check {
		if err := errors.Join(receiver.Check(*file), web.Validate(*toolkit.WebConfigFile)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(*file, "is good for hypervigil-receiver")
		return
	}
	logger, slogger := logs.New(os.Stderr)
	if err := serve(*file, *webhook, hosts(*external), toolkit, logger, slogger); err != nil {
		level.Error(logger).Log("msg", "receiver stopped", "err", err)
		os.Exit(1)
	}
}

// hosts are the names of the web listener: this host's, and the one in its external URL.
func hosts(external *url.URL) []string {
	var names []string
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	if external != nil && external.Hostname() != "" {
		names = append(names, external.Hostname())
	}
	return names
}

func serve(file, webhook string, hosts []string, toolkit *web.FlagConfig, logger log.Logger, slogger *slog.Logger) error {
	// Before anything else: a SIGHUP sent while the program starts would end it.
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("hypervigil_receiver"))
	r, err := receiver.New(receiver.Options{ConfigFile: file, Logger: logger, Registry: registry, Hosts: hosts})
	if err != nil {
		return err
	}
	level.Info(logger).Log("msg", "receiver started", "version", version.Info(), "config", file, "webhook", webhook)
	if *toolkit.WebConfigFile == "" {
		level.Warn(logger).Log("msg", "console without authentication: whoever reaches the web listener can pause and acknowledge", "see", "--web.config.file")
	}
	server := &http.Server{
		Handler: r.Web(), ReadHeaderTimeout: receiver.HeaderTimeout, ErrorLog: slog.NewLogLogger(slogger.Handler(), slog.LevelWarn),
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.Run(ctx) })
	group.Go(func() error { return r.ServeWebhook(ctx, webhook) })
	group.Go(func() error {
		if err := web.ListenAndServe(server, toolkit, slogger); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("web listener: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				stop() // a second signal ends the program at once
				return server.Close()
			case <-reload:
				if err := r.Reload(); err != nil {
					level.Error(logger).Log("msg", "configuration not reloaded; the old one stands", "err", err)
				}
			}
		}
	})
	return errors.Join(group.Wait(), r.Close())
}
