package wsfc

import (
	"context"
	"fmt"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// volumeSource tells the cluster shared volumes.
type volumeSource interface {
	SharedVolumes(ctx context.Context) ([]cluster.SharedVolume, error)
}

// volumeFaults are the states of wsfc_csv_fault_state.
var volumeFaults = []string{"none", "redirected_access", "no_access", "in_maintenance", probe.Other}

func volumeFault(f cluster.VolumeFault) string {
	switch f {
	case cluster.VolumeFaultNone:
		return "none"
	case cluster.VolumeFaultRedirected:
		return "redirected_access"
	case cluster.VolumeFaultNoAccess:
		return "no_access"
	case cluster.VolumeFaultMaintenance:
		return "in_maintenance"
	}
	return probe.Other
}

type volumeDescs struct{ fault, faultCode *prometheus.Desc }

func newVolumeDescs(d probe.Descs) volumeDescs {
	return volumeDescs{
		fault:     d.New("wsfc_csv_fault_state", "1 for what is wrong with the cluster shared volume; redirected_access is a volume that a node reaches through another node only.", "volume", "state"),
		faultCode: d.New("wsfc_csv_fault_state_code", "The cluster's number for what is wrong with the cluster shared volume: 0 none, 1 redirected_access, 2 no_access, 4 in_maintenance.", "volume"),
	}
}

// volumesCollector tells the state of the cluster shared volumes.
func (p *Prober) volumesCollector(r *reader) probe.Collector {
	return probe.Collector{Name: "volumes", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		a, err := hedged(ctx, l, r, p.order(), func(ctx context.Context, s Source) ([]cluster.SharedVolume, error) {
			return s.SharedVolumes(ctx)
		})
		if err != nil {
			return probe.Result{Err: fmt.Errorf("read the cluster shared volumes: %w", err)}
		}
		var s probe.Set
		d := p.descs.volumes
		for _, v := range a.value {
			s.States(d.fault, volumeFaults, volumeFault(v.Fault), v.Name)
			s.Gauge(d.faultCode, float64(v.Fault), v.Name)
		}
		return probe.Result{Metrics: s}
	}}
}
