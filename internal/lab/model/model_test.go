package model_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

var start = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

func newModel(t testing.TB) *model.Model {
	t.Helper()
	m, err := model.New(model.Default(model.Quick()), start, 1)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func inject(t testing.TB, m *model.Model, r model.Request) string {
	t.Helper()
	in, err := m.Inject(r)
	if err != nil {
		t.Fatalf("inject %+v: %v", r, err)
	}
	return in.ID
}

// at tells how SQL01 is at a moment, in one line.
func at(m *model.Model, d time.Duration) string {
	m.Advance(start.Add(d))
	v := m.VM("SQL01")
	s := v.Server("")
	return fmt.Sprintf("owner %s group %d vm %d heartbeat %d service %q exit %d up %v reach %v", v.Owner, v.GroupState, v.State, v.Heartbeat,
		s.Service().State, s.Service().ExitCode, s.Up, m.Reachable(v))
}

func TestCourseOfEachFault(t *testing.T) {
	t.Parallel()
	type moment struct {
		at   time.Duration
		want string
	}
	const healthy = `owner HV1 group 0 vm 2 heartbeat 2 service "Running" exit 0 up true reach true`
	tests := []struct {
		fault string
		want  []moment
	}{
		{model.ServiceCrash, []moment{{0, `owner HV1 group 0 vm 2 heartbeat 2 service "Stopped" exit 1067 up false reach true`}, {time.Hour, `owner HV1 group 0 vm 2 heartbeat 2 service "Stopped" exit 1067 up false reach true`}}},
		{model.ServiceStop, []moment{{0, `owner HV1 group 0 vm 2 heartbeat 2 service "Stop Pending" exit 0 up false reach true`}, {time.Second, `owner HV1 group 0 vm 2 heartbeat 2 service "Stopped" exit 0 up false reach true`}}},
		{model.SQLHang, []moment{{0, `owner HV1 group 0 vm 2 heartbeat 2 service "Running" exit 0 up false reach true`}}},
		{model.GuestCrash, []moment{{0, `owner HV1 group 0 vm 2 heartbeat 13 service "Stopped" exit 0 up false reach false`}}},
		{model.GuestHang, []moment{{0, `owner HV1 group 0 vm 2 heartbeat 13 service "Stopped" exit 0 up false reach true`}}},
		{model.LANBoard, []moment{{0, `owner HV1 group 0 vm 2 heartbeat 2 service "Running" exit 0 up true reach false`}}},
		{model.HostPowerOff, []moment{
			{0, `owner HV1 group 0 vm 3 heartbeat 0 service "Stopped" exit 0 up false reach false`},
			{17 * time.Second, `owner HV1 group 0 vm 3 heartbeat 0 service "Stopped" exit 0 up false reach false`},
			{18 * time.Second, `owner HV2 group 4 vm 3 heartbeat 0 service "Stopped" exit 0 up false reach false`},
			{21 * time.Second, `owner HV2 group 0 vm 2 heartbeat 12 service "Stopped" exit 0 up false reach false`},
			{26 * time.Second, `owner HV2 group 0 vm 2 heartbeat 2 service "Start Pending" exit 0 up false reach true`},
			{28 * time.Second, `owner HV2 group 0 vm 2 heartbeat 2 service "Running" exit 0 up true reach true`},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			m := newModel(t)
			if got := at(m, 0); got != healthy {
				t.Fatalf("before = %s", got)
			}
			id := inject(t, m, model.Request{Fault: tt.fault, VM: "SQL01"})
			for _, w := range tt.want {
				if got := at(m, w.at); got != w.want {
					t.Errorf("%s after:\n got %s\nwant %s", w.at, got, w.want)
				}
			}
			if !m.Heal(id) || m.Heal(id) {
				t.Error("a fault must heal once")
			}
			if got := at(m, 2*time.Hour); m.VM("SQL01").Server("").Up != true || !m.Reachable(m.VM("SQL01")) {
				t.Errorf("healed = %s, want SQL Server up and reachable", got)
			}
		})
	}
}

func TestTheClusterNoticesADeadNodeOnlyAfterItsHeartbeat(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	inject(t, m, model.Request{Fault: model.HostPowerOff, Node: "HV1"})
	m.Advance(start.Add(2900 * time.Millisecond))
	if s := m.Node("HV1").State; s != cluster.NodeUp {
		t.Errorf("state after 2.9 s = %d, want up: nobody knows yet", s)
	}
	m.Advance(start.Add(3 * time.Second))
	if n := m.Node("HV1"); n.State != cluster.NodeDown || n.Status != cluster.NodeIsolated {
		t.Errorf("state after 3 s = %d, status %d, want down and isolated", n.State, n.Status)
	}
	if s := m.VM("SQL01").GroupStatus; s&cluster.GroupUnmonitored == 0 {
		t.Errorf("group status = %#x, want unmonitored", uint64(s))
	}
}

func TestANodeThatComesBackWithinTheResiliencyPeriodKeepsItsVMs(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	id := inject(t, m, model.Request{Fault: model.HostPowerOff, Node: "HV1"})
	m.Advance(start.Add(5 * time.Second))
	m.Heal(id)
	m.Advance(start.Add(time.Hour))
	if v := m.VM("SQL01"); v.Owner != "HV1" || len(v.Counts.FailoversByCluster) != 0 || !v.Server("").Up {
		t.Errorf("owner %s after %d failovers, up %v; want HV1 without any, up", v.Owner, len(v.Counts.FailoversByCluster), v.Server("").Up)
	}
}

func TestFailoverThreshold(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	for range 3 {
		v := m.VM("SQL01")
		id := inject(t, m, model.Request{Fault: model.HostPowerOff, Node: v.Owner})
		m.Advance(m.Now().Add(2 * time.Minute))
		m.Heal(id)
		m.Advance(m.Now().Add(time.Minute))
	}
	if n := len(m.VM("SQL01").Counts.FailoversByCluster); n != 2 {
		t.Errorf("failovers = %d within 6 h on 3 nodes, want 2", n)
	}
}

func TestServiceMethods(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	v := m.VM("SQL01")
	sql, agent := v.Service("mssqlserver"), v.Service("SQLSERVERAGENT")
	steps := []struct {
		name string
		got  uint32
		want uint32
	}{
		{"start what runs", m.StartService(v, sql), 10},
		{"stop what others need", m.StopService(v, sql), 3},
		{"stop the dependent", m.StopService(v, agent), 0},
	}
	m.Advance(start.Add(time.Second))
	steps = append(steps, []struct {
		name string
		got  uint32
		want uint32
	}{
		{"stop", m.StopService(v, sql), 0},
		{"stop what stops", m.StopService(v, sql), 6},
	}...)
	m.Advance(start.Add(2 * time.Second))
	sql.StartMode = "Disabled"
	steps = append(steps, struct {
		name string
		got  uint32
		want uint32
	}{"start what is disabled", m.StartService(v, sql), 14})
	sql.StartMode = "Auto"
	code := m.StartService(v, agent)
	m.Advance(start.Add(10 * time.Second))
	if code != 0 || sql.State != cluster.ServiceRunning || agent.State != cluster.ServiceRunning {
		t.Errorf("start of the agent = %d, SQL Server %q, agent %q; want what it depends on started first", code, sql.State, agent.State)
	}
	for _, s := range steps {
		if s.got != s.want {
			t.Errorf("%s = %d, want %d", s.name, s.got, s.want)
		}
	}
	stays := inject(t, m, model.Request{Fault: model.ProcessStays, VM: "SQL01"})
	if c := m.Terminate(v, sql.PID); c != 0 || sql.State != cluster.ServiceRunning || sql.PID == 0 {
		t.Errorf("terminate of a process that stays = %d, %q with PID %d; want it said to be done, and there", c, sql.State, sql.PID)
	}
	m.Heal(stays)
	if c := m.Terminate(v, 1); c != 9 {
		t.Errorf("terminate of no process = %d, want 9", c)
	}
	if c := m.Terminate(v, sql.PID); c != 0 || sql.ExitCode != 1067 || v.Events[len(v.Events)-1].ID != 7034 {
		t.Errorf("terminate = %d, exit code %d, newest event %d; want 0, 1067, 7034", c, sql.ExitCode, v.Events[len(v.Events)-1].ID)
	}
}

func TestBadFaultsAreRefusedWithWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	for _, r := range []model.Request{
		{Fault: "meteor", VM: "SQL01"},
		{Fault: model.ServiceCrash, VM: "SQL99"},
		{Fault: model.ServiceCrash, VM: "SQL01", Instance: "X"},
		{Fault: model.HostPowerOff, Node: "HV9"},
		{Fault: model.HostPowerOff},
		{Fault: model.ServiceCrash, VM: "DC01"},
	} {
		if _, err := m.Inject(r); err == nil {
			t.Errorf("Inject(%+v) = nil, want an error", r)
		}
	}
}

