package hyperv

import (
	"context"
	"fmt"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

type hostDescs struct{ up, info, boot, memoryTotal, memoryFree probe.Desc }

// hostCollector reads the host's operating system.
func hostCollector(o Options, d probe.Descs) probe.Collector {
	descs := hostDescs{
		up:          d.New("hyperv_up", "1 means that the host answered a question about its operating system; absent where nothing could be learnt about the host."),
		info:        d.New("hyperv_host_info", "1 always; the labels say which version and build of Windows the host runs and which name it has.", "version", "build", "computer_name"),
		boot:        d.New("hyperv_host_boot_time_seconds", "When the host was started, in seconds since 1970."),
		memoryTotal: d.New("hyperv_host_memory_total_bytes", "Memory that the host's operating system can use."),
		memoryFree:  d.New("hyperv_host_memory_free_bytes", "Memory of the host that nobody uses."),
	}
	return probe.Collector{Name: "host", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		var s probe.Set
		os, err := o.Source.OperatingSystem(ctx)
		if probe.Verdict(probe.Reason(err)) {
			s.Bool(descs.up, err == nil)
		}
		if err != nil {
			return probe.Result{Metrics: s, Err: fmt.Errorf("read the host's operating system: %w", err)}
		}
		level.Debug(l).Log("msg", "host answered", "computer_name", os.ComputerName, "version", os.Version)
		hostMetrics(&s, descs, os)
		return probe.Result{Metrics: s}
	}}
}

func hostMetrics(s *probe.Set, d hostDescs, os cluster.OperatingSystem) {
	s.Gauge(d.info, 1, os.Version, os.Build, os.ComputerName)
	s.Time(d.boot, os.LastBoot)
	s.Gauge(d.memoryTotal, float64(os.MemoryTotal))
	s.Gauge(d.memoryFree, float64(os.MemoryFree))
}
