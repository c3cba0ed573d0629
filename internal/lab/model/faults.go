package model

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// The faults.
const (
	ServiceCrash     = "service-crash" // SQL Server's process is killed: event 7034
	ServiceStop      = "service-stop"  // a clean stop, the white paper's own
	SQLHang          = "sql-hang"      // accepts, never logs in
	GuestCrash       = "guest-crash"
	GuestHang        = "guest-hang"
	HostPowerOff     = "host-power-off"
	LANBoard         = "lan-board"
	WitnessLost      = "witness-lost"      // the witness' resource fails: one failure from losing quorum
	VolumeRedirected = "volume-redirected" // the shared volume is reached through another node only
	SQLError824      = "sql-error-824"     // SQL Server writes error 824, severity 24, into the guest's Application log, once
	SQLTransaction   = "sql-transaction"   // a transaction has been writing for ten minutes and stays open, until SQL Server is started again
	SQLBackup        = "sql-backup"        // a backup of a database is under way, until it is healed or SQL Server is started again
	GuestRestart     = "guest-restart"     // an orderly restart from inside, which the guest's logs tell of
	VMAtWork         = "vm-at-work"        // somebody is at work on the virtual machine, or writes a dump inside: Component says how
	JobsFail         = "jobs-fail"         // what Hyper-V is told to do to the virtual machine fails, as long as this lasts
	JobsHang         = "jobs-hang"         // it never comes to its end
	JobsLate         = "jobs-late"         // it is done, long after it was told
	NoAutoReboot     = "no-auto-reboot"    // the guest stays stopped after a dump
	SQLInternal      = "sql-internal"      // a component of sp_server_diagnostics goes into error, until the service is started again
)

// Components lists what SQLInternal can hurt: the components that the health levels 3, 4 and 5 are about. The first is
// meant where a request names none.
func Components() []string { return []string{"system", "resource", "query_processing"} }

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

// ConditionNames lists the faults that take no login away: what only the cluster, the logs and SQL Server itself say.
func ConditionNames() []string {
	return []string{WitnessLost, VolumeRedirected, SQLError824, SQLTransaction, SQLBackup, VMAtWork, SQLInternal, JobsFail, JobsHang, JobsLate, NoAutoReboot}
}

// FaultNames lists the faults that hurt SQL Server.
func FaultNames() []string {
	return []string{ServiceCrash, ServiceStop, SQLHang, GuestCrash, GuestHang, HostPowerOff, LANBoard}
}

// Request is a fault to inject. A VM given to a host fault means its owner; an empty Instance the first one. Component
// is SQLInternal's.
type Request struct {
	Fault     string `json:"fault"`
	VM        string `json:"vm,omitempty"`
	Node      string `json:"node,omitempty"`
	Instance  string `json:"instance,omitempty"`
	Component string `json:"component,omitempty"`
}

// Injected is a fault that was injected.
type Injected struct {
	ID      string
	At      time.Time
	Request Request
}

type fault struct {
	Injected
	heal func()
}

// Inject makes a fault happen now.
func (m *Model) Inject(r Request) (Injected, error) {
	heal, err := m.inject(&r)
	if err != nil {
		return Injected{}, err
	}
	m.nfault++
	f := &fault{Injected: Injected{ID: fmt.Sprintf("f%d", m.nfault), At: m.now, Request: r}, heal: heal}
	m.faults = append(m.faults, f)
	return f.Injected, nil
}

// Injected lists every fault since the start, oldest first.
func (m *Model) Injected() []Injected {
	list := make([]Injected, 0, len(m.faults))
	for _, f := range m.faults {
		list = append(list, f.Injected)
	}
	return list
}

// Heal ends a fault as its nature allows: power and cable come back, a guest is reset by hand, a person starts a
// service. It reports false for a fault that does not exist or was healed before.
func (m *Model) Heal(id string) bool {
	for _, f := range m.faults {
		if f.ID == id && f.heal != nil {
			f.heal()
			f.heal = nil
			return true
		}
	}
	return false
}

