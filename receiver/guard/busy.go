package guard

import (
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// The numbers of G35. The operations are the second element of Msvm_ComputerSystem.OperationalStatus
// (learn.microsoft.com, "Msvm_ComputerSystem class"): 32768 creating a snapshot, 32769 applying, 32770 deleting, 32771
// waiting to start, 32772 merging disks, 32773 exporting, 32774 migrating.
const (
	firstOperation = 32768
	lastOperation  = 32774
	healthOK       = 5 // Msvm_ComputerSystem.HealthState
	// dumpCap is how long a dump may be written before it is taken for one that hangs itself.
	dumpCap = 15 * time.Minute
	// workAge is how long before the alert SQL Server must have said whether it is in a backup or a restore.
	workAge = 5 * time.Minute
)

// The states of Msvm_ReplicationRelationship in which a replica fails over or resynchronises (learn.microsoft.com,
// "Msvm_ReplicationRelationship class", ReplicationState).
func replicaBusy(state uint16) bool {
	const waitingForResync, resync, failover, failback = 9, 10, 12, 13
	return slices.Contains([]uint16{waitingForResync, resync, failover, failback}, state)
}

// busy is G35: what is being done to the virtual machine or in SQL Server is not cut short. All of it ends by itself; what
// lasts over the bound of a hold is a person's.
func busy(in Input) Verdict {
	round, ok := in.last()
	if !ok {
		return hold("no_evidence", in.soon(), "no evidence has been read yet")
	}
	kills := in.Rung.Kills(in.Subject.Fault)
	if kills {
		if v := in.atWork(round); v.Outcome != Pass {
			return v
		}
		if v := in.dumping(round); v.Outcome != Pass {
			return v
		}
		switch h := round.Host; {
		case !h.Known():
			return hold("unreadable", in.soon(), "the owner host does not tell the VM's state: %s %s", h.Failure, h.Detail)
		case h.Value.State != cluster.VMRunning:
			return hold("vm_state", in.soon(), "the VM is not running (EnabledState %d)", h.Value.State)
		case h.Value.HealthState != healthOK:
			return hold("vm_health", in.soon(), "Hyper-V does not call the VM healthy (HealthState %d)", h.Value.HealthState)
		}
	}
	if in.Rung.Kind() != config.OnService {
		return in.handled(round, kills)
	}
	return pass("nothing is under way that %s would cut short", in.Rung)
}

// atWork: no backup and no restore in what the rung would end. A process that is proven dead is in none.
func (in Input) atWork(round evidence.Round) Verdict {
	until, before := in.workUntil()
	for _, instance := range in.endangered() {
		if instance == in.Subject.Instance && in.processDead(round) {
			continue
		}
		w := in.Vitals.Work[instance]
		switch {
		case until.IsZero():
			return propose("work_unknown", "whether instance %s was in a backup or a restore when the alert began is not known, for the alert carries no start time", instance).unblocked(busyHelp)
		case !w.Known():
			return propose("work_unknown", "whether instance %s is in a backup or a restore was not read while it answered", instance).unblocked(busyHelp)
		case until.Sub(w.At) > workAge:
			return propose("work_unknown", "whether instance %s is in a backup or a restore was last read %s %s, over %s", instance, ago(until.Sub(w.At)), before, workAge).
				unblocked(busyHelp)
		case w.Value.Backup:
			return hold("backup", in.soon(), "instance %s is being backed up, or was when it last answered", instance).unblocked(busyHelp)
		case w.Value.Restore:
			return hold("restore", in.soon(), "a database of instance %s is being restored, or was when it last answered", instance).unblocked(busyHelp)
		}
	}
	return pass("no backup and no restore")
}

// processDead: the guest says that the service of the incident's own instance is stopped, or that its process is gone.
func (in Input) processDead(r evidence.Round) bool {
	return r.Service.Known() && r.Service.Value.State == cluster.ServiceStopped || r.Process.Known() && r.Process.Value.ID == 0
}

// dumping: SQL Server's dump, which is what shows why it hangs, is let to be written. A guest that is dead writes none.
func (in Input) dumping(round evidence.Round) Verdict {
	if in.Subject.Fault == evidence.Guest {
		return pass("a guest whose processors and disks are idle writes no dump")
	}
	if !round.Dumps.Known() {
		return hold("unreadable", in.soon(), "whether SqlDumper.exe runs could not be read: %s %s", round.Dumps.Failure, round.Dumps.Detail)
	}
	for _, p := range round.Dumps.Value {
		if p.Created.IsZero() { // it would look as old as the calendar, and so long past its time
			return hold("dump", in.soon(), "SqlDumper.exe (process %d) runs, and since when is not known", p.ID)
		}
		if over := p.Created.Add(dumpCap); in.Now.Before(over) {
			return hold("dump", over, "SqlDumper.exe (process %d) writes a dump since %s; it is given %s", p.ID, p.Created.Format(time.RFC3339), dumpCap)
		}
	}
	return pass("no dump is being written")
}

// handled: neither Hyper-V nor the cluster is at work on the virtual machine. Where the owner does not answer, only a rung
// that ends nothing may go on, for a lost host: that works on nothing.
func (in Input) handled(round evidence.Round, kills bool) Verdict {
	lost := !kills && in.Subject.Fault == evidence.Host
	switch h := round.Host; {
	case !h.Known() && !lost:
		return hold("unreadable", in.soon(), "the owner host does not tell whether Hyper-V is at work on the VM: %s %s", h.Failure, h.Detail)
	case h.Known() && busyVM(h.Value.OperationalStatus):
		return hold("operation", in.soon(), "Hyper-V is at work on the VM (OperationalStatus %d)", h.Value.OperationalStatus[1]).unblocked(busyHelp)
	}
	a := round.Activity
	if !a.Known() {
		if lost {
			return pass("the owner does not answer, and %s ends nothing", in.Rung)
		}
		return hold("unreadable", in.soon(), "what the owner host does to the VM could not be read: %s %s", a.Failure, a.Detail)
	}
	switch {
	case len(a.Value.Jobs) > 0:
		return hold("job", in.soon(), "%s of Hyper-V under way: %s", plural(len(a.Value.Jobs), "job"), list(a.Value.Jobs)).unblocked(busyHelp)
	case slices.ContainsFunc(a.Value.Replica, replicaBusy):
		return hold("replica", in.soon(), "its replica fails over or resynchronises (ReplicationState %v)", a.Value.Replica).unblocked(busyHelp)
	case len(a.Value.Backups) > 0:
		return hold("volume_backup", in.soon(), "shared volumes are being backed up: %s", list(a.Value.Backups)).unblocked(busyHelp)
	}
	return pass("neither Hyper-V nor the cluster is at work on the VM")
}

const busyHelp = "wait until it has ended, or end it, and run the proposed command by hand"
