package exporter

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hypervigil/hypervigil/internal/config"
)

// TestThresholdsAreThoseOfTheConfiguration, in base units; what is never is beyond every number, not absent.
func TestThresholdsAreThoseOfTheConfiguration(t *testing.T) {
	t.Parallel()
	c := &config.Config{Clusters: []*config.Cluster{{Name: "hv-cl1", VirtualMachines: []*config.VirtualMachine{
		{Name: "SQL01", Thresholds: config.Thresholds{BackupAge: 26 * time.Hour, LogBackupAge: time.Hour, LogUsedPercent: 70}},
		{Name: "SQL02"},
	}}}}
	want := `# HELP hypervigil_threshold_backup_age_seconds The age of a database's newest full or differential backup from which on the virtual machine's thresholds call it too old; +Inf is never.
# TYPE hypervigil_threshold_backup_age_seconds gauge
hypervigil_threshold_backup_age_seconds{cluster="hv-cl1",vm="SQL01"} 93600
hypervigil_threshold_backup_age_seconds{cluster="hv-cl1",vm="SQL02"} +Inf
# HELP hypervigil_threshold_log_backup_age_seconds The age of a database's newest log backup from which on the virtual machine's thresholds call it too old; +Inf is never.
# TYPE hypervigil_threshold_log_backup_age_seconds gauge
hypervigil_threshold_log_backup_age_seconds{cluster="hv-cl1",vm="SQL01"} 3600
hypervigil_threshold_log_backup_age_seconds{cluster="hv-cl1",vm="SQL02"} +Inf
# HELP hypervigil_threshold_log_used_ratio How much of a database's log, from 0 to 1, has to be in use before the virtual machine's thresholds call it full; +Inf is never.
# TYPE hypervigil_threshold_log_used_ratio gauge
hypervigil_threshold_log_used_ratio{cluster="hv-cl1",vm="SQL01"} 0.7
hypervigil_threshold_log_used_ratio{cluster="hv-cl1",vm="SQL02"} +Inf
`
	if err := testutil.CollectAndCompare(thresholdCollector(func() *config.Config { return c }), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(thresholdCollector(func() *config.Config { return c })); err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
	if n := testutil.CollectAndCount(thresholdCollector(func() *config.Config { return nil })); n != 0 {
		t.Errorf("%d series before there is a configuration, want none", n)
	}
}
