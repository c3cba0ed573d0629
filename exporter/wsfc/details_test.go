package wsfc

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/probe/probetest"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
)

// detailed is a node that has something to say about everything.
func detailed() *fake {
	return &fake{
		networking: networking{
			networks: []cluster.Network{
				{Name: "Management", Role: cluster.NetworkRoleBoth, State: cluster.NetworkUp},
				{Name: "Storage", Role: cluster.NetworkRoleNone, State: cluster.NetworkPartitioned},
				{Name: "New", Role: 9, State: 9},
			},
			interfaces: []cluster.NetworkInterface{
				{Name: "hv1 - Management", Node: "hv1", Network: "Management", State: cluster.InterfaceUp},
				{Name: "HV2 - Storage", Node: "HV2", Network: "Storage", State: cluster.InterfaceUnreachable},
				{Name: "HV3 - Storage", Node: "HV3", Network: "Storage", State: cluster.InterfaceUnknown},
			},
		},
		volumes: []cluster.SharedVolume{
			{Name: `C:\ClusterStorage\Volume1`, VolumeName: `\\?\Volume{6F0D3A2E-0000-4000-8000-000000000001}\`}, {Name: `C:\ClusterStorage\Volume2`, Fault: cluster.VolumeFaultRedirected}, {Name: `C:\ClusterStorage\Volume3`, Fault: 3},
		},
		partitions: []cluster.Partition{
			{Path: "P1", VolumeGUID: "6f0d3a2e-0000-4000-8000-000000000001", Size: 2 << 40, Free: 1 << 40}, {Path: "Q:", Size: 1 << 30}, {Path: "R:"}, {Size: 1},
		},
		witness: &cluster.Resource{Name: "Cloud Witness", Type: "Cloud Witness", State: cluster.ResourceFailed},
		ownership: ownership{
			possible: map[string][]string{
				"Virtual Machine SQL01": {"HV1", "hv2", "HV3"}, "Virtual Machine SQL02": {"hv1", "HV3"}, "Virtual Machine other": {"HV1"},
			},
			preferred: map[string][]string{"sql02": {"HV3", "hv1"}, "other": {"HV1"}},
			machines: []cluster.Resource{
				{Name: "Virtual Machine SQL01", Group: "SCVMM SQL01 Resources"}, {Name: "Virtual Machine SQL02", Group: "sql02"}, {Name: "Virtual Machine other", Group: "other"},
			},
		},
	}
}

func TestGoldenDetails(t *testing.T) {
	t.Parallel()
	alone := detailed()
	alone.witness = nil
	blind := detailed()
	blind.partitionsErr = &probe.Error{Why: dial.Permission, Err: errors.New("denied")}
	if r := run(t, prober(blind, well("HV2"), well("HV3")), "volumes", time.Second); probe.Reason(r.Err) != dial.Permission || len(r.Metrics) != 18 {
		t.Errorf("partitions that cannot be read: %v, %d metrics, want the faults' 18", r.Err, len(r.Metrics))
	}
	for name, tc := range map[string]struct {
		collector string
		node      *fake
	}{
		"networks":     {"networks", detailed()},
		"volumes":      {"volumes", detailed()},
		"witness":      {"witness", detailed()},
		"witness_none": {"witness", alone},
		"owners":       {"owners", detailed()},
	} {
		r := run(t, prober(tc.node, well("HV2"), well("HV3")), tc.collector, time.Second)
		if r.Err != nil {
			t.Errorf("%s: %v", name, r.Err)
		}
		probetest.Golden(t, name, r.Metrics)
	}
}

// TestDetailsOfNobody: where no node answers there is no series, and the reason is that of the node asked first.
func TestDetailsOfNobody(t *testing.T) {
	t.Parallel()
	for _, collector := range []string{"networks", "volumes", "witness", "owners"} {
		bad := func() *fake { return &fake{err: &probe.Error{Why: dial.Permission, Err: errors.New("denied")}} }
		r := run(t, prober(bad(), bad(), bad()), collector, time.Second)
		if got := probe.Reason(r.Err); got != dial.Permission {
			t.Errorf("%s: reason = %q, want %q", collector, got, dial.Permission)
		}
		if len(r.Metrics) != 0 {
			t.Errorf("%s: %d series of what nobody told", collector, len(r.Metrics))
		}
	}
}

// TestDetailsHedge: a silent node costs a quarter of the time, no more.
func TestDetailsHedge(t *testing.T) {
	t.Parallel()
	for _, collector := range []string{"networks", "volumes", "witness", "owners"} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			r := run(t, prober(&fake{silent: true}, detailed(), detailed()), collector, 4*time.Second)
			if r.Err != nil || len(r.Metrics) == 0 {
				t.Errorf("%s: %d series, %v", collector, len(r.Metrics), r.Err)
			}
			// run waits for the silent node too, until the deadline is cancelled: that is at once.
			if took := time.Since(start); took != time.Second {
				t.Errorf("%s: took %s, want a quarter of the time", collector, took)
			}
		})
	}
}

// TestLargestOwnersStayBounded has 64 nodes, 8,000 virtual machines, and 1,000 of ours that four nodes may not own.
func TestLargestOwnersStayBounded(t *testing.T) {
	t.Parallel()
	cl := &config.Cluster{Name: "large"}
	o := ownership{possible: map[string][]string{}, preferred: map[string][]string{}}
	var nodes []string
	for i := range 64 {
		name := fmt.Sprintf("N%d", i)
		nodes = append(nodes, name)
		cl.Nodes = append(cl.Nodes, &config.Node{Name: name})
	}
	for i := range 8000 {
		name := fmt.Sprintf("VM%d", i)
		if i < 1000 {
			cl.VirtualMachines = append(cl.VirtualMachines, &config.VirtualMachine{Name: name})
		}
		o.machines = append(o.machines, cluster.Resource{Name: name, Group: name})
		o.possible[name], o.preferred[name] = nodes[4:], nodes[4:8]
	}
	node := &fake{ownership: o}
	sources := make(map[string]Source, len(nodes))
	for _, n := range nodes {
		sources[n] = node
	}
	r := run(t, New(Options{Cluster: cl, Sources: sources}), "owners", time.Second)
	if r.Err != nil || len(r.Metrics) == 0 || len(r.Metrics) > 80_000 {
		t.Errorf("%d series, %v, want at most 80,000", len(r.Metrics), r.Err)
	}
	asked := node.ownersAsked.Load()
	if asked == nil || len(*asked) != 1000 || (*asked)[999] != "VM999" {
		t.Errorf("asked for the owners of %v, want those of our 1,000 virtual machines and no other", asked)
	}
}

// TestOwnersOfASmallClusterAreOneQuestion: where there are few rows, all of them are read at once.
func TestOwnersOfASmallClusterAreOneQuestion(t *testing.T) {
	t.Parallel()
	node := detailed()
	if r := run(t, prober(node, well("HV2"), well("HV3")), "owners", time.Second); r.Err != nil || node.ownersAsked.Load() != nil {
		t.Errorf("%v, asked for %v, want one question for all", r.Err, node.ownersAsked.Load())
	}
}

func TestEveryDetailHasALabel(t *testing.T) {
	t.Parallel()
	for code := int32(-2); code < 8; code++ {
		for _, of := range []struct {
			state string
			set   []string
		}{
			{networkState(cluster.NetworkState(code)), networkStates},
			{networkRole(cluster.NetworkRole(code)), networkRoles},
			{interfaceState(cluster.InterfaceState(code)), interfaceStates},
			{volumeFault(cluster.VolumeFault(code)), volumeFaults},
		} {
			if !slices.Contains(of.set, of.state) {
				t.Errorf("code %d is %q, which is not in %v", code, of.state, of.set)
			}
		}
	}
}
