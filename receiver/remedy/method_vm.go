package remedy

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// The methods of Hyper-V that restart a virtual machine where it runs. Each is bound to its source: it goes to the
// owner by the virtual machine's id, and finds no running one elsewhere.
const (
	ResetSystem Method = "Msvm_ComputerSystem.RequestStateChange"
	InjectNMI   Method = "Msvm_ComputerSystem.InjectNonMaskableInterrupt"
	RebootGuest Method = "Msvm_ShutdownComponent.InitiateReboot"
)

// The bounds of a restart of the virtual machine.
const (
	// VMTimeout bounds a reset or reboot, the boot included (G24).
	VMTimeout = 300 * time.Second
	// DumpTimeout bounds a restart by a non-maskable interrupt: the guest first writes a dump of its kernel's memory, for
	// as long as any dump is waited for (G35).
	DumpTimeout = 15 * time.Minute
	// LeastRun is how long a virtual machine must have run before it is restarted: a younger one is booting. It is also what
	// tells a run from the one before: see newRun.
	LeastRun = 60 * time.Second
	// LeastResumed is the same for one that a move of the same rung has just resumed: OnTimeInMilliseconds counts from there.
	// Nothing boots in it, so that it need only be longer than a round takes.
	LeastResumed = 20 * time.Second
	// jobSettle is how long a reset that shows no effect may still be waiting in Hyper-V's queue.
	jobSettle = 60 * time.Second
)

func resetSystem() MethodSpec {
	return vmMethod(ResetSystem, VMTimeout, jobSettle)
}

func injectNMI() MethodSpec {
	// While the dump is written nothing tells that the interrupt came.
	return vmMethod(InjectNMI, DumpTimeout, DumpTimeout)
}

func rebootGuest() MethodSpec {
	// Windows waits for its services to stop, and SQL Server for its databases, before the run ends.
	return vmMethod(RebootGuest, VMTimeout, VMTimeout)
}

func vmMethod(m Method, within, settle time.Duration) MethodSpec {
	return MethodSpec{
		Method: m, Target: Host, Within: within, Settle: settle, Ends: true, Revives: true, Boots: true,
		Before: []evidence.Part{evidence.PartLogin},
		After:  []evidence.Part{evidence.PartHost, evidence.PartJob, evidence.PartLogin, evidence.PartGuest},
		judge:  judgeVM, effect: restarted,
	}
}

// judgeVM says what a return value of Hyper-V's methods means (learn.microsoft.com, root/virtualization/v2,
// "RequestStateChange method of the Msvm_ComputerSystem class" and "InitiateReboot method of the Msvm_ShutdownComponent
// class").
func judgeVM(cmd Command, r Result) (cause Cause, why string, ok bool) {
	if r.Code == cluster.JobStarted {
		return "", "", true
	}
	cause, why = hyperV(r.Code)
	return cause, fmt.Sprintf("%s: %s (return value %d)", cmd.Method, why, r.Code), false
}

// hyperV classifies an error of Hyper-V: a method's return value or a job's error code, which are the same numbers.
// What it is nobody's fault of is transient; what a restart of the same guest may find again is the guest's.
func hyperV(code uint32) (Cause, string) {
	switch code {
	case 32769:
		return Permanent, "access denied: the operator's account is no Hyper-V administrator of this host"
	case 32770:
		return Permanent, "not supported by this host"
	case 32773, 32776, 32779:
		return Permanent, "the host does not take the parameters"
	case 32774:
		return Transient, "the virtual machine is in use by something else"
	case 32775:
		return Transient, "the virtual machine's state does not allow it"
	case 32777:
		return Transient, "the virtual machine is not available"
	case 32778:
		return NodeBound, "the host is out of memory"
	case 32780:
		return GuestBound, "the guest's shutdown integration service is not ready"
	case 32781:
		return GuestBound, "the guest is locked and refuses to shut down"
	case 32782:
		return Transient, "the guest is shutting down already"
	case 32772:
		return GuestBound, "time-out: the guest did not answer"
	}
	return Transient, "failed"
}

// newRun reports whether a round shows that the virtual machine began another run since the call was issued.
// OnTimeInMilliseconds counts "since the machine was last turned on, reset, or restored", without the time it was paused
// (learn.microsoft.com, Msvm_ComputerSystem); a run that was there before is older by the command's least run,
// which the re-validation saw to, so that no clocks are compared and a pause cannot be taken for a restart.
func newRun(c Call, r evidence.Round) bool {
	vm := r.Host.Value
	return r.Host.Known() && vm.State == cluster.VMRunning && vm.Uptime > 0 && vm.Uptime < r.Finished.Sub(c.Issued)+c.leastRun()/2
}

