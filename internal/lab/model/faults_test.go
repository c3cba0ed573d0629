package model_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

func inEra(t testing.TB, p model.Profile, era string) *model.Model {
	t.Helper()
	e, err := model.EraNamed(era)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(model.Default(p).In(e), start, 1)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// course tells how HV1 and SQL01, which is on it in the beginning, are at a moment, and what was done to SQL01 until then.
func course(m *model.Model, d time.Duration) string {
	m.Advance(start.Add(d))
	n, v := m.Node("HV1"), m.VM("SQL01")
	s := v.Server("")
	down := "down"
	if s.Up {
		down = "up"
	}
	if !m.Reachable(v) {
		down += " out of reach"
	}
	return fmt.Sprintf("HV1 %d/%d, SQL01 on %s group %d vm %d %s %s, failovers %d moved %d", n.State, n.Status, v.Owner, v.GroupState, v.State,
		strings.ToLower(string(s.Service().State)), down, len(v.Counts.FailoversByCluster), len(v.Counts.Moved))
}

type moment struct {
	at   time.Duration
	want string
}

const (
	wellOnHV1 = "HV1 0/0, SQL01 on HV1 group 0 vm 2 running up, failovers 0 moved 0"
	failed    = "HV1 1/0, SQL01 on HV2 group 0 vm 2 running up, failovers 1 moved 0"
)

// TestCoursesInTheirEra: what the cluster does about each fault, by the clock. In the paper profile of 2008 R2 a host is
// missed after 5 s and its virtual machine serves after 15 s of failover, 30 s of boot and 10 s of start; today it is
// missed after 10 s and given 240 s. The quick profile's numbers are 3 s, 15 s, 3 s, 5 s and 2 s.
func TestCoursesInTheirEra(t *testing.T) {
	t.Parallel()
	paper, quick := model.Paper, model.Quick
	tests := []struct {
		fault, era string
		profile    func() model.Profile
		want       []moment
		heal       time.Duration // when
		healed     []moment
	}{
		{fault: model.HostCPU, era: model.Era2008R2, profile: paper, want: []moment{
			{4 * time.Second, "HV1 0/0, SQL01 on HV1 group 0 vm 3 stopped down out of reach, failovers 0 moved 0"},
			{5 * time.Second, "HV1 1/0, SQL01 on HV2 group 4 vm 3 stopped down out of reach, failovers 1 moved 0"},
			{60 * time.Second, failed},
		}, heal: time.Hour, healed: []moment{{3 * time.Hour, "HV1 0/0, SQL01 on HV2 group 0 vm 2 running up, failovers 1 moved 0"}}},
		{fault: model.HostMemory, era: model.EraToday, profile: paper, want: []moment{
			{10 * time.Second, "HV1 1/1, SQL01 on HV1 group 0 vm 3 stopped down out of reach, failovers 0 moved 0"},
			{249 * time.Second, "HV1 1/1, SQL01 on HV1 group 0 vm 3 stopped down out of reach, failovers 0 moved 0"},
			{305 * time.Second, failed},
		}},
		{fault: model.HostMainboard, era: model.EraToday, profile: quick, want: []moment{{28 * time.Second, failed}, {time.Hour, failed}}},
		{fault: model.HostRAID, era: model.Era2008R2, profile: quick, want: []moment{{13 * time.Second, failed}}},
		{fault: model.HostDisk, era: model.Era2008R2, profile: paper, want: []moment{
			{59 * time.Second, wellOnHV1},
			{65 * time.Second, "HV1 1/0, SQL01 on HV2 group 4 vm 3 stopped down out of reach, failovers 1 moved 0"},
			{120 * time.Second, failed},
		}},
		{fault: model.HostOSCrash, era: model.Era2008R2, profile: paper, want: []moment{
			{60 * time.Second, failed},
			{200 * time.Second, "HV1 0/0, SQL01 on HV2 group 0 vm 2 running up, failovers 1 moved 0"},
		}},
		{fault: model.HypervisorCrash, era: model.EraToday, profile: paper, want: []moment{ // back before its time is over
			{179 * time.Second, "HV1 1/1, SQL01 on HV1 group 0 vm 3 stopped down out of reach, failovers 0 moved 0"},
			{220 * time.Second, wellOnHV1},
			{time.Hour, wellOnHV1},
		}},
		{fault: model.HostStarved, era: model.Era2008R2, profile: paper, want: []moment{{2 * time.Hour, wellOnHV1}}},
		{fault: model.HostStarved, era: model.EraToday, profile: paper, want: []moment{
			{29 * time.Minute, wellOnHV1},
			{31 * time.Minute, "HV1 0/0, SQL01 on HV2 group 0 vm 2 running up, failovers 0 moved 1"},
		}},
		{fault: model.GrayHost, era: model.EraToday, profile: quick, want: []moment{{time.Hour, wellOnHV1}}},
		{fault: model.GuestStarved, era: model.EraToday, profile: quick, want: []moment{{time.Hour, wellOnHV1}}},
		{fault: model.LANBoard, era: model.Era2008R2, profile: paper, want: []moment{
			{time.Hour, "HV1 0/0, SQL01 on HV1 group 0 vm 2 running up out of reach, failovers 0 moved 0"},
		}},
		{fault: model.LANBoard, era: model.EraToday, profile: paper, want: []moment{
			{119 * time.Second, "HV1 0/0, SQL01 on HV1 group 0 vm 2 running up out of reach, failovers 0 moved 0"},
			{121 * time.Second, "HV1 0/0, SQL01 on HV2 group 0 vm 2 running up, failovers 1 moved 0"},
		}},
		{fault: model.Partition, era: model.Era2008R2, profile: paper, want: []moment{
			{4 * time.Second, wellOnHV1},
			{5 * time.Second, "HV1 1/0, SQL01 on HV2 group 4 vm 3 stopped down out of reach, failovers 1 moved 0"},
			{60 * time.Second, failed},
		}, heal: time.Hour, healed: []moment{{2 * time.Hour, "HV1 0/0, SQL01 on HV2 group 0 vm 2 running up, failovers 1 moved 0"}}},
		{fault: model.Partition, era: model.EraToday, profile: paper, want: []moment{ // the guest serves on, unmonitored
			{239 * time.Second, "HV1 1/1, SQL01 on HV1 group 0 vm 2 running up, failovers 0 moved 0"},
		}, heal: 239 * time.Second, healed: []moment{{239 * time.Second, wellOnHV1}, {time.Hour, wellOnHV1}}},
		{fault: model.QuorumLost, era: model.EraToday, profile: quick, want: []moment{
			{time.Second, wellOnHV1},
			{time.Hour, "HV1 1/0, SQL01 on HV1 group 0 vm 3 stopped down out of reach, failovers 0 moved 0"},
		}, heal: time.Hour, healed: []moment{{time.Hour + 10*time.Second, wellOnHV1}}},
		{fault: model.ClusterServiceStop, era: model.Era2008R2, profile: paper, want: []moment{ // saved, moved, resumed
			{time.Second, "HV1 1/0, SQL01 on HV1 group 4 vm 6 running up out of reach, failovers 0 moved 0"},
			{15 * time.Second, "HV1 1/0, SQL01 on HV2 group 0 vm 2 running up, failovers 0 moved 1"},
		}},
		{fault: model.ClusterServiceStop, era: model.EraToday, profile: paper, want: []moment{
			{time.Second, "HV1 1/0, SQL01 on HV1 group 4 vm 2 running up, failovers 0 moved 0"},
			{4 * time.Second, "HV1 1/0, SQL01 on HV2 group 0 vm 2 running up, failovers 0 moved 1"},
		}, heal: time.Minute, healed: []moment{{2 * time.Minute, "HV1 0/0, SQL01 on HV2 group 0 vm 2 running up, failovers 0 moved 1"}}},
		{fault: model.Quarantine, era: model.EraToday, profile: paper, want: []moment{
			{4 * time.Second, "HV1 1/2, SQL01 on HV2 group 0 vm 2 running up, failovers 0 moved 1"},
			{2*time.Hour - time.Second, "HV1 1/2, SQL01 on HV2 group 0 vm 2 running up, failovers 0 moved 1"},
			{2*time.Hour + 3*time.Second, "HV1 0/0, SQL01 on HV2 group 0 vm 2 running up, failovers 0 moved 1"},
		}},
		{fault: model.Drain, era: model.EraToday, profile: quick, want: []moment{
			{time.Second, "HV1 2/4, SQL01 on HV1 group 4 vm 2 running up, failovers 0 moved 0"},
			{10 * time.Second, "HV1 2/8, SQL01 on HV2 group 0 vm 2 running up, failovers 0 moved 1"},
		}, heal: time.Minute, healed: []moment{{time.Minute, "HV1 0/0, SQL01 on HV2 group 0 vm 2 running up, failovers 0 moved 1"}}},
		{fault: model.Drain, era: model.Era2008R2, profile: quick, want: []moment{
			{10 * time.Second, "HV1 2/0, SQL01 on HV2 group 0 vm 2 running up, failovers 0 moved 1"},
		}},
		{fault: model.LiveMigration, era: model.EraToday, profile: quick, want: []moment{
			{29 * time.Second, "HV1 0/0, SQL01 on HV1 group 4 vm 2 running up, failovers 0 moved 0"},
			{30 * time.Second, "HV1 0/0, SQL01 on HV2 group 0 vm 2 running up, failovers 0 moved 1"},
		}},
		{fault: model.Balancing, era: model.EraToday, profile: quick, want: []moment{
			{10 * time.Second, "HV1 0/0, SQL01 on HV1 group 4 vm 2 running up, failovers 0 moved 0"},
		}, heal: 20 * time.Second, healed: []moment{{time.Minute, wellOnHV1}}},
		{fault: model.VolumeLost, era: model.Era2008R2, profile: quick, want: []moment{
			{0, "HV1 0/0, SQL01 on HV1 group 2 vm 3 stopped down out of reach, failovers 0 moved 0"},
		}, heal: time.Hour, healed: []moment{{time.Hour + 10*time.Second, wellOnHV1}}},
		{fault: model.VolumeLost, era: model.EraToday, profile: paper, want: []moment{
			{29 * time.Minute, "HV1 0/0, SQL01 on HV1 group 0 vm 32789 running up out of reach, failovers 0 moved 0"},
			{30 * time.Minute, "HV1 0/0, SQL01 on HV1 group 2 vm 3 stopped down out of reach, failovers 0 moved 0"},
		}, heal: time.Hour, healed: []moment{{time.Hour + time.Minute, wellOnHV1}}},
		{fault: model.VolumeLost, era: model.EraToday, profile: quick, heal: time.Minute, healed: []moment{{time.Minute, wellOnHV1}}},
		{fault: model.ServiceLogonFailure, era: model.EraToday, profile: quick, want: []moment{
			{time.Hour, "HV1 0/0, SQL01 on HV1 group 0 vm 2 stopped down, failovers 0 moved 0"},
		}, heal: time.Hour, healed: []moment{{time.Hour + 5*time.Second, wellOnHV1}}},
		{fault: model.UpdateReboot, era: model.EraToday, profile: paper, want: []moment{
			{25 * time.Minute, "HV1 0/0, SQL01 on HV1 group 0 vm 2 stopped down out of reach, failovers 0 moved 0"},
			{26 * time.Minute, wellOnHV1},
		}},
		{fault: model.Checkpoint, era: model.EraToday, profile: quick, want: []moment{{time.Hour, wellOnHV1}}},
		{fault: model.LongRecovery, era: model.EraToday, profile: quick, want: []moment{{time.Hour, wellOnHV1}}},
		{fault: model.DatabaseSuspect, era: model.EraToday, profile: quick, want: []moment{{time.Hour, wellOnHV1}}},
		{fault: model.BackupFreeze, era: model.EraToday, profile: quick, want: []moment{{time.Second, wellOnHV1}, {time.Hour, wellOnHV1}}},
		{fault: model.MonitorPassword, era: model.EraToday, profile: quick, want: []moment{{time.Hour, wellOnHV1}}},
		{fault: model.CertificateExpired, era: model.EraToday, profile: quick, want: []moment{{time.Hour, wellOnHV1}}},
	}
	for _, tt := range tests {
		t.Run(tt.fault+" "+tt.era+" "+tt.profile().Name, func(t *testing.T) {
			t.Parallel()
			m := inEra(t, tt.profile(), tt.era)
			id := inject(t, m, model.Request{Fault: tt.fault, VM: "SQL01"})
			for _, w := range tt.want {
				if got := course(m, w.at); got != w.want {
					t.Errorf("after %s:\n got %s\nwant %s", w.at, got, w.want)
				}
			}
			m.Advance(start.Add(tt.heal))
			if !m.Heal(id) || m.Heal(id) {
				t.Error("a fault must heal once")
			}
			for _, w := range tt.healed {
				if got := course(m, w.at); got != w.want {
					t.Errorf("healed, after %s:\n got %s\nwant %s", w.at, got, w.want)
				}
			}
		})
	}
}

// TestEachFaultIsTold: a sentence for each, no name twice, and each can be injected where its victim is well, and healed.
func TestEachFaultIsTold(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range model.Faults() {
		if seen[f.Name] || f.About == "" || strings.HasSuffix(f.About, ".") || f.Of == "" {
			t.Errorf("%+v: a name that is no other's, a sentence without its point and a victim are needed", f)
		}
		seen[f.Name] = true
		m := inEra(t, model.Quick(), model.EraToday)
		id := inject(t, m, model.Request{Fault: f.Name, VM: "SQL01"})
		if _, err := m.Inject(model.Request{Fault: f.Name, VM: "SQL99", Node: "HV9"}); err == nil && f.Of != model.OfCluster {
			t.Errorf("%s befell a %s that is not there", f.Name, f.Of)
		}
		if m.Advance(m.Now().Add(time.Minute)); !m.Heal(id) {
			t.Errorf("%s did not heal", f.Name)
		}
		m.Advance(m.Now().Add(time.Hour))
		for _, v := range m.VMs {
			if v.GroupState != cluster.GroupOnline || v.State != cluster.VMRunning || v.Guest != model.GuestRunning {
				t.Errorf("an hour after %s was healed %s is group %d, vm %d, guest %d", f.Name, v.Name, v.GroupState, v.State, v.Guest)
			}
		}
		for _, n := range m.Nodes {
			if n.State != cluster.NodeUp || n.Status != 0 || !n.Clustering || n.Alone {
				t.Errorf("an hour after %s was healed %s is %d/%d", f.Name, n.Name, n.State, n.Status)
			}
		}
	}
}

// TestAThirdDepartureIsAQuarantine: of a node that falls out three times within the hour, in an era that knows it.
func TestAThirdDepartureIsAQuarantine(t *testing.T) {
	t.Parallel()
	for era, want := range map[string]cluster.NodeStatus{model.Era2008R2: 0, model.EraToday: cluster.NodeQuarantined} {
		m := inEra(t, model.Paper(), era)
		n := m.Node("HV1")
		for range 3 {
			id := inject(t, m, model.Request{Fault: model.HostPowerOff, Node: "HV1"})
			m.Advance(m.Now().Add(20 * time.Second))
			m.Heal(id)
			m.Advance(m.Now().Add(5 * time.Minute))
		}
		if n.Status != want {
			t.Errorf("%s: status %d after three departures, want %d", era, n.Status, want)
		}
		told := slices.ContainsFunc(m.Node("HV2").Events, func(e model.Event) bool { return e.ID == model.EventQuarantined })
		if told != (want != 0) {
			t.Errorf("%s: event 1672 was written: %t", era, told)
		}
		m.Advance(m.Now().Add(3 * time.Hour))
		if n.State != cluster.NodeUp || n.Status != 0 {
			t.Errorf("%s: HV1 is %d/%d in the end, want a member", era, n.State, n.Status)
		}
	}
}

// TestWhatABrokenHostTells: only what Windows could still write.
func TestWhatABrokenHostTells(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]string{
		model.HostPowerOff:    "[6008 41]",
		model.HostCPU:         "[6008 41 18 1001]",
		model.HostMemory:      "[6008 41 18 1001]",
		model.HostMainboard:   "[6008 41]",
		model.HostRAID:        "[6008 41]",
		model.HostDisk:        "[6008 41]",
		model.HostOSCrash:     "[6008 41 1001]",
		model.HypervisorCrash: "[6008 41 1001]",
	} {
		m := inEra(t, model.Quick(), model.Era2008R2)
		id := inject(t, m, model.Request{Fault: fault, Node: "HV1"})
		m.Advance(m.Now().Add(time.Minute))
		m.Heal(id)
		m.Advance(m.Now().Add(time.Minute))
		var ids []uint32
		for _, e := range m.Node("HV1").Events {
			ids = append(ids, e.ID)
		}
		if got := fmt.Sprint(ids); got != want {
			t.Errorf("%s: the host's log says %s, want %s", fault, got, want)
		}
	}
}

