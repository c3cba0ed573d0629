package cluster_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// vmOf is the virtual machine of a group on a node, by its id.
func vmOf(t *testing.T, h *cluster.Host, group string) string {
	t.Helper()
	r, err := h.GroupVM(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	return r.VMID
}

// job waits for the end of a job.
func (s *site) job(t *testing.T, h *cluster.Host, id string) cluster.Job {
	t.Helper()
	s.await(t, func(m *model.Model) bool {
		return slices.ContainsFunc(m.Jobs, func(j *model.Job) bool { return j.ID == id && !j.Ended.IsZero() })
	})
	j, err := h.Job(t.Context(), id)
	if err != nil || j.State < cluster.JobCompleted {
		t.Fatalf("Job(%q) = %+v, %v, want it at its end", id, j, err)
	}
	return j
}

// run is when the present run of a virtual machine began.
func run(t *testing.T, h *cluster.Host, id string) time.Time {
	t.Helper()
	vm, err := h.VirtualMachine(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return time.Now().Add(-vm.Uptime)
}

// await waits for something in the lab.
func (s *site) await(t *testing.T, ok func(*model.Model) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.lab.Await(ctx, ok); err != nil {
		t.Fatal(err)
	}
}

func TestLabRestartsOfAVirtualMachine(t *testing.T) {
	t.Parallel()
	s := startLab(t)
	h := s.operator(t, "HV1")
	id := vmOf(t, h, "SQL01")
	tests := []struct {
		name, fault string
		do          func() (cluster.Outcome, error)
		code        uint32
	}{
		{"reset", model.GuestHang, func() (cluster.Outcome, error) { return h.ResetVM(t.Context(), id, time.Time{}) }, cluster.JobStarted},
		{"interrupt", model.GuestHang, func() (cluster.Outcome, error) { return h.InjectNMI(t.Context(), id, time.Time{}) }, cluster.JobStarted},
		{"reboot", "", func() (cluster.Outcome, error) { return h.RebootGuest(t.Context(), id, "test", time.Time{}) }, 0},
	}
	for _, tt := range tests {
		began := run(t, h, id)
		var before time.Time
		s.lab.With(func(m *model.Model) { before = m.VM("SQL01").Started })
		if tt.fault != "" {
			if _, err := s.lab.Inject(model.Request{Fault: tt.fault, VM: "SQL01"}); err != nil {
				t.Fatal(err)
			}
		}
		o, err := tt.do()
		if err != nil || !o.Sent || !o.Answered || o.Unknown || o.Code != tt.code || (o.Job == "") == (tt.code == cluster.JobStarted) {
			t.Fatalf("%s: %+v, %v; want return value %d, with a job where it is 4096", tt.name, o, err, tt.code)
		}
		if o.Job != "" {
			if j := s.job(t, h, o.Job); j.State != cluster.JobCompleted || j.ErrorCode != 0 {
				t.Errorf("%s: job %+v, want it completed", tt.name, j)
			}
		}
		s.await(t, func(m *model.Model) bool {
			v := m.VM("SQL01")
			return v.Heartbeat == cluster.HeartbeatOK && v.Started.After(before)
		})
		if vm, err := h.VirtualMachine(t.Context(), id); err != nil || vm.Heartbeat != cluster.HeartbeatOK || !run(t, h, id).After(began.Add(time.Second)) {
			t.Errorf("%s: %+v, %v; want a new run with a heartbeat", tt.name, vm, err)
		}
		v, err := h.GroupView(t.Context(), "SQL01")
		if err != nil {
			t.Fatal(err)
		}
		if g, _ := v.Group("SQL01"); g.State != cluster.GroupOnline || g.Owner != "HV1" || !g.PersistentState {
			t.Errorf("%s: group %+v, want it online on its owner all the time", tt.name, g)
		}
	}
}

func TestLabJobsThatFail(t *testing.T) {
	t.Parallel()
	s := startLab(t)
	h := s.operator(t, "HV1")
	id := vmOf(t, h, "SQL01")
	if _, err := s.lab.Inject(model.Request{Fault: model.JobsFail, VM: "SQL01"}); err != nil {
		t.Fatal(err)
	}
	o, err := h.ResetVM(t.Context(), id, time.Time{})
	if err != nil || o.Code != cluster.JobStarted {
		t.Fatalf("ResetVM = %+v, %v", o, err)
	}
	if j := s.job(t, h, o.Job); j.State != cluster.JobException || j.ErrorCode != 32768 || j.Description == "" {
		t.Errorf("job %+v, want an exception with its error", j)
	}
	if _, err := h.Job(t.Context(), "00000000-0000-4000-A000-000000000000"); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("a job that never was: %v, want ErrNotFound", err)
	}
	if o, err := h.RebootGuest(t.Context(), id, "test", time.Time{}); err != nil || o.Code != 32768 {
		t.Errorf("RebootGuest = %+v, %v; want 32768", o, err)
	}
}

func TestLabRestartsAreBoundToTheirSource(t *testing.T) {
	t.Parallel()
	s := startLab(t)
	h, other := s.operator(t, "HV1"), s.operator(t, "HV2")
	id := vmOf(t, h, "SQL01")
	// A node that does not own the virtual machine has no such instance: nothing was done, and that is certain.
	for name, do := range map[string]func() (cluster.Outcome, error){
		"reset":     func() (cluster.Outcome, error) { return other.ResetVM(t.Context(), id, time.Time{}) },
		"interrupt": func() (cluster.Outcome, error) { return other.InjectNMI(t.Context(), id, time.Time{}) },
		"reboot":    func() (cluster.Outcome, error) { return other.RebootGuest(t.Context(), id, "test", time.Time{}) },
	} {
		if o, err := do(); err == nil || o.Answered || o.Unknown {
			t.Errorf("%s on another node: %+v, %v; want an error and certainty", name, o, err)
		}
	}
	for name, do := range map[string]func() (cluster.Outcome, error){
		"the host's own name": func() (cluster.Outcome, error) { return h.ResetVM(t.Context(), "HV1", time.Time{}) },
		"no id":               func() (cluster.Outcome, error) { return h.InjectNMI(t.Context(), "", time.Time{}) },
		"a name":              func() (cluster.Outcome, error) { return h.RebootGuest(t.Context(), "SQL01", "test", time.Time{}) },
		"too late": func() (cluster.Outcome, error) {
			return h.ResetVM(t.Context(), id, time.Now().Add(-time.Second))
		},
	} {
		if o, err := do(); err == nil || o.Sent {
			t.Errorf("%s: %+v, %v; want that nothing left", name, o, err)
		}
	}
	// The reader's account may look and not touch.
	if o, err := s.host(t, "HV1").ResetVM(t.Context(), id, time.Time{}); cluster.Reason(err) != dial.Permission || o.Unknown {
		t.Errorf("the reader resets: %+v, %v; want it refused", o, err)
	}
	if n := len(s.lab.Counters().VMs["SQL01"].VMResets); n != 0 {
		t.Errorf("%d restarts, want none", n)
	}
}