// restarted is the effect of a reset, a reboot or an interrupt: the virtual machine is in another run, and the guest has
// come so far that its heartbeat, its management service or SQL Server answers.
func restarted(c Call, r evidence.Round) Effect {
	if e, failed := jobFailed(c, r); failed {
		return e
	}
	if !r.Host.Known() {
		return Effect{Unreadable: true, Detail: "the owner does not tell of the virtual machine: " + string(r.Host.Failure)}
	}
	vm := r.Host.Value
	switch {
	case vm.State != cluster.VMRunning:
		return Effect{Pending: vm.State != cluster.VMOff && vm.State != cluster.VMSaved, Detail: fmt.Sprintf("the virtual machine is in EnabledState %d", vm.State)}
	case newRun(c, r):
		up := fmt.Sprintf("the virtual machine runs anew since %s", vm.Uptime.Round(time.Second))
		if vm.Heartbeat == cluster.HeartbeatOK || r.Guest.Known() || r.Login.Known() && r.Login.Value.Up {
			return Effect{Done: true, Detail: up + " and its guest answers"}
		}
		return Effect{Shown: true, Pending: true, Detail: up + "; its guest boots"}
	case r.Job.Known() && r.Job.Value.State < cluster.JobCompleted:
		return Effect{Pending: true, Detail: fmt.Sprintf("the host's job is in state %d", r.Job.Value.State)}
	}
	e := Effect{Detail: fmt.Sprintf("the virtual machine still runs since %s", vm.Uptime.Round(time.Second))}
	switch c.Method {
	case RebootGuest:
		if vm.Heartbeat == cluster.HeartbeatOK {
			e.Cause = Transient // a guest that lives and does not shut down is a person's: nothing harder follows by itself (G32)
		}
	case InjectNMI:
		e.Detail += "; whether a guest writes a dump and restarts after an interrupt is its own setting (CrashControl: CrashDumpEnabled, AutoReboot)"
	}
	return e
}

// jobFailed reads a job that ended without success.
func jobFailed(c Call, r evidence.Round) (Effect, bool) {
	if !r.Job.Known() || !c.Observed {
		return Effect{}, false
	}
	j := r.Job.Value
	switch j.State {
	case cluster.JobTerminated, cluster.JobKilled:
		return Effect{Failed: true, Cause: Transient, Detail: fmt.Sprintf("somebody ended the host's job (state %d)", j.State)}, true
	case cluster.JobException:
		cause, why := hyperV(uint32(j.ErrorCode))
		return Effect{Failed: true, Cause: cause, Detail: fmt.Sprintf("the host's job failed: %s (error %d)", why, j.ErrorCode)}, true
	case cluster.JobNew, cluster.JobStarting, cluster.JobRunning, cluster.JobSuspended, cluster.JobShuttingDown, cluster.JobCompleted:
	}
	return Effect{}, false
}

func (c Command) leastRun() time.Duration { return cmp.Or(c.LeastRun, LeastRun) }

// vmCommand is a command to the owner about one virtual machine.
func (c Case) vmCommand(m Method, cmdlet string) ([]Command, error) {
	cmd, err := c.vmOn(c.Owner, m, cmdlet)
	if err != nil {
		return nil, err
	}
	return []Command{cmd}, nil
}

// vmOn is a command about the virtual machine that the owner shows now, to the node that it will be on when the command
// leaves.
func (c Case) vmOn(node string, m Method, cmdlet string) (Command, error) {
	switch vm := c.Round.Host; {
	case c.Owner == "":
		return Command{}, fmt.Errorf("the owner of %s is not known", c.Group)
	case c.VMID == "":
		return Command{}, fmt.Errorf("the id of %s's virtual machine is not proven", c.Subject.VM)
	case !vm.Known():
		return Command{}, fmt.Errorf("owner %s does not tell of the virtual machine: %s", c.Owner, vm.Failure)
	case !strings.EqualFold(vm.Value.ID, c.VMID) || vm.Value.Host != c.Owner:
		return Command{}, fmt.Errorf("%s on %s was read, virtual machine %s of %s was proven", vm.Value.ID, vm.Value.Host, c.VMID, c.Owner)
	}
	return Command{
		Method: m, VM: c.Subject.VM, Instance: c.Subject.Instance, Node: node, VMID: c.VMID, Timeout: callTimeout,
		Cmdlet: fmt.Sprintf(cmdlet, c.VMID, quote(node)),
	}, nil
}
