package model

import (
	"fmt"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// The faults of a guest and of its virtual machine.
const (
	GuestCrash   = "guest-crash"
	GuestHang    = "guest-hang"
	GuestStarved = "guest-starved"
	GuestRestart = "guest-restart"
	UpdateReboot = "update-reboot"
	Checkpoint   = "checkpoint"
	VMAtWork     = "vm-at-work"
	JobsFail     = "jobs-fail"
	JobsHang     = "jobs-hang"
	JobsLate     = "jobs-late"
	NoAutoReboot = "no-auto-reboot"
)

func guestFaults() []Fault {
	return []Fault{
		{Name: GuestCrash, Of: OfGuest, inject: stopGuest(GuestCrashed), About: "the guest's operating system stops with an error: no heartbeat, no network"},
		{Name: GuestHang, Of: OfGuest, inject: stopGuest(GuestHung), About: "the guest hangs: no heartbeat, and its network accepts and says nothing"},
		{
			Name: GuestStarved, Of: OfGuest, inject: starveGuest,
			About: "the guest has no processor time and no memory left, and SQL Server suffers",
		},
		{Name: UpdateReboot, Of: OfGuest, inject: rebootForUpdates, About: "the guest restarts for an update, and installs it for long while it starts"},
		{Name: Checkpoint, Of: OfVM, Condition: true, inject: checkpoint, About: "somebody makes a checkpoint of the virtual machine; it is merged when that is healed"},
		{Name: GuestRestart, Of: OfGuest, Condition: true, inject: restartGuest, About: "the guest restarts in good order, from inside, which its logs tell of"},
		{
			Name: VMAtWork, Of: OfVM, Condition: true, inject: func(m *Model, t *target) (func(), error) { return m.atWork(t.vm, t.Component) },
			About: "somebody is at work on the virtual machine, or writes a dump inside; the component says how",
		},
		{Name: JobsFail, Of: OfVM, Condition: true, inject: fate(JobFails), About: "what Hyper-V is told to do to the virtual machine fails, as long as this lasts"},
		{Name: JobsHang, Of: OfVM, Condition: true, inject: fate(JobHangs), About: "what Hyper-V is told to do to the virtual machine never comes to its end"},
		{Name: JobsLate, Of: OfVM, Condition: true, inject: fate(JobLate), About: "what Hyper-V is told to do to the virtual machine is done long after it was told"},
		{
			Name: NoAutoReboot, Of: OfVM, Condition: true, inject: flag(func(_ *Model, t *target) *bool { return &t.vm.StaysDown }),
			About: "the guest stays as it is after a dump",
		},
	}
}

func stopGuest(state GuestState) func(*Model, *target) (func(), error) {
	return func(m *Model, t *target) (func(), error) {
		v := t.vm
		m.halt(v, state)
		m.loseHeartbeat(v)
		return func() {
			if v.Guest == state && v.State == cluster.VMRunning {
				m.boot(v)
			}
		}, nil
	}
}

func starveGuest(m *Model, t *target) (func(), error) {
	v := t.vm
	if v.Starved.On {
		return nil, fmt.Errorf("%s is starved already", v.Name)
	}
	v.Starved.set(true, m.now)
	m.starves(v)
	return func() { v.Starved.set(false, m.now) }, nil
}

func restartGuest(m *Model, t *target) (func(), error) {
	m.Restart(t.vm)
	return forever, nil
}

// updateTime is how long an update is installed while Windows starts: a cumulative update of a slow machine (the guards'
// catalogue has 25 minutes, G32).
const updateTime = 25 * time.Minute

func rebootForUpdates(m *Model, t *target) (func(), error) {
	m.sayRestart(t.vm, `C:\Windows\servicing\TrustedInstaller.exe`)
	m.bootFor(t.vm, m.Spec.Profile.Boot+m.Spec.Profile.short(updateTime))
	m.Writes(t.vm, true) // what is installed is written all the time
	t.vm.At.Servicing = true
	return forever, nil
}

// How long Hyper-V makes a checkpoint, and merges one (the lab's own).
const (
	checkpointTime = 2 * time.Second
	mergeTime      = 2 * time.Minute
)

func checkpoint(m *Model, t *target) (func(), error) {
	const making, merging = 32768, 32772 // Msvm_ComputerSystem.OperationalStatus
	v := t.vm
	if v.At.Operation != 0 {
		return nil, fmt.Errorf("Hyper-V is at work on %s already (%d)", v.Name, v.At.Operation)
	}
	during := func(operation uint16, d time.Duration) {
		v.At.Operation = operation
		m.after(d, func() {
			if v.At.Operation == operation {
				v.At.Operation = 0
			}
		})
	}
	v.Checkpoints++
	during(making, checkpointTime)
	return func() {
		v.Checkpoints--
		during(merging, m.Spec.Profile.short(mergeTime))
	}, nil
}

func fate(f JobFate) func(*Model, *target) (func(), error) {
	return func(_ *Model, t *target) (func(), error) {
		t.vm.Fate = f
		return func() { t.vm.Fate = JobSucceeds }, nil
	}
}

// AtWorks lists what VMAtWork's Component may be. The first is meant where a request names none.
func AtWorks() []string {
	return []string{"merge", "job", "migration", "replica", "volume-backup", "dump", "health", "servicing", "disk", "pending-reboot"}
}

// atWork begins one of AtWorks and returns what ends it.
func (m *Model) atWork(v *VM, how string) (func(), error) {
	before := v.At
	const merging, resynchronising, critical = 32772, 10, 25
	switch how {
	case "", "merge":
		v.At.Operation = merging
	case "job":
		v.At.Job = true
	case "migration":
		v.At.Migration = true
	case "replica":
		v.At.Replica = resynchronising
	case "volume-backup":
		m.VolumeBackup = true
		return func() { m.VolumeBackup = false }, nil
	case "dump":
		v.At.Dump = m.now
	case "health":
		v.At.Health = critical
	case "servicing":
		v.At.Servicing = true
	case "disk":
		m.Writes(v, true)
		return func() { m.Writes(v, false) }, nil
	case "pending-reboot":
		v.At.Pending = true
		m.record(&v.Events, Event{Log: "System", ID: 21, Source: "Microsoft-Windows-WindowsUpdateClient"})
	default:
		return nil, fmt.Errorf("component %q is no work; use %s", how, strings.Join(AtWorks(), ", "))
	}
	return func() { v.At = before }, nil
}
