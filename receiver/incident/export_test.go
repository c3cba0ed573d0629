package incident

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// Consistent compares the orders that a state keeps with the same computed anew from what it holds.
func (s State) Consistent() error {
	type at struct {
		At time.Time
		ID string
	}
	var open, closed, due, proofs, senses []at
	of := map[evidence.VM][]string{}
	sorted := slices.SortedFunc(s.Incidents.All(), func(a, b Incident) int { return older(&a, &b) })
	for _, i := range sorted {
		of[i.VM] = append(of[i.VM], i.ID)
		switch {
		case i.Closed():
			closed = append(closed, at{i.ClosedAt, i.ID})
			continue
		case i.Asked == "" && !i.Next.IsZero():
			due = append(due, at{i.Next, i.ID})
		}
		open = append(open, at{i.OpenedAt, i.ID})
	}
	acted := map[evidence.VM]bool{}
	for id, vm := range s.VMs.All() {
		if len(vm.Past) > 0 {
			acted[id] = true
		}
		_, ok := s.inventory(id)
		if ok && !vm.Sensing {
			senses = append(senses, at{s.senseDue(vm), id.String()})
		}
		if ok && !vm.Proving && !slices.ContainsFunc(sorted, func(i Incident) bool { return i.VM == id && !i.Closed() && i.deciding() }) {
			proofs = append(proofs, at{s.proofDue(vm), id.String()})
		}
	}
	visits := func(t tree[visit, none]) (list []at) {
		for v := range t.all() {
			list = append(list, at{v.at, evidence.VM(v.vm).String()})
		}
		return list
	}
	list := func(t tree[moment, none]) (list []at) {
		for m := range t.all() {
			list = append(list, at{m.at, m.id})
		}
		return list
	}
	gotOf, gotActed := map[evidence.VM][]string{}, map[evidence.VM]bool{}
	for vm, ids := range s.Incidents.of.all() {
		gotOf[evidence.VM(vm)] = ids
	}
	for vm := range s.VMs.acted.all() {
		gotActed[evidence.VM(vm)] = true
	}
	inOrder := func(l []at) []at {
		slices.SortFunc(l, func(a, b at) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
		return l
	}
	for _, order := range []struct {
		name      string
		want, got any
	}{
		{"open", inOrder(open), list(s.Incidents.open)},
		{"closed", inOrder(closed), list(s.Incidents.closed)},
		{"due", inOrder(due), list(s.Incidents.due)},
		{"proofs", inOrder(proofs), visits(s.proofs)},
		{"senses", inOrder(senses), visits(s.senses)},
		{"of", of, gotOf},
		{"acted", acted, gotActed},
	} {
		if diff := gocmp.Diff(order.want, order.got); diff != "" {
			return fmt.Errorf("the order %q (-computed +kept):\n%s", order.name, diff)
		}
	}
	return nil
}
