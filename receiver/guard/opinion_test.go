package guard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// evident is an input whose rounds show a fault of the class as plainly as G8's truth table asks for.
func evident(fault evidence.Fault) guard.Input {
	in := passing()
	in.Subject.Fault = fault
	var round func(at time.Time) evidence.Round
	span, n := 75*time.Second, 4
	switch fault {
	case evidence.Service:
		return in
	case evidence.Hang:
		round = func(at time.Time) evidence.Round {
			r := deadService(at)
			r.Login = known(evidence.Login{Reason: dial.LoginTimeout})
			r.Service = known(cluster.Service{Name: "MSSQLSERVER", State: cluster.ServiceRunning, StartMode: "Auto", ProcessID: 7})
			r.Process = known(cluster.Process{ID: 7, Created: at.Add(-time.Hour)})
			return r
		}
	case evidence.Guest, evidence.Network:
		in.Rung = remedy.ResetVM
		in.Vitals = still(now.Add(-5*time.Second), now.Add(-70*time.Second))
		round = func(at time.Time) evidence.Round {
			r := deadService(at)
			r.Login = known(evidence.Login{Reason: dial.TCPTimeout})
			r.Service, r.Guest = lost[cluster.Service](dial.TCPTimeout), lost[cluster.GuestIdentity](dial.TCPTimeout)
			r.Host.Value.Heartbeat = cluster.HeartbeatLostCommunication
			if fault == evidence.Network {
				r.Host.Value.Heartbeat = cluster.HeartbeatOK
				r.Uplinks = known([]cluster.Uplink{uplink(cluster.MediaDisconnected, true)})
			}
			return r
		}
	case evidence.Host:
		round = func(at time.Time) evidence.Round {
			r := deadService(at)
			r.Login = known(evidence.Login{Reason: dial.TCPTimeout})
			r.Host = lost[cluster.VirtualMachine](dial.TCPTimeout)
			v := view("HV2")
			v.Nodes[0].State = cluster.NodeDown
			r.Views = map[string]evidence.Reading[cluster.View]{"HV1": lost[cluster.View](dial.TCPTimeout), "HV2": known(v)}
			return r
		}
	case evidence.Internal:
		in.Policy.InternalLevel = 4
		span, n = time.Second, 2
		round = func(at time.Time) evidence.Round {
			r := deadService(at)
			r.Login = known(evidence.Login{Up: true})
			r.Service = known(cluster.Service{Name: "MSSQLSERVER", State: cluster.ServiceRunning, StartMode: "Auto", ProcessID: 7})
			r.Process = known(cluster.Process{ID: 7, Created: at.Add(-time.Hour)})
			diagnosed(1, 3, 1)(&r)
			return r
		}
	case evidence.Resource:
		in.Rung, in.Info.AutoBalancerLevel = remedy.LiveMigrate, 1
		in.Opened, in.StartsAt = now.Add(-80*time.Second), now.Add(-85*time.Second)
		span, n = 60*time.Second, 4
		round = starvedHost
	case evidence.Storage, evidence.Database:
	}
	if round == nil {
		return in
	}
	in.Rounds = nil
	for i := range n {
		in.Rounds = append(in.Rounds, round(now.Add(-time.Second-span+span*time.Duration(i)/time.Duration(n-1))))
	}
	return in
}

// diagnosed makes a round show sets of sp_server_diagnostics, with the states of system, resource and query_processing; an
// error is the third in a row.
func diagnosed(states ...int64) func(*evidence.Round) {
	return func(r *evidence.Round) {
		r.Diagnostics = known(evidence.Diagnostics{Received: now})
		for n, name := range []string{"system", "resource", "query_processing"} {
			c := evidence.Component{Name: name, State: states[n]}
			if c.State == 3 {
				c.ErrorSets = 3
			}
			r.Diagnostics.Value.Components = append(r.Diagnostics.Value.Components, c)
		}
	}
}

