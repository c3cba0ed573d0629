package dashboards

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fill is what Grafana puts in a query's place of its variables.
type Fill struct {
	Variables map[string]string // by name, without the dollar; several values are a regular expression
	Range     time.Duration     // the time shown
	Step      time.Duration     // between two points
	Scrape    time.Duration     // the data source's own "Scrape interval", where a query says none; 15 s in a new one
}

// In returns the query with its variables filled in. $__rate_interval is the greater of the step and one scrape
// interval together, and four scrape intervals (grafana.com/docs/grafana/latest/datasources/prometheus/template-variables).
func (f Fill) In(t Target) string {
	scrape := f.Scrape
	if own, err := time.ParseDuration(t.Interval); err == nil {
		scrape = own
	}
	step := max(f.Step, scrape)
	return f.Text(strings.ReplaceAll(t.Expr, "$__rate_interval", seconds(max(step+scrape, 4*scrape))))
}

// Text fills in a text that has no $__rate_interval: an annotation, a variable's question.
func (f Fill) Text(s string) string {
	s = strings.ReplaceAll(s, "$__range", seconds(f.Range))
	// The longest first: no name is then another's beginning.
	names := slices.SortedFunc(maps.Keys(f.Variables), func(a, b string) int { return len(b) - len(a) })
	for _, name := range names {
		s = strings.ReplaceAll(s, "$"+name, f.Variables[name])
	}
	return s
}

func seconds(d time.Duration) string { return strconv.Itoa(max(1, int(d.Seconds()))) + "s" }

// Question is the variable's query as PromQL's selector and the label whose values it wants; empty where it asks
// nothing.
func (v Variable) Question() (series, label string) {
	rest, ok := strings.CutPrefix(v.Definition, "label_values(")
	if !ok {
		return "", ""
	}
	i := strings.LastIndex(rest, ", ")
	if i < 0 {
		return "", ""
	}
	return rest[:i], strings.TrimSuffix(rest[i+2:], ")")
}

// Column is the name of the column with the values of a table's query: Value where it is the only one.
func (p Panel) Column(t Target) string {
	if len(p.Targets) == 1 {
		return "Value"
	}
	return "Value #" + t.RefID
}
