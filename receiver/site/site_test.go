package site

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// labSite is a running lab and a site of its configuration. edit changes the configuration's text before it is read.
func labSite(t *testing.T, edit func(string) string) (*lab.Lab, *Site) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the lab's dead machines need Linux")
	}
	l, err := lab.Start(lab.Options{Dir: t.TempDir(), Logger: log.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	am := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("[]"))
	}))
	t.Cleanup(am.Close)
	path, err := l.Config(lab.ConfigOptions{Alertmanagers: []string{am.URL}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := load(t, path, edit)
	s, err := New(Options{Config: cfg, Logger: log.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, s
}

func inject(t *testing.T, l *lab.Lab, fault, vm string) {
	t.Helper()
	if _, err := l.Inject(model.Request{Fault: fault, VM: vm}); err != nil {
		t.Fatal(err)
	}
}

// everything asks for every part about the default instance of a virtual machine that HV1 owns.
func everything(vm string, timeout time.Duration) evidence.Ask {
	return evidence.Ask{
		VM: evidence.VM{Cluster: "hv-lab", Name: vm}, Instance: "MSSQLSERVER", Owner: "HV1", Timeout: timeout,
		EventsSince: time.Now().Add(-time.Minute), AlertLabels: map[string]string{"alertname": "SQLServerDown"},
		Parts: []evidence.Part{
			evidence.PartAlert, evidence.PartLogin, evidence.PartDatabases, evidence.PartService, evidence.PartDependents,
			evidence.PartProcess, evidence.PartEvents, evidence.PartGuest, evidence.PartHost, evidence.PartViews, evidence.PartSweep,
		},
	}
}

func TestReadOfAHealthyVirtualMachine(t *testing.T) {
	t.Parallel()
	_, s := labSite(t, nil)
	s.Sample(t.Context(), "hv-lab")
	r := s.Read(t.Context(), everything("SQL01", 5*time.Second))
	if !r.Alert.Known() || r.Alert.Value.Active {
		t.Errorf("alert = %+v, want known and not active", r.Alert)
	}
	if l := r.Login; !l.Known() || !l.Value.Up || l.Value.MachineName != "SQL01" || l.Value.Databases["archive"] != "OFFLINE" || l.Value.StartTime.IsZero() {
		t.Errorf("login = %+v, want up on SQL01 with the state of each database", l)
	}
	if v := r.Service; !v.Known() || v.Value.State != cluster.ServiceRunning || v.Value.Name != "MSSQLSERVER" {
		t.Errorf("service = %+v, want MSSQLSERVER running", v)
	}
	if p := r.Process; !p.Known() || p.Value.ID != r.Service.Value.ProcessID || p.Value.Created.IsZero() {
		t.Errorf("process = %+v, want the service's own %d with its birth", p, r.Service.Value.ProcessID)
	}
	if d := r.Dependents; !d.Known() || len(d.Value) != 1 || d.Value[0].Name != "SQLSERVERAGENT" {
		t.Errorf("dependents = %+v, want the agent", d)
	}
	if !r.Events.Known() || !r.Guest.Known() || r.Guest.Value.ComputerName != "SQL01" {
		t.Errorf("events = %+v, guest = %+v, want both known", r.Events, r.Guest)
	}
	if h := r.Host; !h.Known() || h.Value.State != cluster.VMRunning || h.Value.Heartbeat != cluster.HeartbeatOK {
		t.Errorf("host = %+v, want a running VM with its heartbeat", h)
	}
	if len(r.Views) != 3 {
		t.Errorf("%d views, want one of each node", len(r.Views))
	}
	for node, v := range r.Views {
		g, ok := v.Value.Group("SQL01")
		if !v.Known() || !ok || g.Owner != "HV1" || len(v.Value.Groups) != 1 || v.Value.Info.SameSubnetThreshold == 0 {
			t.Errorf("view of %s = %+v, want the one group, its owner and the settings", node, v)
		}
	}
	want := []evidence.Sibling{{VM: "SQL02", Owner: "HV2"}, {VM: "SQL03", Owner: "HV3"}, {VM: "SQL04", Owner: "HV2"}}
	if diff := cmp.Diff(want, r.Sweep.Value.Watched); diff != "" {
		t.Errorf("siblings (-want +got):\n%s", diff)
	}
	for _, c := range r.Sweep.Value.Controls {
		if !c.OK {
			t.Errorf("control %s does not answer: %s", c.Address, c.Reason)
		}
	}
	if len(r.Sweep.Value.Controls) != 2 {
		t.Errorf("%d controls, want 2", len(r.Sweep.Value.Controls))
	}
	for name, at := range map[string]time.Time{"login": r.Login.At, "service": r.Service.At, "host": r.Host.At} {
		if at.Before(r.Started.Add(-time.Millisecond)) || at.After(r.Finished) {
			t.Errorf("%s is dated %s, outside of the round", name, at)
		}
	}
}

// TestReadOfEachFault compares what a round shows of a fault with what G8's truth table asks for.
func TestReadOfEachFault(t *testing.T) {
	t.Parallel()
	const timeout = 3 * time.Second
	silent := []dial.Reason{dial.TCPTimeout, dial.TLSTimeout, dial.QueryTimeout, dial.ProviderHung, dial.LoginTimeout}
	tests := []struct {
		fault string
		login []dial.Reason
		check func(evidence.Round) string
	}{
		{model.ServiceCrash, []dial.Reason{dial.Refused}, func(r evidence.Round) string {
			switch {
			case r.Service.Value.State != cluster.ServiceStopped || r.Service.Value.ExitCode != 1067:
				return "the service is not stopped with exit code 1067"
			case !r.Process.Known() || r.Process.Value.ID != 0:
				return "the process is not known to be gone"
			case !slices.ContainsFunc(r.Events.Value, func(e cluster.Event) bool { return e.ID == 7034 }):
				return "no event 7034"
			}
			return ""
		}},
		{model.ServiceStop, []dial.Reason{dial.Refused}, func(r evidence.Round) string {
			if slices.ContainsFunc(r.Events.Value, func(e cluster.Event) bool { return e.ID == 7034 || e.ID == 7031 }) {
				return "a clean stop left a crash event"
			}
			return ""
		}},
		{model.SQLHang, []dial.Reason{dial.LoginTimeout, dial.TLSTimeout}, func(r evidence.Round) string {
			if r.Service.Value.State != cluster.ServiceRunning || r.Process.Value.ID == 0 {
				return "service and process do not run"
			}
			return ""
		}},
		{model.GuestCrash, []dial.Reason{dial.TCPTimeout}, func(r evidence.Round) string {
			switch {
			case !slices.Contains(silent, r.Guest.Failure):
				return "the guest is not silent: " + string(r.Guest.Failure)
			case !r.Host.Known() || r.Host.Value.Heartbeat == cluster.HeartbeatOK || r.Host.Value.ProcessorLoad != 0:
				return "the host does not show a dead guest"
			}
			return ""
		}},
		{model.HostPowerOff, []dial.Reason{dial.TCPTimeout}, func(r evidence.Round) string {
			switch {
			case r.Host.Known() || r.Views["HV1"].Known():
				return "a host without power answered"
			case !r.Views["HV2"].Known() || !r.Views["HV3"].Known():
				return "a living host did not answer"
			}
			return ""
		}},
		{model.LANBoard, []dial.Reason{dial.TCPTimeout}, func(r evidence.Round) string {
			if !r.Host.Known() || r.Host.Value.Heartbeat != cluster.HeartbeatOK {
				return "the host does not show a healthy guest"
			}
			return ""
		}},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			l, s := labSite(t, nil)
			inject(t, l, tt.fault, "SQL01")
			if tt.fault == model.ServiceStop {
				waitFor(t, l, "SQL01", model.Quick().ServiceStop)
			}
			began := time.Now()
			r := s.Read(t.Context(), everything("SQL01", timeout))
			if took := time.Since(began); took > timeout+500*time.Millisecond {
				t.Errorf("the round took %s, its deadline was %s", took, timeout)
			}
			if !r.Login.Known() || r.Login.Value.Up || !slices.Contains(tt.login, r.Login.Value.Reason) {
				t.Errorf("login = %+v, want down by one of %v", r.Login, tt.login)
			}
			if why := tt.check(r); why != "" {
				t.Errorf("%s: %+v", why, r)
			}
		})
	}
}

// waitFor lets a stop that takes the lab a while come to its end: until the service says so.
func waitFor(t *testing.T, l *lab.Lab, vm string, atMost time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), atMost+5*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, i := range l.State().Instances {
			if i.VM == vm && !i.Up {
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not go down", vm)
		case <-tick.C:
		}
	}
}

