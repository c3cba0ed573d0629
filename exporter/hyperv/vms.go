package hyperv

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
)

// vmStates are the states of hyperv_vm_state.
var vmStates = []string{
	"unknown", "running", "off", "stopping", "saved", "paused", "starting", "reset",
	"saving", "pausing", "resuming", "fast_saved", "fast_saving", "critical", probe.Other,
}

// vmState names Msvm_ComputerSystem.EnabledState (learn.microsoft.com, "Msvm_ComputerSystem class"). Microsoft's pages
// disagree about the numbers from 32781 up, and what is not known beyond doubt there is critical.
func vmState(s cluster.VMState) string {
	switch s {
	case cluster.VMUnknown:
		return "unknown"
	case cluster.VMRunning:
		return "running"
	case cluster.VMOff:
		return "off"
	case cluster.VMStopping:
		return "stopping"
	case cluster.VMSaved:
		return "saved"
	case cluster.VMPaused:
		return "paused"
	case cluster.VMStarting:
		return "starting"
	case cluster.VMReset:
		return "reset"
	}
	switch {
	case s == 32773:
		return "saving"
	case s == 32776:
		return "pausing"
	case s == 32777:
		return "resuming"
	case s == 32779:
		return "fast_saved"
	case s == 32780:
		return "fast_saving"
	case s >= 32768:
		return "critical"
	}
	return probe.Other
}

// heartbeats are the states of hyperv_vm_heartbeat.
var heartbeats = []string{"ok", "error", "no_contact", "lost_communication", "absent", probe.Other}

func heartbeat(h cluster.Heartbeat) string {
	switch h {
	case cluster.HeartbeatOK:
		return "ok"
	case cluster.HeartbeatError:
		return "error"
	case cluster.HeartbeatNoContact:
		return "no_contact"
	case cluster.HeartbeatLostCommunication:
		return "lost_communication"
	case cluster.HeartbeatAbsent:
		return "absent"
	}
	return probe.Other
}

type vmDescs struct {
	state, stateCode, heartbeat, heartbeatCode            probe.Desc
	health, operational, application, uptime, stateChange probe.Desc
	memory, demand, paging, cpu, merge, present           probe.Desc
}

func newVMDescs(d probe.Descs) vmDescs {
	const codes = "0 unknown, 2 running, 3 off, 4 stopping, 6 saved, 9 paused, 10 starting, 11 reset, 32773 saving, 32776 pausing, 32777 resuming, 32779 fast_saved, 32780 fast_saving, any other from 32768 critical"
	vm := func(name, help string, more ...string) probe.Desc {
		return d.New(name, help, append([]string{"vm", "vm_id"}, more...)...)
	}
	return vmDescs{
		state:         vm("hyperv_vm_state", "1 for the state that the host sees the virtual machine in. Only for those of the inventory.", "state"),
		stateCode:     vm("hyperv_vm_state_code", "Hyper-V's number for the state: "+codes+"."),
		heartbeat:     vm("hyperv_vm_heartbeat", "1 for the state of the guest's heartbeat; absent is that of a machine that does not run. None for a running machine whose guest has no heartbeat service. Only for those of the inventory.", "state"),
		heartbeatCode: vm("hyperv_vm_heartbeat_code", "Hyper-V's number for the heartbeat: 0 absent, 2 ok, 6 error, 12 no_contact, 13 lost_communication."),
		health:        vm("hyperv_vm_health_state_code", "Hyper-V's number for the health of the virtual machine: 5 well, 20 major failure, 25 critical."),
		operational:   vm("hyperv_vm_operational_status_code", "Hyper-V's numbers for what the virtual machine is in. Slot 0: 2 well, 3 degraded, 5 failure predicted; slot 1: 32768 to 32774 a checkpoint, merge, export or migration is under way.", "slot"),
		application:   vm("hyperv_vm_application_health_code", "What a clustered application inside said of itself: 2 well, 32782 critical, 32896 not monitored. Only for those of the inventory."),
		uptime:        vm("hyperv_vm_uptime_seconds", "How long the virtual machine has been running without a restart. Only for those of the inventory."),
		stateChange:   vm("hyperv_vm_last_state_change_timestamp_seconds", "When the state last changed, in seconds since 1970. Only for those of the inventory."),
		memory:        vm("hyperv_vm_memory_assigned_bytes", "Memory that the host has given the virtual machine. Only for those of the inventory."),
		cpu:           vm("hyperv_vm_cpu_ratio", "Share of its virtual processors' time that the virtual machine uses, 1 is all of it. Only for those of the inventory."),
		demand:        vm("hyperv_vm_memory_demand_ratio", "Share of the memory it was given that the virtual machine wants; more than 1 is a starved one. Only for those of the inventory that have dynamic memory."),
		paging:        vm("hyperv_vm_smart_paging_active", "1 means that the host keeps some of the virtual machine's memory in a file, because it has too little. Only for those of the inventory."),
		merge:         vm("hyperv_vm_merge_running", "1 means that disks of the virtual machine are being merged. Only for those of the inventory."),
		present:       d.New("hyperv_host_vms", "How many virtual machines the host has, in any state."),
	}
}

