package drill_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/drill"
)

// TestTheReportHasItsFixedFormat: scripts read it. Figures that never came are null, lists that are empty are lists.
func TestTheReportHasItsFixedFormat(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report.json")
	down := 4.25
	r := drill.Report{Trials: []drill.Trial{{
		Fault: "service-crash", Configuration: drill.Configuration, Profile: "quick", SQLDownSeconds: &down, Commands: []string{}, Outcome: "healed",
		Timeline: []drill.Moment{{AtSeconds: 1.5, Event: "alert", Detail: "SQLServerDown"}},
	}}}
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	var got struct{ Trials []map[string]any }
	read(t, path, &got)
	want := map[string]any{
		"fault": "service-crash", "configuration": "monitored-host-cluster", "profile": "quick", "detection_seconds": nil, "first_command_seconds": nil,
		"sql_down_seconds": 4.25, "failovers_by_cluster": 0.0, "failovers_commanded": 0.0, "commands": []any{}, "outcome": "healed",
		"timeline": []any{map[string]any{"at_seconds": 1.5, "event": "alert", "detail": "SQLServerDown"}},
	}
	for k, v := range want {
		if diff := cmp.Diff(v, got.Trials[0][k]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", k, diff)
		}
	}
}

func TestAReportIsReplacedWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "report.json")
	for _, r := range []drill.Report{{Trials: []drill.Trial{{Fault: "a"}, {Fault: "b"}}}, {}} {
		if err := r.Write(path); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(string(b)), ""); got != `{"trials":[]}` {
		t.Errorf("a report without a trial is %s", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files in the folder, %v; want the report alone", len(entries), err)
	}
	if err := (drill.Report{}).Write(filepath.Join(dir, "no", "report.json")); err == nil {
		t.Error("a report that cannot be written was written")
	}
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

func TestTheComparisonNamesWhatWasGiven(t *testing.T) {
	t.Parallel()
	detection, down := 0.7, 3.75
	var out bytes.Buffer
	drill.Trial{DetectionSeconds: &detection, SQLDownSeconds: &down}.Compare(&out, []string{"start of a service 2s"})
	for _, want := range []string{"fault to detection     0.7", "detection to recovery  3.0", "SQL Server down        3.8", "66", "126", "192", "55", "- start of a service 2s", "simulation"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "Failovers") {
		t.Errorf("failovers are told where there were none:\n%s", out.String())
	}
	out.Reset()
	drill.Trial{FailoversByCluster: 1}.Compare(&out, nil)
	if !strings.Contains(out.String(), "Failovers: 1 by the cluster, 0 commanded. In 2010") {
		t.Errorf("the failover is not told:\n%s", out.String())
	}
	out.Reset()
	drill.Trial{DetectionSeconds: &detection}.Compare(&out, nil)
	if !strings.Contains(out.String(), "SQL Server down        -") {
		t.Errorf("a time that never came is not left out:\n%s", out.String())
	}
}
