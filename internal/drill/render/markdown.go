package render

import (
	"io"
	"strings"

	"github.com/hypervigil/hypervigil/internal/drill"
)

// Markdown writes the report as Markdown with tables (GitHub Flavored Markdown Spec 0.29, section 4.10).
func Markdown(w io.Writer, r drill.Report) error {
	var b strings.Builder
	b.WriteString("# Hypervigil: the measured experiment\n")
	for _, s := range newView(r).sections(true) {
		b.WriteString("\n## " + escaped(s.Title) + "\n")
		for _, note := range s.Notes {
			b.WriteString("\n" + escaped(note) + "\n")
		}
		for _, t := range s.Tables {
			b.WriteString("\n")
			if t.Caption != "" {
				b.WriteString("**" + escaped(t.Caption) + "**\n\n")
			}
			t.markdown(&b)
			if t.Note != "" {
				b.WriteString("\n" + escaped(t.Note) + "\n")
			}
		}
		if len(s.List) > 0 {
			b.WriteString("\n")
		}
		for _, item := range s.List {
			b.WriteString("- " + escaped(item) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t table) markdown(b *strings.Builder) {
	line := func(row []cell) {
		b.WriteString("|")
		for i := range t.Head {
			text := ""
			if i < len(row) {
				text = escaped(row[i].Text)
				if row[i].Kind == isBad && text != "" {
					text = "**" + text + "**"
				}
			}
			b.WriteString(" " + text + " |")
		}
		b.WriteString("\n")
	}
	line(t.Head)
	b.WriteString("|")
	for i := range t.Head {
		if t.Number(i) {
			b.WriteString(" ---: |")
			continue
		}
		b.WriteString(" --- |")
	}
	b.WriteString("\n")
	for _, row := range t.Rows {
		line(row)
	}
}

// escaped makes a text plain in Markdown: no mark-up, no HTML, no cell's or line's end.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range oneLine(text) {
		if strings.ContainsRune("\\`*_[]<>|&~#$", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
