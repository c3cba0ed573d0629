package cluster

import "context"

// The performance counters are read raw (Win32_PerfRawData_*): running totals, of which a rate is Prometheus' to
// compute. A class exists only where its provider is loaded (Unsupported), and may take seconds to answer.
const perfRaw = "Win32_PerfRawData_"

// The classes of counters, without the prefix.
const (
	ClassDynamicMemory  = "BalancerStats_HyperVDynamicMemoryBalancer"
	ClassProcessors     = "HvStats_HyperVHypervisorLogicalProcessor"
	ClassHypervisor     = "HvStats_HyperVHypervisor"
	ClassStorage        = "Counters_HyperVVirtualStorageDevice"
	ClassAdapters       = "NvspNicStats_HyperVVirtualNetworkAdapter"
	ClassGuestProcessor = "PerfOS_Processor"
	ClassGuestSystem    = "PerfOS_System"
)

// MemoryBalance is BalancerStats_HyperVDynamicMemoryBalancer: what dynamic memory has left to give.
type MemoryBalance struct {
	Available uint64 // bytes
	Pressure  uint32 // percent: what the machines want, of what they have
}

// MemoryBalance reads the host's one balancer. ErrNotFound means that no virtual machine has dynamic memory.
func (h *Host) MemoryBalance(ctx context.Context) (MemoryBalance, error) {
	return one(ctx, &h.machine, nsWindows, "SELECT AvailableMemory, AveragePressure FROM "+perfRaw+ClassDynamicMemory, func(f *fields) MemoryBalance {
		return MemoryBalance{must(f, f.object.Uint64, "AvailableMemory") * megabyte, f.mustUint32("AveragePressure")}
	})
}

// ProcessorTime is HvStats_HyperVHypervisorLogicalProcessor of all of the host's logical processors together: running
// totals, each with its own base. The share of a mode in the time between two readings is the difference of the total
// divided by that of the base, whatever the unit of both.
type ProcessorTime struct {
	Guest, GuestBase           uint64
	Hypervisor, HypervisorBase uint64
	Idle, IdleBase             uint64
	Total, TotalBase           uint64
}

// ProcessorTime reads the sum of the host's logical processors.
func (h *Host) ProcessorTime(ctx context.Context) (ProcessorTime, error) {
	return one(ctx, &h.machine, nsWindows, "SELECT PercentGuestRunTime, PercentGuestRunTime_Base, PercentHypervisorRunTime, PercentHypervisorRunTime_Base, "+
		"PercentIdleTime, PercentIdleTime_Base, PercentTotalRunTime, PercentTotalRunTime_Base FROM "+perfRaw+ClassProcessors+" WHERE Name = '_Total'",
		func(f *fields) ProcessorTime {
			return ProcessorTime{
				f.mustUint64("PercentGuestRunTime"), f.mustUint64("PercentGuestRunTime_Base"),
				f.mustUint64("PercentHypervisorRunTime"), f.mustUint64("PercentHypervisorRunTime_Base"),
				f.mustUint64("PercentIdleTime"), f.mustUint64("PercentIdleTime_Base"),
				f.mustUint64("PercentTotalRunTime"), f.mustUint64("PercentTotalRunTime_Base"),
			}
		})
}

// LogicalProcessors reads how many logical processors the hypervisor has: what the management partition sees of them may
// be fewer. Source: HvStats_HyperVHypervisor's property of this name.
func (h *Host) LogicalProcessors(ctx context.Context) (uint64, error) {
	return one(ctx, &h.machine, nsWindows, "SELECT LogicalProcessors FROM "+perfRaw+ClassHypervisor, func(f *fields) uint64 {
		return f.mustUint64("LogicalProcessors")
	})
}

// StorageDevice is Counters_HyperVVirtualStorageDevice: a virtual disk. Its name is made of the file's path; it does not
// say which virtual machine the disk belongs to.
type StorageDevice struct {
	Name   string
	Errors uint64 // since the device was opened
	Queue  uint64
}

// StorageDevices reads the counters of every virtual disk of the host.
func (h *Host) StorageDevices(ctx context.Context) ([]StorageDevice, error) {
	return all(ctx, &h.machine, nsWindows, "SELECT Name, ErrorCount, QueueLength FROM "+perfRaw+ClassStorage, func(f *fields) StorageDevice {
		return StorageDevice{f.mustText("Name"), f.mustUint64("ErrorCount"), f.mustUint64("QueueLength")}
	})
}

// NetworkAdapter is NvspNicStats_HyperVVirtualNetworkAdapter: packets that a virtual adapter dropped since it was made.
type NetworkAdapter struct {
	Name            string
	DroppedIncoming uint64
	DroppedOutgoing uint64
}

// NetworkAdapters reads the counters of every virtual network adapter of the host, its own among them.
func (h *Host) NetworkAdapters(ctx context.Context) ([]NetworkAdapter, error) {
	return all(ctx, &h.machine, nsWindows, "SELECT Name, DroppedPacketsIncomingPersec, DroppedPacketsOutgoingPersec FROM "+perfRaw+ClassAdapters,
		func(f *fields) NetworkAdapter {
			return NetworkAdapter{f.mustText("Name"), f.mustUint64("DroppedPacketsIncomingPersec"), f.mustUint64("DroppedPacketsOutgoingPersec")}
		})
}

// GuestLoad is what a guest's own counters say of its processors.
type GuestLoad struct {
	Processors int
	Idle       uint64 // running total over all processors, in units of 100 ns
	Queue      uint64 // threads that wait for a processor now
}

// Load reads the guest's processors (PerfOS_Processor, a PERF_100NSEC_TIMER) and its processor queue (PerfOS_System).
// The instance _Total is left out: of raw values it may be the sum or the mean, which differs between versions.
func (g *Guest) Load(ctx context.Context) (GuestLoad, error) {
	var l GuestLoad
	var queue uint64
	type processor struct {
		name string
		idle uint64
	}
	var processors []processor
	err := together(
		ctx,
		into(&processors, func(ctx context.Context) ([]processor, error) {
			return all(ctx, &g.machine, nsWindows, "SELECT Name, PercentIdleTime FROM "+perfRaw+ClassGuestProcessor, func(f *fields) processor {
				return processor{f.mustText("Name"), f.mustUint64("PercentIdleTime")}
			})
		}),
		into(&queue, func(ctx context.Context) (uint64, error) {
			return one(ctx, &g.machine, nsWindows, "SELECT ProcessorQueueLength FROM "+perfRaw+ClassGuestSystem, func(f *fields) uint64 {
				return f.mustUint64("ProcessorQueueLength")
			})
		}),
	)
	if err != nil {
		return GuestLoad{}, err
	}
	for _, p := range processors {
		if p.name != "_Total" {
			l.Processors++
			l.Idle += p.idle
		}
	}
	l.Queue = queue
	return l, nil
}
