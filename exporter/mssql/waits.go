package mssql

import (
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/exporter/probe"
)

// waitKinds are the classes of waits with their types; one that ends in * is a beginning, and an exact type counts
// before it. The classes are those of the Query Store: learn.microsoft.com, "sys.query_store_wait_stats", the table of
// wait categories. What is in none of them is probe.Other.
var waitKinds = []struct {
	class string
	types []string
}{
	{"cpu", []string{"SOS_SCHEDULER_YIELD"}},
	{"worker_thread", []string{"THREADPOOL"}},
	{"lock", []string{"LCK_M_*"}},
	{"latch", []string{"LATCH_*"}},
	{"buffer_latch", []string{"PAGELATCH_*"}},
	{"buffer_io", []string{"PAGEIOLATCH_*"}},
	{"compilation", []string{"RESOURCE_SEMAPHORE_QUERY_COMPILE"}},
	{"sql_clr", []string{"CLR*", "SQLCLR*"}},
	{"mirroring", []string{"DBMIRROR*"}},
	{"transaction", []string{"XACT*", "DTC*", "TRAN_MARKLATCH_*", "MSQL_XACT_*", "TRANSACTION_MUTEX"}},
	{"idle", []string{
		"SLEEP_*", "LAZYWRITER_SLEEP", "SQLTRACE_BUFFER_FLUSH", "SQLTRACE_INCREMENTAL_FLUSH_SLEEP", "SQLTRACE_WAIT_ENTRIES",
		"FT_IFTS_SCHEDULER_IDLE_WAIT", "XE_DISPATCHER_WAIT", "REQUEST_FOR_DEADLOCK_SEARCH", "LOGMGR_QUEUE", "ONDEMAND_TASK_QUEUE",
		"CHECKPOINT_QUEUE", "XE_TIMER_EVENT",
		// Waits of SQL Server's own tasks for work, which the table leaves to other classes or to none.
		"DIRTY_PAGE_POLL", "HADR_FILESTREAM_IOMGR_IOCOMPLETION", "SP_SERVER_DIAGNOSTICS_SLEEP", "QDS_PERSIST_TASK_MAIN_LOOP_SLEEP",
		"QDS_ASYNC_QUEUE", "QDS_CLEANUP_STALE_QUERIES_TASK_MAIN_LOOP_SLEEP", "BROKER_TO_FLUSH", "BROKER_TASK_STOP", "BROKER_EVENTHANDLER",
		"CLR_AUTO_EVENT", "CLR_MANUAL_EVENT", "CLR_SEMAPHORE", "DISPATCHER_QUEUE_SEMAPHORE", "HADR_WORK_QUEUE", "HADR_CLUSAPI_CALL",
		"HADR_LOGCAPTURE_WAIT", "HADR_NOTIFICATION_DEQUEUE", "HADR_TIMER_TASK", "DBMIRROR_EVENTS_QUEUE", "DBMIRROR_WORKER_QUEUE",
		"PWAIT_ALL_COMPONENTS_INITIALIZED", "PWAIT_DIRECTLOGCONSUMER_GETNEXT", "PVS_PREALLOCATE", "PARALLEL_REDO_WORKER_WAIT_WORK",
		"SOS_WORK_DISPATCHER", "WAIT_XTP_OFFLINE_CKPT_NEW_LOG", "VDI_CLIENT_OTHER", "XE_LIVE_TARGET_TVF",
	}},
	{"preemptive", []string{"PREEMPTIVE_*"}},
	{"service_broker", []string{"BROKER_*"}},
	{"log_io", []string{"LOGMGR", "LOGBUFFER", "LOGMGR_RESERVE_APPEND", "LOGMGR_FLUSH", "LOGMGR_PMM_LOG", "CHKPT", "WRITELOG"}},
	{"network_io", []string{"ASYNC_NETWORK_IO", "NET_WAITFOR_PACKET", "PROXY_NETWORK_IO", "EXTERNAL_SCRIPT_NETWORK_IOF"}},
	{"parallelism", []string{"CXPACKET", "CXCONSUMER", "CXSYNC_PORT", "CXSYNC_CONSUMER", "EXCHANGE", "HT*", "BMP*", "BP*"}},
	{"memory", []string{
		"RESOURCE_SEMAPHORE", "CMEMTHREAD", "CMEMPARTITIONED", "EE_PMOLOCK", "MEMORY_ALLOCATION_EXT", "RESERVED_MEMORY_ALLOCATION_EXT", "MEMORY_GRANT_UPDATE",
	}},
	{"user_wait", []string{"WAITFOR", "WAIT_FOR_RESULTS", "BROKER_RECEIVE_WAITFOR"}},
	{"tracing", []string{"TRACEWRITE", "SQLTRACE_*", "TRACE_EVTNOTIF", "XE_*"}},
	{"full_text", []string{"FT_*", "FULLTEXT*", "MSSEARCH", "PWAIT_RESOURCE_SEMAPHORE_FT_PARALLEL_QUERY_SYNC"}},
	{"other_disk_io", []string{"ASYNC_IO_COMPLETION", "IO_COMPLETION", "BACKUPIO", "WRITE_COMPLETION", "IO_QUEUE_LIMIT", "IO_RETRY"}},
	{"replication", []string{"SE_REPL_*", "REPL_*", "HADR_*", "PWAIT_HADR_*", "REPLICA_WRITES", "FCB_REPLICA_WRITE", "FCB_REPLICA_READ", "PWAIT_HADRSIM"}},
	{"log_rate_governor", []string{
		"LOG_RATE_GOVERNOR", "POOL_LOG_RATE_GOVERNOR", "HADR_THROTTLE_LOG_RATE_GOVERNOR", "INSTANCE_LOG_RATE_GOVERNOR",
	}},
}

// waitClasses lists the classes.
func waitClasses() []string {
	out := make([]string, 0, len(waitKinds)+1)
	for _, k := range waitKinds {
		out = append(out, k.class)
	}
	return append(out, probe.Other)
}

// waitClass is the class of a type of wait.
func waitClass(wait string) string {
	for _, k := range waitKinds {
		if slices.Contains(k.types, wait) {
			return k.class
		}
	}
	for _, k := range waitKinds {
		if slices.ContainsFunc(k.types, func(t string) bool {
			beginning, ok := strings.CutSuffix(t, "*")
			return ok && strings.HasPrefix(wait, beginning)
		}) {
			return k.class
		}
	}
	return probe.Other
}
