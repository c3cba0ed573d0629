package conformance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/wsman"
)

// look is the time between two looks at a virtual machine that changes.
const look = time.Second

// changingAssertions change the virtual machine that was named twice, and leave it online.
func changingAssertions() []Assertion {
	return []Assertion{
		{
			Name: "reset_stays_online", Changes: true,
			Relies: "RequestStateChange(Reset) restarts the guest; the group stays online on its owner, and nothing persistent changes.",
			Source: "UNVERIFIED that the cluster takes it for no failure; Msvm_ComputerSystem.RequestStateChange, 11 is Reset",
			Guest:  resetStaysOnline,
		},
		{
			Name: "moves_and_threshold", Changes: true,
			Relies: "Moves by an administrator do not count against the group's FailoverThreshold.",
			Source: "UNVERIFIED: MSCluster_ResourceGroup, FailoverThreshold speaks of failover attempts",
			Guest:  movesAndThreshold,
		},
	}
}

// ready finds the machine that may be changed, and refuses one that is not well to begin with.
func (s *Site) ready(ctx context.Context, g *guest) (*node, cluster.Group, cluster.Resource, *Finding) {
	refuse := func(format string, args ...any) *Finding {
		f := unseen(format, args...)
		return &f
	}
	owner, group, resource, err := s.owner(ctx, g)
	switch {
	case err != nil:
		return nil, group, resource, refuse("not begun: %v", err)
	case owner.operator == nil:
		return nil, group, resource, refuse("not begun: the cluster has no operator")
	case group.State != cluster.GroupOnline || group.Status&^(cluster.GroupOSHeartbeat|cluster.GroupApplicationReady) != 0 || !group.PersistentState:
		return nil, group, resource, refuse("not begun: the group is not online and at rest (state %d, status 0x%X)", group.State, uint64(group.Status))
	}
	return owner, group, resource, nil
}

func describe(g cluster.Group, r cluster.Resource) string {
	return fmt.Sprintf("group State=%d StatusInformation=0x%X PersistentState=%t owner=%s resource State=%d LastOperationStatusCode=%d",
		g.State, uint64(g.Status), g.PersistentState, g.Owner, r.State, r.LastStatus)
}

// resetStaysOnline resets the machine and looks until its guest has been seen to start again.
func resetStaysOnline(ctx context.Context, s *Site, g *guest) Finding {
	owner, group, resource, refusal := s.ready(ctx, g)
	if refusal != nil {
		return *refusal
	}
	before, err := owner.host.VirtualMachine(ctx, resource.VMID)
	if err != nil || before.State != cluster.VMRunning {
		return unseen("not begun: the machine does not run on its owner (state %d, %v)", before.State, err)
	}
	evidence := []string{"before: " + describe(group, resource)}
	const reset = "11"
	r, err := owner.operator.Raw().Invoke(ctx, wsman.Call{
		Namespace: nsHyperV, Class: "Msvm_ComputerSystem", Method: "RequestStateChange", NotAfter: time.Now().Add(5 * time.Second),
		Keys:      []wsman.Selector{{Name: "CreationClassName", Value: "Msvm_ComputerSystem"}, {Name: "Name", Value: before.ID}},
		Arguments: []wsman.Argument{{Name: "RequestedState", Value: reset}},
	})
	if err != nil {
		return cannot(err)
	}
	// 0 done, 4096 a job does it (learn.microsoft.com, RequestStateChange).
	evidence = append(evidence, fmt.Sprintf("ReturnValue=%d", r.ReturnValue))
	if r.ReturnValue != 0 && r.ReturnValue != 4096 {
		return fails(evidence, "the host refuses to reset it")
	}
	last := ""
	restarted := false
	for {
		now, g2, r2, err := s.owner(ctx, g)
		if err == nil {
			if line := "then: " + describe(g2, r2); line != last {
				evidence, last = append(evidence, line), line
			}
			switch {
			case g2.Owner != group.Owner:
				return fails(evidence, "the group moved")
			case g2.State != cluster.GroupOnline || r2.State != cluster.ResourceOnline:
				return fails(evidence, "the cluster took the reset for a failure")
			case !g2.PersistentState:
				return fails(evidence, "PersistentState changed")
			}
			vm, err := now.host.VirtualMachine(ctx, resource.VMID)
			restarted = restarted || err == nil && vm.Heartbeat != cluster.HeartbeatOK || err == nil && vm.Uptime < before.Uptime
			if restarted && err == nil && vm.Heartbeat == cluster.HeartbeatOK {
				return holds(evidence, "the guest restarted, and the group stayed online on its owner")
			}
		}
		if !pause(ctx) {
			return fails(evidence, "no restart of the guest was seen in time")
		}
	}
}

