package dashboards

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/hypervigil/hypervigil/rules/rulestest"
)

// The rules of Grafana's dashboard linter (github.com/grafana/dashboard-linter, docs/index.md and lint/rule_*.go), as
// far as they are about Prometheus, each under its own name. Some are tested elsewhere in this package as well; here
// they are together, so that whoever runs the linter by himself finds nothing new.
//
// Left out are template-job-rule, template-instance-rule, target-job-rule and target-instance-rule: they want variables
// job and instance in every query. Our series are told apart by cluster, vm and node, which are the same whichever
// exporter asked and whichever module (its job) did; a choice of jobs would show a machine by halves. clusterMatched
// asks the same of the cluster in their stead. The one page that is about our own programs has the variable instance.
var linter = []struct {
	name string
	look func(d dashboard, say func(format string, args ...any))
}{
	{"template-datasource-rule", templatedSource},
	{"template-label-promql-rule", templatedLabels},
	{"template-on-time-change-reload", reloadedVariables},
	{"template-uneditable-rule", uneditable},
	{"panel-datasource-rule", panelSource},
	{"panel-title-description-rule", titled},
	{"panel-units-rule", panelUnits},
	{"panel-no-targets-rule", targeted},
	{"target-promql-rule", parses},
	{"target-rate-interval-rule", rateIntervals},
	{"target-counter-agg-rule", counters},
	{"target-histogram-rule", histograms},
	{"target-required-matchers-rule", clusterMatched},
}

func TestGrafanasLinterWouldFindNothing(t *testing.T) {
	t.Parallel()
	for _, d := range load(t) {
		for _, rule := range linter {
			rule.look(d, func(format string, args ...any) {
				t.Helper()
				t.Errorf("%s: %s: %s", rule.name, d.file, fmt.Sprintf(format, args...))
			})
		}
	}
}

// TestTheLinterSeesWhatIsWrong: each rule complains about a page that breaks it. A rule that never does is none.
func TestTheLinterSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	broken := map[string]func(*Dashboard){
		"template-datasource-rule":       func(d *Dashboard) { d.Templating.List[0].Label = "Prometheus" },
		"template-label-promql-rule":     func(d *Dashboard) { d.Templating.List[1].Query = map[string]any{"query": "label_values(up{, job)"} },
		"template-on-time-change-reload": func(d *Dashboard) { d.Templating.List[1].Refresh = 1 },
		"template-uneditable-rule":       func(d *Dashboard) { d.Editable = true },
		"panel-datasource-rule":          func(d *Dashboard) { d.Panels[1].Source.UID = "P1809F7CD0C75ACF3" },
		"panel-title-description-rule":   func(d *Dashboard) { d.Panels[1].Description = "" },
		"panel-units-rule":               func(d *Dashboard) { d.Panels[1].FieldConfig.Defaults.Unit = "seconds" },
		"panel-no-targets-rule":          func(d *Dashboard) { d.Panels[1].Targets = nil },
		"target-promql-rule":             func(d *Dashboard) { d.Panels[1].Targets[0].Expr = "sum(mssql_up" },
		"target-rate-interval-rule":      func(d *Dashboard) { d.Panels[1].Targets[0].Expr = "rate(mssql_logins_total[5m])" },
		"target-counter-agg-rule":        func(d *Dashboard) { d.Panels[1].Targets[0].Expr = "sum(mssql_logins_total)" },
		"target-histogram-rule":          func(d *Dashboard) { d.Panels[1].Targets[0].Expr = "sum(rate(x_bucket[$__rate_interval]))" },
		"target-required-matchers-rule":  func(d *Dashboard) { d.Panels[1].Targets[0].Expr = "sum(mssql_up)" },
	}
	for _, rule := range linter {
		breaks, ok := broken[rule.name]
		if !ok {
			t.Errorf("%s: nothing here breaks it", rule.name)
			continue
		}
		found := 0
		count := func(string, ...any) { found++ }
		good, bad := load(t)[0], load(t)[0]
		rule.look(good, count)
		if found != 0 {
			t.Errorf("%s complains about %s, which is in order", rule.name, good.file)
		}
		breaks(&bad.Dashboard)
		if rule.look(bad, count); found == 0 {
			t.Errorf("%s did not complain", rule.name)
		}
	}
}

