// Command hypervigil-lab is the simulated cluster as a program: alone (serve), or with everything around it (demo); as
// the white paper's experiment, measured (drill); and as a game of the receiver's mind against it, without a clock (simulate).
// It draws the dashboards, too (preview).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

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
	era := serve.Flag("era", "What a failover cluster does by itself: "+strings.Join(model.EraNames(), " or ")+"; as ever where empty.").Default("").Enum(append(model.EraNames(), "")...)
	guests := serve.Flag("guest-cluster", "Make every SQL Server the clustered resource of two guests.").Bool()
	dir := serve.Flag("dir", "Folder for certificates; a temporary one where empty.").String()
	listen := serve.Flag("listen", "Address of the control.").Default("127.0.0.1:0").String()

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
		err = serveLab(ctx, serving{*profile, *era, *dir, *listen, *guests}, logger)
	case faults.FullCommand():
		listFaults(os.Stdout)
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

// listFaults prints each fault, its victim, and what it is.
func listFaults(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range model.Faults() {
		kind := "fault"
		if f.Condition {
			kind = "condition"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Name, kind, f.Of, f.About)
	}
	_ = w.Flush() // of a terminal; nobody is left to be told
}

// serving is what serve was told.
type serving struct {
	profile, era, dir, listen string
	guests                    bool
}

// spec is the cluster that is served.
func (s serving) spec() (model.Spec, error) {
	p, err := model.ProfileNamed(s.profile)
	if err != nil {
		return model.Spec{}, err
	}
	spec := model.Default(p)
	if s.era != "" {
		e, err := model.EraNamed(s.era)
		if err != nil {
			return model.Spec{}, err
		}
		spec = spec.In(e)
	}
	if s.guests {
		spec = spec.GuestClustered()
	}
	return spec, nil
}

func serveLab(ctx context.Context, s serving, logger log.Logger) (err error) {
	spec, err := s.spec()
	if err != nil {
		return err
	}
	dir := s.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "hypervigil-lab-*"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	l, err := lab.Start(lab.Options{Spec: spec, Dir: dir, Logger: logger, Listen: s.listen})
	if err != nil {
		return err
	}
	for _, line := range l.Exports() {
		fmt.Println(line)
	}
	<-ctx.Done()
	return l.Close()
}
