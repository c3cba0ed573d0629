package incident_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// world is a small cluster in virtual time: a single-goroutine stepper that plays everything Step talks to. It judges
// nothing; tests read what was done to it.
type world struct {
	t       testing.TB
	cfg     *config.Config
	now     time.Time
	state   incident.State
	records map[string][]byte
	queue   []timed // what will happen
	wake    time.Time

	vms         map[string]*machine
	nodes       []string
	down        map[string]bool // nodes that do not answer, and that the others call Down
	blind       map[string]bool // guests whose WinRM does not answer
	silenced    bool
	lab         bool
	controls    bool // the controls outside the cluster answer
	commands    []remedy.Command
	begun       map[string]int                  // starts of each incident's actions, by action: never more than one
	loseReply   bool                            // the next command's answer is lost after it took effect
	dropSend    bool                            // the next command never leaves and its answer is lost
	keepSend    bool                            // the next command never leaves, and that is known
	refuse      map[remedy.Method]remedy.Result // what a method answers instead of doing it
	half        bool                            // one Alertmanager of two has lost the alerts
	mute        bool                            // Watchdog does not come
	keeps       time.Duration                   // how long it takes to read what a rung would destroy; 0: 25 ms
	loseKeep    bool                            // its answer never comes
	notes       []string
	unrehearsed bool               // what a command would meet is never answered
	counted     bool               // the disks' counters can be read
	monitored   bool               // the cluster watches the guests' heartbeats
	balancer    uint32             // AutoBalancerMode
	loads       map[string]float64 // how busy each node is, where it is not 0.2; less than 0: it does not tell
	scarce      map[string]bool    // virtual machines whose SQL Server calls its resources a warning while its host is used up
	identified  int                // how often the nodes were asked who they are, right before a command
	pure        bool               // every step is looked at: the state that it was given and the orders in the new one

	disk  func([]ledger.Op) // writes the records of a step, besides the world's own memory of them; nil: nobody does
	spent time.Duration     // of real time, in Step and by disk
}

// timed is one thing that will happen.
type timed struct {
	at    time.Time
	event func() incident.Event // nil: only a change of the world
	apply func()
	alive bool // survives a crash of the receiver
}

// machine is one VM with one instance of SQL Server and its agent.
type machine struct {
	name        string
	owner       string
	group       cluster.GroupState
	persists    bool
	heartbeat   cluster.Heartbeat
	service     cluster.Service
	agent       cluster.Service
	created     time.Time
	reason      dial.Reason // why a login fails; empty: it works
	events      []cluster.Event
	alertAt     time.Time // zero: not active
	dumps       []cluster.Process
	backup      bool
	open        time.Time // when the oldest open transaction began; zero: none is
	databases   map[string]string
	started     time.Time        // the present run of the virtual machine
	hung        bool             // the guest answers nothing
	writes      bool             // and works on its disks
	job         cluster.Job      // what Hyper-V was told last
	fate        cluster.JobState // of the next job: completed where 0; JobRunning never ends
	resumed     time.Time        // when a move restored it
	stays       bool             // the next move does not come to its destination
	arrives     func()           // what happens as soon as it has
	lateMove    time.Duration    // how long a move takes beyond its time
	lateBoot    time.Duration    // how long a command to Hyper-V takes to come to its effect
	undying     bool             // the process survives its termination
	reasons     []cluster.Event  // what the guest's logs say of a start that failed
	startsAgent bool             // somebody starts the agent after a restart of the machine
	dies        uint32           // a start ends at once, with this exit code; 0: it succeeds
	failing     string           // the component that SQL Server calls an error
	since       time.Time        // it does
	mum         bool             // sp_server_diagnostics says nothing
	load        uint16           // how busy its processors are, in percent
}

// uuid is the product UUID that the guest shows; it must be one, for G33 compares machines and not texts.
func (m *machine) uuid() string { return fmt.Sprintf("4C4C4544-0000-4000-8000-%012X", []byte(m.name)) }

const clusterName = "hv-test"

func group(vm string) string { return vm + " group" }

