package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/common/version"
)

// row is one line of the design's table.
type row struct {
	name, what string
	run        func(context.Context, *bench) (outcome, error)
}

// bench is what the rows need. A row keeps its files in a folder of its own.
type bench struct {
	dir string
	out io.Writer
}

// say tells the reader what goes on: a row can take minutes.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.out, "  … "+format+"\n", args...) }

// program is the path of a program that was built for the run.
func (b *bench) program(name string) string { return filepath.Join(b.dir, name) }

// folder makes an empty folder for a row's files.
func (b *bench) folder(name string) (string, error) {
	path, err := filepath.Abs(filepath.Join(b.dir, "files", name))
	if err != nil {
		return "", err
	}
	if err := os.RemoveAll(path); err != nil {
		return "", err
	}
	return path, os.MkdirAll(path, 0o700)
}

// outcome is what a row measured.
type outcome struct {
	Samples int      `json:"samples"`
	Figures []figure `json:"figures"`
	// Note is what a reader of the figures has to know.
	Note string `json:"note,omitempty"`
}

// figure is one number, with its goal where there is one.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// AtMost and AtLeast are the goal; nil where the figure is there to explain another.
	AtMost  *float64 `json:"at_most,omitempty"`
	AtLeast *float64 `json:"at_least,omitempty"`
	Met     bool     `json:"met"`
}

// fact is a figure without a goal.
func fact(name string, value float64, unit string) figure {
	return figure{Name: name, Value: value, Unit: unit, Met: true}
}

// atMost is a figure that may not be larger.
func atMost(name string, value float64, unit string, goal float64) figure {
	return figure{name, value, unit, &goal, nil, value <= goal}
}

// atLeast is a figure that may not be smaller.
func atLeast(name string, value float64, unit string, goal float64) figure {
	return figure{name, value, unit, nil, &goal, value >= goal}
}

// result is a row that was run.
type result struct {
	Name    string  `json:"name"`
	What    string  `json:"what"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"` // why it could not be measured
	outcome
}

// met reports whether the row was measured and every goal reached.
func (r *result) met() bool {
	for _, f := range r.Figures {
		if !f.Met {
			return false
		}
	}
	return r.Error == ""
}

// run measures one row.
func (b *bench) run(ctx context.Context, r row) result {
	fmt.Fprintf(b.out, "%s: %s\n", r.name, r.what)
	runtime.GC() // the garbage of the row before is not this one's
	began := time.Now()
	o, err := r.run(ctx, b)
	res := result{Name: r.name, What: r.what, Seconds: time.Since(began).Seconds(), outcome: o}
	if err != nil {
		res.Error = err.Error()
	}
	return res
}

// print shows a row.
func (r *result) print(out io.Writer) {
	for _, f := range r.Figures {
		verdict, goal := "  ", ""
		if f.AtMost != nil {
			goal = fmt.Sprintf("goal ≤ %.4g", *f.AtMost)
		}
		if f.AtLeast != nil {
			goal = fmt.Sprintf("goal ≥ %.4g", *f.AtLeast)
		}
		if goal != "" {
			verdict = "ok"
			if !f.Met {
				verdict = "MISSED"
			}
		}
		fmt.Fprintf(out, "  %-56s %10.4g %-10s %-12s %s\n", f.Name, f.Value, f.Unit, goal, strings.TrimSpace(verdict))
	}
	if r.Error != "" {
		fmt.Fprintf(out, "  NOT MEASURED: %s\n", r.Error)
	}
	fmt.Fprintf(out, "  n = %d, %.0f s", r.Samples, r.Seconds)
	if r.Note != "" {
		fmt.Fprintf(out, "; %s", r.Note)
	}
	fmt.Fprint(out, "\n\n")
}

// report is one run, as build/bench/report.json has it.
type report struct {
	At       time.Time `json:"at"`
	Commit   string    `json:"commit,omitempty"` // with + where the tree had changes
	Go       string    `json:"go"`
	Platform string    `json:"platform"`
	Cores    int       `json:"cores"`
	CPU      string    `json:"cpu,omitempty"`
	Load     string    `json:"load,omitempty"` // of the machine when the run began: /proc/loadavg
	Rows     []result  `json:"rows"`
}

func newReport() *report {
	r := &report{At: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), CPU: processor()}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		r.Load = strings.TrimSpace(string(b))
	}
	r.Commit = commit(version.Version, version.Revision)
	return r
}

// commit is the revision that the Makefile builds from, marked where git describe found the tree changed. Go's own word
// on it is not to be had: where GOFLAGS or a linked work tree keeps it out of the program, a report named none.
func commit(described, revision string) string {
	if strings.HasSuffix(described, "-dirty") {
		return revision + "+"
	}
	return revision
}

// processor is the name of the CPU, where Linux tells it.
func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, " \t:\n")
		}
	}
	return ""
}

// write keeps the report.
func (r *report) write(dir string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "report.json"), append(b, '\n'), 0o600)
}

// finish says what was missed.
func (r *report) finish(out io.Writer, dir string) (met bool) {
	met = true
	for i := range r.Rows {
		if !r.Rows[i].met() {
			fmt.Fprintf(out, "goal missed: %s\n", r.Rows[i].Name)
			met = false
		}
	}
	if met {
		fmt.Fprintln(out, "every goal reached")
	}
	fmt.Fprintf(out, "%s, %d cores (%s), %s, commit %s, load %s; report in %s\n", r.Platform, r.Cores, r.CPU, r.Go, r.Commit, r.Load, filepath.Join(dir, "report.json"))
	return met
}
