package main

import (
	"context"
	"errors"
)

// decodeRounds is how often both benchmarks are run, one after the other each time.
const decodeRounds = 10

// The benchmarks of internal/wsman that are compared: the same page of 500 groups into values that are read.
const (
	decodeOurs     = "BenchmarkDecodeAndRead"
	decodeStandard = "BenchmarkStandardUnmarshal"
)

// benchDecode compares our decoder with what a client on encoding/xml does. Both are benchmarks beside the decoder, which
// no other package can call; go test runs them, alternating.
func benchDecode(ctx context.Context, b *bench) (outcome, error) {
	dir, err := b.folder("decode")
	if err != nil {
		return outcome{}, err
	}
	binary, err := buildBenchmarks(ctx, dir, "./internal/wsman")
	if err != nil {
		return outcome{}, err
	}
	took := map[string][]float64{}
	for range decodeRounds {
		for _, name := range []string{decodeOurs, decodeStandard} {
			all, err := binary.run(ctx, "^"+name+"$", "300ms", 1)
			if err != nil {
				return outcome{}, err
			}
			ns, err := unit(all[name], "ns/op")
			if err != nil {
				return outcome{}, err
			}
			took[name] = append(took[name], ns[0]/1e6)
		}
	}
	var ratios []float64
	for i, ours := range took[decodeOurs] {
		ratios = append(ratios, took[decodeStandard][i]/ours)
	}
	if len(ratios) == 0 {
		return outcome{}, errors.New("nothing was measured")
	}
	return outcome{
		Samples: decodeRounds,
		Figures: []figure{
			fact("our decoder and every property that is read, median", median(took[decodeOurs]), "ms"),
			fact("encoding/xml into structures, median", median(took[decodeStandard]), "ms"),
			atLeast("times as fast, median of the rounds' ratios", median(ratios), "×", 5),
		},
		Note: "a page of 500 resource groups; samples are rounds of 300 ms of each, alternating",
	}, nil
}
