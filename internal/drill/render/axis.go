package render

import (
	"math"
	"slices"
)

// span is a piece of time, in seconds after the fault.
type span struct{ from, until float64 }

// axis maps seconds to the picture. Long pieces in which nothing happens are folded to a narrow band that says how long
// it is; a piece without SQL Server never is, for its length is what the picture is about.
type axis struct{ pieces []piece }

type piece struct {
	span
	left, right float64
	folded      bool
}

const (
	foldWidth  = 64.0 // of a folded piece, in the picture's units
	foldShare  = 0.4  // of the unfolded time, from which a quiet piece is folded
	foldAtMost = 3
	foldFrom   = 5.0 // seconds, below which none is
)

// newAxis maps from the first to the last of the moments to left … right.
func newAxis(moments []float64, awake []span, left, right float64) axis {
	list := slices.Clone(moments)
	slices.Sort(list)
	list = slices.Compact(list)
	if len(list) == 0 {
		list = []float64{0}
	}
	first, last := list[0], list[len(list)-1]
	if last-first < 1e-9 {
		last = first + 1
		list = append(list, last)
	}
	quiet := map[int]bool{} // by the moment before
	total := last - first
	for range foldAtMost {
		best := -1
		for i := range len(list) - 1 {
			gap := list[i+1] - list[i]
			if quiet[i] || gap < foldFrom || gap < foldShare*total || touches(awake, list[i], list[i+1]) {
				continue
			}
			if best < 0 || gap > list[best+1]-list[best] {
				best = i
			}
		}
		if best < 0 || len(quiet)+1 == len(list)-1 {
			break // the last piece that is not folded stays so
		}
		quiet[best] = true
		total -= list[best+1] - list[best]
	}
	unit := (right - left - foldWidth*float64(len(quiet))) / total
	var a axis
	x, from := left, first
	for i := range len(list) - 1 {
		if !quiet[i] {
			if i+1 < len(list)-1 && !quiet[i+1] {
				continue
			}
			end := list[i+1]
			next := x + (end-from)*unit
			a.pieces = append(a.pieces, piece{span: span{from, end}, left: x, right: next})
			x, from = next, end
			continue
		}
		a.pieces = append(a.pieces, piece{span: span{from, list[i+1]}, left: x, right: x + foldWidth, folded: true})
		x, from = x+foldWidth, list[i+1]
	}
	return a
}

func touches(list []span, from, until float64) bool {
	return slices.ContainsFunc(list, func(s span) bool { return s.from < until && s.until > from })
}

func (a axis) x(at float64) float64 {
	for _, p := range a.pieces {
		if at <= p.until || p == a.pieces[len(a.pieces)-1] {
			share := (at - p.from) / (p.until - p.from)
			return p.left + min(max(share, 0), 1)*(p.right-p.left)
		}
	}
	return 0
}

// tick is a label of the axis.
type tick struct {
	X    float64
	Text string
}

// ticks are round seconds, about one for every hundred units of the picture, none in what is folded.
func (a axis) ticks() []tick {
	total, wide := 0.0, 0.0
	for _, p := range a.pieces {
		if !p.folded {
			total += p.until - p.from
			wide += p.right - p.left
		}
	}
	step := round(total / max(wide/100, 1))
	var list []tick
	for _, p := range a.pieces {
		if p.folded {
			continue
		}
		for n := math.Ceil(p.from/step - 1e-9); n*step <= p.until+1e-9; n++ {
			x := a.x(n * step)
			if len(list) > 0 && x-list[len(list)-1].X < 40 || a.folding(x) {
				continue
			}
			list = append(list, tick{x, trimmed(n*step) + " s"})
		}
	}
	return list
}

// folding reports whether a tick would stand in the way of what is said below a fold.
func (a axis) folding(x float64) bool {
	return slices.ContainsFunc(a.pieces, func(p piece) bool { return p.folded && x > p.left-30 && x < p.right+30 })
}

// round is the next of 1, 2, 5, 10 … that is not less.
func round(v float64) float64 {
	if v <= 0 {
		return 1
	}
	scale := math.Pow(10, math.Floor(math.Log10(v)))
	for _, nice := range []float64{1, 2, 5} {
		if nice*scale >= v*(1-1e-9) {
			return nice * scale
		}
	}
	return 10 * scale
}
