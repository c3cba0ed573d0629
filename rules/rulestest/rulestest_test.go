package rulestest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckNamesWhatNobodyExports(t *testing.T) {
	t.Parallel()
	v := Vocabulary{
		"probe_failure_reason": {"reason": {"tcp_refused", "auth"}, "collector": {"availability"}},
		"hyperv_vm_state":      {"state": {"running"}, "vm": {"SQL01"}},
		"up":                   {},
	}
	recorded := []string{"vm:ok:owner"}
	for _, c := range []struct {
		expr string
		want []string
	}{
		{`max by (cluster, up_to) (probe_failure_reason{collector="availability", reason="tcp_refused"}) == 1`, nil},
		{`hyperv_vm_state{vm="elsewhere", state=~"running"} and on (cluster, vm) vm:ok:owner == 0`, nil},
		{`probe_failure_reason{reason=~"auth|authh"}`, []string{`probe_failure_reason{reason=authh}: no such value is exported`}},
		{`sum(hyperv_vm_stat{state="running"})`, []string{"hyperv_vm_stat: no such metric is exported"}},
		{`vm:ok:own > 0`, []string{"vm:ok:own: no such recording rule"}},
		{`up{job="mssql_availability"} == 0 or absent(up{job="x"})`, nil},
		{`hyperv_vm_state{state="$state"}`, nil},
		{`hyperv_vm_state{node="HV1"}`, []string{`hyperv_vm_state{node}: no such label`}},
		{`hyperv_vm_state{job="hyperv", instance=~".+"}`, nil},
	} {
		if diff := cmp.Diff(c.want, v.Check(c.expr, recorded)); diff != "" {
			t.Errorf("Check(%s) (-want +got):\n%s", c.expr, diff)
		}
	}
}

func TestLoadLearnsFromTheTree(t *testing.T) {
	t.Parallel()
	v := Load(t, "../..")
	for _, known := range []string{
		`hyperv_vm_heartbeat{state="lost_communication"}`, `wsfc_node_status_flag{flag="isolated"}`,
		`probe_failure_reason{collector="availability", reason="tcp_refused"}`, `wsfc_group_owner_info`, `mssql_up`,
		`hypervigil_receiver_ready`, `hypervigil_exporter_config_last_reload_successful`, `hypervigil_vm_latched{vm="SQL01"}`,
		`hypervigil_incidents_open{state="escalated"}`, `hypervigil_exporter_probe_duration_seconds_bucket{module="wsfc"}`,
	} {
		if wrong := v.Check(known, nil); len(wrong) > 0 {
			t.Errorf("Check(%s) = %v, want nothing", known, wrong)
		}
	}
	for _, unknown := range []string{
		`hyperv_vm_heartbeat{state="fine"}`, `mssql_upp`, `hypervigil_receiver_happy`, `mssql_up{node="HV1"}`, `hypervigil_incidents_open{state="lost"}`,
	} {
		if wrong := v.Check(unknown, nil); len(wrong) == 0 {
			t.Errorf("Check(%s) found nothing wrong", unknown)
		}
	}
}
