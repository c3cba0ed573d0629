package model

import (
	"fmt"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// The return values of Hyper-V's methods that the model gives (learn.microsoft.com, root/virtualization/v2,
// "RequestStateChange method of the Msvm_ComputerSystem class", "InitiateReboot method of the Msvm_ShutdownComponent
// class").
const (
	codeJobStarted   = 4096
	codeFailed       = 32768
	codeInvalidState = 32775
	codeNotReady     = 32780 // the guest's integration service does not answer
)

// JobFate is what becomes of what Hyper-V is told to do to a virtual machine.
type JobFate int

// The fates of jobs.
const (
	JobSucceeds JobFate = iota
	JobFails            // the job ends in an exception, and nothing was done
	JobHangs            // the job runs for ever, and nothing is done
	JobLate             // the job is done after jobLate
)

// The durations of Hyper-V's jobs, which no profile changes.
const (
	jobTime = 200 * time.Millisecond
	jobLate = 20 * time.Second
	jobKept = 5 * time.Minute // TimeBeforeRemoval
)

// Job is Msvm_ConcreteJob.
type Job struct {
	ID        string
	Node, VM  string
	State     cluster.JobState
	ErrorCode uint16
	Started   time.Time
	Ended     time.Time
}

// begin makes a job that does something to a virtual machine on its owner.
func (m *Model) begin(v *VM, do func()) *Job {
	m.njob++
	j := &Job{ID: fmt.Sprintf("%08X-0000-4000-A000-%012X", 0x30B00000+m.njob, m.njob), Node: v.Owner, VM: v.Name, State: cluster.JobRunning, Started: m.now}
	m.Jobs = slices.DeleteFunc(m.Jobs, func(old *Job) bool { return !old.Ended.IsZero() && m.now.Sub(old.Ended) > jobKept })
	m.Jobs = append(m.Jobs, j)
	began := v.Started
	end := func(state cluster.JobState, code uint16) { j.State, j.ErrorCode, j.Ended = state, code, m.now }
	took := jobTime
	switch v.Fate {
	case JobHangs:
		return j
	case JobFails:
		m.after(took, func() { end(cluster.JobException, codeFailed) })
		return j
	case JobLate:
		took = jobLate
	case JobSucceeds:
	}
	m.after(took, func() {
		if v.Owner != j.Node || v.State != cluster.VMRunning || !v.Started.Equal(began) {
			end(cluster.JobException, codeInvalidState) // the virtual machine that was meant is not in that run any more
			return
		}
		do()
		end(cluster.JobCompleted, 0)
	})
	return j
}

// Reset is Msvm_ComputerSystem.RequestStateChange(Reset): the resource stays online, the guest is cut off and boots.
func (m *Model) Reset(v *VM) (code uint32, job *Job) {
	if v.State != cluster.VMRunning {
		return codeInvalidState, nil
	}
	return codeJobStarted, m.begin(v, func() {
		v.Counts.VMResets = append(v.Counts.VMResets, Count{m.now, "reset", ""})
		m.boot(v)
	})
}

// InjectNMI is Msvm_ComputerSystem.InjectNonMaskableInterrupt: the guest's kernel stops, writes its dump and restarts
// where its settings say so. One that has stopped with an error already takes no notice.
func (m *Model) InjectNMI(v *VM) (code uint32, job *Job) {
	if v.State != cluster.VMRunning {
		return codeInvalidState, nil
	}
	return codeJobStarted, m.begin(v, func() {
		v.Counts.VMResets = append(v.Counts.VMResets, Count{m.now, "interrupt", ""})
		if v.Guest == GuestCrashed {
			return
		}
		m.halt(v, GuestCrashed)
		v.Heartbeat = cluster.HeartbeatLostCommunication
		v.GroupStatus &^= cluster.GroupOSHeartbeat
		life := v.life
		m.after(m.Spec.Profile.Dump, func() {
			if v.life == life && !v.StaysDown {
				m.boot(v)
			}
		})
	})
}

// Reboot is Msvm_ShutdownComponent.InitiateReboot: it asks the guest, which must answer; its services stop in good
// order, and it boots. The virtual machine runs on.
func (m *Model) Reboot(v *VM) (code uint32) {
	if v.State != cluster.VMRunning {
		return codeInvalidState
	}
	if v.Guest != GuestRunning {
		return codeNotReady
	}
	v.Counts.VMResets = append(v.Counts.VMResets, Count{m.now, "reboot", ""})
	switch v.Fate {
	case JobFails:
		return codeFailed
	case JobHangs:
		return codeSuccess // a service of the guest does not stop, and Windows waits for it
	case JobLate, JobSucceeds:
	}
	delay := m.Spec.Profile.ServiceStop
	if v.Fate == JobLate {
		delay += jobLate
	}
	life := v.life
	m.after(delay, func() {
		if v.life == life {
			m.boot(v)
		}
	})
	return codeSuccess
}
