package experiment

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// all is what an observer keeps of every virtual machine, and not of the victim alone.
type all struct {
	failovers map[string]int // of each virtual machine and cluster of guests since the trial began: the clusters' own, and commanded ones
	incidents []incident.Incident
}

// see takes one look. A receiver that did not answer takes nothing back.
func (a *all) see(m *model.Model, began time.Time, incidents []incident.Incident) {
	a.failovers = map[string]int{}
	for _, v := range m.VMs {
		for _, c := range slices.Concat(v.Counts.FailoversByCluster, v.Counts.MovesCommanded) {
			if c.At.Before(began) {
				continue
			}
			a.failovers[whose(m, v, c)]++
		}
	}
	if incidents != nil {
		a.incidents = slices.Clone(incidents)
	}
}

// whose failover is counted: a virtual machine's, or that of a cluster of guests, which is counted with it.
func whose(m *model.Model, v *model.VM, c model.Count) string {
	for _, g := range m.GuestClusters {
		if g.Counted(c) {
			return g.Name
		}
	}
	return v.Name
}

// hanging are the incidents that have come to no end, and are not explained by one that has.
func (a *all) hanging() []incident.Incident {
	ended := map[string]bool{}
	for _, i := range a.incidents {
		ended[i.ID] = !i.ClosedAt.IsZero() || drill.Ended(i)
	}
	var list []incident.Incident
	for _, i := range a.incidents {
		if !ended[i.ID] && !ended[i.ExplainedBy] {
			list = append(list, i)
		}
	}
	return list
}

// forbidden says what must not be at the end of a trial, whatever its row expects of the victim: a virtual machine with more
// failovers than faults were made, and an incident that was left hanging.
func (a *all) forbidden(s drill.Scenario) []string {
	faults := 0
	for _, step := range s.Steps {
		if step.At >= s.Begins().At {
			faults++
		}
	}
	var list []string
	for _, v := range slices.Sorted(maps.Keys(a.failovers)) {
		if n := a.failovers[v]; n > faults {
			list = append(list, fmt.Sprintf("%s: %d failovers for %d faults", v, n, faults))
		}
	}
	for _, i := range a.hanging() {
		list = append(list, fmt.Sprintf("incident %s is left hanging, %s: %s", i.ID, i.Phase, i.Summary))
	}
	return list
}
