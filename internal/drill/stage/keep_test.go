package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/drilltest"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// shelf is a lab on which faults are laid.
type shelf struct {
	mu     sync.Mutex
	faults []model.Injected
	state  lab.State
}

var _ injectedFaults = (*shelf)(nil)

func (s *shelf) Faults() []model.Injected {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.faults)
}

func (s *shelf) State() lab.State { return s.state }

func (s *shelf) lay(r ...model.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range r {
		s.faults = append(s.faults, model.Injected{ID: fmt.Sprint(len(s.faults)), At: time.Now().Add(-time.Second), Request: r})
	}
}

// running runs a keeper until the test ends it; it reads the report meanwhile.
func running(t *testing.T, s *shelf, steps []drilltest.Step) (report func() []drill.Trial, out *console, end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	path := filepath.Join(t.TempDir(), "report.json")
	out = &console{}
	k := &keeper{lab: s, endpoints: drilltest.Serve(t, steps), profile: "quick", path: path, out: out}
	done := make(chan error, 1)
	go func() { done <- k.run(ctx) }()
	end = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = end() })
	return func() []drill.Trial {
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		var r drill.Report
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil {
			t.Error(err)
		}
		return r.Trials
	}, out, end
}

// console is a terminal that is read while it is written to.
type console struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(b)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%s did not come", what)
		}
	}
}

func ended(id, vm string, phase incident.Phase) incident.Incident {
	return incident.Incident{
		ID: id, Subject: evidence.Subject{VM: evidence.VM{Cluster: "hv-lab", Name: vm}, Instance: "MSSQLSERVER", Fault: evidence.Service},
		Phase: phase, OpenedAt: time.Now(), Summary: "It is " + string(phase) + ".",
	}
}

// TestFaultsFromOutsideBecomeTrials: two at once are watched at once, each is appended when its own incident has ended.
func TestFaultsFromOutsideBecomeTrials(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.lay(model.Request{Fault: "service-crash", VM: "SQL01"}) // between our start and our first look
	steps := []drilltest.Step{{}, {}, {Incidents: []incident.Incident{ended("a", "SQL02", incident.Refused)}}}
	for range 6 {
		steps = append(steps, steps[2])
	}
	steps = append(steps, drilltest.Step{Incidents: []incident.Incident{ended("a", "SQL02", incident.Refused), ended("b", "SQL01", incident.Told)}})
	report, out, end := running(t, s, steps)
	eventually(t, "the empty report", func() bool { return report() != nil })
	s.lay(model.Request{Fault: "service-stop", VM: "SQL02", Instance: "MSSQLSERVER"})
	eventually(t, "the second trial", func() bool { return len(report()) == 2 })
	var got []string
	for _, tr := range report() {
		got = append(got, tr.Fault+" "+tr.VM+" "+tr.Incident+" "+tr.Outcome)
	}
	if diff := cmp.Diff([]string{"service-stop SQL02 a refused", "service-crash SQL01 b told"}, got); diff != "" {
		t.Errorf("the trials (-want +got):\n%s", diff)
	}
	if err := end(); err != nil {
		t.Errorf("the end by Ctrl-C: %v", err)
	}
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "SQL01 ") && !strings.HasPrefix(line, "SQL02 ") {
			t.Errorf("a line does not say whose it is: %q", line)
		}
	}
}

func TestATrialThatIsBrokenOffIsSaidAndNotReported(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	report, out, end := running(t, s, []drilltest.Step{{}})
	s.lay(model.Request{Fault: "service-crash", VM: "SQL01"})
	eventually(t, "the empty report", func() bool { return report() != nil })
	eventually(t, "the begin of the watch", func() bool { return strings.Contains(out.String(), "SQL01    +0.00 s  fault") })
	if err := end(); err != nil {
		t.Error(err)
	}
	if n := len(report()); n != 0 {
		t.Errorf("%d trials, want none", n)
	}
	if !strings.Contains(out.String(), "SQL01 service-crash is not in the report: ") {
		t.Errorf("nothing was said: %q", out.String())
	}
}

func TestAReportThatCannotBeWrittenEndsTheKeeper(t *testing.T) {
	t.Parallel()
	k := &keeper{lab: &shelf{}, path: filepath.Join(t.TempDir(), "no", "report.json"), out: &bytes.Buffer{}}
	if err := k.run(t.Context()); err == nil {
		t.Error("run = nil, want why the report cannot be written")
	}
}

func TestWhomAFaultHits(t *testing.T) {
	t.Parallel()
	s := lab.State{
		Groups: []lab.GroupState{{VM: "SQL02", Owner: "HV2"}, {VM: "SQL04", Owner: "HV2"}, {VM: "SQL01", Owner: "HV1"}, {VM: "DC01", Owner: "HV2"}},
		Instances: []lab.InstanceState{
			{VM: "SQL01", Instance: "MSSQLSERVER"}, {VM: "SQL02", Instance: "MSSQLSERVER"}, {VM: "SQL04", Instance: "MSSQLSERVER"}, {VM: "SQL04", Instance: "B"},
		},
	}
	for _, tt := range []struct {
		request model.Request
		want    []string
	}{
		{model.Request{Fault: model.GuestCrash, VM: "SQL04"}, []string{"SQL04"}},
		{model.Request{Fault: model.HostPowerOff, VM: "SQL04", Node: "HV2"}, []string{"SQL02", "SQL04"}},
		{model.Request{Fault: model.LANBoard, Node: "HV3"}, nil},
	} {
		if diff := cmp.Diff(tt.want, hit(tt.request, s)); diff != "" {
			t.Errorf("hit(%+v) (-want +got):\n%s", tt.request, diff)
		}
	}
}
