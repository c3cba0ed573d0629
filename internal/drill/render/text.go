package render

import (
	"io"
	"strings"

	"github.com/hypervigil/hypervigil/internal/drill"
)

// lineWidth is the most characters of a terminal's line.
const lineWidth = 118

// Text writes the report for a terminal of 120 characters.
func Text(w io.Writer, r drill.Report) error {
	var b strings.Builder
	for n, s := range newView(r).sections(false) {
		if n > 0 {
			b.WriteString("\n")
		}
		b.WriteString(s.Title + "\n" + strings.Repeat("=", len([]rune(s.Title))) + "\n")
		for _, note := range s.Notes {
			paragraph(&b, "", note)
		}
		for _, t := range s.Tables {
			b.WriteString("\n")
			if t.Caption != "" {
				paragraph(&b, "", t.Caption)
			}
			t.text(&b)
			if t.Note != "" {
				paragraph(&b, "  ", t.Note)
			}
		}
		if len(s.Tables) > 0 && len(s.List) > 0 {
			b.WriteString("\n")
		}
		for _, item := range s.List {
			paragraph(&b, "- ", item)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// paragraph writes wrapped lines; those after the first stand under the text of the first.
func paragraph(b *strings.Builder, lead, text string) {
	indent := strings.Repeat(" ", len(lead))
	for n, line := range wrap(text, lineWidth-len(lead)) {
		if n == 0 {
			b.WriteString(lead + line + "\n")
			continue
		}
		b.WriteString(indent + line + "\n")
	}
}
