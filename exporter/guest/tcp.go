package guest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/reach"
	"github.com/hypervigil/hypervigil/internal/config"
)

// endpoint is an address of the guest: WinRM's own, or that of an instance of SQL Server.
type endpoint struct{ name, instance, address string }

func endpoints(vm *config.VirtualMachine) []endpoint {
	var e []endpoint
	if vm.Guest.Address != "" {
		e = append(e, endpoint{"winrm", "", config.WinRMAddress(vm.Guest.Address)})
	}
	for _, s := range vm.SQLServers {
		e = append(e, endpoint{"sql", s.Instance, s.Address})
	}
	return e
}

// tcpCollector connects to each endpoint from where the exporter stands, as a client would, with half of the time there
// is: that nobody answers is an answer. It fails where nothing could be learnt about one.
func tcpCollector(o Options, d probe.Descs) probe.Collector {
	state := d.New("hyperv_guest_tcp_state", "1 for what came of a TCP connection from the exporter: connected is a listener, refused a guest that lives and has none, timeout a guest that is dead or cut off. endpoint is winrm or sql.", "endpoint", "sql_instance", "state")
	duration := d.New("hyperv_guest_tcp_duration_seconds", "How long the TCP connection took, name resolution included.", "endpoint", "sql_instance")
	all := endpoints(o.VM)
	return probe.Collector{Name: "tcp", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		errs, took := make([]error, len(all)), make([]time.Duration, len(all))
		var wg sync.WaitGroup
		for i, e := range all {
			wg.Go(func() {
				ctx, cancel := probe.Half(ctx)
				defer cancel()
				took[i], errs[i] = o.Reach(ctx, e.address)
			})
		}
		wg.Wait()
		var s probe.Set
		var failed error
		for i, e := range all {
			level.Debug(l).Log("msg", "connected", "endpoint", e.name, "address", e.address, "duration", took[i], "err", errs[i])
			is, ok := reach.State(errs[i])
			if !ok {
				if failed == nil {
					failed = fmt.Errorf("connect to the guest's %s: %w", e.name, errs[i])
				}
				continue
			}
			s.States(state, reach.States, is, e.name, e.instance)
			s.Seconds(duration, took[i], e.name, e.instance)
		}
		return probe.Result{Metrics: s, Err: failed}
	}}
}
