package sqlengine

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// view is a system view as it is at the moment.
type view struct {
	columns []tdsserver.Column
	rows    [][]any
}

// system is a system view, or a system function that gives rows.
type system struct {
	function bool
	needs    Grant
	rows     func(*environment) view
}

// systemViews are those that belong to the instance, by name. What one shows without its permission is its own to say
// where it is no error.
func systemViews() map[string]system {
	views := map[string]system{
		"sys.databases":                     {rows: (*environment).databases},
		"sys.master_files":                  {rows: (*environment).masterFiles},
		"sys.dm_exec_requests":              {rows: (*environment).requests},
		"sys.dm_os_sys_info":                {needs: ServerState, rows: (*environment).systemInfo},
		"sys.dm_os_performance_counters":    {needs: ServerState, rows: (*environment).counters},
		"sys.dm_os_wait_stats":              {needs: ServerState, rows: (*environment).waits},
		"sys.dm_os_schedulers":              {needs: ServerState, rows: (*environment).schedulers},
		"sys.dm_tran_active_transactions":   {needs: ServerState, rows: (*environment).activeTransactions},
		"sys.dm_tran_database_transactions": {needs: ServerState, rows: (*environment).databaseTransactions},
		"sys.dm_tran_session_transactions":  {needs: ServerState, rows: (*environment).sessionTransactions},
		"sys.dm_io_virtual_file_stats":      {needs: ServerState, function: true, rows: (*environment).fileStatistics},
	}
	maps.Copy(views, hadrViews())
	return views
}

// Views lists the views and functions that there are, in order. Those with db. are each database's own.
func (*Engine) Views() []string {
	return append(slices.Sorted(maps.Keys(systemViews())), "db.sys.dm_db_file_space_usage", "db.sys.tables", "msdb.dbo.backupset")
}

// open finds a view by its name: sys.x, or with the name of a database before it.
func (env *environment) open(path []string, function bool) (view, *tdsserver.Error) {
	unknown := raise(208, 16, "Invalid object name '%s'.", strings.Join(path, "."))
	name, database := strings.ToLower(strings.Join(path, ".")), env.database
	if len(path) == 3 {
		database, name = path[0], strings.ToLower(strings.Join(path[1:], "."))
		if failed := env.enter(database); failed != nil {
			return view{}, failed
		}
	}
	if s, ok := systemViews()[name]; ok && s.function == function {
		if failed := env.needs(s.needs); failed != nil {
			return view{}, failed
		}
		return s.rows(env), nil
	}
	switch {
	case function:
	case name == "sys.tables":
		return env.tables(database), nil
	case name == "sys.dm_db_file_space_usage":
		if failed := env.needs(ServerState); failed != nil {
			return view{}, failed
		}
		return env.spaceUsage(database), nil
	case name == "dbo.backupset" && strings.EqualFold(database, "msdb"):
		if env.Lacks&BackupHistory != 0 {
			return view{}, raise(229, 14, "The SELECT permission was denied on the object 'backupset', database 'msdb', schema 'dbo'.")
		}
		return env.backups(), nil
	default:
		if t, failed := env.table(path); failed != nil || t != nil {
			return t.view(), failed
		}
	}
	return view{}, unknown
}

func (env *environment) databases() view {
	number := func(k tdsserver.Kind) tdsserver.Type { return tdsserver.Type{Kind: k} }
	short := tdsserver.Type{Kind: tdsserver.NVarChar, Length: 60}
	v := view{columns: []tdsserver.Column{
		{Name: "name", Type: name128()},
		{Name: "database_id", Type: number(tdsserver.Int)},
		{Name: "source_database_id", Type: number(tdsserver.Int)},
		{Name: "create_date", Type: number(tdsserver.DateTime)},
		{Name: "compatibility_level", Type: number(tdsserver.TinyInt)},
		{Name: "collation_name", Type: name128()},
		{Name: "user_access", Type: number(tdsserver.TinyInt)},
		{Name: "user_access_desc", Type: short},
		{Name: "is_read_only", Type: number(tdsserver.Bit)},
		{Name: "state", Type: number(tdsserver.TinyInt)},
		{Name: "state_desc", Type: short},
		{Name: "is_in_standby", Type: number(tdsserver.Bit)},
		{Name: "recovery_model", Type: number(tdsserver.TinyInt)},
		{Name: "recovery_model_desc", Type: short},
		{Name: "replica_id", Type: number(tdsserver.UniqueIdentifier)},
	}}
	const full, simple = 1, 3
	for _, d := range env.Databases {
		// A database that cannot be opened has no collation to tell.
		var collation any = collationName
		if d.State != Online {
			collation = nil
		}
		model, modelName := int64(full), "FULL"
		if d.Name == "master" || d.Name == "tempdb" || d.Name == "msdb" {
			model, modelName = simple, "SIMPLE"
		}
		v.rows = append(v.rows, []any{
			d.Name, int64(d.ID), nil, d.CreateDate, int64(160), collation,
			int64(d.UserAccess), d.UserAccess.String(), d.ReadOnly, int64(d.State), d.State.String(), d.InStandby,
			model, modelName, nil,
		})
	}
	return v
}

// bootLead is how long before SQL Server the guest is taken to have started: ms_ticks counts from then.
const bootLead = 30 * time.Second

func (env *environment) systemInfo() view {
	big := tdsserver.Type{Kind: tdsserver.BigInt}
	return view{
		columns: []tdsserver.Column{
			{Name: "ms_ticks", Type: big},
			{Name: "sqlserver_start_time_ms_ticks", Type: big},
			{Name: "sqlserver_start_time", Type: tdsserver.Type{Kind: tdsserver.DateTime}},
			{Name: "max_workers_count", Type: tdsserver.Type{Kind: tdsserver.Int}},
			{Name: "virtual_machine_type", Type: tdsserver.Type{Kind: tdsserver.Int}},
			{Name: "virtual_machine_type_desc", Type: tdsserver.Type{Kind: tdsserver.NVarChar, Length: 60}},
		},
		rows: [][]any{{
			(env.Now.Sub(env.StartTime) + bootLead).Milliseconds(), bootLead.Milliseconds(), env.StartTime.In(env.Now.Location()),
			env.MaxWorkers, int64(1), "HYPERVISOR",
		}},
	}
}
