package hyperv

import (
	"context"
	"fmt"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// replicationSource tells how the replicas of virtual machines do.
type replicationSource interface {
	Replications(ctx context.Context) ([]cluster.Replication, error)
}

// replicationStates are the states of hyperv_vm_replication_state, at the index of Hyper-V's own number
// (learn.microsoft.com, "Msvm_ReplicationRelationship class", ReplicationState); the last stands for every other.
var replicationStates = []string{
	"disabled", "ready", "waiting_to_complete_initial", "replicating", "synced_complete", "recovered", "committed", "suspended", "critical",
	"waiting_to_start_resync", "resynchronizing", "resync_suspended", "failover_in_progress", "failback_in_progress", "failback_complete",
	"disk_update", "disk_update_critical", "unknown", "repurposed", "prepared_sync", "prepared_group_reverse", "fire_drill", probe.Other,
}

// replicationHealths are those of hyperv_vm_replication_health, at the index of Hyper-V's own number (ReplicationHealth).
var replicationHealths = []string{"not_applicable", "ok", "warning", "critical", probe.Other}

// at is the name at Hyper-V's own number.
func at(names []string, n uint16) string {
	if int(n) < len(names) {
		return names[n]
	}
	return probe.Other
}

type replicationDescs struct{ state, stateCode, health, healthCode, success probe.Desc }

// replicationCollector reads the replication relationships of the host's virtual machines.
func replicationCollector(o Options, d probe.Descs) probe.Collector {
	of := func(name, help string, more ...string) probe.Desc {
		return d.New(name, help, append([]string{"vm", "vm_id", "relationship"}, more...)...)
	}
	descs := replicationDescs{
		state:      of("hyperv_vm_replication_state", "1 for the state of the virtual machine's replication; relationship 1 is that of an extended replica. Only for those of the inventory.", "state"),
		stateCode:  of("hyperv_vm_replication_state_code", "Hyper-V's number for the state of the virtual machine's replication: 3 replicates, 7 is suspended, 8 critical."),
		health:     of("hyperv_vm_replication_health", "1 for the health of the virtual machine's replication. Only for those of the inventory.", "state"),
		healthCode: of("hyperv_vm_replication_health_code", "Hyper-V's number for the health of the virtual machine's replication: 0 not applicable, 1 well, 2 warning, 3 critical."),
		success:    of("hyperv_vm_replication_last_success_timestamp_seconds", "When changes of the virtual machine were last replicated, in seconds since 1970. Only for those of the inventory."),
	}
	return probe.Collector{Name: "replication", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		all, err := o.Source.Replications(ctx)
		if err != nil {
			return probe.Result{Err: fmt.Errorf("read the replication of the host's virtual machines: %w", err)}
		}
		machines := make([]machine, len(all))
		for i, r := range all {
			machines[i] = machine{r.VMID, r.VMName}
		}
		names := inventoryNames(l, o.Cluster, machines)
		var s probe.Set
		for _, r := range all {
			labels, ours := vmLabels(names, r.VMID)
			labels = append(labels, r.Relationship)
			s.Gauge(descs.stateCode, float64(r.State), labels...)
			s.Gauge(descs.healthCode, float64(r.Health), labels...)
			if !ours {
				continue
			}
			s.States(descs.state, replicationStates, at(replicationStates, r.State), labels...)
			s.States(descs.health, replicationHealths, at(replicationHealths, r.Health), labels...)
			s.Time(descs.success, r.LastSuccess, labels...)
		}
		return probe.Result{Metrics: s}
	}}
}
