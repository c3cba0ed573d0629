package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// JobStarted is the return value by which a method of Hyper-V says that it has begun a job and does not wait for it
// (learn.microsoft.com, "RequestStateChange method of the Msvm_ComputerSystem class": "Method Parameters Checked - Job
// Started (4096)").
const JobStarted = 4096

// JobState is CIM_ConcreteJob.JobState (DMTF, CIM_ConcreteJob). It is terminal from JobCompleted to JobException.
type JobState uint16

// The states of a job.
const (
	JobNew          JobState = 2
	JobStarting     JobState = 3
	JobRunning      JobState = 4
	JobSuspended    JobState = 5
	JobShuttingDown JobState = 6
	JobCompleted    JobState = 7
	JobTerminated   JobState = 8
	JobKilled       JobState = 9
	JobException    JobState = 10
)

// Job is Msvm_ConcreteJob: what a method of Hyper-V has begun. Hyper-V keeps one for five minutes after its end
// (TimeBeforeRemoval).
type Job struct {
	ID          string   `json:"id"` // InstanceID
	State       JobState `json:"state"`
	ErrorCode   uint16   `json:"error_code,omitempty"`  // as the return values of Hyper-V's methods; 0 for none
	Description string   `json:"description,omitempty"` // in the host's language
}

// Job reads one job of this host. ErrNotFound means that it has none of this id, or has forgotten it.
func (h *Host) Job(ctx context.Context, id string) (Job, error) {
	j, err := one(ctx, &h.machine, nsHyperV, "SELECT InstanceID, JobState, ErrorCode, ErrorDescription FROM Msvm_ConcreteJob WHERE InstanceID = "+
		wsman.Quote(id), func(f *fields) Job {
		return Job{f.mustText("InstanceID"), JobState(f.uint16("JobState")), f.uint16("ErrorCode"), f.text("ErrorDescription")}
	})
	if err != nil {
		return Job{}, fmt.Errorf("read job %s of %s: %w", id, h.name, err)
	}
	return j, nil
}

// stateReset is the RequestedState that resets a virtual machine (learn.microsoft.com, root/virtualization/v2,
// "RequestStateChange method of the Msvm_ComputerSystem class": "Reset (11): Resets the virtual machine". In the
// namespace of Windows Server 2008, which is not spoken here, that was 10).
const stateReset = "11"

// ResetVM calls Msvm_ComputerSystem.RequestStateChange(Reset) once on the virtual machine with this id, if this host
// has it: the guest is cut off as by the button of a machine, and boots. Nothing persistent changes. Outcome.Code is 0
// or JobStarted, with Outcome.Job; the other codes are Hyper-V's errors from 32768.
//
// No command leaves after notAfter: it fails with ErrStale then. The zero time sets no bound.
func (h *Host) ResetVM(ctx context.Context, id string, notAfter time.Time) (Outcome, error) {
	return h.onVM(ctx, notAfter, "reset", id, "RequestStateChange", wsman.Argument{Name: "RequestedState", Value: stateReset})
}

// InjectNMI calls Msvm_ComputerSystem.InjectNonMaskableInterrupt once: the guest's kernel stops with an error, writes a
// dump and restarts, or does not, as its own settings say (learn.microsoft.com, "InjectNonMaskableInterrupt method of
// the Msvm_ComputerSystem class").
func (h *Host) InjectNMI(ctx context.Context, id string, notAfter time.Time) (Outcome, error) {
	return h.onVM(ctx, notAfter, "inject a non-maskable interrupt into", id, "InjectNonMaskableInterrupt")
}

// onVM calls a method of one virtual machine of this host.
func (h *Host) onVM(ctx context.Context, notAfter time.Time, op, id, method string, args ...wsman.Argument) (Outcome, error) {
	key, err := vmKey(id)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s virtual machine: %w", op, err)
	}
	return h.call(ctx, op+" virtual machine "+id, wsman.Call{
		Namespace: nsHyperV, Class: "Msvm_ComputerSystem", Method: method, Arguments: args, NotAfter: notAfter,
		Keys: []wsman.Selector{{Name: "CreationClassName", Value: "Msvm_ComputerSystem"}, {Name: "Name", Value: key}},
	})
}

// vmKey is Msvm_ComputerSystem.Name of a virtual machine. The host is an instance of the class too, and its name is no
// id: nothing but an id is ever sent.
func vmKey(id string) (string, error) {
	if _, ok := machineID(id); !ok {
		return "", fmt.Errorf("%q is not a virtual machine's id", id)
	}
	return strings.ToUpper(guid(id)), nil
}

// RebootGuest calls Msvm_ShutdownComponent.InitiateReboot once on the virtual machine with this id: its guest shuts its
// services down in good order and boots again. Force closes applications of people who are logged on; without it a
// locked console would refuse (32781). It reads right before which shutdown component that is, and sends nothing where
// the virtual machine has none, as without the integration service.
//
// InitiateShutdown would leave the virtual machine off, and the cluster takes that for the end of its resource: by
// default the group goes offline and stays so (learn.microsoft.com, "Virtual Machine Private Properties",
// "ShutdownAction"). A reboot does not stop the virtual machine (learn.microsoft.com, "InitiateReboot method of the
// Msvm_ShutdownComponent class", from Windows Server 2016).
func (h *Host) RebootGuest(ctx context.Context, id, reason string, notAfter time.Time) (Outcome, error) {
	key, err := vmKey(id)
	if err != nil {
		return Outcome{}, fmt.Errorf("reboot a guest: %w", err)
	}
	device, err := one(ctx, &h.machine, nsHyperV, "SELECT DeviceID, SystemName FROM Msvm_ShutdownComponent WHERE SystemName = "+wsman.Quote(key),
		func(f *fields) string { return f.mustText("DeviceID") })
	if errors.Is(err, ErrNotFound) {
		return Outcome{}, fmt.Errorf("reboot the guest of %s: its shutdown integration service is not there: %w", id, err)
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("read the shutdown component of %s: %w", id, err)
	}
	return h.call(ctx, "reboot the guest of virtual machine "+id, wsman.Call{
		Namespace: nsHyperV, Class: "Msvm_ShutdownComponent", Method: "InitiateReboot", NotAfter: notAfter,
		Keys: []wsman.Selector{
			{Name: "CreationClassName", Value: "Msvm_ShutdownComponent"},
			{Name: "DeviceID", Value: device},
			{Name: "SystemCreationClassName", Value: "Msvm_ComputerSystem"},
			{Name: "SystemName", Value: key},
		},
		Arguments: []wsman.Argument{{Name: "Force", Value: "true"}, {Name: "Reason", Value: reason}},
	})
}
