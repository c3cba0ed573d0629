package simulate

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// What somebody may be doing to a virtual machine or its SQL Server (opBusy).
const (
	busyBackup    = "backup"    // of a database
	busyRestore   = "restore"   // of a database
	busyDump      = "dump"      // SqlDumper.exe writes one
	busyHealth    = "health"    // Hyper-V does not call the VM healthy
	busyMerge     = "merge"     // of the VM's disks
	busyJob       = "job"       // of Hyper-V's, naming the VM
	busyMigration = "migration" // of the VM's storage
	busyReplica   = "replica"   // resynchronises
	busyVolume    = "volume"    // the shared volume is being backed up
	busyUpdate    = "update"    // an update is being installed in the guest
	busyPending   = "pending"   // an update waits for a restart of the guest
	busyDisk      = "disk"      // a silent guest reads and writes its disks
	busyRestart   = "restart"   // the guest is restarted from inside, and is silent for For
)

// busy begins and, after a while, ends it.
func (w *world) busy(o Op) {
	v := w.model.VM(o.VM)
	s := v.Server(o.Instance)
	at, ends := &v.At, func() {}
	switch o.What {
	case busyBackup, busyRestore:
		if s == nil || !s.Up {
			return
		}
		// Of a SQL Server that hangs it does not end either.
		ends = func() {
			if s.Up {
				s.Backup, s.Restore = false, false
			}
		}
		s.Backup, s.Restore = o.What == busyBackup, o.What == busyRestore
	case busyDump:
		at.Dump, ends = w.now, func() { at.Dump = time.Time{} }
	case busyHealth:
		at.Health, ends = 25, func() { at.Health = 0 }
	case busyMerge:
		at.Operation, ends = 32772, func() { at.Operation = 0 }
	case busyJob:
		at.Job, ends = true, func() { at.Job = false }
	case busyMigration:
		at.Migration, ends = true, func() { at.Migration = false }
	case busyReplica:
		at.Replica, ends = 10, func() { at.Replica = 3 }
	case busyUpdate:
		at.Servicing, ends = true, func() { at.Servicing = false }
	case busyPending:
		at.Pending, ends = true, func() { at.Pending = false }
	case busyDisk:
		w.model.Writes(v, true)
		ends = func() { w.model.Writes(v, false) }
	case busyRestart:
		if v.Guest == model.GuestRunning {
			w.model.Restart(v)
		}
	case busyVolume:
		w.model.VolumeBackup, ends = true, func() { w.model.VolumeBackup = false }
	}
	w.after(o.For, ends)
}

// activity is what the owner does to the virtual machine.
func (w *world) activity(a evidence.Ask, vm string, at time.Time) evidence.Reading[cluster.Activity] {
	v := w.model.VM(vm)
	switch {
	case a.Owner == "" || a.VMID == "":
		return evidence.Reading[cluster.Activity]{At: at, Failure: dial.Other, Detail: "no owner or no id is known yet"}
	case w.silent(a.Owner):
		return evidence.Reading[cluster.Activity]{At: at, Failure: dial.TCPTimeout}
	}
	r := evidence.Reading[cluster.Activity]{At: at}
	if v.Owner == a.Owner {
		if v.At.Job {
			r.Value.Jobs = append(r.Value.Jobs, "Msvm_ConcreteJob")
		}
		if v.At.Migration {
			r.Value.Jobs = append(r.Value.Jobs, "Msvm_MigrationJob")
		}
		if v.At.Replica != 0 {
			r.Value.Replica = []uint16{v.At.Replica}
		}
	}
	if w.model.VolumeBackup {
		r.Value.Backups = []string{"Volume1"}
	}
	return r
}

// dumps are the processes SqlDumper.exe of a guest.
func dumps(v *model.VM) []cluster.Process {
	if v.At.Dump.IsZero() {
		return nil
	}
	return []cluster.Process{{ID: 9876, Name: "SqlDumper.exe", Created: v.At.Dump}}
}