// merging is OperationalStatus' number for disks that are being merged (learn.microsoft.com, "Msvm_ComputerSystem
// class").
const merging = 32772

// vmsCollector reads the virtual machines of the host.
func vmsCollector(o Options, d probe.Descs) probe.Collector {
	descs := newVMDescs(d)
	return probe.Collector{Name: "vms", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		var s probe.Set
		vms, err := o.Source.VirtualMachines(ctx)
		if err != nil {
			return probe.Result{Metrics: s, Err: fmt.Errorf("read the host's virtual machines: %w", err)}
		}
		level.Debug(l).Log("msg", "virtual machines read", "count", len(vms))
		machines := make([]machine, len(vms))
		for i := range vms {
			machines[i] = machine{vms[i].ID, vms[i].Name}
		}
		vmMetrics(&s, descs, vms, inventoryNames(l, o.Cluster, machines))
		return probe.Result{Metrics: s}
	}}
}

// machine is what a virtual machine is known by: Hyper-V's id and name of it.
type machine struct{ id, name string }

// inventoryNames maps the ids of the machines that are in the inventory to their inventory names.
func inventoryNames(l log.Logger, cl *config.Cluster, machines []machine) map[string]string {
	ours := make(map[string]string, len(cl.VirtualMachines))
	for _, vm := range cl.VirtualMachines {
		ours[strings.ToLower(vm.HyperVName())] = vm.Name
	}
	byName := map[string][]string{} // inventory name to ids
	for _, m := range machines {
		if name, ok := ours[strings.ToLower(m.name)]; ok && !slices.Contains(byName[name], m.id) {
			byName[name] = append(byName[name], m.id)
		}
	}
	names := make(map[string]string, len(byName))
	for name, ids := range byName {
		if len(ids) > 1 {
			level.Warn(l).Log("msg", "two virtual machines of one name on the host, neither is taken for the inventory's", "vm", name)
			continue
		}
		names[ids[0]] = name
	}
	return names
}

// vmMetrics turns the machines into metrics; names holds the inventory names by id.
func vmMetrics(s *probe.Set, d vmDescs, vms []cluster.VirtualMachine, names map[string]string) {
	s.Gauge(d.present, float64(len(vms)))
	for i := range vms {
		vm := &vms[i]
		labels, ours := vmLabels(names, vm.ID)
		s.Gauge(d.stateCode, float64(vm.State), labels...)
		if heartbeatKnown(vm) {
			s.Gauge(d.heartbeatCode, float64(vm.Heartbeat), labels...)
		}
		s.Gauge(d.health, float64(vm.HealthState), labels...)
		for slot, status := range vm.OperationalStatus {
			if slot > 1 {
				break
			}
			s.Gauge(d.operational, float64(status), append(labels[:2:2], strconv.Itoa(slot))...)
		}
		if !ours {
			continue
		}
		s.States(d.state, vmStates, vmState(vm.State), labels...)
		if heartbeatKnown(vm) {
			s.States(d.heartbeat, heartbeats, heartbeat(vm.Heartbeat), labels...)
		}
		if vm.ApplicationHealth != 0 {
			s.Gauge(d.application, float64(vm.ApplicationHealth), labels...)
		}
		s.Seconds(d.uptime, vm.Uptime, labels...)
		s.Time(d.stateChange, vm.LastStateChange, labels...)
		s.Bool(d.merge, slices.Contains(vm.OperationalStatus, merging), labels...)
		if !summaryKnown(vm) {
			continue
		}
		s.Gauge(d.memory, float64(vm.MemoryUsage), labels...)
		if vm.MemoryAvailable != nil {
			s.Gauge(d.demand, 1-float64(*vm.MemoryAvailable)/100, labels...)
		}
		s.Bool(d.paging, vm.SmartPaging, labels...)
		s.Gauge(d.cpu, float64(vm.ProcessorLoad)/100, labels...)
	}
}
