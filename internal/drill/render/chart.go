package render

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hypervigil/hypervigil/internal/drill"
)

// chart is the white paper's bar chart with our bars beside: how long SQL Server was down, of what it was made up.
type chart struct {
	ID, Title, Description string
	Width, Height          float64
	Rows                   []chartRow
	Ticks                  []tick
	AxisY, Left            float64
}

type chartRow struct {
	Title, Under string // the configuration, and what else there is to say
	Y, Middle    float64
	Paper        bool
	Bars         []bar
	Labels       []label
	Whisker      *whisker
	Dots         []float64 // each sample
}

// whisker spans the least and the most of several samples.
type whisker struct{ X0, X1, Y, Top, Bottom float64 }

// A chart is drawn in its own units, as a timeline is.
const (
	chartGutter = 316.0
	chartRight  = 280.0 // for the words behind the bars
	chartStep   = 58.0
	barHeight   = 24.0
)

// charted draws one comparison.
func charted(n int, c comparison) chart {
	d := chart{ID: fmt.Sprintf("chart-%d", n+1), Title: "SQL Server down, seconds: 2010, and " + strings.Replace(c.Title(), "Our", "our", 1), Width: pictureWidth, Left: chartGutter}
	whole2010, detection, recovery := drill.PaperOf(drill.DownFigure), drill.PaperOf(drill.DetectionFigure), drill.PaperOf(drill.RecoveryFigure)
	tops := []float64{*whole2010.Guest, *whole2010.Monitored}
	for _, g := range c.Groups {
		if m := g.Figure(drill.DownFigure).Maximum; m != nil {
			tops = append(tops, *m)
		}
	}
	most := longest(tops, *whole2010.Monitored)
	step := round(most / 8)
	most = math.Ceil(most/step-1e-9) * step
	right := pictureWidth - chartRight
	x := func(s float64) float64 { return chartGutter + min(s/most, 1)*(right-chartGutter) }
	y := 8.0
	add := func(r chartRow) {
		r.Y, r.Middle = y, y+chartStep/2
		for i := range r.Bars {
			r.Bars[i].Y, r.Bars[i].H = r.Middle-barHeight/2, barHeight
		}
		for i := range r.Labels {
			r.Labels[i].Y = r.Middle + 5
		}
		if w := r.Whisker; w != nil {
			w.Y, w.Top, w.Bottom = r.Middle, r.Middle-6, r.Middle+6
		}
		d.Rows = append(d.Rows, r)
		y += chartStep
	}
	add(chartRow{
		Title: "2010 guest cluster", Under: "not told apart", Paper: true,
		Bars:   []bar{{Class: "c-whole", X: x(0), W: x(*whole2010.Guest) - x(0), Title: "down " + whole(whole2010.Guest) + " s"}},
		Labels: []label{{X: x(*whole2010.Guest) + 8, Text: whole(whole2010.Guest) + " s"}},
	})
	add(chartRow{
		Title: "2010 monitored host cluster", Under: "mean of 3", Paper: true,
		Bars: parts(x, *detection.Monitored, *recovery.Monitored),
		Labels: append(inside(x, *detection.Monitored, *recovery.Monitored),
			label{X: x(*detection.Monitored+*recovery.Monitored) + 8, Text: whole(whole2010.Monitored) + " s"}),
	})
	words := fmt.Sprintf("2010: guest cluster %s s, monitored host cluster %s s.", whole(whole2010.Guest), whole(whole2010.Monitored))
	for _, g := range c.Groups {
		r := ours(g, x, most)
		add(r)
		words += " Ours, " + r.Title + ": " + r.Labels[len(r.Labels)-1].Text + "."
	}
	d.Description = words + " The same figures stand in the table below."
	d.AxisY, d.Height = y, y+26
	for n := 0.0; n*step <= most+1e-9; n++ {
		d.Ticks = append(d.Ticks, tick{x(n * step), trimmed(n*step) + " s"})
	}
	return d
}

