package guard_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

var now = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

const grp = "SCVMM SQL01 Resources"

func known[T any](v T) evidence.Reading[T] { return evidence.Reading[T]{Value: v, At: now} }

func lost[T any](why dial.Reason) evidence.Reading[T] {
	return evidence.Reading[T]{At: now, Failure: why}
}

func view(by string) cluster.View {
	return cluster.View{
		By:     by,
		Info:   cluster.Info{SameSubnetDelay: time.Second, SameSubnetThreshold: 10, ResiliencyDefaultPeriod: 240 * time.Second},
		Nodes:  []cluster.Node{{Name: "HV1", DynamicWeight: 1}, {Name: "HV2", DynamicWeight: 1}, {Name: "HV3", DynamicWeight: 1}},
		Groups: []cluster.Group{{Name: grp, Owner: "HV1", State: cluster.GroupOnline, PersistentState: true}},
	}
}

// deadService is a round that shows SQL Server's process dead and everything else well.
func deadService(at time.Time) evidence.Round {
	return evidence.Round{
		Started: at, Finished: at,
		Alert:      known(evidence.Alert{Active: true, Asked: 1, Reachable: 1}),
		Login:      known(evidence.Login{Reason: dial.Refused}),
		Service:    known(cluster.Service{Name: "MSSQLSERVER", State: cluster.ServiceStopped, StartMode: "Auto", ExitCode: 1067}),
		Dependents: known([]cluster.Service{{Name: "SQLSERVERAGENT", State: cluster.ServiceRunning}}),
		Process:    known(cluster.Process{}),
		Events:     known([]cluster.Event{{ID: 7034, At: at}}),
		Guest:      known(cluster.GuestIdentity{ComputerName: "SQL01", ProductUUID: "44454c4c-4c00-1031-8054-b4c04f4b4d31"}),
		Host:       known(cluster.VirtualMachine{ID: "vm-1", State: cluster.VMRunning, Heartbeat: cluster.HeartbeatOK}),
		Views:      map[string]evidence.Reading[cluster.View]{"HV1": known(view("HV1")), "HV2": known(view("HV2")), "HV3": known(view("HV3"))},
		Sweep: known(evidence.Sweep{
			Watched:  []evidence.Sibling{{VM: "SQL02", Owner: "HV2"}, {VM: "SQL03", Owner: "HV3"}, {VM: "SQL04", Owner: "HV1"}},
			Controls: []evidence.Control{{Address: "dns", OK: true}, {Address: "gw", OK: true}},
		}),
	}
}

// passing is an input that every guard passes: a dead service on the lab.
func passing() guard.Input {
	return guard.Input{
		Now: now, Incident: "i1",
		Subject: evidence.Subject{VM: evidence.VM{Cluster: "c", Name: "SQL01"}, Instance: "MSSQLSERVER", Fault: evidence.Service},
		Rung:    remedy.RestartService, Group: grp, Service: "MSSQLSERVER",
		Policy: &config.Policy{Mode: config.Act, HealthCheckTimeout: 30 * time.Second, Limits: config.DefaultLimits()}, Most: config.Act,
		Opened: now.Add(-2 * time.Second), StartsAt: now.Add(-3 * time.Second),
		Rounds:  []evidence.Round{deadService(now.Add(-1100 * time.Millisecond)), deadService(now.Add(-50 * time.Millisecond))},
		HoldOff: time.Minute, Started: now.Add(-time.Hour), Heard: now.Add(-time.Minute), Samples: 5, Lab: true,
		Proof: evidence.Proof{At: now.Add(-time.Hour), Binding: evidence.Binding{
			VMID: "vm-1", ComputerName: "SQL01", ProductUUID: "44454c4c-4c00-1031-8054-b4c04f4b4d31",
		}, Baseline: map[string]evidence.Baseline{"MSSQLSERVER": {At: now.Add(-time.Hour)}}},
		Owners: []guard.Ownership{{Node: "HV1", Since: now.Add(-time.Hour)}},
		Vitals: evidence.Vitals{Work: map[string]evidence.Reading[evidence.Work]{"MSSQLSERVER": {At: now.Add(-10 * time.Second)}}}, Instances: []string{"MSSQLSERVER"},
		Info: view("HV1").Info,
	}
}

