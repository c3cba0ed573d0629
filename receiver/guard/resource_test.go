package guard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// starvedHost is a round of a SQL Server that serves on a host that has nothing left; HV2 and HV3 have, HV2 the most.
func starvedHost(at time.Time) evidence.Round {
	r := deadService(at)
	r.Login = known(evidence.Login{Up: true, Took: 20 * time.Millisecond})
	r.Service = known(cluster.Service{Name: "MSSQLSERVER", State: cluster.ServiceRunning, StartMode: "Auto", ProcessID: 7})
	r.Process = known(cluster.Process{ID: 7, Created: at.Add(-time.Hour)})
	r.Activity = known(cluster.Activity{})
	diagnosed(1, 2, 1)(&r)
	r.Host.Value.Host, r.Host.Value.ProcessorLoad, r.Host.Value.Processors = "HV1", 60, 4
	r.Loads = map[string]evidence.Reading[evidence.Load]{"HV1": load(0.97, 0.6), "HV2": load(0.10, 0.6), "HV3": load(0.30, 0.6)}
	r.Placement = known(placement())
	return r
}

func load(busy, pressure float64) evidence.Reading[evidence.Load] {
	return known(evidence.Load{Busy: busy, Over: 20 * time.Second, Processors: 16, Pressure: pressure})
}

// loads changes what one node says of its load.
func loads(node string, l evidence.Reading[evidence.Load]) func(*evidence.Round) {
	return func(r *evidence.Round) {
		all := map[string]evidence.Reading[evidence.Load]{node: l}
		for n, other := range r.Loads {
			if n != node {
				all[n] = other
			}
		}
		r.Loads = all
	}
}

// TestAStarvedHostPassesEveryGuard: SQL Server takes logins, and nothing of it stands in the way where the policy names
// the rung.
func TestAStarvedHostPassesEveryGuard(t *testing.T) {
	t.Parallel()
	in := evident(evidence.Resource)
	if v, _ := guard.Decide(guard.Evaluate(in)); v.Guard != "G22" || v.Outcome != guard.Propose {
		t.Errorf("a policy that does not name live_migrate: %s %s %q, want G22 to propose", v.Guard, v.Outcome, v.Reason)
	}
	in.Policy.Rungs = map[string]config.Mode{"live_migrate": config.Act}
	if v, stopped := guard.Decide(guard.Evaluate(in)); stopped {
		t.Errorf("%s %s %q: %s", v.Guard, v.Outcome, v.Reason, v.Detail)
	}
}

