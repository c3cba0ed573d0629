// Command hypervigilctl is the operator's command: it checks hypervigil.yml, writes the configuration of Prometheus and
// Alertmanager that fits it, and asks the receiver what it does and why.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/hypervigil/hypervigil/internal/ctl"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := ctl.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