// TestAPartitionedNodeSeesItselfAlone, as long as its cluster service runs, and the others see it down.
func TestAPartitionedNodeSeesItselfAlone(t *testing.T) {
	t.Parallel()
	m := inEra(t, model.Paper(), model.EraToday)
	inject(t, m, model.Request{Fault: model.Partition, Node: "HV1"})
	see := func() string {
		var b strings.Builder
		for _, by := range m.Nodes {
			for _, n := range m.Nodes {
				fmt.Fprint(&b, m.NodeState(by.Name, n))
			}
			fmt.Fprint(&b, " ")
		}
		return b.String()
	}
	for _, w := range []struct {
		at   time.Duration
		want string
	}{{9 * time.Second, "000 000 000 "}, {10 * time.Second, "011 100 100 "}, {251 * time.Second, "100 100 100 "}} {
		m.Advance(start.Add(w.at))
		if got := see(); got != w.want {
			t.Errorf("after %s the nodes see %q, want %q", w.at, got, w.want)
		}
	}
	if m.Node("HV1").Clustering {
		t.Error("a node that has no quorum still clusters")
	}
}

// TestAWrongPasswordOfTheServiceIsAnswered by 15, by the events of it, and after a restart of the guest too.
func TestAWrongPasswordOfTheServiceIsAnswered(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	v := m.VM("SQL01")
	id := inject(t, m, model.Request{Fault: model.ServiceLogonFailure, VM: "SQL01"})
	s := v.Server("").Service()
	if code := m.StartService(v, s); code != 15 || s.ExitCode != 1069 || s.State != cluster.ServiceStopped {
		t.Errorf("start = %d, exit code %d, %q; want 15, 1069 and stopped", code, s.ExitCode, s.State)
	}
	var ids []uint32
	for _, e := range v.Events {
		ids = append(ids, e.ID)
	}
	if got, want := fmt.Sprint(ids), "[7034 7038 7000]"; got != want {
		t.Errorf("the guest's log says %s, want %s", got, want)
	}
	m.Restart(v)
	m.Advance(m.Now().Add(time.Minute))
	if s.State != cluster.ServiceStopped || v.Service("SQLSERVERAGENT").State != cluster.ServiceStopped {
		t.Errorf("after a restart of the guest SQL Server is %q, the agent %q; want neither started", s.State, v.Service("SQLSERVERAGENT").State)
	}
	m.Heal(id)
	m.Advance(m.Now().Add(time.Minute))
	if !v.Server("").Up {
		t.Error("SQL Server did not come back with the right password")
	}
}

