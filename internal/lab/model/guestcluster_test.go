package model_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// guestClustered is the lab's cluster of an era, each SQL Server a resource of two guests.
func guestClustered(t testing.TB, era string, change func(*model.Spec)) *model.Model {
	t.Helper()
	e, err := model.EraNamed(era)
	if err != nil {
		t.Fatal(err)
	}
	spec := model.Default(model.Paper()).In(e).GuestClustered()
	if change != nil {
		change(&spec)
	}
	m, err := model.New(spec, start, 1)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// resource tells how SQL01's is, and what was done to it until then.
func resource(m *model.Model, d time.Duration) string {
	m.Advance(start.Add(d))
	g := m.GuestClusters[0]
	_, s := m.Instance("SQL01", "MSSQLSERVER")
	down := "down"
	if s.Up {
		down = "up"
	}
	v := m.VM("SQL01")
	return fmt.Sprintf("%s on %s group %d %s, failovers %d, machine's %s", g.Name, g.Owner, g.State, down, len(v.Counts.FailoversByCluster), v.Owner)
}

// TestAGuestClusterAsTheWhitePaperMeasuredIt: SQL Server is down for 55 s, and the failover is over after 60.
func TestAGuestClusterAsTheWhitePaperMeasuredIt(t *testing.T) {
	t.Parallel()
	const well = "SQL01-CL1 on SQL01 group 0 up, failovers 0, machine's HV1"
	moved := func(group int, how string) string {
		return fmt.Sprintf("SQL01-CL1 on SQL01B group %d %s, failovers 1, machine's HV1", group, how)
	}
	stays := func(group int, how string) string {
		return fmt.Sprintf("SQL01-CL1 on SQL01 group %d %s, failovers 0, machine's HV1", group, how)
	}
	tests := []struct {
		fault, era string
		want       []moment
	}{
		{model.ServiceStop, model.Era2008R2, []moment{
			{4 * time.Second, stays(0, "down")},
			{54 * time.Second, moved(4, "down")},
			{55 * time.Second, moved(4, "up")},
			{59 * time.Second, moved(4, "up")},
			{60 * time.Second, moved(0, "up")},
			{time.Hour, moved(0, "up")},
		}},
		{model.ServiceCrash, model.EraToday, []moment{{5 * time.Second, moved(4, "down")}, {60 * time.Second, moved(0, "up")}}},
		{model.ServiceLogonFailure, model.EraToday, []moment{ // the account is one, in both guests
			{44 * time.Second, moved(4, "down")}, {46 * time.Second, moved(2, "down")}, {time.Hour, moved(2, "down")},
		}},
		{model.SQLHang, model.Era2008R2, []moment{{59 * time.Second, stays(0, "down")}, {61 * time.Second, moved(4, "down")}, {2 * time.Minute, moved(0, "up")}}},
		{model.SQLHang, model.EraToday, []moment{{29 * time.Second, stays(0, "down")}, {31 * time.Second, moved(4, "down")}, {2 * time.Minute, moved(0, "up")}}},
		{model.GuestCrash, model.Era2008R2, []moment{{4 * time.Second, stays(0, "down")}, {60 * time.Second, moved(0, "up")}}},
		{model.GuestStarved, model.Era2008R2, []moment{{59 * time.Second, well}, {2 * time.Minute, moved(0, "up")}}},
		{model.HostPowerOff, model.Era2008R2, []moment{{60 * time.Second, moved(0, "up")}}},
		{model.HostMemory, model.EraToday, []moment{{65 * time.Second, moved(0, "up")}}},
		{model.HypervisorCrash, model.EraToday, []moment{{65 * time.Second, moved(0, "up")}, {time.Hour, moved(0, "up")}}},
		{model.SQLInternal, model.Era2008R2, []moment{{time.Hour, well}}},
		{model.SQLInternal, model.EraToday, []moment{{9 * time.Second, well}, {11 * time.Second, moved(4, "down")}, {2 * time.Minute, moved(0, "up")}, {time.Hour, moved(0, "up")}}},
		{model.DatabaseSuspect, model.EraToday, []moment{{time.Hour, well}}},
		{model.LANBoard, model.Era2008R2, []moment{{time.Hour, well}}}, // the guests hear each other elsewhere
		{model.MonitorPassword, model.EraToday, []moment{{time.Hour, well}}},
	}
	for _, tt := range tests {
		t.Run(tt.fault+" "+tt.era, func(t *testing.T) {
			t.Parallel()
			m := guestClustered(t, tt.era, nil)
			if got := resource(m, 0); got != well {
				t.Fatalf("before: %s", got)
			}
			inject(t, m, model.Request{Fault: tt.fault, VM: "SQL01"})
			for _, w := range tt.want {
				if got := resource(m, w.at); got != w.want {
					t.Errorf("after %s:\n got %s\nwant %s", w.at, got, w.want)
				}
			}
		})
	}
}

// TestAGuestClusterRestartsFirstWhereItMay: as often as its threshold says, then it fails over.
func TestAGuestClusterRestartsFirstWhereItMay(t *testing.T) {
	t.Parallel()
	m := guestClustered(t, model.EraToday, func(s *model.Spec) { s.GuestClusters[0].RestartThreshold = 1 })
	inject(t, m, model.Request{Fault: model.ServiceCrash, VM: "SQL01"})
	if got, want := resource(m, 20*time.Second), "SQL01-CL1 on SQL01 group 0 up, failovers 0, machine's HV1"; got != want {
		t.Errorf("the first time: %s, want %s", got, want)
	}
	inject(t, m, model.Request{Fault: model.ServiceCrash, VM: "SQL01"})
	if got, want := resource(m, 3*time.Minute), "SQL01-CL1 on SQL01B group 0 up, failovers 1, machine's HV1"; got != want {
		t.Errorf("the second time: %s, want %s", got, want)
	}
}

// TestAGuestClusterLeavesWhatIsNotCritical: condition level 3 is about the component system alone.
func TestAGuestClusterLeavesWhatIsNotCritical(t *testing.T) {
	t.Parallel()
	for _, component := range model.Components()[1:] {
		m := guestClustered(t, model.EraToday, nil)
		inject(t, m, model.Request{Fault: model.SQLInternal, VM: "SQL01", Component: component})
		if got, want := resource(m, time.Hour), "SQL01-CL1 on SQL01 group 0 up, failovers 0, machine's HV1"; got != want {
			t.Errorf("%s: %s, want %s", component, got, want)
		}
	}
}

// TestTheDatabaseComesWithItsDisk: what has to be recovered, and what is damaged, is so in the guest that takes SQL Server over.
func TestTheDatabaseComesWithItsDisk(t *testing.T) {
	t.Parallel()
	m := guestClustered(t, model.EraToday, nil)
	damaged := inject(t, m, model.Request{Fault: model.DatabaseSuspect, VM: "SQL01"})
	if _, err := m.Inject(model.Request{Fault: model.DatabaseSuspect, VM: "SQL01"}); err == nil {
		t.Error("it was damaged twice")
	}
	inject(t, m, model.Request{Fault: model.LongRecovery, VM: "SQL01"})
	inject(t, m, model.Request{Fault: model.ServiceCrash, VM: "SQL01"})
	see := func(d time.Duration) string {
		m.Advance(start.Add(d))
		v, s := m.Instance("SQL01", "")
		return fmt.Sprintf("on %s, up %t, recovering %t, suspect %t", v.Name, s.Up, s.Recovering, s.Suspect)
	}
	for _, w := range []struct {
		at   time.Duration
		want string
	}{{2 * time.Minute, "on SQL01B, up true, recovering true, suspect true"}, {42 * time.Minute, "on SQL01B, up true, recovering false, suspect true"}} {
		if got := see(w.at); got != w.want {
			t.Errorf("after %s: %s, want %s", w.at, got, w.want)
		}
	}
	if m.Heal(damaged); see(42*time.Minute) != "on SQL01B, up true, recovering false, suspect false" {
		t.Errorf("mended: %s", see(42*time.Minute))
	}
	if s := m.VM("SQL01").Server(""); s.Slow != 0 || s.Undo != 0 || s.Suspect {
		t.Errorf("%+v is left behind", s)
	}
}

// TestTwoInstancesOfAGuestAreTwoResources: each fails over by itself, and is counted so.
func TestTwoInstancesOfAGuestAreTwoResources(t *testing.T) {
	t.Parallel()
	m := guestClustered(t, model.EraToday, nil)
	inject(t, m, model.Request{Fault: model.GuestCrash, VM: "SQL03"})
	m.Advance(start.Add(2 * time.Minute))
	for _, instance := range []string{"MSSQLSERVER", "REPORTING"} {
		owner, s := m.Instance("SQL03", instance)
		n := 0
		for _, c := range m.VM("SQL03").Counts.FailoversByCluster {
			if s.Clustered().Counted(c) {
				n++
			}
		}
		if owner.Name != "SQL03B" || !s.Up || n != 1 {
			t.Errorf("%s is on %s, up %t, after %d failovers, want SQL03B, up, and one", instance, owner.Name, s.Up, n)
		}
	}
}

// TestAGuestClusterGivesUp after one failover in six hours, and brings online what has no owner when a guest returns.
func TestAGuestClusterGivesUp(t *testing.T) {
	t.Parallel()
	m := guestClustered(t, model.EraToday, nil)
	for range 2 { // where it is
		inject(t, m, model.Request{Fault: model.ServiceCrash, VM: "SQL01"})
		m.Advance(m.Now().Add(5 * time.Minute))
	}
	g := m.GuestClusters[0]
	if g.State != cluster.GroupFailed || len(m.VM("SQL01").Counts.FailoversByCluster) != 1 {
		t.Errorf("group %d after %v", g.State, m.VM("SQL01").Counts.FailoversByCluster)
	}
	events := m.VM(g.Owner).Events
	if last := events[len(events)-1]; last.ID != model.EventGroupGivenUp || last.Source != cluster.EventSourceCluster {
		t.Errorf("the last event is %+v, want 1254 of the cluster", last)
	}

	m = guestClustered(t, model.EraToday, nil)
	one := inject(t, m, model.Request{Fault: model.GuestCrash, VM: "SQL01B"})
	two := inject(t, m, model.Request{Fault: model.GuestCrash, VM: "SQL01"})
	m.Advance(m.Now().Add(time.Minute))
	if g := m.GuestClusters[0]; g.State != cluster.GroupFailed {
		t.Errorf("without a guest the group is %d", g.State)
	}
	m.Heal(one)
	m.Advance(m.Now().Add(2 * time.Minute))
	if got, want := resource(m, m.Now().Sub(start)), "SQL01-CL1 on SQL01B group 0 up, failovers 1, machine's HV1"; got != want {
		t.Errorf("with one guest back: %s, want %s", got, want)
	}
	m.Heal(two)
	m.Advance(m.Now().Add(time.Hour))
	if got, want := resource(m, m.Now().Sub(start)), "SQL01-CL1 on SQL01B group 0 up, failovers 1, machine's HV1"; got != want {
		t.Errorf("with both: %s, want %s", got, want)
	}
}

// TestSpecsThatTheDrillNeeds: two nodes, and the survivor of them; fifty machines; two instances clustered apart.
func TestSpecsThatTheDrillNeeds(t *testing.T) {
	t.Parallel()
	spec := model.Spec{
		Cluster: "two", Profile: model.Quick(), Nodes: []string{"HV1", "HV2"},
		VMs: []model.VMSpec{{Name: "SQL01", Group: "SQL01", Node: "HV1", Instances: []string{"MSSQLSERVER"}}},
	}
	m, err := model.New(spec, start, 1)
	if err != nil {
		t.Fatal(err)
	}
	inject(t, m, model.Request{Fault: model.HostCPU, Node: "HV1"})
	m.Advance(m.Now().Add(time.Minute))
	v := m.VM("SQL01")
	if v.Owner != "HV2" || !v.Server("").Up {
		t.Fatalf("on %s, up %t; want the survivor to serve", v.Owner, v.Server("").Up)
	}
	inject(t, m, model.Request{Fault: model.HostMainboard, Node: "HV2"})
	m.Advance(m.Now().Add(time.Minute))
	if v.GroupState != cluster.GroupFailed || v.Server("").Up {
		t.Errorf("group %d, up %t without a host", v.GroupState, v.Server("").Up)
	}

	many := model.Default(model.Quick())
	for n := len(many.VMs); n < 50; n++ {
		name := fmt.Sprintf("SQL%02d", n+1)
		many.VMs = append(many.VMs, model.VMSpec{Name: name, Group: name, Node: many.Nodes[n%3], Instances: []string{"MSSQLSERVER"}})
	}
	if m, err = model.New(many, start, 1); err != nil {
		t.Fatal(err)
	}
	inject(t, m, model.Request{Fault: model.HostPowerOff, Node: "HV1"})
	m.Advance(m.Now().Add(5 * time.Minute))
	for _, v := range m.VMs {
		if v.Owner == "HV1" || v.GroupState != cluster.GroupOnline {
			t.Errorf("%s is on %s, group %d", v.Name, v.Owner, v.GroupState)
		}
	}

	m = guestClustered(t, model.EraToday, nil)
	inject(t, m, model.Request{Fault: model.ServiceCrash, VM: "SQL03", Instance: "REPORTING"})
	m.Advance(m.Now().Add(2 * time.Minute))
	at := func(instance string) string { v, _ := m.Instance("SQL03", instance); return v.Name }
	if got := at("MSSQLSERVER") + " " + at("REPORTING"); got != "SQL03 SQL03B" {
		t.Errorf("the instances are on %s", got)
	}
	for _, bad := range []model.GuestClusterSpec{
		{Name: "X", Instance: "MSSQLSERVER", Guests: []string{"SQL01"}},
		{Name: "X", Instance: "MSSQLSERVER", Guests: []string{"SQL01", "SQL99"}},
		{Name: "X", Instance: "MSSQLSERVER", Guests: []string{"SQL01", "SQL02"}},
		{Name: "X", Instance: "NONE", Guests: []string{"SQL01", "DC01"}},
	} {
		s := model.Default(model.Quick())
		s.GuestClusters = []model.GuestClusterSpec{bad}
		if _, err := model.New(s, start, 1); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
