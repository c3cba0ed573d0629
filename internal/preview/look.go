package preview

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/dashboards"
)

// palette is for series that no threshold colours.
var palette = [...]string{"#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#37872d", "#fade2a", "#447ebc", "#c15c17", "#e0b400"}

// colour is what Grafana means by a name.
func colour(name string) string {
	switch name {
	case "green":
		return "#73bf69"
	case "red":
		return "#f2495c"
	case "orange":
		return "#ff9830"
	case "blue":
		return "#5794f2"
	case "transparent":
		return "none"
	}
	return "#ccccdc" // text
}

// threshold is the colour of the step that a value has reached.
func threshold(f dashboards.Field, value float64) string {
	c := "text"
	if f.Thresholds != nil {
		for _, s := range f.Thresholds.Steps {
			if s.Value == nil || value >= *s.Value {
				c = s.Color
			}
		}
	}
	return colour(c)
}

// mapped is the word for a value.
func mapped(mappings []dashboards.Mapping, value float64) (dashboards.Mapped, bool) {
	for _, m := range mappings {
		if w, ok := m.Options[strconv.FormatFloat(value, 'f', -1, 64)]; ok {
			return w, true
		}
	}
	return dashboards.Mapped{}, false
}

var placeholder = regexp.MustCompile(`\{\{\s*([a-zA-Z_]+)\s*\}\}`)

// legendOf names a series as the target says; by its labels where it says nothing.
func legendOf(t dashboards.Target, labels map[string]string) string {
	if t.Legend != "__auto" {
		return strings.TrimSpace(placeholder.ReplaceAllStringFunc(t.Legend, func(s string) string {
			return labels[placeholder.FindStringSubmatch(s)[1]]
		}))
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name != "__name__" {
			parts = append(parts, labels[name])
		}
	}
	return strings.Join(parts, " ")
}

// number writes a value in a unit; to is the page's time, which dates count from.
func number(v float64, unit string, to time.Time) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	switch unit {
	case "percentunit":
		return significant(v*100) + " %"
	case "bytes":
		return scaled(v, 1024, "B", "KiB", "MiB", "GiB", "TiB", "PiB")
	case "Bps":
		return scaled(v, 1000, "B/s", "kB/s", "MB/s", "GB/s")
	case "s":
		return period(v)
	case "dateTimeFromNow":
		return period(float64(to.UnixMilli())/1000-v/1000) + " ago"
	case "ops":
		return significant(v) + " ops/s"
	case "reqps":
		return significant(v) + " req/s"
	case "pps":
		return significant(v) + " p/s"
	case "cpm":
		return significant(v) + " /min"
	}
	return significant(v)
}

