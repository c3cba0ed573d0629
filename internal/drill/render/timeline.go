package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// A timeline is drawn in its own units, which the page scales to the width that there is.
const (
	pictureWidth = 1120.0
	gutter       = 166.0 // for the lanes' names
	rightMargin  = 200.0 // for the last labels
	letter       = 7.4   // the width of a letter at the size of labels, at most
	lineStep     = 16.0  // from one line of labels to the next
	headStep     = 17.0
	labelLines   = 4
	labelLetters = 40
)

// timeline is one trial's picture.
type timeline struct {
	ID, Title, Description string
	Width, Height          float64
	Lanes                  []laneRow
	Bars                   []bar
	Marks                  []glyph
	Labels                 []label
	Guides                 []guide
	Folds                  []fold
	Ticks                  []tick
	AxisY, Top             float64
	Entries                []entry
}

type (
	laneRow struct {
		Title  string
		Y, H   float64
		TitleY float64
		Odd    bool
	}
	// bar is a state that lasts: SQL Server up or down, or a stage of the chain.
	bar struct {
		Class      string
		X, Y, W, H float64
		Title      string
	}
	// glyph is one or several entries of a lane at one place.
	glyph struct {
		Class, Path string
		X, Y        float64
		Title       string
	}
	// label stands beside a mark, or below it at the end of a line.
	label struct {
		X, Y   float64
		Text   string
		Class  string
		Leader bool
		X0, Y0 float64 // of the leader's other end
	}
	// guide is a moment that a figure counts from or to, through all lanes.
	guide struct {
		X, Y   float64
		Text   string
		TX, TY float64
	}
	fold struct {
		X, W, H, Middle float64
		Text            string
	}
)

// drawn makes a trial's picture; false where nothing of it was recorded.
func drawn(n int, t drill.Trial, r drill.Report) (timeline, bool) {
	list := entries(t)
	if len(list) == 0 {
		return timeline{}, false
	}
	d := timeline{ID: fmt.Sprintf("trial-%d", n+1), Width: pictureWidth, Entries: list}
	states, end := instances(t, list)
	d.Title = fmt.Sprintf("Timeline of trial %d: %s", n+1, nameOf(drill.KeyOf(t)))
	d.Description = described(t)
	a := d.axis(t, list, states, end)
	d.guides(t, a)
	y := d.Top
	y = d.lane(faultLane, y, a, list)
	y = d.sql(y, a, states)
	ours := slices.ContainsFunc(list, func(e entry) bool { return slices.Contains(chain(), e.Who) })
	for _, l := range append(chain(), clusterLane, loadLane) {
		if ours || !slices.Contains(chain(), l) {
			y = d.lane(l, y, a, list)
		}
	}
	y = d.stages(t, r, y, a)
	d.AxisY = y
	d.Height = y + 26
	d.Ticks = a.ticks()
	if last := list[len(list)-1].At; last <= 0 && t.SQLDownSeconds == nil && (t.Experiment == nil || len(t.Stages) == 0) {
		d.Ticks = d.Ticks[:1]
	}
	for _, p := range a.pieces {
		if p.folded {
			d.Folds = append(d.Folds, fold{X: p.left, W: p.right - p.left, H: d.AxisY - d.Top, Middle: (p.left + p.right) / 2, Text: "… " + number(p.until-p.from) + " s …"})
		}
	}
	return d, true
}

// described says in words what the picture shows.
func described(t drill.Trial) string {
	words := []string{fmt.Sprintf("Fault %s on %s", t.Fault, t.VM)}
	for _, f := range []struct {
		v    *float64
		word string
	}{{t.DetectionSeconds, "detected after"}, {t.FirstCommandSeconds, "first command after"}, {t.SQLDownSeconds, "SQL Server down for"}} {
		if f.v != nil {
			words = append(words, f.word+" "+number(*f.v)+" s")
		}
	}
	if t.Outcome != "" {
		words = append(words, "outcome "+t.Outcome)
	}
	return strings.Join(words, "; ") + ". Every event stands in the table below the picture."
}

func (d *timeline) axis(t drill.Trial, list []entry, states []instance, end float64) axis {
	moments := []float64{0, end}
	for _, e := range list {
		moments = append(moments, e.At)
	}
	var awake []span
	for _, s := range states {
		awake = append(awake, s.down...)
	}
	if t.Experiment != nil {
		for _, s := range t.Stages {
			moments = append(moments, s.From, s.Until)
		}
	}
	return newAxis(moments, awake, gutter+12, pictureWidth-rightMargin)
}

// guides are the moments between which the figures lie.
func (d *timeline) guides(t drill.Trial, a axis) {
	zero := 0.0
	var back *float64
	if t.SQLDownSeconds != nil {
		for _, e := range d.Entries {
			if e.Event == drill.EventUp && (t.Instance == "" || t.Instance == evidence.NoInstance || t.Instance == e.Words) {
				back = &e.At
			}
		}
	}
	var wants []want
	for _, g := range []struct {
		at   *float64
		word string
	}{{&zero, "fault"}, {t.DetectionSeconds, "detected"}, {t.FirstCommandSeconds, "first command"}, {back, "SQL Server back"}} {
		if g.at == nil {
			continue
		}
		text := g.word
		if *g.at != 0 {
			text += " " + number(*g.at) + " s"
		}
		wants = append(wants, want{x: a.x(*g.at), text: text})
	}
	slices.SortStableFunc(wants, func(a, b want) int { return cmp.Compare(a.x, b.x) })
	lines := place(wants, 0, pictureWidth-4, 4)
	d.Top = 8 + headStep*float64(max(lines, 1))
	for _, w := range wants {
		// The lowest line stands right above the lanes, so that no guide crosses a text.
		d.Guides = append(d.Guides, guide{X: w.x, Y: d.Top - headStep*float64(w.line) - 14, Text: w.shown, TX: w.x + 4, TY: d.Top - headStep*float64(w.line) - 5})
	}
}
