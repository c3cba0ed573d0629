package render

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// instance is the state of one instance over the trial.
type instance struct {
	name string
	down []span
	open bool // the last one has no end
}

// instances reads SQL Server's states of the story; where the story has none, of the figure. end is the last moment.
func instances(t drill.Trial, list []entry) (states []instance, end float64) {
	end = list[len(list)-1].At
	for _, e := range list {
		if e.Event != drill.EventDown && e.Event != drill.EventUp {
			continue
		}
		i := slices.IndexFunc(states, func(s instance) bool { return s.name == e.Words })
		if i < 0 {
			states = append(states, instance{name: e.Words})
			i = len(states) - 1
		}
		s := &states[i]
		switch {
		case e.Event == drill.EventDown && !s.open:
			s.down, s.open = append(s.down, span{from: e.At}), true
		case e.Event == drill.EventUp && s.open:
			s.down[len(s.down)-1].until, s.open = e.At, false
		}
	}
	name := t.Instance
	if name == evidence.NoInstance {
		name = ""
	}
	switch {
	case len(states) == 0 && t.SQLDownSeconds != nil && *t.SQLDownSeconds > 0:
		end = max(end, *t.SQLDownSeconds)
		states = []instance{{name: name, down: []span{{0, *t.SQLDownSeconds}}}}
	case len(states) == 0:
		states = []instance{{name: name}}
	}
	if t.Experiment != nil {
		for _, s := range t.Stages {
			end = max(end, s.Until)
		}
	}
	if end <= 0 && slices.ContainsFunc(states, func(s instance) bool { return s.open }) {
		end = 1 // nothing is told after the fault: the bar has a length, and the axis no scale
	}
	for i := range states {
		if s := &states[i]; s.open {
			s.down[len(s.down)-1].until = end
		}
	}
	return states, end
}

// sql draws each instance's states.
func (d *timeline) sql(y float64, a axis, states []instance) float64 {
	const row, thick = 30.0, 16.0
	from, until := a.pieces[0].left, a.pieces[len(a.pieces)-1].right
	for _, s := range states {
		top := y + (row-thick)/2
		title := sqlLane.Title()
		if len(states) > 1 {
			title = clip(cmp.Or(s.name, title), 15) // capitals are wide
		}
		d.add(title, y, row, y+row/2+5)
		x := from
		for i, down := range s.down {
			left, right := a.x(down.from), a.x(down.until)
			d.bar("b-up", x, left, top, thick, "SQL Server up")
			text := "down " + number(down.until-down.from) + " s"
			if s.open && i == len(s.down)-1 {
				text = "down, not back by the end"
			}
			d.bar("b-down", left, right, top, thick, text)
			x = right
			at := label{X: left + 6, Y: top + 12.5, Text: text, Class: "on-down"}
			if wide := letter * float64(utf8.RuneCountInString(text)); right-left < wide+12 {
				at.X, at.Class = right+8, "on-up"
				if at.X+wide > pictureWidth-4 {
					at.X = max(gutter, left-8-wide)
				}
			}
			d.Labels = append(d.Labels, at)
		}
		if !s.open {
			d.bar("b-up", x, until, top, thick, "SQL Server up")
		}
		if len(s.down) == 0 {
			d.Labels = append(d.Labels, label{X: from + 8, Y: top + 12.5, Text: "not seen down", Class: "on-up"})
		}
		y += row
	}
	return y
}

func (d *timeline) bar(class string, left, right, y, h float64, title string) {
	if right-left < 0.5 {
		if class == "b-up" {
			return
		}
		right = left + 2
	}
	d.Bars = append(d.Bars, bar{Class: class, X: left, Y: y, W: right - left, H: h, Title: title})
}

// stages draws the spans of our own chain, each below the one that it overlaps.
func (d *timeline) stages(t drill.Trial, r drill.Report, y float64, a axis) float64 {
	if t.Experiment == nil || len(t.Stages) == 0 {
		return y
	}
	const row, thick = 26.0, 14.0
	var ends []float64 // of what stands in each line
	top := y
	type placed struct {
		drill.Span
		line int
		at   label
	}
	var list []placed
	for _, s := range t.Stages {
		left, right := a.x(s.From), a.x(s.Until)
		p := placed{Span: s, at: label{X: left + 5, Text: stageText(s, t, r), Class: "on-stage"}}
		from, until := left, right
		if wide := letter * float64(utf8.RuneCountInString(p.at.Text)); right-left < wide+10 {
			p.at.X, p.at.Class, until = right+5, "", right+5+wide
			if until > pictureWidth-4 {
				p.at.X, until = max(gutter, left-5-wide), right
				from = p.at.X
			}
		}
		if p.line = slices.IndexFunc(ends, func(e float64) bool { return e <= from+0.5 }); p.line < 0 {
			ends = append(ends, 0)
			p.line = len(ends) - 1
		}
		ends[p.line] = until
		list = append(list, p)
	}
	height := row * float64(len(ends))
	d.add("stages", top, height, top+row/2+5)
	for n, p := range list {
		by := top + row*float64(p.line) + (row-thick)/2
		d.bar(fmt.Sprintf("b-stage%d", n%2), a.x(p.From), a.x(p.Until), by, thick, p.at.Text)
		p.at.Y = by + 11.5
		d.Labels = append(d.Labels, p.at)
	}
	return top + height
}

// stageText names a stage, how long it was, and what set a part of that.
func stageText(s drill.Span, t drill.Trial, r drill.Report) string {
	text := s.Name + " " + number(s.Until-s.From) + " s"
	if given := r.GivenOfStage(s.Name, drill.KeyOf(t)); len(given) > 0 {
		text += " (" + marks(given) + ")"
	}
	return text
}