// TestSecondOpinion is G8's truth table: every reading as the table needs it, against it, and not made.
func TestSecondOpinion(t *testing.T) {
	t.Parallel()
	login := func(reason dial.Reason) func(*evidence.Round) {
		return func(r *evidence.Round) { r.Login = known(evidence.Login{Reason: reason}) }
	}
	up := func(r *evidence.Round) { r.Login = known(evidence.Login{Up: true}) }
	untried := func(r *evidence.Round) { r.Login = lost[evidence.Login](dial.Auth) }
	unseen := func(r *evidence.Round) { r.Host = lost[cluster.VirtualMachine](dial.TCPTimeout) }
	service := func(state cluster.ServiceState) func(*evidence.Round) {
		return func(r *evidence.Round) { r.Service.Value.State = state }
	}
	unasked := func(r *evidence.Round) { r.Service = lost[cluster.Service](dial.TCPTimeout) }
	heartbeat := func(h cluster.Heartbeat) func(*evidence.Round) {
		return func(r *evidence.Round) { r.Host.Value.Heartbeat = h }
	}
	guest := func(why dial.Reason) func(*evidence.Round) {
		return func(r *evidence.Round) {
			r.Guest = evidence.Reading[cluster.GuestIdentity]{At: now, Failure: why}
		}
	}
	views := func(change func(map[string]evidence.Reading[cluster.View])) func(*evidence.Round) {
		return func(r *evidence.Round) {
			all := map[string]evidence.Reading[cluster.View]{}
			for by, v := range r.Views {
				all[by] = v
			}
			change(all)
			r.Views = all
		}
	}
	tests := []struct {
		name    string
		fault   evidence.Fault
		change  func(*evidence.Round) // of the newest round
		outcome guard.Outcome
		reason  string
		detail  string
	}{
		{"dead service", evidence.Service, nil, guard.Pass, "", "refuses"},
		{"its process gone, says nobody yet", evidence.Service, service(cluster.ServiceRunning), guard.Pass, "", "process"},
		{"a login", evidence.Service, up, guard.Hold, "login", ""},
		{"the port is silent", evidence.Service, login(dial.TCPTimeout), guard.Hold, "not_refused", ""},
		{"our password is wrong", evidence.Service, untried, guard.Hold, "unreadable", ""},
		{"the service starts", evidence.Service, service(cluster.ServiceStartPending), guard.Hold, "service_state", ""},
		{"the guest does not tell", evidence.Service, unasked, guard.Hold, "unreadable", ""},

		{"hang", evidence.Hang, nil, guard.Pass, "", "accepts"},
		{"a login", evidence.Hang, up, guard.Hold, "login", ""},
		{"a refusal of SQL Server's own", evidence.Hang, func(r *evidence.Round) { r.Login = known(evidence.Login{Reason: dial.Other, ErrorNumber: 17142}) }, guard.Hold, "not_hanging", ""},
		{"our password is wrong", evidence.Hang, untried, guard.Hold, "unreadable", ""},
		{"the service is stopped", evidence.Hang, service(cluster.ServiceStopped), guard.Hold, "service_state", ""},
		{"the guest does not tell", evidence.Hang, unasked, guard.Hold, "unreadable", ""},
		{"the process is young", evidence.Hang, func(r *evidence.Round) { r.Process.Value.Created = r.Started.Add(-10 * time.Second) }, guard.Hold, "starting", ""},
		{"the process is unknown", evidence.Hang, func(r *evidence.Round) { r.Process = lost[cluster.Process](dial.QueryTimeout) }, guard.Hold, "unreadable", ""},

		{"dead guest", evidence.Guest, nil, guard.Pass, "", "1 disk neither read nor written"},
		{"our password is wrong", evidence.Guest, untried, guard.Hold, "unreadable", ""},
		{"a login", evidence.Guest, up, guard.Hold, "login", ""},
		{"its heartbeat is well", evidence.Guest, heartbeat(cluster.HeartbeatOK), guard.Hold, "heartbeat", ""},
		{"its host tells no heartbeat", evidence.Guest, heartbeat(cluster.HeartbeatAbsent), guard.Hold, "unreadable", "no heartbeat"},
		{"its host does not tell", evidence.Guest, unseen, guard.Hold, "unreadable", "owner host"},
		{"it is off", evidence.Guest, func(r *evidence.Round) { r.Host.Value.State = cluster.VMOff }, guard.Hold, "vm_state", ""},
		{"its processors are busy", evidence.Guest, func(r *evidence.Round) { r.Host.Value.ProcessorLoad = 3 }, guard.Hold, "busy", ""},
		{"it answers", evidence.Guest, guest(dial.Answered), guard.Hold, "guest_answers", ""},
		{"it refuses our password", evidence.Guest, guest(dial.Auth), guard.Hold, "unreadable", ""},

		{"cut off", evidence.Network, nil, guard.Pass, "", "uplink is down"},
		{"its uplink is connected", evidence.Network, uplinks(uplink(cluster.MediaConnected, true)), guard.Hold, "uplink_up", ""},
		{"one of its uplinks is connected", evidence.Network, uplinks(uplink(cluster.MediaDisconnected, true), uplink(cluster.MediaConnected, true)), guard.Hold, "uplink_up", ""},
		{"only another adapter is connected", evidence.Network, uplinks(uplink(cluster.MediaDisconnected, true), uplink(cluster.MediaConnected, false)), guard.Pass, "", ""},
		{"no adapter is said to be used", evidence.Network, uplinks(uplink(cluster.MediaDisconnected, false), cluster.Uplink{Media: cluster.MediaDisconnected}), guard.Hold, "unreadable", ""},
		{"an uplink that does not tell", evidence.Network, uplinks(uplink(cluster.MediaUnknown, true)), guard.Hold, "unreadable", ""},
		{"its uplinks were not read", evidence.Network, func(r *evidence.Round) { r.Uplinks = lost[[]cluster.Uplink](dial.QueryTimeout) }, guard.Hold, "unreadable", ""},
		{"its heartbeat is lost too", evidence.Network, heartbeat(cluster.HeartbeatLostCommunication), guard.Hold, "heartbeat", ""},
		{"its host does not tell", evidence.Network, unseen, guard.Hold, "unreadable", ""},
		{"it answers", evidence.Network, guest(dial.Answered), guard.Hold, "guest_answers", ""},
		{"its network refuses", evidence.Network, guest(dial.Refused), guard.Hold, "guest_answers", ""},

		{"dead host", evidence.Host, nil, guard.Pass, "", "HV1"},
		{"the owner answers", evidence.Host, views(func(v map[string]evidence.Reading[cluster.View]) { v["HV1"] = known(view("HV1")) }), guard.Hold, "owner_answers", ""},
		{"the others call the owner up", evidence.Host, views(func(v map[string]evidence.Reading[cluster.View]) { v["HV2"] = known(view("HV2")) }), guard.Hold, "owner_up", ""},
		{"the owner refuses our password", evidence.Host, views(func(v map[string]evidence.Reading[cluster.View]) { v["HV1"] = lost[cluster.View](dial.Auth) }), guard.Hold, "unreadable", ""},
		{"nobody tells", evidence.Host, views(func(v map[string]evidence.Reading[cluster.View]) { v["HV2"] = lost[cluster.View](dial.TCPTimeout) }), guard.Hold, "unreadable", ""},
		{"the others do not list it", evidence.Host, views(func(v map[string]evidence.Reading[cluster.View]) {
			o := v["HV2"]
			o.Value.Nodes = o.Value.Nodes[1:]
			v["HV2"] = o
		}), guard.Hold, "owner_up", ""},
		{"another node owns the group now", evidence.Host, views(func(v map[string]evidence.Reading[cluster.View]) {
			o := v["HV2"]
			o.Value.Groups = []cluster.Group{{Name: grp, Owner: "HV2", State: cluster.GroupFailed, PersistentState: true}}
			v["HV2"] = o
		}), guard.Pass, "", "HV1"},

		{"storage only tells", evidence.Storage, nil, guard.Refuse, "tells_only", ""},

		{"an internal error", evidence.Internal, nil, guard.Pass, "", "component resource (level 4) an error in 3 sets"},
		{"a login is no veto, a clean set is", evidence.Internal, diagnosed(1, 1, 1), guard.Hold, "clean", ""},
		{"a warning is no error", evidence.Internal, diagnosed(2, 2, 2), guard.Hold, "clean", ""},
		{"two sets in a row", evidence.Internal, func(r *evidence.Round) {
			diagnosed(1, 3, 1)(r)
			r.Diagnostics.Value.Components[1].ErrorSets = 2
		}, guard.Hold, "sets", "2 sets so far"},
		{"an error above the policy's level", evidence.Internal, diagnosed(1, 1, 3), guard.Refuse, "above_level", "query_processing an error, which is level 5"},
		{"and one within it", evidence.Internal, diagnosed(3, 1, 3), guard.Pass, "", "system (level 3)"},
		{"a component without a state", evidence.Internal, diagnosed(1, 0, 1), guard.Hold, "unreadable", ""},
		{"the sets were not read", evidence.Internal, func(r *evidence.Round) { r.Diagnostics = lost[evidence.Diagnostics](dial.Auth) }, guard.Hold, "unreadable", ""},
		{"the service is stopped", evidence.Internal, service(cluster.ServiceStopped), guard.Hold, "service_state", ""},
		{"the process is young: the sets may be of another", evidence.Internal, func(r *evidence.Round) { r.Process.Value.Created = r.Started.Add(-10 * time.Second) }, guard.Hold, "starting", ""},
		{"the guest does not tell", evidence.Internal, unasked, guard.Hold, "unreadable", ""},

		{"database only tells", evidence.Database, nil, guard.Refuse, "tells_only", ""},
		{"a class that nobody knows", "weather", nil, guard.Refuse, "unknown_class", ""},
	}
	for _, tt := range tests {
		t.Run(string(tt.fault)+": "+tt.name, func(t *testing.T) {
			t.Parallel()
			in := evident(tt.fault)
			if tt.change != nil {
				latest(tt.change)(&in)
			}
			for _, v := range guard.Evaluate(in) {
				if v.Guard == "G8" && (v.Outcome != tt.outcome || v.Reason != tt.reason || !strings.Contains(v.Detail, tt.detail)) {
					t.Errorf("G8 = %s %q (%s), want %s %q about %q", v.Outcome, v.Reason, v.Detail, tt.outcome, tt.reason, tt.detail)
				}
			}
		})
	}
}

