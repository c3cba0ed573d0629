package model

import (
	"fmt"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// GuestState is how the operating system inside does.
type GuestState int

// The states of a guest.
const (
	GuestRunning GuestState = iota
	GuestOff
	GuestBooting
	GuestCrashed // stopped by an error: no heartbeat, no network
	GuestHung    // its network accepts and says nothing
)

// The waits of a failover cluster that no profile changes.
const (
	failoverPeriod = 6 * time.Hour
)

// VM is a virtual machine: its group in the cluster, and its guest.
type VM struct {
	Name, Group     string
	ID              string // Msvm_ComputerSystem.Name
	BIOSGUID        string // as the host writes it
	ProductUUID     string // as the guest writes it: the first three fields with their bytes swapped
	Owner           string
	GroupState      cluster.GroupState
	GroupStatus     cluster.GroupStatus
	PersistentState bool
	State           cluster.VMState
	Heartbeat       cluster.Heartbeat
	Started         time.Time // of this run of the VM
	Changed         time.Time // of State

	Guest    GuestState
	Booted   time.Time
	Services []*Service
	Events   []Event
	Servers  []*Server
	Counts   Counts
	// Fate is what becomes of what Hyper-V is told to do to it; StaysDown makes its guest stay as it is after a dump
	// (CrashControl's AutoReboot is off).
	Fate      JobFate
	StaysDown bool

	Memory    uint64   // bytes
	Possible  []string // owners; nil: every node
	Preferred []string // owners, first choice first
	Apart     []string // AntiAffinityClassNames
	NextMove  Moves
	// Checkpoints are those that a person made.
	Checkpoints int
	Starved     Pressure // of the guest
	Expired     bool     // the certificate of its WinRM
	Broken      bool     // it cannot come online: the group fails when it is started

	// At is what somebody else does to the machine or inside it.
	At AtWork

	halted    time.Time // when its guest last stopped, or stopped reading and writing
	failovers []time.Time
	restarts  []time.Time // of its resource or with its host, where it was
	life      int
	moving    *moving
}

// AtWork is what is under way on a virtual machine and must not be cut short.
type AtWork struct {
	Operation uint16    // OperationalStatus[1]; 0: none
	Health    uint16    // HealthState; 0 stands for 5, OK
	Job       bool      // a job of Hyper-V names it
	Migration bool      // its storage migrates
	Replica   uint16    // ReplicationState; 0: it has no replica
	Servicing bool      // an update is being installed in the guest
	Pending   bool      // an update waits for a restart of the guest
	Disk      bool      // a guest that is silent reads and writes its disks: it checks them, or writes a dump of its memory
	Dump      time.Time // since when SqlDumper.exe runs in the guest; zero: it does not
}

// OperationalStatus is Msvm_ComputerSystem.OperationalStatus.
func (v *VM) OperationalStatus() []uint16 {
	const ok = 2
	if v.At.Operation == 0 {
		return []uint16{ok}
	}
	return []uint16{ok, v.At.Operation}
}

// HealthState is Msvm_ComputerSystem.HealthState.
func (v *VM) HealthState() uint16 {
	const ok = 5
	if v.At.Health == 0 {
		return ok
	}
	return v.At.Health
}

// Service is a Windows service inside a guest.
type Service struct {
	Name, Display string
	Image         string
	State         cluster.ServiceState
	StartMode     string
	PID           uint32
	ExitCode      uint32
	Created       time.Time // of its process
	DependsOn     string
	NoLogon       bool    // its account's password is wrong: it cannot be started
	Server        *Server // of SQL Server's own service
	Stays         bool    // its process does not end when it is terminated
	turn          int     // distinguishes a pending change from an older one
}

// Server is one instance of SQL Server.
type Server struct {
	Instance string
	Hung     bool
	Failing  string    // the component of sp_server_diagnostics that is in error, if one is
	Since    time.Time // up or down since
	Up       bool      // serves logins to who reaches it
	Started  time.Time
	// Open is when the oldest transaction began that has written and is open; zero where none is. RollingBack says that it is
	// being rolled back, Backup and Restore that one is under way. A SQL Server that starts anew has none of it.
	Open            time.Time
	RollingBack     bool
	Backup, Restore bool
	// Refuses: the monitor's password is wrong. Expired: the certificate that it shows its clients.
	Refuses, Expired bool
	// Written is how many rows the open transactions of this run have written. Undo is how many the next start has to roll
	// back, Recovering that it is doing so: SQL Server lets everybody in, but not into the database that is recovered.
	Written, Undo int
	Recovering    bool
	// Slow is how much longer the next start's recovery takes than that; Frozen that writes wait for a backup's snapshot.
	Slow    time.Duration
	Frozen  bool
	Suspect bool // the database in use is damaged: no start of SQL Server opens it
	service *Service
	cluster *GuestCluster // of the guests that it is a resource of
}

// Service is the instance's service.
func (s *Server) Service() *Service { return s.service }

// Event is one record of a machine's System or Application log.
type Event struct {
	Log     string
	Number  uint32
	ID      uint32
	At      time.Time
	Source  string
	Strings []string
	Data    []uint8
}

// Counts is what was done to a virtual machine. It is the judge of every trial.
type Counts struct {
	Commands           []Count
	MovesCommanded     []Count
	FailoversByCluster []Count
	RestartsByCluster  []Count // of its resource, where it was
	ServiceStarts      []Count
	VMResets           []Count
	Moved              []Count // moves that came to their end, whoever commanded them; not failovers
}

// Count is one thing done.
type Count struct {
	At     time.Time
	Method string
	Detail string
}

func newVM(m *Model, s VMSpec, n int, seed uint64) *VM {
	v := &VM{
		Name: s.Name, Group: s.Group, Owner: s.Node, PersistentState: true,
		ID:       strings.ToUpper(fmt.Sprintf("%08x-0000-4000-8000-%012x", 0xA0000000+uint32(n), seed&0xffffff)),
		BIOSGUID: fmt.Sprintf("{%02X%02X%02X%02X-A1B2-C3D4-8000-%012X}", 0x10+n, 0x20, 0x30, 0x40, n),
		Started:  m.now.Add(-12 * time.Hour), Changed: m.now.Add(-12 * time.Hour), State: cluster.VMRunning, Heartbeat: cluster.HeartbeatOK,
		Booted: m.now.Add(-12 * time.Hour), GroupStatus: cluster.GroupOSHeartbeat, Memory: vmMemory,
	}
	v.ProductUUID = fmt.Sprintf("%02X%02X%02X%02X-B2A1-D4C3-8000-%012X", 0x40, 0x30, 0x20, 0x10+n, n)
	if s.Pinned {
		v.Possible = []string{s.Node}
	}
	m.addService(v, "WinRM", "Windows Remote Management (WS-Management)", "svchost.exe", "")
	m.addService(v, "EventLog", "Windows Event Log", "svchost.exe", "")
	for _, name := range s.Instances {
		m.install(v, name)
	}
	return v
}

// addService adds a service that runs.
func (m *Model) addService(v *VM, name, display, image, depends string) *Service {
	s := &Service{
		Name: name, Display: display, Image: image, State: cluster.ServiceRunning, StartMode: "Auto", PID: m.pid(),
		Created: v.Booted.Add(time.Minute), DependsOn: depends,
	}
	v.Services = append(v.Services, s)
	return s
}

// install adds an instance of SQL Server and its agent.
func (m *Model) install(v *VM, name string) *Server {
	service, agent := "MSSQLSERVER", "SQLSERVERAGENT"
	if name != "MSSQLSERVER" {
		service, agent = "MSSQL$"+name, "SQLAgent$"+name
	}
	server := &Server{Instance: name, Up: true, Since: v.Booted.Add(time.Minute), Started: v.Booted.Add(time.Minute)}
	server.service = m.addService(v, service, "SQL Server ("+name+")", "sqlservr.exe", "")
	server.service.Server = server
	v.Servers = append(v.Servers, server)
	m.addService(v, agent, "SQL Server Agent ("+name+")", "SQLAGENT.EXE", service)
	return server
}

// Service finds a service of the guest without regard to case; nil if there is none.
func (v *VM) Service(name string) *Service {
	for _, s := range v.Services {
		if strings.EqualFold(s.Name, name) {
			return s
		}
	}
	return nil
}

// Server finds an instance; the first where the name is empty; nil if there is none.
func (v *VM) Server(instance string) *Server {
	for _, s := range v.Servers {
		if instance == "" || strings.EqualFold(s.Instance, instance) {
			return s
		}
	}
	return nil
}

// Dependents lists the services that depend on one.
func (v *VM) Dependents(of string) []*Service {
	var list []*Service
	for _, s := range v.Services {
		if strings.EqualFold(s.DependsOn, of) {
			list = append(list, s)
		}
	}
	return list
}

// Reachable reports whether the guest's network carries anything: the VM runs on a powered host whose board works.
func (m *Model) Reachable(v *VM) bool {
	n := m.Node(v.Owner)
	return n.Powered && n.Board && v.State == cluster.VMRunning && (v.Guest == GuestRunning || v.Guest == GuestHung)
}

// log writes into the guest's System log.
func (m *Model) log(v *VM, id uint32, strings ...string) {
	m.record(&v.Events, Event{Log: "System", ID: id, Source: "Service Control Manager", Strings: strings})
}

// record adds an event to a machine's, the oldest of which are lost where there are many. Numbers never repeat.
func (m *Model) record(events *[]Event, e Event) {
	const keep = 500
	m.records++
	e.Number, e.At = m.records, m.now
	*events = append(*events, e)
	if n := len(*events) - keep; n > 0 {
		*events = (*events)[n:]
	}
}

// serve notes whether an instance serves.
func (m *Model) serve(s *Server, up bool) {
	if s.Up == up {
		return
	}
	s.Up, s.Since = up, m.now
	if up {
		s.Started = m.now
		return
	}
	m.downs(s)
}

// Working notes how many rows the open transactions of a run of SQL Server, which its process tells, have written.
func (s *Server) Working(pid uint32, rows int) {
	if s.service.PID == pid {
		s.Written = rows
	}
}

// lose notes that the process is gone, and what it had open with it. What an earlier one left is still to be undone.
func (s *Server) lose() {
	s.Undo, s.Written, s.Recovering = s.Undo+s.Written, 0, false
}

// recover recovers the database in use, when SQL Server has begun to serve, if the last process had something open. That
// takes the longer the more there is (learn.microsoft.com, "Understanding Recovery Performance in SQL Server": by "how
// much work has been done by all active transactions at the time"); here it is in proportion, and the database opens at
// its end. What has been done since the last checkpoint, the other part there, takes no time.
func (m *Model) recover(v *VM, s *Server) {
	if s.Undo == 0 && s.Slow == 0 {
		return
	}
	s.Recovering = true
	turn := s.service.turn
	m.inGuest(v, time.Duration(s.Undo)*m.Spec.Profile.Recovery+s.Slow, func() {
		if s.service.turn == turn {
			s.Undo, s.Slow, s.Recovering = 0, 0, false
		}
	})
}

// inGuest schedules something inside a guest, whose clock stands while it is saved.
func (m *Model) inGuest(v *VM, d time.Duration, do func()) {
	m.after(d, func() {
		if v.frozen() {
			m.inGuest(v, 500*time.Millisecond, do)
			return
		}
		do()
	})
}

// exitLogonFailed is ERROR_SERVICE_LOGON_FAILED.
const exitLogonFailed = 1069

// logsOn reports whether the service control manager can log a service's account on; where it cannot, it says so in the
// guest's log: 7038 and 7000 (learn.microsoft.com, "Service Control Manager", events of these numbers).
func (m *Model) logsOn(v *VM, s *Service) bool {
	if !s.NoLogon {
		return true
	}
	s.ExitCode = exitLogonFailed
	m.log(v, 7038, s.Name, "LAB\\sqlservice", "%%1326")
	m.log(v, 7000, s.Display, "%%1069")
	return false
}

// start begins the start of a service; who is for the counters.
func (m *Model) start(v *VM, s *Service, who string) {
	s.turn++
	turn := s.turn
	s.State, s.PID, s.Created, s.ExitCode = cluster.ServiceStartPending, m.pid(), m.now, 0
	if s.Server != nil {
		s.Server.Hung, s.Server.Failing = false, ""
		s.Server.Open, s.Server.RollingBack, s.Server.Backup, s.Server.Restore, s.Server.Frozen = time.Time{}, false, false, false, false
		v.Counts.ServiceStarts = append(v.Counts.ServiceStarts, Count{m.now, "start of " + s.Name, who})
	}
	m.inGuest(v, m.Spec.Profile.ServiceStart, func() {
		if s.turn != turn || v.Guest != GuestRunning {
			return
		}
		s.State = cluster.ServiceRunning
		m.log(v, 7036, s.Display, "running")
		if s.Server != nil {
			m.serve(s.Server, true)
			m.recover(v, s.Server)
		}
	})
}

// stop begins a clean stop of a service.
func (m *Model) stop(v *VM, s *Service) {
	s.turn++
	turn := s.turn
	s.State = cluster.ServiceStopPending
	if s.Server != nil {
		s.Server.lose()
		m.serve(s.Server, false)
	}
	m.inGuest(v, m.Spec.Profile.ServiceStop, func() {
		if s.turn != turn || v.Guest != GuestRunning {
			return
		}
		s.State, s.PID, s.ExitCode = cluster.ServiceStopped, 0, 0
		m.log(v, 7036, s.Display, "stopped")
	})
}

// exitProcessAborted is ERROR_PROCESS_ABORTED, what a service whose process died ends with.
const exitProcessAborted = 1067

// kill ends a service's process under it, as a crash or TerminateProcess does.
func (m *Model) kill(v *VM, s *Service) {
	s.turn++
	s.State, s.PID, s.ExitCode = cluster.ServiceStopped, 0, exitProcessAborted
	if s.Server != nil {
		s.Server.Hung = false
		s.Server.lose()
		m.serve(s.Server, false)
	}
	m.log(v, 7034, s.Display, "1")
}

// halt ends everything inside a guest at once, without a word in its log.
func (m *Model) halt(v *VM, to GuestState) {
	v.life++
	v.Guest, v.halted = to, m.now
	v.Starved = Pressure{} // what used it up has ended, too
	for _, s := range v.Services {
		s.turn++
		s.State, s.PID, s.ExitCode = cluster.ServiceStopped, 0, 0
		if s.Server != nil {
			s.Server.Hung = false
			s.Server.lose()
			m.serve(s.Server, false)
		}
	}
}

// DiskCount is how often the guest has read its disk in this run of the virtual machine, and as often written.
func (m *Model) DiskCount(v *VM) uint32 {
	const every = 10 * time.Millisecond
	until := m.now
	if v.Guest != GuestRunning && v.Guest != GuestBooting && !v.At.Disk {
		until = v.halted
	}
	return uint32(until.Sub(v.Started) / every) //nolint:gosec // it begins anew at its end
}

// Writes begins or ends the reads and writes of a guest that is silent.
func (m *Model) Writes(v *VM, on bool) {
	if v.At.Disk && !on {
		v.halted = m.now
	}
	v.At.Disk = on
}

// Restart is an orderly restart from inside: the guest says so in its logs, and boots.
func (m *Model) Restart(v *VM) {
	m.sayRestart(v, `C:\Windows\system32\shutdown.exe`)
	m.boot(v)
}

// sayRestart writes what Windows writes before it restarts in good order because a program wants it.
func (m *Model) sayRestart(v *VM, program string) {
	m.record(&v.Events, Event{Log: "System", ID: 1074, Source: "User32", Strings: []string{program, v.Name}})
	for _, s := range v.Servers {
		if s.Up {
			m.record(&v.Events, Event{Log: "Application", ID: 17147, Source: s.service.Name})
		}
	}
	m.record(&v.Events, Event{Log: "System", ID: 6006, Source: "EventLog"})
	v.At.Pending = false
}

// boot starts a VM's operating system; its automatic services follow, dependents after what they depend on.
func (m *Model) boot(v *VM) { m.bootFor(v, m.Spec.Profile.Boot) }

// bootFor is boot, with its own time until the services start.
func (m *Model) bootFor(v *VM, d time.Duration) {
	if v.Guest == GuestBooting && v.At.Servicing { // it was cut off in the middle of an update
		v.At.Servicing = false
		m.Writes(v, false)
	}
	m.halt(v, GuestBooting)
	life := v.life
	v.State, v.Changed, v.Started, v.Heartbeat = cluster.VMRunning, m.now, m.now, cluster.HeartbeatNoContact
	m.inGuest(v, d, func() {
		if v.life != life {
			return
		}
		if v.At.Servicing {
			v.At.Servicing = false
			m.Writes(v, false)
		}
		v.Guest, v.Booted, v.Heartbeat = GuestRunning, m.now, cluster.HeartbeatOK
		v.GroupStatus |= cluster.GroupOSHeartbeat
		for _, s := range v.Services {
			if s.StartMode != "Auto" {
				continue
			}
			delay := time.Duration(0)
			if s.DependsOn != "" {
				delay = m.Spec.Profile.ServiceStart
			}
			m.inGuest(v, delay, func() {
				if v.life != life || s.State != cluster.ServiceStopped || !m.logsOn(v, s) {
					return
				}
				if on := v.Service(s.DependsOn); on != nil && on.NoLogon {
					m.log(v, 7001, s.Display, on.Display, "%%1069")
					return
				}
				m.start(v, s, "boot")
			})
		}
		m.returned(v)
	})
}
