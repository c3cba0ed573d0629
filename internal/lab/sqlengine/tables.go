package sqlengine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// The columns and types of the views: learn.microsoft.com, the page of each.

// columns names columns of one type each: "i" int, "b" bigint, "s" smallint, "t" tinyint, "d" datetime, "n" a name, "f" bit,
// "u" uniqueidentifier.
func columns(list string) []tdsserver.Column {
	types := map[string]tdsserver.Type{
		"i": {Kind: tdsserver.Int}, "b": {Kind: tdsserver.BigInt}, "s": {Kind: tdsserver.SmallInt}, "t": {Kind: tdsserver.TinyInt},
		"d": {Kind: tdsserver.DateTime}, "f": {Kind: tdsserver.Bit}, "n": name128(), "u": {Kind: tdsserver.UniqueIdentifier},
	}
	var out []tdsserver.Column
	for field := range strings.FieldsSeq(list) {
		name, typ, _ := strings.Cut(field, ":")
		out = append(out, tdsserver.Column{Name: name, Type: types[typ]})
	}
	return out
}

// masterFiles is sys.master_files: without VIEW ANY DEFINITION there are no rows, and no error.
func (env *environment) masterFiles() view {
	v := view{columns: columns("database_id:i file_id:i type:t type_desc:n name:n physical_name:n state:t state_desc:n size:i")}
	if env.Lacks&AnyDefinition != 0 {
		return v
	}
	for _, f := range env.Files {
		kind, desc := int64(0), "ROWS"
		if f.Log {
			kind, desc = 1, "LOG"
		}
		v.rows = append(v.rows, []any{int64(f.DatabaseID), int64(f.ID), kind, desc, f.Name, f.Path, int64(f.State), f.State.String(), f.Pages})
	}
	return v
}

// spaceUsage is sys.dm_db_file_space_usage of one database: its files of rows.
func (env *environment) spaceUsage(database string) view {
	v := view{columns: columns("database_id:i file_id:s total_page_count:b allocated_extent_page_count:b unallocated_extent_page_count:b " +
		"version_store_reserved_page_count:b user_object_reserved_page_count:b internal_object_reserved_page_count:b mixed_extent_page_count:b")}
	d, _ := env.find(database)
	for _, f := range env.Files {
		if f.DatabaseID == d.ID && !f.Log {
			v.rows = append(v.rows, []any{
				int64(f.DatabaseID), int64(f.ID), f.Pages, f.UsedPages, f.Pages - f.UsedPages, f.VersionStorePages, f.UserPages, f.InternalPages, f.MixedPages,
			})
		}
	}
	return v
}

// fileStatistics is sys.dm_io_virtual_file_stats(NULL, NULL): every open file.
func (env *environment) fileStatistics() view {
	v := view{columns: columns("database_id:s file_id:s num_of_reads:b num_of_bytes_read:b io_stall_read_ms:b num_of_writes:b num_of_bytes_written:b io_stall_write_ms:b size_on_disk_bytes:b")}
	for _, f := range env.Files {
		if f.State == Online {
			v.rows = append(v.rows, []any{
				int64(f.DatabaseID), int64(f.ID), f.Reads, f.ReadBytes, f.ReadStall.Milliseconds(), f.Writes, f.WrittenBytes, f.WriteStall.Milliseconds(), f.Pages << 13,
			})
		}
	}
	return v
}

// backups is msdb.dbo.backupset. Times are the wall clock's; time_zone says by how many quarters of an hour it was
// ahead of UTC, 127 that this is not known.
func (env *environment) backups() view {
	v := view{columns: columns("backup_set_id:i server_name:n database_name:n type:n backup_finish_date:d time_zone:s")}
	const unknown = 127
	for n, b := range env.Backups {
		server, zone := b.Server, int64(unknown)
		if server == "" {
			server = env.ServerName
		}
		if _, offset := b.Finished.Zone(); !b.UnknownZone {
			zone = int64(time.Duration(offset) * time.Second / (15 * time.Minute))
		}
		v.rows = append(v.rows, []any{int64(n + 1), server, b.Database, b.Type, b.Finished, zone})
	}
	return v
}

