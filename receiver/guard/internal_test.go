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

// TestAnInternalErrorPassesEveryGuard: SQL Server takes logins, and nothing of it stands in the way where the policy opts in.
func TestAnInternalErrorPassesEveryGuard(t *testing.T) {
	t.Parallel()
	in := evident(evidence.Internal)
	each(func(r *evidence.Round) {
		r.Dumps, r.Host.Value.HealthState = known([]cluster.Process{}), 5
	})(&in)
	if v, stopped := guard.Decide(guard.Evaluate(in)); stopped {
		t.Errorf("%s %s %q: %s", v.Guard, v.Outcome, v.Reason, v.Detail)
	}
	in.Policy.InternalLevel = 0
	if v, _ := guard.Decide(guard.Evaluate(in)); v.Guard != "G8" || v.Reason != guard.ReasonTellsOnly {
		t.Errorf("without a level: %s %s %q, want G8 to tell only", v.Guard, v.Outcome, v.Reason)
	}
}

// TestWhatAWorkingServerBeginsCounts: a SQL Server that calls itself sick works on after the alert, so that what was read
// of its work grows old while it waits (G35, G36).
func TestWhatAWorkingServerBeginsCounts(t *testing.T) {
	t.Parallel()
	in := evident(evidence.Internal)
	in.StartsAt = now.Add(-time.Hour)
	each(func(r *evidence.Round) { r.Dumps, r.Host.Value.HealthState = known([]cluster.Process{}), 5 })(&in)
	for age, want := range map[time.Duration]map[string]string{
		10 * time.Second: {"G35": "", "G36": ""},
		3 * time.Minute:  {"G35": "", "G36": "long"},
		6 * time.Minute:  {"G35": "work_unknown", "G36": "long"},
	} {
		in.Vitals.Work = map[string]evidence.Reading[evidence.Work]{"MSSQLSERVER": {At: now.Add(-age)}}
		for id, reason := range want {
			if v := says(t, id, in); v.Reason != reason {
				t.Errorf("read %s ago: %s %s %q (%s), want %q", age, id, v.Outcome, v.Reason, v.Detail, reason)
			}
		}
	}
}

// TestRevalidateAnInternalError: right before the command a login is no veto, and a clean set is (G9).
func TestRevalidateAnInternalError(t *testing.T) {
	t.Parallel()
	created := now.Add(-time.Hour)
	terminate := remedy.Command{Method: remedy.TerminateProcess, PID: 7, Created: created}
	reboot := remedy.Command{Method: remedy.RebootGuest, VMID: "vm-1", Node: "HV1"}
	for name, tt := range map[string]struct {
		change  func(*evidence.Round)
		outcome guard.Outcome
		reason  string
	}{
		"still an error":          {func(*evidence.Round) {}, guard.Pass, ""},
		"clean":                   {diagnosed(1, 1, 1), guard.Refuse, "clean"},
		"only above the level":    {diagnosed(1, 1, 3), guard.Refuse, "clean"},
		"it could not be read":    {func(r *evidence.Round) { r.Diagnostics = lost[evidence.Diagnostics](dial.QueryTimeout) }, guard.Hold, "unreadable"},
		"and nobody can log in":   {func(r *evidence.Round) { r.Login = known(evidence.Login{Reason: dial.LoginTimeout}) }, guard.Pass, ""},
		"the answer is too old":   {func(r *evidence.Round) { r.Diagnostics.At = now.Add(-time.Second) }, guard.Hold, "stale"},
		"the set itself is older": {func(r *evidence.Round) { r.Diagnostics.Value.Received = now.Add(-9 * time.Second) }, guard.Pass, ""},
	} {
		for _, cmd := range []remedy.Command{terminate, reboot} {
			in := evident(evidence.Internal)
			latest(func(r *evidence.Round) {
				r.Process = known(cluster.Process{ID: 7, Created: created})
				r.Host.Value.Host, r.Host.Value.HealthState, r.Host.Value.Uptime = "HV1", 5, time.Hour
				tt.change(r)
			})(&in)
			if v := guard.Revalidate(in, cmd, "HV1"); v.Outcome != tt.outcome || v.Reason != tt.reason {
				t.Errorf("%s, %s: %s %q (%s), want %s %q", name, cmd.Method, v.Outcome, v.Reason, v.Detail, tt.outcome, tt.reason)
			}
		}
	}
}