func templatedSource(d dashboard, say func(string, ...any)) {
	found := 0
	for _, v := range d.Templating.List {
		if v.Type != "datasource" {
			continue
		}
		found++
		if v.Name != "datasource" || v.Label != "Data source" || v.Query != "prometheus" {
			say("variable %s labelled %q of %v, want datasource, Data source, prometheus", v.Name, v.Label, v.Query)
		}
	}
	if found != 1 {
		say("%d variables of the type datasource, want one", found)
	}
}

var question = regexp.MustCompile(`^label_values\((.+), [a-z_]+\)$`)

func templatedLabels(d dashboard, say func(string, ...any)) {
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		parts := question.FindStringSubmatch(v.question())
		if parts == nil {
			say("variable %s asks %q, want label_values(series, label)", v.Name, v.question())
		} else if _, err := parse(parts[1]); err != nil {
			say("variable %s: %v", v.Name, err)
		}
	}
}

func reloadedVariables(d dashboard, say func(string, ...any)) {
	const onTimeRangeChange = 2
	for _, v := range d.Templating.List {
		if v.Type == "query" && v.Refresh != onTimeRangeChange {
			say("variable %s is not asked again when the time changes", v.Name)
		}
	}
}

func uneditable(d dashboard, say func(string, ...any)) {
	if d.Editable {
		say("it can be edited, and the next import would undo that")
	}
}

func panelSource(d dashboard, say func(string, ...any)) {
	for _, p := range d.drawn() {
		sources := []Source{}
		if p.Source != nil {
			sources = append(sources, *p.Source)
		}
		for _, q := range p.Targets {
			sources = append(sources, q.Source)
		}
		if p.Source == nil || slices.ContainsFunc(sources, func(s Source) bool { return s.UID != "${datasource}" }) {
			say("panel %s does not take the data source of the variable", p.Title)
		}
	}
}

func titled(d dashboard, say func(string, ...any)) {
	for _, p := range d.drawn() {
		if p.Title == "" || p.Description == "" {
			say("panel %d %q lacks title or description", p.ID, p.Title)
		}
	}
}

// units are those of Grafana's that we use (packages/grafana-data/src/valueFormats/categories.ts).
var units = []string{"none", "percentunit", "bytes", "Bps", "s", "dateTimeFromNow", "ops", "reqps", "cpm", "pps"}

func panelUnits(d dashboard, say func(string, ...any)) {
	for _, p := range d.drawn() {
		given := []any{p.FieldConfig.Defaults.Unit}
		for _, o := range p.FieldConfig.Overrides {
			for _, property := range o.Properties {
				if property.ID == "unit" {
					given = append(given, property.Value)
				}
			}
		}
		for _, unit := range given {
			if s, ok := unit.(string); !ok || !slices.Contains(units, s) {
				say("panel %s: %v is no unit of Grafana's that we use", p.Title, unit)
			}
		}
	}
}

func targeted(d dashboard, say func(string, ...any)) {
	for _, p := range d.drawn() {
		if len(p.Targets) == 0 {
			say("panel %s asks for nothing", p.Title)
		}
	}
}

func parses(d dashboard, say func(string, ...any)) {
	for _, q := range d.queries() {
		if _, err := parse(q.expr); err != nil {
			say("%s: %v", q.where, err)
		}
	}
}

// rateIntervals: the windows of rate and irate are Grafana's, which fits them to the scrapes; others may be the range's.
func rateIntervals(d dashboard, say func(string, ...any)) {
	walk(d, func(q query, node parser.Node, above []parser.Node) {
		m, ok := node.(*parser.MatrixSelector)
		if !ok || m.Range == rateInterval || len(above) == 0 {
			return
		}
		if call, ok := above[len(above)-1].(*parser.Call); ok && (call.Func.Name == "rate" || call.Func.Name == "irate") {
			say("%s: %s over %v in place of $__rate_interval", q.where, call.Func.Name, m.Range)
		}
	})
}

// counters are looked at through rate, irate or increase: their value alone says nothing. Beside the increase of the
// same counter it says how much a series rose that has only just begun (rose).
func counters(d dashboard, say func(string, ...any)) {
	walk(d, func(q query, node parser.Node, above []parser.Node) {
		v, ok := node.(*parser.VectorSelector)
		if !ok || !strings.HasSuffix(v.Name, "_total") {
			return
		}
		if len(above) >= 2 {
			if call, ok := above[len(above)-2].(*parser.Call); ok && slices.Contains([]string{"rate", "irate", "increase"}, call.Func.Name) {
				return
			}
		}
		if strings.Contains(q.expr, "increase("+v.Name) {
			return
		}
		say("%s: the counter %s is without rate, irate or increase", q.where, v.Name)
	})
}

