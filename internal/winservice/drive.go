package winservice

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

const (
	// WaitHint is the time within which the manager may expect the next check point. "If the amount of time specified by
	// dwWaitHint passes, and dwCheckPoint has not been incremented or dwCurrentState has not changed, the service control
	// manager … can assume that an error has occurred" (learn.microsoft.com, SERVICE_STATUS structure).
	WaitHint = 10 * time.Second
	// beat is the time between two check points.
	beat = 2 * time.Second
	// pendingLimit is for how long check points claim progress; a program that starts or stops for longer is shown as hung.
	pendingLimit = time.Minute
)

// errEnded is the failure of a program that ended although nobody stopped it: without it the manager would take the end
// for a stop, and not start the service again.
var errEnded = errors.New("the program ended although nobody stopped it")

// Program is what runs as a service: it ends when ctx does, calls ready once when it serves, and reads its configuration
// again for each value of reload, as it does for SIGHUP elsewhere.
type Program func(ctx context.Context, ready func(), reload <-chan os.Signal) error

// Drive runs the program between the manager's requests and the states that are reported to it, until the program ends.
// report is called by the caller's goroutine alone; Stopped is never reported: that is the manager's to conclude from the
// return. An error means that the service failed and is to be recovered.
func Drive(requests <-chan Control, report func(Status), program Program) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var (
		ready  = make(chan struct{}, 1)
		reload = make(chan os.Signal, 1)
		done   = make(chan error, 1)
	)
	status := Status{State: StartPending}
	since := time.Now()
	report(status)
	go func() {
		done <- program(ctx, func() {
			select {
			case ready <- struct{}{}:
			default: // it said so before
			}
		}, reload)
	}()
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		select {
		case c := <-requests:
			switch c {
			case Stop, Shutdown:
				if status.State != StopPending {
					status, since = Status{State: StopPending}, time.Now()
					cancel()
				}
			case ParamChange:
				select {
				case reload <- syscall.SIGHUP:
				default: // one is waiting, and will read what is there now
				}
			case Interrogate:
			}
			report(status)
		case <-ready:
			if status.State == StartPending { // a stop may have come first
				status = Status{State: Running}
				report(status)
			}
		case <-ticker.C:
			if status.State != Running && time.Since(since) <= pendingLimit {
				status.CheckPoint++
				report(status)
			}
		case err := <-done:
			if err == nil && status.State != StopPending {
				return errEnded
			}
			return err
		}
	}
}