// TestWhatCountsAsStarved is the row of G8's table: every reading as it is needed, against it, and not made.
func TestWhatCountsAsStarved(t *testing.T) {
	t.Parallel()
	spare := func(percent int32) func(*evidence.Round) {
		return func(r *evidence.Round) { r.Host.Value.MemoryAvailable = &percent }
	}
	both := func(changes ...func(*evidence.Round)) func(*evidence.Round) {
		return func(r *evidence.Round) {
			for _, c := range changes {
				c(r)
			}
		}
	}
	calm := loads("HV1", load(0.5, 0.6))
	login := func(l evidence.Login) func(*evidence.Round) {
		return both(diagnosed(1, 1, 1), func(r *evidence.Round) { r.Login = known(l) })
	}
	tests := map[string]struct {
		change  func(*evidence.Round)
		outcome guard.Outcome
		reason  string
		says    string
	}{
		"the host's processors":           {nil, guard.Pass, "", "host HV1 is used at 97 % (over 20s), and SQL Server calls its component resource a warning"},
		"just enough":                     {loads("HV1", load(0.90, 0.6)), guard.Pass, "", "90 %"},
		"just not":                        {loads("HV1", load(0.899, 0.6)), guard.Hold, "pressure_gone", "89 %"},
		"the host's memory":               {loads("HV1", load(0.5, 1.0)), guard.Pass, "", "pressure 100 %"},
		"an error of the component":       {diagnosed(1, 3, 1), guard.Pass, "", "an error"},
		"neither":                         {calm, guard.Hold, "pressure_gone", "vetoed"},
		"the machine alone":               {both(calm, func(r *evidence.Round) { r.Host.Value.ProcessorLoad = 99 }), guard.Propose, guard.ReasonGuestStarved, "uses 99 % of its processors"},
		"the machine's memory alone":      {both(calm, spare(-1)), guard.Propose, guard.ReasonGuestStarved, "more memory than it has"},
		"memory to spare":                 {both(calm, spare(0)), guard.Hold, "pressure_gone", ""},
		"the host, and the machine, too":  {func(r *evidence.Round) { r.Host.Value.ProcessorLoad = 99 }, guard.Pass, "", "host HV1"},
		"SQL Server is well":              {diagnosed(1, 1, 1), guard.Hold, "not_suffering", ""},
		"another component":               {diagnosed(3, 1, 3), guard.Hold, "not_suffering", ""},
		"a slow login":                    {login(evidence.Login{Up: true, Took: 1001 * time.Millisecond}), guard.Pass, "", "a login takes 1.001s"},
		"a login that is not slow":        {login(evidence.Login{Up: true, Took: time.Second}), guard.Hold, "not_suffering", ""},
		"a login without an answer":       {login(evidence.Login{Reason: dial.LoginTimeout}), guard.Pass, "", "login_timeout"},
		"a port that refuses is not slow": {login(evidence.Login{Reason: dial.Refused}), guard.Hold, "not_suffering", ""},
		"the host does not tell":          {loads("HV1", lost[evidence.Load](dial.QueryTimeout)), guard.Hold, "unreadable", "how busy host HV1 is"},
		"the host was not asked":          {func(r *evidence.Round) { r.Loads = nil }, guard.Hold, "unreadable", "not asked"},
		"another host's word is none":     {both(func(r *evidence.Round) { r.Host.Value.Host = "HV4" }), guard.Hold, "unreadable", "HV4"},
		"nobody tells of the machine":     {func(r *evidence.Round) { r.Host = lost[cluster.VirtualMachine](dial.TCPTimeout) }, guard.Hold, "unreadable", "owner host"},
		"it does not run":                 {func(r *evidence.Round) { r.Host.Value.State = cluster.VMOff }, guard.Hold, "pressure_gone", "not running"},
		"the sets were not read":          {func(r *evidence.Round) { r.Diagnostics = lost[evidence.Diagnostics](dial.Auth) }, guard.Hold, "unreadable", "sp_server_diagnostics"},
		"the sets were not read, it is slow": {func(r *evidence.Round) {
			r.Diagnostics = lost[evidence.Diagnostics](dial.LoginTimeout)
			r.Login.Value.Took = 2 * time.Second
		}, guard.Pass, "", "2s"},
		"no state of the component": {diagnosed(1, 0, 1), guard.Hold, "unreadable", "no state"},
		"our password is wrong":     {both(diagnosed(1, 1, 1), func(r *evidence.Round) { r.Login = lost[evidence.Login](dial.Auth) }), guard.Hold, "unreadable", "could not be tried"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := evident(evidence.Resource)
			if tt.change != nil {
				each(tt.change)(&in)
			}
			if v := says(t, "G8", in); v.Outcome != tt.outcome || v.Reason != tt.reason || !strings.Contains(v.Detail, tt.says) {
				t.Errorf("G8 = %s %q (%s), want %s %q about %q", v.Outcome, v.Reason, v.Detail, tt.outcome, tt.reason, tt.says)
			}
		})
	}
}

