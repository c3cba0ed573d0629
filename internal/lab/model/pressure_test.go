package model_test

import (
	"math"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// TestALiveMigrationTakesItsShareAlong: what the machine uses is gone where it was and there where it came to, its guest is
// cured where there is enough, and what is counted is what was used.
func TestALiveMigrationTakesItsShareAlong(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	m.CountLoads()
	v := m.VM("SQL01")
	inject(t, m, model.Request{Fault: model.HostStarved, Node: "HV1"})
	if !m.UsedUp("HV1") || !m.Suffers(v) || m.Suffers(m.VM("SQL02")) {
		t.Errorf("HV1 is used at %v, SQL01 suffers %t, SQL02 %t", m.Used("HV1"), m.Suffers(v), m.Suffers(m.VM("SQL02")))
	}
	before := map[string]float64{"HV1": m.Used("HV1"), "HV2": m.Used("HV2"), "HV3": m.Used("HV3")}
	if code := m.MoveGroup(v, "HV2", cluster.VMLiveMigration, 0); !code.Accepted() {
		t.Fatalf("the move is refused: %d", code)
	}
	m.Advance(m.Now().Add(time.Minute))
	share := v.Uses() * model.VMProcessors / model.HostProcessors
	for node, by := range map[string]float64{"HV1": -share, "HV2": share, "HV3": 0} {
		if got := m.Used(node) - before[node]; share == 0 || math.Abs(got-by) > 1e-9 && before[node] < 1 {
			t.Errorf("%s is used %+v more, want %+v", node, got, by)
		}
	}
	if m.Suffers(v) || !v.Servers[0].Up {
		t.Errorf("on %s, which is used at %v, it suffers still", v.Owner, m.Used(v.Owner))
	}
	ran := m.Ran("HV2")
	m.Advance(m.Now().Add(time.Hour))
	if got, want := m.Ran("HV2")-ran, time.Duration(m.Used("HV2")*float64(time.Hour)); (got - want).Abs() > time.Millisecond {
		t.Errorf("HV2's processors ran %s in an hour, want %s", got, want)
	}
	// A starved guest uses all that is its own, wherever it is, and enough of them use a host up.
	inject(t, m, model.Request{Fault: model.GuestStarved, VM: "SQL01"})
	if got := m.Used("HV2") - before["HV2"]; got < 0.2 || m.UsedUp("HV2") || m.Suffers(m.VM("SQL02")) {
		t.Errorf("HV2 is used at %v, %v more than without the starved guest", m.Used("HV2"), got)
	}
}

// TestTheBalancerBringsNothingToALoadedHost: where no node has room it moves nothing.
func TestTheBalancerBringsNothingToALoadedHost(t *testing.T) {
	t.Parallel()
	e, err := model.EraNamed(model.EraToday)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(model.Default(model.Quick()).In(e), start, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range m.Nodes {
		inject(t, m, model.Request{Fault: model.HostStarved, Node: n.Name})
	}
	m.Advance(m.Now().Add(3 * time.Hour))
	for _, v := range m.VMs {
		if len(v.Counts.Moved) > 0 {
			t.Errorf("%s was moved: %v", v.Name, v.Counts.Moved)
		}
	}
}
