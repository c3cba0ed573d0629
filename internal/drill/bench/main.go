// Command bench measures Hypervigil against the numbers of its design: one row for each, from one run on one machine,
// printed and written as JSON; it exits with 1 where a goal is missed. `make bench` builds it and what it measures.
//
//	build/bench/bench --dir=build/bench            # every row
//	build/bench/bench --dir=build/bench --row=probe --row=fleet
//
// Peers run as processes of their own, so that what is measured is the program and not its peer; both share the machine,
// which a reader of the figures has to know. The rows of the latency from a fault to the first command are those of
// `make latency`: they take hours of waiting and not minutes of computing.
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
	app := kingpin.New("bench", "Measures Hypervigil against the numbers of its design.")
	app.HelpFlag.Short('h')
	dir := app.Flag("dir", "Folder of the programs that are measured; reports and files of the run go there.").Default("build/bench").String()

	run := app.Command("run", "Measure.").Default()
	names := run.Flag("row", "A row to measure; all where none is named.").Enums(rowNames()...)

	sql := app.Command("serve-sql", "Serve SQL Servers until told to stop.").Hidden()
	count := sql.Flag("count", "How many.").Required().Int()
	large := app.Command("serve-cluster", "Serve the largest cluster's hosts until told to stop.").Hidden()

	command := kingpin.MustParse(app.Parse(os.Args[1:]))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	met, err := true, error(nil)
	switch command {
	case run.FullCommand():
		met, err = measure(ctx, *dir, *names)
	case sql.FullCommand():
		err = serveSQL(ctx, *dir, *count)
	case large.FullCommand():
		err = serveCluster(ctx, *dir)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err != nil || !met {
		os.Exit(1)
	}
}

// rows lists every row, in the order of the design's table.
func rows() []row {
	return []row{
		{"probe", "availability probe, TLS on, /probe handler included, against login + query with the bare driver", benchProbe},
		{"fleet", "1,000 SQL Servers every 15 s in one exporter", benchFleet},
		{"cluster", "whole cluster, 64 nodes and 8,000 virtual machines, one scrape", benchCluster},
		{"decode", "WS-Management decoding against encoding/xml", benchDecode},
		{"webhook", "webhook, open loop, 200 notifications/s of 50 alerts, against the same bytes through bare bbolt", benchWebhook},
		{"command", "accepted to first command, waits and network aside", benchCommand},
		{"incidents", "10,000 open incidents: memory and time of a decision per incident", benchIncidents},
		{"hung", "any hung peer, any stage", benchHung},
		{"neighbour", "what a hung SQL Server or host costs the targets beside it", benchNeighbour},
	}
}

func rowNames() []string {
	var names []string
	for _, r := range rows() {
		names = append(names, r.name)
	}
	return names
}

// measure runs the rows one after another, never two at once, and reports whether every goal was reached.
func measure(ctx context.Context, dir string, only []string) (met bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, err
	}
	b := &bench{dir: dir, out: os.Stdout}
	rep := newReport()
	for _, r := range rows() {
		if len(only) > 0 && !slices.Contains(only, r.name) {
			continue
		}
		res := b.run(ctx, r)
		res.print(os.Stdout)
		rep.Rows = append(rep.Rows, res)
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if err := rep.write(dir); err != nil { // after each row: what was measured is not lost with a later one
			return false, err
		}
	}
	return rep.finish(os.Stdout, dir), nil
}