func (m *Model) inject(r *Request) (func(), error) {
	switch r.Fault {
	case WitnessLost:
		m.Witness = cluster.ResourceFailed
		if up := m.up(); len(up) > 0 {
			m.clusterLog(up[0], EventResourceFailed, "File Share Witness", "Cluster Group", "File Share Witness")
		}
		return func() { m.Witness = cluster.ResourceOnline }, nil
	case VolumeRedirected:
		m.Volume = cluster.VolumeFaultRedirected
		return func() { m.Volume = cluster.VolumeFaultNone }, nil
	case HostPowerOff, LANBoard:
		n, err := m.faultNode(r)
		if err != nil {
			return nil, err
		}
		if r.Fault == LANBoard {
			m.cutBoard(n)
			return func() { n.Board = true }, nil
		}
		if !n.Powered {
			return nil, fmt.Errorf("node %s is off already", n.Name)
		}
		m.powerOff(n)
		return func() { m.powerOn(n) }, nil
	case ServiceCrash, ServiceStop, SQLHang, GuestCrash, GuestHang, SQLError824, SQLTransaction, SQLBackup, VMAtWork, GuestRestart, SQLInternal, JobsFail, JobsHang, JobsLate, NoAutoReboot:
	default:
		return nil, fmt.Errorf("fault %q is not known; use %s", r.Fault, strings.Join(append(FaultNames(), ConditionNames()...), ", "))
	}
	v := m.VM(r.VM)
	if v == nil {
		var names []string
		for _, v := range m.VMs {
			names = append(names, v.Name)
		}
		return nil, fmt.Errorf("vm %q is not in the lab; use %s", r.VM, strings.Join(names, ", "))
	}
	switch r.Fault {
	case VMAtWork:
		return m.atWork(v, r.Component)
	case JobsFail, JobsHang, JobsLate:
		v.Fate = map[string]JobFate{JobsFail: JobFails, JobsHang: JobHangs, JobsLate: JobLate}[r.Fault]
		return func() { v.Fate = JobSucceeds }, nil
	case NoAutoReboot:
		v.StaysDown = true
		return func() { v.StaysDown = false }, nil
	}
	if v.Guest != GuestRunning || v.State != cluster.VMRunning {
		return nil, fmt.Errorf("the guest of %s does not run", v.Name)
	}
	if r.Fault == GuestRestart {
		m.Restart(v)
		return func() {}, nil
	}
	if r.Fault == GuestCrash || r.Fault == GuestHang {
		state := GuestCrashed
		if r.Fault == GuestHang {
			state = GuestHung
		}
		m.halt(v, state)
		m.loseHeartbeat(v)
		return func() {
			if v.Guest == state && v.State == cluster.VMRunning {
				m.boot(v)
			}
		}, nil
	}
	s := v.Server(r.Instance)
	if s == nil {
		return nil, fmt.Errorf("instance %q is not on %s", r.Instance, v.Name)
	}
	r.Instance = s.Instance
	if s.service.State != cluster.ServiceRunning {
		return nil, fmt.Errorf("instance %s of %s does not run (%s)", s.Instance, v.Name, s.service.State)
	}
	byHand := func() {
		if s.service.State == cluster.ServiceStopped && v.Guest == GuestRunning {
			m.start(v, s.service, "person")
		}
	}
	switch r.Fault {
	case SQLError824:
		m.sqlError(v, s, 824, 24, "SQL Server detected a logical consistency-based I/O error")
		return func() {}, nil
	case SQLTransaction:
		const open = 10 * time.Minute
		s.Open = m.now.Add(-open)
		return func() { s.Open = time.Time{} }, nil
	case SQLBackup:
		s.Backup = true
		return func() { s.Backup = false }, nil
	case SQLInternal:
		if r.Component == "" {
			r.Component = Components()[0]
		}
		if !slices.Contains(Components(), r.Component) {
			return nil, fmt.Errorf("component %q cannot fail; use %s", r.Component, strings.Join(Components(), ", "))
		}
		s.Failing = r.Component
		return func() { s.Failing = "" }, nil
	case ServiceCrash:
		m.kill(v, s.service)
		return byHand, nil
	case ServiceStop:
		for _, d := range v.Dependents(s.service.Name) {
			if d.State == cluster.ServiceRunning {
				m.stop(v, d)
			}
		}
		m.stop(v, s.service)
		return byHand, nil
	}
	s.Hung = true
	m.serve(s, false)
	turn := s.service.turn
	return func() {
		if s.Hung && s.service.turn == turn {
			s.Hung = false
			m.serve(s, true)
		}
	}, nil
}

// sqlError writes what SQL Server writes into the Application log: the error's number is the event's, and beside the
// message stand number, severity and the server's name as little-endian numbers and UTF-16 (captured, public).
func (m *Model) sqlError(v *VM, s *Server, number, severity uint32, message string) {
	name := utf16.Encode([]rune(v.Name + "\x00"))
	data := binary.LittleEndian.AppendUint32(nil, number)
	data = binary.LittleEndian.AppendUint32(data, severity)
	data = binary.LittleEndian.AppendUint32(data, uint32(len(name)))
	for _, unit := range name {
		data = binary.LittleEndian.AppendUint16(data, unit)
	}
	m.record(&v.Events, Event{Log: "Application", ID: number, Source: s.service.Name, Strings: []string{message}, Data: data})
}

func (m *Model) faultNode(r *Request) (*Node, error) {
	name := r.Node
	if name == "" {
		v := m.VM(r.VM)
		if v == nil {
			return nil, fmt.Errorf("fault %s needs a node, or a vm that means its owner; vm %q is not in the lab", r.Fault, r.VM)
		}
		name = v.Owner
	}
	n := m.Node(name)
	if n == nil {
		return nil, fmt.Errorf("node %q is not in the lab; use %s", name, strings.Join(m.Spec.Nodes, ", "))
	}
	r.Node = n.Name
	return n, nil
}
