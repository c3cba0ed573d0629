package guard

import (
	"cmp"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// restartable: the owner itself shows the virtual machine of the plan, well and in a run that is old enough, nothing is
// being done to it, and nothing of it answers meanwhile that the fault says is dead.
func (in Input) restartable(round evidence.Round, cmd remedy.Command) Verdict {
	vm := round.Host.Value
	least := cmp.Or(cmd.LeastRun, remedy.LeastRun)
	switch v, over := in.over(round); {
	case !strings.EqualFold(vm.ID, cmd.VMID) || vm.Host != cmd.Node:
		return refuse("other_vm", "virtual machine %s on %s was read again; the plan is for %s on %s", vm.ID, vm.Host, cmd.VMID, cmd.Node)
	case over:
		return v
	case in.Subject.Fault == evidence.Guest && vm.Heartbeat == cluster.HeartbeatOK:
		return refuse("heartbeat", "vetoed: the guest's heartbeat is OK again")
	case in.Subject.Fault == evidence.Guest && vm.Heartbeat == cluster.HeartbeatAbsent:
		return hold("unreadable", in.soon(), "the owner tells no heartbeat of the running VM")
	case !in.Moved.IsZero() && vm.Uptime < in.Now.Sub(in.Moved)-MaxReadAge:
		return refuse("restarted", "the VM runs for %s only and came here %s ago: it was restarted meanwhile, or the owner does not tell", vm.Uptime.Round(time.Second), ago(in.Now.Sub(in.Moved)))
	case !in.Moved.IsZero() && vm.Uptime < least:
		// This is the run that our move resumed, and it is too young yet to be told from the one after.
		return hold("resumed", in.Now.Add(least-vm.Uptime), "the VM was resumed %s ago; only after %s is a restart told from that", vm.Uptime.Round(time.Second), least)
	case vm.Uptime < least:
		return refuse("restarted", "the VM runs for %s only: it was restarted meanwhile, or the owner does not tell", vm.Uptime.Round(time.Second))
	case vm.HealthState != healthOK:
		return hold("vm_health", in.soon(), "the VM's HealthState is %d now", vm.HealthState)
	case busyVM(vm.OperationalStatus):
		return hold("vm_busy", in.soon(), "Hyper-V is at work on the VM now (OperationalStatus %d)", vm.OperationalStatus)
	}
	return pass("owner %s, group online, VM running for %s, read %s before", cmd.Node, vm.Uptime.Round(time.Second), in.Now.Sub(Oldest(round)).Round(time.Millisecond))
}

// busyVM reports whether the second operational status names an operation (G35).
func busyVM(status []uint16) bool {
	return len(status) > 1 && status[1] >= firstOperation && status[1] <= lastOperation
}
