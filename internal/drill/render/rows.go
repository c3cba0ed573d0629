package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/drill"
)

// rows are every row of the experiment: what was expected, and what came.
func (v view) rows() section {
	s := section{ID: "rows", Title: "Every row: expected, and what came"}
	t := table{
		Widths:  []int{3, 20, 13, 10, 2, 11, 13, 9, 11, 5},
		Numbers: []bool{true, false, false, false, true, false, false, false, true},
	}
	for _, h := range []string{"", "scenario", "configuration", "world", "n", "first acts", "expected: came", "failovers", "down ≤ bound", "row"} {
		t.Head = append(t.Head, plain(h))
	}
	for n, g := range v.Groups {
		if !g.Judged() {
			continue
		}
		t.Rows = append(t.Rows, rowOf(n, g))
	}
	if len(t.Rows) == 0 {
		return s
	}
	s.Notes = []string{"Failovers: by the cluster + commanded, the most of one trial. Down: the longest, beside the bound, in seconds."}
	var given []int
	for _, g := range v.Groups {
		given = append(given, g.Figure(drill.DownFigure).Given...)
	}
	if len(given) > 0 {
		slices.Sort(given)
		s.Notes = append(s.Notes, "How long SQL Server was down is set in part by "+marks(slices.Compact(given))+".")
	}
	s.Tables = []table{t}
	return s
}

func rowOf(n int, g drill.Group) []cell {
	var who, came, expected []string
	cluster, commanded := 0, 0
	var bound *float64
	for _, t := range g.Trials {
		who, came = append(who, actor(t)), append(came, t.Outcome)
		cluster, commanded = max(cluster, t.FailoversByCluster), max(commanded, t.FailoversCommanded)
		if t.Experiment == nil {
			continue
		}
		if !slices.Contains(expected, t.Expected) {
			expected = append(expected, t.Expected)
		}
		if t.Bound != nil {
			bound = t.Bound
		}
	}
	words := counted(came)
	if e := strings.Join(expected, ", "); e != words {
		words = e + ": " + words
	}
	took := seconds(g.Figure(drill.DownFigure).Maximum)
	if bound != nil {
		took += " ≤ " + whole(bound)
	}
	verdict := cell{"holds", isGood}
	if len(g.Failures()) > 0 {
		verdict = cell{"FAILS", isBad}
	}
	name := g.Scenario
	if g.Ladder != "" && g.Ladder != drill.DefaultPolicy && !strings.Contains(g.Scenario, g.Ladder) { // a scenario may bear its policy's name
		name += " (" + ladderTitle(g.Ladder) + ")"
	}
	return []cell{
		plain(fmt.Sprint(n + 1)), plain(name), plain(drill.ConfigurationTitle(g.Configuration)), plain(strings.Join(strings.Fields(eraTitle(g.Era)+" "+g.Profile+" "+g.Clock), " ")),
		plain(fmt.Sprint(len(g.Trials))), plain(counted(who)), plain(words), plain(fmt.Sprintf("%d + %d", cluster, commanded)), figure(took), verdict,
	}
}
