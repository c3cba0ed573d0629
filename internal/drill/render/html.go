package render

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"

	"github.com/hypervigil/hypervigil/internal/drill"
)

//go:embed page.html.tmpl style.css
var files embed.FS

// page is what the template draws.
type page struct {
	Style    template.CSS
	Sections []htmlSection
	Groups   []htmlGroup
}

type htmlSection struct {
	section
	Charts []chart
}

// htmlGroup is the trials of a row, each with its timeline.
type htmlGroup struct {
	Title, World string
	Open         bool // shown at once; folded otherwise
	Trials       []htmlTrial
}

type htmlTrial struct {
	Number   int
	Summary  string
	Words    string
	Facts    []fact
	Failures []string
	Plan     []string
	Drawn    bool
	timeline
}

// fact is a name and what it has.
type fact struct{ Name, Value string }

// HTML writes the report as one page that needs nothing from outside: no script, no font, no picture, no style. The
// trials of the real clock stand open; those in virtual time are folded unless something failed.
func HTML(w io.Writer, r drill.Report) error {
	style, err := files.ReadFile("style.css")
	if err != nil {
		return fmt.Errorf("render report: %w", err)
	}
	t, err := template.New("page.html.tmpl").Funcs(template.FuncMap{"n": coordinate}).ParseFS(files, "page.html.tmpl")
	if err != nil {
		return fmt.Errorf("render report: %w", err)
	}
	v := newView(r)
	p := page{Style: template.CSS(style)}
	for _, s := range v.sections(true) {
		hs := htmlSection{section: s}
		if s.ID == "paper" {
			for n, c := range v.compared() {
				hs.Charts = append(hs.Charts, charted(n, c))
			}
		}
		p.Sections = append(p.Sections, hs)
	}
	for _, g := range v.Groups {
		p.Groups = append(p.Groups, v.group(g))
	}
	var b bytes.Buffer // a template that fails half-way leaves no half page
	if err := t.Execute(&b, p); err != nil {
		return fmt.Errorf("render report: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

// coordinate writes a place in a picture, to the tenth of a unit.
func coordinate(f float64) string { return trimmed(float64(int64(f*10+0.5)) / 10) }

func (v view) group(g drill.Group) htmlGroup {
	h := htmlGroup{Title: g.Title, World: worldOf(g.Key), Open: g.Clock != drill.VirtualClock || len(g.Failures()) > 0}
	for i, t := range g.Trials {
		h.Trials = append(h.Trials, v.trial(g.Places[i], t))
	}
	return h
}

func (v view) trial(n int, t drill.Trial) htmlTrial {
	h := htmlTrial{Number: n + 1, Words: t.Summary, Plan: t.Plan}
	h.timeline, h.Drawn = drawn(n, t, v.Report)
	h.timeline.ID = fmt.Sprintf("trial-%d", n+1)
	h.Summary = t.Outcome
	if t.HealedBy != "" {
		h.Summary += " by " + t.HealedBy
	}
	if t.SQLDownSeconds != nil {
		h.Summary += ", SQL Server down " + number(*t.SQLDownSeconds) + " s"
	}
	add := func(name, value string) {
		if value != "" {
			h.Facts = append(h.Facts, fact{name, value})
		}
	}
	add("fault", t.Fault)
	add("machine", t.VM)
	if t.Instance != "" && t.Instance != "-" {
		add("instance", t.Instance)
	}
	add("at", t.FaultAt)
	for _, f := range drill.Figures() {
		if s := f.Of(t); s != nil {
			value := number(*s) + " s"
			if given := v.GivenOf(f.Name, drill.KeyOf(t)); len(given) > 0 {
				value += " (" + marks(given) + ")"
			}
			add(f.Title, value)
		}
	}
	add("failovers", fmt.Sprintf("%d by the cluster, %d commanded", t.FailoversByCluster, t.FailoversCommanded))
	add("commands", fmt.Sprint(len(t.Commands)))
	if e := t.Experiment; e != nil {
		h.Failures = slices.Clone(e.Failures)
		add("first acted", e.Acts)
		add("expected", e.Expected)
		add("because", e.Because)
		if e.Bound != nil {
			add("bound", whole(e.Bound)+" s")
		}
		add("the white paper's cell", e.Paper)
		if e.Acknowledged != nil {
			add("load", fmt.Sprintf("%d commits acknowledged, %d lost, %d unknown", *e.Acknowledged, zero(e.Lost), zero(e.Unknown)))
		}
		for _, u := range e.UnexpectedErrors {
			add("unexpected in the event log", u)
		}
	}
	return h
}
