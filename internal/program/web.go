package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-kit/log/level"
	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/sync/errgroup"
)

// Web is a program's web listener and what belongs to it.
type Web struct {
	Handler       http.Handler
	HeaderTimeout time.Duration
	// Reload reads the configuration again; its error is logged, and the former configuration stays in use.
	Reload func() error
	// Stop ends the server after ctx of Serve has ended, and whatever else is to end then.
	Stop func(*http.Server) error
}

// Serve serves w and answers reloads within the group until ctx, the group's, ends. From then on the program counts as
// started.
func (r *Run) Serve(ctx context.Context, group *errgroup.Group, w Web) {
	server := &http.Server{
		Handler: w.Handler, ReadHeaderTimeout: w.HeaderTimeout, ErrorLog: slog.NewLogLogger(r.slogger.Handler(), slog.LevelWarn),
	}
	group.Go(func() error {
		if err := web.ListenAndServe(server, r.toolkit, r.slogger); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("web listener: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		for {
			select {
			case <-r.reload:
				if err := w.Reload(); err != nil {
					level.Error(r.Logger).Log("msg", "configuration refused, the former one stays in use", "err", err)
				}
			case <-ctx.Done():
				level.Info(r.Logger).Log("msg", "program stops")
				return w.Stop(server)
			}
		}
	})
	r.ready()
}
