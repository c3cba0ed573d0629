// Command hypervigil-exporter tells Prometheus how SQL Server, its guests, the hosts and the cluster are. It reads, and
// never acts.
package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/version"
	"golang.org/x/sync/errgroup"

	"github.com/hypervigil/hypervigil/exporter"
	"github.com/hypervigil/hypervigil/internal/program"
)

// stopTimeout is what requests under way get to end when the program is stopped; no module's time-out is longer by
// default.
const stopTimeout = 5 * time.Second

// headerTimeout bounds how slowly a client may ask.
const headerTimeout = 10 * time.Second

func main() {
	p := program.New("hypervigil-exporter", "Watches SQL Server, its guests, the Hyper-V hosts and their cluster for Prometheus.", "127.0.0.1:9877")
	os.Exit(p.Main(os.Args[1:], exporter.Check, serve))
}

func serve(ctx context.Context, r *program.Run) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	e, err := exporter.New(exporter.Options{ConfigFile: r.Config, Logger: r.Logger, Registry: registry})
	if err != nil {
		return err
	}
	level.Info(r.Logger).Log("msg", "exporter started", "version", version.Info(), "config", r.Config)
	group, ctx := errgroup.WithContext(ctx)
	r.Serve(ctx, group, program.Web{
		Handler: e.Handler(), HeaderTimeout: headerTimeout, Reload: e.Reload,
		Stop: func(server *http.Server) error {
			end, cancel := context.WithTimeout(context.Background(), stopTimeout)
			defer cancel()
			return errors.Join(server.Shutdown(end), e.Close(end))
		},
	})
	return group.Wait()
}
