package winservice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fake is a service control manager that writes down what it is asked.
type fake struct {
	calls []string
	fail  string // the call that fails
	// states is what State answers, one after the other; the last one stays.
	states []State
}

var errFake = errors.New("access denied")

func (f *fake) call(format string, a ...any) error {
	c := fmt.Sprintf(format, a...)
	f.calls = append(f.calls, c)
	if f.fail != "" && strings.HasPrefix(c, f.fail) {
		return errFake
	}
	return nil
}

func (f *fake) Create(s Spec) error { return f.call("create %s as %s", s.Name, s.Account) }
func (f *fake) SetRecovery(name string, r Recovery) error {
	return f.call("recover %s after %v", name, r.Restart)
}
func (f *fake) AddEventSource(name string) error    { return f.call("source+ %s", name) }
func (f *fake) RemoveEventSource(name string) error { return f.call("source- %s", name) }
func (f *fake) Delete(name string) error            { return f.call("delete %s", name) }
func (f *fake) Start(name string) error             { return f.call("start %s", name) }
func (f *fake) Stop(name string) error              { return f.call("stop %s", name) }

func (f *fake) State(string) (State, error) {
	if f.fail == "state" {
		return Other, ErrNoService
	}
	s := f.states[0]
	if len(f.states) > 1 {
		f.states = f.states[1:]
	}
	return s, nil
}

func (f *fake) wants(t *testing.T, calls ...string) {
	t.Helper()
	if diff := cmp.Diff(calls, f.calls); diff != "" {
		t.Errorf("the manager was asked (-want +got):\n%s", diff)
	}
}

func TestInstall(t *testing.T) {
	t.Parallel()
	steps := []string{
		`create hypervigil-exporter as CORP\hv$`, "recover hypervigil-exporter after [5s 15s 1m0s]", "source+ hypervigil-exporter",
	}
	f := &fake{}
	if err := Install(f, spec()); err != nil {
		t.Fatal(err)
	}
	f.wants(t, steps...)

	for i, step := range steps {
		f := &fake{fail: step}
		if err := Install(f, spec()); !errors.Is(err, errFake) {
			t.Errorf("%s fails: %v", step, err)
		}
		want := slices.Clone(steps[:i+1])
		if i > 0 {
			want = append(want, "delete hypervigil-exporter")
		}
		f.wants(t, want...)
	}

	f = &fake{}
	s := spec()
	s.Account = `CORP\administrator`
	if err := Install(f, s); err == nil {
		t.Error("an account with a password was installed")
	}
	f.wants(t)
}

func TestLaunchAndHalt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		do     func(context.Context, Manager, string) error
		states []State
		fail   string
		calls  []string
		says   string
	}{
		{"starts", Launch, []State{Stopped, StartPending, StartPending, Running}, "", []string{"start x"}, ""},
		{"runs already", Launch, []State{Running}, "", nil, ""},
		{"is starting already", Launch, []State{StartPending, StartPending, Running}, "", nil, ""},
		{"ends while it starts", Launch, []State{Stopped, StartPending, Stopped}, "", []string{"start x"}, "ended while it started"},
		{"hangs while it starts", Launch, []State{Stopped, StartPending}, "", []string{"start x"}, "still starting: context deadline exceeded"},
		{"may not be started", Launch, []State{Stopped}, "start", []string{"start x"}, "start the service: access denied"},
		{"is not there", Launch, nil, "state", nil, ErrNoService.Error()},
		{"stops", Halt, []State{Running, StopPending, Stopped}, "", []string{"stop x"}, ""},
		{"has stopped already", Halt, []State{Stopped}, "", nil, ""},
		{"is stopping already", Halt, []State{StopPending, StopPending, Stopped}, "", nil, ""},
		{"hangs while it stops", Halt, []State{Running, StopPending}, "", []string{"stop x"}, "still stopping: context deadline exceeded"},
		{"may not be stopped", Halt, []State{Running}, "stop", []string{"stop x"}, "stop the service: access denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				f := &fake{states: tt.states, fail: tt.fail}
				err := tt.do(ctx, f, "x")
				if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%v, want %q", err, tt.says)
				}
				f.wants(t, tt.calls...)
			})
		})
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	f := &fake{states: []State{Stopped}}
	if err := Remove(f, "x"); err != nil {
		t.Error(err)
	}
	f.wants(t, "delete x", "source- x")
	f = &fake{states: []State{Running}}
	if err := Remove(f, "x"); err == nil || !strings.Contains(err.Error(), "is running; stop it first") {
		t.Errorf("a running service: %v", err)
	}
	f.wants(t)
	f = &fake{states: []State{Stopped}, fail: "source-"}
	if err := Remove(f, "x"); !errors.Is(err, errFake) {
		t.Error(err)
	}
}
