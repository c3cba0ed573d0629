// Package preview draws a likeness of the dashboards without Grafana: an HTML page each, made of the dashboards' JSON
// and of what a real Prometheus answers, with SVG for the curves and no link to the outside. It shows what is asked,
// what is answered and how the page is filled; Grafana's own picture differs in fonts, colours and everything that
// moves, and each page says so.
//
//	err := preview.Draw(ctx, preview.Options{Prometheus: "http://127.0.0.1:9090", Dir: "build/preview", Out: os.Stdout})
package preview

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/hypervigil/hypervigil/dashboards"
)

// Options say what to draw. Prometheus, Dir and Out are required.
type Options struct {
	Prometheus string // base URL
	Dir        string // of the pages
	Out        io.Writer
	Range      time.Duration     // the time shown; an hour where zero
	Scrape     time.Duration     // the data source's "Scrape interval"; Grafana's 15 s where zero
	Variables  map[string]string // chosen values, by the variable's name; the first one, or all, where none is given
}

// Flags adds the command's flags.
func Flags(c *kingpin.CmdClause) *Options {
	o := &Options{Variables: map[string]string{}}
	c.Flag("prometheus", "Base URL of the Prometheus that is asked.").Envar("PROMETHEUS_URL").Required().StringVar(&o.Prometheus)
	c.Flag("out", "Folder of the pages.").Default(filepath.Join("build", "preview")).StringVar(&o.Dir)
	c.Flag("range", "The time shown, up to now.").Default("1h").DurationVar(&o.Range)
	c.Flag("scrape-interval", "As the data source in Grafana would have it.").Default("15s").DurationVar(&o.Scrape)
	c.Flag("var", "Value of a variable, as vm=SQL02; repeatable.").StringMapVar(&o.Variables)
	return o
}

// points is how many of them a curve has at most.
const points = 240

// Draw writes a page for each dashboard. The error names each panel whose query was refused; the pages are written
// nevertheless.
func Draw(ctx context.Context, o Options) error {
	if o.Range <= 0 {
		o.Range = time.Hour
	}
	if o.Scrape <= 0 {
		o.Scrape = 15 * time.Second
	}
	all, err := dashboards.Load()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return err
	}
	a := asker{base: strings.TrimSuffix(o.Prometheus, "/")}
	to := time.Now().Truncate(time.Second)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		d := drawing{Options: o, ask: a, from: to.Add(-o.Range), to: to, step: max(o.Range/points, o.Scrape, time.Second)}
		page, err := d.page(ctx, name, all)
		if err != nil {
			return fmt.Errorf("draw %s: %w", name, err)
		}
		var b strings.Builder
		if err := pageTemplate.Execute(&b, page); err != nil {
			return fmt.Errorf("draw %s: %w", name, err)
		}
		path := filepath.Join(o.Dir, name+".html")
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			return err
		}
		fmt.Fprintf(o.Out, "%s: %d panels, %d of them without data\n", path, len(page.Panels), page.Empty)
		errs = append(errs, d.refused...)
	}
	return errors.Join(errs...)
}

// drawing is one page under way.
type drawing struct {
	Options

	ask      asker
	from, to time.Time
	step     time.Duration
	fill     dashboards.Fill
	marks    []mark
	refused  []error
}

// choose finds the values of a dashboard's variables, one after the other: one may ask with another's value.
func (d *drawing) choose(ctx context.Context, variables []dashboards.Variable) ([]chosen, error) {
	d.fill = dashboards.Fill{Variables: map[string]string{}, Range: d.Range, Step: d.step, Scrape: d.Scrape}
	var list []chosen
	for _, v := range variables {
		series, label := v.Question()
		if series == "" {
			continue
		}
		value, shown := d.Variables[v.Name], d.Variables[v.Name]
		switch {
		case value != "":
		case v.IncludeAll:
			value, shown = v.AllValue, "All"
		default:
			values, err := d.ask.values(ctx, d.fill.Text(series), label, d.from, d.to)
			if err != nil {
				return nil, err
			}
			if len(values) == 0 {
				return nil, fmt.Errorf("variable %s: prometheus has no value for %s", v.Name, v.Definition)
			}
			value, shown = values[0], values[0]
		}
		d.fill.Variables[v.Name] = value
		list = append(list, chosen{v.Label, shown})
	}
	return list, nil
}

func (d *drawing) page(ctx context.Context, name string, all map[string]dashboards.Dashboard) (page, error) {
	b := all[name]
	p := page{Title: b.Title, Description: b.Description, From: d.from, To: d.to}
	for _, other := range slices.Sorted(maps.Keys(all)) {
		p.Links = append(p.Links, pageLink{other + ".html", all[other].Title, other == name})
	}
	var err error
	if p.Chosen, err = d.choose(ctx, b.Templating.List); err != nil {
		return page{}, err
	}
	for _, a := range b.Annotations.List {
		list, err := d.ask.matrix(ctx, d.fill.Text(a.Expr), d.from, d.to, d.step)
		if err != nil {
			return page{}, fmt.Errorf("annotation %s: %w", a.Name, err)
		}
		d.marks = append(d.marks, marksOf(list, a, d.step)...)
	}
	for _, panel := range b.Panels {
		drawn, err := d.panel(ctx, panel)
		if err != nil {
			d.refused = append(d.refused, fmt.Errorf("%s, panel %s: %w", name, panel.Title, err))
			drawn.Error = err.Error()
		}
		if drawn.Nothing != "" {
			p.Empty++
		}
		p.Panels = append(p.Panels, drawn)
	}
	return p, nil
}

// panel asks a panel's queries and draws the answers.
func (d *drawing) panel(ctx context.Context, p dashboards.Panel) (drawn, error) {
	out := drawn{Title: p.Title, Description: p.Description, Type: p.Type, X: p.GridPos.X + 1, Y: p.GridPos.Y + 1, W: p.GridPos.W, H: p.GridPos.H}
	if p.Type == "row" {
		return out, nil
	}
	var answers []answer
	count := 0
	for _, t := range p.Targets {
		var list []series
		var err error
		if t.Instant {
			list, err = d.ask.vector(ctx, d.fill.In(t), d.to)
		} else {
			list, err = d.ask.matrix(ctx, d.fill.In(t), d.from, d.to, d.step)
		}
		if err != nil {
			return out, err
		}
		count += len(list)
		answers = append(answers, answer{t, list})
	}
	if count == 0 {
		out.Nothing = p.FieldConfig.Defaults.NoValue
		if out.Nothing == "" {
			out.Nothing = "No data"
		}
		return out, nil
	}
	switch p.Type {
	case "stat":
		out.Stats = stats(p, answers)
	case "table":
		out.Table = tableOf(p, answers, d.to)
	case "timeseries":
		out.Plot = plotOf(p, answers, d.from, d.to, d.step, d.marks)
	case "state-timeline":
		out.Bars = barsOf(p, answers, d.from, d.to, d.step)
	default:
		return out, fmt.Errorf("type %q cannot be drawn here", p.Type)
	}
	return out, nil
}

// answer is what Prometheus said to one query.
type answer struct {
	target dashboards.Target
	list   []series
}