func TestEras(t *testing.T) {
	t.Parallel()
	if _, err := model.EraNamed("1999"); err == nil || !strings.Contains(err.Error(), "2008r2 or today") {
		t.Errorf("EraNamed: %v, want an error that names the eras", err)
	}
	for profile, want := range map[string]string{
		"paper": "5 0s 0s; 10 4m0s 2h0m0s 2m0s 30m0s",
		"quick": "3 0s 0s; 3 15s 7m30s 7.5s 1m52.5s",
	} {
		p, err := model.ProfileNamed(profile)
		if err != nil {
			t.Fatal(err)
		}
		eras := model.Eras()
		a, b := model.Default(p).In(eras[0]), model.Default(p).In(eras[1])
		got := fmt.Sprintf("%d %s %s; %d %s %s %s %s", a.Profile.HeartbeatThreshold, a.Profile.Resiliency, a.Era.ProtectedNetwork,
			b.Profile.HeartbeatThreshold, b.Profile.Resiliency, b.Era.QuarantineFor, b.Era.ProtectedNetwork, b.Era.Balancing)
		if got != want || a.ProtectedNetwork || !b.ProtectedNetwork {
			t.Errorf("%s = %s, want %s", profile, got, want)
		}
	}
	if s := model.Default(model.Paper()); s.Era.Name != "" || s.Profile != model.Paper() || s.ProtectedNetwork {
		t.Error("a cluster that no era was chosen for is one of an era")
	}
}

