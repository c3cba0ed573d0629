package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// event is one line of go test -json (go doc test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build-output and build-fail
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string
}

// tally counts tests, subtests included, and keeps their output until it is known whether they passed.
type tally struct {
	w                       io.Writer
	passed, failed, skipped int
	output                  map[string]*strings.Builder // by package, or package and test
	failures                map[string]int              // by package
	began                   time.Time
}

func newTally(w io.Writer) *tally {
	return &tally{w: w, output: map[string]*strings.Builder{}, failures: map[string]int{}, began: time.Now()}
}

// read consumes the events to their end. A line that is no event is shown as it is.
func (t *tally) read(r io.Reader) error {
	b := bufio.NewReader(r)
	for {
		line, err := b.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(t.w, "%s", line)
			} else {
				t.add(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tally) add(e event) {
	key := e.Package + "\x00" + e.Test
	switch e.Action {
	case "output":
		if strings.HasPrefix(e.Output, "=== ") {
			return // RUN, PAUSE and CONT of a parallel test: nobody asked
		}
		out := t.output[key]
		if out == nil {
			out = &strings.Builder{}
			t.output[key] = out
		}
		out.WriteString(e.Output)
	case "build-output":
		fmt.Fprint(t.w, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.endPackage(e)
		} else {
			t.endTest(e, key)
		}
		delete(t.output, key)
	}
}

func (t *tally) endTest(e event, key string) {
	switch e.Action {
	case "pass":
		t.passed++
	case "skip":
		t.skipped++
		t.show(key)
	case "fail":
		t.failed++
		t.failures[e.Package]++
		t.show(key)
	}
}

// endPackage shows how a package ended. A package that fails although none of its tests did (it does not build, it
// panicked, its TestMain found a leak) counts as one failure.
func (t *tally) endPackage(e event) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(t.w, "ok    %s %.1fs\n", e.Package, e.Elapsed)
	case "fail":
		if t.failures[e.Package] == 0 {
			t.failed++
		}
		// A test that was running when the package ended has no end of its own; it may be the reason.
		for key := range t.output {
			if name, ok := strings.CutPrefix(key, e.Package+"\x00"); ok && name != "" {
				t.show(key)
				delete(t.output, key)
			}
		}
		t.show(e.Package + "\x00")
		why := ""
		if e.FailedBuild != "" {
			why = " (it does not build)"
		}
		fmt.Fprintf(t.w, "FAIL  %s %.1fs%s\n", e.Package, e.Elapsed, why)
	case "skip":
		// No test files: nothing to say.
	}
}

func (t *tally) show(key string) {
	if out := t.output[key]; out != nil {
		fmt.Fprint(t.w, out.String())
	}
}

func (t *tally) summary() {
	fmt.Fprintf(t.w, "%d tests passed, %d failed, %d skipped in %.0f s\n", t.passed, t.failed, t.skipped, time.Since(t.began).Seconds())
}
