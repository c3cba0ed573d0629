package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/drill"
)

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
		id, one := strings.CutPrefix(e.Event, drill.EventGuard)
		outcome, _, _ := strings.Cut(e.Words, ":")
		switch {
		case one:
			guards++
			named = id + " " + outcome
			if outcome != passed {
				stopped = named
			}
		case e.Guards > 0:
			guards += e.Guards
		case e.Event == drill.EventCommand:
			_, method, ok := strings.Cut(e.Words, ".")
			if !ok {
				method = e.Words
			}
			sent = append(sent, cmp.Or(method, e.Event))
		case e.Event == drill.EventAlert:
			name, _, _ := strings.Cut(e.Words, " ")
			words = append(words, cmp.Or(name, e.Event))
		case e.Event == drill.EventFault:
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