func TestEveryGuardPassesAPlainDeadService(t *testing.T) {
	t.Parallel()
	for _, v := range guard.Evaluate(passing()) {
		if v.Outcome != guard.Pass {
			t.Errorf("%s %s: %s %q: %s", v.Guard, v.Name, v.Outcome, v.Reason, v.Detail)
		}
	}
	if v, stop := guard.Decide(guard.Evaluate(passing())); stop {
		t.Errorf("Decide = %+v, want nothing that stops", v)
	}
}

// each applies a change to every round of an input.
func each(change func(*evidence.Round)) func(*guard.Input) {
	return func(in *guard.Input) {
		for n := range in.Rounds {
			change(&in.Rounds[n])
		}
	}
}

// latest applies a change to the newest round.
func latest(change func(*evidence.Round)) func(*guard.Input) {
	return func(in *guard.Input) { change(&in.Rounds[len(in.Rounds)-1]) }
}

func groups(change func(*cluster.Group)) func(*guard.Input) {
	return each(func(r *evidence.Round) {
		views := map[string]evidence.Reading[cluster.View]{}
		for by, v := range r.Views {
			v.Value.Groups = []cluster.Group{v.Value.Groups[0]}
			change(&v.Value.Groups[0])
			views[by] = v
		}
		r.Views = views
	})
}

