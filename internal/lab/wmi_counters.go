package lab

import (
	"fmt"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

// The lab's machines do nothing but what the model says that they use: its counters grow with their time.

// hundredNanoseconds is the unit of Windows' 100 ns timers.
func hundredNanoseconds(d time.Duration) uint64 { return uint64(max(0, d)) / 100 }

// memoryBalancer is the host's: half of its memory is nobody's, or nothing of it where it is starved.
func memoryBalancer(n *model.Node) []wsmanserver.Instance {
	free, pressure := uint32(65536), uint32(60)
	if n.Starved.On { // what takes its processors has its memory, too
		free, pressure = 200, 130
	}
	return []wsmanserver.Instance{instance("Win32_PerfRawData_BalancerStats_HyperVDynamicMemoryBalancer", byName,
		"Name", "System Balancer", "AvailableMemory", free, "AvailableMemoryForBalancing", free, "AveragePressure", pressure, "SystemCurrentPressure", pressure)}
}

// freeMemory is what a host has left, in bytes.
func freeMemory(m *model.Model, node string) uint64 {
	if m.Node(node).Starved.On {
		return 200 << 20
	}
	return m.Free(node)
}

// processorTime is what a host's processors have run since its start: guests and its own work, and a tenth of that again
// the hypervisor.
func processorTime(m *model.Model, n *model.Node) wsmanserver.Instance {
	up := hundredNanoseconds(m.Now().Sub(n.Booted))
	ran := min(up, hundredNanoseconds(m.Ran(n.Name)))
	hypervisor := ran / 11
	return instance("Win32_PerfRawData_HvStats_HyperVHypervisorLogicalProcessor", byName, "Name", "_Total",
		"PercentGuestRunTime", ran-hypervisor, "PercentGuestRunTime_Base", up, "PercentHypervisorRunTime", hypervisor, "PercentHypervisorRunTime_Base", up,
		"PercentIdleTime", up-ran, "PercentIdleTime_Base", up, "PercentTotalRunTime", ran, "PercentTotalRunTime_Base", up)
}

// hypervisor is a host's.
func hypervisor(*model.Model) []wsmanserver.Instance {
	return []wsmanserver.Instance{instance("Win32_PerfRawData_HvStats_HyperVHypervisor", byName, "Name", "", "LogicalProcessors", uint64(model.HostProcessors))}
}

// running makes an instance for each running virtual machine of a node.
func running(node string, of func(*model.Model, *model.VM) wsmanserver.Instance) table {
	return func(m *model.Model) []wsmanserver.Instance {
		var list []wsmanserver.Instance
		for _, v := range m.VMs {
			if v.Owner == node && v.State == cluster.VMRunning {
				list = append(list, of(m, v))
			}
		}
		return list
	}
}

// storageDevice is a virtual machine's one disk. Windows names it by its file, with hyphens for backslashes.
func storageDevice(m *model.Model, v *model.VM) wsmanserver.Instance {
	n := m.DiskCount(v)
	return instance("Win32_PerfRawData_Counters_HyperVVirtualStorageDevice", byName, "Name", strings.ReplaceAll(diskFile(v), `\`, "-"),
		"ErrorCount", uint32(0), "QueueLength", uint64(0), "ReadCount", n, "WriteCount", n)
}

// diskFile is a virtual machine's one disk.
func diskFile(v *model.VM) string {
	file := `C:\ClusterStorage\Volume1\` + v.Name + `\` + v.Name
	if v.Checkpoints > 0 { // what has been written since is in a file of its own
		return file + "_5F3C8E12-0000-4000-8000-000000000001.avhdx"
	}
	return file + ".vhdx"
}

// adapterCounters are those of a virtual machine's one network adapter.
func adapterCounters(_ *model.Model, v *model.VM) wsmanserver.Instance {
	return instance("Win32_PerfRawData_NvspNicStats_HyperVVirtualNetworkAdapter", byName, "Name", v.Name+"_Network Adapter_"+v.ID+"--"+adapterID(v),
		"DroppedPacketsIncomingPersec", uint64(0), "DroppedPacketsOutgoingPersec", uint64(0))
}

// heartbeats are those that a node misses from the others: all, where the other has no power or is cut off.
func heartbeats(m *model.Model, node string) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, n := range m.Nodes {
		if n.Name == node {
			continue
		}
		missing := uint32(0)
		if !n.Powered || n.Cut || m.Node(node).Cut {
			missing = m.Spec.Profile.HeartbeatThreshold
		}
		list = append(list, instance("Win32_PerfRawData_NetFtPerfProvider_ClusterNetFtHeartbeats", byName, "Name", node+" "+n.Name,
			"Missingheartbeats", missing, "Missingheartbeatslimit", m.Spec.Profile.HeartbeatThreshold))
	}
	return list
}

// reconnections are none: the lab's nodes lose each other only with their power.
func reconnections(m *model.Model, node string) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, n := range m.Nodes {
		if n.Name != node {
			list = append(list, instance("Win32_PerfRawData_ClussvcPerfProvider_ClusterNetworkReconnections", byName, "Name", n.Name, "ReconnectCount", uint64(0)))
		}
	}
	return list
}

// guestProcessors are four of an idle guest, and their sum; none idles while the guest is starved.
func guestProcessors(m *model.Model, v *model.VM) []wsmanserver.Instance {
	const processors = model.VMProcessors
	idle := hundredNanoseconds(m.Now().Sub(v.Booted) - v.Starved.Lasted(m.Now()))
	var list []wsmanserver.Instance
	for n := range processors {
		list = append(list, instance("Win32_PerfRawData_PerfOS_Processor", byName, "Name", fmt.Sprint(n), "PercentIdleTime", idle, "PercentProcessorTime", idle))
	}
	return append(list, instance("Win32_PerfRawData_PerfOS_Processor", byName, "Name", "_Total", "PercentIdleTime", processors*idle, "PercentProcessorTime", processors*idle))
}
