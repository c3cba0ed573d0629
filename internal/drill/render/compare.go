package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/drill"
)

// comparison is the white paper's experiment repeated in one world: its figures beside ours, one column a configuration
// and ladder.
type comparison struct {
	drill.Key // without configuration, ladder and scenario
	Groups    []drill.Group
}

// Title says in which world.
func (c comparison) Title() string {
	k := c.Key
	words := "Our " + k.Fault
	if k.Era != "" {
		words += ", era " + eraTitle(k.Era)
	}
	if k.Profile != "" {
		words += ", " + k.Profile + " profile"
	}
	if k.Clock != "" {
		words += ", " + k.Clock + " clock"
	}
	return words
}

// compared are the worlds in which the white paper's experiment was repeated, the real clock first.
func (v view) compared() []comparison {
	var list []comparison
	for _, clock := range []string{drill.RealClock, "", drill.VirtualClock} {
		place := map[drill.Key]int{}
		for _, g := range v.Groups {
			if !g.PaperExperiment() || g.Clock != clock {
				continue
			}
			k := g.Key
			k.Configuration, k.Ladder, k.Scenario = "", "", "" // the remedy of 2010 is a scenario of its own
			i, ok := place[k]
			if !ok {
				i = len(list)
				place[k] = i
				list = append(list, comparison{Key: k})
			}
			list[i].Groups = append(list[i].Groups, g)
		}
	}
	return list
}

// columnsAbreast is how many of our columns stand side by side in a table.
const columnsAbreast = 4

// comparisons are the white paper's tables 3-2 and 3-4 beside ours.
func (v view) comparisons() section {
	s := section{ID: "paper", Title: "The white paper's figures beside ours"}
	list := v.compared()
	if len(list) == 0 {
		return s
	}
	s.Notes = []string{
		"Seconds. 2010 is " + drill.PaperSource + ". Ours are means, and in brackets the least and the most of several trials.",
		"Origin: a figure with marks (P1 …) contains durations that were put in, and in virtual time the clock itself was simulated: of these no agreement is claimed. The others were measured. " + legend,
	}
	for _, c := range list {
		for from := 0; from < len(c.Groups); from += columnsAbreast {
			s.Tables = append(s.Tables, c.table(c.Groups[from:min(from+columnsAbreast, len(c.Groups))]))
		}
	}
	for _, p := range drill.PaperFigures() {
		if p.Note != "" {
			s.List = append(s.List, "2010, "+figureTitle(p.Name)+": "+p.Note+".")
		}
	}
	return s
}

func (c comparison) table(groups []drill.Group) table {
	t := table{
		Caption: c.Title(),
		Head:    []cell{plain("seconds"), {"2010 guest cluster", isPaper}, {"2010 monitored", isPaper}},
		Widths:  []int{24, 7, 9, 13, 13, 13, 13, 9},
		Numbers: []bool{false, true, true},
	}
	for _, g := range groups {
		t.Head = append(t.Head, plain(columnTitle(g)))
		t.Numbers = append(t.Numbers, true)
	}
	t.Widths = append(t.Widths[:3+len(groups)], 9)
	t.Head = append(t.Head, plain("origin"))
	for _, f := range drill.Figures() {
		p := drill.PaperOf(f.Name)
		row := []cell{plain(f.Title), paper(p.Guest), paper(p.Monitored)}
		theirs, ourOwn := p.Guest != nil || p.Monitored != nil, false
		var given []int
		for _, g := range groups {
			st := g.Figure(f.Name)
			row = append(row, figure(spread(st)))
			if f.Name == drill.DownFigure && stayedDown(g) {
				row[len(row)-1] = plain("not back")
			}
			ourOwn = ourOwn || st.Mean != nil
			given = append(given, st.Given...)
		}
		slices.Sort(given)
		given = slices.Compact(given)
		switch {
		case ourOwn:
			t.Rows = append(t.Rows, append(row, origin(given, c.Clock)))
		case theirs:
			t.Rows = append(t.Rows, append(row, cell{unknown, isUnknown}))
		}
	}
	return t
}

// stayedDown reports whether SQL Server was down at the end of every trial: how long it would have been is unknown, that
// it was is not.
func stayedDown(g drill.Group) bool {
	return !slices.ContainsFunc(g.Trials, func(t drill.Trial) bool { return t.Outcome != drill.Down })
}

// columnTitle names a group where the rest of the world is said above.
func columnTitle(g drill.Group) string {
	title := drill.ConfigurationTitle(g.Configuration)
	if g.Ladder != "" && g.Ladder != drill.DefaultPolicy {
		title += ", " + ladderTitle(g.Ladder)
	}
	return fmt.Sprintf("%s (%s)", title, plural(len(g.Trials), "trial"))
}

func paper(f *float64) cell {
	if f == nil {
		return cell{unknown, isUnknown}
	}
	return cell{whole(f), isPaper}
}

// origin tells where a figure comes from: set in part by parameters, measured, or simulated together with time itself.
func origin(given []int, clock string) cell {
	switch {
	case len(given) > 0:
		return cell{marks(given), isGiven}
	case clock == drill.VirtualClock:
		return cell{"virtual", isGiven}
	}
	return plain("measured")
}

// statistics are mean, median, minimum, maximum and every sample of each group.
func (v view) statistics(full bool) section {
	s := section{ID: "statistics", Title: "Every figure and every sample"}
	left := 0
	for _, g := range v.Groups {
		if !full && !g.PaperExperiment() && g.Clock == drill.VirtualClock {
			left++
			continue
		}
		if t, ok := statisticsOf(g); ok {
			s.Tables = append(s.Tables, t)
		}
	}
	if len(s.Tables) > 0 {
		s.Notes = []string{"Seconds. " + legend}
	}
	if left > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%s in virtual time: in the other forms of this report.", plural(left, "further row")))
	}
	return s
}

// statisticsOf is a group's table; false where nothing of it is known.
func statisticsOf(g drill.Group) (table, bool) {
	t := table{
		Caption: nameOf(g.Key) + ": " + plural(len(g.Trials), "trial"),
		Widths:  []int{30, 8, 8, 8, 8, 28, 14},
		Numbers: []bool{false, true, true, true, true},
	}
	for _, h := range []string{"seconds", "mean", "median", "minimum", "maximum", "every sample", "origin"} {
		t.Head = append(t.Head, plain(h))
	}
	add := func(title string, s drill.Statistic) {
		if s.Mean == nil {
			return
		}
		t.Rows = append(t.Rows, []cell{
			plain(title), plain(seconds(s.Mean)), plain(seconds(s.Median)), plain(seconds(s.Minimum)), plain(seconds(s.Maximum)),
			plain(samples(s)), origin(s.Given, g.Clock),
		})
	}
	for _, s := range g.Figures {
		add(s.Title, s)
	}
	for _, s := range g.Stages {
		add("stage: "+s.Title, s)
	}
	if len(t.Rows) == 0 {
		return t, false
	}
	var never []string
	for _, s := range g.Figures {
		if s.Mean == nil {
			never = append(never, s.Title)
		}
	}
	if len(never) > 0 {
		t.Note = "Unknown, in every trial: " + strings.Join(never, ", ") + "."
	}
	t.Folded = !g.PaperExperiment() || g.Clock == drill.VirtualClock
	return t, true
}

// samples lists every known value, and says how many are not.
func samples(s drill.Statistic) string {
	words := ""
	for n, v := range s.Samples {
		if n > 0 {
			words += " "
		}
		words += number(v)
	}
	if s.Unknown > 0 {
		words += fmt.Sprintf("; %d unknown", s.Unknown)
	}
	return words
}
