package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/drill"
)

// faults is the white paper's last table, with what happened in our trials beside each cell.
func (v view) faults() section {
	s := section{ID: "faults", Title: "What comes back without a person"}
	configurations := v.paperConfigurations()
	if len(configurations) == 0 {
		return s
	}
	s.Notes = []string{
		"2010 is the white paper's last table: o fails over automatically, △ partly, x does not; of the monitored host cluster first by the host cluster, then by the monitoring.",
		"Ours is what happened: o in every trial SQL Server came back without a person, △ in some, x in none; who acted first, or the outcome where nobody did, and in how many trials, each real or virtual. " + unknown + " was not played here.",
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
	// Its order is guest cluster, host cluster, monitored host cluster: that of the alphabet.
	return slices.Sorted(slices.Values(list))
}

func paperCells(cells []drill.PaperCell) string {
	var list []string
	for _, c := range cells {
		list = append(list, string(c))
	}
	return strings.Join(list, " / ")
}

// happened is what came of a row's fault in a configuration: one line per era where they differ.
func (v view) happened(r drill.PaperRow, configuration string) cell {
	var eras []string
	byEra := map[string][]drill.Trial{}
	for _, t := range v.Trials {
		if t.Configuration != configuration || !r.Plays(t) {
			continue
		}
		era := drill.KeyOf(t).Era
		if byEra[era] == nil {
			eras = append(eras, era)
		}
		byEra[era] = append(byEra[era], t)
	}
	if len(eras) == 0 {
		return cell{unknown, isUnknown}
	}
	var words []string
	same := map[string]int{} // by what happened: its place in words
	var whose [][]string
	k := isPlain
	for _, era := range eras {
		said := fate(byEra[era])
		i, ok := same[said]
		if !ok {
			i = len(words)
			same[said] = i
			words, whose = append(words, said), append(whose, nil)
		}
		if era != "" {
			whose[i] = append(whose[i], era)
		}
		for _, t := range byEra[era] {
			if t.Experiment != nil && len(t.Failures) > 0 {
				k = isBad
			}
		}
	}
	for i := range words {
		if len(whose[i]) > 0 && len(eras) > 1 {
			words[i] += " (" + strings.Join(whose[i], ", ") + ")"
		}
	}
	text := strings.Join(words, "; ")
	if k == isBad {
		text = "FAILS: " + text
	}
	return cell{text, k}
}

// fate says in how many trials SQL Server came back without a person, who acted, and on which clock.
func fate(trials []drill.Trial) string {
	back := 0
	var who, clocks []string
	for _, t := range trials {
		if cameBack(t) {
			back++
		}
		who = append(who, actor(t))
		clocks = append(clocks, cmp.Or(clockOf(t), drill.RealClock))
	}
	sign := drill.PaperPartly
	switch back {
	case len(trials):
		sign = drill.PaperYes
	case 0:
		sign = drill.PaperNo
	}
	return fmt.Sprintf("%s %s, %d/%d %s", sign, counted(who), back, len(trials), strings.Join(slices.Compact(slices.Sorted(slices.Values(clocks))), "+"))
}

// cameBack reports whether SQL Server was back at the trial's end and no person brought it back.
func cameBack(t drill.Trial) bool { return t.Outcome == "healed" && t.HealedBy != "person" }

// actor is who acted first, or, where nobody did, what came of it.
func actor(t drill.Trial) string {
	who := t.HealedBy
	if t.Experiment != nil && t.Acts != "" {
		who = t.Acts
	}
	if who == "" || who == "nobody" {
		return cmp.Or(t.Outcome, "nothing")
	}
	return who
}
