package incident

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"
)

// Incidents are the open incidents and those closed lately, within receiver.retention. It is a value as State is: With and Without return
// another one, and what was read from it stays as it was. Nothing it gives away may be written through.
//
// Beside the incidents it keeps, by the same means, the orders in which Step looks for them, so that a step costs what it
// touches and not how many others are open.
type Incidents struct {
	byID tree[name, *Incident]
	// of are the ids of each virtual machine's incidents, oldest first.
	of tree[machine, []string]
	// open and closed are in the order of OpenedAt and ClosedAt; due are the open ones that nothing is being read for, in the
	// order of Next.
	open, closed, due tree[moment, none]
	closedBytes       int64 // of the records of those that are closed
}

type none = struct{}

// name is an incident's id.
type name string

func (n name) compare(m name) int { return strings.Compare(string(n), string(m)) }

// moment is something at a time. What is at the same one is in the order of the ids.
type moment struct {
	at time.Time
	id string
}

func (m moment) compare(o moment) int {
	if c := m.at.Compare(o.at); c != 0 {
		return c
	}
	return strings.Compare(m.id, o.id)
}

// Len is how many there are, open and closed.
func (s Incidents) Len() int { return s.byID.n }

// Get finds an incident by its id.
func (s Incidents) Get(id string) (Incident, bool) {
	i, ok := s.byID.get(name(id))
	if !ok {
		return Incident{}, false
	}
	return *i, true
}

// All yields every incident, in the order of the ids.
func (s Incidents) All() iter.Seq[Incident] {
	return func(yield func(Incident) bool) {
		for _, i := range s.byID.all() {
			if !yield(*i) {
				return
			}
		}
	}
}

// Open yields the open incidents, oldest first.
func (s Incidents) Open() iter.Seq[Incident] {
	return func(yield func(Incident) bool) {
		for m := range s.open.all() {
			if i, _ := s.byID.get(name(m.id)); !yield(*i) {
				return
			}
		}
	}
}

// Closed is how many closed incidents are kept, and the size of their records.
func (s Incidents) Closed() (count int, bytes int64) { return s.closed.n, s.closedBytes }

// kept is what the record of a closed incident takes.
func (i *Incident) kept() int64 {
	if i == nil || !i.Closed() {
		return 0
	}
	return i.recorded
}

// With is the set with an incident, new or in place of the one of the same id.
func (s Incidents) With(i Incident) Incidents {
	old, existed := s.byID.get(name(i.ID))
	if !existed || !old.OpenedAt.Equal(i.OpenedAt) || old.VM != i.VM {
		if existed {
			s = s.Without(i.ID)
		}
		s = s.introduced(&i)
		old = nil
	}
	s.closedBytes += i.kept() - old.kept()
	s.byID = s.byID.put(name(i.ID), &i)
	s.open, s.closed, s.due = reordered(s.open, old, &i, opened), reordered(s.closed, old, &i, over), reordered(s.due, old, &i, falling)
	return s
}

// Without is the set without an incident.
func (s Incidents) Without(id string) Incidents {
	i, ok := s.byID.get(name(id))
	if !ok {
		return s
	}
	s.closedBytes -= i.kept()
	s.byID = s.byID.remove(name(id))
	s.open, s.closed, s.due = reordered(s.open, i, nil, opened), reordered(s.closed, i, nil, over), reordered(s.due, i, nil, falling)
	ids, _ := s.of.get(machine(i.VM))
	ids = slices.DeleteFunc(slices.Clone(ids), func(other string) bool { return other == id })
	if len(ids) == 0 {
		s.of = s.of.remove(machine(i.VM))
	} else {
		s.of = s.of.put(machine(i.VM), ids)
	}
	return s
}

// introduced adds a new incident to those of its virtual machine.
func (s Incidents) introduced(i *Incident) Incidents {
	ids, _ := s.of.get(machine(i.VM))
	at, _ := slices.BinarySearchFunc(ids, i, func(id string, i *Incident) int {
		other, _ := s.byID.get(name(id))
		return older(other, i)
	})
	s.of = s.of.put(machine(i.VM), slices.Insert(slices.Clone(ids), at, i.ID))
	return s
}

// older orders incidents by when they were opened.
func older(a, b *Incident) int {
	return cmp.Or(a.OpenedAt.Compare(b.OpenedAt), strings.Compare(a.ID, b.ID))
}

// The times by which incidents are ordered; false where one has no place in the order.
func opened(i *Incident) (time.Time, bool) { return i.OpenedAt, !i.Closed() }

func over(i *Incident) (time.Time, bool) { return i.ClosedAt, i.Closed() }

func falling(i *Incident) (time.Time, bool) {
	return i.Next, !i.Closed() && i.Asked == "" && !i.Next.IsZero()
}

// reordered gives an incident its new place in an order: from that of old, which may be nil, to that of its successor,
// which may be nil too.
func reordered(order tree[moment, none], old, i *Incident, by func(*Incident) (time.Time, bool)) tree[moment, none] {
	var from, to moment
	var was, is bool
	if old != nil {
		from.id = old.ID
		from.at, was = by(old)
	}
	if i != nil {
		to.id = i.ID
		to.at, is = by(i)
	}
	if was && is && from.compare(to) == 0 {
		return order
	}
	if was {
		order = order.remove(from)
	}
	if is {
		order = order.put(to, none{})
	}
	return order
}
