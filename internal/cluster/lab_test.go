package cluster_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// site is a running lab and its clients.
type site struct {
	lab     *lab.Lab
	secrets map[string]string // what the lab exports for a shell
	pool    *x509.CertPool
}

// startLab starts one. Elsewhere than on Linux no port can be silent.
func startLab(t *testing.T) *site {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the lab's dead machines need Linux")
	}
	l, err := lab.Start(lab.Options{Dir: t.TempDir(), Logger: log.NewNopLogger(), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &site{lab: l, secrets: make(map[string]string), pool: x509.NewCertPool()}
	for _, line := range l.Exports() {
		name, value, _ := strings.Cut(strings.TrimPrefix(line, "export HYPERVIGIL_LAB_"), "=")
		s.secrets[name] = value
	}
	pem, err := os.ReadFile(l.CAFile())
	if err != nil || !s.pool.AppendCertsFromPEM(pem) {
		t.Fatalf("authority of the lab: %v", err)
	}
	return s
}

// options are those of one machine of the lab, asked by READER, OPERATOR or GUEST.
func (s *site) options(name, account string) cluster.Options {
	return cluster.Options{
		Name: name, Addresses: []string{s.lab.Address(name)}, Scheme: "basic", Username: s.secrets[account+"_USER"],
		Password: func() (string, error) { return s.secrets[account+"_PASSWORD"], nil },
		TLS:      &tls.Config{RootCAs: s.pool},
	}
}

func (s *site) host(t *testing.T, name string) *cluster.Host {
	t.Helper()
	h, err := cluster.NewHost(s.options(name, "READER"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func (s *site) guest(t *testing.T, name, account string) *cluster.Guest {
	t.Helper()
	g, err := cluster.NewGuest(s.options(name, account))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// inject makes a fault happen.
func (s *site) inject(t *testing.T, r model.Request) {
	t.Helper()
	if _, err := s.lab.Inject(r); err != nil {
		t.Fatal(err)
	}
}

// await asks until the answer is the wanted one; the lab's services take seconds of real time.
func await[T any](t *testing.T, what string, read func(context.Context) (T, error), good func(T) bool) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		v, err := read(ctx)
		if err == nil && good(v) {
			return v
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: still %+v, %v", what, v, err)
		case <-tick.C:
		}
	}
}

func TestLabClusterAsEveryNodeSeesIt(t *testing.T) {
	t.Parallel()
	s := startLab(t)
	for _, node := range []string{"HV1", "HV2", "HV3"} {
		h := s.host(t, node)
		if id, err := h.Identify(t.Context()); err != nil || !id.Lab() {
			t.Errorf("%s: Identify = %+v, %v", node, id, err)
		}
		v, err := h.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if v.By != node || len(v.Nodes) != 3 || v.Info.SameSubnetThreshold == 0 || v.Info.ResiliencyDefaultPeriod == 0 {
			t.Errorf("%s: View = %+v", node, v)
		}
		if current, needed := v.Votes(); current < needed {
			t.Errorf("%s: %d votes of %d needed in a healthy cluster", node, current, needed)
		}
		g, ok := v.Group("SCVMM SQL02 Resources")
		if !ok || g.Type != cluster.GroupTypeVM || g.State != cluster.GroupOnline || g.Owner != "HV2" || !g.PersistentState {
			t.Errorf("%s: group of SQL02 = %+v, %v", node, g, ok)
		}
		light, err := h.GroupView(t.Context(), g.Name)
		if err != nil || len(light.Groups) != 1 || light.Groups[0] != g || len(light.Nodes) != 3 || light.Info != v.Info {
			t.Errorf("%s: GroupView = %+v, %v", node, light, err)
		}
		if os, err := h.OperatingSystem(t.Context()); err != nil || os.ComputerName != node || os.LastBoot.IsZero() || os.MemoryTotal < 1<<30 {
			t.Errorf("%s: OperatingSystem = %+v, %v", node, os, err)
		}
		if r, err := h.GroupVM(t.Context(), g.Name); err != nil || r.VMID == "" || r.Owner != "HV2" {
			t.Errorf("%s: GroupVM = %+v, %v", node, r, err)
		}
		possible, err := h.PossibleOwners(t.Context())
		if err != nil || len(possible["Virtual Machine SQL01"]) != 3 {
			t.Errorf("%s: PossibleOwners = %v, %v", node, possible, err)
		}
		if _, err := h.PreferredOwners(t.Context()); err != nil {
			t.Errorf("%s: PreferredOwners: %v", node, err)
		}
		if machines, err := h.VMResources(t.Context()); err != nil || len(machines) != 5 {
			t.Errorf("%s: VMResources = %+v, %v, want one for each virtual machine", node, machines, err)
		}
		if w, err := h.Witness(t.Context()); err != nil || w.Type != "File Share Witness" || w.State != cluster.ResourceOnline {
			t.Errorf("%s: Witness = %+v, %v", node, w, err)
		}
		if networks, err := h.Networks(t.Context()); err != nil || len(networks) == 0 {
			t.Errorf("%s: Networks = %v, %v", node, networks, err)
		}
		if interfaces, err := h.NetworkInterfaces(t.Context()); err != nil || len(interfaces) == 0 {
			t.Errorf("%s: NetworkInterfaces = %v, %v", node, interfaces, err)
		}
		if volumes, err := h.SharedVolumes(t.Context()); err != nil || len(volumes) == 0 {
			t.Errorf("%s: SharedVolumes = %v, %v", node, volumes, err)
		}
	}
}

// TestLabOpinion compares what a node says in short with its whole view.
func TestLabOpinion(t *testing.T) {
	t.Parallel()
	s := startLab(t)
	h, err := cluster.NewHost(s.options("HV2", "READER"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	whole, err := h.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const group = "SCVMM SQL02 Resources"
	got, err := h.Opinion(t.Context(), func(name string) bool { return name == group })
	if err != nil {
		t.Fatal(err)
	}
	g, ok := whole.Group(group)
	if !ok {
		t.Fatalf("no group %s", group)
	}
	want := cluster.View{By: "HV2", Info: whole.Info, Nodes: whole.Nodes, Groups: []cluster.Group{{Name: g.Name, State: g.State, Owner: g.Owner}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("opinion (-want +got):\n%s", diff)
	}
}

// TestLabConditions: what takes nothing away from SQL Server shows in what the cluster says, until it is healed.
func TestLabConditions(t *testing.T) {
	t.Parallel()
	s := startLab(t)
	h := s.host(t, "HV1")
	look := func() (string, error) {
		w, err := h.Witness(t.Context())
		if err != nil {
			return "", err
		}
		v, err := h.SharedVolumes(t.Context())
		if err != nil || len(v) != 1 {
			return "", fmt.Errorf("%d volumes: %w", len(v), err)
		}
		return fmt.Sprintf("witness %d, volume %d", w.State, v[0].Fault), nil
	}
	want := func(state string) {
		t.Helper()
		if got, err := look(); got != state || err != nil {
			t.Errorf("the cluster says %q, %v; want %q", got, err, state)
		}
	}
	want("witness 2, volume 0")
	var faults []string
	for _, name := range []string{model.WitnessLost, model.VolumeRedirected} {
		f, err := s.lab.Inject(model.Request{Fault: name, VM: "SQL01"})
		if err != nil {
			t.Fatal(err)
		}
		faults = append(faults, f.ID)
	}
	want("witness 4, volume 1")
	for _, id := range faults {
		s.lab.Heal(id)
	}
	want("witness 2, volume 0")
}

// TestLabBinding follows one virtual machine through every name it has.
func TestLabBinding(t *testing.T) {
	t.Parallel()
	s := startLab(t)
	h := s.host(t, "HV2")
	v, err := h.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var id string
	for _, r := range v.Resources {
		if r.Group == "SCVMM SQL02 Resources" && r.VMID != "" {
			id = r.VMID
		}
	}
	vm, err := h.VirtualMachine(t.Context(), id)
	if err != nil {
		t.Fatalf("VirtualMachine(%q): %v", id, err)
	}
	if vm.Name != "SQL02" || vm.State != cluster.VMRunning || vm.Heartbeat != cluster.HeartbeatOK || vm.Uptime <= 0 {
		t.Errorf("VirtualMachine = %+v", vm)
	}
	byName, err := h.VirtualMachine(t.Context(), "SQL02")
	if err != nil || byName.ID != vm.ID || byName.BIOSGUID != vm.BIOSGUID {
		t.Errorf("VirtualMachine by name = %+v, %v", byName, err)
	}
	guest, err := s.guest(t, "SQL02", "READER").Identity(t.Context())
	if err != nil || guest.ComputerName != "SQL02" || !cluster.SameMachineID(vm.BIOSGUID, guest.ProductUUID) {
		t.Errorf("guest = %+v, %v, want the machine with BIOS GUID %s", guest, err, vm.BIOSGUID)
	}
	other, err := s.guest(t, "SQL01", "READER").Identity(t.Context())
	if err != nil || cluster.SameMachineID(vm.BIOSGUID, other.ProductUUID) {
		t.Errorf("another guest = %+v, %v, must not be the same machine", other, err)
	}
	vms, err := h.VirtualMachines(t.Context())
	if err != nil || len(vms) != 2 {
		t.Errorf("VirtualMachines of HV2 = %+v, %v, want SQL02 and SQL04", vms, err)
	}
}

func TestLabServiceCrashAndStart(t *testing.T) {
	t.Parallel()
	s := startLab(t)
	g := s.guest(t, "SQL01", "GUEST")
	before, err := g.Service(t.Context(), "MSSQLSERVER")
	if err != nil || before.State != cluster.ServiceRunning || before.ProcessID == 0 {
		t.Fatalf("Service = %+v, %v", before, err)
	}
	dependents, err := g.Dependents(t.Context(), "MSSQLSERVER")
	if err != nil || len(dependents) == 0 {
		t.Errorf("Dependents = %+v, %v, want SQL Server Agent", dependents, err)
	}
	since := time.Now().Add(-time.Second)
	s.inject(t, model.Request{Fault: "service-crash", VM: "SQL01"})
	after, err := g.Service(t.Context(), "MSSQLSERVER")
	if err != nil || after.State != cluster.ServiceStopped || after.ExitCode != 1067 || after.ProcessID != 0 {
		t.Errorf("Service after the crash = %+v, %v", after, err)
	}
	if p, err := g.Process(t.Context(), before.ProcessID); err != nil || p.ID != 0 {
		t.Errorf("Process after the crash = %+v, %v, want none", p, err)
	}
	events, err := g.ServiceEvents(t.Context(), since, "MSSQLSERVER")
	if err != nil || len(events) == 0 || (events[0].ID != 7034 && events[0].ID != 7031) {
		t.Errorf("ServiceEvents = %+v, %v, want a crash first", events, err)
	}
	if _, err := s.guest(t, "SQL01", "READER").StartService(t.Context(), "MSSQLSERVER", time.Time{}); cluster.Reason(err) != dial.Permission {
		t.Errorf("StartService by the reader = %v, want permission", err)
	}
	o, err := g.StartService(t.Context(), "MSSQLSERVER", time.Time{})
	o.LeftAt = time.Time{}
	if want := (cluster.Outcome{Sent: true, Answered: true}); o != want || err != nil {
		t.Fatalf("StartService = %+v, %v, want %+v", o, err, want)
	}
	await(t, "service", func(ctx context.Context) (cluster.Service, error) { return g.Service(ctx, "MSSQLSERVER") },
		func(s cluster.Service) bool { return s.State == cluster.ServiceRunning && s.ProcessID != 0 })
	if n := len(s.lab.Counters().VMs["SQL01"].Commands); n != 1 {
		t.Errorf("the lab counted %d commands, want 1", n)
	}
}

func TestLabTerminateOfAHungServer(t *testing.T) {
	t.Parallel()
	s := startLab(t)
	g := s.guest(t, "SQL01", "GUEST")
	service, err := g.Service(t.Context(), "MSSQLSERVER")
	if err != nil {
		t.Fatal(err)
	}
	p, err := g.Process(t.Context(), service.ProcessID)
	if err != nil || p.Created.IsZero() {
		t.Fatalf("Process = %+v, %v", p, err)
	}
	s.inject(t, model.Request{Fault: "sql-hang", VM: "SQL01"})
	if o, err := g.TerminateProcess(t.Context(), p.ID, p.Created.Add(-time.Hour), time.Time{}); o.Sent || err == nil {
		t.Errorf("TerminateProcess of an older process = %+v, %v, want nothing sent", o, err)
	}
	o, err := g.TerminateProcess(t.Context(), p.ID, p.Created, time.Time{})
	o.LeftAt = time.Time{}
	if want := (cluster.Outcome{Sent: true, Answered: true}); o != want || err != nil {
		t.Fatalf("TerminateProcess = %+v, %v, want %+v", o, err, want)
	}
	await(t, "service", func(ctx context.Context) (cluster.Service, error) { return g.Service(ctx, "MSSQLSERVER") },
		func(s cluster.Service) bool { return s.State == cluster.ServiceStopped })
}

// TestLabSilence: what is off, cut off or hung is told apart, on connections made before as on new ones.
func TestLabSilence(t *testing.T) {
	t.Parallel()
	s := startLab(t)
	host, hung, cut := s.host(t, "HV3"), s.guest(t, "SQL02", "READER"), s.guest(t, "SQL01", "READER")
	asks := map[string]struct {
		ask  func(context.Context) error
		want dial.Reason
	}{
		"host off":    {func(ctx context.Context) error { _, err := host.View(ctx); return err }, dial.TCPTimeout},
		"guest hung":  {func(ctx context.Context) error { _, err := hung.Identity(ctx); return err }, dial.QueryTimeout},
		"LAN cut off": {func(ctx context.Context) error { _, err := cut.Identity(ctx); return err }, dial.TCPTimeout},
	}
	for name, a := range asks {
		if err := a.ask(t.Context()); err != nil {
			t.Fatalf("%s, before: %v", name, err)
		}
	}
	s.inject(t, model.Request{Fault: "host-power-off", Node: "HV3"})
	s.inject(t, model.Request{Fault: "guest-hang", VM: "SQL02"})
	s.inject(t, model.Request{Fault: "lan-board", Node: "HV1"})
	for name, a := range asks {
		for _, connection := range []string{"warm", "cold"} {
			const deadline = time.Second
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			// Lateness counts from when this process noticed the deadline: a busy machine's own delay is not the client's.
			noticed := make(chan time.Time, 1)
			context.AfterFunc(ctx, func() { noticed <- time.Now() })
			err := a.ask(ctx)
			answered := time.Now()
			if late := answered.Sub(<-noticed); late > time.Second {
				t.Errorf("%s, %s: answered %v after its deadline of %v", name, connection, late, deadline)
			}
			cancel()
			want := a.want
			if connection == "cold" && want == dial.QueryTimeout {
				want = dial.TLSTimeout // it accepts, and that is all
			}
			if got := cluster.Reason(err); got != want {
				t.Errorf("%s, %s: %v, reason %q, want %q", name, connection, err, got, want)
			}
		}
	}
}
