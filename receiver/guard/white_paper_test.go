package guard_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// TestTheWhitePaperSpendsTwoBudgets: it is a move and a restart, by its own name and for others (G15).
func TestTheWhitePaperSpendsTwoBudgets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rung   remedy.Rung
		past   []remedy.Rung
		reason string
	}{
		{remedy.WhitePaper, nil, ""},
		{remedy.WhitePaper, []remedy.Rung{remedy.LiveMigrate}, "moves_per_6h"},
		{remedy.WhitePaper, []remedy.Rung{remedy.ResetVM}, ""},
		{remedy.WhitePaper, []remedy.Rung{remedy.ResetVM, remedy.NMIRestart}, "vm_restarts_per_6h"},
		{remedy.LiveMigrate, []remedy.Rung{remedy.WhitePaper}, "moves_per_6h"},
		{remedy.ResetVM, []remedy.Rung{remedy.WhitePaper}, ""},
		{remedy.ResetVM, []remedy.Rung{remedy.WhitePaper, remedy.ResetVM}, "vm_restarts_per_6h"},
		{remedy.RestartService, []remedy.Rung{remedy.WhitePaper, remedy.WhitePaper}, ""},
	} {
		in := passing()
		in.Rung = tt.rung
		for _, r := range tt.past {
			in.Past = append(in.Past, guard.Past{VM: in.Subject.VM, Rung: r, Started: now.Add(-2 * time.Hour), Ended: now.Add(-time.Hour)})
		}
		for _, v := range guard.Evaluate(in) {
			if v.Guard == "G15" && v.Reason != tt.reason {
				t.Errorf("G15 of %s after %v = %s %q, want %q", tt.rung, tt.past, v.Outcome, v.Reason, tt.reason)
			}
		}
	}
}

// TestRevalidateBehindAMove: the run that a move has resumed is waited for, another one is not ended, and a guest that
// lives is not moved (G9).
func TestRevalidateBehindAMove(t *testing.T) {
	t.Parallel()
	reset := remedy.Command{Method: remedy.ResetSystem, VMID: "vm-1", Node: "HV1", LeastRun: remedy.LeastResumed}
	moved := now.Add(-10 * time.Second)
	tests := map[string]struct {
		cmd       remedy.Command
		moved     time.Time
		uptime    time.Duration
		heartbeat cluster.Heartbeat
		want      guard.Outcome
		reason    string
	}{
		"resumed a moment ago":           {reset, moved, 11 * time.Second, cluster.HeartbeatLostCommunication, guard.Hold, "resumed"},
		"resumed long enough ago":        {reset, moved, 21 * time.Second, cluster.HeartbeatLostCommunication, guard.Pass, ""},
		"a host that counts on":          {reset, moved, time.Hour, cluster.HeartbeatLostCommunication, guard.Pass, ""},
		"another run":                    {reset, moved, 5 * time.Second, cluster.HeartbeatLostCommunication, guard.Refuse, "restarted"},
		"an uptime that nobody tells":    {reset, moved, 0, cluster.HeartbeatLostCommunication, guard.Refuse, "restarted"},
		"no move, and young":             {reset, time.Time{}, 11 * time.Second, cluster.HeartbeatLostCommunication, guard.Refuse, "restarted"},
		"a guest that lives":             {reset, moved, time.Hour, cluster.HeartbeatOK, guard.Refuse, "heartbeat"},
		"a guest that lives, to move":    {remedy.Command{Method: remedy.MoveGroup, Node: "HV2", To: "HV2", From: "HV1"}, time.Time{}, time.Hour, cluster.HeartbeatOK, guard.Refuse, "heartbeat"},
		"a guest that is dead, to move ": {remedy.Command{Method: remedy.MoveGroup, Node: "HV2", To: "HV2", From: "HV1"}, time.Time{}, time.Hour, cluster.HeartbeatLostCommunication, guard.Pass, ""},
	}
	for name, tt := range tests {
		in := passing()
		in.Rung, in.Subject.Fault, in.Moved = remedy.WhitePaper, evidence.Guest, tt.moved
		h := &in.Rounds[len(in.Rounds)-1].Host.Value
		h.Host, h.HealthState, h.Uptime, h.Heartbeat = "HV1", 5, tt.uptime, tt.heartbeat
		if v := guard.Revalidate(in, tt.cmd, "HV1"); v.Outcome != tt.want || v.Reason != tt.reason {
			t.Errorf("%s: %s %q (%s), want %s %q", name, v.Outcome, v.Reason, v.Detail, tt.want, tt.reason)
		}
	}
}
