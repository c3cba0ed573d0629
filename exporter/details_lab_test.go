package exporter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/kdctest"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// labTargets has a target in the lab for each prober.
var labTargets = map[config.Prober]string{
	config.ProberMSSQL: "hv-lab/SQL01/MSSQLSERVER", config.ProberHyperV: "hv-lab/HV1", config.ProberWSFC: "hv-lab", config.ProberGuest: "hv-lab/SQL01",
	config.ProberApplication: "hv-lab/SQL04",
}

// TestEveryModuleSeesTheLab: each built-in module's collectors can all see what they are there for.
func TestEveryModuleSeesTheLab(t *testing.T) {
	t.Parallel()
	serve(t, still(nil), lab.ConfigOptions{}).everyModule(t)
}

// TestEveryModuleByNTLM: the same where every host, guest and SQL Server of the lab takes nothing but NTLM.
func TestEveryModuleByNTLM(t *testing.T) {
	t.Parallel()
	serveLab(t, lab.Options{Spec: model.Default(still(nil)), Scheme: config.NTLM}, lab.ConfigOptions{}).everyModule(t)
}

// TestEveryModuleByKerberos: the same where they take nothing but tickets of a real KDC.
func TestEveryModuleByKerberos(t *testing.T) {
	t.Parallel()
	r := kdctest.Start(t)
	serveLab(t, lab.Options{Spec: model.Default(still(nil)), Scheme: config.Kerberos, Kerberos: &lab.Kerberos{
		Realm: r.Name, ConfigFile: r.Config, Services: r.Keytab(lab.ServiceWinRM, lab.ServiceSQL), Accounts: r.Keytab(lab.Accounts()...),
	}}, lab.ConfigOptions{}).everyModule(t)
}

// everyModule wants each built-in module to succeed.
func (s *site) everyModule(t *testing.T) {
	t.Helper()
	for name, m := range config.DefaultModules() {
		target, ok := labTargets[m.Prober]
		if !ok {
			t.Errorf("there is no target for the module %s", name)
			continue
		}
		all, _ := s.scrape(t, name, target, 60)
		if got := all["probe_success"]; len(got) != 1 || !strings.HasSuffix(got[0], " 1") {
			t.Errorf("%s: probe_success = %q, failed: %q", name, got, present(all, "probe_failure_reason"))
		}
	}
}

