package site

import (
	"context"
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
