package exporter_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/lab/sqlengine"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// living is an instance that lets everybody in.
type living struct{}

var _ sqlengine.Instance = living{}

func (living) Admit(string) bool                { return true }
func (living) Authenticate(string, string) bool { return true }
func (living) Snapshot() sqlengine.Snapshot {
	return sqlengine.Snapshot{
		ServerName: "SQL01", MachineName: "SQL01", InstanceName: "EXHAUSTED", Version: "16.0.4135.4", Edition: "Standard Edition (64-bit)",
		StartTime: time.Now().Add(-time.Hour), Now: time.Now(), Databases: []sqlengine.Database{{ID: 1, Name: "master"}},
	}
}

// TestAnExhaustedSQLServerIsToldFromADeadOne: clients see the same of both, a login that never comes to its end. The one
// that has no worker left answers on its dedicated administrator connection.
func TestAnExhaustedSQLServerIsToldFromADeadOne(t *testing.T) {
	t.Parallel()
	ca, secure := authority(t)
	alive, err := sqlengine.New(living{})
	if err != nil {
		t.Fatal(err)
	}
	waits := func(at tdsserver.Stage) string {
		return sqlServing(t, secure, tdsserver.Options{Handler: engine{}, Stage: func(ctx context.Context, s tdsserver.Stage) error {
			if s == at {
				<-ctx.Done()
			}
			return nil
		}})
	}
	password := file(t, "password", "Correct-Horse-1\n")
	config := fmt.Sprintf("credentials:\n  reader: {username: hypervigil, password_file: %q, scheme: basic}\n  dba: {username: hv-admin, password_file: %q}\n"+
		"clusters:\n  - name: workers\n    reader: reader\n    tls: {ca_file: %q}\n    nodes:\n      - {name: HV1, addresses: [hv1.invalid]}\n    virtual_machines:\n"+
		"      - name: SQL01\n        sql_servers:\n"+
		"          - {instance: EXHAUSTED, address: %q, credential: reader, encrypt: mandatory, admin: {address: %q, credential: dba}}\n"+
		"          - {instance: DEAD, address: %q, credential: reader, encrypt: mandatory, admin: {address: %q, credential: dba}}\n"+
		"          - {instance: UNASKED, address: %q, credential: reader, encrypt: mandatory}\n",
		password, password, ca.File(),
		waits(tdsserver.LoginRead), sqlServing(t, secure, tdsserver.Options{Handler: alive, Transactions: alive, Dedicated: true}),
		waits(tdsserver.LoginRead), waits(tdsserver.PreloginRead), waits(tdsserver.LoginRead))
	s := inquire(t, config)
	const silentFor = 3.0
	for instance, want := range map[string][]string{
		"EXHAUSTED": {
			`mssql_logins_remote_admin_available{cluster="workers",sql_instance="EXHAUSTED",vm="SQL01"} 1`,
			`mssql_remote_admin_state{cluster="workers",sql_instance="EXHAUSTED",state="answers",vm="SQL01"} 1`,
		},
		"DEAD": {
			`mssql_logins_remote_admin_available{cluster="workers",sql_instance="DEAD",vm="SQL01"} 0`,
			`mssql_remote_admin_state{cluster="workers",sql_instance="DEAD",state="silent",vm="SQL01"} 1`,
		},
		"UNASKED": nil,
	} {
		t.Run(instance, func(t *testing.T) {
			t.Parallel()
			target := "workers/SQL01/" + instance
			got, _ := s.scrape(t, "mssql_availability", target, silentFor)
			if up := fmt.Sprintf(`[{cluster="workers",sql_instance=%q,vm="SQL01"} 0]`, instance); fmt.Sprint(got["mssql_up"]) != up {
				t.Errorf("mssql_up = %v, want %s", got["mssql_up"], up)
			}
			timeout := 30.0
			if instance == "DEAD" {
				timeout = silentFor
			}
			got, _ = s.scrape(t, "admin", target, timeout)
			var seen []string
			for _, line := range got["mssql_logins_remote_admin_available"] {
				seen = append(seen, "mssql_logins_remote_admin_available"+line)
			}
			for _, line := range got["mssql_remote_admin_state"] {
				if line[len(line)-1] == '1' {
					seen = append(seen, "mssql_remote_admin_state"+line)
				}
			}
			if diff := cmp.Diff(want, seen); diff != "" {
				t.Errorf("-want +got:\n%s\nreasons: %q", diff, present(got, "probe_failure_reason"))
			}
		})
	}
}