func newWorld(t testing.TB, policy string) *world {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, `credentials:
  c: {username: u, password_env: HYPERVIGIL_TEST_PASSWORD, scheme: basic}
clusters:
  - name: %s
    reader: c
    operator: c
    guest_operator: c
    nodes:
      - {name: HV1, addresses: [127.0.0.1]}
      - {name: HV2, addresses: [127.0.0.2]}
      - {name: HV3, addresses: [127.0.0.3]}
    virtual_machines:
`, clusterName)
	w := &world{
		t: t, now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC), records: map[string][]byte{}, vms: map[string]*machine{},
		nodes: []string{"HV1", "HV2", "HV3"}, down: map[string]bool{}, blind: map[string]bool{}, lab: true, controls: true, begun: map[string]int{}, loads: map[string]float64{}, scarce: map[string]bool{},
	}
	for i, name := range []string{"SQL01", "SQL02", "SQL03", "SQL04"} {
		fmt.Fprintf(&b, "      - name: %s\n        group: %s\n        guest: {address: 127.0.1.%d}\n        policy: standard\n", name, group(name), i+1)
		fmt.Fprintf(&b, "        sql_servers:\n          - {instance: MSSQLSERVER, address: \"127.0.1.%d:1433\", credential: c, encrypt: strict}\n", i+1)
		w.vms[name] = &machine{
			name: name, owner: w.nodes[i%3], persists: true, heartbeat: cluster.HeartbeatOK, created: w.now.Add(-time.Hour), started: w.now.Add(-2 * time.Hour),
			service:   cluster.Service{Name: "MSSQLSERVER", State: cluster.ServiceRunning, StartMode: "Auto", ProcessID: uint32(1000 + i)},
			agent:     cluster.Service{Name: "SQLSERVERAGENT", State: cluster.ServiceRunning, StartMode: "Auto", ProcessID: uint32(2000 + i)},
			databases: map[string]string{"master": "ONLINE", "archive": "OFFLINE"},
		}
	}
	fmt.Fprintf(&b, `receiver:
  ledger: {path: ledger.db}
  webhook: {token_env: HYPERVIGIL_TEST_TOKEN}
  alertmanagers: [http://127.0.0.1:9093]
  controls: ["tcp://127.0.2.1:53", "tcp://127.0.2.2:443"]
  hold_off: 60s
  policies:
    standard:
%s`, policy)
	cfg, err := config.Parse("test.yml", b.Bytes())
	if err != nil {
		t.Fatalf("configuration of the test: %v", err)
	}
	w.cfg = cfg
	w.boot()
	return w
}

const actPolicy = "      mode: act\n"

// boot starts a receiver with what the ledger holds.
func (w *world) boot() {
	w.t.Helper()
	var records []incident.Record
	for _, key := range slices.Sorted(maps.Keys(w.records)) {
		records = append(records, incident.Record{Key: key, Value: w.records[key]})
	}
	state, effects, err := incident.Restore(w.cfg, records, 1, w.now)
	if err != nil {
		w.t.Fatalf("restore: %v", err)
	}
	w.state, w.wake = state, time.Time{}
	w.carryOut(effects)
	w.step(incident.Ticked{At: incident.At(w.now)})
	w.watchdog()
}

// watchdog has Watchdog come every minute, for as long as this life of the receiver lasts.
func (w *world) watchdog() {
	w.later(time.Minute, func() incident.Event {
		w.watchdog()
		if w.mute {
			return incident.Ticked{At: incident.At(w.now)}
		}
		return incident.Notified{At: incident.At(w.now), Alerts: []incident.NotifiedAlert{{
			Firing: true, Labels: map[string]string{"alertname": "Watchdog", "hypervigil": "watchdog", "severity": "none"},
		}}}
	})
}

// crash loses everything that is not on disk, and starts again after a while.
func (w *world) crash(down time.Duration) {
	w.queue = slices.DeleteFunc(w.queue, func(q timed) bool { return !q.alive })
	w.wake = time.Time{}
	w.advance(down)
	w.boot()
}

// step feeds one event and carries out the effects, records first.
func (w *world) step(e incident.Event) {
	w.t.Helper()
	before := w.watched()
	began := time.Now()
	next, effects := incident.Step(w.state, e)
	w.spent += time.Since(began)
	if after := w.watched(); after != before {
		w.t.Fatalf("Step of a %T changed the state that it was given:\n%s\n%s", e, before, after)
	}
	if w.pure {
		if err := next.Consistent(); err != nil {
			w.t.Fatalf("after a %T: %v", e, err)
		}
	}
	if lost, ok := w.conflict(effects); ok {
		w.step(lost)
		return
	}
	w.state = next
	w.carryOut(effects)
}

