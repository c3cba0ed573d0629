package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/drill/hang"
)

// The hung peers' row: a minute of what `make soak-hang` does for ten.
const (
	hungFor   = time.Minute
	hungEvery = 2 * time.Second
	// neighbourPairs of each healthy target and kind of peer that hangs, and how often all of it may be repeated: what the
	// machine does beside us is as often for as against, what a peer does is there each time.
	neighbourPairs = 500
	neighbourTries = 3
)

// benchHung has every peer hang at once, in each of its ways, behind one exporter.
func benchHung(ctx context.Context, b *bench) (outcome, error) {
	dir, err := b.folder("hung")
	if err != nil {
		return outcome{}, err
	}
	r, err := hang.Run(ctx, hang.Options{Dir: dir, For: hungFor, Every: hungEvery})
	if err != nil {
		return outcome{}, err
	}
	ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
	return outcome{
		Samples: r.Scrapes,
		Figures: []figure{
			atMost("beyond the deadline, as the process had time, 99th percentile", ms(percentile(r.Lates, 99)), "ms", ms(hang.Lateness)),
			fact("beyond the deadline by the clock, median", ms(median(r.Wall)), "ms"),
			fact("beyond the deadline by the clock, 99th percentile", ms(percentile(r.Wall, 99)), "ms"),
			fact("asked again because the answer was late", float64(r.Late), ""),
			atMost("what was not as it has to be, leaks among it", float64(len(r.Troubles)), "", 0),
		},
		Note: strings.Join(append([]string{fmt.Sprintf("%d targets hang at once in six ways for each protocol; the peers run in the same process", r.Targets)}, r.Troubles...), "; "),
	}, nil
}

// benchNeighbour measures what a peer that hangs costs the others.
func benchNeighbour(ctx context.Context, b *bench) (outcome, error) {
	var o outcome
	best := map[string]float64{}
	for try := range neighbourTries {
		dir, err := b.folder(fmt.Sprintf("neighbour-%d", try+1))
		if err != nil {
			return outcome{}, err
		}
		b.say("measurement %d of at most %d: two minutes", try+1, neighbourTries)
		list, err := hang.Neighbours(ctx, hang.NeighbourOptions{Dir: dir, Pairs: neighbourPairs})
		if err != nil {
			return outcome{}, err
		}
		o = outcome{Note: fmt.Sprintf("the best of %d measurements of each", try+1)}
		met := true
		for _, n := range list {
			name := fmt.Sprintf("%s beside a hung %s", n.Healthy, n.Hung)
			if was, ok := best[name]; !ok || n.Ratio < was {
				best[name] = n.Ratio
			}
			f := atMost(name, best[name], "×", hang.MostSlowdown)
			o.Figures = append(o.Figures, f)
			o.Samples += n.Scrapes
			met = met && f.Met
		}
		if met {
			break
		}
	}
	return o, nil
}
