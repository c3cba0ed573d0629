package preview

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/dashboards"
)

// A plot is drawn in its own coordinates and stretched by the browser to where it stands: 1000 wide, 100 high, so that
// one page fits every width without a script. Texts stand beside it, unstretched.
const (
	width  = 1000.0
	height = 100.0
)

// mark is an annotation's moment.
type mark struct {
	X      float64
	Colour string
	at     float64
}

// marksOf finds the moments at which each of an annotation's series begins.
func marksOf(list []series, a dashboards.Annotation, step time.Duration) []mark {
	var marks []mark
	for _, s := range list {
		last := math.Inf(-1)
		for _, p := range s.points {
			if p.at-last > 1.5*step.Seconds() {
				marks = append(marks, mark{Colour: colour(a.IconColor), at: p.at})
			}
			last = p.at
		}
	}
	return marks
}

type (
	// tick is a label of an axis; At in per cent.
	tick struct {
		At   float64
		Text string
	}
	// curve is one series; Lines are its unbroken pieces, Area what is below them.
	curve struct {
		Name, Colour string
		Lines, Areas []string
	}
	// rule is a threshold.
	rule struct {
		Y      float64
		Colour string
	}
	plotData struct {
		Curves []curve
		Rules  []rule
		Marks  []mark
		Y, X   []tick
		Fill   float64
	}
	// bar is a piece of a timeline.
	bar struct {
		X, W   float64
		Colour string
	}
	barRow struct {
		Name string
		Bars []bar
	}
	barData struct {
		Rows  []barRow
		Words []statValue
		X     []tick
	}
)

// legendLimit is how many names a legend shows; in the panel there is no room for more.
const legendLimit = 10

func plotOf(p dashboards.Panel, answers []answer, from, to time.Time, step time.Duration, marks []mark) *plotData {
	f := p.FieldConfig.Defaults
	type named struct {
		name   string
		points []point
	}
	var list []named
	for _, a := range answers {
		for _, s := range a.list {
			list = append(list, named{legendOf(a.target, s.labels), s.points})
		}
	}
	slices.SortStableFunc(list, func(a, b named) int { return cmp.Compare(a.name, b.name) })
	stacked := f.Custom != nil && f.Custom.Stacking != nil
	base := map[float64]float64{} // what lies below, by time
	if stacked {
		for i := range list {
			raised := slices.Clone(list[i].points)
			for j, pt := range raised {
				base[pt.at] += pt.value
				raised[j].value = base[pt.at]
			}
			list[i].points = raised
		}
	}
	top := 0.0
	if f.Max != nil {
		top = *f.Max
	} else {
		for _, s := range list {
			for _, pt := range s.points {
				if !math.IsNaN(pt.value) && !math.IsInf(pt.value, 0) {
					top = max(top, pt.value)
				}
			}
		}
		top = roundUp(top, f.Unit)
	}
	y := func(v float64) float64 { return height - min(max(v/top, 0), 1)*height }
	out := &plotData{Fill: 0.1, X: times(from, to, p.GridPos.W)}
	if stacked {
		out.Fill = 0.35
	}
	for i, s := range list {
		c := curve{Name: s.name, Colour: palette[i%len(palette)]}
		c.Lines, c.Areas = pieces(s.points, step, func(at float64) float64 { return x(at, from, to) }, y)
		out.Curves = append(out.Curves, c)
	}
	if stacked {
		slices.Reverse(out.Curves) // the highest is drawn first, and the lower ones over it
	}
	if f.Thresholds != nil && f.Custom != nil && f.Custom.ThresholdsStyle != nil {
		for _, s := range f.Thresholds.Steps {
			if s.Value != nil && *s.Value <= top {
				out.Rules = append(out.Rules, rule{y(*s.Value), colour(s.Color)})
			}
		}
	}
	for _, m := range marks {
		m.X = x(m.at, from, to)
		out.Marks = append(out.Marks, m)
	}
	for i := range 5 {
		share := float64(i) / 4
		out.Y = append(out.Y, tick{100 - share*100, number(top*share, f.Unit, to)})
	}
	return out
}