// present are the series of a metric that are not 0, without the cluster.
func present(all map[string][]string, metrics ...string) []string {
	var out []string
	for _, m := range metrics {
		for _, line := range all[m] {
			if !strings.HasSuffix(line, " 0") {
				line = strings.Replace(line, `cluster="hv-lab",`, "", 1)
				out = append(out, m+strings.Replace(line, `cluster="hv-lab"`, "", 1))
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestConditions: what takes nothing away from SQL Server shows in the modules that are there for it.
func TestConditions(t *testing.T) {
	t.Parallel()
	s := serve(t, still(nil), lab.ConfigOptions{})
	look := func(module, target string, metrics ...string) []string {
		t.Helper()
		all, _ := s.scrape(t, module, target, 60)
		return present(all, metrics...)
	}
	want := func(what string, got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	want("a healthy cluster", look("wsfc", "hv-lab", "wsfc_witness_online", "wsfc_csv_fault_state", "wsfc_network_state"),
		`wsfc_csv_fault_state{state="none",volume="C:\\ClusterStorage\\Volume1"} 1`,
		`wsfc_network_state{network="Management",state="up"} 1`, `wsfc_network_state{network="Virtual Machines",state="up"} 1`,
		`wsfc_witness_online{} 1`)
	want("no event before the first look", look("hyperv_events", "hv-lab/HV1", "hyperv_host_cluster_events_total"))
	for _, fault := range []string{model.WitnessLost, model.VolumeRedirected} {
		if _, err := s.lab.Inject(model.Request{Fault: fault}); err != nil {
			t.Fatal(err)
		}
	}
	want("a cluster without its witness", look("wsfc", "hv-lab", "wsfc_witness_online", "wsfc_csv_fault_state"),
		`wsfc_csv_fault_state{state="redirected_access",volume="C:\\ClusterStorage\\Volume1"} 1`)
	want("the witness' event", look("hyperv_events", "hv-lab/HV1", "hyperv_host_cluster_events_total"),
		`hyperv_host_cluster_events_total{event="1069",node="HV1"} 1`)
	want("no error before the first look", look("guest_events", "hv-lab/SQL01", "hyperv_guest_sql_errors_total"))
	if _, err := s.lab.Inject(model.Request{Fault: model.SQLError824, VM: "SQL01"}); err != nil {
		t.Fatal(err)
	}
	want("SQL Server's error", look("guest_events", "hv-lab/SQL01", "hyperv_guest_sql_errors_total", "hyperv_guest_sql_events_unread_total"),
		`hyperv_guest_sql_errors_total{severity="24",sql_instance="MSSQLSERVER",vm="SQL01"} 1`)
	want("the way to the guest", look("guest", "hv-lab/SQL01", "hyperv_guest_tcp_state"),
		`hyperv_guest_tcp_state{endpoint="sql",sql_instance="MSSQLSERVER",state="connected",vm="SQL01"} 1`,
		`hyperv_guest_tcp_state{endpoint="winrm",state="connected",vm="SQL01"} 1`)
	if _, err := s.lab.Inject(model.Request{Fault: model.ServiceCrash, VM: "SQL01"}); err != nil {
		t.Fatal(err)
	}
	want("the way to a dead service", look("guest", "hv-lab/SQL01", "hyperv_guest_tcp_state"),
		`hyperv_guest_tcp_state{endpoint="sql",sql_instance="MSSQLSERVER",state="refused",vm="SQL01"} 1`,
		`hyperv_guest_tcp_state{endpoint="winrm",state="connected",vm="SQL01"} 1`)
	want("an application", look("application", "hv-lab/SQL04", "hyperv_guest_application_tcp_state", "hyperv_guest_application_http_up",
		"hyperv_guest_application_http_status_code", "hyperv_guest_application_service_state"),
		`hyperv_guest_application_http_status_code{vm="SQL04"} 200`,
		`hyperv_guest_application_http_up{vm="SQL04"} 1`,
		`hyperv_guest_application_service_state{service="EventLog",state="running",vm="SQL04"} 1`,
		`hyperv_guest_application_tcp_state{state="connected",vm="SQL04"} 1`)
	if _, err := s.lab.Inject(model.Request{Fault: model.GuestHang, VM: "SQL04"}); err != nil {
		t.Fatal(err)
	}
	hung := []string{`hyperv_guest_application_tcp_state{state="connected",vm="SQL04"} 1`, `{cluster="hv-lab",vm="SQL04"} 0`}
	var got []string
	for _, seconds := range []float64{1, 2, 4, 8} { // what is silent runs to its deadline; a busy machine needs a later one
		all, _ := s.scrape(t, "application", "hv-lab/SQL04", seconds)
		got = append(present(all, "hyperv_guest_application_tcp_state"), all["hyperv_guest_application_http_up"]...)
		if slices.Equal(got, hung) {
			break
		}
	}
	want("an application in a guest that hangs", got, hung...)
	want("the uplinks", look("hyperv", "hv-lab/HV1", "hyperv_host_adapter_media_state", "hyperv_host_adapter_bound"),
		`hyperv_host_adapter_bound{adapter="Ethernet 2",node="HV1"} 1`,
		`hyperv_host_adapter_media_state{adapter="Ethernet 1",node="HV1",state="connected"} 1`,
		`hyperv_host_adapter_media_state{adapter="Ethernet 2",node="HV1",state="connected"} 1`)
	if _, err := s.lab.Inject(model.Request{Fault: model.LANBoard, Node: "HV1"}); err != nil {
		t.Fatal(err)
	}
	want("the uplinks without the cable", look("hyperv", "hv-lab/HV1", "hyperv_host_adapter_media_state"),
		`hyperv_host_adapter_media_state{adapter="Ethernet 1",node="HV1",state="connected"} 1`,
		`hyperv_host_adapter_media_state{adapter="Ethernet 2",node="HV1",state="disconnected"} 1`)
	want("owners", look("wsfc_owners", "hv-lab", "wsfc_group_preferred_owner"),
		`wsfc_group_preferred_owner{group="SQL01",node="HV1",order="1",vm="SQL01"} 1`,
		`wsfc_group_preferred_owner{group="SQL01",node="HV2",order="2",vm="SQL01"} 1`)
}
