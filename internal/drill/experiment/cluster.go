package experiment

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// clusterOf is the cluster that a scenario is played on.
func clusterOf(s drill.Scenario, configuration, era string, p model.Profile) (model.Spec, error) {
	e, err := model.EraNamed(era)
	if err != nil {
		return model.Spec{}, err
	}
	spec := model.Default(p)
	resize(&spec, s.World)
	spec = spec.In(e)
	switch configuration {
	case drill.MonitoredHostCluster, drill.HostCluster:
	case drill.HostClusterHeartbeat:
		spec.CheckHeartbeat = true
	case drill.GuestCluster:
		spec = spec.GuestClustered()
	default:
		return model.Spec{}, fmt.Errorf("configuration %q is not known; use %s", configuration, strings.Join(drill.Configurations(), ", "))
	}
	if !slices.ContainsFunc(spec.VMs, func(v model.VMSpec) bool { return v.Name == s.Victim.VM }) {
		return model.Spec{}, fmt.Errorf("%s: victim.vm: %q is not in the lab", s.File, s.Victim.VM)
	}
	return spec, nil
}

// resize gives a cluster as many hosts and virtual machines as a scenario wants, spread over the hosts in turn.
func resize(spec *model.Spec, w drill.World) {
	if n := w.Nodes; n > 0 {
		spec.Nodes = nil
		for i := range n {
			spec.Nodes = append(spec.Nodes, fmt.Sprintf("HV%d", i+1))
		}
		for i := range spec.VMs {
			if v := &spec.VMs[i]; !slices.Contains(spec.Nodes, v.Node) {
				v.Node = spec.Nodes[i%n]
			}
		}
	}
	sql := func(v model.VMSpec) bool { return len(v.Instances) > 0 }
	have := 0
	for _, v := range spec.VMs {
		if sql(v) {
			have++
		}
	}
	for i := have; i < w.VirtualMachines; i++ {
		name := fmt.Sprintf("SQL%02d", i+1)
		spec.VMs = append(spec.VMs, model.VMSpec{Name: name, Group: name, Node: spec.Nodes[i%len(spec.Nodes)], Instances: []string{"MSSQLSERVER"}})
	}
}

// request is what a step asks of the lab, once for each virtual machine that it means.
func requests(s drill.Scenario, step drill.Step, spec model.Spec) []model.Request {
	r := model.Request{Fault: step.Fault, VM: step.VM, Node: step.Node, Instance: step.Instance, Component: step.Component}
	switch step.VM {
	case "":
		r.VM = s.Victim.VM
		if r.Instance == "" {
			r.Instance = s.Victim.Instance
		}
	case drill.All:
		var list []model.Request
		for _, v := range spec.VMs {
			if len(v.Instances) > 0 {
				r.VM = v.Name
				list = append(list, r)
			}
		}
		return list
	}
	return []model.Request{r}
}
