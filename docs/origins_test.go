package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/rules/rulestest"
)

// origin is where the metrics of one file of a prober come from, and what the account needs to see them.
type origin struct{ file, collectors, source, permission string }

// The permissions, in the words of docs/sql/permissions.sql and docs/windows/permissions.md.
const (
	login       = "a login"
	serverState = "VIEW SERVER STATE (2022: VIEW SERVER PERFORMANCE STATE)"
	definition  = serverState + ", VIEW ANY DEFINITION"
	remote      = "Remote Management Users, root/cimv2"
	hyperv      = "Hyper-V Administrators, root/virtualization/v2"
	clusterRead = "Grant-ClusterAccess -ReadOnly, root/MSCluster"
	counters    = "Performance Monitor Users, root/cimv2"
	logs        = "Event Log Readers, root/cimv2"
	network     = "none: a TCP connection"
)

// origins lists them by prober and file. The test below holds that each file which makes metrics is here, and that each
// collector is.
var origins = map[string][]origin{
	"mssql": {
		{"mssql.go", "`availability`", "a login of its own, SERVERPROPERTY, sys.dm_os_sys_info", login + "; start time: " + serverState},
		{"diagnostics.go", "`diagnostics`", "sp_server_diagnostics, a stream", "VIEW SERVER STATE, on every version"},
		{"databases.go", "`databases`", "sys.databases, sys.master_files, sys.dm_db_file_space_usage, sys.dm_os_performance_counters, sys.dm_exec_requests, msdb.dbo.backupset", definition + ", CONNECT ANY DATABASE; SELECT on msdb.dbo.backupset"},
		{"groups.go", "`availability_groups`", "sys.availability_groups and their replicas, listeners; sys.dm_hadr_*_states", definition},
		{"members.go", "`cluster_members`", "sys.dm_hadr_cluster, sys.dm_hadr_cluster_members; sys.dm_os_cluster_nodes", serverState + "; nodes of a failover cluster instance: VIEW SERVER STATE"},
		{"performance.go", "`performance`", "sys.dm_os_performance_counters, sys.dm_os_wait_stats, sys.dm_os_schedulers, sys.dm_io_virtual_file_stats, sys.dm_db_file_space_usage of tempdb", serverState},
		{"admin.go", "`admin_connection`", "the dedicated administrator connection, SERVERPROPERTY", "sysadmin, and `remote admin connections` on: an account of its own (`admin` of the instance); asks nothing without it"},
		{"sessions.go", "`sessions`", "sys.dm_exec_requests, sys.dm_tran_active_transactions, sys.dm_tran_session_transactions", serverState},
	},
	"guest": {
		{"guest.go", "`os`, `services`", "Win32_OperatingSystem, Win32_Service", remote},
		{"tcp.go", "`tcp`", "a TCP connection from the exporter", network},
		{"load.go", "`load`", "Win32_PerfRawData_PerfOS_Processor, _System", counters},
		{"events.go", "`events`", "Win32_NTLogEvent, Application", logs},
	},
	"application": {
		{"application.go", "`tcp`, `windows_service`", "a TCP connection from the exporter; Win32_Service", network + "; the service: " + remote},
		{"http.go", "`http`", "a GET of the application's URL", "none of ours"},
	},
	"hyperv": {
		{"namespaces.go", "`namespaces`", "one cheap question to each WMI namespace", "Enable Account, Remote Enable on each namespace"},
		{"host.go", "`host`", "Win32_OperatingSystem", remote},
		{"services.go", "`services`", "Win32_Service", remote},
		{"vms.go", "`vms`", "Msvm_ComputerSystem, Msvm_SummaryInformation, Msvm_VirtualSystemSettingData", hyperv},
		{"settings.go", "`settings`", "Msvm_VirtualSystemSettingData, Msvm_SyntheticEthernetPortSettingData", hyperv},
		{"replication.go", "`replication`", "Msvm_ReplicationRelationship", hyperv},
		{"uplinks.go", "`uplinks`", "MSFT_NetAdapter, Msvm_ExternalEthernetPort ([uplink.md](uplink.md))", hyperv + ", root/StandardCimv2"},
		{"counters.go", "`memory`, `processors`, `storage`, `adapters`", "Win32_PerfRawData_* of Hyper-V", counters},
		{"cpu.go", "`processors`", "the same, between two readings", counters},
		{"cluster_counters.go", "`heartbeats`, `csv`, `resource_failures`, `reconnects`", "Win32_PerfRawData_* of the cluster", counters},
		{"events.go", "`events`", "Win32_NTLogEvent, System ([events.md](events.md))", logs},
	},
	"wsfc": {
		{"cluster.go", "`cluster`", "MSCluster_Cluster, _Node, _ResourceGroup, _Resource", clusterRead},
		{"views.go", "`views`", "the same, of each node by itself", clusterRead},
		{"networks.go", "`networks`", "MSCluster_Network, _NetworkInterface", clusterRead},
		{"volumes.go", "`volumes`", "MSCluster_ClusterSharedVolume, _DiskPartition", clusterRead},
		{"witness.go", "`witness`", "MSCluster_ClusterToQuorumResource, _Resource", clusterRead},
		{"owners.go", "`owners`", "MSCluster_ResourceToPossibleOwner, _ResourceGroupToPreferredNode", clusterRead},
	},
}

