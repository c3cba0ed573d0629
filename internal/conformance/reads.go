package conformance

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// reading makes an assertion of a question of ours: that the classes and properties that it names are there, and are of
// the types that it takes them for.
func reading[T any](name, classes, source string, read func(context.Context, *cluster.Host) (T, error), count func(T) int) Assertion {
	return Assertion{
		Name: "read_" + name, Relies: "These have the properties that we select, in the types that we take them for: " + classes + ".", Source: source,
		Node: func(ctx context.Context, _ *Site, n *node) Finding {
			began := time.Now()
			got, err := read(ctx, n.host)
			if err != nil {
				return cannot(err)
			}
			return holds([]string{fmt.Sprintf("rows=%d in %s", count(got), time.Since(began).Round(time.Millisecond))}, "it can be read")
		},
	}
}

// counter is reading for a class of performance counters, which a host may lack: its provider is not loaded then.
func counter[T any](name, class string, read func(context.Context, *cluster.Host) (T, error)) Assertion {
	a := reading(name, class, "microsoft/wmi, root/cimv2 bindings; UNVERIFIED units are told beside the metric", read, func(T) int { return 1 })
	look := a.Node
	a.Node = func(ctx context.Context, s *Site, n *node) Finding {
		f := look(ctx, s, n)
		if f.Result == Fails && len(f.Evidence) > 0 && f.Evidence[0] == "reason=namespace" {
			f.Result = Unseen
		}
		return f
	}
	return a
}

func many[T any](all []T) int { return len(all) }