func TestAReadBeforeACommandAsksAsTheOperatorAndOnlyWhatIsAsked(t *testing.T) {
	t.Parallel()
	_, s := labSite(t, func(text string) string {
		return strings.Replace(text, "reader: winrm-reader", "reader: broken", 1) // the reader's password is wrong
	})
	a := everything("SQL01", 2*time.Second)
	a.Parts = []evidence.Part{evidence.PartService}
	if r := s.Read(t.Context(), a); r.Service.Known() || r.Service.Failure != dial.Auth {
		t.Errorf("service asked as the reader = %+v, want failure %s", r.Service, dial.Auth)
	}
	a.AsOperator = true
	r := s.Read(t.Context(), a)
	if !r.Service.Known() {
		t.Errorf("service asked as the operator = %+v, want it known", r.Service)
	}
	if !r.Login.At.IsZero() || !r.Guest.At.IsZero() || r.Views != nil || !r.Sweep.At.IsZero() {
		t.Errorf("more was read than was asked: %+v", r)
	}
}

func TestProof(t *testing.T) {
	t.Parallel()
	_, s := labSite(t, nil)
	p := s.Prove(t.Context(), evidence.VM{Cluster: "hv-lab", Name: "SQL03"})
	if len(p.Missing) > 0 {
		t.Fatalf("missing: %v", p.Missing)
	}
	if b := p.Binding; b.Group != "SQL03" || b.VMID == "" || !cluster.SameMachineID(b.BIOSGUID, b.ProductUUID) || b.ComputerName != "SQL03" {
		t.Errorf("binding = %+v", b)
	}
	if diff := cmp.Diff(map[string]string{"MSSQLSERVER": "SQL03", "REPORTING": `SQL03\REPORTING`}, p.Binding.ServerNames); diff != "" {
		t.Errorf("server names (-want +got):\n%s", diff)
	}
	for instance, agent := range map[string]string{"MSSQLSERVER": "SQLSERVERAGENT", "REPORTING": "SQLAgent$REPORTING"} {
		b := p.Baseline[instance]
		if b.PID == 0 || b.Created.IsZero() || b.StartTime.IsZero() || b.Databases["sales"] != "ONLINE" || !slices.Equal(b.Dependents, []string{agent}) {
			t.Errorf("baseline of %s = %+v", instance, b)
		}
	}
}