func past(p guard.Past) func(*guard.Input) {
	return func(in *guard.Input) {
		p.VM, p.Instance, p.Incident = in.Subject.VM, in.Subject.Instance, "i0"
		in.Past = append(in.Past, p)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	// Each row changes one thing about an input that passes, and names the guard that must notice.
	tests := []struct {
		name    string
		change  func(*guard.Input)
		guard   string
		outcome guard.Outcome
		reason  string
	}{
		{"an action on the subject is in flight", past(guard.Past{Rung: remedy.RestartService, Started: now.Add(-time.Minute)}), "G5", guard.Hold, "in_flight"},
		{"the alert is older than the last action's end", past(guard.Past{Started: now.Add(-time.Minute), Ended: now.Add(-time.Second)}), "G5", guard.Refuse, "old_alert"},
		{"a new alert right after the last action", func(in *guard.Input) {
			past(guard.Past{Started: now.Add(-time.Minute), Ended: in.StartsAt.Add(-time.Second)})(in)
		}, "G5", guard.Hold, "settling"},
		{"the alert has no start", func(in *guard.Input) { in.StartsAt = time.Time{} }, "G6", guard.Refuse, "no_start"},
		{"the alert is 16 minutes old", func(in *guard.Input) { in.StartsAt = now.Add(-16 * time.Minute) }, "G6", guard.Propose, "too_old"},
		{"the alert is five minutes in the future", func(in *guard.Input) { in.StartsAt = now.Add(5 * time.Minute) }, "G6", guard.Propose, "future"},
		{"everything is paused", func(in *guard.Input) {
			in.Pauses = []guard.Pause{{ID: "p", Owner: "ada", Expires: now.Add(time.Hour)}}
		}, "G21", guard.Hold, "paused"},
		{"the group is locked", groups(func(g *cluster.Group) { g.Status |= cluster.GroupLocked }), "G21", guard.Hold, "locked"},
		{"the owner is drained", latest(func(r *evidence.Round) {
			v := view("HV1")
			v.Nodes[0].Status = cluster.NodeDrainInProgress
			r.Views = map[string]evidence.Reading[cluster.View]{"HV1": known(v)}
		}), "G21", guard.Hold, "maintenance"},
		{"the policy observes", func(in *guard.Input) { in.Policy.Mode = config.Observe }, "G22", guard.Refuse, "mode_observe"},
		{"the policy proposes", func(in *guard.Input) { in.Policy.Mode = config.Propose }, "G22", guard.Propose, "mode_propose"},
		{"the rung is overridden", func(in *guard.Input) {
			in.Policy.Rungs = map[string]config.Mode{config.RungRestartService: config.Observe}
		}, "G22", guard.Refuse, "mode_observe"},
		{"Watchdog stays away", func(in *guard.Input) { in.Heard = now.Add(-guard.MaxSilence - time.Second) }, "G29", guard.Refuse, "silent"},
		{"nobody knows when Watchdog came", func(in *guard.Input) { in.Heard = time.Time{} }, "G29", guard.Refuse, "never_heard"},
		{"the cluster observes", func(in *guard.Input) { in.Most = config.Observe }, "G22", guard.Refuse, "mode_observe"},
		{"the cluster proposes", func(in *guard.Input) { in.Most = config.Propose }, "G22", guard.Propose, "mode_propose"},
		{"the cluster's mode is unknown", func(in *guard.Input) { in.Most = "" }, "G22", guard.Refuse, "mode_unknown"},
		{"weaker limits outside the lab", func(in *guard.Input) { in.Lab, in.Weaker = false, []string{"hold"} }, "G22", guard.Refuse, "weaker_limits"},
		{"a rung that nobody knows", func(in *guard.Input) { in.Rung = "format_disk" }, "G22", guard.Propose, "rung_proposed"},
		{"the instance is a failover cluster's", func(in *guard.Input) {
			in.Proof.Baseline = map[string]evidence.Baseline{"MSSQLSERVER": {Clustered: true}}
		}, "G11", guard.Refuse, "failover_cluster_instance"},
		{"the instance has availability groups", func(in *guard.Input) {
			in.Proof.Baseline = map[string]evidence.Baseline{"MSSQLSERVER": {Hadr: true}}
		}, "G11", guard.Refuse, "availability_groups"},
		{"whether it is clustered was never read", func(in *guard.Input) { in.Proof.Baseline = nil }, "G11", guard.Refuse, "unread"},
		{"who owns the guest's faults is not read", func(in *guard.Input) { in.Rung = remedy.ResetVM }, "G11", guard.Hold, "unread"},
		{"a move of what was never read", func(in *guard.Input) { in.Rung, in.Proof.Baseline = remedy.LiveMigrate, nil }, "G11", guard.Refuse, "unread"},
		{"a move of another instance that is clustered", func(in *guard.Input) {
			in.Rung, in.Proof.Baseline = remedy.LiveMigrate, map[string]evidence.Baseline{"MSSQLSERVER": {}, "REPORTING": {Clustered: true}}
		}, "G11", guard.Refuse, "failover_cluster_instance"},
		{"a move of another instance in an availability group", func(in *guard.Input) {
			in.Rung, in.Proof.Baseline = remedy.LiveMigrate, map[string]evidence.Baseline{"MSSQLSERVER": {}, "REPORTING": {Hadr: true}}
		}, "G11", guard.Refuse, "availability_groups"},
		{"who owns the network's faults was not read", func(in *guard.Input) { in.Rung, in.Subject.Fault = remedy.LiveMigrate, evidence.Network }, "G11", guard.Hold, "unread"},
		{"the receiver has just started", func(in *guard.Input) { in.Started = now.Add(-59 * time.Second) }, "G13", guard.Hold, "hold_off"},
		{"two samples only", func(in *guard.Input) { in.Samples = 2 }, "G13", guard.Hold, "samples"},
		{"a failure latches", func(in *guard.Input) { in.Latched = "i0" }, "G14", guard.Refuse, "latched"},
		{"cool-down", past(guard.Past{Started: now.Add(-30 * time.Minute), Ended: now.Add(-29 * time.Minute), Verified: true}), "G14", guard.Hold, "cool_down"},
		{"two service restarts within the hour", func(in *guard.Input) {
			for range 2 {
				past(guard.Past{Rung: remedy.RestartService, Started: now.Add(-50 * time.Minute), Ended: now.Add(-49 * time.Minute)})(in)
			}
		}, "G15", guard.Propose, "service_restarts_per_hour"},
		{"three actions within the day", func(in *guard.Input) {
			for range 3 {
				past(guard.Past{Rung: remedy.ResetVM, Started: now.Add(-20 * time.Hour), Ended: now.Add(-19 * time.Hour)})(in)
			}
		}, "G15", guard.Propose, "actions_per_24h"},
		{"a rung in flight elsewhere in the cluster", func(in *guard.Input) {
			in.Past = []guard.Past{{VM: evidence.VM{Cluster: "c", Name: "SQL02"}, Started: now.Add(-time.Second)}}
		}, "G16", guard.Hold, "in_flight"},
		{"two begun within ten minutes elsewhere", func(in *guard.Input) {
			p := guard.Past{VM: evidence.VM{Cluster: "c", Name: "SQL02"}, Started: now.Add(-9 * time.Minute), Ended: now.Add(-8 * time.Minute)}
			in.Past = []guard.Past{p, p}
		}, "G16", guard.Hold, "per_10_minutes"},
		{"four begun within the hour elsewhere", func(in *guard.Input) {
			p := guard.Past{VM: evidence.VM{Cluster: "c", Name: "SQL02"}, Started: now.Add(-50 * time.Minute), Ended: now.Add(-49 * time.Minute)}
			in.Past = []guard.Past{p, p, p, p}
		}, "G16", guard.Hold, "per_hour"},
		{"never touch", func(in *guard.Input) { in.NeverTouch = true }, "G18", guard.Refuse, "never_touch"},
		{"no proof", func(in *guard.Input) { in.Proof = evidence.Proof{} }, "G33", guard.Refuse, "unproven"},
		{"a proof with something missing", func(in *guard.Input) { in.Proof.Missing = []string{"x"} }, "G33", guard.Refuse, "unproven"},
		{"a proof of yesterday", func(in *guard.Input) { in.Proof.At = now.Add(-25 * time.Hour) }, "G33", guard.Refuse, "proof_too_old"},
		{"another computer answers", latest(func(r *evidence.Round) { r.Guest.Value.ComputerName = "CLONE" }), "G33", guard.Refuse, "other_machine"},
		{"another product UUID", latest(func(r *evidence.Round) { r.Guest.Value.ProductUUID = "00000000-0000-1031-8054-b4c04f4b4d31" }), "G33", guard.Refuse, "other_machine"},
		{"another VM id", latest(func(r *evidence.Round) { r.Host.Value.ID = "vm-2" }), "G33", guard.Refuse, "other_machine"},
		{"Alertmanager is unreachable", latest(func(r *evidence.Round) { r.Alert = lost[evidence.Alert](dial.Refused) }), "G7", guard.Hold, "unreachable"},
		{"the alert is silenced", latest(func(r *evidence.Round) { r.Alert.Value = evidence.Alert{Suppressed: true} }), "G7", guard.Hold, "suppressed"},
		{"the alert is gone", latest(func(r *evidence.Round) { r.Alert.Value.Active = false }), "G7", guard.Hold, "not_active"},
		{"one round", func(in *guard.Input) { in.Rounds = in.Rounds[1:] }, "G8", guard.Hold, "more_rounds"},
		{"two rounds within a second", func(in *guard.Input) { in.Rounds[0].Started = now.Add(-900 * time.Millisecond) }, "G8", guard.Hold, "more_rounds"},
		{"any login vetoes", latest(func(r *evidence.Round) { r.Login.Value = evidence.Login{Up: true} }), "G8", guard.Hold, "login"},
		{"the port times out", each(func(r *evidence.Round) { r.Login.Value.Reason = dial.TCPTimeout }), "G8", guard.Hold, "not_refused"},
		{"the login is our own trouble", each(func(r *evidence.Round) { r.Login = lost[evidence.Login](dial.Auth) }), "G8", guard.Hold, "unreadable"},
		{"the service cannot be read", each(func(r *evidence.Round) { r.Service = lost[cluster.Service](dial.TCPTimeout) }), "G8", guard.Hold, "unreadable"},
		{"the service starts", each(func(r *evidence.Round) { r.Service.Value.State = cluster.ServiceStartPending }), "G8", guard.Hold, "service_state"},
		{"the service runs and its process too", each(func(r *evidence.Round) {
			r.Service.Value.State, r.Process = cluster.ServiceRunning, known(cluster.Process{ID: 7})
		}), "G8", guard.Hold, "service_state"},
		{"clean stop", each(func(r *evidence.Round) {
			r.Service.Value.ExitCode, r.Events = 0, known([]cluster.Event{{ID: 7036, At: now}})
		}), "G31", guard.Refuse, "clean_stop"},
		{"clean stop after an older crash", each(func(r *evidence.Round) {
			r.Service.Value.ExitCode = 0
			r.Events = known([]cluster.Event{{ID: 7034, At: now.Add(-time.Minute)}, {ID: 7036, At: now.Add(-time.Second)}})
		}), "G31", guard.Refuse, "clean_stop"},
		{"exit code 0 and no event log", each(func(r *evidence.Round) {
			r.Service.Value.ExitCode, r.Events = 0, lost[[]cluster.Event](dial.QueryTimeout)
		}), "G31", guard.Refuse, "unknown"},
		{"never started", each(func(r *evidence.Round) { r.Service.Value.ExitCode = 1077 }), "G31", guard.Refuse, "never_started"},
		{"start mode Manual", each(func(r *evidence.Round) { r.Service.Value.StartMode = "Manual" }), "G31", guard.Refuse, "start_mode"},
		{"paused", each(func(r *evidence.Round) { r.Service.Value.State = cluster.ServicePaused }), "G31", guard.Refuse, "paused"},
		{"stop pending", each(func(r *evidence.Round) { r.Service.Value.State = cluster.ServiceStopPending }), "G31", guard.Hold, "pending"},
		{"no owner history", func(in *guard.Input) { in.Owners = nil }, "G10", guard.Hold, "no_history"},
		{"the owner changed 30 s before the alert", func(in *guard.Input) {
			in.Owners = append(in.Owners, guard.Ownership{Node: "HV2", Since: in.StartsAt.Add(-30 * time.Second)})
			groups(func(g *cluster.Group) { g.Owner = "HV2" })(in)
		}, "G10", guard.Hold, "moved"},
		{"a view shows another owner than the last sample", groups(func(g *cluster.Group) { g.Owner = "HV2" }), "G10", guard.Hold, "moving"},
		{"three of four are sick", latest(func(r *evidence.Round) { r.Sweep.Value.Watched[0].Sick, r.Sweep.Value.Watched[1].Sick = true, true }), "G17", guard.Hold, "storm"},
		{"a control fails", latest(func(r *evidence.Round) {
			r.Sweep.Value.Controls = []evidence.Control{{Address: "dns"}, {Address: "gw", OK: true}}
		}), "G17", guard.Hold, "storm"},
		{"one control only", latest(func(r *evidence.Round) { r.Sweep.Value.Controls = r.Sweep.Value.Controls[:1] }), "G17", guard.Hold, "controls"},
		{"the sweep could not be made", latest(func(r *evidence.Round) { r.Sweep = lost[evidence.Sweep](dial.Other) }), "G17", guard.Hold, "unreadable"},
		{"a storm four minutes ago", func(in *guard.Input) { in.Brake = now.Add(-4 * time.Minute) }, "G17", guard.Hold, "storm"},
		{"no node answers", latest(func(r *evidence.Round) {
			r.Views = map[string]evidence.Reading[cluster.View]{"HV1": lost[cluster.View](dial.TCPTimeout)}
		}), "G19", guard.Hold, "no_view"},
		{"the views differ about a node", latest(func(r *evidence.Round) {
			v := view("HV2")
			v.Nodes[2].State = cluster.NodeDown
			r.Views = map[string]evidence.Reading[cluster.View]{"HV1": known(view("HV1")), "HV2": known(v)}
		}), "G19", guard.Hold, "views_differ"},
		{"no quorum", latest(func(r *evidence.Round) {
			v := view("HV1")
			v.Nodes[1].State, v.Nodes[2].State = cluster.NodeDown, cluster.NodeDown
			r.Views = map[string]evidence.Reading[cluster.View]{"HV1": known(v)}
		}), "G19", guard.Hold, "no_quorum"},
		{"the owner is silent", latest(func(r *evidence.Round) {
			r.Views = map[string]evidence.Reading[cluster.View]{"HV1": lost[cluster.View](dial.TCPTimeout), "HV2": known(view("HV2"))}
		}), "G19", guard.Hold, "owner_silent"},
		{"the guest is silent", latest(func(r *evidence.Round) { r.Guest = lost[cluster.GuestIdentity](dial.TCPTimeout) }), "G19", guard.Hold, "guest_silent"},
		{"the group is not online", groups(func(g *cluster.Group) { g.State = cluster.GroupPending }), "G19", guard.Hold, "group_state"},
		{"the group waits to be moved", groups(func(g *cluster.Group) { g.Status = cluster.GroupWaitingInQueueForMove }), "G19", guard.Hold, "group_status"},
		{"the group is unknown", func(in *guard.Input) { in.Group = "other" }, "G19", guard.Refuse, "no_group"},
	}
	for _, tt := range tests {
		t.Run(tt.guard+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			in := passing()
			tt.change(&in)
			for _, v := range guard.Evaluate(in) {
				if v.Guard != tt.guard {
					continue
				}
				if v.Outcome != tt.outcome || v.Reason != tt.reason {
					t.Errorf("%s = %s %q (%s), want %s %q", v.Guard, v.Outcome, v.Reason, v.Detail, tt.outcome, tt.reason)
				}
				if v.Detail == "" {
					t.Errorf("%s says nothing an operator could read", v.Guard)
				}
			}
			if _, stop := guard.Decide(guard.Evaluate(in)); !stop {
				t.Error("Decide lets the command through")
			}
		})
	}
}

