// Command latency measures the time from a fault to the first command that follows from it, through the real programs: the
// lab in this process, and exporter, Prometheus, Alertmanager and receiver as processes on loopback. It prints each row
// beside its goal and beside what `hypervigilctl budget` reckons for the files that run, writes every sample into
// report.json, and exits with 1 where a goal is missed or a sample lies outside the reckoned interval. `make latency`
// builds it and what it measures.
//
//	build/latency/latency --dir=build/latency                     # every row, which takes about an hour
//	build/latency/latency --dir=build/latency --row=service-fast --n=3
//
// A trial is one fault: the receiver is started anew on a copy of the ledger into which it has itself recorded bindings,
// baseline and samples while all was well, so that no trial sees what the one before it used up, and every limit of
// production holds. Only the hold-off after a start and the pace of the samples are shortened; the run prints this. The
// fault comes at a moment uniform over a scrape interval and an evaluation interval. The first command is the lab's word: what
// its hosts and guests received. A trial in which none comes counts as one that took for ever.
//
// Most of a trial is waiting, so that several chains of the same row run at once, each with a lab, an exporter, a Prometheus, an
// Alertmanager and a receiver of its own: no trial waits for another's cure, and none sees another's incident, budget or brake.
// What they share is the machine, whose load each sample has, and of which the row says how much it used itself.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
)

func main() {
	app := kingpin.New("latency", "Measures the time from a fault to the first command.")
	app.HelpFlag.Short('h')
	o := options{}
	var names []string
	app.Flag("dir", "Folder of Hypervigil's programs; the report and the files of the run go there.").Default("build/latency").StringVar(&o.dir)
	app.Flag("row", "A row to measure; all where none is named.").EnumsVar(&names, rowNames()...)
	app.Flag("n", "Trials of each row; 0 for the row's own.").Envar("N").Default("0").IntVar(&o.n)
	app.Flag("chains", "Chains that take a row's trials at the same time; 0 for the row's own.").Default("0").IntVar(&o.chains)
	app.Flag("seed", "Of the moments at which the faults come; 0 for another one each time.").Default("0").Uint64Var(&o.seed)
	app.Flag("prometheus", "Path of prometheus.").Envar("PROMETHEUS").Default("prometheus").StringVar(&o.prometheus)
	app.Flag("promtool", "Path of promtool.").Envar("PROMTOOL").Default("promtool").StringVar(&o.promtool)
	app.Flag("alertmanager", "Path of alertmanager.").Envar("ALERTMANAGER").Default("alertmanager").StringVar(&o.alertmanager)
	kingpin.MustParse(app.Parse(os.Args[1:]))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	chosen := slices.DeleteFunc(rows(), func(r row) bool { return len(names) > 0 && !slices.Contains(names, r.Name) })
	met, err := measure(ctx, o, chosen, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
	}
	if err != nil || !met {
		os.Exit(1)
	}
}
