package render

import (
	"strings"
	"unicode/utf8"
)

// kind says what a cell means beside its words; no form of the report says it by colour alone.
type kind int

const (
	isPlain kind = iota
	isGood
	isBad
	isGiven
	isUnknown
	isPaper // the white paper's own figure
)

// Class is a kind's name in the page's style sheet.
func (k kind) Class() string {
	switch k {
	case isGood:
		return "good"
	case isBad:
		return "bad"
	case isGiven:
		return "given"
	case isUnknown:
		return "unknown"
	case isPaper:
		return "paper"
	case isPlain:
		return ""
	}
	return ""
}

type cell struct {
	Text string
	Kind kind
}

// Class is the cell's in the page's style sheet.
func (c cell) Class() string { return c.Kind.Class() }

func plain(text string) cell { return cell{Text: text} }

// figure is a cell for a number that may be unknown.
func figure(text string) cell {
	if text == unknown {
		return cell{Text: text, Kind: isUnknown}
	}
	return plain(text)
}

// table is rows under a head. Widths are the most characters of each column in a terminal; zero is no bound.
type table struct {
	Caption string
	Head    []cell
	Rows    [][]cell
	Widths  []int
	Numbers []bool // columns of numbers, which stand to the right
	Note    string // below it
	Folded  bool   // on the page, until it is opened
}

// Number reports whether a column is one of numbers.
func (t table) Number(column int) bool { return column < len(t.Numbers) && t.Numbers[column] }

// text writes the table for a terminal; a cell that is too wide goes on in the next line.
func (t table) text(b *strings.Builder) {
	wrapped := make([][][]string, 0, len(t.Rows)+1)
	width := make([]int, len(t.Head))
	for _, row := range append([][]cell{t.Head}, t.Rows...) {
		lines := make([][]string, len(t.Head))
		for i := range t.Head {
			if i < len(row) {
				lines[i] = wrap(row[i].Text, t.bound(i))
			}
			for _, l := range lines[i] {
				width[i] = max(width[i], utf8.RuneCountInString(l))
			}
		}
		wrapped = append(wrapped, lines)
	}
	for n, row := range wrapped {
		height := 1
		for _, lines := range row {
			height = max(height, len(lines))
		}
		for h := range height {
			var line strings.Builder
			for i, lines := range row {
				text := ""
				if h < len(lines) {
					text = lines[h]
				}
				gap := strings.Repeat(" ", width[i]-utf8.RuneCountInString(text))
				if t.Number(i) {
					text = gap + text
				} else {
					text += gap
				}
				line.WriteString("  " + text)
			}
			b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		}
		if n == 0 {
			total := 0
			for _, w := range width {
				total += w + 2
			}
			b.WriteString("  " + strings.Repeat("-", total-2) + "\n")
		}
	}
}

func (t table) bound(column int) int {
	if column < len(t.Widths) {
		return t.Widths[column]
	}
	return 0
}

// wrap breaks a text into lines of at most width characters, between words where it can; zero is no bound.
func wrap(text string, width int) []string {
	text = oneLine(text)
	if width <= 0 || utf8.RuneCountInString(text) <= width {
		return []string{text}
	}
	var lines []string
	line, length := "", 0
	for _, word := range strings.Split(text, " ") {
		for utf8.RuneCountInString(word) > width {
			if length > 0 {
				lines, line, length = append(lines, line), "", 0
			}
			r := []rune(word)
			lines, word = append(lines, string(r[:width])), string(r[width:])
		}
		n := utf8.RuneCountInString(word)
		if length > 0 && length+1+n > width {
			lines, line, length = append(lines, line), "", 0
		}
		if length > 0 {
			line, length = line+" ", length+1
		}
		line, length = line+word, length+n
	}
	return append(lines, line)
}

// oneLine makes every space, and what a terminal would obey, a single plain space.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 }), " ")
}