// TestWhatCannotBeReadStops takes away each reading in turn, from the newest round: nothing may pass then.
func TestWhatCannotBeReadStops(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*evidence.Round){
		"alert":   func(r *evidence.Round) { r.Alert = lost[evidence.Alert](dial.Other) },
		"login":   func(r *evidence.Round) { r.Login = lost[evidence.Login](dial.Other) },
		"service": func(r *evidence.Round) { r.Service = lost[cluster.Service](dial.Other) },
		"guest":   func(r *evidence.Round) { r.Guest = lost[cluster.GuestIdentity](dial.Other) },
		"views":   func(r *evidence.Round) { r.Views = nil },
		"sweep":   func(r *evidence.Round) { r.Sweep = lost[evidence.Sweep](dial.Other) },
	}
	for name, take := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := passing()
			latest(take)(&in)
			if _, stop := guard.Decide(guard.Evaluate(in)); !stop {
				t.Error("Decide lets a command through on evidence that could not be read")
			}
		})
	}
	in := passing()
	in.Rounds = nil
	if _, stop := guard.Decide(guard.Evaluate(in)); !stop {
		t.Error("Decide lets a command through without any evidence")
	}
	if _, stop := guard.Decide(guard.Evaluate(guard.Input{Policy: &config.Policy{}})); !stop {
		t.Error("Decide lets an empty input through")
	}
}

