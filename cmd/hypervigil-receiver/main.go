// Command hypervigil-receiver takes alerts from Alertmanager and turns them into guarded commands.
package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"

	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/version"
	"golang.org/x/sync/errgroup"

	"github.com/hypervigil/hypervigil/internal/program"
	"github.com/hypervigil/hypervigil/receiver"
)

func main() {
	p := program.New("hypervigil-receiver", "Turns alerts about SQL Server on Hyper-V into guarded failover commands.", "127.0.0.1:9878")
	webhook := p.Flag("webhook.listen-address", "Address on which Alertmanager's webhook is served, at /webhook.").Default("127.0.0.1:9879").String()
	external := p.Flag("web.external-url", "URL under which people reach the web listener, where that is not this host's name.").URL()
	os.Exit(p.Main(os.Args[1:], receiver.Check, func(ctx context.Context, r *program.Run) error {
		return serve(ctx, r, *webhook, hosts(*external))
	}))
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

func serve(ctx context.Context, run *program.Run, webhook string, hosts []string) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("hypervigil_receiver"))
	r, err := receiver.New(receiver.Options{ConfigFile: run.Config, Logger: run.Logger, Registry: registry, Hosts: hosts})
	if err != nil {
		return err
	}
	level.Info(run.Logger).Log("msg", "receiver started", "version", version.Info(), "config", run.Config, "webhook", webhook)
	if !run.WebGuarded {
		level.Warn(run.Logger).Log("msg", "console without authentication: whoever reaches the web listener can pause and acknowledge", "see", "--web.config.file")
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.Run(ctx) })
	group.Go(func() error { return r.ServeWebhook(ctx, webhook) })
	run.Serve(ctx, group, program.Web{
		Handler: r.Web(), HeaderTimeout: receiver.HeaderTimeout, Reload: r.Reload,
		Stop: (*http.Server).Close,
	})
	return errors.Join(group.Wait(), r.Close())
}
