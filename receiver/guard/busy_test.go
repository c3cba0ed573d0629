package guard_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// ending is an input that G34 and G35 pass: a rung that ends an instance which last said that it does nothing.
func ending(rung remedy.Rung, fault evidence.Fault) guard.Input {
	in := passing()
	in.Rung, in.Subject.Fault, in.Subject.Instance = rung, fault, "A"
	in.Instances = []string{"A", "B"}
	idle := evidence.Reading[evidence.Work]{At: now.Add(-10 * time.Second)}
	in.Vitals.Work = map[string]evidence.Reading[evidence.Work]{"A": idle, "B": idle}
	r := &in.Rounds[len(in.Rounds)-1]
	r.Service = known(cluster.Service{Name: "MSSQL$A", State: cluster.ServiceRunning, StartMode: "Auto"})
	r.Process = known(cluster.Process{ID: 7, Created: now.Add(-time.Hour)})
	r.Host = known(cluster.VirtualMachine{ID: "vm-1", State: cluster.VMRunning, HealthState: 5, OperationalStatus: []uint16{2}})
	r.Dumps, r.Activity = known([]cluster.Process(nil)), known(cluster.Activity{Replica: []uint16{3}})
	r.Siblings = map[string]evidence.Reading[evidence.Login]{"B": known(evidence.Login{Reason: dial.Refused})}
	return in
}

