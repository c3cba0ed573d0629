package guard_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// TestATimeThatIsNotKnownIsNotLongAgo takes away each moment that a guard counts from: the zero of the calendar is older
// than every wait, so that each guard must say that it does not know.
func TestATimeThatIsNotKnownIsNotLongAgo(t *testing.T) {
	t.Parallel()
	of := func(fault evidence.Fault, rung remedy.Rung) guard.Input {
		in := evident(fault)
		in.Rung = rung
		return in
	}
	lostHost := passing()
	lostHost.Subject.Fault, lostHost.Rung = evidence.Host, remedy.StartGroup
	notStarted := func(in *guard.Input) { in.StartsAt = time.Time{} }
	notOpened := func(in *guard.Input) { in.Opened = time.Time{} }
	newborn := each(func(r *evidence.Round) { r.Process.Value.Created = time.Time{} })
	monitored := each(func(r *evidence.Round) {
		r.Monitoring = known(cluster.HeartbeatMonitoring{On: true, Within: time.Minute})
		r.Host.Value.Uptime = time.Hour
	})
	watched := each(func(r *evidence.Round) { r.Placement = known(evidence.Placement{Monitored: known(true)}) })
	orderly := func(in *guard.Input) { in.Vitals.Orderly = known(cluster.Orderly{}) }
	failed := groups(func(g *cluster.Group) { g.State = cluster.GroupFailed })
	for name, tt := range map[string]struct {
		in      guard.Input
		ready   []func(*guard.Input) // makes the guard pass
		take    func(*guard.Input)
		guard   string
		outcome guard.Outcome
		reason  string
	}{
		"the process of a hang":              {of(evidence.Hang, remedy.RestartService), nil, newborn, "G8", guard.Hold, "unreadable"},
		"the process of an internal error":   {of(evidence.Internal, remedy.RestartService), nil, newborn, "G8", guard.Hold, "unreadable"},
		"the process, for over a minute":     {of(evidence.Hang, remedy.RestartService), []func(*guard.Input){func(in *guard.Input) { in.UnreadableSince = now.Add(-61 * time.Second) }}, newborn, "G8", guard.Refuse, "unreadable"},
		"the first round of two":             {passing(), nil, func(in *guard.Input) { in.Rounds[0].Started = time.Time{} }, "G8", guard.Hold, "more_rounds"},
		"the newest round":                   {passing(), nil, latest(func(r *evidence.Round) { r.Started = time.Time{} }), "G8", guard.Hold, "unreadable"},
		"since when the disks are the same":  {of(evidence.Guest, remedy.ResetVM), nil, func(in *guard.Input) { in.Vitals.StillSince = time.Time{} }, "G8", guard.Hold, "disk_io"},
		"when the alert came":                {passing(), nil, notOpened, "G6", guard.Refuse, "not_opened"},
		"a guest's alert, before the loss":   {of(evidence.Guest, remedy.ResetVM), []func(*guard.Input){func(in *guard.Input) { in.Opened = now.Add(-time.Minute) }}, notOpened, "G12", guard.Hold, "unreadable"},
		"a host's alert":                     {lostHost, []func(*guard.Input){func(in *guard.Input) { in.StartsAt = now.Add(-time.Hour) }, failed}, notStarted, "G12", guard.Hold, "unreadable"},
		"a dead guest that the cluster owns": {of(evidence.Guest, remedy.ResetVM), []func(*guard.Input){func(in *guard.Input) { in.Opened = now.Add(-time.Hour) }, monitored}, notOpened, "G11", guard.Hold, "unread"},
		"a network that the cluster owns":    {of(evidence.Network, remedy.LiveMigrate), []func(*guard.Input){func(in *guard.Input) { in.StartsAt = now.Add(-time.Hour) }, watched}, notStarted, "G11", guard.Hold, "unread"},
		"a load that the cluster balances": {of(evidence.Resource, remedy.LiveMigrate), []func(*guard.Input){func(in *guard.Input) {
			in.Opened, in.Info.AutoBalancerMode, in.Info.AutoBalancerLevel = now.Add(-time.Hour), 2, 1
		}}, notOpened, "G11", guard.Hold, "unread"},
		"the alert, of a guest that updates": {of(evidence.Guest, remedy.ResetVM), []func(*guard.Input){orderly}, notStarted, "G32", guard.Propose, "unknown"},
		"the alert, of a backup":             {of(evidence.Hang, remedy.RestartService), []func(*guard.Input){each(func(r *evidence.Round) { r.Dumps, r.Host.Value.HealthState = known([]cluster.Process{}), 5 })}, notStarted, "G35", guard.Propose, "work_unknown"},
		"the alert, of what is undone":       {of(evidence.Hang, remedy.RestartService), nil, notStarted, "G36", guard.Propose, "unknown"},
		"the receiver's start":               {passing(), nil, func(in *guard.Input) { in.Started = time.Time{} }, "G13", guard.Hold, "hold_off"},
		"a change of the owner": {passing(), nil, func(in *guard.Input) {
			in.Owners = append(in.Owners, guard.Ownership{Node: "HV2"})
			groups(func(g *cluster.Group) { g.Owner = "HV2" })(in)
		}, "G10", guard.Hold, "moved"},
		"the end of a pause": {passing(), nil, func(in *guard.Input) { in.Pauses = []guard.Pause{{ID: "p", Owner: "ada"}} }, "G21", guard.Hold, "paused"},
		"three that were begun": {passing(), nil, func(in *guard.Input) {
			for range 3 {
				past(guard.Past{Rung: remedy.ResetVM, Ended: now.Add(-19 * time.Hour)})(in)
			}
		}, "G15", guard.Propose, "actions_per_24h"},
		"two that were begun elsewhere": {passing(), nil, func(in *guard.Input) {
			p := guard.Past{VM: evidence.VM{Cluster: "c", Name: "SQL02"}, Ended: now.Add(-8 * time.Minute)}
			in.Past = []guard.Past{p, p}
		}, "G16", guard.Hold, "per_10_minutes"},
		"one of the events of a clean stop": {passing(), []func(*guard.Input){each(func(r *evidence.Round) { r.Service.Value.ExitCode = 0 })}, each(func(r *evidence.Round) {
			r.Events = known([]cluster.Event{{ID: 7034, At: now.Add(-time.Hour)}, {ID: 7036}})
		}), "G31", guard.Refuse, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, f := range tt.ready {
				f(&tt.in)
			}
			if v := says(t, tt.guard, tt.in); v.Outcome != guard.Pass {
				t.Fatalf("before: %s %s %q (%s), want pass", tt.guard, v.Outcome, v.Reason, v.Detail)
			}
			tt.take(&tt.in)
			v := says(t, tt.guard, tt.in)
			if v.Outcome != tt.outcome || v.Reason != tt.reason {
				t.Errorf("%s %s %q (%s), want %s %q", tt.guard, v.Outcome, v.Reason, v.Detail, tt.outcome, tt.reason)
			}
			if v.Outcome == guard.Hold && !v.Until.After(now) {
				t.Errorf("held until %s, which is over", v.Until)
			}
			if _, stop := guard.Decide(guard.Evaluate(tt.in)); !stop {
				t.Error("Decide lets the command through")
			}
		})
	}
}

// TestANodeThatWasLeftAtAnUnknownTime is no destination (G20).
func TestANodeThatWasLeftAtAnUnknownTime(t *testing.T) {
	t.Parallel()
	in := moving(nil)
	before, _, _ := guard.Destination(in)
	in.Owners = []guard.Ownership{{Node: before, Since: now.Add(-2 * time.Hour)}, {Node: "HV1"}}
	if after, list, ok := guard.Destination(in); !ok || before == "" || after == before {
		t.Errorf("first %q, then %q (%v)", before, after, list)
	}
}

// TestAProcessWithoutABirth is not taken for the one of the plan, nor for another one (G9).
func TestAProcessWithoutABirth(t *testing.T) {
	t.Parallel()
	for _, created := range []time.Time{now.Add(-time.Hour), {}} {
		in := passing()
		latest(func(r *evidence.Round) { r.Process = known(cluster.Process{ID: 7}) })(&in)
		v := guard.Revalidate(in, remedy.Command{Method: remedy.TerminateProcess, PID: 7, Created: created}, "HV1")
		if v.Outcome != guard.Hold || v.Reason != "unreadable" {
			t.Errorf("the plan's created %s: %s %q (%s), want it held", created, v.Outcome, v.Reason, v.Detail)
		}
	}
}
