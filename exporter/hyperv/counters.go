package hyperv

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// counterSource tells the host's performance counters.
type counterSource interface {
	MemoryBalance(ctx context.Context) (cluster.MemoryBalance, error)
	ProcessorTime(ctx context.Context) (cluster.ProcessorTime, error)
	LogicalProcessors(ctx context.Context) (uint64, error)
	StorageDevices(ctx context.Context) ([]cluster.StorageDevice, error)
	NetworkAdapters(ctx context.Context) ([]cluster.NetworkAdapter, error)
	clusterCounterSource
}

// counters makes the collectors of performance counters.
type counters struct {
	source    Source
	supported probe.Desc

	available, pressure        probe.Desc
	time, base, logical        probe.Desc
	cpu                        *cpu
	storageErrors, storageWait probe.Desc
	dropped                    probe.Desc

	cluster clusterCounterDescs
}

func newCounters(o Options, d probe.Descs) *counters {
	return &counters{
		source:        o.Source,
		supported:     d.New("hyperv_counters_supported", "1 means that the host has the class of performance counters; 0 that it has not, although its namespace answers: its provider is not loaded.", "class"),
		available:     d.New("hyperv_host_available_memory_bytes", "Memory that the host can still give to virtual machines with dynamic memory."),
		pressure:      d.New("hyperv_host_memory_pressure_ratio", "What the host's virtual machines with dynamic memory want, of what they have; more than 1 is a host that cannot give it."),
		time:          d.New("hyperv_host_processor_time_total", "Running total of what the host's logical processors did, in ticks; divide its increase by that of hyperv_host_processor_time_base_total of the same mode. Only this tells how busy a Hyper-V host is.", "mode"),
		base:          d.New("hyperv_host_processor_time_base_total", "Running total of the ticks in which the host's logical processors could have done it.", "mode"),
		logical:       d.New("hyperv_host_logical_processors", "Logical processors that the host's hypervisor has; the management partition may see fewer."),
		cpu:           newCPU(d),
		storageErrors: d.New("hyperv_vm_storage_errors_total", "Errors of the virtual disk since it was opened; device is made of its file's path.", "device"),
		storageWait:   d.New("hyperv_vm_storage_queue_length", "Requests that wait for the virtual disk.", "device"),
		dropped:       d.New("hyperv_vm_nic_dropped_total", "Packets that the virtual network adapter dropped.", "adapter", "direction"),
		cluster:       newClusterCounterDescs(d),
	}
}

// collector reads one class. Windows answers "invalid class" where the provider of a class is not loaded, and also where
// WMI is broken: it counts as unsupported, which is no failure, only after the namespace has answered a question.
func collector[T any](c *counters, name, class string, read func(Source, context.Context) (T, error), metrics func(*probe.Set, T)) probe.Collector {
	return probe.Collector{Name: name, Collect: func(ctx context.Context, l log.Logger) probe.Result {
		var s probe.Set
		v, err := read(c.source, ctx)
		if cluster.Unsupported(err) {
			if err := c.source.Namespace(ctx, cluster.NamespaceWindows); err != nil {
				return probe.Result{Err: fmt.Errorf("read the host's counters %s: %w", class, err)}
			}
			level.Debug(l).Log("msg", "the host has no such counters", "class", class)
			s.Bool(c.supported, false, class)
			return probe.Result{Metrics: s}
		}
		if errors.Is(err, cluster.ErrNotFound) {
			s.Bool(c.supported, true, class) // and nothing to count
			return probe.Result{Metrics: s}
		}
		if err != nil {
			return probe.Result{Err: fmt.Errorf("read the host's counters %s: %w", class, err)}
		}
		s.Bool(c.supported, true, class)
		metrics(&s, v)
		return probe.Result{Metrics: s}
	}}
}

func (c *counters) memory() probe.Collector {
	return collector(c, "memory", cluster.ClassDynamicMemory, Source.MemoryBalance, func(s *probe.Set, b cluster.MemoryBalance) {
		s.Gauge(c.available, float64(b.Available))
		s.Gauge(c.pressure, float64(b.Pressure)/100)
	})
}

func (c *counters) processors() probe.Collector {
	count := collector(c, "processors", cluster.ClassHypervisor, Source.LogicalProcessors, func(s *probe.Set, n uint64) {
		s.Gauge(c.logical, float64(n))
	})
	times := collector(c, "processors", cluster.ClassProcessors, Source.ProcessorTime, func(s *probe.Set, t cluster.ProcessorTime) {
		for _, m := range []struct {
			mode       string
			time, base uint64
		}{
			{"guest", t.Guest, t.GuestBase}, {"hypervisor", t.Hypervisor, t.HypervisorBase}, {"idle", t.Idle, t.IdleBase}, {"all", t.Total, t.TotalBase},
		} {
			s.Counter(c.time, float64(m.time), m.mode)
			s.Counter(c.base, float64(m.base), m.mode)
		}
		c.cpu.read(s, t)
	})
	// One after the other: the counters' provider answers in turn anyway. What the first has told stands.
	return probe.Collector{Name: times.Name, Collect: func(ctx context.Context, l log.Logger) probe.Result {
		r := times.Collect(ctx, l)
		if r.Err != nil {
			return r
		}
		also := count.Collect(ctx, l)
		return probe.Result{Metrics: append(r.Metrics, also.Metrics...), Err: also.Err}
	}}
}

func (c *counters) storage() probe.Collector {
	return collector(c, "storage", cluster.ClassStorage, Source.StorageDevices, func(s *probe.Set, devices []cluster.StorageDevice) {
		for _, d := range devices {
			s.Counter(c.storageErrors, float64(d.Errors), d.Name)
			s.Gauge(c.storageWait, float64(d.Queue), d.Name)
		}
	})
}

func (c *counters) adapters() probe.Collector {
	return collector(c, "adapters", cluster.ClassAdapters, Source.NetworkAdapters, func(s *probe.Set, adapters []cluster.NetworkAdapter) {
		for _, a := range adapters {
			s.Counter(c.dropped, float64(a.DroppedIncoming), a.Name, "incoming")
			s.Counter(c.dropped, float64(a.DroppedOutgoing), a.Name, "outgoing")
		}
	})
}