// significant writes three digits, and whole numbers whole.
func significant(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e12 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	s := strconv.FormatFloat(v, 'f', min(max(digits, 0), 6), 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

func scaled(v, by float64, units ...string) string {
	i := 0
	for math.Abs(v) >= by && i < len(units)-1 {
		v, i = v/by, i+1
	}
	return significant(v) + " " + units[i]
}

func period(s float64) string {
	a := math.Abs(s)
	switch {
	case a == 0:
		return "0 s"
	case a < 1:
		return significant(s*1000) + " ms"
	case a < 60:
		return significant(s) + " s"
	case a < 3600:
		return significant(s/60) + " min"
	case a < 86400:
		return significant(s/3600) + " h"
	}
	return significant(s/86400) + " d"
}

// statValue is one of a stat's values.
type statValue struct{ Name, Text, Colour string }

func stats(p dashboards.Panel, answers []answer) []statValue {
	f := p.FieldConfig.Defaults
	var list []statValue
	several := 0
	for _, a := range answers {
		several += len(a.list)
	}
	for _, a := range answers {
		for _, s := range a.list {
			v := s.points[len(s.points)-1].value
			name := legendOf(a.target, s.labels)
			out := statValue{name, number(v, f.Unit, time.Time{}), threshold(f, v)}
			if w, ok := mapped(f.Mappings, v); ok {
				out.Text, out.Colour = w.Text, colour(w.Color)
			}
			if p.Options.TextMode == "name" {
				out.Text, out.Name = name, ""
			}
			if several == 1 {
				out.Name = "" // Grafana names a value only where there are more
			}
			list = append(list, out)
		}
	}
	slices.SortStableFunc(list, func(a, b statValue) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// cell is one of a table's.
type cell struct{ Text, Colour string }

type tableData struct {
	Head []string
	Rows [][]cell
}

// tableOf joins the answers' lines by the labels that all have, and leaves out, orders and renames columns.
func tableOf(p dashboards.Panel, answers []answer, to time.Time) *tableData {
	lines, names := joined(p, answers)
	var o dashboards.Organize
	for _, t := range p.Transformations {
		if t.ID == "organize" {
			o = t.Options
		}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return o.Exclude[n] })
	place := func(n string) int {
		if i, ok := o.Index[n]; ok {
			return i
		}
		return len(o.Index)
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(place(a), place(b)) })
	t := &tableData{}
	for _, n := range names {
		t.Head = append(t.Head, cmp.Or(o.Rename[n], n))
	}
	for _, line := range lines {
		var row []cell
		for i, n := range names {
			row = append(row, cellOf(p, t.Head[i], line[n], to))
		}
		t.Rows = append(t.Rows, row)
	}
	slices.SortStableFunc(t.Rows, func(a, b []cell) int {
		return slices.CompareFunc(a, b, func(x, y cell) int { return cmp.Compare(x.Text, y.Text) })
	})
	return t
}

func cellOf(p dashboards.Panel, title string, value any, to time.Time) cell {
	switch value := value.(type) {
	case string:
		return cell{Text: value}
	case float64:
		unit, words := p.FieldConfig.Defaults.Unit, p.FieldConfig.Defaults.Mappings
		for _, o := range p.FieldConfig.Overrides {
			if o.Matcher.Options == title {
				unit, words = overridden(o, unit, words)
			}
		}
		if w, ok := mapped(words, value); ok {
			return cell{w.Text, colour(w.Color)}
		}
		return cell{Text: number(value, unit, to)}
	}
	return cell{}
}

// overridden reads an override's properties, which come from JSON without their types.
func overridden(o dashboards.Override, unit string, words []dashboards.Mapping) (string, []dashboards.Mapping) {
	for _, p := range o.Properties {
		switch p.ID {
		case "unit":
			unit = fmt.Sprint(p.Value)
		case "mappings":
			words = mappingsOf(p.Value)
		}
	}
	return unit, words
}

func mappingsOf(v any) []dashboards.Mapping {
	var all []dashboards.Mapping
	list, _ := v.([]any)
	for _, m := range list {
		options, _ := m.(map[string]any)["options"].(map[string]any)
		out := dashboards.Mapping{Options: map[string]dashboards.Mapped{}}
		for value, w := range options {
			word, _ := w.(map[string]any)
			text, _ := word["text"].(string)
			c, _ := word["color"].(string)
			out.Options[value] = dashboards.Mapped{Text: text, Color: c}
		}
		all = append(all, out)
	}
	return all
}

// joined merges the answers' lines: two are one where what all answers have is the same and nothing else differs.
func joined(p dashboards.Panel, answers []answer) (lines []map[string]any, names []string) {
	seen := map[string]int{} // in how many answers the label is
	filled := 0
	for _, a := range answers {
		if len(a.list) == 0 {
			continue
		}
		filled++
		has := map[string]bool{}
		for _, s := range a.list {
			for n := range s.labels {
				has[n] = true
			}
		}
		for _, n := range slices.Sorted(maps.Keys(has)) {
			if seen[n]++; seen[n] == 1 {
				names = append(names, n)
			}
		}
		names = append(names, p.Column(a.target))
	}
	for _, a := range answers {
		for _, s := range a.list {
			line := map[string]any{p.Column(a.target): s.points[len(s.points)-1].value}
			for n, v := range s.labels {
				line[n] = v
			}
			i := slices.IndexFunc(lines, func(other map[string]any) bool {
				for n, v := range line {
					was, ok := other[n]
					if ok && was != v || !ok && seen[n] == filled {
						return false
					}
				}
				return true
			})
			if i < 0 {
				lines = append(lines, line)
				continue
			}
			maps.Copy(lines[i], line)
		}
	}
	return lines, names
}