func pause(ctx context.Context) bool {
	timer := time.NewTimer(look)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// The most that the second assertion does: a cluster whose threshold is larger is left alone.
const (
	mostMoves    = 4
	mostRestarts = 3
)

// movesAndThreshold uses up the group's failovers by moves of an administrator, and then lets its resource fail until the
// cluster has to fail over: it does where moves do not count, and gives the group up where they do.
func movesAndThreshold(ctx context.Context, s *Site, g *guest) Finding {
	owner, group, resource, refusal := s.ready(ctx, g)
	if refusal != nil {
		return *refusal
	}
	v, err := owner.host.View(ctx)
	if err != nil {
		return cannot(err)
	}
	other := ""
	for _, n := range v.Nodes {
		if n.Name != owner.name && n.State == cluster.NodeUp && n.Status == 0 {
			other = n.Name
		}
	}
	threshold := group.FailoverThreshold
	if threshold == 0xFFFFFFFF {
		threshold = uint32(len(v.Nodes) - 1) //nolint:gosec // a cluster has 64 nodes at most
	}
	objects, evidence, err := rows(ctx, owner.host.Raw(), nsCluster, "SELECT RestartAction, RestartThreshold, RestartPeriod FROM MSCluster_Resource WHERE Name = "+wsman.Quote(resource.Name),
		"RestartAction", "RestartThreshold", "RestartPeriod")
	if err != nil || len(objects) != 1 {
		return unseen("not begun: the resource's restarts are not known (%d rows, %v)", len(objects), err)
	}
	restarts, _, err := objects[0].Uint32("RestartThreshold")
	evidence = append(evidence, fmt.Sprintf("FailoverThreshold=%d counted as %d, FailoverPeriod=%s", group.FailoverThreshold, threshold, group.FailoverPeriod))
	switch {
	case err != nil:
		return fails(evidence, "%v", err)
	case other == "":
		return unseen("not begun: there is no second node that is up")
	case threshold == 0 || threshold > mostMoves || restarts > mostRestarts:
		return Finding{Unseen, fmt.Sprintf("not begun: %d moves and %d failures would be needed, and %d and %d are the limit", threshold, restarts+1, mostMoves, mostRestarts+1), evidence}
	}
	there := owner.name
	for i := range threshold {
		to := other
		if there == other {
			to = owner.name
		}
		if err := s.move(ctx, g, group.Name, to); err != nil {
			return fails(append(evidence, s.leaveOnline(ctx, g, group.Name)), "move %d did not come to its end: %v", i+1, err)
		}
		there = to
		evidence = append(evidence, fmt.Sprintf("move %d of %d arrived", i+1, threshold))
	}
	for i := range restarts + 1 {
		after, err := s.failResource(ctx, g, resource.Name)
		if err != nil {
			return fails(append(evidence, s.leaveOnline(ctx, g, group.Name)), "failure %d could not be seen through: %v", i+1, err)
		}
		evidence = append(evidence, fmt.Sprintf("after failure %d: group State=%d owner changed=%t", i+1, after.State, after.Owner != there))
		switch {
		case after.State == cluster.GroupFailed:
			return fails(append(evidence, s.leaveOnline(ctx, g, group.Name)), "the cluster gave the group up: moves count")
		case after.Owner != there:
			return holds(evidence, "the cluster failed the group over: moves do not count")
		}
	}
	return Finding{Unseen, "the cluster restarted the resource where it was, each time", evidence}
}

// move live-migrates the group and waits until it is online there.
func (s *Site) move(ctx context.Context, g *guest, group, to string) error {
	owner, _, _, err := s.owner(ctx, g)
	if err != nil {
		return err
	}
	o, err := owner.operator.MoveGroup(ctx, group, to, cluster.VMLiveMigration, time.Now().Add(5*time.Second))
	if err != nil {
		return err
	}
	if code := cluster.GroupCode(o.Code); !code.Accepted() {
		return fmt.Errorf("the cluster refuses the move: %d", code)
	}
	for {
		if _, now, _, err := s.owner(ctx, g); err == nil && now.Owner == to && now.State == cluster.GroupOnline {
			return nil
		}
		if !pause(ctx) {
			return errors.New("the time was over")
		}
	}
}

// failResource lets the machine's resource fail once and waits until the group is at rest: online or given up.
func (s *Site) failResource(ctx context.Context, g *guest, resource string) (cluster.Group, error) {
	owner, _, _, err := s.owner(ctx, g)
	if err != nil {
		return cluster.Group{}, err
	}
	if _, err := owner.operator.Raw().Invoke(ctx, wsman.Call{
		Namespace: nsCluster, Class: "MSCluster_Resource", Keys: []wsman.Selector{{Name: "Name", Value: resource}}, Method: "FailResource",
		NotAfter: time.Now().Add(5 * time.Second),
	}); err != nil {
		return cluster.Group{}, err
	}
	for rested := 0; ; {
		_, now, r, err := s.owner(ctx, g)
		settled := err == nil && (now.State == cluster.GroupFailed || now.State == cluster.GroupOnline && r.State == cluster.ResourceOnline)
		if rested++; !settled {
			rested = 0
		}
		if rested >= 3 { // three looks: right after the call it may still look as before
			return now, nil
		}
		if !pause(ctx) {
			return now, errors.New("the group did not come to rest in time")
		}
	}
}

// leaveOnline brings the group online again, and says what came of it.
func (s *Site) leaveOnline(ctx context.Context, g *guest, group string) string {
	owner, now, _, err := s.owner(ctx, g)
	if err != nil || now.State == cluster.GroupOnline {
		return fmt.Sprintf("left as it is: State=%d, %v", now.State, err)
	}
	o, err := owner.operator.BringGroupOnline(ctx, group, time.Now().Add(5*time.Second))
	return fmt.Sprintf("brought online again: code %d, %v", o.Code, err)
}
