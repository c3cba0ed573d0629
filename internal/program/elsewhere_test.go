//go:build !windows

package program

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/winservice"
)

// TestNoServiceElsewhere: each command says what it is for, and does nothing.
func TestNoServiceElsewhere(t *testing.T) {
	t.Parallel()
	p := New("hypervigil-exporter", "Watches.", "127.0.0.1:9877")
	for _, c := range []string{"install", "start", "stop", "remove", "run"} {
		_, err := p.service.do(p, "service "+c, []string{"service", c}, func(context.Context, *Run) error {
			t.Error("the program was run")
			return nil
		})
		if !errors.Is(err, winservice.ErrNotWindows) || !strings.HasPrefix(err.Error(), "hypervigil-exporter service "+c+": ") {
			t.Errorf("service %s: %v", c, err)
		}
	}
}

// TestSignals: the program's own part sees SIGHUP as a reload and SIGTERM as the end.
func TestSignals(t *testing.T) { //nolint:paralleltest // signals are the process'
	p := New("hypervigil-exporter", "Watches.", "127.0.0.1:9877")
	if _, err := p.Parse([]string{"--config.file=x.yml"}); err != nil {
		t.Fatal(err)
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	err = p.serve(log.NewNopLogger(), slog.New(slog.DiscardHandler), func(ctx context.Context, r *Run) error {
		if r.Config != "x.yml" || r.WebGuarded {
			t.Errorf("config %q, guarded %t", r.Config, r.WebGuarded)
		}
		if err := self.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		<-r.reload
		if err := self.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