// TestProofTellsWhatDiffers swaps addresses, as a stale DNS record or a copied line does: an innocent machine must
// never be taken for the sick one (G33).
func TestProofTellsWhatDiffers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change  func(*config.Config)
		want    string
		differs bool // contradicts, as against cannot be read
	}{
		"the guest of another virtual machine": {func(c *config.Config) {
			a, b := c.VirtualMachine("hv-lab", "SQL01"), c.VirtualMachine("hv-lab", "SQL02")
			a.Guest.Address, b.Guest.Address = b.Guest.Address, a.Guest.Address
		}, "another machine", true},
		"the SQL Server of another virtual machine": {func(c *config.Config) {
			a, b := c.SQLServer("hv-lab", "SQL01", "MSSQLSERVER"), c.SQLServer("hv-lab", "SQL02", "MSSQLSERVER")
			a.Address, b.Address = b.Address, a.Address
			// Its certificate would tell too; this is about a name that does not.
			a.TLS = &config.TLS{CAFile: c.Clusters[0].TLS.CAFile, ServerName: "SQL02"}
		}, `runs on "SQL02"`, true},
		"a group that does not exist": {func(c *config.Config) {
			c.VirtualMachine("hv-lab", "SQL01").Group = "nowhere"
		}, `group "nowhere"`, false},
		"no guest address": {func(c *config.Config) {
			c.VirtualMachine("hv-lab", "SQL01").Guest.Address = ""
		}, "no address of this guest", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s := labSite(t, nil)
			tt.change(s.config)
			changed, err := New(Options{Config: s.config, Logger: log.NewNopLogger()})
			if err != nil {
				t.Fatal(err)
			}
			defer changed.Close()
			p := changed.Prove(t.Context(), evidence.VM{Cluster: "hv-lab", Name: "SQL01"})
			found := slices.Concat(p.Missing, p.Differs)
			if !slices.ContainsFunc(found, func(m string) bool { return strings.Contains(m, tt.want) }) {
				t.Errorf("missing = %q, differs = %q, want one that says %q", p.Missing, p.Differs, tt.want)
			}
			if tt.differs != (len(p.Differs) > 0) {
				t.Errorf("differs = %q, want some: %v", p.Differs, tt.differs)
			}
		})
	}
}

func TestProofNeedsAHealthySQLServer(t *testing.T) {
	t.Parallel()
	l, s := labSite(t, nil)
	inject(t, l, model.ServiceCrash, "SQL01")
	p := s.Prove(t.Context(), evidence.VM{Cluster: "hv-lab", Name: "SQL01"})
	if len(p.Missing) != 1 || !strings.Contains(p.Missing[0], "does not let us in") {
		t.Errorf("missing = %q, want SQL Server alone", p.Missing)
	}
}

// TestProofGoesByALivingNode: the first node of the list is dead, and takes only its share of the time.
func TestProofGoesByALivingNode(t *testing.T) {
	t.Parallel()
	l, s := labSite(t, nil)
	inject(t, l, model.HostPowerOff, "SQL01") // HV1
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if p := s.Prove(ctx, evidence.VM{Cluster: "hv-lab", Name: "SQL02"}); len(p.Missing) > 0 {
		t.Errorf("missing: %v", p.Missing)
	}
}

