package cluster_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
)

// operator is a host's client with the account that may change something.
func (s *site) operator(t *testing.T, name string) *cluster.Host {
	t.Helper()
	h, err := cluster.NewHost(s.options(name, "OPERATOR"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func TestLabPlacement(t *testing.T) {
	t.Parallel()
	s := startLab(t)
	h := s.host(t, "HV2")
	got, err := h.Placement(t.Context(), "SQL01")
	want := cluster.Placement{
		By: "HV2", Group: "SQL01", FunctionalLevel: 10, PossibleOwners: []string{"HV1", "HV2", "HV3"}, PreferredOwners: []string{"HV1", "HV2"},
		Nodes: []cluster.PlacementNode{{Name: "HV1", Version: 10}, {Name: "HV2", Version: 10}, {Name: "HV3", Version: 10}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Placement: %v (-want +got):\n%s", err, diff)
	}
	if _, err := h.Placement(t.Context(), "no such group"); err == nil {
		t.Error("Placement of a group that is not there succeeded")
	}
	r, err := h.GroupVM(t.Context(), "SCVMM SQL02 Resources")
	if err != nil {
		t.Fatal(err)
	}
	if memory, err := h.StartupMemory(t.Context(), r.VMID); memory != 8<<30 || err != nil {
		t.Errorf("StartupMemory = %d, %v, want 8 GiB", memory, err)
	}
	if _, err := s.host(t, "HV1").StartupMemory(t.Context(), r.VMID); err == nil {
		t.Error("StartupMemory on a host that does not have the virtual machine succeeded")
	}
}

// TestLabMoves: what the cluster answers, and what comes of it.
func TestLabMoves(t *testing.T) {
	t.Parallel()
	s := startLab(t)
	h := s.operator(t, "HV2")
	if _, err := s.host(t, "HV2").MoveGroup(t.Context(), "SQL01", "HV2", cluster.VMLiveMigration, time.Time{}); cluster.Reason(err) != dial.Permission {
		t.Errorf("MoveGroup by the reader = %v, want permission", err)
	}
	if o, err := h.MoveGroup(t.Context(), "SQL01", "", cluster.VMLiveMigration, time.Time{}); err == nil || o.Sent {
		t.Errorf("MoveGroup to nowhere = %+v, %v, want nothing sent", o, err)
	}
	if o, err := h.MoveGroup(t.Context(), "SQL01", "HV2", cluster.VMLiveMigration, time.Now().Add(-time.Second)); o.Sent || err == nil {
		t.Errorf("MoveGroup too late = %+v, %v, want nothing sent", o, err)
	}
	move := func(to string, how cluster.VMContext, want cluster.GroupCode) {
		t.Helper()
		o, err := h.MoveGroup(t.Context(), "SQL01", to, how, time.Time{})
		o.LeftAt = time.Time{}
		if o != (cluster.Outcome{Sent: true, Answered: true, Code: uint32(want)}) || err != nil {
			t.Fatalf("MoveGroup to %s = %+v, %v, want code %d", to, o, err, want)
		}
	}
	move("HV1", cluster.VMLiveMigration, cluster.GroupDone) // the owner: it succeeds and does nothing
	move("HV2", cluster.VMLiveMigration, cluster.GroupIOPending)
	move("HV3", cluster.VMLiveMigration, cluster.GroupMoving)
	if o, err := h.CancelGroupOperation(t.Context(), "SQL01", time.Time{}); !o.Answered || o.Code != 0 || err != nil {
		t.Errorf("CancelGroupOperation = %+v, %v", o, err)
	}
	group := func(ctx context.Context) (cluster.Group, error) {
		v, err := h.GroupView(ctx, "SQL01")
		g, _ := v.Group("SQL01")
		return g, err
	}
	if g, err := group(t.Context()); g.Owner != "HV1" || g.State != cluster.GroupOnline || err != nil {
		t.Errorf("after the cancel the group is %+v, %v, want online on HV1", g, err)
	}
	move("HV2", cluster.VMSave, cluster.GroupIOPending)
	await(t, "group", group, func(g cluster.Group) bool {
		return g.Owner == "HV2" && g.State == cluster.GroupOnline && g.PersistentState
	})
	c := s.lab.Counters().VMs["SQL01"]
	if len(c.Moved) != 1 || len(c.FailoversByCluster) != 0 || len(c.ServiceStarts) != 0 {
		t.Errorf("counters = %+v, want one move, no failover and no start of a service: it was saved and resumed", c)
	}
	if o, err := h.BringGroupOnline(t.Context(), "SQL01", time.Time{}); !o.Answered || o.Code != 0 || err != nil {
		t.Errorf("BringGroupOnline of an online group = %+v, %v", o, err)
	}
}
