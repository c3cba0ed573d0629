package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// A timeline is drawn in its own units, which the page scales to the width that there is.
const (
	pictureWidth = 1120.0
	gutter       = 166.0 // for the lanes' names
	rightMargin  = 176.0 // for the last labels
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
func drawn(n int, t drill.Trial) (timeline, bool) {
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
	y = d.stages(t, y, a)
	d.AxisY = y
	d.Height = y + 26
	d.Ticks = a.ticks()
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
		if e.Event != downEvent && e.Event != upEvent {
			continue
		}
		i := slices.IndexFunc(states, func(s instance) bool { return s.name == e.Words })
		if i < 0 {
			states = append(states, instance{name: e.Words})
			i = len(states) - 1
		}
		s := &states[i]
		switch {
		case e.Event == downEvent && !s.open:
			s.down, s.open = append(s.down, span{from: e.At}), true
		case e.Event == upEvent && s.open:
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
	for i := range states {
		if s := &states[i]; s.open {
			s.down[len(s.down)-1].until = end
		}
	}
	return states, end
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
			if e.Event == upEvent {
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

// want is a label that looks for its line.
type want struct {
	x     float64
	text  string
	line  int
	shown string // as much of the text as there is room for; none where there is none
}

// place gives each label, from the right to the left, the first line in which it ends before what already stands there
// and before the leaders that pass, and returns how many lines were used. first is the line on the marks' own height,
// if it is -1: there a label must end before the next mark as well.
func place(wants []want, first int, right float64, lines int) int {
	limit := map[int]float64{} // by line: where what stands to the right begins
	at := func(line int) float64 {
		if x, ok := limit[line]; ok {
			return x
		}
		return right
	}
	used := 0
	for i := len(wants) - 1; i >= 0; i-- {
		w := &wants[i]
		text, chosen := clip(w.text, labelLetters), lines
		for line := first; line < lines; line++ {
			if w.x+12+letter*float64(utf8.RuneCountInString(text)) <= at(line) {
				chosen = line
				break
			}
		}
		if chosen == lines { // no room for all of it: the line with the most
			for line := first; line < lines; line++ {
				if chosen == lines || at(line) > at(chosen) {
					chosen = line
				}
			}
			text = clip(text, int((at(chosen)-w.x-12)/letter))
		}
		if utf8.RuneCountInString(text) >= 4 {
			w.line, w.shown = chosen, text
			used = max(used, chosen+1)
			for line := 0; line <= chosen; line++ {
				limit[line] = min(at(line), w.x-2)
			}
		}
		if first < 0 {
			limit[-1] = w.x - 8
		}
	}
	return used
}

// clip shortens a text to a number of letters.
func clip(text string, letters int) string {
	r := []rune(oneLine(text))
	switch {
	case len(r) <= letters:
		return string(r)
	case letters < 2:
		return ""
	}
	return strings.TrimRight(string(r[:letters-1]), " ,;:") + "…"
}

// lane draws one's marks and labels and returns where the next lane begins; one without marks is left out, but for those
// that every trial is about.
func (d *timeline) lane(l lane, y float64, a axis, list []entry) float64 {
	var wants []want
	var texts [][]entry
	for _, e := range list {
		if e.Who != l {
			continue
		}
		x := a.x(e.At)
		if n := len(wants); n > 0 && x-wants[n-1].x < 11 {
			texts[n-1] = append(texts[n-1], e)
			continue
		}
		wants, texts = append(wants, want{x: x}), append(texts, []entry{e})
	}
	if len(wants) == 0 && (l == loadLane || l == faultLane) {
		return y
	}
	for i := range wants {
		wants[i].text = labelOf(texts[i])
	}
	lines := place(wants, -1, pictureWidth-4, labelLines)
	const middle = 15.0
	height := 2*middle + lineStep*float64(lines)
	d.add(l.Title(), y, height, y+middle+5)
	for i, w := range wants {
		m := glyph{Class: classOf(l), Path: shapeOf(l), X: w.x, Y: y + middle}
		if w.shown != w.text {
			m.Title = titleOf(texts[i])
		}
		d.Marks = append(d.Marks, m)
		switch {
		case w.shown == "":
		case w.line < 0:
			d.Labels = append(d.Labels, label{X: w.x + 10, Y: y + middle + 4.5, Text: w.shown})
		default:
			ly := y + 2*middle + lineStep*float64(w.line) + 4
			d.Labels = append(d.Labels, label{X: w.x + 4, Y: ly, Text: w.shown, Leader: true, X0: w.x, Y0: y + middle + 7})
		}
	}
	return y + height
}

func (d *timeline) add(title string, y, h, titleY float64) {
	d.Lanes = append(d.Lanes, laneRow{Title: title, Y: y, H: h, TitleY: titleY, Odd: len(d.Lanes)%2 == 1})
}

// labelOf names what stands at one mark: first what held, then what was sent, then the rest in its order.
func labelOf(list []entry) string {
	var words, sent []string
	guards, named, stopped := 0, "", ""
	for _, e := range list {
		guard, one := strings.CutPrefix(e.Event, guardEvent)
		outcome, _, _ := strings.Cut(e.Words, ":")
		switch {
		case one:
			guards++
			named = guard + " " + outcome
			if outcome != passed {
				stopped = named
			}
		case e.Guards > 0:
			guards += e.Guards
		case e.Event == commandEvent:
			_, method, ok := strings.Cut(e.Words, ".")
			if !ok {
				method = e.Words
			}
			sent = append(sent, cmp.Or(method, e.Event))
		case e.Event == alertEvent:
			name, _, _ := strings.Cut(e.Words, " ")
			words = append(words, cmp.Or(name, e.Event))
		case e.Event == faultEvent:
			words = append(words, cmp.Or(e.Words, e.Event))
		case !slices.Contains(words, e.Event):
			words = append(words, e.Event)
		}
	}
	if len(sent) > 0 { // that it was claimed, issued and answered goes without saying
		words = append(sent, slices.DeleteFunc(words, func(w string) bool { return slices.Contains(steps(), w) })...)
	}
	switch {
	case guards == 1:
		words = append([]string{named}, words...)
	case stopped != "":
		words = append([]string{plural(guards, "guard"), stopped}, words...)
	case guards > 0:
		words = append([]string{plural(guards, "guard") + " pass"}, words...)
	}
	return strings.Join(words, ", ")
}

// steps are the events of every command that is carried out.
func steps() []string { return []string{"planned", "claimed", "issued", "answered"} }

// titleOf is what a pointer is shown that rests on a mark without room for its whole label.
func titleOf(list []entry) string {
	var words []string
	for _, e := range list {
		words = append(words, strings.TrimSpace(e.Time()+" s "+e.Event+" "+clip(e.Words, 48)))
	}
	if len(words) > 4 {
		words = append(words[:4], fmt.Sprintf("and %d more", len(words)-4))
	}
	return strings.Join(words, "; ")
}

func classOf(l lane) string {
	switch l {
	case faultLane:
		return "m-fault"
	case watchLane:
		return "m-watch"
	case alertLane:
		return "m-alert"
	case receiverLane:
		return "m-receiver"
	case commandLane:
		return "m-command"
	case clusterLane:
		return "m-cluster"
	case loadLane:
		return "m-load"
	case sqlLane:
		return "m-sql"
	}
	return ""
}

// shapeOf is a lane's own shape, around 0,0: no colour is needed to tell them apart.
func shapeOf(l lane) string {
	switch l {
	case faultLane:
		return "M-6,-6L6,6M6,-6L-6,6"
	case watchLane:
		return "M-6,0A6,6 0 1 0 6,0A6,6 0 1 0 -6,0Z"
	case alertLane:
		return "M0,-7L7,6L-7,6Z"
	case receiverLane:
		return "M0,-7L7,0L0,7L-7,0Z"
	case commandLane:
		return "M-6,-6H6V6H-6Z"
	case clusterLane:
		return "M-7,0L-3.5,-6H3.5L7,0L3.5,6H-3.5Z"
	case loadLane, sqlLane:
		return "M-2,-6H2V6H-2Z"
	}
	return ""
}

// sql draws each instance's states.
func (d *timeline) sql(y float64, a axis, states []instance) float64 {
	const row, thick = 30.0, 16.0
	from, until := a.pieces[0].left, a.pieces[len(a.pieces)-1].right
	for _, s := range states {
		top := y + (row-thick)/2
		title := sqlLane.Title()
		if len(states) > 1 {
			title = clip(cmp.Or(s.name, title), 20)
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
func (d *timeline) stages(t drill.Trial, y float64, a axis) float64 {
	if t.Experiment == nil || len(t.Stages) == 0 {
		return y
	}
	const row, thick = 26.0, 14.0
	var ends []float64
	top := y
	type placed struct {
		drill.Span
		line int
	}
	var list []placed
	for _, s := range t.Stages {
		left, right := a.x(s.From), a.x(s.Until)
		text := letter*float64(utf8.RuneCountInString(stageText(s))) + 10
		end := right
		if right-left < text {
			end = right + text
		}
		line := slices.IndexFunc(ends, func(e float64) bool { return e <= left+0.5 })
		if line < 0 {
			ends = append(ends, 0)
			line = len(ends) - 1
		}
		ends[line] = end
		list = append(list, placed{s, line})
	}
	height := row * float64(len(ends))
	d.add("stages", top, height, top+row/2+5)
	for n, s := range list {
		left, right := a.x(s.From), a.x(s.Until)
		by := top + row*float64(s.line) + (row-thick)/2
		d.bar(fmt.Sprintf("b-stage%d", n%2), left, right, by, thick, stageText(s.Span))
		at := label{X: left + 5, Y: by + 11.5, Text: stageText(s.Span), Class: "on-stage"}
		if wide := letter * float64(utf8.RuneCountInString(at.Text)); right-left < wide+10 {
			at.X, at.Class = right+5, ""
			if at.X+wide > pictureWidth-4 {
				at.X = max(gutter, left-5-wide)
			}
		}
		d.Labels = append(d.Labels, at)
	}
	return top + height
}

func stageText(s drill.Span) string { return s.Name + " " + number(s.Until-s.From) + " s" }
