package model_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

func pass(m *model.Model, d time.Duration) { m.Advance(m.Now().Add(d)) }

// TestMovesEndWhereTheyShould: what a move does to the guest, where it ends, and that nothing but the owner has changed.
func TestMovesEndWhereTheyShould(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		how    cluster.VMContext
		before func(*model.Model, *model.VM)
		owner  string
		starts int // of SQL Server
		up     bool
	}{
		"a live migration is not noticed": {cluster.VMLiveMigration, nil, "HV2", 0, true},
		"a quick migration resumes":       {cluster.VMSave, nil, "HV2", 0, true},
		"a shutdown starts anew":          {cluster.VMShutdown, nil, "HV2", 1, true},
		"turned off, it starts anew":      {cluster.VMTurnOff, nil, "HV2", 1, true},
		"a dead service is dead afterwards": {cluster.VMSave, func(m *model.Model, _ *model.VM) {
			_, _ = m.Inject(model.Request{Fault: model.ServiceCrash, VM: "SQL01"})
		}, "HV2", 0, false},
		"no memory: it stays":                  {cluster.VMLiveMigration, func(m *model.Model, v *model.VM) { m.Node("HV2").Spare = v.Memory }, "HV1", 0, true},
		"no memory, turned off: it comes back": {cluster.VMTurnOff, func(m *model.Model, v *model.VM) { m.Node("HV2").Spare = v.Memory }, "HV1", 1, true},
		"it fails and comes back":              {cluster.VMSave, func(_ *model.Model, v *model.VM) { v.NextMove.Fails = true }, "HV1", 0, true},
		"a guest that does not shut down": {cluster.VMShutdown, func(m *model.Model, _ *model.VM) {
			_, _ = m.Inject(model.Request{Fault: model.GuestHang, VM: "SQL01"})
		}, "HV1", 0, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newModel(t)
			v := m.VM("SQL01")
			if tt.before != nil {
				tt.before(m, v)
			}
			if c := m.MoveGroup(v, "HV2", tt.how, model.MoveReturn); c != cluster.GroupIOPending || v.GroupState != cluster.GroupPending || v.Moving() == "" {
				t.Fatalf("MoveGroup = %d, state %d; want accepted and pending", c, v.GroupState)
			}
			pass(m, time.Minute)
			if v.Owner != tt.owner || v.GroupState != cluster.GroupOnline || v.State != cluster.VMRunning || !v.PersistentState || v.Moving() != "" {
				t.Errorf("owner %s, group state %d, VM state %d, persistent %v; want online on %s", v.Owner, v.GroupState, v.State, v.PersistentState, tt.owner)
			}
			if got := len(v.Counts.ServiceStarts); got != tt.starts || v.Server("").Up != tt.up {
				t.Errorf("%d starts of SQL Server, up %v; want %d, %v", got, v.Server("").Up, tt.starts, tt.up)
			}
			if len(v.Counts.FailoversByCluster) != 0 {
				t.Error("a move was counted as a failover")
			}
		})
	}
}

// TestMovesThatTheClusterRefuses: at once, and nothing has changed.
func TestMovesThatTheClusterRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		to     string
		before func(*model.Model, *model.VM)
		want   cluster.GroupCode
	}{
		"to the owner": {"HV1", nil, cluster.GroupDone},
		"to nowhere":   {"HV9", nil, 5042},
		"to a node that is off": {"HV2", func(m *model.Model, _ *model.VM) {
			_, _ = m.Inject(model.Request{Fault: model.HostPowerOff, Node: "HV2"})
		}, cluster.GroupNodeDown},
		"to a node that may not own it": {"HV2", func(_ *model.Model, v *model.VM) { v.Possible = []string{"HV1"} }, cluster.GroupHostNotOwner},
		"locked":                        {"HV2", func(_ *model.Model, v *model.VM) { v.GroupStatus |= cluster.GroupLocked }, cluster.GroupLockedStatus},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newModel(t)
			v := m.VM("SQL01")
			if tt.before != nil {
				tt.before(m, v)
			}
			if c := m.MoveGroup(v, tt.to, cluster.VMLiveMigration, model.MoveReturn); c != tt.want {
				t.Errorf("MoveGroup = %d, want %d", c, tt.want)
			}
			pass(m, 2*time.Second)
			if v.Owner != "HV1" || v.GroupState != cluster.GroupOnline || len(v.Counts.MovesCommanded) != 1 || len(v.Counts.Moved) != 0 {
				t.Errorf("owner %s, state %d, counts %+v; want nothing but the command", v.Owner, v.GroupState, v.Counts)
			}
		})
	}
}

