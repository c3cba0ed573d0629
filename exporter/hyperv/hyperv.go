// Package hyperv probes one Hyper-V host: the host itself and the virtual machines it runs.
//
//	collectors := hyperv.Collectors(hyperv.Options{Source: host, Cluster: cl, Node: "HV1"})
//
// A virtual machine of the inventory is recognised by Hyper-V's name of it and carries the label vm; every other is
// known by its vm_id, and of its states only the codes are exported. Where two machines on the host bear an inventory
// name, neither is taken for it. Two hosts report the same virtual machine during a migration.
//
// The collectors namespaces, host, services, vms, settings, replication and uplinks are what decisions rest on. Performance
// counters (memory to reconnects, the cluster service's own among them) and the event log (events) may take seconds, and stand in modules of
// their own. The events that were counted stay in the collectors that Collectors returned.
package hyperv

import (
	"context"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter/eventlog"
	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
)

// Source is the host that is asked.
type Source interface {
	OperatingSystem(ctx context.Context) (cluster.OperatingSystem, error)
	VirtualMachines(ctx context.Context) ([]cluster.VirtualMachine, error)
	namespaceSource
	serviceSource
	settingsSource
	replicationSource
	uplinkSource
	counterSource
	eventlog.Source
}

// Options say which host, and which of its machines are ours.
type Options struct {
	Source  Source
	Cluster *config.Cluster
	Node    string
	// Catalog is what the targets share; nil where there is one.
	Catalog *probe.Catalog
}

// Labels are the labels that every series of the target carries.
func Labels(cluster, node string) prometheus.Labels {
	return prometheus.Labels{"cluster": cluster, "node": node}
}

// Collectors returns the host's collectors.
func Collectors(o Options) []probe.Collector {
	d := probe.NewDescs(o.Catalog, Labels(o.Cluster.Name, o.Node))
	c := newCounters(o, d)
	return []probe.Collector{
		namespacesCollector(o, d), hostCollector(o, d), servicesCollector(o, d), vmsCollector(o, d), settingsCollector(o, d), replicationCollector(o, d), uplinksCollector(o, d),
		c.memory(), c.processors(), c.storage(), c.adapters(), c.heartbeats(), c.csv(), c.resourceFailures(), c.reconnects(), eventsCollector(o, d),
	}
}

// vmLabels are the values of vm and vm_id: one label set for all, since an empty label is no label to Prometheus.
func vmLabels(names map[string]string, id string) (labels []string, ours bool) {
	name, ours := names[id]
	if ours {
		return []string{name, ""}, true
	}
	return []string{"", strings.ToUpper(id)}, false
}