// TestAnAlertThatCeasedBeginsTheCountAnew: rounds from before it are of another outage, whatever they show.
func TestAnAlertThatCeasedBeginsTheCountAnew(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		alert   evidence.Reading[evidence.Alert] // of the round before the newest
		outcome guard.Outcome
		reason  string
	}{
		"active":     {known(evidence.Alert{Active: true, Asked: 1, Reachable: 1}), guard.Pass, ""},
		"ceased":     {known(evidence.Alert{Asked: 1, Reachable: 1}), guard.Hold, "more_rounds"},
		"suppressed": {known(evidence.Alert{Suppressed: true, Asked: 1, Reachable: 1}), guard.Pass, ""},
		"unread":     {lost[evidence.Alert](dial.Refused), guard.Pass, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := evident(evidence.Network)
			in.Rounds[len(in.Rounds)-2].Alert = tt.alert
			for _, v := range guard.Evaluate(in) {
				if v.Guard == "G8" && (v.Outcome != tt.outcome || v.Reason != tt.reason) {
					t.Errorf("G8 = %s %q (%s), want %s %q", v.Outcome, v.Reason, v.Detail, tt.outcome, tt.reason)
				}
			}
		})
	}
}

func uplink(m cluster.MediaState, bound bool) cluster.Uplink {
	return cluster.Uplink{Name: "Ethernet", Media: m, Bound: &bound}
}