func histograms(d dashboard, say func(string, ...any)) {
	walk(d, func(q query, node parser.Node, above []parser.Node) {
		v, ok := node.(*parser.VectorSelector)
		if !ok || !strings.HasSuffix(v.Name, "_bucket") {
			return
		}
		if !slices.ContainsFunc(above, func(n parser.Node) bool {
			call, ok := n.(*parser.Call)
			return ok && call.Func.Name == "histogram_quantile"
		}) {
			say("%s: %s is without histogram_quantile", q.where, v.Name)
		}
	})
}

// everywhere are the queries that show every cluster whatever is chosen: an alert about no cluster has no such label.
var everywhere = []string{"overview.json, panel Firing alerts", "chain.json, panel Alerts of the chain"}

// clusterMatched: whatever knows its cluster is asked for the chosen one. What is joined by on () needs no matcher of
// its own.
func clusterMatched(d dashboard, say func(string, ...any)) {
	for _, q := range d.queries() {
		if slices.Contains(everywhere, q.where) {
			continue
		}
		expr, err := parse(q.expr)
		if err != nil {
			continue // another rule's
		}
		knows, asked := false, false
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			v, ok := node.(*parser.VectorSelector)
			if !ok {
				return nil
			}
			knows = knows || strings.HasPrefix(v.Name, "mssql_") || strings.HasPrefix(v.Name, "hyperv_") ||
				strings.HasPrefix(v.Name, "wsfc_") || strings.HasPrefix(v.Name, "probe_") || strings.HasPrefix(v.Name, "hypervigil_rescue_") ||
				v.Name == "hypervigil_vm_latched" || v.Name == "ALERTS"
			asked = asked || slices.ContainsFunc(v.LabelMatchers, func(m *promlabels.Matcher) bool { return m.Name == "cluster" })
			return nil
		})
		if knows && !asked {
			say("%s asks for every cluster: %s", q.where, q.expr)
		}
	}
}

// drawn are the panels without the headings.
func (d dashboard) drawn() []Panel {
	return slices.DeleteFunc(slices.Clone(d.Panels), func(p Panel) bool { return p.Type == "row" })
}

// rateInterval is what stands for $__rate_interval while an expression is read; no window of ours is as long.
const rateInterval = 61 * 1e9

// parse reads an expression with the variables filled in.
func parse(expr string) (parser.Expr, error) {
	fill := strings.NewReplacer("$__rate_interval", "61s", "$__range", "1h", "$cluster", "c", "$vm", "v", "$instance", "i")
	return parser.NewParser(parser.Options{}).ParseExpr(fill.Replace(expr))
}

func walk(d dashboard, visit func(q query, node parser.Node, above []parser.Node)) {
	for _, q := range d.queries() {
		expr, err := parse(q.expr)
		if err != nil {
			continue // target-promql-rule says it
		}
		parser.Inspect(expr, func(node parser.Node, above []parser.Node) error {
			visit(q, node, above)
			return nil
		})
	}
}

// TestEveryColumnThatIsShownIsAnswered: a table names the columns that it renames and leaves out; a name that no answer
// has would be left as it is, silently.
func TestEveryColumnThatIsShownIsAnswered(t *testing.T) {
	t.Parallel()
	known := rulestest.Load(t, "..")
	for _, d := range load(t) {
		for _, p := range d.drawn() {
			if p.Type != "table" {
				continue
			}
			answered := map[string]bool{"Time": true, "Value": len(p.Targets) == 1}
			for _, q := range p.Targets {
				answered["Value #"+q.RefID] = len(p.Targets) > 1
				for _, by := range regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(q.Expr, -1) {
					for label := range strings.SplitSeq(by[1], ", ") {
						answered[label] = carries(known, q.Expr, label)
					}
				}
			}
			for _, tr := range p.Transformations {
				named := slices.Concat(slices.Collect(maps.Keys(tr.Options.Exclude)), slices.Collect(maps.Keys(tr.Options.Index)), slices.Collect(maps.Keys(tr.Options.Rename)))
				for _, name := range named {
					if !answered[name] {
						t.Errorf("%s, panel %s: no answer has a column %s", d.file, p.Title, name)
					}
				}
				for name := range answered {
					if tr.ID == "organize" && answered[name] && !slices.Contains(named, name) {
						t.Errorf("%s, panel %s: the column %s is neither shown nor left out", d.file, p.Title, name)
					}
				}
			}
		}
	}
}
