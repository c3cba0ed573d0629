package site

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// TestSenseReadsWhatSQLServerIsInTheMiddleOf, over the wire, and not of one that hangs: that is no word that nothing is
// open.
func TestSenseReadsWhatSQLServerIsInTheMiddleOf(t *testing.T) {
	t.Parallel()
	l, s := labSite(t, nil)
	ask := evidence.Ask{VM: evidence.VM{Cluster: "hv-lab", Name: "SQL03"}, Owner: "HV3", Timeout: 5 * time.Second}
	quiet := s.Sense(t.Context(), ask)
	for _, instance := range []string{"MSSQLSERVER", "REPORTING"} {
		if w := quiet.Work[instance]; !w.Known() || w.Value != (evidence.Work{}) {
			t.Errorf("work of %s = %+v, want known and none", instance, w)
		}
	}
	inject(t, l, model.SQLTransaction, "SQL03")
	inject(t, l, model.SQLBackup, "SQL03")
	busy := s.Sense(t.Context(), ask).Work["MSSQLSERVER"]
	if !busy.Known() || busy.Value.Oldest < 10*time.Minute || busy.Value.Oldest > 11*time.Minute || !busy.Value.Backup || busy.Value.Restore {
		t.Errorf("work = %+v, want a transaction of ten minutes and a backup", busy)
	}
	inject(t, l, model.SQLHang, "SQL03")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	hung := s.Sense(ctx, ask)
	if w := hung.Work["MSSQLSERVER"]; w.Known() {
		t.Errorf("work of a hanging instance = %+v, want none", w)
	}
	if w := hung.Work["REPORTING"]; !w.Known() {
		t.Errorf("work of its neighbour = %+v, want known", w)
	}
}

// TestReadOfWhatIsUnderWay asks the lab, over the wire, for all that G34 and G35 look at.
func TestReadOfWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	l, s := labSite(t, nil)
	id := s.Prove(t.Context(), evidence.VM{Cluster: "hv-lab", Name: "SQL03"}).Binding.VMID
	ask := evidence.Ask{
		VM: evidence.VM{Cluster: "hv-lab", Name: "SQL03"}, Instance: "MSSQLSERVER", Owner: "HV3", VMID: id, Timeout: 5 * time.Second,
		Parts: []evidence.Part{evidence.PartActivity, evidence.PartDumps, evidence.PartSiblings, evidence.PartHost},
	}
	quiet := s.Read(t.Context(), ask)
	if a := quiet.Activity; !a.Known() || len(a.Value.Jobs)+len(a.Value.Replica)+len(a.Value.Backups) > 0 {
		t.Errorf("activity = %+v, want known and none", a)
	}
	if d := quiet.Dumps; !d.Known() || len(d.Value) > 0 {
		t.Errorf("dumps = %+v, want known and none", d)
	}
	if b := quiet.Siblings["REPORTING"]; len(quiet.Siblings) != 1 || !b.Known() || !b.Value.Up {
		t.Errorf("siblings = %+v, want REPORTING, up", quiet.Siblings)
	}
	for _, how := range model.AtWorks() {
		in, err := l.Inject(model.Request{Fault: model.VMAtWork, VM: "SQL03", Component: how})
		if err != nil {
			t.Fatal(err)
		}
		r := s.Read(t.Context(), ask)
		got := map[string]bool{
			"merge": slices.Equal(r.Host.Value.OperationalStatus, []uint16{2, 32772}), "health": r.Host.Value.HealthState == 25,
			"job": slices.Equal(r.Activity.Value.Jobs, []string{"Msvm_ConcreteJob"}), "migration": slices.Equal(r.Activity.Value.Jobs, []string{"Msvm_MigrationJob"}),
			"replica": slices.Equal(r.Activity.Value.Replica, []uint16{10}), "volume-backup": len(r.Activity.Value.Backups) == 1,
			"dump": len(r.Dumps.Value) == 1 && !r.Dumps.Value[0].Created.IsZero(),
		}
		for name, seen := range got {
			if seen != (name == how) {
				t.Errorf("%s is under way: %s seen %t (%+v, dumps %+v)", how, name, seen, r.Activity, r.Dumps)
			}
		}
		l.Heal(in.ID)
	}
	// What is done to a neighbour is not this one's.
	if _, err := l.Inject(model.Request{Fault: model.VMAtWork, VM: "DC01", Component: "job"}); err != nil {
		t.Fatal(err)
	}
	if r := s.Read(t.Context(), ask); !r.Activity.Known() || len(r.Activity.Value.Jobs) > 0 {
		t.Errorf("activity = %+v while a job names another machine of the host, want none", r.Activity)
	}
}

