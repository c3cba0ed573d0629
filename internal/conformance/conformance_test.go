package conformance

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// envDir is where the report about real hosts goes; the default is the tree's build folder.
const envDir = "HYPERVIGIL_CONFORMANCE_DIR"

// TestConformanceOfRealHosts is what the environment variables ask for. It fails where an assertion does, and the report
// says which.
func TestConformanceOfRealHosts(t *testing.T) {
	t.Parallel()
	file := os.Getenv(EnvConfig)
	if file == "" {
		t.Skipf("%s names no hypervigil.yml", EnvConfig)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv(envDir)
	if dir == "" {
		dir = filepath.Join("..", "..", "build", "conformance")
	}
	r := run(t, c, Options{Logger: log.NewNopLogger(), Victim: os.Getenv(EnvVictim), VictimAgain: os.Getenv(EnvVictimAgain)})
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	t.Logf("report.txt and report.json are in %s; send them to us: there is no name in them\n%s", dir, r.Text())
	if n := r.Count(Fails); n > 0 {
		t.Errorf("%d assertions fail", n)
	}
}

func run(t *testing.T, c *config.Config, o Options) Report {
	t.Helper()
	s, err := Open(c, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	return s.Run(t.Context())
}

// startLab is a lab and the configuration for it, with what is secret in it.
func startLab(t *testing.T) (*lab.Lab, *config.Config, []string) {
	t.Helper()
	profile := model.Quick()
	profile.Failover, profile.Boot = time.Second, time.Second
	dir := t.TempDir()
	l, err := lab.Start(lab.Options{Dir: dir, Logger: log.NewNopLogger(), Spec: model.Default(profile)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	path, err := l.Config(lab.ConfigOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var secrets []string
	for _, cred := range c.Credentials {
		p, err := cred.Password()
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, p.Reveal())
		if cred.Username != "hypervigil" { // the program's own name stands in each report
			secrets = append(secrets, cred.Username)
		}
	}
	for _, cl := range c.Clusters {
		secrets = append(secrets, cl.Name)
		for _, n := range cl.Nodes {
			secrets = append(secrets, n.Name)
			secrets = append(secrets, n.Addresses...)
		}
		for _, vm := range cl.VirtualMachines {
			secrets = append(secrets, vm.Name, vm.GroupName(), vm.Guest.Address)
			for _, i := range vm.SQLServers {
				secrets = append(secrets, i.Address)
			}
		}
	}
	return l, c, secrets
}

// clean looks for names and secrets in a report, in both its forms.
func clean(t *testing.T, r Report, secrets []string) {
	t.Helper()
	dir := t.TempDir()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"report.txt", "report.json"} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range secrets {
			if s != "" && strings.Contains(strings.ToLower(string(b)), strings.ToLower(s)) {
				t.Errorf("%s holds %q", file, s)
			}
		}
		if strings.Contains(string(b), "127.0.0.1") {
			t.Errorf("%s holds an address", file)
		}
		if file == "report.json" {
			var back Report
			if err := json.Unmarshal(b, &back); err != nil || len(back.Outcomes) != len(r.Outcomes) {
				t.Errorf("report.json: %v, %d outcomes of %d", err, len(back.Outcomes), len(r.Outcomes))
			}
		}
	}
}

// outcomes are the results of an assertion, each once.
func outcomes(r Report, name string) []Result {
	var all []Result
	for _, o := range r.Outcomes {
		if o.Name == name && !slices.Contains(all, o.Result) {
			all = append(all, o.Result)
		}
	}
	return all
}

// TestConformanceOfTheLab holds the lab to what is asked of Windows. What is unseen there is listed, so that an assertion
// which looks at nothing is noticed.
func TestConformanceOfTheLab(t *testing.T) {
	t.Parallel()
	l, c, secrets := startLab(t)
	r := run(t, c, Options{Logger: log.NewNopLogger()})
	clean(t, r, secrets)
	for _, o := range r.Outcomes {
		if o.Result == Fails {
			t.Errorf("%s at %s: %s %q", o.Name, o.At, o.Says, o.Evidence)
		}
	}
	for _, a := range Assertions() {
		got := outcomes(r, a.Name)
		want := Holds
		if a.Changes {
			want = Unseen // not asked for
		}
		if !slices.Contains(got, want) {
			t.Errorf("%s: %v, want %s somewhere\n%s", a.Name, got, want, r.Text())
		}
		if a.Relies == "" || a.Source == "" || strings.Contains(a.Relies, "  ") {
			t.Errorf("%s says neither what it relies on nor why", a.Name)
		}
	}
	for vm, n := range l.Counters().VMs {
		if len(n.Commands)+len(n.MovesCommanded) > 0 {
			t.Errorf("%s was sent commands by what only reads: %v", vm, n.Commands)
		}
	}
}

// TestChangesOfTheLab puts the changing assertions to one machine of the lab, which behaves as we believe Windows does.
func TestChangesOfTheLab(t *testing.T) {
	t.Parallel()
	_, c, secrets := startLab(t)
	const victim = "hv-lab/SQL01"
	s, err := Open(c, Options{Logger: log.NewNopLogger(), Victim: victim, VictimAgain: victim, Patience: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	r := Report{}
	for _, a := range changingAssertions() {
		r.add(s.look(t.Context(), a, victim, func(ctx context.Context) Finding { return a.Guest(ctx, s, s.victim) }))
	}
	r.mask(s.mask)
	clean(t, r, secrets)
	for _, o := range r.Outcomes {
		if o.Result != Holds {
			t.Errorf("%s: %s: %s %q", o.Name, o.Result, o.Says, o.Evidence)
		}
	}
}

// TestWhatIsNotAskedFor: a machine that is named once, differently, or not in the inventory is not touched.
func TestWhatIsNotAskedFor(t *testing.T) {
	t.Parallel()
	_, c, _ := startLab(t)
	for _, tt := range []struct{ victim, again, says string }{
		{"hv-lab/SQL01", "", "differ"},
		{"", "hv-lab/SQL01", "differ"},
		{"hv-lab/SQL01", "hv-lab/sql01", "differ"},
		{"hv-lab/DC01", "hv-lab/DC01", "no cluster/vm of the inventory"},
		{"SQL01", "SQL01", "no cluster/vm of the inventory"},
	} {
		if s, err := Open(c, Options{Logger: log.NewNopLogger(), Victim: tt.victim, VictimAgain: tt.again}); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q and %q: %v, want %q", tt.victim, tt.again, err, tt.says)
			_ = s.Close()
		}
	}
}

// TestDifferencesAreTold breaks what is relied on, one at a time.
func TestDifferencesAreTold(t *testing.T) {
	t.Parallel()
	l, c, secrets := startLab(t)
	if _, err := l.Inject(model.Request{Fault: model.ServiceCrash, VM: "SQL01"}); err != nil {
		t.Fatal(err)
	}
	r := run(t, c, Options{Logger: log.NewNopLogger()})
	clean(t, r, secrets)
	for name, want := range map[string]Result{"sql_login": Fails, "sql_views": Fails, "sql_diagnostics": Fails, "sql_is_the_guest": Unseen, "identify": Holds} {
		if got := outcomes(r, name); !slices.Contains(got, want) {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
	if !strings.Contains(r.Text(), "reason=tcp_refused") {
		t.Errorf("the evidence does not say why:\n%s", r.Text())
	}
}
