package render

import (
	"strings"
	"unicode/utf8"
)

// want is a label that looks for its line.
type want struct {
	x     float64
	text  string
	line  int
	shown string // as much of the text as there is room for; none where there is none
}

// place gives each label, from the right to the left, the first line in which it ends before what already stands there
// and before the leaders that pass, and returns how many lines were used. first is the line on the marks' own height,
// if it is -1: there a label must end before the next mark as well.
func place(wants []want, first int, right float64, lines int) int {
	limit := map[int]float64{} // by line: where what stands to the right begins
	at := func(line int) float64 {
		if x, ok := limit[line]; ok {
			return x
		}
		return right
	}
	used := 0
	for i := len(wants) - 1; i >= 0; i-- {
		w := &wants[i]
		text, chosen := clip(w.text, labelLetters), lines
		for line := first; line < lines; line++ {
			if w.x+12+letter*float64(utf8.RuneCountInString(text)) <= at(line) {
				chosen = line
				break
			}
		}
		if chosen == lines { // no room for all of it: the line with the most
			for line := first; line < lines; line++ {
				if chosen == lines || at(line) > at(chosen) {
					chosen = line
				}
			}
			text = clip(text, int((at(chosen)-w.x-12)/letter))
		}
		if utf8.RuneCountInString(text) >= 4 {
			w.line, w.shown = chosen, text
			used = max(used, chosen+1)
			for line := 0; line <= chosen; line++ {
				limit[line] = min(at(line), w.x-2)
			}
		}
		if first < 0 {
			limit[-1] = w.x - 8
		}
	}
	return used
}

// clip shortens a text to a number of letters.
func clip(text string, letters int) string {
	r := []rune(oneLine(text))
	switch {
	case len(r) <= letters:
		return string(r)
	case letters < 2:
		return ""
	}
	return strings.TrimRight(string(r[:letters-1]), " ,;:") + "…"
}
