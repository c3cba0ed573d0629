package render

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/hypervigil/hypervigil/internal/drill"
)

// unknown stands where a figure never came.
const unknown = "–"

// legend says how the tables are to be read.
const legend = unknown + " is unknown: it never came, or is not measured here. It is not zero."

// seconds writes a figure without its unit: hundredths below ten seconds, thousandths below a tenth.
func seconds(f *float64) string {
	if f == nil {
		return unknown
	}
	return number(*f)
}

func number(f float64) string {
	digits := 1
	switch {
	case f == 0:
		return "0"
	case f < 0.1 && f > -0.1:
		digits = 3
	case f < 10 && f > -10:
		digits = 2
	}
	return strconv.FormatFloat(f, 'f', digits, 64)
}

// whole writes a figure of the white paper's, which has no tenths.
func whole(f *float64) string {
	if f == nil {
		return unknown
	}
	return strconv.FormatFloat(*f, 'f', -1, 64)
}

// spread writes a statistic in a cell: the mean, and between what it lies where there are several samples.
func spread(s drill.Statistic) string {
	switch {
	case s.Mean == nil:
		return unknown
	case len(s.Samples) == 1:
		return seconds(s.Mean)
	}
	return fmt.Sprintf("%s (%s–%s)", seconds(s.Mean), seconds(s.Minimum), seconds(s.Maximum))
}

// mark is a given parameter's, by its place in the report.
func mark(n int) string { return "P" + strconv.Itoa(n+1) }

// marks names parameters by their sorted places; three and more in a row as from the first to the last.
func marks(places []int) string {
	var list []string
	for i := 0; i < len(places); {
		last := i
		for last+1 < len(places) && places[last+1] == places[last]+1 {
			last++
		}
		switch last - i {
		case 0:
			list = append(list, mark(places[i]))
		case 1:
			list = append(list, mark(places[i]), mark(places[last]))
		default:
			list = append(list, mark(places[i])+"–"+mark(places[last]))
		}
		i = last + 1
	}
	return strings.Join(list, " ")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

func clockOf(t drill.Trial) string { return drill.KeyOf(t).Clock }

// nameOf is a group's name in one line.
func nameOf(k drill.Key) string { return k.Scenario + ", " + worldOf(k) }

// worldOf is where it was played.
func worldOf(k drill.Key) string {
	parts := []string{drill.ConfigurationTitle(k.Configuration)}
	if k.Era != "" {
		parts = append(parts, "era "+eraTitle(k.Era))
	}
	if k.Profile != "" {
		parts = append(parts, k.Profile+" profile")
	}
	if k.Ladder != "" {
		parts = append(parts, ladderTitle(k.Ladder))
	}
	if k.Clock != "" {
		parts = append(parts, k.Clock+" clock")
	}
	return strings.Join(parts, ", ")
}

// ladderTitle names a ladder or policy; the white paper's remedy is one by name. What is a phrase already stays as it is.
func ladderTitle(ladder string) string {
	switch {
	case ladder == drill.DefaultPolicy:
		return "default ladder"
	case ladder == drill.WhitePaperPolicy:
		return "the white paper's remedy"
	case strings.Contains(ladder, " "):
		return ladder
	}
	return "policy " + ladder
}

// eraTitle names an era as Windows does.
func eraTitle(era string) string {
	if era == drill.Era2008R2 {
		return "2008 R2"
	}
	return era
}

// counted joins words, each once with how often it came where that is not always.
func counted(words []string) string {
	var order []string
	n := map[string]int{}
	for _, w := range words {
		if n[w]++; n[w] == 1 {
			order = append(order, w)
		}
	}
	for i, w := range order {
		if n[w] != len(words) {
			order[i] = fmt.Sprintf("%s ×%d", w, n[w])
		}
	}
	return strings.Join(order, ", ")
}

// trimmed writes a round number as short as it is.
func trimmed(f float64) string {
	return strconv.FormatFloat(math.Round(f*1e6)/1e6+0, 'f', -1, 64) // + 0: there is no -0
}