// requests is sys.dm_exec_requests: without VIEW SERVER STATE nothing but the one that asks.
func (env *environment) requests() view {
	v := view{columns: columns("session_id:s blocking_session_id:s database_id:s command:n wait_time:i")}
	id := 0
	if env.session != nil {
		id = env.session.ID()
	}
	v.rows = append(v.rows, []any{int64(id), int64(0), int64(1), "SELECT", int64(0)})
	if env.Lacks&ServerState != 0 {
		return v
	}
	for _, r := range env.Requests {
		v.rows = append(v.rows, []any{int64(r.SessionID), int64(r.BlockedBy), int64(r.DatabaseID), r.Command, r.Wait.Milliseconds()})
	}
	return v
}

// ownTransaction is the first ID of the transactions in which the asking statements run.
const ownTransaction = 1 << 40

// transactions are the model's and those of the sessions that there are.
func (env *environment) transactions() []Transaction {
	return append(slices.Clip(env.Transactions), env.engine.disk.transactions(&env.Snapshot)...)
}

// activeTransactions is sys.dm_tran_active_transactions, the asking statement's own among them.
func (env *environment) activeTransactions() view {
	v := view{columns: columns("transaction_id:b name:n transaction_begin_time:d transaction_state:i")}
	const active, rollingBack = 2, 7
	for _, t := range env.transactions() {
		state := int64(active)
		if t.RollingBack {
			state = rollingBack
		}
		v.rows = append(v.rows, []any{t.ID, "user_transaction", t.Begin, state})
	}
	v.rows = append(v.rows, []any{int64(ownTransaction), "SELECT", env.Now, int64(active)})
	return v
}

// databaseTransactions is sys.dm_tran_database_transactions: a transaction for each database that it touches; the asking
// statement reads master.
func (env *environment) databaseTransactions() view {
	v := view{columns: columns("transaction_id:b database_id:i database_transaction_begin_time:d database_transaction_type:i database_transaction_state:i")}
	const readWrite, readOnly, noLog, hasLog = 1, 2, 3, 4
	for _, t := range env.transactions() {
		if t.DatabaseID != 0 {
			v.rows = append(v.rows, []any{t.ID, int64(t.DatabaseID), t.Begin, int64(readWrite), int64(hasLog)})
		}
	}
	v.rows = append(v.rows, []any{int64(ownTransaction), int64(1), nil, int64(readOnly), int64(noLog)})
	return v
}

// sessionTransactions is sys.dm_tran_session_transactions: those that a user began.
func (env *environment) sessionTransactions() view {
	v := view{columns: columns("session_id:i transaction_id:b is_user_transaction:f")}
	for _, t := range env.transactions() {
		if t.SessionID != 0 {
			v.rows = append(v.rows, []any{int64(t.SessionID), t.ID, true})
		}
	}
	return v
}

// counters is sys.dm_os_performance_counters, whose names are nchar(128): blanks fill them up.
func (env *environment) counters() view {
	v := view{columns: columns("object_name:n counter_name:n instance_name:n cntr_value:b cntr_type:i")}
	prefix := "SQLServer:"
	if !strings.EqualFold(env.InstanceName, defaultInstance) {
		prefix = "MSSQL$" + strings.ToUpper(env.InstanceName) + ":"
	}
	for _, c := range env.Counters {
		fill := func(s string) string { return fmt.Sprintf("%-128s", s) }
		v.rows = append(v.rows, []any{fill(prefix + c.Object), fill(c.Name), fill(c.Instance), c.Value, c.Type})
	}
	return v
}

// waits is sys.dm_os_wait_stats.
func (env *environment) waits() view {
	v := view{columns: columns("wait_type:n waiting_tasks_count:b wait_time_ms:b signal_wait_time_ms:b")}
	for _, w := range env.Waits {
		v.rows = append(v.rows, []any{w.Type, w.Tasks, w.Time.Milliseconds(), w.Signal.Milliseconds()})
	}
	return v
}

// schedulers is sys.dm_os_schedulers, with one that no user's task runs on.
func (env *environment) schedulers() view {
	v := view{columns: columns("scheduler_id:i status:n current_tasks_count:i runnable_tasks_count:i current_workers_count:i active_workers_count:i work_queue_count:b")}
	for n, s := range env.Schedulers {
		v.rows = append(v.rows, []any{int64(n), "VISIBLE ONLINE", s.Tasks, s.Runnable, s.Workers, s.Active, s.Queued})
	}
	const hidden = 1048576
	v.rows = append(v.rows, []any{int64(hidden), "HIDDEN ONLINE", int64(1), int64(0), int64(2), int64(1), int64(0)})
	return v
}
