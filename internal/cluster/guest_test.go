package cluster

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

// guestPeer is a guest with SQL Server.
func guestPeer(t *testing.T) *peer {
	t.Helper()
	p := newPeer(t)
	service := func(name, display, state string, pid, exit any) wsmanserver.Instance {
		return row("Win32_Service", "Name", "Name", name, "DisplayName", display, "State", state, "StartMode", "Auto", "ProcessId", pid,
			"ExitCode", exit, "ServiceSpecificExitCode", uint32(0))
	}
	p.set(nsWindows, "Win32_Service",
		service("MSSQLSERVER", "SQL Server (MSSQLSERVER)", "Stopped", uint32(0), uint32(1067)),
		service("SQLSERVERAGENT", "SQL Server Agent (MSSQLSERVER)", "Running", uint32(2000), uint32(0)),
		service("Reporter", "Reporter", "Running", uint32(2100), uint32(0)),
		service("W32Time", "Windows Time", "Running", uint32(900), uint32(0)))
	ref := func(name string) wsmanserver.Reference {
		return wsmanserver.Reference{Class: "Win32_Service", Keys: wsmanserver.Selectors{{Name: "Name", Value: name}}}
	}
	depends := func(dependent, antecedent string) wsmanserver.Instance {
		return row("Win32_DependentService", "", "Antecedent", ref(antecedent), "Dependent", ref(dependent), "TypeOfDependency", uint16(2))
	}
	p.set(nsWindows, "Win32_DependentService", depends("SQLSERVERAGENT", "mssqlserver"), depends("Reporter", "SQLSERVERAGENT"), depends("Gone", "W32Time"))
	return p
}

func TestServices(t *testing.T) {
	t.Parallel()
	g := guestPeer(t).guest(t)
	s, err := g.Service(t.Context(), "MSSQLSERVER")
	if d := cmp.Diff(Service{Name: "MSSQLSERVER", State: ServiceStopped, StartMode: "Auto", ExitCode: 1067}, s); err != nil || d != "" {
		t.Errorf("Service, %v (-want +got):\n%s", err, d)
	}
	if _, err := g.Service(t.Context(), "None"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Service of none = %v, want %v", err, ErrNotFound)
	}
	for want, names := range map[string][]string{
		"":                     nil,
		"W32Time ":             {"W32Time"},
		"W32Time MSSQLSERVER ": {"w32time", "none", "MSSQLSERVER"},
	} {
		services, err := g.Services(t.Context(), names)
		got := ""
		for _, s := range services {
			got += s.Name + " "
		}
		if got != want || err != nil {
			t.Errorf("Services(%v) = %s, %v, want %s", names, got, err, want)
		}
	}
}

func TestServiceWithoutExitCodeIsAnError(t *testing.T) {
	t.Parallel()
	p := guestPeer(t)
	p.set(nsWindows, "Win32_Service", row("Win32_Service", "Name", "Name", "MSSQLSERVER", "DisplayName", "x", "State", "Stopped", "StartMode", "Auto",
		"ProcessId", uint32(0), "ExitCode", nil, "ServiceSpecificExitCode", nil))
	if s, err := p.guest(t).Service(t.Context(), "MSSQLSERVER"); Reason(err) != dial.Protocol {
		t.Errorf("Service = %+v, %v: no exit code must not read as a clean stop", s, err)
	}
}

func TestDependents(t *testing.T) {
	t.Parallel()
	got, err := guestPeer(t).guest(t).Dependents(t.Context(), "MSSQLSERVER")
	want := []Service{
		{Name: "Reporter", State: ServiceRunning, StartMode: "Auto", ProcessID: 2100},
		{Name: "SQLSERVERAGENT", State: ServiceRunning, StartMode: "Auto", ProcessID: 2000},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("Dependents, %v (-want +got):\n%s", err, d)
	}
}

