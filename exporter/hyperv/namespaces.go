package hyperv

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// namespaceSource is asked whether the provider behind a WMI namespace answers.
type namespaceSource interface {
	Namespace(ctx context.Context, name string) error
}

// namespacesCollector asks each WMI namespace of the host one cheap question, at the same time and each with half of
// the time there is: on cluster nodes one namespace may hang while others work, and that is an answer. The collector
// fails where nothing could be learnt about one.
func namespacesCollector(o Options, d probe.Descs) probe.Collector {
	up := d.New("hyperv_wmi_namespace_up", "1 means that the WMI namespace of the host answered a cheap question within half of the probe's time; absent where nothing could be learnt about it.", "namespace")
	duration := d.New("hyperv_wmi_namespace_duration_seconds", "How long the WMI namespace of the host took for a cheap question, answered or not.", "namespace")
	return probe.Collector{Name: "namespaces", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		names := cluster.Namespaces()
		errs, took := make([]error, len(names)), make([]time.Duration, len(names))
		var wg sync.WaitGroup
		for i, name := range names {
			wg.Go(func() {
				ctx, cancel := probe.Half(ctx)
				defer cancel()
				start := time.Now()
				errs[i] = o.Source.Namespace(ctx, name)
				took[i] = time.Since(start)
			})
		}
		wg.Wait()
		var s probe.Set
		var failed error
		for i, name := range names {
			s.Seconds(duration, took[i], name)
			level.Debug(l).Log("msg", "namespace asked", "namespace", name, "duration", took[i], "err", errs[i])
			switch {
			case probe.Verdict(probe.Reason(errs[i])):
				s.Bool(up, errs[i] == nil, name)
			case failed == nil:
				failed = fmt.Errorf("ask the namespace %s: %w", name, errs[i])
			}
		}
		return probe.Result{Metrics: s, Err: failed}
	}}
}