// TestRandomCourses: the same seed gives the same course, and whatever happens, every group has one owner, which is a
// node, and no failover goes uncounted.
func TestRandomCourses(t *testing.T) {
	t.Parallel()
	play := func(seed uint64) []string {
		m := newModel(t)
		rnd := rand.New(rand.NewPCG(seed, 1))
		names := model.FaultNames()
		var ids, trace []string
		for range 60 {
			before := map[string]string{}
			for _, v := range m.VMs {
				before[v.Name] = v.Owner
			}
			counted := len(m.VMs[0].Counts.FailoversByCluster) + len(m.VMs[0].Counts.Moved)
			switch rnd.IntN(3) {
			case 0, 1:
				if in, err := m.Inject(model.Request{Fault: names[rnd.IntN(len(names))], VM: m.VMs[rnd.IntN(4)].Name}); err == nil {
					ids = append(ids, in.ID)
				}
			case 2:
				if len(ids) > 0 {
					m.Heal(ids[rnd.IntN(len(ids))])
				}
			}
			m.Advance(m.Now().Add(time.Duration(rnd.IntN(40000)) * time.Millisecond))
			for _, v := range m.VMs {
				if m.Node(v.Owner) == nil {
					t.Fatalf("seed %d: %s is owned by %q, no node", seed, v.Name, v.Owner)
				}
				if v.Server("") != nil && v.Server("").Up && v.Guest != model.GuestRunning {
					t.Errorf("seed %d: %s serves in a guest that does not run", seed, v.Name)
				}
				trace = append(trace, fmt.Sprint(v.Name, v.Owner, v.GroupState, v.State, v.Counts))
			}
			if v := m.VMs[0]; before[v.Name] != v.Owner && len(v.Counts.FailoversByCluster)+len(v.Counts.Moved) == counted {
				t.Errorf("seed %d: %s went from %s to %s uncounted", seed, v.Name, before[v.Name], v.Owner)
			}
		}
		return trace
	}
	for seed := range uint64(30) {
		if diff := cmp.Diff(play(seed), play(seed)); diff != "" {
			t.Fatalf("seed %d gives two courses:\n%s", seed, diff)
		}
	}
}
