package onsite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/load"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// chain is a lab with a receiver and a Prometheus that say what the test lets them say: SQL Server, its tables and the
// guest's log are the lab's.
type chain struct {
	lab     *lab.Lab
	options Options
	out     bytes.Buffer

	mu        sync.Mutex
	notReady  bool
	incidents []incident.Incident
}

var subject = evidence.Subject{VM: evidence.VM{Cluster: "hv-lab", Name: "SQL01"}, Instance: "MSSQLSERVER", Fault: evidence.Service}

// start starts a chain. press is what the person does when he is asked.
func start(t *testing.T, press func(*chain)) *chain {
	t.Helper()
	c := &chain{}
	var err error
	if c.lab, err = lab.Start(lab.Options{Dir: t.TempDir(), Logger: log.NewNopLogger()}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c.handler())
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		server.Close()
		if err := c.lab.Close(); err != nil {
			t.Error(err)
		}
	})
	path, err := c.lab.Config(lab.ConfigOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	c.options = Options{
		Config: cfg, Logger: log.NewNopLogger(), Endpoints: drill.Endpoints{Receiver: server.URL, Prometheus: server.URL},
		Cluster: "hv-lab", VM: "SQL01", Instance: "MSSQLSERVER", Fault: "service-crash", Load: Load{Database: "sales", Shape: load.Short},
		Patience: 10 * time.Second, Bound: 20 * time.Second, Out: &c.out,
		In: person(func() { press(c) }),
	}
	return c
}

// person is a keyboard: what he does, and then Enter.
type person func()

func (p person) Read(b []byte) (int, error) {
	if p == nil {
		return 0, io.EOF
	}
	p()
	return copy(b, "\n"), nil
}

func (c *chain) set(list ...incident.Incident) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.incidents = list
}

func (c *chain) handler() http.Handler {
	mux := http.NewServeMux()
	say := func(pattern string, v func() any) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, _ *http.Request) {
			c.mu.Lock()
			defer c.mu.Unlock()
			_ = json.NewEncoder(w).Encode(v())
		})
	}
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.notReady {
			http.Error(w, "not ready: binding of SQL01", http.StatusServiceUnavailable)
		}
	})
	say("/api/v1/incidents", func() any { return map[string]any{"incidents": c.incidents} })
	say("/api/v1/pauses", func() any { return map[string]any{"pauses": []any{}} })
	say("/api/v1/rescues", func() any {
		return map[string]any{"rescues": []drill.Rescue{{VM: subject.VM, Rescue: incident.Rescue{At: time.Now(), Rungs: []incident.Rescuer{
			{Fault: evidence.Service, Instance: "MSSQLSERVER", Rung: remedy.RestartService, Mode: config.Act, Ready: true},
		}}}}}
	})
	say("/api/v1/alerts", func() any { return map[string]any{"data": map[string]any{"alerts": []any{}}} })
	say("/api/v1/query", func() any {
		at := float64(time.Now().UnixMilli()) / 1e3
		return map[string]any{"data": map[string]any{"result": []any{map[string]any{"metric": map[string]string{"node": "HV1"}, "values": [][2]any{{at, "1"}}}}}}
	})
	return mux
}

// TestADrillAgainstTheLab crashes the lab's SQL Server when the person is asked to, and lets "the receiver" start it: all
// that is measured without a receiver is measured here, and the tables are gone at the end.
func TestADrillAgainstTheLab(t *testing.T) {
	t.Parallel()
	c := start(t, func(c *chain) {
		in, err := c.lab.Inject(model.Request{Fault: model.ServiceCrash, VM: "SQL01"})
		if err != nil {
			t.Error(err)
			return
		}
		opened := time.Now().Add(100 * time.Millisecond)
		i := incident.Incident{
			ID: "i1", Subject: subject, Phase: incident.Healed, HealedBy: incident.ByHypervigil, Summary: "it was started", OpenedAt: opened, ClosedAt: opened.Add(time.Minute),
			Ladder: []remedy.Rung{remedy.RestartService},
			Actions: []incident.Action{{
				Number: 1, Issued: opened.Add(time.Second), State: incident.Verified, Command: remedy.Command{Method: remedy.StartService},
			}},
		}
		time.AfterFunc(time.Second, func() {
			c.lab.Heal(in.ID)
			c.set(i)
		})
	})
	o := c.options
	o.Instance = "" // there is one only
	began := time.Now()
	o.echo = func(context.Context, string) (echo, error) { // never away
		return &hosts{began: began}, nil
	}
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, c.out.String())
	}
	trial := report.Trials[0]
	if len(trial.Failures) != 0 || trial.Outcome != "healed" || trial.Acts != drill.ByHypervigil || *trial.Acknowledged == 0 || *trial.Lost != 0 {
		t.Errorf("failures %v, outcome %s, %s acts, %d acknowledged, %d lost", trial.Failures, trial.Outcome, trial.Acts, *trial.Acknowledged, *trial.Lost)
	}
	// A second until it is started, 2 s of the quick profile's start, and a little.
	if d := trial.SQLDownSeconds; d == nil || *d < 3 || *d > 12 {
		t.Errorf("SQL Server was down for %v s, want 3 and a little", number(d))
	}
	if d := trial.TCPLostSeconds; d == nil || *d < 2.5 || *d > 12 {
		t.Errorf("TCP was lost for %v s, want 3 and a little", number(d))
	}
	if d := trial.PingLostSeconds; d == nil || *d != 0 {
		t.Errorf("ping was lost for %v s, want none: the guest lives", number(d))
	}
	if stop, start := trial.ServiceStopSeconds, trial.ServiceStartSeconds; stop == nil || start == nil || *start-*stop < 2.5 {
		t.Errorf("by the event log it stopped at %v and started at %v, want 3 s between them", number(stop), number(start))
	}
	if trial.Expected != "healed" || trial.Clock != drill.RealClock || trial.Configuration != drill.Configuration || trial.Profile != profile {
		t.Errorf("expected %q, clock %s, configuration %s, profile %s", trial.Expected, trial.Clock, trial.Configuration, trial.Profile)
	}
	said := c.out.String()
	for _, want := range []string{"restart_service: mode act", "Stop-Process", "Name='MSSQLSERVER'", "Press Enter"} {
		if !strings.Contains(said, want) {
			t.Errorf("the person was not told %q:\n%s", want, said)
		}
	}
	c.wantNoTables(t)
}

