package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// benchmarks are those of a package that stand beside what they measure, which no other package can call: its test
// binary, built once.
type benchmarks struct{ dir, binary string }

// buildBenchmarks builds the test binary of a package of the module, in whose root the run began.
func buildBenchmarks(ctx context.Context, dir, pkg string) (benchmarks, error) {
	b := benchmarks{dir, filepath.Join(dir, filepath.Base(pkg)+".test")}
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", b.binary, pkg).CombinedOutput(); err != nil {
		return b, fmt.Errorf("build the benchmarks of %s: %w: %.500s", pkg, err, out)
	}
	return b, nil
}

// run runs those that the pattern finds, each count times for benchtime (see go help testflag), with their temporary
// files in the row's folder, and returns their figures in the order of their runs, by the benchmark's name.
func (b benchmarks) run(ctx context.Context, pattern, benchtime string, count int) (map[string][]benchFigures, error) {
	cmd := exec.CommandContext(ctx, b.binary, "-test.run=^$", "-test.bench="+pattern, "-test.benchtime="+benchtime, "-test.count="+strconv.Itoa(count))
	cmd.Dir, cmd.Env = b.dir, append(os.Environ(), "TMPDIR="+b.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %.500s", pattern, err, out)
	}
	all := parseBenchmarks(string(out))
	if len(all) == 0 {
		return nil, fmt.Errorf("%s printed no result: %.500s", pattern, out)
	}
	return all, nil
}

// benchFigures are one run's figures by their units.
type benchFigures map[string]float64

// parseBenchmarks reads the lines that go test prints: a name with the number of processors behind it, how many times,
// and figures each before its unit (golang.org/design/14313-benchmark-format).
func parseBenchmarks(out string) map[string][]benchFigures {
	all := map[string][]benchFigures{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		if _, err := strconv.ParseUint(fields[1], 10, 64); err != nil {
			continue
		}
		name := fields[0]
		if at := strings.LastIndexByte(name, '-'); at > 0 {
			if _, err := strconv.ParseUint(name[at+1:], 10, 64); err == nil {
				name = name[:at]
			}
		}
		f := benchFigures{}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				f[fields[i+1]] = v
			}
		}
		all[name] = append(all[name], f)
	}
	return all
}

// unit lists one figure of every run; a run that lacks it is an error.
func unit(runs []benchFigures, name string) ([]float64, error) {
	var list []float64
	for _, r := range runs {
		v, ok := r[name]
		if !ok {
			return nil, fmt.Errorf("a benchmark printed no %s", name)
		}
		list = append(list, v)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no benchmark printed %s", name)
	}
	return list, nil
}
