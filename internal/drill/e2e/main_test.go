//go:build e2e

// Package e2e runs the whole chain as real programs on the lab: this project's own, Prometheus and Alertmanager.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/stage"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/peers"
	"github.com/hypervigil/hypervigil/internal/servetest"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// bin is the folder of our own programs, built once for all tests.
var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "hypervigil-e2e-*"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	build := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "../../../cmd/...")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
		return 1
	}
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// outside finds a program of somebody else's: where the environment says, or on PATH.
func outside(t *testing.T, name string) string {
	t.Helper()
	if path := os.Getenv(strings.ToUpper(name)); path != "" {
		return path
	}
	return peers.Need(t, name)
}

func programs(t *testing.T) stage.Programs {
	t.Helper()
	p := stage.Ours(bin)
	p.Prometheus, p.Promtool, p.Alertmanager = outside(t, "prometheus"), outside(t, "promtool"), outside(t, "alertmanager")
	return p
}

// testLog sends what the stage says to the test's log.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

func start(t *testing.T, o stage.Options) *stage.Stage {
	t.Helper()
	o.Dir, o.Programs, o.Out = t.TempDir(), programs(t), testLog{t}
	s, err := stage.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			tail(t, filepath.Join(o.Dir, "receiver.log"))
		}
		pids := s.Processes()
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		for name, pid := range pids {
			gone(t, name, pid)
		}
	})
	return s
}

// tail logs the end of a file.
func tail(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Log(err)
		return
	}
	t.Logf("%s:\n%s", path, b[max(0, len(b)-8000):])
}

// trial breaks something and follows it to its end.
func trial(t *testing.T, s *stage.Stage, r model.Request, within time.Duration) (drill.Trial, drill.LabCounts) {
	t.Helper()
	in, err := s.Lab.Inject(r)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tr, err := (&drill.Trialling{
		Endpoints: s.Endpoints, Out: testLog{t}, Profile: "quick", At: time.Time(in.At),
		Fault: drill.Fault{Fault: r.Fault, VM: r.VM, Instance: r.Instance},
	}).Watch(ctx)
	if err != nil {
		t.Fatalf("%s on %s: %v", r.Fault, r.VM, err)
	}
	c, err := s.Endpoints.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr, c.VMs[r.VM]
}

// outcome is what a trial is judged by first.
type outcome struct {
	Outcome, HealedBy                            string
	Commands, Starts, Failovers, Moves, VMResets int
}

func outcomeOf(tr drill.Trial, c drill.LabCounts) outcome {
	return outcome{
		tr.Outcome, tr.HealedBy, len(c.Commands), len(c.ServiceStarts), len(c.FailoversByCluster), len(c.MovesCommanded), len(c.VMResets),
	}
}

// within checks a figure of a trial against its bound; one that never came is not within it.
func within(t *testing.T, what string, seconds *float64, bound float64) {
	t.Helper()
	if seconds == nil || *seconds > bound {
		t.Errorf("%s: %v s, want at most %v s", what, number(seconds), bound)
	}
}

func number(f *float64) string {
	if f == nil {
		return "never"
	}
	return fmt.Sprint(*f)
}

// fetch asks with GET and returns status and body.
func fetch(t *testing.T, u string) (int, string) {
	t.Helper()
	return servetest.Ask(t, http.MethodGet, u, "")
}

func fetchJSON(t *testing.T, u string, into any) {
	t.Helper()
	code, body := fetch(t, u)
	if code != http.StatusOK {
		t.Fatalf("GET %s = %d %s", u, code, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatalf("GET %s: %v", u, err)
	}
}

// incidentOf asks the receiver for one incident with everything in it.
func incidentOf(t *testing.T, e drill.Endpoints, id string) incident.Incident {
	t.Helper()
	var i incident.Incident
	fetchJSON(t, e.Receiver+"/api/v1/incidents/"+url.PathEscape(id), &i)
	return i
}
