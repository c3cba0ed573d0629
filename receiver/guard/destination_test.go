package guard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

const gib = 1 << 30

func volumes(fault cluster.VolumeFault) []cluster.SharedVolume {
	return []cluster.SharedVolume{{Name: `C:\ClusterStorage\Volume1`, Fault: fault}}
}

// placement: HV1 owns a machine of 8 GiB; HV2 and HV3 could take it, HV3 with more room.
func placement() evidence.Placement {
	return evidence.Placement{
		Placement: cluster.Placement{
			By: "HV2", Group: grp, FunctionalLevel: 10,
			Nodes:          []cluster.PlacementNode{{Name: "HV1", Version: 10}, {Name: "HV2", Version: 10}, {Name: "HV3", Version: 10}},
			PossibleOwners: []string{"HV1", "HV2", "HV3"},
		},
		Memory: known(uint64(8 * gib)),
		Hosts: map[string]evidence.Reading[evidence.Capacity]{
			"HV1": known(evidence.Capacity{MemoryFree: 90 * gib, Volumes: volumes(0), Uplinks: []cluster.Uplink{uplink(cluster.MediaDisconnected, true)}}),
			"HV2": known(evidence.Capacity{MemoryFree: 40 * gib, Volumes: volumes(0), Uplinks: []cluster.Uplink{uplink(cluster.MediaConnected, true)}}),
			"HV3": known(evidence.Capacity{MemoryFree: 50 * gib, Volumes: volumes(0), Uplinks: []cluster.Uplink{uplink(cluster.MediaConnected, true)}}),
		},
	}
}

// moving is an input for a live migration away from HV1.
func moving(change func(*guard.Input, *evidence.Placement)) guard.Input {
	in := passing()
	in.Rung, in.Subject.Fault, in.Subject.Instance = remedy.LiveMigrate, evidence.Network, evidence.NoInstance
	p := placement()
	if change != nil {
		change(&in, &p)
	}
	in.Rounds[len(in.Rounds)-1].Placement = known(p)
	return in
}

func host(p *evidence.Placement, node string, change func(*evidence.Capacity)) {
	h := p.Hosts[node]
	change(&h.Value)
	p.Hosts[node] = h
}