func uplinks(list ...cluster.Uplink) func(*evidence.Round) {
	return func(r *evidence.Round) { r.Uplinks = known(list) }
}

// still are the vitals of a guest whose disks were counted at a moment, and counted the same since another.
func still(at, since time.Time) evidence.Vitals {
	v := passing().Vitals
	v.Disks = evidence.Reading[cluster.DiskIO]{At: at, Value: cluster.DiskIO{Host: "HV1", Disks: map[string]cluster.DiskCount{"a.vhdx": {Reads: 1, Writes: 2}}}}
	v.StillSince = since
	return v
}

// TestADeadGuestDoesNothingOnItsDisks: everything else of the truth table is as it should be.
func TestADeadGuestDoesNothingOnItsDisks(t *testing.T) {
	t.Parallel()
	unread := still(now, now)
	unread.Disks = evidence.Reading[cluster.DiskIO]{At: now, Failure: dial.Other, Detail: "not every disk can be found"}
	tests := []struct {
		name    string
		vitals  evidence.Vitals
		since   time.Duration // that they are unreadable
		outcome guard.Outcome
		reason  string
	}{
		{"still for the class's time", still(now.Add(-time.Second), now.Add(-61*time.Second)), 0, guard.Pass, ""},
		{"not so long", still(now.Add(-time.Second), now.Add(-60*time.Second)), 0, guard.Hold, "disk_io"},
		{"read just now, and before", still(now, now), 0, guard.Hold, "disk_io"},
		{"an old reading", still(now.Add(-61*time.Second), now.Add(-5*time.Minute)), 0, guard.Hold, "unreadable"},
		{"never read", passing().Vitals, 0, guard.Hold, "unreadable"},
		{"cannot be read", unread, 0, guard.Hold, "unreadable"},
		{"cannot be read for long", unread, 61 * time.Second, guard.Refuse, "unreadable"},
	}
	for _, tt := range tests {
		in := evident(evidence.Guest)
		in.Vitals = tt.vitals
		if tt.since > 0 {
			in.UnreadableSince = now.Add(-tt.since)
		}
		if v := verdict(t, guard.Evaluate(in), "G8"); v.Outcome != tt.outcome || v.Reason != tt.reason {
			t.Errorf("%s: G8 = %s %q (%s), want %s %q", tt.name, v.Outcome, v.Reason, v.Detail, tt.outcome, tt.reason)
		}
	}
}