// TestSecondOpinionTruthTable tries the service row of G8 whole: each reading yes, no and unknown.
func TestSecondOpinionTruthTable(t *testing.T) {
	t.Parallel()
	logins := map[string]evidence.Reading[evidence.Login]{
		"refused": known(evidence.Login{Reason: dial.Refused}), "up": known(evidence.Login{Up: true}), "unknown": lost[evidence.Login](dial.DNS),
	}
	services := map[string]evidence.Reading[cluster.Service]{
		"stopped": known(cluster.Service{Name: "MSSQLSERVER", State: cluster.ServiceStopped, StartMode: "Auto"}),
		"running": known(cluster.Service{Name: "MSSQLSERVER", State: cluster.ServiceRunning, StartMode: "Auto"}),
		"unknown": lost[cluster.Service](dial.TCPTimeout),
	}
	processes := map[string]evidence.Reading[cluster.Process]{
		"gone": known(cluster.Process{}), "there": known(cluster.Process{ID: 9}), "unknown": lost[cluster.Process](dial.TCPTimeout),
	}
	for l, login := range logins {
		for s, service := range services {
			for p, process := range processes {
				in := passing()
				each(func(r *evidence.Round) { r.Login, r.Service, r.Process = login, service, process })(&in)
				want := l == "refused" && (s == "stopped" || s == "running" && p == "gone")
				for _, v := range guard.Evaluate(in) {
					if v.Guard == "G8" && (v.Outcome == guard.Pass) != want {
						t.Errorf("login %s, service %s, process %s: G8 = %s (%s), want pass %v", l, s, p, v.Outcome, v.Detail, want)
					}
				}
			}
		}
	}
}