// heardOfWork takes down what a SQL Server last said that it was doing: a sick one says nothing any more.
func (j *judge) heardOfWork(e incident.Sensed) {
	for instance, r := range e.Vitals.Work {
		if r.Known() {
			j.work[e.Vitals.VM.Name+"/"+instance] = r.Value
		}
	}
	if o := e.Vitals.Orderly; o.Known() {
		j.orderly[e.Vitals.VM.Name] = o.Value
	}
}

// The cap of a dump, written down a second time.
const longestDump = 15 * time.Minute

// endsVM judges a rung that ends a whole virtual machine: who else lives in it (G34), what is being done to it (G35), and
// whether its guest is on an orderly way (G32).
func (j *judge) endsVM(i *incident.Incident, s *snapshot, rung remedy.Rung, by *approval) {
	w := j.w
	v := w.model.VM(i.VM.Name)
	for _, q := range s.serving {
		if q != i.Instance && by == nil {
			w.breaks(siblingsLive, "%s: %s serves", i.ID, q)
		}
	}
	for _, q := range v.Servers {
		if word := j.work[v.Name+"/"+q.Instance]; q.Instance != i.Instance && (word.Backup || word.Restore) {
			w.breaks(notCutShort, "%s: %s last said backup %t, restore %t", i.ID, q.Instance, word.Backup, word.Restore)
		}
	}
	if a := s.work; a.Operation != 0 || a.Job || a.Migration || a.Replica == 10 || s.volumeBackup {
		w.breaks(notCutShort, "%s: %+v, the volume's backup %t", i.ID, a, s.volumeBackup)
	}
	if since, on := j.onItsWay(i, s); on && by == nil && (!j.named(i, rung) || w.now.Before(since.Add(orderlyFor))) {
		w.breaks(orderlyWay, "%s: heartbeat %d, the guest last said %+v", i.ID, s.heartbeat, j.orderly[v.Name])
	}
}

// orderlyFor is how long an orderly way may take before a policy that names the rung may end it: the catalogue's number,
// written down a second time. orderlyRead is how old the newest word of an update may have been when the alert began.
const (
	orderlyFor  = 30 * time.Minute
	orderlyRead = 5 * time.Minute
)

// onItsWay reports whether a guest is on an orderly way, and since when at the earliest that counts.
func (j *judge) onItsWay(i *incident.Incident, s *snapshot) (since time.Time, on bool) {
	o := j.orderly[i.VM.Name]
	switch {
	case s.heartbeat == cluster.HeartbeatOK:
		return i.OpenedAt, true
	case len(o.Events) > 0:
		for _, e := range o.Events {
			if e.At.After(since) {
				since = e.At
			}
		}
		return since, true
	case len(o.Servicing) > 0, o.PendingReboot:
		return i.Alert.StartsAt.Add(-orderlyRead), true
	}
	return time.Time{}, false
}

// named reports whether the policy has answered for a rung, once for all, what G32 and G36 leave to a person.
func (j *judge) named(i *incident.Incident, rung remedy.Rung) bool {
	p := j.policy(i.VM.Name)
	return p.Mode == config.Act && p.Rungs[string(rung)] == config.Act
}

// cutShort judges a rung that ends a SQL Server by what is under way.
func (j *judge) cutShort(i *incident.Incident, s *snapshot) {
	w := j.w
	if word := j.work[i.VM.Name+"/"+i.Instance]; word.Backup || word.Restore {
		w.breaks(notCutShort, "%s: it last said backup %t, restore %t", i.ID, word.Backup, word.Restore)
	}
	if d := w.now.Sub(s.work.Dump); !s.work.Dump.IsZero() && d < longestDump {
		w.breaks(notCutShort, "%s: a dump is being written since %s", i.ID, d)
	}
	if s.work.Health != 0 {
		w.breaks(notCutShort, "%s: HealthState %d", i.ID, s.work.Health)
	}
}
