package hyperv

import "github.com/hypervigil/hypervigil/internal/cluster"

// summaryKnown reports whether the host told how the machine does, and not only that it is there: one that runs has
// memory. Inferred: a machine that is just coming or going may have no Msvm_SummaryInformation.
func summaryKnown(vm *cluster.VirtualMachine) bool {
	return vm.State != cluster.VMRunning || vm.MemoryUsage != 0
}

// heartbeatKnown reports whether the host can tell how the guest does. A machine that runs without any heartbeat has not
// lost it: its guest has no integration service for it, or the host told nothing. That is no bad sign, and must not
// look like one.
func heartbeatKnown(vm *cluster.VirtualMachine) bool {
	return vm.State != cluster.VMRunning || vm.Heartbeat != cluster.HeartbeatAbsent
}