func TestDependentsInStoppingOrder(t *testing.T) {
	t.Parallel()
	rows := []dependency{{"a", "c"}, {"A", "b"}, {"b", "d"}, {"c", "d"}, {"d", "a"}, {"x", "y"}, {"a", "b"}}
	if d := cmp.Diff([]string{"d", "b", "c"}, dependents(rows, "a")); d != "" {
		t.Errorf("dependents of a circle (-want +got):\n%s", d)
	}
	if got := dependents(nil, "a"); got != nil {
		t.Errorf("dependents of nothing = %v", got)
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	boot := time.Date(2026, 4, 15, 16, 28, 43, 0, time.UTC)
	p.set(nsWindows, "Win32_ComputerSystem", row("Win32_ComputerSystem", "Name", "Name", "SQL01"))
	p.set(nsWindows, "Win32_ComputerSystemProduct", row("Win32_ComputerSystemProduct", "Name", "Name", "Virtual Machine", "UUID", vmID1))
	p.set(nsWindows, "Win32_OperatingSystem", row("Win32_OperatingSystem", "", "LastBootUpTime", boot))
	id, err := p.guest(t).Identity(t.Context())
	if d := cmp.Diff(GuestIdentity{"SQL01", vmID1, boot}, id); err != nil || d != "" {
		t.Errorf("Identity, %v (-want +got):\n%s", err, d)
	}
}

func TestServiceEvents(t *testing.T) {
	t.Parallel()
	p := guestPeer(t)
	at := time.Date(2026, 4, 15, 16, 28, 43, 0, time.UTC)
	event := func(record uint32, log string, id uint16, at time.Time, strings ...string) wsmanserver.Instance {
		return row("Win32_NTLogEvent", "RecordNumber", "RecordNumber", record, "Logfile", log, "EventCode", id, "SourceName", "Service Control Manager",
			"TimeGenerated", at, "InsertionStrings", strings)
	}
	const display = "SQL Server (MSSQLSERVER)"
	p.set(nsWindows, "Win32_NTLogEvent",
		event(1, "System", 7036, at.Add(-time.Hour), display, "running"), // before
		event(2, "System", 7036, at, display, "stopped"),                 // in the second of since
		event(4, "System", 7031, at.Add(time.Second), "mssqlserver", "1", "60000", "1", "Restart the service"),
		event(3, "System", 7034, at.Add(time.Second), display, "1"),
		event(5, "System", 7034, at.Add(time.Minute), "Windows Time", "1"),                   // another service
		event(6, "System", 7035, at.Add(time.Minute), display, "start"),                      // another event of the range
		event(7, "Application", 7036, at.Add(time.Minute), display, "stopped"),               // another log
		event(8, "System", 7036, at.Add(time.Minute)),                                        // nobody's
		event(9, "System", 7034, at.Add(time.Minute), "SQL Server Agent (MSSQLSERVER)", "1"), // display names that contain ours
	)
	got, err := p.guest(t).ServiceEvents(t.Context(), at.Add(500*time.Millisecond), "MSSQLSERVER")
	if err != nil {
		t.Fatal(err)
	}
	want := []Event{
		{Log: "System", ID: 7031, Source: "Service Control Manager", At: at.Add(time.Second), Strings: []string{"mssqlserver", "1", "60000", "1", "Restart the service"}},
		{Log: "System", ID: 7034, Source: "Service Control Manager", At: at.Add(time.Second), Strings: []string{display, "1"}},
		{Log: "System", ID: 7036, Source: "Service Control Manager", At: at, Strings: []string{display, "stopped"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("ServiceEvents (-want +got):\n%s", d)
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	p := guestPeer(t)
	at := time.Date(2026, 4, 15, 16, 28, 43, 0, time.UTC)
	const display, manager = "SQL Server (MSSQLSERVER)", "Service Control Manager"
	event := func(record uint32, log, source string, id uint16, kind uint8, at time.Time, strings ...string) wsmanserver.Instance {
		return row("Win32_NTLogEvent", "RecordNumber", "RecordNumber", record, "Logfile", log, "EventCode", id, "SourceName", source, "EventType", kind,
			"TimeGenerated", at, "InsertionStrings", strings)
	}
	p.set(nsWindows, "Win32_NTLogEvent",
		event(1, "System", manager, 7000, 1, at.Add(-time.Minute), display, "%%1053"), // of an earlier start
		event(2, "System", manager, 7038, 1, at, "MSSQLSERVER", `CORP\sql`, "%%1330"),
		event(3, "System", manager, 7000, 1, at, display, "%%1069"),
		event(4, "System", manager, 7036, 4, at, display, "stopped"), // a change of state is no reason
		event(5, "System", manager, 7000, 1, at, "Windows Time", "%%1069"),
		event(6, "Application", "MSSQLSERVER", 17113, 1, at.Add(time.Second), "2", `D:\master.mdf`),
		event(7, "Application", "MSSQLSERVER", 17162, 4, at.Add(time.Second)), // it tells, it does not complain
		event(8, "Application", "SQLSERVERAGENT", 103, 1, at.Add(time.Second)),
	)
	got, err := p.guest(t).StartErrors(t.Context(), at, "MSSQLSERVER")
	want := []Event{
		{Log: "Application", ID: 17113, Source: "MSSQLSERVER", At: at.Add(time.Second), Strings: []string{"2", `D:\master.mdf`}},
		{Log: "System", ID: 7000, Source: manager, At: at, Strings: []string{display, "%%1069"}},
		{Log: "System", ID: 7038, Source: manager, At: at, Strings: []string{"MSSQLSERVER", `CORP\sql`, "%%1330"}},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("StartErrors, %v (-want +got):\n%s", err, d)
	}
}

func TestAFloodedLogIsNoReason(t *testing.T) {
	t.Parallel()
	p := guestPeer(t)
	at := time.Date(2026, 4, 15, 16, 28, 43, 0, time.UTC)
	var flood []wsmanserver.Instance
	for n := range uint32(mostStartErrors + 1) {
		flood = append(flood, row("Win32_NTLogEvent", "RecordNumber", "RecordNumber", n, "Logfile", "Application", "EventCode", uint16(18456), "SourceName", "MSSQLSERVER",
			"EventType", uint8(1), "TimeGenerated", at, "InsertionStrings", []string{"sa"}))
	}
	p.set(nsWindows, "Win32_NTLogEvent", flood...)
	if events, err := p.guest(t).StartErrors(t.Context(), at, "MSSQLSERVER"); err == nil {
		t.Errorf("%d events of a flooded log, want an error", len(events))
	}
}

func TestStartAndStopService(t *testing.T) {
	t.Parallel()
	p := guestPeer(t)
	p.invoke = func(_, method string) (any, error) {
		if method == "StopService" {
			return uint32(3), nil
		}
		return uint32(10), nil
	}
	g := p.guest(t)
	start, err := g.StartService(t.Context(), "MSSQLSERVER", time.Time{})
	start.LeftAt = time.Time{}
	if want := (Outcome{Sent: true, Answered: true, Code: uint32(ServiceAlreadyRunning)}); start != want || err != nil {
		t.Errorf("StartService = %+v, %v, want %+v", start, err, want)
	}
	stop, err := g.StopService(t.Context(), "MSSQLSERVER", time.Time{})
	stop.LeftAt = time.Time{}
	if want := (Outcome{Sent: true, Answered: true, Code: uint32(ServiceDependentsRunning)}); stop != want || err != nil {
		t.Errorf("StopService = %+v, %v, want %+v", stop, err, want)
	}
	if d := cmp.Diff([]string{"Win32_Service.StartService MSSQLSERVER", "Win32_Service.StopService MSSQLSERVER"}, p.calls); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
}

func TestCommandThatFails(t *testing.T) {
	t.Parallel()
	p := guestPeer(t)
	p.invoke = func(string, string) (any, error) { return nil, wsmanserver.ErrAccessDenied }
	g := p.guest(t)
	o, err := g.StartService(t.Context(), "MSSQLSERVER", time.Time{})
	o.LeftAt = time.Time{}
	if want := (Outcome{Sent: true}); o != want || Reason(err) != dial.Permission {
		t.Errorf("StartService = %+v, %v, want %+v and permission", o, err, want)
	}
	if o, err = g.StartService(t.Context(), "None", time.Time{}); o.Unknown || Reason(err) != dial.Namespace {
		t.Errorf("StartService of none = %+v, %v, want a known outcome", o, err)
	}
	_ = p.server.Close()
	if o, err = g.StartService(t.Context(), "MSSQLSERVER", time.Time{}); o != (Outcome{}) || Reason(err) != dial.Refused {
		t.Errorf("StartService of a machine that refuses = %+v, %v, want nothing sent", o, err)
	}
}

func TestTerminateProcess(t *testing.T) {
	t.Parallel()
	p := guestPeer(t)
	created := time.Date(2026, 4, 15, 16, 28, 43, 488171000, time.UTC)
	p.set(nsWindows, "Win32_Process", row("Win32_Process", "Handle", "Handle", "1234", "ProcessId", uint32(1234), "Name", "sqlservr.exe", "CreationDate", created))
	p.invoke = func(string, string) (any, error) { return uint32(0), nil }
	g := p.guest(t)
	proc, err := g.Process(t.Context(), 1234)
	if d := cmp.Diff(Process{1234, "sqlservr.exe", created}, proc); err != nil || d != "" {
		t.Errorf("Process, %v (-want +got):\n%s", err, d)
	}
	if proc, err = g.Process(t.Context(), 1); proc != (Process{}) || err != nil {
		t.Errorf("Process of none = %+v, %v", proc, err)
	}
	for name, tc := range map[string]struct {
		pid     uint32
		created time.Time
	}{
		"another process has the number": {1234, created.Add(time.Microsecond)},
		"the process is gone":            {1235, created},
	} {
		o, err := g.TerminateProcess(t.Context(), tc.pid, tc.created, time.Time{})
		var changed *ProcessChangedError
		if o != (Outcome{}) || !errors.As(err, &changed) {
			t.Errorf("%s: TerminateProcess = %+v, %v, want a ProcessChangedError and nothing sent", name, o, err)
		}
	}
	if o, err := g.TerminateProcess(t.Context(), 1234, time.Time{}, time.Time{}); o != (Outcome{}) || err == nil {
		t.Errorf("TerminateProcess without a time = %+v, %v, want an error", o, err)
	}
	if len(p.calls) != 0 {
		t.Errorf("calls = %v, want none so far", p.calls)
	}
	o, err := g.TerminateProcess(t.Context(), 1234, created, time.Time{})
	o.LeftAt = time.Time{}
	if want := (Outcome{Sent: true, Answered: true}); o != want || err != nil {
		t.Errorf("TerminateProcess = %+v, %v, want %+v", o, err, want)
	}
	if d := cmp.Diff([]string{"Win32_Process.Terminate 1234"}, p.calls); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
}