func TestSilentClassesWait(t *testing.T) {
	t.Parallel()
	in := passing()
	in.Subject.Fault, in.Rung = evidence.Host, remedy.StartGroup
	for _, tt := range []struct {
		after time.Duration
		state cluster.GroupState
		want  guard.Outcome
	}{
		{309 * time.Second, cluster.GroupFailed, guard.Hold},
		{311 * time.Second, cluster.GroupFailed, guard.Pass},
		{311 * time.Second, cluster.GroupOffline, guard.Pass},
		{311 * time.Second, cluster.GroupOnline, guard.Hold},
		{311 * time.Second, cluster.GroupPending, guard.Hold},
	} {
		in := in
		in.Rounds = []evidence.Round{deadService(now)}
		in.StartsAt = now.Add(-tt.after)
		groups(func(g *cluster.Group) { g.State = tt.state })(&in)
		for _, v := range guard.Evaluate(in) {
			if v.Guard == "G12" && v.Outcome != tt.want {
				t.Errorf("%s after the fault, group %d: G12 = %s (%s), want %s", tt.after, tt.state, v.Outcome, v.Detail, tt.want)
			}
		}
	}
}

func TestRevalidate(t *testing.T) {
	t.Parallel()
	start := remedy.Command{Method: remedy.StartService, Service: "MSSQLSERVER"}
	kill := remedy.Command{Method: remedy.TerminateProcess, PID: 7, Created: now.Add(-time.Hour)}
	tests := []struct {
		name   string
		cmd    remedy.Command
		owner  string
		change func(*guard.Input)
		want   guard.Outcome
		reason string
	}{
		{"as planned", start, "HV1", func(*guard.Input) {}, guard.Pass, ""},
		{"the owner moved", start, "HV2", func(*guard.Input) {}, guard.Refuse, "moved"},
		{"somebody started it", start, "HV1", latest(func(r *evidence.Round) { r.Service.Value.State = cluster.ServiceRunning }), guard.Refuse, "not_stopped"},
		{"the service cannot be read", start, "HV1", latest(func(r *evidence.Round) { r.Service = lost[cluster.Service](dial.TCPTimeout) }), guard.Hold, "unreadable"},
		{"the host cannot be read", start, "HV1", latest(func(r *evidence.Round) { r.Host = lost[cluster.VirtualMachine](dial.TCPTimeout) }), guard.Hold, "unreadable"},
		{"no view", start, "HV1", latest(func(r *evidence.Round) { r.Views = nil }), guard.Hold, "unreadable"},
		{"the read is 501 ms old", start, "HV1", func(in *guard.Input) { in.Now = now.Add(501 * time.Millisecond) }, guard.Hold, "stale"},
		{"the group is queued for a move", start, "HV1", groups(func(g *cluster.Group) { g.Status = cluster.GroupWaitingInQueueForMove }), guard.Hold, "group_status"},
		{"the group is pending", start, "HV1", groups(func(g *cluster.Group) { g.State = cluster.GroupPending }), guard.Hold, "group_state"},
		{"another cluster than the lab, with limits as they are", start, "HV1", func(in *guard.Input) { in.Lab = false }, guard.Pass, ""},
		{"the lab is no lab any more", start, "HV1", func(in *guard.Input) { in.Lab, in.Weaker = false, []string{"hold"} }, guard.Refuse, "weaker_limits"},
		{"the process of the plan", kill, "HV1", latest(func(r *evidence.Round) { r.Process = known(cluster.Process{ID: 7, Created: kill.Created}) }), guard.Pass, ""},
		{"a process with the same PID and another birth", kill, "HV1", latest(func(r *evidence.Round) { r.Process = known(cluster.Process{ID: 7, Created: now}) }), guard.Refuse, "gone"},
		{"a method nobody knows", remedy.Command{Method: "Msvm_ComputerSystem.Format"}, "HV1", func(*guard.Input) {}, guard.Refuse, "unknown_method"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := passing()
			tt.change(&in)
			v := guard.Revalidate(in, tt.cmd, tt.owner)
			if v.Outcome != tt.want || v.Reason != tt.reason {
				t.Errorf("Revalidate = %s %q (%s), want %s %q", v.Outcome, v.Reason, v.Detail, tt.want, tt.reason)
			}
		})
	}
}