// made are the names of metrics in a file of a prober.
var made = regexp.MustCompile(`"((?:mssql|hyperv|wsfc)_[a-z0-9_]+)"`)

// originsOf returns those of a prober, and the origin of each metric that its files make; nothing for what is no prober.
func originsOf(t *testing.T, prober string) ([]origin, map[string]origin) {
	t.Helper()
	of := map[string]origin{}
	for _, o := range origins[prober] {
		for _, m := range made.FindAllStringSubmatch(read(t, filepath.Join(root, "exporter", prober, o.file)), -1) {
			of[m[1]] = o
		}
	}
	return origins[prober], of
}

// TestEveryCollectorHasAnOrigin compares the list with the probers' files and collectors.
func TestEveryCollectorHasAnOrigin(t *testing.T) {
	t.Parallel()
	for _, p := range config.Probers() {
		listed, text := map[string]bool{}, ""
		for _, o := range origins[p.String()] {
			listed[o.file] = true
			text += o.collectors
		}
		for _, c := range p.Collectors() {
			if !strings.Contains(text, "`"+c+"`") {
				t.Errorf("the collector %s of %s has no origin", c, p)
			}
		}
		files, err := os.ReadDir(filepath.Join(root, "exporter", p.String()))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.IsDir() || filepath.Ext(f.Name()) != ".go" || strings.HasSuffix(f.Name(), "_test.go") || listed[f.Name()] {
				continue
			}
			if m := made.FindString(read(t, filepath.Join(root, "exporter", p.String(), f.Name()))); m != "" {
				t.Errorf("exporter/%s/%s makes %s and has no origin", p, f.Name(), m)
			}
		}
	}
}

// unitOf is a metric's unit, which its name says where it has one.
func unitOf(m rulestest.Metric) string {
	name := strings.TrimSuffix(m.Name, "_total")
	switch {
	case strings.HasSuffix(name, "_timestamp_seconds"), strings.HasSuffix(name, "_time_seconds") && strings.Contains(m.Help, "since 1970"):
		return "seconds since 1970"
	case strings.HasSuffix(name, "_seconds"):
		return "seconds"
	case strings.HasSuffix(name, "_bytes"):
		return "bytes"
	case strings.HasSuffix(name, "_ratio"):
		return "ratio"
	case strings.HasSuffix(name, "_code"):
		return "Microsoft's number"
	case strings.HasPrefix(m.Help, "1 "):
		return "0 or 1"
	}
	return "number"
}
