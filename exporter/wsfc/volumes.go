package wsfc

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// volumeSource tells the cluster shared volumes.
type volumeSource interface {
	SharedVolumes(ctx context.Context) ([]cluster.SharedVolume, error)
	Partitions(ctx context.Context) ([]cluster.Partition, error)
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

type volumeDescs struct{ fault, faultCode, size, free probe.Desc }

func newVolumeDescs(d probe.Descs) volumeDescs {
	return volumeDescs{
		fault:     d.New("wsfc_csv_fault_state", "1 for what is wrong with the cluster shared volume; redirected_access is a volume that a node reaches through another node only.", "volume", "state"),
		faultCode: d.New("wsfc_csv_fault_state_code", "The cluster's number for what is wrong with the cluster shared volume: 0 none, 1 redirected_access, 2 no_access, 4 in_maintenance.", "volume"),
		size:      d.New("wsfc_volume_size_bytes", "The size of a partition of the cluster's disks; volume is the cluster shared volume on it, or its path.", "volume"),
		free:      d.New("wsfc_volume_free_bytes", "What of the partition is free, in steps of 1 MiB.", "volume"),
	}
}

// volumes is what one node says of them.
type volumes struct {
	shared     []cluster.SharedVolume
	partitions []cluster.Partition
	err        error // why the partitions are not known
}

// volumesCollector tells the state of the cluster shared volumes, and how full the cluster's partitions are.
func (p *Prober) volumesCollector(r *reader) probe.Collector {
	return probe.Collector{Name: "volumes", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		a, err := hedged(ctx, l, r, p.order(), func(ctx context.Context, s Source) (v volumes, err error) {
			if v.shared, err = s.SharedVolumes(ctx); err == nil {
				v.partitions, v.err = s.Partitions(ctx)
			}
			return v, err
		})
		if err != nil {
			return probe.Result{Err: fmt.Errorf("read the cluster shared volumes: %w", err)}
		}
		var s probe.Set
		d := p.descs.volumes
		for _, v := range a.value.shared {
			s.States(d.fault, volumeFaults, volumeFault(v.Fault), v.Name)
			s.Gauge(d.faultCode, float64(v.Fault), v.Name)
		}
		for _, partition := range a.value.partitions {
			if name := volumeOf(partition, a.value.shared); name != "" && partition.Size > 0 {
				s.Gauge(d.size, float64(partition.Size), name)
				s.Gauge(d.free, float64(partition.Free), name)
			}
		}
		if err := a.value.err; err != nil {
			return probe.Result{Metrics: s, Err: fmt.Errorf("read the partitions: %w", err)}
		}
		return probe.Result{Metrics: s}
	}}
}

// volumeOf names a partition: by the shared volume whose device bears its volume's GUID, otherwise by its own path.
func volumeOf(p cluster.Partition, shared []cluster.SharedVolume) string {
	for _, v := range shared {
		if p.VolumeGUID != "" && strings.Contains(strings.ToLower(v.VolumeName), strings.ToLower(p.VolumeGUID)) {
			return v.Name
		}
	}
	return p.Path
}
