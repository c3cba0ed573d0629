package main

import (
	"context"
	"fmt"
)

// What is measured of the receiver's mind, by the benchmarks of receiver/incident.
const (
	incidentPackage  = "./receiver/incident"
	commandSamples   = 200
	commandGoal      = 100 // ms
	decisionFew      = 100
	decisionRounds   = 5
	decisionsEach    = 2000
	decisionFlat     = 1.2
	commandBenchmark = "BenchmarkAcceptedToCommand"
	decisionBench    = "BenchmarkDecision/open=%d"
)

// benchCommand is what the receiver itself takes from a notification that it has accepted to the first command.
func benchCommand(ctx context.Context, b *bench) (outcome, error) {
	dir, err := b.folder("command")
	if err != nil {
		return outcome{}, err
	}
	binary, err := buildBenchmarks(ctx, dir, incidentPackage)
	if err != nil {
		return outcome{}, err
	}
	all, err := binary.run(ctx, "^"+commandBenchmark+"$", fmt.Sprintf("%dx", commandSamples), 1)
	if err != nil {
		return outcome{}, err
	}
	figures := map[string]float64{}
	for _, name := range []string{"median-ms", "p99-ms", "most-ms", "disk-median-ms", "disk-p99-ms", "own-p99-ms", "writes"} {
		list, err := unit(all[commandBenchmark], name)
		if err != nil {
			return outcome{}, err
		}
		figures[name] = list[0]
	}
	return outcome{
		Samples: commandSamples,
		Figures: []figure{
			fact("accepted to first command, median", figures["median-ms"], "ms"),
			atMost("accepted to first command, 99th percentile", figures["p99-ms"], "ms", commandGoal),
			fact("accepted to first command, longest", figures["most-ms"], "ms"),
			fact("of it the ledger's writes, synced, median", figures["disk-median-ms"], "ms"),
			fact("of it the ledger's writes, synced, 99th percentile", figures["disk-p99-ms"], "ms"),
			fact("without the ledger's writes, 99th percentile", figures["own-p99-ms"], "ms"),
			fact("writes each", figures["writes"], ""),
		},
		Note: "the sum of all steps in between and of their writes to a bbolt file; waits and the network pass in virtual time; without the driver's goroutines",
	}, nil
}

// benchIncidents compares what a decision and an open incident cost with many open to what they cost with few.
func benchIncidents(ctx context.Context, b *bench) (outcome, error) {
	dir, err := b.folder("incidents")
	if err != nil {
		return outcome{}, err
	}
	binary, err := buildBenchmarks(ctx, dir, incidentPackage)
	if err != nil {
		return outcome{}, err
	}
	b.say("10,000 incidents are opened and decided on seven times first: a minute")
	all, err := binary.run(ctx, "^BenchmarkDecision$", fmt.Sprintf("%dx", decisionsEach), decisionRounds)
	if err != nil {
		return outcome{}, err
	}
	var o outcome
	var few map[string]float64
	for _, open := range []int{decisionFew, 1_000, 10_000} {
		runs, now := all[fmt.Sprintf(decisionBench, open)], map[string]float64{}
		for _, name := range []string{"ns/op", "B/op", "kept-B"} {
			list, err := unit(runs, name)
			if err != nil {
				return o, err
			}
			now[name] = median(list)
		}
		o.Figures = append(
			o.Figures,
			fact(fmt.Sprintf("one decision, %d open", open), now["ns/op"]/1e3, "µs"),
			fact(fmt.Sprintf("one decision allocates, %d open", open), now["B/op"]/1e3, "KB"),
			fact(fmt.Sprintf("one open incident keeps, %d open", open), now["kept-B"]/1e3, "KB"),
		)
		if open == decisionFew {
			few = now
			continue
		}
		o.Figures = append(
			o.Figures,
			atMost(fmt.Sprintf("time of a decision, %d open against %d", open, decisionFew), now["ns/op"]/few["ns/op"], "×", decisionFlat),
			atMost(fmt.Sprintf("memory of a decision, %d open against %d", open, decisionFew), now["B/op"]/few["B/op"], "×", decisionFlat),
			atMost(fmt.Sprintf("memory of an incident, %d open against %d", open, decisionFew), now["kept-B"]/few["kept-B"], "×", decisionFlat),
		)
	}
	o.Samples = decisionsEach * decisionRounds
	o.Note = fmt.Sprintf("medians of %d rounds of %d decisions each", decisionRounds, decisionsEach)
	return o, nil
}