// TestDecideNamesTheCaseBeforeTheMode: a shadow run must tell the same story as an acting one.
func TestDecideNamesTheCaseBeforeTheMode(t *testing.T) {
	t.Parallel()
	in := passing()
	in.Policy.Mode = config.Observe
	each(func(r *evidence.Round) { r.Service.Value.ExitCode = 0; r.Events = known([]cluster.Event(nil)) })(&in)
	if v, _ := guard.Decide(guard.Evaluate(in)); v.Guard != "G31" {
		t.Errorf("decided by %s, want G31, as it would be in mode act", v.Guard)
	}
}

func ExampleDecide() {
	in := passing()
	in.Policy.Mode = config.Observe
	v, _ := guard.Decide(guard.Evaluate(in))
	fmt.Println(v.Guard, v.Outcome, v.Detail)
	// Output: G22 refuse mode is observe
}

func TestRevalidationKnowsEveryMethodAndNoOther(t *testing.T) {
	t.Parallel()
	for _, m := range remedy.Methods() {
		if v := guard.Revalidate(guard.Input{Lab: true, Rounds: []evidence.Round{{}}}, remedy.Command{Method: m.Method}, "HV1"); v.Outcome == guard.Pass || v.Reason == "unknown_method" {
			t.Errorf("%s with nothing read: %s %s; want a hold", m.Method, v.Outcome, v.Reason)
		}
	}
	if v := guard.Revalidate(guard.Input{Lab: true, Rounds: []evidence.Round{{}}}, remedy.Command{Method: "Msvm_ComputerSystem.Format"}, "HV1"); v.Outcome != guard.Refuse || v.Reason != "unknown_method" {
		t.Errorf("an unknown method: %s %s, want it refused", v.Outcome, v.Reason)
	}
}
