package hyperv

import (
	"math"
	"testing"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/probe/probetest"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// TestCPUIsToldBetweenTwoReadings: the first reading tells nothing, the next one the shares, and a host that was started
// in between nothing again.
func TestCPUIsToldBetweenTwoReadings(t *testing.T) {
	t.Parallel()
	c := newCPU(probe.NewDescs(nil, Labels("hv-cl1", "HV1")))
	read := func(now cluster.ProcessorTime) probe.Set {
		var s probe.Set
		c.read(&s, now)
		return s
	}
	first := cluster.ProcessorTime{Guest: 1000, GuestBase: 10000, Hypervisor: 100, HypervisorBase: 10000, Idle: 8900, IdleBase: 10000, Total: 1100, TotalBase: 10000}
	if s := read(first); len(s) != 0 {
		t.Errorf("the first reading told %d shares", len(s))
	}
	probetest.Golden(t, "cpu", read(cluster.ProcessorTime{
		Guest: 1500, GuestBase: 11000, Hypervisor: 150, HypervisorBase: 11000, Idle: 9350, IdleBase: 11000, Total: 1650, TotalBase: 11000,
	}))
	started := cluster.ProcessorTime{Guest: 1, GuestBase: 10, Hypervisor: 1, HypervisorBase: 10, Idle: 8, IdleBase: 10, Total: 2, TotalBase: 10}
	if s := read(started); len(s) != 0 {
		t.Errorf("a host that was started told %d shares", len(s))
	}
	if s := read(started); len(s) != 0 {
		t.Errorf("two readings of the same instant told %d shares", len(s))
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name                       string
		from, fromBase, to, toBase uint64
		want                       float64
		ok                         bool
	}{
		{"half", 10, 100, 60, 200, 0.5, true},
		{"nothing", 10, 100, 10, 200, 0, true},
		{"a little more than all is all", 10, 100, 111, 200, 1, true},
		{"no reading before", 0, 0, 60, 200, 0, false},
		{"a base that stands still", 10, 100, 60, 100, 0, false},
		{"a total that began anew", 10, 100, 5, 200, 0, false},
		{"a base that began anew", 10, 100, 60, 50, 0, false},
	} {
		got, ok := share(tc.from, tc.fromBase, tc.to, tc.toBase)
		if ok != tc.ok || math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("%s: share = %v %t, want %v %t", tc.name, got, ok, tc.want, tc.ok)
		}
	}
}
