// Command hypervigil-lab is the simulated cluster as a program: alone (serve), or with everything around it (demo); as
// the white paper's experiment, measured (drill); and as a game of the receiver's mind against it, without a clock (simulate).
// It draws the dashboards, too (preview).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/prometheus/common/version"

	"github.com/hypervigil/hypervigil/internal/drill/experiment"
	"github.com/hypervigil/hypervigil/internal/drill/simulate"
	"github.com/hypervigil/hypervigil/internal/drill/stage"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/logging"
	"github.com/hypervigil/hypervigil/internal/preview"
)

func main() {
	app := kingpin.New("hypervigil-lab", "A simulated Hyper-V failover cluster with SQL Server, on loopback.")
	logs := logging.AddFlags(app)
	app.Version(version.Print("hypervigil-lab"))
	app.HelpFlag.Short('h')

	serve := app.Command("serve", "Serve the lab alone; print its addresses and accounts as export lines.")
	profile := serve.Flag("profile", "Durations of the simulation: quick or paper.").Default("quick").Enum("quick", "paper")
	dir := serve.Flag("dir", "Folder for certificates; a temporary one where empty.").String()
	listen := serve.Flag("listen", "Address of the control.").Default("127.0.0.1:0").String()

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
		err = serveLab(ctx, *profile, *dir, *listen, logger)
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

func serveLab(ctx context.Context, profile, dir, listen string, logger log.Logger) (err error) {
	p, err := model.ProfileNamed(profile)
	if err != nil {
		return err
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "hypervigil-lab-*"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	l, err := lab.Start(lab.Options{Spec: model.Default(p), Dir: dir, Logger: logger, Listen: listen})
	if err != nil {
		return err
	}
	for _, line := range l.Exports() {
		fmt.Println(line)
	}
	<-ctx.Done()
	return l.Close()
}