// nodeReads are the questions that exporter and receiver ask a host.
func nodeReads() []Assertion {
	const bindings = "microsoft/wmi, server2019 and server23h2 bindings"
	return []Assertion{
		reading("cluster", "MSCluster_Cluster, _Node, _ResourceGroup, _Resource with PrivateProperties", bindings,
			func(ctx context.Context, h *cluster.Host) (cluster.View, error) { return h.View(ctx) },
			func(v cluster.View) int { return len(v.Nodes) + len(v.Groups) + len(v.Resources) }),
		reading("networks", "MSCluster_Network", bindings, func(ctx context.Context, h *cluster.Host) ([]cluster.Network, error) { return h.Networks(ctx) }, many),
		reading("network_interfaces", "MSCluster_NetworkInterface", bindings,
			func(ctx context.Context, h *cluster.Host) ([]cluster.NetworkInterface, error) {
				return h.NetworkInterfaces(ctx)
			}, many),
		reading("shared_volumes", "MSCluster_ClusterSharedVolume", bindings,
			func(ctx context.Context, h *cluster.Host) ([]cluster.SharedVolume, error) {
				return h.SharedVolumes(ctx)
			}, many),
		reading("partitions", "MSCluster_DiskPartition; UNVERIFIED that the VolumeGuid of a shared volume's partition is the one in its VolumeName", bindings,
			func(ctx context.Context, h *cluster.Host) ([]cluster.Partition, error) { return h.Partitions(ctx) }, many),
		reading("possible_owners", "MSCluster_ResourceToPossibleOwner", bindings,
			func(ctx context.Context, h *cluster.Host) (map[string][]string, error) { return h.PossibleOwners(ctx) },
			func(m map[string][]string) int { return len(m) }),
		reading("possible_owners_of_some", "MSCluster_ResourceToPossibleOwner by an association filter; UNVERIFIED that MSCluster's provider answers it with the same rows",
			"DSP0227 8.2; MS-WSMV, Filter", possibleOwnersOfSome, func(n int) int { return n }),
		reading("preferred_owners", "MSCluster_ResourceGroupToPreferredNode", bindings,
			func(ctx context.Context, h *cluster.Host) (map[string][]string, error) { return h.PreferredOwners(ctx) },
			func(m map[string][]string) int { return len(m) }),
		reading("virtual_machines", "Msvm_ComputerSystem, Msvm_SummaryInformation, Msvm_VirtualSystemSettingData", "learn.microsoft.com, Hyper-V WMI v2",
			func(ctx context.Context, h *cluster.Host) ([]cluster.VirtualMachine, error) {
				return h.VirtualMachines(ctx)
			}, many),
		reading("settings", "Msvm_VirtualSystemSettingData, Msvm_SyntheticEthernetPortSettingData.ClusterMonitored", "learn.microsoft.com, Hyper-V WMI v2",
			func(ctx context.Context, h *cluster.Host) ([]cluster.VMSettings, error) { return h.Settings(ctx) }, many),
		reading("replication", "Msvm_ReplicationRelationship", "learn.microsoft.com, Hyper-V WMI v2",
			func(ctx context.Context, h *cluster.Host) ([]cluster.Replication, error) { return h.Replications(ctx) }, many),
		reading("uplinks", "MSFT_NetAdapter, Msvm_ExternalEthernetPort", "see uplink.md",
			func(ctx context.Context, h *cluster.Host) ([]cluster.Uplink, error) { return h.Uplinks(ctx) }, many),
		reading("system_log", "Win32_NTLogEvent of the cluster's events of the last hour", "learn.microsoft.com, Win32_NTLogEvent: classic logs only",
			func(ctx context.Context, h *cluster.Host) ([]cluster.Event, error) {
				return h.Events(ctx, cluster.EventQuery{Log: "System", Source: cluster.EventSourceCluster, Since: time.Now().Add(-time.Hour), Most: 10000})
			}, many),
		counter("heartbeats", "Win32_PerfRawData_NetFtPerfProvider_ClusterNetFtHeartbeats",
			func(ctx context.Context, h *cluster.Host) ([]cluster.Heartbeats, error) { return h.Heartbeats(ctx) }),
		counter("volume_pauses", "Win32_PerfRawData_CsvFsPerfProvider_ClusterCSVFS",
			func(ctx context.Context, h *cluster.Host) ([]cluster.VolumePauses, error) { return h.VolumePauses(ctx) }),
		counter("resource_failures", "Win32_PerfRawData_ClussvcPerfProvider_ClusterResources",
			func(ctx context.Context, h *cluster.Host) (cluster.ResourceFailures, error) {
				return h.ResourceFailures(ctx)
			}),
		counter("reconnects", "Win32_PerfRawData_ClussvcPerfProvider_ClusterNetworkReconnections",
			func(ctx context.Context, h *cluster.Host) (uint64, error) { return h.Reconnects(ctx) }),
		counter("memory_balance", "Win32_PerfRawData_BalancerStats_HyperVDynamicMemoryBalancer",
			func(ctx context.Context, h *cluster.Host) (cluster.MemoryBalance, error) { return h.MemoryBalance(ctx) }),
		counter("processor_time", "Win32_PerfRawData_HvStats_HyperVHypervisorLogicalProcessor",
			func(ctx context.Context, h *cluster.Host) (cluster.ProcessorTime, error) { return h.ProcessorTime(ctx) }),
		counter("logical_processors", "Win32_PerfRawData_HvStats_HyperVHypervisor",
			func(ctx context.Context, h *cluster.Host) (uint64, error) { return h.LogicalProcessors(ctx) }),
		counter("storage_devices", "Win32_PerfRawData_Counters_HyperVVirtualStorageDevice",
			func(ctx context.Context, h *cluster.Host) ([]cluster.StorageDevice, error) {
				return h.StorageDevices(ctx)
			}),
		counter("network_adapters", "Win32_PerfRawData_NvspNicStats_HyperVVirtualNetworkAdapter",
			func(ctx context.Context, h *cluster.Host) ([]cluster.NetworkAdapter, error) {
				return h.NetworkAdapters(ctx)
			}),
	}
}

// possibleOwnersOfSome asks for the owners of a few resources, and looks whether they are those that all rows tell of them.
func possibleOwnersOfSome(ctx context.Context, h *cluster.Host) (int, error) {
	whole, err := h.PossibleOwners(ctx)
	if err != nil {
		return 0, err
	}
	some := slices.Sorted(maps.Keys(whole))
	some = some[:min(4, len(some))]
	for n, r := range some {
		own, err := h.OwnersOf(ctx, r)
		if err != nil {
			return 0, err
		}
		if !sameNames(whole[r], own) {
			return 0, fmt.Errorf("resource %d of those asked for: %d owners among all rows, %d by its own question, or others", n+1, len(whole[r]), len(own))
		}
	}
	return len(some), nil
}

// sameNames reports whether both have the same names, in whatever order.
func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
