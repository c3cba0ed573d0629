package model

import (
	"fmt"
	"strings"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// The faults of a guest and of its virtual machine.
const (
	GuestCrash   = "guest-crash"
	GuestHang    = "guest-hang"
	GuestStarved = "guest-starved"
	GuestRestart = "guest-restart"
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
	return func() { v.Starved.set(false, m.now) }, nil
}

func restartGuest(m *Model, t *target) (func(), error) {
	m.Restart(t.vm)
	return forever, nil
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