func TestBusy(t *testing.T) {
	t.Parallel()
	work := func(instance string, w evidence.Work, ago time.Duration) func(*guard.Input) {
		return func(in *guard.Input) {
			in.Vitals.Work[instance] = evidence.Reading[evidence.Work]{At: in.StartsAt.Add(-ago), Value: w}
		}
	}
	host := func(change func(*cluster.VirtualMachine)) func(*guard.Input) {
		return latest(func(r *evidence.Round) { change(&r.Host.Value) })
	}
	activity := func(a cluster.Activity) func(*guard.Input) {
		return latest(func(r *evidence.Round) { r.Activity = known(a) })
	}
	dump := func(ago time.Duration) func(*guard.Input) {
		return latest(func(r *evidence.Round) { r.Dumps = known([]cluster.Process{{ID: 9, Created: now.Add(-ago)}}) })
	}
	restart, reset := remedy.RestartService, remedy.ResetVM
	for _, test := range []struct {
		name    string
		rung    remedy.Rung
		fault   evidence.Fault
		change  func(*guard.Input)
		outcome guard.Outcome
		reason  string
	}{
		{"nothing", restart, evidence.Hang, nil, guard.Pass, ""},
		{"nothing, for the VM", reset, evidence.Hang, nil, guard.Pass, ""},
		{"a backup", restart, evidence.Hang, work("A", evidence.Work{Backup: true}, time.Second), guard.Hold, "backup"},
		{"a restore", restart, evidence.Hang, work("A", evidence.Work{Restore: true}, time.Second), guard.Hold, "restore"},
		{"a backup of the neighbour, which goes on", restart, evidence.Hang, work("B", evidence.Work{Backup: true}, time.Second), guard.Pass, ""},
		{"a backup of the neighbour, which a reset ends", reset, evidence.Hang, work("B", evidence.Work{Backup: true}, time.Second), guard.Hold, "backup"},
		{"a backup of a process that is dead", reset, evidence.Service, func(in *guard.Input) {
			work("A", evidence.Work{Backup: true}, time.Second)(in)
			latest(func(r *evidence.Round) { r.Service.Value.State = cluster.ServiceStopped })(in)
		}, guard.Pass, ""},
		{"a backup, and the start of a dead service", restart, evidence.Service, work("A", evidence.Work{Backup: true}, time.Second), guard.Pass, ""},
		{"what it does was never read", restart, evidence.Hang, func(in *guard.Input) { in.Vitals.Work = nil }, guard.Propose, "work_unknown"},
		{"what it does was read too long ago", restart, evidence.Hang, work("A", evidence.Work{}, 6*time.Minute), guard.Propose, "work_unknown"},
		{"a dump", restart, evidence.Hang, dump(14 * time.Minute), guard.Hold, "dump"},
		{"a dump that hangs itself", restart, evidence.Hang, dump(15 * time.Minute), guard.Pass, ""},
		{"a dump of unknown age", restart, evidence.Hang, latest(func(r *evidence.Round) { r.Dumps = known([]cluster.Process{{ID: 7}}) }), guard.Hold, "dump"},
		{"whether there is a dump is not known", restart, evidence.Hang, latest(func(r *evidence.Round) { r.Dumps = lost[[]cluster.Process](dial.TCPTimeout) }), guard.Hold, "unreadable"},
		{"a dead guest writes no dump", reset, evidence.Guest, latest(func(r *evidence.Round) { r.Dumps = lost[[]cluster.Process](dial.TCPTimeout) }), guard.Pass, ""},
		{"the VM is paused", restart, evidence.Hang, host(func(vm *cluster.VirtualMachine) { vm.State = cluster.VMPaused }), guard.Hold, "vm_state"},
		{"the VM is in critical health", restart, evidence.Hang, host(func(vm *cluster.VirtualMachine) { vm.HealthState = 25 }), guard.Hold, "vm_health"},
		{"the host does not tell", restart, evidence.Hang, latest(func(r *evidence.Round) { r.Host = lost[cluster.VirtualMachine](dial.TCPTimeout) }), guard.Hold, "unreadable"},
		{"a snapshot is made", reset, evidence.Hang, host(func(vm *cluster.VirtualMachine) { vm.OperationalStatus = []uint16{2, 32768} }), guard.Hold, "operation"},
		{"it migrates", reset, evidence.Hang, host(func(vm *cluster.VirtualMachine) { vm.OperationalStatus = []uint16{2, 32774} }), guard.Hold, "operation"},
		{"an operation that is none", reset, evidence.Hang, host(func(vm *cluster.VirtualMachine) { vm.OperationalStatus = []uint16{2, 32775} }), guard.Pass, ""},
		{"a merge, and a service's restart inside", restart, evidence.Hang, host(func(vm *cluster.VirtualMachine) { vm.OperationalStatus = []uint16{2, 32772} }), guard.Pass, ""},
		{"a job", reset, evidence.Hang, activity(cluster.Activity{Jobs: []string{"Msvm_MigrationJob"}}), guard.Hold, "job"},
		{"a job, and a live migration", remedy.LiveMigrate, evidence.Network, activity(cluster.Activity{Jobs: []string{"Msvm_ConcreteJob"}}), guard.Hold, "job"},
		{"a replica that resynchronises", reset, evidence.Hang, activity(cluster.Activity{Replica: []uint16{10}}), guard.Hold, "replica"},
		{"a replica that fails over", reset, evidence.Hang, activity(cluster.Activity{Replica: []uint16{3, 12}}), guard.Hold, "replica"},
		{"a volume's backup", reset, evidence.Hang, activity(cluster.Activity{Backups: []string{"Volume1"}}), guard.Hold, "volume_backup"},
		{"what Hyper-V does is not known", reset, evidence.Hang, latest(func(r *evidence.Round) { r.Activity = lost[cluster.Activity](dial.TCPTimeout) }), guard.Hold, "unreadable"},
		{"a lost host does nothing", remedy.StartGroup, evidence.Host, latest(func(r *evidence.Round) {
			r.Activity, r.Host = lost[cluster.Activity](dial.TCPTimeout), lost[cluster.VirtualMachine](dial.TCPTimeout)
		}), guard.Pass, ""},
		{"the owner does not tell, and a live migration", remedy.LiveMigrate, evidence.Network, latest(func(r *evidence.Round) { r.Host = lost[cluster.VirtualMachine](dial.TCPTimeout) }), guard.Hold, "unreadable"},
		{"a new owner that works on it, and a group to start", remedy.StartGroup, evidence.Host, latest(func(r *evidence.Round) {
			r.Host, r.Activity = lost[cluster.VirtualMachine](dial.Other), known(cluster.Activity{Jobs: []string{"Msvm_ConcreteJob"}})
		}), guard.Hold, "job"},
		{"nothing was read", restart, evidence.Hang, func(in *guard.Input) { in.Rounds = nil }, guard.Hold, "no_evidence"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := ending(test.rung, test.fault)
			if test.change != nil {
				test.change(&in)
			}
			if v := says(t, "G35", in); v.Outcome != test.outcome || v.Reason != test.reason {
				t.Errorf("G35 = %s %q (%s), want %s %q", v.Outcome, v.Reason, v.Detail, test.outcome, test.reason)
			}
		})
	}
}