// TestThreeSamplesInARow: one of them that says otherwise begins the count anew, and of three that say that the machine alone
// is starved none may say that its host is.
func TestThreeSamplesInARow(t *testing.T) {
	t.Parallel()
	calm := loads("HV1", load(0.5, 0.6))
	for name, tt := range map[string]struct {
		change func(*guard.Input)
		reason string
	}{
		"three":                    {func(in *guard.Input) { in.Rounds = in.Rounds[1:] }, ""},
		"two":                      {func(in *guard.Input) { in.Rounds = in.Rounds[2:] }, "more_rounds"},
		"one between was calm":     {func(in *guard.Input) { calm(&in.Rounds[2]) }, "more_rounds"},
		"the first of four was":    {func(in *guard.Input) { calm(&in.Rounds[0]) }, ""},
		"SQL Server was well once": {func(in *guard.Input) { diagnosed(1, 1, 1)(&in.Rounds[2]) }, "more_rounds"},
		"three in too short a time": {func(in *guard.Input) {
			in.Rounds[1].Started = in.Rounds[3].Started.Add(-39 * time.Second)
			in.Rounds = in.Rounds[1:]
		}, "more_rounds"},
		"the host only lately": {func(in *guard.Input) {
			for n := range 3 {
				calm(&in.Rounds[n])
				in.Rounds[n].Host.Value.ProcessorLoad = 99
			}
		}, "more_rounds"},
		"the alert had ceased": {func(in *guard.Input) { in.Rounds[2].Alert.Value.Active = false }, "more_rounds"},
	} {
		in := evident(evidence.Resource)
		tt.change(&in)
		if v := says(t, "G8", in); v.Reason != tt.reason {
			t.Errorf("%s: %s %q (%s), want %q", name, v.Outcome, v.Reason, v.Detail, tt.reason)
		}
	}
}

// TestAStarvedGuestIsNobodysToMove: no approval makes a plan of what would not help.
func TestAStarvedGuestIsNobodysToMove(t *testing.T) {
	t.Parallel()
	in := evident(evidence.Resource)
	each(func(r *evidence.Round) { loads("HV1", load(0.2, 0.6))(r); r.Host.Value.ProcessorLoad = 99 })(&in)
	in.Policy.Rungs = map[string]config.Mode{"live_migrate": config.Act}
	in.Approvers, in.Plan = []string{"ada"}, func() string { return "plan" }
	in.Approval = guard.Approval{By: "ada", Plan: "plan", At: now.Add(-time.Second), Expires: now.Add(time.Minute)}
	verdicts := guard.Evaluate(in)
	if v, _ := guard.Decide(verdicts); v.Guard != "G8" || v.Outcome != guard.Propose || v.Reason != guard.ReasonGuestStarved || !strings.Contains(v.Unblock, "Set-VMMemory") {
		t.Errorf("decisive %+v, want G8 to propose", v)
	}
	if v := verdicts[len(verdicts)-1]; v.Guard != "G23" || v.Outcome == guard.Pass || v.Reason != guard.ReasonNoPlan {
		t.Errorf("G23 = %+v, want no plan", v)
	}
}

// TestTheClusterBalancesItsLoadFirst (G11).
func TestTheClusterBalancesItsLoadFirst(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mode, level uint32
		open        time.Duration
		outcome     guard.Outcome
		reason      string
	}{
		"it does not":                  {0, 1, time.Minute, guard.Pass, ""},
		"when a node joins":            {1, 1, time.Minute, guard.Pass, ""},
		"always":                       {2, 1, time.Minute, guard.Hold, "load_balancing"},
		"always, readily":              {2, 3, 34*time.Minute + 59*time.Second, guard.Hold, "load_balancing"},
		"always, and has had its time": {2, 1, 35 * time.Minute, guard.Pass, ""},
		"a mode that is not known":     {3, 1, time.Minute, guard.Hold, "load_balancing"},
		"it was not read":              {0, 0, time.Hour, guard.Hold, "unread"},
	} {
		in := evident(evidence.Resource)
		in.Info.AutoBalancerMode, in.Info.AutoBalancerLevel, in.Opened = tt.mode, tt.level, now.Add(-tt.open)
		v := says(t, "G11", in)
		if v.Outcome != tt.outcome || v.Reason != tt.reason {
			t.Errorf("%s: %s %q (%s), want %s %q", name, v.Outcome, v.Reason, v.Detail, tt.outcome, tt.reason)
		}
		if tt.reason == "load_balancing" && !v.Until.Equal(in.Opened.Add(35*time.Minute)) {
			t.Errorf("%s: until %s, want 35 min after it was opened", name, v.Until)
		}
	}
	in := evident(evidence.Resource)
	in.Proof.Baseline = map[string]evidence.Baseline{"MSSQLSERVER": {Hadr: true}}
	if v := says(t, "G11", in); v.Reason != "availability_groups" {
		t.Errorf("availability groups: %s %q", v.Outcome, v.Reason)
	}
}