// TestALongRecovery: of the next start alone; SQL Server lets everybody in meanwhile.
func TestALongRecovery(t *testing.T) {
	t.Parallel()
	m := inEra(t, model.Paper(), model.EraToday)
	s := m.VM("SQL01").Server("")
	inject(t, m, model.Request{Fault: model.LongRecovery, VM: "SQL01"})
	see := func(d time.Duration) string {
		m.Advance(start.Add(d))
		return fmt.Sprint(s.Up, s.Recovering)
	}
	if got := see(time.Hour); got != "true false" {
		t.Errorf("before a start: up, recovering %s", got)
	}
	for range 2 {
		began := m.Now().Sub(start)
		want := []string{"true true", "true true", "true false"}
		if s.Slow == 0 {
			want = []string{"true false", "true false", "true false"}
		}
		m.Heal(inject(t, m, model.Request{Fault: model.ServiceCrash, VM: "SQL01"}))
		for n, d := range []time.Duration{11 * time.Second, 40 * time.Minute, 41 * time.Minute} {
			if got := see(began + d); got != want[n] {
				t.Errorf("%s after a start: up, recovering %s, want %s", d, got, want[n])
			}
		}
	}
}

// TestABackupFreezesTheWrites, says so, and ends by itself or with SQL Server.
func TestABackupFreezesTheWrites(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	v := m.VM("SQL01")
	s := v.Server("")
	inject(t, m, model.Request{Fault: model.BackupFreeze, VM: "SQL01"})
	m.Advance(m.Now().Add(11 * time.Second))
	if !s.Frozen || !s.Backup || !s.Up {
		t.Errorf("after 11 s: %+v, want frozen, backed up and up", s)
	}
	m.Advance(m.Now().Add(2 * time.Second))
	if s.Frozen || s.Backup {
		t.Errorf("after 13 s: %+v", s)
	}
	var told []string
	for _, e := range v.Events {
		told = append(told, fmt.Sprint(e.Source, " ", e.ID))
	}
	if got, want := strings.Join(told, ", "), "MSSQLSERVER 3197, MSSQLSERVER 3198"; got != want {
		t.Errorf("the Application log says %s, want %s", got, want)
	}
	inject(t, m, model.Request{Fault: model.BackupFreeze, VM: "SQL01"})
	m.Heal(inject(t, m, model.Request{Fault: model.ServiceCrash, VM: "SQL01"}))
	if s.Frozen {
		t.Error("a SQL Server that starts anew is frozen")
	}
}

