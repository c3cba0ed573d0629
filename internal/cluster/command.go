package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// Outcome is what came of a command.
type Outcome struct {
	// Sent is false only where it is certain that no byte of the command left.
	Sent bool
	// Answered says that the method's own return value came back, and Code is it.
	Answered bool
	Code     uint32
	// Job is the InstanceID of the Msvm_ConcreteJob that the method began and did not wait for; empty without one.
	Job string
	// Unknown says that the command may have been carried out, or still be: look, and do not send it again.
	Unknown bool
	// LeftAt is when the command was written, where it was answered.
	LeftAt time.Time
}

// ErrStale says that a command did not leave because its moment had passed.
var ErrStale = wsman.ErrStale

// ProcessChangedError says that a process is not the one that was meant: Windows gives a number to another process
// once it is free.
type ProcessChangedError struct {
	PID     uint32
	Meant   time.Time
	Created time.Time // of the process that has the number now; zero where none has
}

// Error says what was found instead.
func (e *ProcessChangedError) Error() string {
	if e.Created.IsZero() {
		return fmt.Sprintf("process %d is gone; nothing was sent", e.PID)
	}
	return fmt.Sprintf("process %d was created at %s, the one that was meant at %s; nothing was sent", e.PID,
		e.Created.Format(time.RFC3339Nano), e.Meant.Format(time.RFC3339Nano))
}

// StartService calls Win32_Service.StartService once; Outcome.Code is a ServiceCode. Success means that the service
// control manager has begun to start it: read the service to learn how it went.
//
// No command leaves after notAfter: it fails with ErrStale then. The zero time sets no bound.
func (g *Guest) StartService(ctx context.Context, name string, notAfter time.Time) (Outcome, error) {
	return g.invoke(ctx, notAfter, "start service "+name, "Win32_Service", wsman.Selector{Name: "Name", Value: name}, "StartService")
}

// StopService calls Win32_Service.StopService once; Outcome.Code is a ServiceCode. ServiceDependentsRunning means
// that nothing was stopped.
func (g *Guest) StopService(ctx context.Context, name string, notAfter time.Time) (Outcome, error) {
	return g.invoke(ctx, notAfter, "stop service "+name, "Win32_Service", wsman.Selector{Name: "Name", Value: name}, "StopService")
}

// TerminateProcess calls Win32_Process.Terminate once, on the process that has this number and was created at this
// time; it reads that right before, and refuses with a *ProcessChangedError where it is another. Outcome.Code is 0
// for success, 2 access denied, 3 insufficient privilege (learn.microsoft.com, "Terminate method of the
// Win32_Process class").
//
// Windows has no terminate-if: between the read and the call lies one round trip on a warm connection.
func (g *Guest) TerminateProcess(ctx context.Context, pid uint32, created, notAfter time.Time) (Outcome, error) {
	if pid == 0 || created.IsZero() {
		return Outcome{}, fmt.Errorf("terminate process %d: want a number and the time of its creation", pid)
	}
	p, err := g.Process(ctx, pid)
	if err != nil {
		return Outcome{}, err
	}
	// Both come from the same property; a microsecond is its resolution.
	if p.ID != pid || !p.Created.Truncate(time.Microsecond).Equal(created.Truncate(time.Microsecond)) {
		return Outcome{}, &ProcessChangedError{pid, created, p.Created}
	}
	op := fmt.Sprintf("terminate process %d", pid)
	return g.invoke(ctx, notAfter, op, "Win32_Process", wsman.Selector{Name: "Handle", Value: strconv.FormatUint(uint64(pid), 10)}, "Terminate",
		wsman.Argument{Name: "Reason", Value: "1"}) // the exit code that the process gets
}

// invoke calls a method of one instance in root/cimv2.
func (m *machine) invoke(ctx context.Context, notAfter time.Time, op, class string, key wsman.Selector, method string, args ...wsman.Argument) (Outcome, error) {
	return m.call(ctx, op, wsman.Call{
		Namespace: nsWindows, Class: class, Keys: []wsman.Selector{key}, Method: method, Arguments: args, NotAfter: notAfter,
	})
}

// call calls a method, once.
func (m *machine) call(ctx context.Context, op string, c wsman.Call) (Outcome, error) {
	r, err := m.client.Invoke(ctx, c)
	if err != nil {
		var o Outcome
		var e *wsman.Error
		if errors.As(err, &e) {
			o.Sent, o.Unknown = e.Sent, e.Unknown()
		}
		return o, fmt.Errorf("%s: %w", op, err)
	}
	if !r.HasReturnValue {
		return Outcome{Sent: true, Unknown: true}, fmt.Errorf("%s: the answer has no return value", op)
	}
	o := Outcome{Sent: true, Answered: true, Code: r.ReturnValue, LeftAt: r.LeftAt}
	// A reference that cannot be read costs the job's word on why it failed; whether it succeeded shows elsewhere.
	if job, ok, err := r.Output.Reference("Job"); ok && err == nil {
		o.Job, _ = job.Selector("InstanceID")
	}
	return o, nil
}