// TestDestination is the matrix: what keeps a node from being taken, and who is then.
func TestDestination(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*guard.Input, *evidence.Placement)
		node   string
		why    map[string]string // the reasons of the nodes
	}{
		"the one with most room": {nil, "HV3", map[string]string{"HV1": "owner", "HV2": "eligible", "HV3": "taken"}},
		"the preferred one first": {
			func(_ *guard.Input, p *evidence.Placement) { p.PreferredOwners = []string{"HV1", "HV2"} },
			"HV2",
			map[string]string{"HV2": "taken", "HV3": "eligible"},
		},
		"a preferred one that cannot": {
			func(_ *guard.Input, p *evidence.Placement) {
				p.PreferredOwners = []string{"HV2"}
				p.Nodes[1].State = cluster.NodePaused
			}, "HV3", map[string]string{"HV2": "not_up"},
		},
		"a node that is down":        {func(_ *guard.Input, p *evidence.Placement) { p.Nodes[2].State = cluster.NodeDown }, "HV2", map[string]string{"HV3": "not_up"}},
		"a node that joins":          {func(_ *guard.Input, p *evidence.Placement) { p.Nodes[2].State = cluster.NodeJoining }, "HV2", map[string]string{"HV3": "not_up"}},
		"a node of unknown state":    {func(_ *guard.Input, p *evidence.Placement) { p.Nodes[2].State = cluster.NodeUnknown }, "HV2", map[string]string{"HV3": "not_up"}},
		"a quarantined node":         {func(_ *guard.Input, p *evidence.Placement) { p.Nodes[2].Status = cluster.NodeQuarantined }, "HV2", map[string]string{"HV3": "not_normal"}},
		"a node to be avoided":       {func(_ *guard.Input, p *evidence.Placement) { p.Nodes[2].Status = cluster.NodeAvoidPlacement }, "HV2", map[string]string{"HV3": "not_normal"}},
		"a node that may not own it": {func(_ *guard.Input, p *evidence.Placement) { p.PossibleOwners = []string{"HV1", "HV2"} }, "HV2", map[string]string{"HV3": "not_possible"}},
		"a node with its opposite": {
			func(_ *guard.Input, p *evidence.Placement) {
				p.AntiAffinity, p.Apart = []string{"sql"}, []cluster.PlacedGroup{{Name: "SQL02", Owner: "HV3"}}
			}, "HV2", map[string]string{"HV3": "anti_affinity"},
		},
		"too little memory": {
			func(_ *guard.Input, p *evidence.Placement) {
				host(p, "HV3", func(c *evidence.Capacity) { c.MemoryFree = 13743895346 }) // a byte less than 8 GiB * 1.1 + 4 GiB
				p.PreferredOwners = []string{"HV3"}
			}, "HV2", map[string]string{"HV3": "memory"},
		},
		"just enough memory": {
			func(_ *guard.Input, p *evidence.Placement) {
				host(p, "HV3", func(c *evidence.Capacity) { c.MemoryFree = 13743895347 })
				p.PreferredOwners = []string{"HV3"}
			}, "HV3", nil,
		},
		"a volume that it does not see": {
			func(_ *guard.Input, p *evidence.Placement) {
				host(p, "HV3", func(c *evidence.Capacity) { c.Volumes = volumes(cluster.VolumeFaultNoAccess) })
			}, "HV2", map[string]string{"HV3": "storage"},
		},
		"a volume that it sees through another node": {
			func(_ *guard.Input, p *evidence.Placement) {
				host(p, "HV3", func(c *evidence.Capacity) { c.Volumes = volumes(cluster.VolumeFaultRedirected) })
			}, "HV2", map[string]string{"HV3": "storage"},
		},
		"an uplink that is down too": {
			func(_ *guard.Input, p *evidence.Placement) {
				host(p, "HV3", func(c *evidence.Capacity) { c.Uplinks = []cluster.Uplink{uplink(cluster.MediaDisconnected, true)} })
			}, "HV2", map[string]string{"HV3": "uplink"},
		},
		"an uplink that is not known": {
			func(_ *guard.Input, p *evidence.Placement) {
				host(p, "HV3", func(c *evidence.Capacity) { c.Uplinks = nil })
			}, "HV2", map[string]string{"HV3": "unreadable"},
		},
		"no volume shown": {func(_ *guard.Input, p *evidence.Placement) {
			host(p, "HV3", func(c *evidence.Capacity) { c.Volumes = nil })
		}, "HV2", map[string]string{"HV3": "unreadable"}},
		"a node that is silent": {
			func(_ *guard.Input, p *evidence.Placement) { p.Hosts["HV3"] = lost[evidence.Capacity](dial.TCPTimeout) },
			"HV2",
			map[string]string{"HV3": "unreadable"},
		},
		"a node that nobody asked": {func(_ *guard.Input, p *evidence.Placement) { delete(p.Hosts, "HV3") }, "HV2", map[string]string{"HV3": "unreadable"}},
		"the node it left within the hour": {
			func(in *guard.Input, _ *evidence.Placement) {
				in.Owners = []guard.Ownership{{Node: "HV3", Since: now.Add(-9 * time.Hour)}, {Node: "HV1", Since: now.Add(-59 * time.Minute)}}
			}, "HV2", map[string]string{"HV3": "failed_here"},
		},
		"the node it left before": {
			func(in *guard.Input, _ *evidence.Placement) {
				in.Owners = []guard.Ownership{{Node: "HV3", Since: now.Add(-9 * time.Hour)}, {Node: "HV1", Since: now.Add(-61 * time.Minute)}}
			}, "HV3", nil,
		},
		"the node that a move did not come to": {
			func(in *guard.Input, _ *evidence.Placement) {
				in.Past = []guard.Past{{VM: in.Subject.VM, Rung: remedy.LiveMigrate, To: "HV3", Started: now.Add(-31 * time.Minute), Ended: now.Add(-30 * time.Minute)}}
			}, "HV2", map[string]string{"HV3": "failed_here"},
		},
		"the node that a move came to": {
			func(in *guard.Input, _ *evidence.Placement) {
				in.Past = []guard.Past{{VM: in.Subject.VM, Rung: remedy.LiveMigrate, To: "HV3", Started: now.Add(-31 * time.Minute), Ended: now.Add(-30 * time.Minute), Verified: true}}
			}, "HV3", nil,
		},
		"another site": {
			func(_ *guard.Input, p *evidence.Placement) {
				for i, s := range []string{"Site:A", "Site:A", "Site:B"} {
					p.Nodes[i].FaultDomain = []string{s, "Rack:"}
				}
			}, "HV2", map[string]string{"HV3": "other_site"},
		},
		"a site on one side only": {
			func(_ *guard.Input, p *evidence.Placement) { p.Nodes[2].FaultDomain = []string{"Site:B"} },
			"HV2",
			map[string]string{"HV3": "other_site"},
		},
		"a fault domain that says nothing of sites": {
			func(_ *guard.Input, p *evidence.Placement) { p.Nodes[2].FaultDomain = []string{"fd:/B"} },
			"HV2",
			map[string]string{"HV3": "unreadable"},
		},
		"memory that is not known": {
			func(_ *guard.Input, p *evidence.Placement) { p.Memory = lost[uint64](dial.QueryTimeout) },
			"",
			map[string]string{"HV2": "unreadable", "HV3": "unreadable"},
		},
		"a machine without memory": {func(_ *guard.Input, p *evidence.Placement) { p.Memory = known(uint64(0)) }, "", map[string]string{"HV2": "unreadable"}},
		"an owner that the cluster does not list": {
			func(_ *guard.Input, p *evidence.Placement) { p.Nodes = p.Nodes[1:] },
			"",
			map[string]string{"HV2": "unreadable", "HV3": "unreadable"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := moving(tt.change)
			node, list, ok := guard.Destination(in)
			if node != tt.node || !ok {
				t.Errorf("Destination = %q, %v, %v; want %q", node, list, ok, tt.node)
			}
			why := map[string]string{}
			for _, c := range list {
				if c.Detail == "" || c.Taken != (c.Node == node) {
					t.Errorf("candidate %+v has no detail, or is not the one that was taken", c)
				}
				if _, asked := tt.why[c.Node]; asked {
					why[c.Node] = c.Reason
				}
			}
			if diff := cmp.Diff(tt.why, why); tt.why != nil && diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}

// TestG20 is the guard's verdict: refuse where no node will do, hold where that is not known, and every node named.
func TestG20(t *testing.T) {
	t.Parallel()
	verdict := func(in guard.Input) guard.Verdict {
		for _, v := range guard.Evaluate(in) {
			if v.Guard == "G20" {
				return v
			}
		}
		t.Fatal("there is no G20")
		return guard.Verdict{}
	}
	tests := map[string]struct {
		in      guard.Input
		outcome guard.Outcome
		reason  string
	}{
		"a service restart goes nowhere": {passing(), guard.Pass, ""},
		"a node to go to":                {moving(nil), guard.Pass, ""},
		"none":                           {moving(func(_ *guard.Input, p *evidence.Placement) { p.PossibleOwners = []string{"HV1"} }), guard.Refuse, "no_target"},
		"none that is known": {
			moving(func(_ *guard.Input, p *evidence.Placement) { p.Memory = lost[uint64](dial.QueryTimeout) }), guard.Hold, "no_target",
		},
		"nothing read": {func() guard.Input {
			in := moving(nil)
			in.Rounds[1].Placement = evidence.Reading[evidence.Placement]{}
			return in
		}(), guard.Hold, "unreadable"},
		"an unreadable placement": {func() guard.Input {
			in := moving(nil)
			in.Rounds[1].Placement = lost[evidence.Placement](dial.Permission)
			return in
		}(), guard.Hold, "unreadable"},
		"no node that shows the owner": {func() guard.Input {
			in := moving(nil)
			in.Rounds[1].Views = nil
			return in
		}(), guard.Hold, "unreadable"},
		"no round": {func() guard.Input {
			in := moving(nil)
			in.Rounds = nil
			return in
		}(), guard.Hold, "unreadable"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := verdict(tt.in)
			if v.Outcome != tt.outcome || v.Reason != tt.reason {
				t.Errorf("G20 = %s %q: %s; want %s %q", v.Outcome, v.Reason, v.Detail, tt.outcome, tt.reason)
			}
			if tt.reason != "no_target" {
				return
			}
			for _, node := range []string{"HV1", "HV2", "HV3"} {
				if !strings.Contains(v.Detail, node+": ") {
					t.Errorf("the detail does not tell about %s: %s", node, v.Detail)
				}
			}
		})
	}
}

// TestG19ForAMove: a cluster that somebody works on, or that is of two versions, is not moved about in.
func TestG19ForAMove(t *testing.T) {
	t.Parallel()
	node := func(change func(*cluster.Node)) func(*guard.Input) {
		return each(func(r *evidence.Round) {
			views := map[string]evidence.Reading[cluster.View]{}
			for by, v := range r.Views {
				v.Value.Nodes = append([]cluster.Node(nil), v.Value.Nodes...)
				change(&v.Value.Nodes[2])
				views[by] = v
			}
			r.Views = views
		})
	}
	tests := map[string]struct {
		change  func(*guard.Input)
		outcome guard.Outcome
		reason  string
	}{
		"a whole cluster":         {func(*guard.Input) {}, guard.Pass, ""},
		"a node joins":            {node(func(n *cluster.Node) { n.State = cluster.NodeJoining }), guard.Hold, "joining"},
		"a node is paused":        {node(func(n *cluster.Node) { n.State = cluster.NodePaused }), guard.Hold, "update_run"},
		"a node is drained":       {node(func(n *cluster.Node) { n.Status = cluster.NodeDrainInProgress }), guard.Hold, "update_run"},
		"a group that is offline": {groups(func(g *cluster.Group) { g.State = cluster.GroupOffline }), guard.Hold, "group_state"},
		"an upgrade": {latest(func(r *evidence.Round) {
			p := placement()
			p.Nodes[2].Version = 11
			r.Placement = known(p)
		}), guard.Hold, "mixed_level"},
		"an upgrade that was not finished": {latest(func(r *evidence.Round) {
			p := placement()
			p.FunctionalLevel = 9
			r.Placement = known(p)
		}), guard.Hold, "mixed_level"},
		"levels that were not read": {latest(func(r *evidence.Round) { r.Placement = lost[evidence.Placement](dial.QueryTimeout) }), guard.Hold, "unreadable"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := moving(nil)
			tt.change(&in)
			for _, v := range guard.Evaluate(in) {
				if v.Guard == "G19" && (v.Outcome != tt.outcome || v.Reason != tt.reason) {
					t.Errorf("G19 = %s %q: %s; want %s %q", v.Outcome, v.Reason, v.Detail, tt.outcome, tt.reason)
				}
			}
		})
	}
}
