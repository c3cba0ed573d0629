package receiver

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// TestTheWorstInstanceSpeaksForTheRung, and what was not rehearsed has no series.
func TestTheWorstInstanceSpeaksForTheRung(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 0)
	id := evidence.VM{Cluster: "c", Name: "SQL01"}
	state := incident.New(&config.Config{}, at)
	state.VMs = state.VMs.With(id, incident.VM{Rescue: incident.Rescue{At: at, Rungs: []incident.Rescuer{
		{Instance: "A", Rung: remedy.RestartService, Ready: true, Predicted: 9 * time.Second},
		{Instance: "B", Rung: remedy.RestartService, Decisive: guard.Verdict{Guard: "G33", Reason: "differs"}, Predicted: 4 * time.Second},
	}}})
	c := newStateCollector(func() *incident.State { return &state })
	want := `# HELP hypervigil_rescue_ready 1 when, at the last rehearsal, nothing but the policy's mode stood in the way of the rung; of several instances and faults the worst.
# TYPE hypervigil_rescue_ready gauge
hypervigil_rescue_ready{cluster="c",rung="restart_service",vm="SQL01"} 0
# HELP hypervigil_rescue_refused 1 for the first guard that stood in the rung's way at the last rehearsal, and its reason.
# TYPE hypervigil_rescue_refused gauge
hypervigil_rescue_refused{cluster="c",guard="G33",reason="differs",rung="restart_service",vm="SQL01"} 1
# HELP hypervigil_rescue_predicted_seconds From the accepted alert to the rung's end: the guards' waits, and the longest verified run of the last 24 h or else the most that it may take.
# TYPE hypervigil_rescue_predicted_seconds gauge
hypervigil_rescue_predicted_seconds{cluster="c",rung="restart_service",vm="SQL01"} 9
# HELP hypervigil_rescue_timestamp_seconds When the virtual machine was last rehearsed; with an open incident it is not.
# TYPE hypervigil_rescue_timestamp_seconds gauge
hypervigil_rescue_timestamp_seconds{cluster="c",vm="SQL01"} 1.7e+09
`
	names := []string{"hypervigil_rescue_ready", "hypervigil_rescue_refused", "hypervigil_rescue_predicted_seconds", "hypervigil_rescue_timestamp_seconds"}
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	state.VMs = state.VMs.With(id, incident.VM{})
	if n := testutil.CollectAndCount(c, names...); n != 0 {
		t.Errorf("%d series tell of a rehearsal that was not made", n)
	}
}
