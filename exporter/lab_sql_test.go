package exporter_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// wantSeries looks for each line among the series of an answer, whose labels cluster, vm and sql_instance are cut off.
func wantSeries(t *testing.T, all map[string][]string, want ...string) {
	t.Helper()
	for _, w := range want {
		name, rest, _ := strings.Cut(w, "{")
		if !slices.ContainsFunc(all[name], func(line string) bool {
			for _, l := range []string{`cluster="hv-lab",`, `sql_instance="MSSQLSERVER",`, `sql_instance="MSSQLSERVER"`, `,vm="SQL01"`, `vm="SQL01"`} {
				line = strings.Replace(line, l, "", 1)
			}
			return strings.ReplaceAll(line, ",}", "}") == "{"+rest
		}) {
			t.Errorf("no series %s among %q", w, all[name])
		}
	}
}

// TestDatabasesOfTheLab asks an instance of the lab over the wire, and again when it is dead: nothing is told then.
func TestDatabasesOfTheLab(t *testing.T) {
	t.Parallel()
	s := serve(t, still(nil), lab.ConfigOptions{})
	const module, target = "mssql_databases", "hv-lab/SQL01/MSSQLSERVER"
	all, _ := s.scrape(t, module, target, 30)
	wantSeries(t, all,
		`probe_success{} 1`,
		`mssql_database_state{database="sales",state="online"} 1`,
		`mssql_database_state{database="archive",state="offline"} 1`,
		`mssql_database_file_size_bytes{database="sales",file="sales_log",type="log"} 6.7108864e+07`,
		`mssql_database_file_used_bytes{database="sales",file="sales",type="rows"} 3.3554432e+07`,
		`mssql_database_log_used_ratio{database="sales"} 0.0625`,
		`mssql_backup_or_restore_running{operation="backup"} 0`,
		`probe_collector_success{collector="availability_groups"} 1`, `probe_collector_success{collector="cluster_members"} 1`,
	)
	for name := range all { // Always On is not enabled on the lab's
		if strings.HasPrefix(name, "mssql_ag_") || strings.HasPrefix(name, "mssql_wsfc_") {
			t.Errorf("%s is told of an instance without Always On", name)
		}
	}
	for _, name := range []string{
		"mssql_backup_last_full_timestamp_seconds", "mssql_backup_last_log_timestamp_seconds", "probe_tls_earliest_cert_expiry_timestamp_seconds",
	} {
		if len(all[name]) == 0 {
			t.Errorf("no %s", name)
		}
	}
	if _, err := s.lab.Inject(model.Request{Fault: model.ServiceCrash, VM: "SQL01"}); err != nil {
		t.Fatal(err)
	}
	all, _ = s.scrape(t, module, target, 30)
	wantSeries(t, all, `probe_success{} 0`, `probe_failure_reason{collector="databases",reason="tcp_refused"} 1`)
	for name := range all {
		if strings.HasPrefix(name, "mssql_") {
			t.Errorf("%s is told of an instance that is dead", name)
		}
	}
}

// TestAvailabilityGroupsOfTheLab asks both replicas of a group, and the primary again when the secondary is dead.
func TestAvailabilityGroupsOfTheLab(t *testing.T) {
	t.Parallel()
	spec := model.Default(still(nil))
	spec.AvailabilityGroups = []model.AvailabilityGroup{{Name: "AG1", Replicas: []string{"SQL01/MSSQLSERVER", "SQL03/REPORTING"}}}
	s := serveSpec(t, spec, lab.ConfigOptions{})
	const module = "mssql_databases"
	all, _ := s.scrape(t, module, "hv-lab/SQL01/MSSQLSERVER", 30)
	wantSeries(t, all,
		`probe_success{} 1`,
		`mssql_ag_replica_role{ag="AG1",is_local="true",replica="SQL01",state="primary"} 1`,
		`mssql_ag_replica_connected{ag="AG1",is_local="false",replica="SQL03\\REPORTING",state="connected"} 1`,
		`mssql_ag_database_failover_ready{ag="AG1",database="sales",replica="SQL03\\REPORTING"} 1`,
		`mssql_ag_failure_condition_level{ag="AG1"} 3`,
		`mssql_wsfc_member_state{member="SQL03",state="online",type="node"} 1`,
		`mssql_wsfc_quorum_state{state="normal"} 1`,
	)
	if len(all["mssql_fci_owner"]) != 0 {
		t.Error("an owner is told of what is no failover cluster instance")
	}
	secondary, _ := s.scrape(t, module, "hv-lab/SQL03/REPORTING", 30)
	if got := secondary["mssql_ag_replica_role"]; len(got) == 0 || strings.Contains(strings.Join(got, " "), `replica="SQL01"`) {
		t.Errorf("a secondary sees %q, want itself alone", got)
	}
	if _, err := s.lab.Inject(model.Request{Fault: model.ServiceCrash, VM: "SQL03", Instance: "REPORTING"}); err != nil {
		t.Fatal(err)
	}
	all, _ = s.scrape(t, module, "hv-lab/SQL01/MSSQLSERVER", 30)
	wantSeries(t, all,
		`mssql_ag_replica_connected{ag="AG1",is_local="false",replica="SQL03\\REPORTING",state="disconnected"} 1`,
		`mssql_ag_database_failover_ready{ag="AG1",database="sales",replica="SQL03\\REPORTING"} 0`,
		`mssql_wsfc_member_state{member="SQL03",state="offline",type="node"} 1`,
	)
}

