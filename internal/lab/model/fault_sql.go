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
		{
			Name: ProcessStays, Of: OfInstance, Condition: true, inject: flag(func(_ *Model, t *target) *bool { return &t.server.service.Stays }),
			About: "SQL Server's process does not end when it is terminated: Windows says that it is done, and it stays",
		},
	}
}

// byHand is a person who starts the service.
func (m *Model) byHand(t *target) func() {
	v, s := t.vm, t.server.service
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
	t.server.service.NoLogon = true
	m.kill(t.vm, t.server.service)
	start := m.byHand(t)
	return func() {
		t.server.service.NoLogon = false
		start()
	}, nil
}

// Components lists what SQLInternal can hurt: the components that the health levels 3, 4 and 5 are about. The first is
// meant where a request names none.
func Components() []string { return []string{"system", "resource", "query_processing"} }

func failComponent(_ *Model, t *target) (func(), error) {
	if t.Component == "" {
		t.Component = Components()[0]
	}
	if !slices.Contains(Components(), t.Component) {
		return nil, fmt.Errorf("component %q cannot fail; use %s", t.Component, strings.Join(Components(), ", "))
	}
	t.server.Failing = t.Component
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
