package winservice

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// driven is a Drive under way.
type driven struct {
	requests chan Control

	mu      sync.Mutex
	reports []Status
	err     error
	ended   bool
}

func drive(program Program) *driven {
	d := &driven{requests: make(chan Control)}
	go func() {
		err := Drive(d.requests, func(s Status) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.reports = append(d.reports, s)
		}, program)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.ended, d.err = true, err
	}()
	synctest.Wait()
	return d
}

// wantsEnd compares how it ended, if it did.
func (d *driven) wantsEnd(t *testing.T, ended bool, err error) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended != ended || !errors.Is(d.err, err) {
		t.Errorf("ended %t with %v, want %t with %v", d.ended, d.err, ended, err)
	}
}

// wants compares the reports since the last look.
func (d *driven) wants(t *testing.T, what string, want ...Status) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if diff := cmp.Diff(want, d.reports); diff != "" {
		t.Errorf("%s: reported (-want +got):\n%s", what, diff)
	}
	d.reports = nil
}

// obedient serves at once and ends after a while when it is stopped.
func obedient(end time.Duration, result error) Program {
	return func(ctx context.Context, ready func(), _ <-chan os.Signal) error {
		ready()
		ready() // twice does no harm
		<-ctx.Done()
		time.Sleep(end)
		return result
	}
}

func TestStopByEitherRequest(t *testing.T) {
	t.Parallel()
	for _, request := range []Control{Stop, Shutdown} {
		synctest.Test(t, func(t *testing.T) {
			d := drive(obedient(5*time.Second, nil))
			d.wants(t, "start", Status{State: StartPending}, Status{State: Running})
			time.Sleep(time.Hour)
			d.wants(t, "a running service reports nothing by itself")
			d.requests <- Interrogate
			d.wants(t, "interrogated", Status{State: Running})
			d.requests <- request
			d.wants(t, "stopped", Status{State: StopPending})
			d.requests <- request
			d.wants(t, "stopped twice", Status{State: StopPending})
			time.Sleep(4500 * time.Millisecond)
			d.wants(t, "progress", Status{State: StopPending, CheckPoint: 1}, Status{State: StopPending, CheckPoint: 2})
			d.wantsEnd(t, false, nil)
			time.Sleep(time.Second)
			d.wantsEnd(t, true, nil)
		})
	}
}

func TestTheProgramsEnd(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, tt := range []struct {
		name    string
		program Program
		stop    bool
		want    error
	}{
		{"an error while it starts", func(context.Context, func(), <-chan os.Signal) error { return broken }, false, broken},
		{"an end that nobody asked for", func(context.Context, func(), <-chan os.Signal) error { return nil }, false, errEnded},
		{"an error of a stop", obedient(0, broken), true, broken},
		{"a stop", obedient(0, nil), true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := drive(tt.program)
				if tt.stop {
					d.requests <- Stop
				}
				d.wantsEnd(t, true, tt.want)
			})
		})
	}
}

// TestAStopBeforeTheStart: a service that is stopped while it starts never says that it runs.
func TestAStopBeforeTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := drive(func(ctx context.Context, ready func(), _ <-chan os.Signal) error {
			<-ctx.Done()
			ready()
			time.Sleep(time.Second)
			return nil
		})
		d.wants(t, "start", Status{State: StartPending})
		d.requests <- Stop
		d.wants(t, "stop", Status{State: StopPending})
		time.Sleep(time.Second)
		d.wants(t, "end")
		d.wantsEnd(t, true, nil)
	})
}

// TestProgressIsNotClaimedForever: after a minute the manager is to see that a program hangs.
func TestProgressIsNotClaimedForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := drive(func(ctx context.Context, _ func(), _ <-chan os.Signal) error {
			<-ctx.Done()
			return nil
		})
		time.Sleep(10 * time.Minute)
		want := []Status{{State: StartPending}}
		for i := range uint32(30) {
			want = append(want, Status{State: StartPending, CheckPoint: i + 1})
		}
		d.wants(t, "ten minutes", want...)
		d.requests <- Stop
		d.wantsEnd(t, true, nil)
	})
}

func TestReload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var reloads int
		d := drive(func(ctx context.Context, ready func(), reload <-chan os.Signal) error {
			ready()
			for {
				select {
				case <-reload:
					reloads++
					time.Sleep(time.Minute) // meanwhile one waits, and more are the same as one
				case <-ctx.Done():
					return nil
				}
			}
		})
		for range 5 {
			d.requests <- ParamChange
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if reloads != 2 {
			t.Errorf("%d reloads of five requests at once, want 2", reloads)
		}
		d.requests <- Stop
		d.wantsEnd(t, true, nil)
	})
}
