package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// faults is the white paper's last table, with what happened in our trials beside each cell.
func (v view) faults() section {
	s := section{ID: "faults", Title: "What comes back without a person"}
	configurations := v.paperConfigurations()
	if len(configurations) == 0 {
		return s
	}
	s.Notes = []string{
		"2010 is the white paper's last table: o fails over automatically, △ partly, x does not; of the monitored host cluster first by the host cluster, then by the monitoring. Its host cluster has the VM's heartbeat monitored.",
		"Ours is what happened: o in every trial SQL Server came back without a person, △ in some, x in none; who acted first, or the outcome where nobody did, and in how many trials, each real or virtual. Never down: SQL Server served all the time, and nobody had to act. " + unknown + " was not played here.",
	}
	const class, part, theirs = 8, 14, 7
	t := table{Head: []cell{plain("class"), plain("part")}, Widths: []int{class, part}}
	each := max(8, (lineWidth-class-part-4)/len(configurations)-theirs-4)
	for _, c := range configurations {
		name := drill.ConfigurationTitle(c)
		t.Head = append(t.Head, cell{"2010 " + name, isPaper}, plain("ours, "+name))
		t.Widths = append(t.Widths, theirs, each)
	}
	for _, r := range drill.PaperRows() {
		row := []cell{plain(r.Class), plain(r.Part)}
		for _, c := range configurations {
			row = append(row, cell{paperCells(r.Of(c)), isPaper}, v.happened(r, c))
		}
		t.Rows = append(t.Rows, row)
	}
	s.Tables = []table{t}
	return s
}

// paperConfigurations are those of our trials that the white paper has too, in its order; none where no trial plays a row.
func (v view) paperConfigurations() []string {
	rows := drill.PaperRows()
	var list []string
	for _, t := range v.Trials {
		plays := slices.ContainsFunc(rows, func(r drill.PaperRow) bool { return r.Plays(t) })
		if plays && len(rows[0].Of(t.Configuration)) > 0 && !slices.Contains(list, t.Configuration) {
			list = append(list, t.Configuration)
		}
	}
	return slices.DeleteFunc(drill.Configurations(), func(c string) bool { return !slices.Contains(list, c) })
}

func paperCells(cells []drill.PaperCell) string {
	var list []string
	for _, c := range cells {
		list = append(list, string(c))
	}
	return strings.Join(list, " / ")
}

// happened is what came of a row's fault in a configuration: by era and ladder where they differ.
func (v view) happened(r drill.PaperRow, configuration string) cell {
	type fateOf struct {
		said   string
		worlds []string
	}
	var fates []fateOf
	worlds, failed := 0, false
	for _, g := range v.Groups {
		if g.Configuration != configuration || !r.Plays(g.Trials[0]) {
			continue
		}
		worlds++
		failed = failed || len(g.Failures()) > 0
		said := fate(g)
		i := slices.IndexFunc(fates, func(f fateOf) bool { return f.said == said })
		if i < 0 {
			fates = append(fates, fateOf{said: said})
			i = len(fates) - 1
		}
		if w := short(g.Key); w != "" && !slices.Contains(fates[i].worlds, w) {
			fates[i].worlds = append(fates[i].worlds, w)
		}
	}
	if len(fates) == 0 {
		return cell{unknown, isUnknown}
	}
	var words []string
	for _, f := range fates {
		if len(f.worlds) > 0 && worlds > 1 {
			f.said += " (" + strings.Join(f.worlds, "; ") + ")"
		}
		words = append(words, f.said)
	}
	text := strings.Join(words, "; ")
	if failed {
		return cell{"FAILS: " + text, isBad}
	}
	return plain(text)
}

// short names a world in a cell: the era, and the ladder where it is not the default one.
func short(k drill.Key) string {
	words := eraTitle(k.Era)
	if k.Ladder != "" && k.Ladder != drill.DefaultPolicy {
		words += ", " + ladderTitle(k.Ladder)
	}
	return strings.TrimPrefix(words, ", ")
}

// fate says in how many trials SQL Server came back without a person, who acted, and on which clock.
func fate(g drill.Group) string {
	back, untouched := 0, 0
	var who []string
	for _, t := range g.Trials {
		switch {
		case cameBack(t):
			back++
		case t.Outcome == drill.NoFault:
			untouched++
		}
		who = append(who, actor(t))
	}
	n, clock := len(g.Trials), cmp.Or(g.Clock, drill.RealClock)
	if untouched == n {
		return fmt.Sprintf("never down, %d/%d %s", n, n, clock)
	}
	sign := drill.PaperPartly
	switch back + untouched {
	case n:
		sign = drill.PaperYes
	case untouched:
		sign = drill.PaperNo
	}
	return fmt.Sprintf("%s %s, %d/%d %s", sign, counted(who), back, n, clock)
}

// cameBack reports whether SQL Server was back at the trial's end and no person brought it back.
func cameBack(t drill.Trial) bool {
	return t.Outcome == string(incident.Healed) && t.HealedBy != string(incident.ByPerson)
}

// actor is who acted first, or, where nobody did, what came of it.
func actor(t drill.Trial) string {
	who := t.HealedBy
	if t.Experiment != nil && t.Acts != "" {
		who = t.Acts
	}
	if who == "" || who == drill.ByNobody {
		return cmp.Or(t.Outcome, "nothing")
	}
	return who
}
