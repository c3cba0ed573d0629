// Package hyperv probes one Hyper-V host: the host itself and the virtual machines it runs.
//
//	collectors := hyperv.Collectors(hyperv.Options{Source: host, Cluster: cl, Node: "HV1"})
//
// A virtual machine of the inventory is recognised by Hyper-V's name of it and carries the label vm; every other is
// known by its vm_id, and of its states only the codes are exported. Where two machines on the host bear an inventory
// name, neither is taken for it. Two hosts report the same virtual machine during a migration.
package hyperv

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
)

// Source is the host that is asked.
type Source interface {
	OperatingSystem(ctx context.Context) (cluster.OperatingSystem, error)
	VirtualMachines(ctx context.Context) ([]cluster.VirtualMachine, error)
}

// Options say which host, and which of its machines are ours.
type Options struct {
	Source  Source
	Cluster *config.Cluster
	Node    string
}

// Labels are the labels that every series of the target carries.
func Labels(cluster, node string) prometheus.Labels {
	return prometheus.Labels{"cluster": cluster, "node": node}
}

// Collectors returns the host's collectors: host and vms.
func Collectors(o Options) []probe.Collector {
	d := probe.NewDescs(Labels(o.Cluster.Name, o.Node))
	n := newNamespaceDescs(d)
	return []probe.Collector{hostCollector(o, d, n), vmsCollector(o, d, n)}
}

// namespaceDescs describe how the host's WMI namespaces answer: on cluster nodes one may hang while others work.
type namespaceDescs struct{ up, duration *prometheus.Desc }

func newNamespaceDescs(d probe.Descs) namespaceDescs {
	return namespaceDescs{
		up:       d.New("hyperv_wmi_namespace_up", "1 means that the WMI namespace of the host answered.", "namespace"),
		duration: d.New("hyperv_wmi_namespace_duration_seconds", "How long the questions to the WMI namespace of the host took, answered or not.", "namespace"),
	}
}

// add notes how a namespace answered. What says nothing about the namespace leaves its up gauge out.
func (n namespaceDescs) add(s *probe.Set, namespace string, err error, took time.Duration) {
	if probe.Verdict(probe.Reason(err)) {
		s.Bool(n.up, err == nil, namespace)
	}
	s.Seconds(n.duration, took, namespace)
}
