package hyperv

import (
	"context"
	"fmt"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// serviceSource tells Windows' services.
type serviceSource interface {
	// Services returns those of the named services that exist.
	Services(ctx context.Context, names []string) ([]cluster.Service, error)
}

// hostServices are those on which a host's word about virtual machines and cluster rests: Hyper-V's management, its
// compute service, the cluster, and what answers us.
var hostServices = []string{"vmms", "vmcompute", "ClusSvc", "WinRM", "Winmgmt"}

// servicesCollector reads the services of the host.
func servicesCollector(o Options, d probe.Descs) probe.Collector {
	running := d.New("hyperv_service_running", "1 means that the host's service runs; a service that the host does not have has no series. Where vmms does not run, what the host says of virtual machines is not to be trusted.", "service")
	return probe.Collector{Name: "services", Collect: func(ctx context.Context, _ log.Logger) probe.Result {
		found, err := o.Source.Services(ctx, hostServices)
		if err != nil {
			return probe.Result{Err: fmt.Errorf("read the host's services: %w", err)}
		}
		var s probe.Set
		for _, f := range found {
			s.Bool(running, f.State == cluster.ServiceRunning, f.Name)
		}
		return probe.Result{Metrics: s}
	}}
}