// TestWhoOwnsADeadGuest is G11 for what ends the whole virtual machine.
func TestWhoOwnsADeadGuest(t *testing.T) {
	t.Parallel()
	watched := func(within time.Duration) func(*guard.Input) {
		return each(func(r *evidence.Round) {
			r.Monitoring = known(cluster.HeartbeatMonitoring{On: true, Within: within})
			r.Host.Value.Uptime = time.Hour
		})
	}
	clustered := func(b evidence.Baseline) func(*guard.Input) {
		return func(in *guard.Input) { in.Proof.Baseline = map[string]evidence.Baseline{"MSSQLSERVER": b} }
	}
	both := func(changes ...func(*guard.Input)) func(*guard.Input) {
		return func(in *guard.Input) {
			for _, c := range changes {
				c(in)
			}
		}
	}
	opened := func(before time.Duration) func(*guard.Input) {
		return func(in *guard.Input) { in.Opened = now.Add(-before) }
	}
	tests := []struct {
		name    string
		change  func(*guard.Input)
		outcome guard.Outcome
		reason  string
	}{
		{"nobody watches it", func(*guard.Input) {}, guard.Pass, ""},
		{"it is not read who does", each(func(r *evidence.Round) { r.Monitoring = lost[cluster.HeartbeatMonitoring](dial.TCPTimeout) }), guard.Hold, "unread"},
		{"the cluster does, and has not had its time", both(watched(6*time.Minute), opened(6*time.Minute)), guard.Hold, "heartbeat_monitoring"},
		{"the cluster has had its time", both(watched(6*time.Minute), opened(7*time.Minute+time.Second)), guard.Pass, ""},
		{"the cluster has restarted it meanwhile", both(watched(6*time.Minute), opened(10*time.Minute), each(func(r *evidence.Round) { r.Host.Value.Uptime = 3 * time.Minute })), guard.Hold, "heartbeat_monitoring"},
		{"since when it runs is not told", both(watched(6*time.Minute), opened(10*time.Minute), each(func(r *evidence.Round) { r.Host.Value.Uptime = 0 })), guard.Hold, "unread"},
		{"the cluster watches it, and the guest answers", both(watched(6*time.Minute), func(in *guard.Input) { in.Subject.Fault = evidence.Hang }), guard.Pass, ""},
		{"a clustered instance", clustered(evidence.Baseline{Clustered: true}), guard.Refuse, "failover_cluster_instance"},
		{"an availability group", clustered(evidence.Baseline{Hadr: true}), guard.Refuse, "availability_groups"},
		{"an instance that was never read", func(in *guard.Input) { in.Instances = append(in.Instances, "REPORTING") }, guard.Refuse, "unread"},
		{"no instance was ever read", func(in *guard.Input) { in.Instances, in.Proof.Baseline = nil, nil }, guard.Refuse, "unread"},
	}
	for _, rung := range []remedy.Rung{remedy.ResetVM, remedy.NMIRestart, remedy.ShutdownRestart, remedy.WhitePaper} {
		for _, tt := range tests {
			in := evident(evidence.Guest)
			in.Rung = rung
			each(func(r *evidence.Round) { r.Monitoring = known(cluster.HeartbeatMonitoring{Within: 6 * time.Minute}) })(&in)
			tt.change(&in)
			if v := verdict(t, guard.Evaluate(in), "G11"); v.Outcome != tt.outcome || v.Reason != tt.reason {
				t.Errorf("%s, %s: G11 = %s %q (%s), want %s %q", rung, tt.name, v.Outcome, v.Reason, v.Detail, tt.outcome, tt.reason)
			}
		}
	}
}

// TestUnreadableEvidenceIsRefusedInTheEnd: what cannot be read is waited for, not for ever.
func TestUnreadableEvidenceIsRefusedInTheEnd(t *testing.T) {
	t.Parallel()
	in := evident(evidence.Service)
	latest(func(r *evidence.Round) { r.Login = lost[evidence.Login](dial.Auth) })(&in)
	for since, want := range map[time.Duration]guard.Outcome{59 * time.Second: guard.Hold, 61 * time.Second: guard.Refuse} {
		in.UnreadableSince = now.Add(-since)
		for _, v := range guard.Evaluate(in) {
			if v.Guard == "G8" && v.Outcome != want {
				t.Errorf("after %s G8 says %s, want %s", since, v.Outcome, want)
			}
		}
	}
}
