package site

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// TestKeepReadsWhatARestartDestroys, over the wire: everything of a SQL Server that answers; of one that hangs, what its
// stream of diagnostics said last, and the rest without waiting for it.
func TestKeepReadsWhatARestartDestroys(t *testing.T) {
	t.Parallel()
	l, s := labSite(t, nil)
	vm := evidence.VM{Cluster: "hv-lab", Name: "SQL03"}
	ask := evidence.Ask{VM: vm, Instance: "MSSQLSERVER", Owner: "HV3", Timeout: 4 * time.Second, EventsSince: time.Now().Add(-time.Hour)}
	inject(t, l, model.SQLTransaction, "SQL03")
	// The first set of sp_server_diagnostics takes a while; background looks keep the stream open until then.
	for began := time.Now(); ; {
		s.Sense(t.Context(), ask)
		if m := s.clusters["hv-lab"].vms["SQL03"]; !m.streams["MSSQLSERVER"].Last().Received.IsZero() {
			break
		}
		if time.Since(began) > 30*time.Second {
			t.Fatal("no diagnostics within 30 s")
		}
	}
	b := s.Keep(t.Context(), ask).Bounded()
	if missing := b.Missing(); len(missing) > 0 {
		t.Errorf("missing: %v", missing)
	}
	st := b.Instances["MSSQLSERVER"]
	if len(b.Instances) != 1 || len(st.Diagnostics.Value) < 4 || len(st.Waits.Value) == 0 || st.Work.Value.Oldest < 10*time.Minute {
		t.Errorf("instances = %+v, want MSSQLSERVER alone, with components, waits and a transaction of ten minutes", b.Instances)
	}
	if len(b.Disks.Value) == 0 || b.Host.Value.State == 0 {
		t.Errorf("disks %v, host %+v, want both", b.Disks, b.Host)
	}

	inject(t, l, model.SQLHang, "SQL03")
	ctx, cancel := context.WithTimeout(t.Context(), ask.Timeout)
	defer cancel()
	began := time.Now()
	hung := s.Keep(ctx, ask)
	if took := time.Since(began); took > standingTimeout+time.Second {
		t.Errorf("a SQL Server that hangs took %s, want little more than the %s that it is waited for", took, standingTimeout)
	}
	st = hung.Instances["MSSQLSERVER"]
	if !st.Diagnostics.Known() || st.Waits.Known() || st.Waits.Failure == dial.Answered || st.Work.Known() {
		t.Errorf("of one that hangs: %+v, want the diagnostics of before and nothing else", st)
	}
	if !hung.Host.Known() || !hung.GuestEvents.Known() {
		t.Errorf("host %+v, guest events %+v, want both known", hung.Host, hung.GuestEvents)
	}

	ask.Instance = evidence.NoInstance
	if all := s.Keep(ctx, ask); len(all.Instances) != 2 {
		t.Errorf("%d instances, want both of the virtual machine", len(all.Instances))
	}
	ask.Owner = ""
	if lost := s.Keep(t.Context(), ask); lost.Disks.Known() || !strings.Contains(lost.Host.Detail, "inventory") {
		t.Errorf("without an owner: %+v, want it said", lost.Host)
	}
}
