package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheTallyCountsEveryTestAndEveryBrokenPackageOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, events            string
		passed, failed, skipped int
		shown, hidden           string
	}{
		{
			name: "a passing test is counted and its output kept back",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Elapsed":0.5}`,
			passed: 1, shown: "ok    p 0.5s", hidden: "chatter",
		},
		{
			name: "subtests count like tests and a failure shows its output",
			events: `{"Action":"output","Package":"p","Test":"TestA/x","Output":"=== RUN   TestA/x\n"}
{"Action":"output","Package":"p","Test":"TestA/x","Output":"got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestA/x"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p","Elapsed":1}`,
			passed: 1, failed: 2, shown: "got 1, want 2", hidden: "=== RUN",
		},
		{
			name: "a skip says why",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"peer tsql is missing\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Elapsed":0.1}`,
			skipped: 1, shown: "peer tsql is missing",
		},
		{
			name: "a package that does not build is one failure",
			events: `{"ImportPath":"p","Action":"build-output","Output":"p.go:3: undefined: x\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"p"}`,
			failed: 1, shown: "p.go:3: undefined: x\nFAIL  p 0.0s (it does not build)",
		},
		{
			name: "a leak found after the last test is one failure and shows the running test's output",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"half way\n"}
{"Action":"output","Package":"p","Output":"goleak: found unexpected goroutines\n"}
{"Action":"fail","Package":"p","Elapsed":2}`,
			failed: 1, shown: "half way\ngoleak: found unexpected goroutines\nFAIL  p 2.0s",
		},
		{
			name:   "a line that is no event is shown",
			events: "go: no module\n",
			shown:  "go: no module",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			tl := newTally(&out)
			if err := tl.read(strings.NewReader(c.events)); err != nil {
				t.Fatal(err)
			}
			if tl.passed != c.passed || tl.failed != c.failed || tl.skipped != c.skipped {
				t.Errorf("passed, failed, skipped = %d, %d, %d, want %d, %d, %d", tl.passed, tl.failed, tl.skipped, c.passed, c.failed, c.skipped)
			}
			if !strings.Contains(out.String(), c.shown) {
				t.Errorf("shown:\n%s\nwant it to contain:\n%s", out.String(), c.shown)
			}
			if c.hidden != "" && strings.Contains(out.String(), c.hidden) {
				t.Errorf("shown:\n%s\nwant it not to contain %q", out.String(), c.hidden)
			}
		})
	}
}

func TestCountsAreAppendedToTheFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tally")
	for _, tl := range []*tally{{passed: 3, failed: 1}, {passed: 2, skipped: 4}} {
		if err := record(file, tl); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "3 1 0\n2 0 4\n"; string(got) != want {
		t.Errorf("file = %q, want %q", got, want)
	}
	if err := record(filepath.Join(file, "below-a-file"), &tally{}); err == nil {
		t.Error("record into a file that cannot be made = nil, want an error")
	}
}
