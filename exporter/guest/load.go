package guest

import (
	"context"
	"fmt"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// loadCollector reads the guest's own counters of its processors. What the guest calls busy is the time that it wanted;
// whether the host gave it shows in hyperv_vm_cpu_ratio and the host's own counters.
func loadCollector(o Options, d probe.Descs) probe.Collector {
	supported := d.New("hyperv_guest_counters_supported", "1 means that the guest has the classes of performance counters; 0 that it has not, although it answers other questions.")
	processors := d.New("hyperv_guest_logical_processors", "How many logical processors the guest has.")
	idle := d.New("hyperv_guest_cpu_idle_seconds_total", "Time that the guest's logical processors had nothing to do, all added up.")
	queue := d.New("hyperv_guest_processor_queue_length", "Threads of the guest that wait for a processor now.")
	return probe.Collector{Name: "load", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		var s probe.Set
		v, err := o.Source.Load(ctx)
		if cluster.Unsupported(err) {
			// Windows says so also where WMI is broken: it counts only after another class has answered.
			if _, err := o.Source.OperatingSystem(ctx); err != nil {
				return probe.Result{Err: fmt.Errorf("read the guest's counters: %w", err)}
			}
			level.Debug(l).Log("msg", "the guest has no such counters")
			s.Bool(supported, false)
			return probe.Result{Metrics: s}
		}
		if err != nil {
			return probe.Result{Err: fmt.Errorf("read the guest's counters: %w", err)}
		}
		s.Bool(supported, true)
		s.Gauge(processors, float64(v.Processors))
		s.Counter(idle, float64(v.Idle)/1e7) // units of 100 ns
		s.Gauge(queue, float64(v.Queue))
		return probe.Result{Metrics: s}
	}}
}