// TestADestinationHasTheProcessorTime (G20): who is taken, and what is said of everybody.
func TestADestinationHasTheProcessorTime(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change  func(*evidence.Round)
		node    string
		outcome guard.Outcome
		why     map[string]string
		says    string
	}{
		"the least busy": {nil, "HV2", guard.Pass, map[string]string{"HV1": "owner", "HV2": "taken", "HV3": "eligible"}, "HV2: up, may own it, sees its storage and has the memory; is used at 10 %, memory pressure 60 %, and would be at 25 % with it"},
		"the other one":  {loads("HV2", load(0.31, 0.6)), "HV3", guard.Pass, map[string]string{"HV3": "taken", "HV2": "eligible"}, ""},
		"equally busy, by memory": {
			loads("HV2", load(0.30, 0.6)), "HV3", guard.Pass, map[string]string{"HV3": "taken"}, "",
		},
		"a preferred one first, whatever it is used": {func(r *evidence.Round) { r.Placement.Value.PreferredOwners = []string{"HV3"} }, "HV3", guard.Pass, map[string]string{"HV2": "eligible"}, "preferred owner 1"},
		"up to the limit":                    {loads("HV3", load(0.65, 0.6)), "HV2", guard.Pass, map[string]string{"HV3": "eligible"}, ""},
		"over it":                            {loads("HV2", load(0.67, 0.6)), "HV3", guard.Pass, map[string]string{"HV2": "processors"}, "HV2: is used at 67 %, memory pressure 60 %, and would be at 82 % with it; 80 % is the most"},
		"no memory to give":                  {loads("HV2", load(0.10, 1.2)), "HV3", guard.Pass, map[string]string{"HV2": "pressure"}, "pressure 120 %"},
		"one that does not tell":             {loads("HV2", lost[evidence.Load](dial.QueryTimeout)), "HV3", guard.Pass, map[string]string{"HV2": "unreadable"}, "does not tell how busy it is: query_timeout"},
		"no node is better":                  {func(r *evidence.Round) { loads("HV2", load(0.95, 0.6))(r); loads("HV3", load(0.95, 0.6))(r) }, "", guard.Refuse, map[string]string{"HV2": "processors", "HV3": "processors"}, "no node can take it"},
		"none tells":                         {func(r *evidence.Round) { r.Loads = map[string]evidence.Reading[evidence.Load]{"HV1": load(0.97, 0.6)} }, "", guard.Hold, map[string]string{"HV2": "unreadable", "HV3": "unreadable"}, "no node is known"},
		"what the machine uses is not known": {func(r *evidence.Round) { r.Host.Value.Processors = 0 }, "", guard.Hold, map[string]string{"HV2": "unreadable"}, "how many processors"},
		"a smaller node": {func(r *evidence.Round) {
			l := load(0.10, 0.6)
			l.Value.Processors = 2
			loads("HV2", l)(r)
		}, "HV3", guard.Pass, map[string]string{"HV2": "processors"}, "would be at 130 %"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := evident(evidence.Resource)
			if tt.change != nil {
				latest(tt.change)(&in)
			}
			node, list, ok := guard.Destination(in)
			why := map[string]string{}
			for _, c := range list {
				if _, asked := tt.why[c.Node]; asked {
					why[c.Node] = c.Reason
				}
			}
			if diff := cmp.Diff(tt.why, why); diff != "" || node != tt.node || !ok {
				t.Errorf("to %q (want %q), reasons (-want +got):\n%s", node, tt.node, diff)
			}
			if v := says(t, "G20", in); v.Outcome != tt.outcome || !strings.Contains(v.Detail, tt.says) {
				t.Errorf("G20 = %s %q (%s), want %s with %q", v.Outcome, v.Reason, v.Detail, tt.outcome, tt.says)
			}
		})
	}
}