// wantNoTables looks whether the drill left something behind.
func (c *chain) wantNoTables(t *testing.T) {
	t.Helper()
	s, err := open(c.options)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	left, err := s.load.Leftovers(t.Context())
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestADrillThatIsRefused shows that nothing was done.
func TestADrillThatIsRefused(t *testing.T) {
	t.Parallel()
	c := start(t, func(*chain) { t.Error("the person was asked") })
	c.set(incident.Incident{ID: "open-1", Subject: subject, Phase: incident.Acting, Summary: "being started"})
	if _, err := Run(t.Context(), c.options); !errors.Is(err, ErrRefused) {
		t.Errorf("with an incident open: %v", err)
	}
	if said := c.out.String(); !strings.Contains(said, "REFUSED") || !strings.Contains(said, "hypervigilctl explain open-1") {
		t.Errorf("it does not say what stands in the way:\n%s", said)
	}
	c.set()
	c.mu.Lock()
	c.notReady = true
	c.mu.Unlock()
	if _, err := Run(t.Context(), c.options); !errors.Is(err, ErrRefused) || !strings.Contains(c.out.String(), "binding of SQL01") {
		t.Errorf("with a receiver that is not ready: %v\n%s", err, c.out.String())
	}
	c.mu.Lock()
	c.notReady = false
	c.mu.Unlock()
	c.options.Load.Database = "archive" // offline
	if _, err := Run(t.Context(), c.options); !errors.Is(err, ErrRefused) {
		t.Errorf("with a database that cannot be written: %v", err)
	}
	for name, change := range map[string]func(*Options){
		"no such machine":    func(o *Options) { o.VM = "SQL99" },
		"no SQL Server":      func(o *Options) { o.VM = "DC01" },
		"no such instance":   func(o *Options) { o.Instance = "PAY" },
		"which instance":     func(o *Options) { o.VM, o.Instance = "SQL03", "" },
		"no such fault":      func(o *Options) { o.Fault = "fire" },
		"no such era":        func(o *Options) { o.Era = "1999" },
		"no such credential": func(o *Options) { o.Load.Credential = "sa" },
		"tempdb":             func(o *Options) { o.Load.Database = "tempdb" },
		"the lab":            func(o *Options) { o.Endpoints.LabControl = "http://127.0.0.1:1" },
		"no Prometheus":      func(o *Options) { o.Endpoints.Prometheus = "" },
		"no keyboard":        func(o *Options) { o.In = nil },
	} {
		o := c.options
		o.Load.Database = "sales"
		change(&o)
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%s: Run = nil", name)
		}
	}
}

// TestADrillThatIsLeft shows that the tables are removed where the person goes away, and where somebody ends the drill.
func TestADrillThatIsLeft(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := start(t, func(*chain) { cancel() })
	o := c.options
	o.In = person(nil)
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "nobody pressed Enter") {
		t.Errorf("without anybody: %v", err)
	}
	if _, err := Run(ctx, c.options); !errors.Is(err, context.Canceled) {
		t.Errorf("a drill that is ended: %v", err)
	}
	c.wantNoTables(t)
}

// TestWhatCannotBeReadIsNoted shows a drill whose guest's logs stay closed.
func TestWhatCannotBeReadIsNoted(t *testing.T) {
	t.Parallel()
	c := start(t, func(*chain) {})
	s, err := open(c.options)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.guest, s.noPings = silent{}, os.ErrPermission
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	m := s.measure(ctx, time.Now()) // no table was ever made: the commits cannot be counted either
	trial := trialled()
	m.complete(&trial, time.Now())
	notes := 0
	for _, moment := range trial.Timeline {
		if moment.Event == "not known" {
			notes++
		}
	}
	if notes != 4 || trial.PingLostSeconds != nil || trial.Lost != nil || trial.ServiceStopSeconds != nil || len(trial.Failures) == 0 {
		t.Errorf("%d notes, lost %v, failures %v; want what could not be read to be said: %v", notes, trial.Lost, trial.Failures, trial.Timeline)
	}
}
