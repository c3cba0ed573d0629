package guard

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// TestLeastIsWhatTheClusterIsLeft: what is reckoned beforehand is what G12 then waits for, to the moment.
func TestLeastIsWhatTheClusterIsLeft(t *testing.T) {
	t.Parallel()
	opened := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	info := cluster.Info{SameSubnetDelay: time.Second, SameSubnetThreshold: 100, ResiliencyDefaultPeriod: 240 * time.Second}
	for _, fault := range []evidence.Fault{evidence.Guest, evidence.Network, evidence.Host} {
		least, _, ok := Least(fault, config.DefaultPolicy(), info)
		if !ok {
			t.Fatalf("%s: no command at all", fault)
		}
		in := Input{Opened: opened, StartsAt: opened, Info: info, Group: "g", Subject: evidence.Subject{Fault: fault}, Rounds: []evidence.Round{{
			Views: map[string]evidence.Reading[cluster.View]{"HV1": {At: opened, Value: cluster.View{By: "HV1", Groups: []cluster.Group{{Name: "g", State: cluster.GroupFailed, PersistentState: true}}}}},
		}}}
		in.Now = opened.Add(least - time.Millisecond)
		if v := clusterFirst(in); v.Outcome != Hold || !v.Until.Equal(opened.Add(least)) {
			t.Errorf("%s: a moment before %s: %+v", fault, least, v)
		}
		in.Now = opened.Add(least)
		if v := clusterFirst(in); v.Outcome != Pass {
			t.Errorf("%s: after %s: %+v", fault, least, v)
		}
	}
}

func TestLeastFollowsThePolicy(t *testing.T) {
	t.Parallel()
	p := config.DefaultPolicy()
	for timeout, want := range map[time.Duration]time.Duration{5 * time.Second: minHang, 45 * time.Second: 45 * time.Second} {
		p.HealthCheckTimeout = timeout
		if least, _, ok := Least(evidence.Hang, p, cluster.Info{}); !ok || least != want {
			t.Errorf("health_check_timeout %s: %s, %v; want %s", timeout, least, ok, want)
		}
	}
	if _, why, ok := Least(evidence.Internal, p, cluster.Info{}); ok || why == "" {
		t.Errorf("an internal error without a level is given a time (%q)", why)
	}
	p.InternalLevel = 3
	if least, _, ok := Least(evidence.Internal, p, cluster.Info{}); !ok || least != proofOfLifeSpan {
		t.Errorf("an internal error with a level: %s, %v; want %s", least, ok, proofOfLifeSpan)
	}
	for mode, want := range map[uint32]time.Duration{0: resourceSpan, 1: resourceSpan, 2: balancerTime + balancerMargin} {
		if least, _, ok := Least(evidence.Resource, p, cluster.Info{AutoBalancerMode: mode}); !ok || least != want {
			t.Errorf("a starved machine, AutoBalancerMode %d: %s, %v; want %s", mode, least, ok, want)
		}
	}
	if _, why, ok := Least(evidence.Database, p, cluster.Info{}); ok || why == "" {
		t.Errorf("a class that only tells is given a time (%q)", why)
	}
}
