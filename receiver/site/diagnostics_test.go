package site

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// TestReadOfWhatSQLServerSaysOfItself, over the wire: the last set of the instance's stream, and of no stream that has ended.
func TestReadOfWhatSQLServerSaysOfItself(t *testing.T) {
	t.Parallel()
	l, s := labSite(t, nil)
	ask := evidence.Ask{
		VM: evidence.VM{Cluster: "hv-lab", Name: "SQL03"}, Instance: "MSSQLSERVER", Timeout: time.Second,
		Parts: []evidence.Part{evidence.PartDiagnostics},
	}
	inject(t, l, model.SQLInternal, "SQL03")
	var r evidence.Reading[evidence.Diagnostics]
	for began := time.Now(); !r.Known(); r = s.Read(t.Context(), ask).Diagnostics {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("no set within 30 s: %+v", r)
		}
	}
	sick := r.Value.Sick()
	if len(sick) != 1 || sick[0] != (evidence.Sick{Component: "system", Level: 3, Sets: 1}) || len(r.Value.Components) != 5 || r.Value.Clean() {
		t.Errorf("diagnostics = %+v, want five components, of which system is in error for one set", r.Value)
	}
	inject(t, l, model.ServiceCrash, "SQL03")
	for began := time.Now(); r.Known(); r = s.Read(t.Context(), ask).Diagnostics {
		if time.Since(began) > 5*time.Second {
			t.Fatalf("the set of a process that is gone still counts: %+v", r)
		}
	}
}
