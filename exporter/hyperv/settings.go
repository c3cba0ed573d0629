package hyperv

import (
	"context"
	"fmt"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// settingsSource tells the settings of virtual machines.
type settingsSource interface {
	Settings(ctx context.Context) ([]cluster.VMSettings, error)
}

type settingsDescs struct{ checkpoints, monitored probe.Desc }

// settingsCollector reads what was set on the virtual machines of the inventory.
func settingsCollector(o Options, d probe.Descs) probe.Collector {
	descs := settingsDescs{
		checkpoints: d.New("hyperv_vm_checkpoints", "How many checkpoints a person made of the virtual machine; those of backups and replicas do not count. Only for those of the inventory.", "vm", "vm_id"),
		monitored:   d.New("hyperv_vm_adapter_cluster_monitored", "1 means that the cluster moves the virtual machine when the network of this adapter is lost (Protected Network). Only for those of the inventory.", "vm", "vm_id", "adapter", "adapter_id"),
	}
	return probe.Collector{Name: "settings", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		all, err := o.Source.Settings(ctx)
		if err != nil {
			return probe.Result{Err: fmt.Errorf("read the settings of the host's virtual machines: %w", err)}
		}
		machines := make([]machine, len(all))
		for i := range all {
			machines[i] = machine{all[i].ID, all[i].Name}
		}
		names := inventoryNames(l, o.Cluster, machines)
		var s probe.Set
		for i := range all {
			labels, ours := vmLabels(names, all[i].ID)
			if !ours {
				continue
			}
			s.Gauge(descs.checkpoints, float64(all[i].Checkpoints), labels...)
			for _, a := range all[i].Adapters {
				if a.Monitored != nil {
					s.Bool(descs.monitored, *a.Monitored, append(labels[:2:2], a.Name, a.ID)...)
				}
			}
		}
		return probe.Result{Metrics: s}
	}}
}
