package hyperv

import (
	"sync"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// cpu tells how busy the host is, as its performance counters are shown on Windows: the increase of a running total
// divided by that of its base, between the exporter's own last two readings. Windows' formatted classes
// (Win32_PerfFormattedData) do the same between the last two questions of anybody, which may be too close together.
type cpu struct {
	guest, hypervisor, idle, all probe.Desc

	mu   sync.Mutex
	last cluster.ProcessorTime // zero until the first reading
}

func newCPU(d probe.Descs) *cpu {
	const since = " between the exporter's last two readings. Absent at the first one, and after the host was started."
	return &cpu{
		guest:      d.New("hyperv_host_cpu_guest_ratio", "Share of the time of the host's logical processors that guests and the management partition used,"+since),
		hypervisor: d.New("hyperv_host_cpu_hypervisor_ratio", "Share of the time of the host's logical processors that the hypervisor used for itself,"+since),
		idle:       d.New("hyperv_host_cpu_idle_ratio", "Share of the time of the host's logical processors in which they had nothing to do,"+since),
		all:        d.New("hyperv_host_cpu_run_ratio", "Share of the time of the host's logical processors that guests, the management partition and the hypervisor used,"+since),
	}
}

// read takes a reading in, and tells the shares since the one before it.
func (c *cpu) read(s *probe.Set, now cluster.ProcessorTime) {
	c.mu.Lock()
	last := c.last
	c.last = now
	c.mu.Unlock()
	for _, m := range []struct {
		desc                       probe.Desc
		from, fromBase, to, toBase uint64
	}{
		{c.guest, last.Guest, last.GuestBase, now.Guest, now.GuestBase},
		{c.hypervisor, last.Hypervisor, last.HypervisorBase, now.Hypervisor, now.HypervisorBase},
		{c.idle, last.Idle, last.IdleBase, now.Idle, now.IdleBase},
		{c.all, last.Total, last.TotalBase, now.Total, now.TotalBase},
	} {
		if v, ok := share(m.from, m.fromBase, m.to, m.toBase); ok {
			s.Gauge(m.desc, v)
		}
	}
}

// share is what a total has grown by, of what its base has. There is none of a first reading, of one that comes before
// the base has grown, and of totals that have begun anew. The two are not read at the same instant: a little more than all is all.
func share(from, fromBase, to, toBase uint64) (float64, bool) {
	if fromBase == 0 || toBase <= fromBase || to < from {
		return 0, false
	}
	return min(1, float64(to-from)/float64(toBase-fromBase)), true
}