func TestAMoveUnderWay(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	v := m.VM("SQL01")
	if c := m.MoveGroup(v, "HV2", cluster.VMLiveMigration, model.MoveReturn); c != cluster.GroupIOPending {
		t.Fatal(c)
	}
	if c := m.MoveGroup(v, "HV3", cluster.VMLiveMigration, model.MoveReturn); c != cluster.GroupMoving {
		t.Errorf("a second move = %d, want %d", c, cluster.GroupMoving)
	}
	m.CancelMove(v)
	pass(m, time.Minute)
	if v.Owner != "HV1" || v.GroupState != cluster.GroupOnline {
		t.Errorf("after the cancel: owner %s, state %d", v.Owner, v.GroupState)
	}
	v.NextMove.Stuck = true
	m.MoveGroup(v, "HV2", cluster.VMLiveMigration, model.MoveReturn)
	pass(m, time.Hour)
	if v.Moving() == "" || v.GroupState != cluster.GroupPending {
		t.Error("a stuck move came to its end")
	}
	m.CancelMove(v)
	if v.Moving() != "" || v.GroupState != cluster.GroupOnline || v.Owner != "HV1" {
		t.Error("a stuck move could not be cancelled")
	}
	m.MoveGroup(v, "HV2", cluster.VMTurnOff, model.MoveReturn)
	m.CancelMove(v) // it is too late for that
	pass(m, time.Minute)
	if v.Owner != "HV2" {
		t.Errorf("a move that had gone too far was cancelled: owner %s", v.Owner)
	}
}

// TestAQueuedMove waits until there is room, when nobody knows any more what it was for.
func TestAQueuedMove(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	v := m.VM("SQL01")
	m.Node("HV2").Spare = v.Memory
	if c := m.MoveGroup(v, "HV2", cluster.VMLiveMigration, model.MoveReturn|model.MoveQueue); c != cluster.GroupIOPending || v.GroupStatus&cluster.GroupWaitingInQueueForMove == 0 {
		t.Fatalf("MoveGroup = %d, status %#x; want it queued", c, uint64(v.GroupStatus))
	}
	pass(m, time.Minute)
	m.Node("HV2").Spare = 10 * v.Memory
	pass(m, time.Minute)
	if v.Owner != "HV2" || v.GroupStatus&cluster.GroupWaitingInQueueForMove != 0 {
		t.Errorf("owner %s, status %#x; want the move carried out", v.Owner, uint64(v.GroupStatus))
	}
}

// TestOfflineAndOnline: plain TakeOffline saves and has the cluster leave it so; BringOnline undoes both.
func TestOfflineAndOnline(t *testing.T) {
	t.Parallel()
	for _, how := range []cluster.VMContext{cluster.VMSave, cluster.VMTurnOff} {
		m := newModel(t)
		v := m.VM("SQL01")
		m.TakeOffline(v, how)
		want := map[cluster.VMContext]cluster.VMState{cluster.VMSave: cluster.VMSaved, cluster.VMTurnOff: cluster.VMOff}[how]
		if v.State != want || v.GroupState != cluster.GroupOffline || v.PersistentState {
			t.Errorf("%s: VM state %d, group state %d, persistent %v", how, v.State, v.GroupState, v.PersistentState)
		}
		if c := m.BringOnline(v); c != cluster.GroupIOPending {
			t.Errorf("%s: BringOnline = %d", how, c)
		}
		pass(m, time.Minute)
		if v.State != cluster.VMRunning || v.GroupState != cluster.GroupOnline || !v.PersistentState || !v.Server("").Up {
			t.Errorf("%s: VM state %d, group state %d, persistent %v, up %v", how, v.State, v.GroupState, v.PersistentState, v.Server("").Up)
		}
	}
	m := newModel(t)
	v := m.VM("SQL01")
	m.TakeOffline(v, cluster.VMTurnOff)
	v.Broken = true
	m.BringOnline(v)
	pass(m, time.Minute)
	if v.GroupState != cluster.GroupFailed {
		t.Errorf("a broken group is in state %d, want failed", v.GroupState)
	}
}

// TestASourceThatDiesWhileItMigrates leaves the group to the cluster's own failover, once.
func TestASourceThatDiesWhileItMigrates(t *testing.T) {
	t.Parallel()
	for _, how := range []cluster.VMContext{cluster.VMLiveMigration, cluster.VMSave, cluster.VMTurnOff, cluster.VMShutdown} {
		m := newModel(t)
		v := m.VM("SQL01")
		m.MoveGroup(v, "HV2", how, model.MoveReturn)
		pass(m, time.Second)
		if _, err := m.Inject(model.Request{Fault: model.HostPowerOff, Node: "HV1"}); err != nil {
			t.Fatal(err)
		}
		pass(m, 2*time.Minute)
		if v.Owner == "HV1" || v.GroupState != cluster.GroupOnline || v.State != cluster.VMRunning || len(v.Counts.FailoversByCluster) != 1 {
			t.Errorf("%s: owner %s, group state %d, VM state %d, %d failovers", how, v.Owner, v.GroupState, v.State, len(v.Counts.FailoversByCluster))
		}
	}
}

// TestRoomFollowsTheVirtualMachines: a host's free memory is what its virtual machines leave.
func TestRoomFollowsTheVirtualMachines(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	v := m.VM("SQL01")
	from, to := m.Free("HV1"), m.Free("HV2")
	m.MoveGroup(v, "HV2", cluster.VMLiveMigration, model.MoveReturn)
	pass(m, time.Minute)
	if m.Free("HV1") != from+v.Memory || m.Free("HV2") != to-v.Memory {
		t.Errorf("free memory %d and %d, before %d and %d", m.Free("HV1"), m.Free("HV2"), from, to)
	}
}