// Legend is the curves whose names are shown.
func (d plotData) Legend() []curve { return d.Curves[:min(len(d.Curves), legendLimit)] }

// LeftOut is how many are not.
func (d plotData) LeftOut() int { return len(d.Curves) - len(d.Legend()) }

func x(at float64, from, to time.Time) float64 {
	return (at - float64(from.UnixMilli())/1000) / to.Sub(from).Seconds() * width
}

// pieces makes lines of points, broken where one is missing. A point alone is a short line.
func pieces(list []point, step time.Duration, x, y func(float64) float64) (lines, areas []string) {
	var b []string
	var first, last float64
	flush := func() {
		if len(b) == 0 {
			return
		}
		if len(b) == 1 {
			b = append(b, fmt.Sprintf("%.1f,%s", last+2, b[0][strings.Index(b[0], ",")+1:]))
			last += 2
		}
		line := strings.Join(b, " ")
		lines = append(lines, line)
		areas = append(areas, fmt.Sprintf("%.1f,%.1f %s %.1f,%.1f", first, height, line, last, height))
		b = nil
	}
	before := math.Inf(-1)
	for _, p := range list {
		if math.IsNaN(p.value) || p.at-before > 1.5*step.Seconds() {
			flush()
		}
		before = p.at
		if math.IsNaN(p.value) {
			continue
		}
		last = x(p.at)
		if len(b) == 0 {
			first = last
		}
		b = append(b, fmt.Sprintf("%.1f,%.2f", last, y(p.value)))
	}
	flush()
	return lines, areas
}

// roundUp is the top of an axis: a number that is good to read, and whose quarters are.
func roundUp(v float64, unit string) float64 {
	if v <= 0 {
		return 1
	}
	base := 10.0
	if unit == "bytes" {
		base = 1024
	}
	scale := math.Pow(base, math.Floor(math.Log(v)/math.Log(base)))
	for _, nice := range []float64{1, 1.2, 1.6, 2, 3, 4, 6, 8, 10, 16, 20, 32, 40, 64, 80, 128, 256, 400, 512, 1024} {
		if nice*scale >= v*1.0001 {
			return nice * scale
		}
	}
	return v
}

// times are labels of the time axis of a panel, as many as there is room for.
func times(from, to time.Time, columns int) []tick {
	count := min(max(columns/2, 2), 6)
	layout := "15:04"
	if to.Sub(from) <= 15*time.Minute {
		layout = "15:04:05"
	}
	var list []tick
	for i := range count {
		share := (float64(i) + 0.5) / float64(count)
		list = append(list, tick{share * 100, from.Add(time.Duration(share * float64(to.Sub(from)))).Format(layout)})
	}
	return list
}

func barsOf(p dashboards.Panel, answers []answer, from, to time.Time, step time.Duration) *barData {
	f := p.FieldConfig.Defaults
	out := &barData{X: times(from, to, p.GridPos.W)}
	words := map[statValue]bool{}
	for _, a := range answers {
		for _, s := range a.list {
			row := barRow{Name: legendOf(a.target, s.labels)}
			for _, pt := range s.points {
				c, text := threshold(f, pt.value), number(pt.value, f.Unit, to)
				if w, ok := mapped(f.Mappings, pt.value); ok {
					c, text = colour(w.Color), w.Text
				}
				words[statValue{Text: text, Colour: c}] = true
				left, wide := x(pt.at, from, to), step.Seconds()/to.Sub(from).Seconds()*width
				if n := len(row.Bars); n > 0 && row.Bars[n-1].Colour == c && left-(row.Bars[n-1].X+row.Bars[n-1].W) < wide/2 {
					row.Bars[n-1].W = left + wide - row.Bars[n-1].X
					continue
				}
				row.Bars = append(row.Bars, bar{left, wide, c})
			}
			out.Rows = append(out.Rows, row)
		}
	}
	slices.SortStableFunc(out.Rows, func(a, b barRow) int { return cmp.Compare(a.Name, b.Name) })
	for w := range words {
		out.Words = append(out.Words, w)
	}
	slices.SortFunc(out.Words, func(a, b statValue) int { return cmp.Compare(a.Text, b.Text) })
	return out
}