func TestSiblings(t *testing.T) {
	t.Parallel()
	sibling := func(l evidence.Reading[evidence.Login]) func(*guard.Input) {
		return latest(func(r *evidence.Round) { r.Siblings = map[string]evidence.Reading[evidence.Login]{"B": l} })
	}
	for _, test := range []struct {
		name    string
		rung    remedy.Rung
		fault   evidence.Fault
		change  func(*guard.Input)
		outcome guard.Outcome
		reason  string
	}{
		{"it is down too", remedy.ResetVM, evidence.Hang, nil, guard.Pass, ""},
		{"it serves", remedy.ResetVM, evidence.Hang, sibling(known(evidence.Login{Up: true})), guard.Propose, "sibling_healthy"},
		{"it recovers", remedy.ResetVM, evidence.Hang, sibling(known(evidence.Login{Reason: dial.Other, ErrorNumber: 17187})), guard.Propose, "sibling_answers"},
		{"it refuses our password", remedy.ResetVM, evidence.Hang, sibling(lost[evidence.Login](dial.Auth)), guard.Hold, "unreadable"},
		{"it was not asked", remedy.ResetVM, evidence.Hang, latest(func(r *evidence.Round) { r.Siblings = nil }), guard.Hold, "unreadable"},
		{"it serves, and only the sick one is restarted", remedy.RestartService, evidence.Hang, sibling(known(evidence.Login{Up: true})), guard.Pass, ""},
		{"it serves, and nothing is ended by a live migration", remedy.LiveMigrate, evidence.Network, sibling(known(evidence.Login{Up: true})), guard.Pass, ""},
		{"the whole VM is meant, and all are down", remedy.ResetVM, evidence.Guest, func(in *guard.Input) { in.Subject.Instance = evidence.NoInstance }, guard.Pass, ""},
		{"the whole VM is meant, and the witness serves", remedy.ResetVM, evidence.Guest, func(in *guard.Input) {
			in.Subject.Instance = evidence.NoInstance
			latest(func(r *evidence.Round) { r.Login = known(evidence.Login{Up: true}) })(in)
		}, guard.Propose, "sibling_healthy"},
		{"the whole VM is meant, and nothing was asked", remedy.ResetVM, evidence.Guest, func(in *guard.Input) {
			in.Subject.Instance = evidence.NoInstance
			latest(func(r *evidence.Round) { r.Siblings = nil })(in)
		}, guard.Hold, "unreadable"},
		{"nothing was read", remedy.ResetVM, evidence.Hang, func(in *guard.Input) { in.Rounds = nil }, guard.Hold, "no_evidence"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := ending(test.rung, test.fault)
			if test.change != nil {
				test.change(&in)
			}
			if v := says(t, "G34", in); v.Outcome != test.outcome || v.Reason != test.reason {
				t.Errorf("G34 = %s %q (%s), want %s %q", v.Outcome, v.Reason, v.Detail, test.outcome, test.reason)
			}
		})
	}
}
