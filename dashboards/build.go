package dashboards

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// titlePrefix begins every title, so that the list of all dashboards shows them together.
const titlePrefix = "Hypervigil / "

// scrapedEveryMinute is the "Min step" of what the background modules ask: they are scraped once a minute at any speed.
// $__rate_interval is four scrape intervals at least, and takes the data source's (15 s, mostly) unless a query says its
// own: a rate over one minute of a series with one sample a minute has never two samples to compare
// (grafana.com/docs/grafana/latest/datasources/prometheus/template-variables, "Use $__rate_interval").
const scrapedEveryMinute = "1m"

// The columns of the page, and usual heights.
const (
	columns    = 24
	statHeight = 4
	plotHeight = 8
)

func source() Source { return Source{Type: "prometheus", UID: "${datasource}"} }

// choice is which variables a page has.
type choice int

const (
	clusters   choice = iota // any number of clusters, all at first
	oneMachine               // one virtual machine of one cluster
)

// page is a dashboard without its panels. which selects what the annotations tell.
func page(name, title, description string, which choice) Dashboard {
	d := Dashboard{
		UID: uidPrefix + name, Title: titlePrefix + title, Description: description, Tags: []string{"hypervigil"},
		GraphTooltip: 1, SchemaVersion: 39, Version: 1, Refresh: "10s", Time: Range{From: "now-1h", To: "now"},
	}
	data := Variable{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus", Refresh: 1, Options: []string{}}
	cluster := ask("cluster", "Cluster", "label_values(probe_success, cluster)")
	matchers := ""
	switch which {
	case clusters:
		d.Templating.List = []Variable{data, cluster.any(".*")}
		matchers = `cluster=~"$cluster"`
	case oneMachine:
		d.Templating.List = []Variable{data, cluster, ask("vm", "Virtual machine", `label_values(mssql_up{cluster="$cluster"}, vm)`)}
		matchers = `cluster="$cluster", vm="$vm"`
	}
	// The alerts that the receiver acts on begin its incidents. A move is a group that had another owner a minute ago.
	d.Annotations.List = []Annotation{
		{
			Name: "Incidents", Source: source(), Enable: true, IconColor: "red", Step: "10s", TitleFormat: "{{alertname}}",
			TextFormat: "{{vm}} {{sql_instance}}",
			Expr:       `ALERTS{alertstate="firing", hypervigil="act", ` + matchers + `}`,
		},
		{
			Name: "Moves", Source: source(), Enable: true, IconColor: "blue", Step: "10s", TitleFormat: "{{vm}} moved to {{node}}",
			TextFormat: "{{cluster}}",
			Expr: fmt.Sprintf(`max by (cluster, vm, node) (wsfc_group_owner_info{vm!="", %s}) unless on (cluster, vm, node) `+
				`(wsfc_group_owner_info offset 1m) and on (cluster, vm) (wsfc_group_owner_info offset 1m)`, matchers),
		},
	}
	return d
}

// ask is a variable with the answers of a question. It is asked again when the time changes.
func ask(name, label, question string) Variable {
	s := source()
	return Variable{
		Name: name, Label: label, Type: "query", Source: &s, Definition: question, Refresh: 2, Sort: 1, Options: []string{},
		Query: map[string]string{"query": question, "refId": "Variable"},
	}
}

// any lets several values be chosen; at first all are, for which the regular expression stands.
func (v Variable) any(expression string) Variable {
	v.IncludeAll, v.Multi, v.AllValue = true, true, expression
	v.Current = &Current{Text: []string{"All"}, Value: []string{"$__all"}}
	return v
}

// section is a heading and what stands below it.
type section struct {
	title  string
	panels []Panel
}

// with lays sections out: panels from left to right as long as they fit, the next line below the tallest.
func (d Dashboard) with(sections ...section) Dashboard {
	id, y := 0, 0
	put := func(p Panel, x int) {
		id++
		p.ID, p.GridPos.X, p.GridPos.Y = id, x, y
		d.Panels = append(d.Panels, p)
	}
	for _, s := range sections {
		open := false
		put(Panel{Type: "row", Title: s.title, Collapsed: &open, GridPos: GridPos{W: columns, H: 1}}, 0)
		y++
		x, tallest := 0, 0
		for _, p := range s.panels {
			if x+p.GridPos.W > columns {
				x, y, tallest = 0, y+tallest, 0
			}
			put(p, x)
			x, tallest = x+p.GridPos.W, max(tallest, p.GridPos.H)
		}
		y += tallest
	}
	return d
}

func panel(kind, title, description string, f Field, o Options, targets ...Target) Panel {
	s := source()
	for i := range targets {
		targets[i].RefID = string(rune('A' + i))
	}
	return Panel{
		Type: kind, Title: title, Description: description, Source: &s, Targets: targets, Options: &o,
		FieldConfig: &FieldConfig{Defaults: f, Overrides: []Override{}},
	}
}

// now asks for the present value; over for those of the time shown; rows for a table's.
func now(expr, legend string) Target {
	return Target{Source: source(), Expr: expr, Legend: legend, Instant: true}
}

func over(expr, legend string) Target {
	return Target{Source: source(), Expr: expr, Legend: legend, Range: true}
}

func rows(expr string) Target {
	return Target{Source: source(), Expr: expr, Legend: "__auto", Instant: true, Format: "table"}
}

// stat is one number, or one for each series.
func stat(title, description, unit string, t Target) Panel {
	p := panel(
		"stat", title, description,
		Field{Unit: unit, NoValue: "none", Color: &Color{Mode: "thresholds"}},
		Options{
			Reduce:    &Reduce{Calcs: []string{"lastNotNull"}},
			ColorMode: "value", GraphMode: "none", JustifyMode: "auto", Orientation: "auto", TextMode: "auto",
		}, t,
	)
	return p.steps("text").size(3, statHeight)
}

// names makes a stat show its series' names in place of their values, which are all 1.
func (p Panel) names() Panel {
	p.Options.TextMode = "name"
	return p
}

// timeline is a bar for each series, in the colours of its states.
func timeline(title, description string, states []Mapping, targets ...Target) Panel {
	p := panel(
		"state-timeline", title, description,
		Field{Unit: "none", Mappings: states, Custom: &Custom{FillOpacity: new(80), LineWidth: new(0), SpanNulls: new(false)}},
		Options{
			MergeValues: new(true), ShowValue: "never", AlignValue: "left", RowHeight: 0.85, Legend: legend(), Tooltip: &Tooltip{"single", "none"},
		}, targets...,
	)
	return p.steps("text").size(12, plotHeight)
}

// series is lines from zero.
func series(title, description, unit string, targets ...Target) Panel {
	p := panel(
		"timeseries", title, description,
		Field{
			Unit: unit, Min: new(0.0),
			Custom: &Custom{DrawStyle: "line", LineWidth: new(1), FillOpacity: new(10), ShowPoints: "never", SpanNulls: new(false)},
		},
		Options{Legend: legend(), Tooltip: &Tooltip{"multi", "desc"}}, targets...,
	)
	return p.size(8, plotHeight)
}

// stacked puts a series' lines on each other.
func (p Panel) stacked() Panel {
	p.FieldConfig.Defaults.Custom.Stacking = &Stacking{"normal", "A"}
	p.FieldConfig.Defaults.Custom.FillOpacity = new(30)
	return p
}

// upTo is the most that a value can be.
func (p Panel) upTo(most float64) Panel {
	p.FieldConfig.Defaults.Max = &most
	return p
}

// steps colours by thresholds: a colour, a value from which on the next one holds, that colour, and so on. A series
// shows them as lines.
func (p Panel) steps(first string, more ...any) Panel {
	t := &Thresholds{Mode: "absolute", Steps: []Step{{Color: first}}}
	for pair := range slices.Chunk(more, 2) {
		v := pair[0].(float64)
		t.Steps = append(t.Steps, Step{pair[1].(string), &v})
	}
	p.FieldConfig.Defaults.Thresholds = t
	if p.Type == "timeseries" {
		p.FieldConfig.Defaults.Custom.ThresholdsStyle = &ModeOf{"dashed"}
	}
	return p
}

// words puts words for a stat's values.
func (p Panel) words(m []Mapping) Panel {
	p.FieldConfig.Defaults.Mappings = m
	return p
}

// none is what stands where there is no value.
func (p Panel) none(text string) Panel {
	p.FieldConfig.Defaults.NoValue = text
	return p
}

func (p Panel) size(w, h int) Panel {
	p.GridPos.W, p.GridPos.H = w, h
	return p
}

// everyMinute marks a panel whose series come from a background module.
func (p Panel) everyMinute() Panel {
	for i := range p.Targets {
		p.Targets[i].Interval = scrapedEveryMinute
	}
	return p
}

// leads makes each value a link to another page about it.
func (p Panel) leads(l Link) Panel {
	p.FieldConfig.Defaults.Links = []Link{l}
	return p
}

// toMachine leads to the page of the virtual machine whose labels the field carries.
func toMachine(labels string) Link {
	return Link{
		Title: "This virtual machine",
		URL: "/d/" + uidPrefix + "sql-server-vm?var-cluster=${" + labels + ".cluster}&var-vm=${" + labels +
			".vm}&${datasource:queryparam}&${__url_time_range}",
	}
}

// column is one of a table: its name in the answer, and what stands above it.
type column struct {
	from, title string
	unit        string    // none where empty
	words       []Mapping // for values
}

// table shows the labels and values of one or more queries, a line for each set of labels that all have in common. Only
// the columns that are listed are shown, and in that order. The value of the only query is called Value, those of
// several Value #A, Value #B and so on.
func table(title, description string, shown []column, hidden []string, targets ...Target) Panel {
	p := panel("table", title, description, Field{Unit: "none", NoValue: "nothing"}, Options{ShowHeader: new(true), CellHeight: "sm"}, targets...)
	o := Organize{Exclude: map[string]bool{"Time": true}, Index: map[string]int{}, Rename: map[string]string{}}
	for _, h := range hidden {
		o.Exclude[h] = true
	}
	for i, c := range shown {
		o.Index[c.from] = i
		if c.title != c.from {
			o.Rename[c.from] = c.title
		}
		var props []Property
		if c.unit != "" {
			props = append(props, Property{"unit", c.unit})
		}
		if c.words != nil {
			props = append(props, Property{"mappings", c.words}, Property{"custom.cellOptions", CellStyle{"color-background"}})
		}
		if props != nil {
			p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, Override{Matcher{"byName", c.title}, props})
		}
	}
	if len(targets) > 1 {
		p.Transformations = append(p.Transformations, Transformation{ID: "merge"})
	}
	p.Transformations = append(p.Transformations, Transformation{ID: "organize", Options: o})
	return p.size(12, plotHeight)
}

// labels are columns that bear the names of their labels.
func labels(names ...string) []column {
	var list []column
	for _, n := range names {
		list = append(list, column{from: n, title: n})
	}
	return list
}

func legend() *Legend { return &Legend{"list", "bottom", true} }

// Words for values of 0 and 1.
func upDown() []Mapping  { return words("1", "up", "green", "0", "down", "red") }
func yesNo() []Mapping   { return words("1", "yes", "green", "0", "no", "red") }
func present() []Mapping { return words("1", "so", "blue") }

// words makes a mapping of triples: value, word, colour.
func words(triples ...string) []Mapping {
	m := Mapping{Type: "value", Options: map[string]Mapped{}}
	for t := range slices.Chunk(triples, 3) {
		m.Options[t[0]] = Mapped{t[1], t[2], len(m.Options)}
	}
	return []Mapping{m}
}

// codes makes a mapping of numbers to words in one colour, the good ones in another.
func codes(names map[int]string, good ...int) []Mapping {
	var triples []string
	for _, n := range slices.Sorted(maps.Keys(names)) {
		colour := "orange"
		if slices.Contains(good, n) {
			colour = "green"
		}
		triples = append(triples, strconv.Itoa(n), names[n], colour)
	}
	return words(triples...)
}
