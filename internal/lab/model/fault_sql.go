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

// The faults of SQL Server.
const (
	ServiceCrash        = "service-crash"
	ServiceStop         = "service-stop"
	ServiceLogonFailure = "service-logon-failure"
	SQLHang             = "sql-hang"
	SQLInternal         = "sql-internal"
	SQLError824         = "sql-error-824"
	SQLTransaction      = "sql-transaction"
	SQLBackup           = "sql-backup"
	LongRecovery        = "long-recovery"
	BackupFreeze        = "backup-freeze"
	DatabaseSuspect     = "database-suspect"
	ProcessStays        = "process-stays"
)

func sqlFaults() []Fault {
	return []Fault{
		{Name: ServiceCrash, Of: OfInstance, inject: crashService, About: "SQL Server's process is killed: event 7034"},
		{Name: ServiceStop, Of: OfInstance, inject: stopService, About: "somebody stops SQL Server in good order, the white paper's own fault"},
		{Name: SQLHang, Of: OfInstance, inject: hangServer, About: "SQL Server accepts and never logs anybody in"},
		{
			Name: ServiceLogonFailure, Of: OfInstance, inject: failLogon,
			About: "SQL Server's process is killed, and the password of its account is wrong: a start answers 15, events 7038 and 7000",
		},
		{
			Name: SQLInternal, Of: OfInstance, Condition: true, inject: failComponent,
			About: "a component of sp_server_diagnostics goes into error, until the service is started again",
		},
		{Name: SQLError824, Of: OfInstance, Condition: true, inject: writeError824, About: "SQL Server writes error 824, severity 24, into the guest's Application log, once"},
		{
			Name: SQLTransaction, Of: OfInstance, Condition: true, inject: openTransaction,
			About: "a transaction has been writing for ten minutes and stays open, until SQL Server is started again",
		},
		{
			Name: SQLBackup, Of: OfInstance, Condition: true, inject: flag(func(_ *Model, t *target) *bool { return &t.server.Backup }),
			About: "a backup of a database is under way, until it is healed or SQL Server is started again",
		},
		{Name: LongRecovery, Of: OfInstance, Condition: true, inject: slowRecovery, About: "the next start of SQL Server takes long to recover its database"},
		{
			Name: BackupFreeze, Of: OfInstance, Condition: true, inject: freeze,
			About: "a backup of the volume freezes SQL Server's writes for twelve seconds: events 3197 and 3198",
		},
		{
			Name: DatabaseSuspect, Of: OfInstance, Condition: true, inject: damage,
			About: "a database in use is marked suspect: SQL Server lets everybody in, and nobody into it, however often it is started",
		},
		{
			Name: ProcessStays, Of: OfInstance, Condition: true, inject: flag(func(_ *Model, t *target) *bool { return &t.server.service.Stays }),
			About: "SQL Server's process does not end when it is terminated: Windows says that it is done, and it stays",
		},
	}
}

// byHand is a person who starts the service, where no cluster does.
func (m *Model) byHand(t *target) func() {
	v, s := t.vm, t.server.service
	if t.server.cluster != nil {
		return forever // its cluster starts it
	}
	return func() {
		if s.State == cluster.ServiceStopped && v.Guest == GuestRunning && v.State == cluster.VMRunning {
			m.start(v, s, "person")
		}
	}
}

func crashService(m *Model, t *target) (func(), error) {
	m.kill(t.vm, t.server.service)
	return m.byHand(t), nil
}

func stopService(m *Model, t *target) (func(), error) {
	for _, d := range t.vm.Dependents(t.server.service.Name) {
		if d.State == cluster.ServiceRunning {
			m.stop(t.vm, d)
		}
	}
	m.stop(t.vm, t.server.service)
	return m.byHand(t), nil
}

func hangServer(m *Model, t *target) (func(), error) {
	s := t.server
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

func failLogon(m *Model, t *target) (func(), error) {
	servers := t.server.installed() // it is the account of all guests
	for _, s := range servers {
		s.service.NoLogon = true
	}
	m.kill(t.vm, t.server.service)
	start := m.byHand(t)
	return func() {
		for _, s := range servers {
			s.service.NoLogon = false
		}
		start()
		if g := t.server.cluster; g != nil && g.State == cluster.GroupFailed { // a person brings the group online
			g.life++
			m.bring(g, 0)
		}
	}, nil
}

// Components lists what SQLInternal can hurt: the components that the health levels 3, 4 and 5 are about. The first is
// meant where a request names none.
func Components() []string { return []string{"system", "resource", "query_processing"} }

func failComponent(m *Model, t *target) (func(), error) {
	if t.Component == "" {
		t.Component = Components()[0]
	}
	if !slices.Contains(Components(), t.Component) {
		return nil, fmt.Errorf("component %q cannot fail; use %s", t.Component, strings.Join(Components(), ", "))
	}
	t.server.Failing = t.Component
	m.sickens(t.server)
	return func() { t.server.Failing = "" }, nil
}

func writeError824(m *Model, t *target) (func(), error) {
	m.sqlError(t.vm, t.server, 824, 24, "SQL Server detected a logical consistency-based I/O error")
	return forever, nil
}

func openTransaction(m *Model, t *target) (func(), error) {
	const open = 10 * time.Minute
	t.server.Open = m.now.Add(-open)
	return func() { t.server.Open = time.Time{} }, nil
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

// longRecovery is how long a long recovery takes: the forty minutes that the guards' catalogue waits through (G26).
const longRecovery = 40 * time.Minute

func slowRecovery(m *Model, t *target) (func(), error) {
	s := t.server
	s.Slow = m.Spec.Profile.short(longRecovery)
	return func() {
		for _, s := range s.installed() {
			if !s.Recovering { // which nobody can shorten
				s.Slow = 0
			}
		}
	}, nil
}

func damage(_ *Model, t *target) (func(), error) {
	if t.server.Suspect {
		return nil, fmt.Errorf("a database of instance %s of %s is suspect already", t.server.Instance, t.vm.Name)
	}
	servers := t.server.installed()
	set := func(suspect bool) {
		for _, s := range servers {
			s.Suspect = suspect
		}
	}
	set(true)
	return func() { set(false) }, nil
}

// freezeTime is longer than a snapshot should take, and shorter than the 60 s after which a writer gives the freeze up
// (learn.microsoft.com, "CVssWriter::OnFreeze method", the time-out window between Freeze and Thaw).
const freezeTime = 12 * time.Second

// freeze is the snapshot of a backup: SQL Server reads and does not write until it is over, and says so in the Application
// log (events 3197 and 3198 of the instance).
func freeze(m *Model, t *target) (func(), error) {
	s, v := t.server, t.vm
	if s.Frozen || s.Backup {
		return nil, fmt.Errorf("instance %s of %s is being backed up already", s.Instance, v.Name)
	}
	say := func(id uint32, text string) {
		m.record(&v.Events, Event{Log: "Application", ID: id, Source: s.service.Name, Strings: []string{"sales", text}})
	}
	s.Frozen, s.Backup = true, true
	say(3197, "I/O is frozen on database sales. No user action is required.")
	turn := s.service.turn
	thaw := func() {
		if !s.Frozen || s.service.turn != turn {
			return
		}
		s.Frozen, s.Backup = false, false
		say(3198, "I/O was resumed on database sales. No user action is required.")
	}
	m.after(freezeTime, thaw)
	return thaw, nil
}