// TestDiagnosticsOfTheLab streams sp_server_diagnostics of an instance of the lab: well, with a component in error
// before the stream begins, killed, and started again.
func TestDiagnosticsOfTheLab(t *testing.T) {
	t.Parallel()
	s := serve(t, still(func(p *model.Profile) { p.ServiceStart = 0 }), lab.ConfigOptions{})
	const module, target = "mssql_diagnostics", "hv-lab/SQL01/MSSQLSERVER"
	inject := func(r model.Request) string {
		t.Helper()
		r.VM = "SQL01"
		in, err := s.lab.Inject(r)
		if err != nil {
			t.Fatal(err)
		}
		return in.ID
	}
	inject(model.Request{Fault: model.SQLInternal, Component: "query_processing"})
	all, _ := s.scrape(t, module, target, 30)
	wantSeries(t, all,
		`probe_success{} 1`, `mssql_health_known{} 1`, `mssql_health_level{} 5`,
		`mssql_server_diagnostics_state{component="system",state="clean"} 1`,
		`mssql_server_diagnostics_state{component="query_processing",state="error"} 1`,
		`mssql_server_diagnostics_state_code{component="events"} 0`,
		`mssql_workers_max{} 512`, `mssql_deadlocked_schedulers{} 1`,
	)
	crash := inject(model.Request{Fault: model.ServiceCrash})
	until := func(want string) map[string][]string {
		t.Helper()
		name, rest, _ := strings.Cut(want, "{} ")
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			all, _ := s.scrape(t, module, target, 30)
			if lines := all[name]; len(lines) == 1 && strings.HasSuffix(lines[0], "} "+rest) {
				return all
			}
		}
		t.Fatalf("never %s", want)
		return nil
	}
	all = until(`mssql_health_level{} 1`)
	wantSeries(t, all, `probe_success{} 0`, `probe_failure_reason{collector="diagnostics",reason="tcp_refused"} 1`, `mssql_health_known{} 1`)
	if !s.lab.Heal(crash) {
		t.Fatal("not healed")
	}
	all = until(`mssql_health_level{} 0`)
	wantSeries(t, all, `probe_success{} 1`, `mssql_server_diagnostics_state{component="query_processing",state="clean"} 1`)
}

// TestPerformanceOfTheLab asks an instance of the lab what keeps it busy, and again when it is hung.
func TestPerformanceOfTheLab(t *testing.T) {
	t.Parallel()
	s := serve(t, still(nil), lab.ConfigOptions{})
	const module, target = "mssql_performance", "hv-lab/SQL01/MSSQLSERVER"
	all, _ := s.scrape(t, module, target, 30)
	wantSeries(t, all,
		`probe_success{} 1`, `mssql_buffer_cache_hit_ratio{} 0.995`, `mssql_scheduler_workers_limit{} 512`, `mssql_scheduler_workers{} 48`,
		`mssql_tempdb_space_bytes{use="free"} 1.00663296e+08`, `mssql_blocked_requests{} 0`, `mssql_oldest_open_transaction_seconds{} 0`,
	)
	for _, name := range []string{"mssql_batch_requests_total", "mssql_wait_seconds_total", "mssql_file_read_stall_seconds_total"} {
		if len(all[name]) == 0 {
			t.Errorf("no %s", name)
		}
	}
	if _, err := s.lab.Inject(model.Request{Fault: model.SQLHang, VM: "SQL01"}); err != nil {
		t.Fatal(err)
	}
	all, _ = s.scrape(t, module, target, 1)
	wantSeries(t, all, `probe_success{} 0`, `probe_failure_reason{collector="performance",reason="tls_timeout"} 1`, `probe_failure_reason{collector="sessions",reason="tls_timeout"} 1`)
	for name := range all {
		if strings.HasPrefix(name, "mssql_") {
			t.Errorf("%s is told of an instance that hangs", name)
		}
	}
}
