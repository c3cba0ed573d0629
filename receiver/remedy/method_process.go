package remedy

import (
	"fmt"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// TerminateProcess ends one process, which is meant by its number and its creation date.
const TerminateProcess Method = "Win32_Process.Terminate"

func terminateProcess() MethodSpec {
	return MethodSpec{
		Method: TerminateProcess, Target: Guest, Within: ServiceTimeout, Ends: true,
		// Nothing but a login shows that a hang is over and that a SQL Server that serves would be killed.
		Before: []evidence.Part{evidence.PartService, evidence.PartProcess, evidence.PartLogin}, After: serviceParts(),
		judge: judgeTerminate, effect: terminated,
	}
}

// judgeTerminate says what Terminate's return value means (learn.microsoft.com, "Terminate method of the Win32_Process
// class").
func judgeTerminate(cmd Command, r Result) (cause Cause, why string, ok bool) {
	switch r.Code {
	case 2, 3:
		return Permanent, fmt.Sprintf("the operator's account may not terminate the process (return value %d)", r.Code), false
	}
	return GuestBound, fmt.Sprintf("%s returned %d", cmd.Method, r.Code), false
}

// terminated is the effect of Terminate.
func terminated(c Call, r evidence.Round) Effect {
	switch {
	case !r.Process.Known() || !r.Service.Known():
		return Effect{Unreadable: true, Detail: "the process or its service could not be read"}
	case r.Process.Value.ID == c.PID && r.Process.Value.Created.IsZero():
		return Effect{Unreadable: true, Detail: fmt.Sprintf("whether process %d is still the same could not be read (its CreationDate did not come)", c.PID)}
	case r.Process.Value.ID == c.PID && r.Process.Value.Created.Equal(c.Created):
		// Windows has said that it is terminated, and it stays as long as one of its threads waits in a driver
		// (learn.microsoft.com, "TerminateProcess function": "The terminated process cannot exit until all pending I/O has been
		// completed or canceled"): only what holds the thread, or a restart of the guest, ends that.
		return Effect{Cause: GuestBound, Detail: fmt.Sprintf("process %d is still there; Windows cannot end it while a driver holds one of its threads", c.PID)}
	case r.Service.Value.State == cluster.ServiceStopped, r.Service.Value.ProcessID != c.PID && r.Service.Value.State != cluster.ServiceStopPending:
		return Effect{Done: true, Detail: fmt.Sprintf("process %d is gone, %s is %q", c.PID, r.Service.Value.Name, r.Service.Value.State)}
	}
	return Effect{Pending: true, Detail: fmt.Sprintf("process %d is gone, %s is still %q", c.PID, r.Service.Value.Name, r.Service.Value.State)}
}