// TestOnlyALiveMigrationLeavesForAStarvedMachine (G9): its SQL Server serves, which is no veto, and nothing ends it.
func TestOnlyALiveMigrationLeavesForAStarvedMachine(t *testing.T) {
	t.Parallel()
	move := func(how remedy.How) remedy.Command {
		return remedy.Command{Method: remedy.MoveGroup, Node: "HV2", From: "HV1", To: "HV2", How: how, VMID: "vm-1"}
	}
	serves, clean := func(*evidence.Round) {}, diagnosed(1, 1, 1)
	for name, tt := range map[string]struct {
		cmd     remedy.Command
		change  func(*evidence.Round)
		outcome guard.Outcome
		reason  string
	}{
		"live":                         {move(remedy.Live), serves, guard.Pass, ""},
		"nobody logs in any more":      {move(remedy.Live), func(r *evidence.Round) { r.Login = known(evidence.Login{Reason: dial.LoginTimeout}) }, guard.Pass, ""},
		"it suffers no more":           {move(remedy.Live), clean, guard.Refuse, "clean"},
		"it does not say":              {move(remedy.Live), func(r *evidence.Round) { r.Diagnostics = lost[evidence.Diagnostics](dial.Auth) }, guard.Hold, "unreadable"},
		"saved":                        {move(remedy.Save), serves, guard.Refuse, "not_live"},
		"shut down":                    {move(remedy.Shutdown), serves, guard.Refuse, "not_live"},
		"turned off":                   {move(remedy.TurnOff), serves, guard.Refuse, "not_live"},
		"no context":                   {move(""), serves, guard.Refuse, "not_live"},
		"a reset":                      {remedy.Command{Method: remedy.ResetSystem, Node: "HV1", VMID: "vm-1"}, serves, guard.Refuse, "not_live"},
		"a reset of one that hangs":    {remedy.Command{Method: remedy.ResetSystem, Node: "HV1", VMID: "vm-1"}, func(r *evidence.Round) { r.Login = known(evidence.Login{Reason: dial.LoginTimeout}) }, guard.Refuse, "not_live"},
		"a reboot":                     {remedy.Command{Method: remedy.RebootGuest, Node: "HV1", VMID: "vm-1"}, serves, guard.Refuse, "not_live"},
		"its process":                  {remedy.Command{Method: remedy.TerminateProcess, PID: 7}, serves, guard.Refuse, "not_live"},
		"its service":                  {remedy.Command{Method: remedy.StopService, Service: "MSSQLSERVER"}, serves, guard.Refuse, "not_live"},
		"the destination is not up":    {move(remedy.Live), nil, guard.Hold, "destination"},
		"the owner is another already": {remedy.Command{Method: remedy.MoveGroup, Node: "HV3", From: "HV2", To: "HV3", How: remedy.Live}, serves, guard.Refuse, "moved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := evident(evidence.Resource)
			if tt.change != nil {
				latest(tt.change)(&in)
			} else {
				latest(func(r *evidence.Round) {
					v := view("HV2")
					v.Nodes[1].State = cluster.NodeDown
					r.Views = map[string]evidence.Reading[cluster.View]{"HV1": known(view("HV1")), "HV2": known(v)}
				})(&in)
			}
			owner := tt.cmd.From
			if owner == "" {
				owner = "HV1"
			}
			if v := guard.Revalidate(in, tt.cmd, owner); v.Outcome != tt.outcome || v.Reason != tt.reason {
				t.Errorf("%s %q (%s), want %s %q", v.Outcome, v.Reason, v.Detail, tt.outcome, tt.reason)
			}
		})
	}
}