// TestAnUpdateIsInstalledWhileItStarts: Windows said that it restarts, writes all the time, and its updates run.
func TestAnUpdateIsInstalledWhileItStarts(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	v := m.VM("SQL01")
	inject(t, m, model.Request{Fault: model.UpdateReboot, VM: "SQL01"})
	count := m.DiskCount(v)
	m.Advance(m.Now().Add(time.Minute))
	if v.Guest != model.GuestBooting || !v.At.Servicing || m.DiskCount(v) <= count || v.Heartbeat == cluster.HeartbeatOK {
		t.Errorf("guest %d, servicing %t, disk %d and then %d, heartbeat %d", v.Guest, v.At.Servicing, count, m.DiskCount(v), v.Heartbeat)
	}
	if !slices.ContainsFunc(v.Events, func(e model.Event) bool {
		return e.ID == 1074 && strings.HasSuffix(e.Strings[0], "TrustedInstaller.exe")
	}) {
		t.Error("no event 1074 of the installer")
	}
	m.Advance(m.Now().Add(time.Minute))
	if v.Guest != model.GuestRunning || v.At.Servicing || v.At.Disk {
		t.Errorf("in the end guest %d, servicing %t, disk %t", v.Guest, v.At.Servicing, v.At.Disk)
	}
}

// TestACheckpointIsMadeAndMerged: Hyper-V says what it is at.
func TestACheckpointIsMadeAndMerged(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	v := m.VM("SQL01")
	id := inject(t, m, model.Request{Fault: model.Checkpoint, VM: "SQL01"})
	see := func(d time.Duration) string {
		m.Advance(m.Now().Add(d))
		return fmt.Sprint(v.Checkpoints, v.OperationalStatus())
	}
	for _, w := range []struct {
		after time.Duration
		want  string
	}{{0, "1 [2 32768]"}, {3 * time.Second, "1 [2]"}} {
		if got := see(w.after); got != w.want {
			t.Errorf("checkpoints, operational status = %s, want %s", got, w.want)
		}
	}
	m.Heal(id)
	if got := see(0) + see(time.Minute); got != "0 [2 32772]0 [2]" {
		t.Errorf("merged: %s", got)
	}
}