// TestSenseReadsWhetherTheGuestGoes asks the lab, over the wire, for all that G32 looks at.
func TestSenseReadsWhetherTheGuestGoes(t *testing.T) {
	t.Parallel()
	l, s := labSite(t, nil)
	ask := evidence.Ask{VM: evidence.VM{Cluster: "hv-lab", Name: "SQL01"}, Owner: "HV1", Timeout: 5 * time.Second, EventsSince: time.Now().Add(-time.Hour)}
	quiet := s.Sense(t.Context(), ask).Orderly
	if o := quiet.Value; !quiet.Known() || len(o.Events)+len(o.Servicing) > 0 || o.PendingReboot || o.LastBoot.IsZero() {
		t.Errorf("orderly = %+v, want known, and nothing but the last boot", quiet)
	}
	for _, how := range []string{"servicing", "pending-reboot"} { // the second stays in the log
		in, err := l.Inject(model.Request{Fault: model.VMAtWork, VM: "SQL01", Component: how})
		if err != nil {
			t.Fatal(err)
		}
		o := s.Sense(t.Context(), ask).Orderly.Value
		if slices.Equal(o.Servicing, []string{"TiWorker.exe"}) != (how == "servicing") || o.PendingReboot != (how == "pending-reboot") {
			t.Errorf("%s: orderly = %+v", how, o)
		}
		l.Heal(in.ID)
	}
	inject(t, l, model.GuestRestart, "SQL01")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if o := s.Sense(ctx, ask).Orderly; o.Known() {
		t.Errorf("orderly of a guest that boots = %+v, want none", o)
	}
}

// TestSenseCountsTheDisksOfAGuestThatIsDead, over the wire: they stand still, and move again where it writes.
func TestSenseCountsTheDisksOfAGuestThatIsDead(t *testing.T) {
	t.Parallel()
	l, s := labSite(t, nil)
	vm := evidence.VM{Cluster: "hv-lab", Name: "SQL01"}
	id := s.Prove(t.Context(), vm).Binding.VMID
	ask := evidence.Ask{VM: vm, VMID: id, Owner: "HV1", Timeout: 5 * time.Second, Parts: []evidence.Part{evidence.PartMonitoring}}
	sense := func() evidence.Vitals {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		return s.Sense(ctx, ask)
	}
	if r := s.Read(t.Context(), ask).Monitoring; !r.Known() || r.Value.On || r.Value.Within != 6*time.Minute {
		t.Errorf("monitoring = %+v, want it off, and six minutes", r)
	}
	var v evidence.Vitals
	// moved waits until its disks were used again: the lab counts at a pace, and two readings of one moment are the same.
	moved := func() {
		t.Helper()
		for tries := 0; maps.Equal(sense().Disks.Value.Disks, v.Disks.Value.Disks); tries++ {
			if tries == 1000 {
				t.Fatal("its disks stand still")
			}
		}
	}
	for n, want := range []bool{false, false, true, false} { // that they are as they were
		switch n {
		case 1:
			moved()
			inject(t, l, model.GuestHang, "SQL01")
		case 3:
			if _, err := l.Inject(model.Request{Fault: model.VMAtWork, VM: "SQL01", Component: "disk"}); err != nil {
				t.Fatal(err)
			}
			moved()
		}
		since := v.StillSince
		v = v.Counted(sense().Disks)
		if d := v.Disks; !d.Known() || len(d.Value.Disks) != 1 || d.Value.Host != "HV1" || v.StillSince.Equal(since) != want {
			t.Errorf("reading %d: disks %+v, still since %s, before %s; want the same: %t", n, d, v.StillSince, since, want)
		}
	}
	ask.VMID = ""
	if after := v.Counted(sense().Disks); after.Disks.At != v.Disks.At || after.StillSince != v.StillSince {
		t.Errorf("a reading that was not made changed %+v to %+v", v, after)
	}
}
