// Package render turns the report of a measured experiment into something to read: text for a terminal, Markdown, and one
// HTML page that needs nothing from outside. It is pure: no clock, no network, no disk; the same report gives the same
// bytes. What is not known is shown as unknown, never as zero, and a figure that a given parameter sets a part of is
// marked wherever it stands.
//
//	err := render.HTML(file, report)
//
// Times are seconds after the fault. Every function may be called from several goroutines at once.
package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/drill"
)

// view is a report with everything computed that all forms of it show.
type view struct {
	drill.Report
	Groups []drill.Group
}

func newView(r drill.Report) view { return view{Report: r, Groups: drill.Statistics(r)} }

// section is a part of the report: words, then tables, then a list. An empty one is left out.
type section struct {
	ID, Title string
	Notes     []string
	Tables    []table
	List      []string
	Links     []string // where on the page each of List leads; none where it leads nowhere
}

// sections are the report's parts in order. In full, every group has its statistics; otherwise those of the white
// paper's own experiment and those measured on a real clock.
func (v view) sections(full bool) []section {
	list := []section{v.summary(), v.failures(), v.comparisons(), v.faults(), v.rows(), v.statistics(full), v.given()}
	return slices.DeleteFunc(list, func(s section) bool { return len(s.Notes) == 0 && len(s.Tables) == 0 && len(s.List) == 0 })
}

// summary says what ran, and what came of all of it.
func (v view) summary() section {
	s := section{ID: "summary", Title: "What ran"}
	var onReal, onVirtual, unsaid int
	for _, t := range v.Trials {
		switch clockOf(t) {
		case drill.RealClock:
			onReal++
		case drill.VirtualClock:
			onVirtual++
		default:
			unsaid++
		}
	}
	words := []string{plural(len(v.Trials), "trial") + " of " + plural(len(v.Groups), "row")}
	for _, c := range []struct {
		n    int
		word string
	}{{onReal, "on the real clock"}, {onVirtual, "in virtual time"}, {unsaid, "of which the report does not say the clock"}} {
		if c.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	s.Notes = append(s.Notes, strings.Join(words, ", ")+".")
	if w := v.verdict(); w != "" {
		s.Notes = append(s.Notes, w)
	}
	if w := v.failovers(); w != "" {
		s.Notes = append(s.Notes, w)
	}
	if w := v.load(); w != "" {
		s.Notes = append(s.Notes, w)
	}
	for _, p := range []struct{ name, value string }{{"Began", v.Began}, {"Program", v.Program}, {"Machine", v.Machine}, {"To repeat it", v.Command}} {
		if p.value != "" {
			s.List = append(s.List, p.name+": "+p.value)
		}
	}
	return s
}

// verdict says how many rows came out as expected.
func (v view) verdict() string {
	judged, failed := 0, 0
	for _, g := range v.Groups {
		if g.Judged() {
			judged++
		}
		if len(g.Failures()) > 0 {
			failed++
		}
	}
	switch {
	case judged == 0:
		return ""
	case failed == 0:
		return fmt.Sprintf("Every row came out as expected (%d of %d).", judged, judged)
	}
	return fmt.Sprintf("%d of %s did NOT come out as expected; they stand below.", failed, plural(judged, "row"))
}

// failovers says the most that one fault led to: two for one fault was the white paper's own mistake.
func (v view) failovers() string {
	if len(v.Trials) == 0 {
		return ""
	}
	most := 0
	var where []string
	for _, g := range v.Groups {
		n := failovers(slices.MaxFunc(g.Trials, func(a, b drill.Trial) int { return cmp.Compare(failovers(a), failovers(b)) }))
		most = max(most, n)
		if n > 1 {
			where = append(where, nameOf(g.Key))
		}
	}
	words := fmt.Sprintf("Most failovers for one fault: %d.", most)
	if len(where) > 0 {
		words += " More than one: " + strings.Join(where, "; ") + "."
	}
	return words + " In 2010 a host without power led to two: the cluster's own, and a commanded one that failed."
}

// failovers are those of a trial: by the cluster and commanded.
func failovers(t drill.Trial) int { return t.FailoversByCluster + t.FailoversCommanded }

// load sums the load client's commits up, over the trials that know them.
func (v view) load() string {
	var acknowledged, lost, unknown, known int
	for _, t := range v.Trials {
		if t.Experiment == nil || t.Acknowledged == nil {
			continue
		}
		known++
		acknowledged += *t.Acknowledged
		lost += zero(t.Lost)
		unknown += zero(t.Unknown)
	}
	if known == 0 {
		return ""
	}
	return fmt.Sprintf("The load client's commits in %s: %d acknowledged, %d of them lost, %d whose answer never came.", plural(known, "trial"), acknowledged, lost, unknown)
}

func zero(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

// failures tells each trial that did not come out as expected.
func (v view) failures() section {
	s := section{ID: "failures", Title: "What did not come out as expected"}
	for n, t := range v.Trials {
		if t.Experiment == nil {
			continue
		}
		for _, f := range t.Failures {
			s.List = append(s.List, fmt.Sprintf("Trial %d, %s: %s", n+1, nameOf(drill.KeyOf(t)), f))
			s.Links = append(s.Links, fmt.Sprintf("trial-%d", n+1))
		}
	}
	return s
}

// given lists the parameters that were put in.
func (v view) given() section {
	s := section{ID: "given", Title: "Given parameters"}
	if len(v.Given) == 0 {
		s.Notes = []string{"The report names no given parameter; of a simulation's durations nothing can be claimed then."}
		return s
	}
	s.Notes = []string{"These were put in, not found out. Agreement is claimed only for figures that no parameter sets."}
	t := table{Head: []cell{plain("mark"), plain("parameter"), plain("value"), plain("source"), plain("sets a part of")}, Widths: []int{5, 30, 18, 32, 24}}
	for n, g := range v.Given {
		var sets []string
		for _, name := range g.Sets {
			sets = append(sets, figureTitle(name))
		}
		words := "no figure here"
		if len(sets) > 0 {
			words = strings.Join(sets, ", ")
		}
		t.Rows = append(t.Rows, []cell{{Text: mark(n), Kind: isGiven}, plain(g.Name + only(g)), plain(g.Value), plain(g.Source), plain(words)})
	}
	s.Tables = []table{t}
	return s
}

// only says of which trials a parameter is; nothing where it is of all.
func only(g drill.Given) string {
	var words []string
	if g.Profile != "" {
		words = append(words, g.Profile+" profile")
	}
	if g.Era != "" {
		words = append(words, "era "+eraTitle(g.Era))
	}
	if g.Clock != "" {
		words = append(words, g.Clock+" clock")
	}
	if g.Ladder != "" {
		words = append(words, ladderTitle(g.Ladder))
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

func figureTitle(name string) string {
	if name == drill.StagesFigure {
		return "every stage"
	}
	for _, f := range drill.Figures() {
		if f.Name == name {
			return f.Title
		}
	}
	return name
}