// watched is everything that the state tells of the incidents, machines, clusters and pauses, where the test asked to have
// that compared at every step.
func (w *world) watched() string {
	if !w.pure {
		return ""
	}
	s := w.state
	b, err := json.Marshal([]any{slices.Collect(s.Incidents.All()), maps.Collect(indexed(s.VMs.All())), s.Clusters, s.Pauses, s.Asks})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// indexed makes the keys ones that JSON can have.
func indexed(all iter.Seq2[evidence.VM, incident.VM]) iter.Seq2[string, incident.VM] {
	return func(yield func(string, incident.VM) bool) {
		for id, vm := range all {
			if !yield(id.String(), vm) {
				return
			}
		}
	}
}

func (w *world) conflict(effects []incident.Effect) (incident.ClaimLost, bool) {
	for _, e := range effects {
		if p, ok := e.(incident.Put); ok && p.IfAbsent {
			if _, exists := w.records[p.Key]; exists {
				return incident.ClaimLost{At: incident.At(w.now), Incident: p.Incident, Number: p.Number}, true
			}
		}
	}
	return incident.ClaimLost{}, false
}

func (w *world) carryOut(effects []incident.Effect) {
	var batch []ledger.Op
	began := time.Now()
	for _, e := range effects {
		switch e := e.(type) {
		case incident.Put:
			value, err := json.Marshal(e.Value)
			if err != nil {
				w.t.Fatalf("record %s: %v", e.Key, err)
			}
			w.records[e.Key] = value
			batch = append(batch, ledger.Op{Key: e.Key, Value: value, IfAbsent: e.IfAbsent})
		case incident.Delete:
			delete(w.records, e.Key)
			batch = append(batch, ledger.Op{Key: e.Key})
		}
	}
	if w.disk != nil && len(batch) > 0 {
		w.disk(batch)
	}
	w.spent += time.Since(began)
	for _, e := range effects {
		switch e := e.(type) {
		case incident.Put, incident.Delete, incident.Refusal, incident.Ignored:
		case incident.Wake:
			w.wake = e.When
		case incident.Note:
			w.notes = append(w.notes, fmt.Sprint(e.Message, " ", e.Keys))
		case incident.Proceed:
			w.later(time.Millisecond, func() incident.Event {
				return incident.PlanStored{At: incident.At(w.now), Incident: e.Incident}
			})
		case incident.Look:
			w.later(20*time.Millisecond, func() incident.Event {
				l := incident.Looked{At: incident.At(w.now), Incident: e.Incident, AskID: e.AskID, Round: w.round(e.Ask)}
				if e.Identify {
					w.identified++
					l.Lab = evidence.Reading[bool]{Value: w.lab, At: w.now}
				}
				return l
			})
		case incident.Rehearse:
			if w.unrehearsed {
				continue
			}
			w.later(20*time.Millisecond, func() incident.Event {
				answer := incident.Rehearsed{At: incident.At(w.now), VM: e.VM}
				for _, ask := range e.Asks {
					answer.Rounds = append(answer.Rounds, w.round(ask))
				}
				return answer
			})
		case incident.Sample:
			w.later(15*time.Millisecond, func() incident.Event {
				return incident.Sampled{
					At: incident.At(w.now), Cluster: e.Cluster, Views: w.views(), Lab: evidence.Reading[bool]{Value: w.lab, At: w.now},
				}
			})
		case incident.Prove:
			w.later(30*time.Millisecond, func() incident.Event { return incident.Proved{At: incident.At(w.now), Proof: w.proof(e.VM)} })
		case incident.Sense:
			w.later(30*time.Millisecond, func() incident.Event {
				return incident.Sensed{At: incident.At(w.now), Vitals: w.vitals(e.Ask.VM)}
			})
		case incident.Keep:
			w.keep(e)
		case incident.Send:
			w.send(e)
		}
	}
}

// keep answers what a rung would destroy, each instance's part as its login allows.
func (w *world) keep(e incident.Keep) {
	if w.loseKeep {
		return
	}
	took := w.keeps
	if took == 0 {
		took = 25 * time.Millisecond
	}
	began := w.now
	w.later(took, func() incident.Event {
		login := w.login(w.vms[e.Ask.VM.Name], false)
		s := evidence.Standing{Diagnostics: evidence.Reading[[]evidence.Component]{At: began, Value: []evidence.Component{{Name: "system", State: 3}}}}
		s.Waits.At, s.Waits.Failure = began, login.Value.Reason
		b := evidence.Bundle{Started: began, Finished: w.now, Instances: map[string]evidence.Standing{e.Ask.Instance: s}}
		return incident.Kept{At: incident.At(w.now), Incident: e.Incident, KeepID: e.KeepID, Bundle: b}
	})
}

func (w *world) later(d time.Duration, event func() incident.Event) {
	w.queue = append(w.queue, timed{at: w.now.Add(d), event: event})
}

// change makes the world change later, whatever becomes of the receiver.
func (w *world) change(d time.Duration, apply func()) {
	w.queue = append(w.queue, timed{at: w.now.Add(d), apply: apply, alive: true})
}

// send plays the network and the guest for one command.
func (w *world) send(e incident.Send) {
	if w.now.After(e.NotAfter) {
		w.t.Errorf("a command left after its read grew stale: %+v", e)
	}
	answer := func(r remedy.Result) {
		r.StartedAt, r.EndedAt = w.now, w.now
		w.later(10*time.Millisecond, func() incident.Event {
			return incident.Commanded{At: incident.At(w.now), Incident: e.Incident, Number: e.Number, Result: r}
		})
	}
	if w.dropSend {
		w.dropSend = false
		answer(remedy.Result{Sent: true, Unknown: true, Failure: string(dial.QueryTimeout)})
		return
	}
	if w.keepSend {
		w.keepSend = false
		answer(remedy.Result{Failure: string(dial.Refused)})
		return
	}
	w.commands = append(w.commands, e.Command)
	if r, ok := w.refuse[e.Command.Method]; ok {
		answer(r)
		return
	}
	key := fmt.Sprintf("%s/%d", e.Incident, e.Number)
	if w.begun[key]++; w.begun[key] > 1 {
		w.t.Errorf("action %s was sent %d times", key, w.begun[key])
	}
	code := w.apply(e.Command)
	if w.loseReply {
		w.loseReply = false
		answer(remedy.Result{Sent: true, Unknown: true, Failure: string(dial.QueryTimeout)})
		return
	}
	r := remedy.Result{Sent: true, Answered: true, Code: code}
	if code == cluster.JobStarted {
		r.Job = w.vms[e.Command.VM.Name].job.ID
	}
	answer(r)
}

// apply does what Windows would do.
func (w *world) apply(c remedy.Command) uint32 {
	m := w.vms[c.VM.Name]
	switch c.Method {
	case remedy.StartService:
		s := &m.service
		if c.Service == m.agent.Name {
			s = &m.agent
		}
		if s.State == cluster.ServiceRunning {
			return 10
		}
		s.State = cluster.ServiceStartPending
		w.change(2*time.Second, func() {
			if m.dies != 0 {
				s.State, s.ExitCode = cluster.ServiceStopped, m.dies
				return
			}
			s.State, s.ProcessID, s.ExitCode = cluster.ServiceRunning, s.ProcessID+1, 0
			if s == &m.service {
				m.created, m.reason = w.now, ""
				w.alert(m.name, false)
			}
		})
	case remedy.StopService:
		m.agent.State = cluster.ServiceStopped
	case remedy.TerminateProcess:
		if !m.undying {
			w.kill(m.name)
		}
	case remedy.MoveGroup:
		if c.Group != group(m.name) || c.Node != c.To {
			w.t.Errorf("move of %s sent to %s, want the group of %s moved by its destination %s", c.Group, c.Node, m.name, c.To)
		}
		m.group = cluster.GroupPending
		w.change(m.lateMove+5*time.Second, func() {
			m.group = cluster.GroupOnline
			if !m.stays {
				m.owner, m.started, m.resumed = c.To, w.now, w.now // OnTimeInMilliseconds begins again where it is restored
			}
			if m.arrives != nil {
				m.arrives()
			}
		})
		return uint32(cluster.GroupIOPending)
	case remedy.CancelOperation:
		m.group, m.stays = cluster.GroupOnline, true
	case remedy.ResetSystem, remedy.InjectNMI, remedy.RebootGuest:
		if c.VMID != "id-"+m.name || c.Node != m.owner {
			w.t.Errorf("%s to %s on %s, want id-%s on %s", c.Method, c.VMID, c.Node, m.name, m.owner)
		}
		m.job = cluster.Job{ID: "job", State: cluster.JobRunning}
		w.change(m.lateBoot+100*time.Millisecond, func() { w.restart(m) })
		return cluster.JobStarted
	}
	return 0
}

// restart is what comes of a command to Hyper-V.
func (w *world) restart(m *machine) {
	switch m.fate {
	case cluster.JobException:
		m.job.State, m.job.ErrorCode = cluster.JobException, 32768
		return
	case cluster.JobRunning:
		return
	}
	m.job.State = cluster.JobCompleted
	m.started, m.hung, m.heartbeat, m.reason = w.now, true, cluster.HeartbeatNoContact, dial.TCPTimeout
	m.service.State, m.agent.State = cluster.ServiceStopped, cluster.ServiceStopped
	w.change(20*time.Second, func() {
		m.hung, m.heartbeat, m.service.State, m.reason = false, cluster.HeartbeatOK, cluster.ServiceStopped, dial.Refused
	})
	w.change(40*time.Second, func() { // a service that starts late
		m.service.State, m.service.ExitCode, m.created, m.reason = cluster.ServiceRunning, 0, w.now, ""
		if m.agent.StartMode == "Auto" || m.startsAgent {
			m.agent.State = cluster.ServiceRunning
		}
		w.alert(m.name, false)
	})
}

// hangGuest makes a guest answer nothing.
func (w *world) hangGuest(vm string) {
	m := w.vms[vm]
	m.hung, m.heartbeat, m.reason = true, cluster.HeartbeatLostCommunication, dial.TCPTimeout
}

// kill ends SQL Server's process as a crash does.
func (w *world) kill(vm string) {
	m := w.vms[vm]
	m.service.State, m.service.ExitCode, m.reason = cluster.ServiceStopped, 1067, dial.Refused
	m.service.ProcessID++
	m.events = append(m.events, cluster.Event{Log: "System", ID: 7034, At: w.now})
}

// stopCleanly ends SQL Server as an administrator does.
func (w *world) stopCleanly(vm string) {
	m := w.vms[vm]
	m.service.State, m.service.ExitCode, m.reason = cluster.ServiceStopped, 0, dial.Refused
	m.agent.State = cluster.ServiceStopped
	m.events = append(m.events, cluster.Event{Log: "System", ID: 7036, At: w.now})
}

// alert makes the alert of a VM active or not, without telling anybody.
func (w *world) alert(vm string, on bool) {
	m := w.vms[vm]
	switch {
	case on && m.alertAt.IsZero():
		m.alertAt = w.now
	case !on:
		m.alertAt = time.Time{}
	}
}

// notify delivers a notification about a VM's alert.
func (w *world) notify(vm string, fault evidence.Fault, instance string, firing bool, startsAt time.Time) {
	labels := map[string]string{
		"alertname": "Hypervigil" + string(fault), "cluster": clusterName, "vm": vm, "sql_instance": instance,
		"fault": string(fault), "severity": "critical", "hypervigil": "act",
	}
	w.step(incident.Notified{At: incident.At(w.now), Alerts: []incident.NotifiedAlert{{Firing: firing, Labels: labels, StartsAt: startsAt}}})
}

// fire makes an alert active and tells of it.
func (w *world) fire(vm string, fault evidence.Fault) {
	w.alert(vm, true)
	instance := "MSSQLSERVER"
	if fault == evidence.Host || fault == evidence.Guest || fault == evidence.Network {
		instance = evidence.NoInstance
	}
	w.notify(vm, fault, instance, true, w.vms[vm].alertAt)
}

// advance lets time pass.
func (w *world) advance(d time.Duration) {
	end := w.now.Add(d)
	for {
		next, at := -1, end
		for n, q := range w.queue {
			if !q.at.After(at) && (next < 0 || q.at.Before(at)) {
				next, at = n, q.at
			}
		}
		if !w.wake.IsZero() && w.wake.Before(at) {
			w.now, w.wake = later(w.now, w.wake), time.Time{}
			w.step(incident.Ticked{At: incident.At(w.now)})
			continue
		}
		if next < 0 {
			w.now = end
			return
		}
		q := w.queue[next]
		w.queue = slices.Delete(w.queue, next, next+1)
		w.now = later(w.now, q.at)
		if q.apply != nil {
			q.apply()
		}
		if q.event != nil {
			w.step(q.event())
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// warm lets the receiver become ready.
func (w *world) warm() {
	w.t.Helper()
	w.advance(65 * time.Second)
	if missing := w.state.Ready(w.now); len(missing) > 0 {
		w.t.Fatalf("not ready: %v", missing)
	}
}

func (w *world) views() map[string]evidence.Reading[cluster.View] {
	views := map[string]evidence.Reading[cluster.View]{}
	for _, by := range w.nodes {
		if w.down[by] {
			views[by] = evidence.Reading[cluster.View]{At: w.now, Failure: dial.TCPTimeout}
			continue
		}
		v := cluster.View{By: by, Info: cluster.Info{
			SameSubnetDelay: time.Second, SameSubnetThreshold: 10, ResiliencyDefaultPeriod: 240 * time.Second, WitnessDynamicWeight: 0,
			AutoBalancerMode: w.balancer, AutoBalancerLevel: 1,
		}}
		for _, n := range w.nodes {
			state := cluster.NodeUp
			if w.down[n] {
				state = cluster.NodeDown
			}
			v.Nodes = append(v.Nodes, cluster.Node{Name: n, State: state, DynamicWeight: 1})
		}
		for _, name := range slices.Sorted(maps.Keys(w.vms)) {
			m := w.vms[name]
			v.Groups = append(v.Groups, cluster.Group{Name: group(name), Type: cluster.GroupTypeVM, State: m.group, Owner: m.owner, PersistentState: m.persists})
		}
		views[by] = evidence.Reading[cluster.View]{Value: v, At: w.now}
	}
	return views
}

func (w *world) round(a evidence.Ask) evidence.Round {
	m := w.vms[a.VM.Name]
	r := evidence.Round{Started: w.now.Add(-20 * time.Millisecond), Finished: w.now}
	lost := w.blind[m.name] || w.down[m.owner] || m.hung
	for _, p := range a.Parts {
		switch p {
		case evidence.PartAlert:
			r.Alert = evidence.Reading[evidence.Alert]{At: w.now, Value: evidence.Alert{
				Active: !m.alertAt.IsZero() && !w.silenced && !w.half, Suppressed: !m.alertAt.IsZero() && w.silenced,
				StartsAt: m.alertAt, Asked: 2, Reachable: 2,
			}}
		case evidence.PartLogin, evidence.PartDatabases:
			r.Login = w.login(m, lost)
		case evidence.PartService:
			r.Service = reading(w, m.service, lost)
		case evidence.PartDependents:
			r.Dependents = reading(w, []cluster.Service{m.agent}, lost)
		case evidence.PartProcess:
			p := cluster.Process{ID: m.service.ProcessID, Created: m.created}
			if m.service.State != cluster.ServiceRunning || a.PID != 0 && a.PID != p.ID {
				p = cluster.Process{}
			}
			r.Process = reading(w, p, lost)
		case evidence.PartEvents:
			r.Events = reading(w, m.events, lost)
		case evidence.PartStartErrors:
			if a.Service == "" || a.EventsSince.IsZero() {
				w.t.Errorf("start errors of service %q since %s are asked for", a.Service, a.EventsSince)
			}
			r.StartErrors = reading(w, m.reasons, lost)
		case evidence.PartGuest:
			r.Guest = reading(w, cluster.GuestIdentity{ComputerName: m.name, ProductUUID: m.uuid()}, lost)
		case evidence.PartHost:
			r.Host = reading(w, cluster.VirtualMachine{
				ID: "id-" + m.name, Host: m.owner, State: cluster.VMRunning, HealthState: 5, Heartbeat: m.heartbeat, Uptime: w.now.Sub(m.started),
				Processors: 4, ProcessorLoad: m.load,
			}, w.down[m.owner] || a.Owner != "" && a.Owner != m.owner)
		case evidence.PartMonitoring:
			r.Monitoring = evidence.Reading[cluster.HeartbeatMonitoring]{At: w.now, Value: cluster.HeartbeatMonitoring{On: w.monitored, Within: 6 * time.Minute}}
		case evidence.PartJob:
			if a.Job != "" {
				r.Job = reading(w, m.job, w.down[m.owner])
			}
		case evidence.PartDiagnostics:
			r.Diagnostics = reading(w, w.diagnostics(m), lost || m.mum || m.reason != "" || w.now.Sub(m.created) < setEvery)
		case evidence.PartViews:
			r.Views = w.views()
		case evidence.PartActivity:
			r.Activity = reading(w, cluster.Activity{}, w.down[m.owner])
		case evidence.PartLoads:
			r.Loads = map[string]evidence.Reading[evidence.Load]{}
			for _, n := range w.nodes {
				busy, ok := w.loads[n]
				if !ok {
					busy = 0.2
				}
				if len(a.Loads) == 0 || slices.Contains(a.Loads, n) {
					r.Loads[n] = reading(w, evidence.Load{Busy: busy, Over: 20 * time.Second, Processors: 16, Pressure: 0.6}, w.down[n] || busy < 0)
				}
			}
		case evidence.PartPlacement:
			r.Placement = reading(w, w.placement(m), false)
		case evidence.PartDumps:
			r.Dumps = reading(w, m.dumps, w.blind[m.name])
		case evidence.PartSweep:
			s := evidence.Sweep{Controls: []evidence.Control{{Address: "a", OK: w.controls}, {Address: "b", OK: w.controls}}}
			for _, name := range slices.Sorted(maps.Keys(w.vms)) {
				if o := w.vms[name]; o != m {
					s.Watched = append(s.Watched, evidence.Sibling{VM: name, Owner: o.owner, Sick: o.reason != "" || w.down[o.owner]})
				}
			}
			r.Sweep = reading(w, s, false)
		}
	}
	return r
}

// setEvery is how far apart the sets of sp_server_diagnostics come, the first one so long after SQL Server's start.
const setEvery = 10 * time.Second

// diagnostics are the last set. A component that was in error before the process began is not any more.
func (w *world) diagnostics(m *machine) evidence.Diagnostics {
	n := w.now.Sub(m.created) / setEvery
	d := evidence.Diagnostics{Received: m.created.Add(n * setEvery)}
	for _, name := range []string{"system", "resource", "query_processing"} {
		c := evidence.Component{Name: name, State: 1}
		if name == m.failing && m.since.After(m.created) && d.Received.After(m.since) {
			c.State, c.ErrorSets = 3, int(d.Received.Sub(m.since)/setEvery)+1
		}
		if name == "resource" && c.State == 1 && w.scarce[m.name] && (w.loads[m.owner] >= 0.9 || m.load >= 90) {
			c.State = 2
		}
		d.Components = append(d.Components, c)
	}
	return d
}

// placement: every other node could take the machine.
func (w *world) placement(m *machine) evidence.Placement {
	bound := true
	p := evidence.Placement{Hosts: map[string]evidence.Reading[evidence.Capacity]{}}
	p.Group, p.PossibleOwners = group(m.name), w.nodes
	p.Memory, p.Monitored = reading(w, uint64(8<<30), false), reading(w, false, false)
	for _, n := range w.nodes {
		p.Nodes = append(p.Nodes, cluster.PlacementNode{Name: n})
		p.Hosts[n] = reading(w, evidence.Capacity{MemoryFree: 64 << 30, Volumes: []cluster.SharedVolume{{Name: "Volume1"}}, Uplinks: []cluster.Uplink{{Name: "NIC1", Media: cluster.MediaConnected, Bound: &bound}}}, false)
	}
	return p
}

func (w *world) login(m *machine, lost bool) evidence.Reading[evidence.Login] {
	l := evidence.Login{Up: m.reason == "", Reason: m.reason, Databases: m.databases}
	if lost && !w.blind[m.name] {
		l = evidence.Login{Reason: dial.TCPTimeout}
	}
	if !l.Up {
		l.Databases = nil
	}
	return evidence.Reading[evidence.Login]{Value: l, At: w.now}
}

func reading[T any](w *world, v T, lost bool) evidence.Reading[T] {
	if lost {
		return evidence.Reading[T]{At: w.now, Failure: dial.TCPTimeout}
	}
	return evidence.Reading[T]{Value: v, At: w.now}
}

// vitals are what the background sampler reads: of a SQL Server that does not answer, nothing.
func (w *world) vitals(id evidence.VM) evidence.Vitals {
	m := w.vms[id.Name]
	work := evidence.Reading[evidence.Work]{At: w.now, Failure: dial.LoginTimeout}
	if m.reason == "" {
		work = evidence.Reading[evidence.Work]{At: w.now, Value: evidence.Work{Backup: m.backup}}
		if !m.open.IsZero() {
			work.Value.Oldest = w.now.Sub(m.open)
		}
	}
	disks := evidence.Reading[cluster.DiskIO]{At: w.now, Failure: dial.Other, Detail: "no counters"}
	if w.counted {
		n := uint32(w.now.Unix()) //nolint:gosec // it moves
		if m.hung && !m.writes {
			n = 1
		}
		disks = evidence.Reading[cluster.DiskIO]{At: w.now, Value: cluster.DiskIO{Host: m.owner, Disks: map[string]cluster.DiskCount{m.name: {Writes: n}}}}
	}
	return evidence.Vitals{
		Disks: disks,
		VM:    id, Work: map[string]evidence.Reading[evidence.Work]{"MSSQLSERVER": work},
		Orderly: reading(w, cluster.Orderly{}, w.blind[m.name]),
	}
}

func (w *world) proof(id evidence.VM) evidence.Proof {
	m := w.vms[id.Name]
	p := evidence.Proof{VM: id, At: w.now}
	if m.reason != "" || w.down[m.owner] || w.blind[m.name] {
		p.Missing = []string{"SQL Server does not answer"}
		p.Binding.Names = evidence.NamesOf(w.cfg.VirtualMachine(clusterName, id.Name))
		return p
	}
	p.Binding = evidence.Binding{At: w.now, Group: group(id.Name), VMID: "id-" + m.name, ComputerName: m.name, ProductUUID: m.uuid()}
	vm := w.cfg.VirtualMachine(clusterName, id.Name)
	p.Binding.Names = evidence.NamesOf(vm)
	p.Baseline = map[string]evidence.Baseline{"MSSQLSERVER": {At: w.now, Databases: maps.Clone(m.databases), PID: m.service.ProcessID, Created: m.created}}
	if m.agent.State == cluster.ServiceRunning {
		b := p.Baseline["MSSQLSERVER"]
		b.Dependents = []string{m.agent.Name}
		if m.agent.StartMode != "Auto" {
			b.Manual = b.Dependents
		}
		p.Baseline["MSSQLSERVER"] = b
	}
	return p
}

// only is the one incident of a VM and class.
func (w *world) only(vm string, fault evidence.Fault) incident.Incident {
	w.t.Helper()
	var found []incident.Incident
	for i := range w.state.Incidents.All() {
		if i.VM.Name == vm && i.Fault == fault {
			found = append(found, i)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("%d incidents of fault %s on %s, want 1", len(found), fault, vm)
	}
	return found[0]
}

// verdict is what a guard last said about an incident.
func verdict(i incident.Incident, id string) guard.Verdict {
	for _, v := range i.Verdicts {
		if v.Guard == id {
			return v
		}
	}
	return guard.Verdict{}
}

func (w *world) methods() []string {
	var names []string
	for _, c := range w.commands {
		names = append(names, string(c.Method)+" "+c.Service)
	}
	return names
}

// vmOf is what is known of a virtual machine.
func vmOf(w *world, id evidence.VM) incident.VM {
	w.t.Helper()
	vm, ok := w.state.VMs.Get(id)
	if !ok {
		w.t.Fatalf("%s is not known", id)
	}
	return vm
}

// incidentOf is the incident of an id.
func incidentOf(w *world, id string) incident.Incident {
	w.t.Helper()
	i, ok := w.state.Incidents.Get(id)
	if !ok {
		w.t.Fatalf("there is no incident %s", id)
	}
	return i
}
