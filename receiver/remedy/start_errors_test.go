package remedy_test

import (
	"strings"
	"testing"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

func TestNotStarted(t *testing.T) {
	t.Parallel()
	const display = "SQL Server (MSSQLSERVER)"
	system := func(id uint32, params ...string) cluster.Event {
		return cluster.Event{Log: "System", ID: id, Source: "Service Control Manager", Strings: params}
	}
	own := func(id uint32, params ...string) cluster.Event {
		return cluster.Event{Log: "Application", ID: id, Source: "MSSQLSERVER", Strings: params}
	}
	list := func(events ...cluster.Event) evidence.Reading[[]cluster.Event] { return reading(events) }
	tests := []struct {
		name   string
		events evidence.Reading[[]cluster.Event]
		cause  remedy.Cause
		why    string
	}{
		{"the logs are not read", evidence.Reading[[]cluster.Event]{At: born, Failure: dial.QueryTimeout}, remedy.GuestBound, "stopped; the guest's logs could not be read for the reason: query_timeout"},
		{"they say nothing", list(), remedy.GuestBound, "stopped; the guest's logs give no reason"},
		{
			"a wrong password", list(system(7000, display, "%%1069"), system(7038, "MSSQLSERVER", `CORP\sql`, "%%1326")), remedy.Permanent,
			`stopped; MSSQLSERVER failed to start: error 1069, logon failure (event 7000); the account CORP\sql of MSSQLSERVER cannot log on: error 1326, wrong user name or password (event 7038)`,
		},
		{"no right to log on", list(system(7041, "MSSQLSERVER", `CORP\sql`)), remedy.Permanent, `stopped; the account CORP\sql of MSSQLSERVER may not log on as a service (event 7041)`},
		{"what it depends on", list(system(7001, display, "KeyIso", "%%1058")), remedy.Permanent, "stopped; MSSQLSERVER depends on KeyIso, which failed: error 1058, the service is disabled (event 7001)"},
		{"too slow, which may pass", list(system(7000, display, "%%1053")), remedy.GuestBound, "stopped; MSSQLSERVER failed to start: error 1053 (event 7000)"},
		{"a service's own error", list(system(7024, display, "%%17113")), remedy.GuestBound, "stopped; MSSQLSERVER ended with error 17113 (event 7024)"},
		{"an error that is a text", list(system(7023, display, "Access is denied.")), remedy.GuestBound, `stopped; MSSQLSERVER ended with "Access is denied." (event 7023)`},
		{"an event without its parameters", list(system(7038)), remedy.Permanent, `stopped; the account  of MSSQLSERVER cannot log on: "" (event 7038)`},
		{"an event that is no reason", list(system(7040, display)), remedy.GuestBound, "stopped; the guest's logs give no reason"},
		{
			"the end of SQL Server's log, and no more of it", list(own(17113, "2", `D:\master.mdf`), own(17207), own(17204), own(9)), remedy.Permanent,
			`stopped; MSSQLSERVER wrote error 17113 ("2, D:\\master.mdf"); MSSQLSERVER wrote error 17207; MSSQLSERVER wrote error 17204`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cause, why := remedy.NotStarted(remedy.Command{Method: remedy.StartService, Service: "MSSQLSERVER"}, remedy.GuestBound, "stopped", tt.events)
			if cause != tt.cause || why != tt.why {
				t.Errorf("NotStarted = %s, %q\nwant %s, %q", cause, why, tt.cause, tt.why)
			}
		})
	}
	long := list(own(1, strings.Repeat("ä", 300)))
	if _, why := remedy.NotStarted(remedy.Command{}, remedy.Transient, "", long); len(why) > 300 || strings.ContainsRune(why, '\uFFFD') {
		t.Errorf("an event of 600 bytes is told by %d: %q", len(why), why)
	}
}
