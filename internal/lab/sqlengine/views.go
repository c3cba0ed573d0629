package sqlengine

import (
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// view is a system view as it is at the moment.
type view struct {
	columns []tdsserver.Column
	rows    [][]any
}

// open finds a view by its name: sys.x, or with the name of a database before it.
func (env *environment) open(path []string) (view, *tdsserver.Error) {
	name := strings.ToLower(strings.Join(path, "."))
	if len(path) == 3 {
		if failed := env.usable(path[0]); failed != nil {
			return view{}, failed
		}
		name = strings.ToLower(strings.Join(path[1:], "."))
	}
	switch name {
	case "sys.databases":
		return env.databases(), nil
	case "sys.dm_os_sys_info":
		return env.systemInfo(), nil
	}
	return view{}, raise(208, 16, "Invalid object name '%s'.", strings.Join(path, "."))
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
			{Name: "virtual_machine_type", Type: tdsserver.Type{Kind: tdsserver.Int}},
			{Name: "virtual_machine_type_desc", Type: tdsserver.Type{Kind: tdsserver.NVarChar, Length: 60}},
		},
		rows: [][]any{{
			(env.Now.Sub(env.StartTime) + bootLead).Milliseconds(), bootLead.Milliseconds(), env.StartTime.In(env.Now.Location()),
			int64(1), "HYPERVISOR",
		}},
	}
}
