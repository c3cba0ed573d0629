package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// decodeRounds is how often both benchmarks are run, one after the other each time.
const decodeRounds = 10

// The benchmarks of internal/wsman that are compared: the same page of 500 groups into values that are read.
const (
	decodeOurs     = "BenchmarkDecodeAndRead"
	decodeStandard = "BenchmarkStandardUnmarshal"
)

var benchLine = regexp.MustCompile(`(?m)^(Benchmark\w+)-?\d*\s+\d+\s+([\d.]+) ns/op`) //nolint:gochecknoglobals // never written

// benchDecode compares our decoder with what a client on encoding/xml does. Both are benchmarks beside the decoder, which
// no other package can call; go test runs them, alternating.
func benchDecode(ctx context.Context, b *bench) (outcome, error) {
	dir, err := b.folder("decode")
	if err != nil {
		return outcome{}, err
	}
	binary := dir + "/wsman.test"
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./internal/wsman").CombinedOutput(); err != nil {
		return outcome{}, fmt.Errorf("build the benchmarks: %w: %.500s", err, out)
	}
	took := map[string][]float64{}
	for range decodeRounds {
		for _, name := range []string{decodeOurs, decodeStandard} {
			cmd := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.bench=^"+name+"$", "-test.benchtime=300ms")
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil {
				return outcome{}, fmt.Errorf("%s: %w: %.500s", name, err, out)
			}
			m := benchLine.FindSubmatch(out)
			if m == nil || string(m[1]) != name {
				return outcome{}, fmt.Errorf("%s printed no result: %.500s", name, out)
			}
			ns, err := strconv.ParseFloat(string(m[2]), 64)
			if err != nil {
				return outcome{}, err
			}
			took[name] = append(took[name], ns/1e6)
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