// longest is what the axis has to hold: the longest bar, but for one of ours that would leave no room to see the others. The
// white paper's, up to theirs, are never cut.
func longest(tops []float64, theirs float64) float64 {
	sorted := slices.Sorted(slices.Values(tops))
	n := len(sorted)
	if second := max(sorted[n-2], theirs); sorted[n-1] > 3*second {
		return 1.25 * second
	}
	return sorted[n-1]
}

// ours is a bar of our own: the mean, told apart where detection is known, its spread and its samples.
func ours(g drill.Group, x func(float64) float64, most float64) chartRow {
	title := drill.ConfigurationTitle(g.Configuration)
	r := chartRow{Title: "ours: " + title, Under: plural(len(g.Trials), "trial")}
	if g.Ladder != "" {
		r.Under = ladderTitle(g.Ladder) + ", " + r.Under
	}
	lasted := g.Figure(drill.DownFigure)
	if lasted.Mean == nil {
		r.Labels = []label{{X: x(0) + 8, Text: "unknown", Class: "on-up"}}
		if stayedDown(g) {
			r.Labels[0].Text = "nobody brought it back before the trial's end"
		}
		return r
	}
	r.Under = clip(r.Under, 48)
	end := *lasted.Mean
	r.Bars = []bar{{Class: "c-whole", X: x(0), W: max(x(end)-x(0), 2), Title: "down " + number(end) + " s"}}
	if detection := g.Figure(drill.DetectionFigure); detection.Mean != nil && detection.Unknown == lasted.Unknown && *detection.Mean < end {
		r.Bars = parts(x, *detection.Mean, end-*detection.Mean)
		r.Labels = inside(x, *detection.Mean, end-*detection.Mean)
	}
	if *lasted.Maximum > most { // its end is outside: a break in the bar says so, and the words how long it was
		r.Labels = []label{{X: x(most) - 24, Text: "⁄⁄", Class: "on-bar"}, {X: x(most) + 10, Text: barWords(lasted)}}
		r.Under += "; bar cut"
		return r
	}
	if len(lasted.Samples) > 1 {
		end = *lasted.Maximum
		r.Whisker = &whisker{X0: x(*lasted.Minimum), X1: x(end)}
		for _, s := range lasted.Samples {
			r.Dots = append(r.Dots, x(s))
		}
	}
	r.Labels = append(r.Labels, label{X: x(max(end, *lasted.Mean)) + 10, Text: barWords(lasted)})
	return r
}

func barWords(s drill.Statistic) string {
	words := number(*s.Mean) + " s"
	if len(s.Samples) > 1 {
		words += fmt.Sprintf(" (%s–%s)", number(*s.Minimum), number(*s.Maximum))
	}
	if s.Unknown > 0 {
		words += fmt.Sprintf(", %d unknown", s.Unknown)
	}
	if len(s.Given) > 0 {
		m := marks(s.Given)
		if utf8.RuneCountInString(m) > 12 { // the table has them all
			m = mark(s.Given[0]) + " … " + mark(s.Given[len(s.Given)-1])
		}
		words += "; " + m
	}
	return words
}

// parts are the two pieces of a bar: until the detection, and from it.
func parts(x func(float64) float64, detection, recovery float64) []bar {
	return []bar{
		{Class: "c-detection", X: x(0), W: max(x(detection)-x(0), 1), Title: "fault to detection " + number(detection) + " s"},
		{Class: "c-recovery", X: x(detection), W: max(x(detection+recovery)-x(detection), 1), Title: "detection until SQL Server is back " + number(recovery) + " s"},
	}
}

// inside are the pieces' words, where they fit.
func inside(x func(float64) float64, detection, recovery float64) []label {
	var list []label
	for _, p := range []struct{ from, s float64 }{{0, detection}, {detection, recovery}} {
		text := trimmed(math.Round(p.s*10) / 10)
		if x(p.from+p.s)-x(p.from) > letter*float64(utf8.RuneCountInString(text))+16 {
			list = append(list, label{X: (x(p.from) + x(p.from+p.s)) / 2, Text: text, Class: "on-bar"})
		}
	}
	return list
}