func TestIsLab(t *testing.T) {
	t.Parallel()
	l, s := labSite(t, nil)
	if is, err := s.IsLab(t.Context(), "hv-lab"); !is || err != nil {
		t.Fatalf("IsLab = %v, %v; want true", is, err)
	}
	inject(t, l, model.HostPowerOff, "SQL01")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if is, err := s.IsLab(ctx, "hv-lab"); !is || err != nil {
		t.Errorf("IsLab with a node that is silent now = %v, %v; want true: it said so before", is, err)
	}
	if is, err := s.IsLab(t.Context(), "elsewhere"); is || err == nil {
		t.Errorf("IsLab of a cluster that is not in the inventory = %v, %v; want an error", is, err)
	}
}

func TestANodeThatNeverAnsweredIsNotTheLab(t *testing.T) {
	t.Parallel()
	l, s := labSite(t, nil)
	inject(t, l, model.HostPowerOff, "SQL01")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if is, err := s.IsLab(ctx, "hv-lab"); is || err == nil || !strings.Contains(err.Error(), "HV1") {
		t.Errorf("IsLab = %v, %v; want an error that names HV1", is, err)
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	l, s := labSite(t, nil)
	vm := evidence.VM{Cluster: "hv-lab", Name: "SQL01"}
	inject(t, l, model.ServiceCrash, "SQL01")
	start := remedy.Command{Method: remedy.StartService, VM: vm, Service: "MSSQLSERVER"}
	if r := s.Do(t.Context(), start, time.Now().Add(time.Minute)); !r.Sent || !r.Answered || r.Code != 0 || r.EndedAt.Before(r.StartedAt) {
		t.Errorf("StartService = %+v, want 0", r)
	}
	if r := s.Do(t.Context(), start, time.Now().Add(time.Minute)); !r.Answered || r.Code != uint32(cluster.ServiceAlreadyRunning) {
		t.Errorf("the second StartService = %+v, want %d", r, cluster.ServiceAlreadyRunning)
	}
	if r := s.Do(t.Context(), start, time.Now().Add(-time.Millisecond)); r.Sent || r.Failure != remedy.Stale {
		t.Errorf("StartService after its moment = %+v, want it not sent as %s", r, remedy.Stale)
	}
	kill := remedy.Command{Method: remedy.TerminateProcess, VM: vm, PID: 4, Created: time.Now()}
	if r := s.Do(t.Context(), kill, time.Now().Add(time.Minute)); r.Sent || r.Failure == "" {
		t.Errorf("Terminate of a process that is not there = %+v, want it not sent", r)
	}
	if r := s.Do(t.Context(), remedy.Command{Method: "Win32_Process.Create", VM: vm}, time.Now().Add(time.Minute)); r.Sent || r.Failure != failMethod {
		t.Errorf("a method that nobody knows = %+v, want %s", r, failMethod)
	}
	if n := len(l.Counters().VMs["SQL01"].Commands); n != 2 {
		t.Errorf("the lab received %d commands, want 2", n)
	}
}

func TestNeverTouchIsBelowEveryDecision(t *testing.T) {
	t.Parallel()
	l, s := labSite(t, func(text string) string {
		return strings.Replace(text, "receiver:\n", "receiver:\n  never_touch: [hv-lab/sql01]\n", 1)
	})
	inject(t, l, model.ServiceCrash, "SQL01")
	r := s.Do(t.Context(), remedy.Command{Method: remedy.StartService, VM: evidence.VM{Cluster: "hv-lab", Name: "SQL01"}, Service: "MSSQLSERVER"}, time.Now().Add(time.Minute))
	if r.Sent || r.Failure != failNeverTouch {
		t.Errorf("Do = %+v, want it refused as %s", r, failNeverTouch)
	}
	if n := len(l.Counters().VMs["SQL01"].Commands); n != 0 {
		t.Errorf("the lab received %d commands, want none", n)
	}
}

// TestAWrongPasswordIsNoEvidence: our own trouble says nothing about SQL Server, whichever way it is asked.
func TestAWrongPasswordIsNoEvidence(t *testing.T) {
	t.Parallel()
	_, s := labSite(t, func(text string) string {
		return strings.ReplaceAll(text, "credential: sql-monitor", "credential: broken")
	})
	r := s.Read(t.Context(), everything("SQL01", 3*time.Second))
	if r.Login.Known() || r.Login.Failure != dial.Auth {
		t.Errorf("login = %+v, want not known, failure %s", r.Login, dial.Auth)
	}
	if strings.Contains(fmt.Sprintf("%+v", r), wrongPassword) {
		t.Error("the password is in the reading")
	}
}
