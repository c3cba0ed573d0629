package render_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/render"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type form struct {
	name  string
	write func(io.Writer, drill.Report) error
}

func forms() []form {
	return []form{{"report.txt", render.Text}, {"report.md", render.Markdown}, {"report.html", render.HTML}}
}

func written(t *testing.T, write func(io.Writer, drill.Report) error, r drill.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTheFormsAreAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, f := range forms() {
		got := written(t, f.write, sample())
		if again := written(t, f.write, sample()); again != got {
			t.Errorf("%s is not the same twice", f.name)
		}
		path := filepath.Join("testdata", f.name)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
			t.Errorf("%s (-want +got; -update rewrites it):\n%s", f.name, diff)
		}
	}
}

// TestEveryFormShowsEachFailure: nothing that went wrong is lost on the way to a reader.
func TestEveryFormShowsEachFailure(t *testing.T) {
	t.Parallel()
	for _, f := range forms() {
		got := strings.Join(strings.Fields(strings.NewReplacer("\\", "", "&lt;", "<", "&gt;", ">").Replace(written(t, f.write, sample()))), " ")
		for _, want := range []string{"outcome escalated, expected healed", "2 failovers for one fault <b>", "1 of 7 rows did NOT come out as expected", "FAILS"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s does not say %q", f.name, want)
			}
		}
	}
	quiet := sample()
	quiet.Trials = slices.DeleteFunc(quiet.Trials, func(t drill.Trial) bool { return len(t.Failures) > 0 })
	for _, f := range forms() {
		got := written(t, f.write, quiet)
		if strings.Contains(got, "FAILS") || !strings.Contains(got, "Every row came out as expected") {
			t.Errorf("%s of a run without a failure shows one, or does not say that there is none", f.name)
		}
	}
}

// TestThePageIsWellFormed: every element is closed, whatever the report's words are.
func TestThePageIsWellFormed(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]drill.Report{"sample": sample(), "empty": {}, "unknown": nothingKnown(), "many": many(30)} {
		ids := map[string]bool{}
		var links []string
		d := xml.NewDecoder(strings.NewReader(written(t, render.HTML, r)))
		d.Entity = xml.HTMLEntity
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			e, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			switch e.Name.Local {
			case "script", "link", "img", "iframe", "object", "embed", "base", "form", "image", "use":
				t.Errorf("%s: the page has a %s", name, e.Name.Local)
			}
			for _, a := range e.Attr {
				switch key := a.Name.Local; {
				case key == "id" && ids[a.Value]:
					t.Errorf("%s: id %s stands twice", name, a.Value)
				case key == "id":
					ids[a.Value] = true
				case key == "href":
					links = append(links, a.Value)
				case key == "aria-labelledby":
					for _, id := range strings.Fields(a.Value) {
						links = append(links, "#"+id)
					}
				case key == "src" || key == "style" || strings.HasPrefix(key, "on"):
					t.Errorf("%s: <%s %s=%q>", name, e.Name.Local, key, a.Value)
				}
			}
		}
		for _, l := range links {
			if !strings.HasPrefix(l, "#") || !ids[l[1:]] {
				t.Errorf("%s: %s leads outside the page or to nothing", name, l)
			}
		}
	}
}

func TestThePageNeedsNothingFromOutside(t *testing.T) {
	t.Parallel()
	got := written(t, render.HTML, sample())
	for _, bad := range []string{"http:", "https:", "//", "@import", "url(\"", "url('", "<script", "javascript:", "ZgotmplZ"} {
		if strings.Contains(got, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, want := range []string{"prefers-color-scheme: dark", "@media print", "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;more&#34;", "<desc", "scope=\"col\""} {
		if !strings.Contains(got, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

// TestATerminalHas120Columns, and what it obeys never reaches it.
func TestATerminalHas120Columns(t *testing.T) {
	t.Parallel()
	hostile := sample()
	hostile.Trials[14].Failures = []string{"\x1b[2J\x07" + strings.Repeat("x", 300), "two\nlines\u009bm"}
	for name, r := range map[string]drill.Report{"sample": sample(), "hostile": hostile, "many": many(300), "empty": {}, "unknown": nothingKnown()} {
		text := written(t, render.Text, r)
		for _, line := range strings.Split(text, "\n") {
			if n := utf8.RuneCountInString(line); n > 120 {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
		if strings.ContainsAny(text, "\x1b\x07\u009b\t\r") {
			t.Errorf("%s: a control character reaches the terminal", name)
		}
	}
}

// nothingKnown has trials whose figures never came, with and without what an experiment adds.
func nothingKnown() drill.Report {
	return drill.Report{Trials: []drill.Trial{
		{Fault: "service-crash", Configuration: "monitored-host-cluster", Profile: "quick", Outcome: "refused"},
		trial("service-crash", "guest-cluster", 0, drill.Experiment{Clock: drill.RealClock, Paper: "o"}),
		trial("host-power-off", "monitored-host-cluster", 0, drill.Experiment{Clock: drill.VirtualClock, Paper: "o"}),
	}}
}

// TestUnknownIsNotZero: a figure that never came is nowhere a number.
func TestUnknownIsNotZero(t *testing.T) {
	t.Parallel()
	for _, f := range forms() {
		got := written(t, f.write, nothingKnown())
		for _, bad := range []string{"0.0", "0 s (", "NaN", "0 acknowledged", "measured |"} {
			if strings.Contains(got, bad) {
				t.Errorf("%s has %q where nothing is known", f.name, bad)
			}
		}
		if !strings.Contains(got, "–") {
			t.Errorf("%s does not show that figures are unknown", f.name)
		}
	}
}

// many is a report as `drill --all` makes it: most rows in virtual time, with long stories.
func many(n int) drill.Report {
	r := sample()
	for i := range n - len(r.Trials) {
		t := monitored(i%3, "default")
		e := *t.Experiment
		e.Scenario, e.Clock, e.Repetition, e.Paper = fmt.Sprintf("row-%d", i/3), drill.VirtualClock, i%3+1, ""
		t.Experiment = &e
		for g := range 20 {
			t.Timeline = append(t.Timeline, drill.Moment{AtSeconds: 3 + float64(g), Event: fmt.Sprintf("guard G%d", g+1), Detail: "hold: the group has not settled for 120s (settle)"})
		}
		r.Trials = append(r.Trials, t)
	}
	return r
}

// TestAPageOf300TrialsStaysReadable: rows in virtual time are folded, all are there, and a browser still opens it.
func TestAPageOf300TrialsStaysReadable(t *testing.T) {
	t.Parallel()
	got := written(t, render.HTML, many(300))
	if n := len(got); n > 300*20_000 { // what a trial of 60 moments takes
		t.Errorf("the page has %d bytes; at most 20 kB a trial are meant", n)
	}
	if n := strings.Count(got, "<article "); n != 300 {
		t.Errorf("%d trials on the page, want 300", n)
	}
	// Open: the five groups of the real clock, and the one that failed.
	if n := strings.Count(got, `<details class="group" open="open">`); n != 6 {
		t.Errorf("%d groups of trials stand open, want 6", n)
	}
	if n := strings.Count(got, `<details class="group">`); n != 1+95 {
		t.Errorf("%d groups of trials are folded, want %d", n, 1+95)
	}
}
