// Command hypervigil-lab is the simulated cluster as a program: alone (serve), or with everything around it (demo); as
// the white paper's experiment, measured (drill); and as a game of the receiver's mind against it, without a clock (simulate).
// It draws the dashboards, too (preview).
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"github.com/hypervigil/hypervigil/internal/drill/experiment"
	"github.com/hypervigil/hypervigil/internal/drill/simulate"
	"github.com/hypervigil/hypervigil/internal/drill/stage"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/logging"
	"github.com/hypervigil/hypervigil/internal/preview"
)

func main() {
	app := kingpin.New("hypervigil-lab", "A simulated Hyper-V failover cluster with SQL Server, on loopback.")
	logs := logging.AddFlags(app)
	app.Version(version.Print("hypervigil-lab"))
	app.HelpFlag.Short('h')

	serve := app.Command("serve", "Serve the lab alone; print its addresses and accounts as export lines.")
	serving := lab.Flags(serve)

	faults := app.Command("faults", "List the faults that can be injected into the lab (POST /faults of its control).")

	demo := app.Command("demo", "Start everything, kill SQL Server, and show how it heals.")
	options := stage.DemoFlags(demo)

	measure := app.Command("drill", "Play the white paper's experiment, and what today's administrators meet, and report what came of it.")
	experiments := experiment.Flags(measure)

	play := app.Command("simulate", "Play the receiver's mind through random schedules, in virtual time, and judge every step.")
	simulation := simulate.Flags(play)

	sketch := app.Command("preview", "Draw the dashboards without Grafana, from their JSON and a Prometheus' answers.")
	drawing := preview.Flags(sketch)

	command := kingpin.MustParse(app.Parse(os.Args[1:]))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logger, _ := logs.New(os.Stderr)
	var err error
	switch command {
	case serve.FullCommand():
		err = serving.Run(ctx, os.Stdout, logger)
	case faults.FullCommand():
		err = lab.ListFaults(os.Stdout)
	case demo.FullCommand():
		err = stage.Demo(ctx, *options, os.Stdout)
	case measure.FullCommand():
		err = experiments.Run(ctx, os.Stdout)
	case play.FullCommand():
		stop() // nothing in it listens to ctx; a signal ends it
		err = simulation.Run(os.Stdout)
	case sketch.FullCommand():
		drawing.Out = os.Stdout
		err = preview.Draw(ctx, *drawing)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hypervigil-lab:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}
