package sqlengine

import "time"

// Grant is a permission, or several, that a monitor's login needs. An instance's login has all of them but those in
// Snapshot.Lacks.
type Grant int

// The grants, and what happens without them. Sources: learn.microsoft.com, the section "Permissions" of each view.
const (
	// ServerState is VIEW SERVER STATE, from SQL Server 2022 on VIEW SERVER PERFORMANCE STATE. Without it the dynamic
	// management views answer error 300, and sys.dm_exec_requests shows nothing but the asking session.
	ServerState Grant = 1 << iota
	// AnyDefinition is VIEW ANY DEFINITION; without it sys.master_files has no rows.
	AnyDefinition
	// ConnectAny is CONNECT ANY DATABASE; without it only the system's databases open, others answer error 916.
	ConnectAny
	// BackupHistory is SELECT on msdb.dbo.backupset; without it that answers error 229.
	BackupHistory
)

// File is a file of a database: a row of sys.master_files, and what was done to it since the start.
type File struct {
	DatabaseID, ID int
	Log            bool // otherwise of rows
	Name           string
	Path           string
	State          DatabaseState // as sys.master_files.state, whose numbers up to 6 are a database's
	Pages          int64         // of 8 KiB
	// How the pages of a file of rows are used; the last four are tempdb's.
	UsedPages, VersionStorePages, UserPages, InternalPages, MixedPages int64

	Reads, ReadBytes, Writes, WrittenBytes int64
	ReadStall, WriteStall                  time.Duration
}

// Backup is a row of msdb.dbo.backupset.
type Backup struct {
	Database string
	Server   string // Snapshot.ServerName where empty
	Type     string // D full, I differential, L log
	Finished time.Time
	// UnknownZone leaves out by how much the clock differed from UTC; it is in Finished otherwise.
	UnknownZone bool
}

// Request is a row of sys.dm_exec_requests.
type Request struct {
	SessionID, BlockedBy, DatabaseID int
	Command                          string
	Wait                             time.Duration
}

// Transaction is an open one. SessionID is 0 for one of SQL Server's own.
type Transaction struct {
	ID        int64
	SessionID int
	Begin     time.Time
	// DatabaseID is the database that it has written in since Begin; 0 where it only reads.
	DatabaseID int
	// RollingBack says that it is being rolled back.
	RollingBack bool
}

// Counter is a row of sys.dm_os_performance_counters. Object is without SQLServer: or MSSQL$instance: before it.
type Counter struct {
	Object, Name, Instance string
	Value, Type            int64
}

// Wait is a row of sys.dm_os_wait_stats.
type Wait struct {
	Type         string
	Tasks        int64
	Time, Signal time.Duration
}

// Scheduler is a row of sys.dm_os_schedulers that is VISIBLE ONLINE.
type Scheduler struct{ Tasks, Workers, Active, Runnable, Queued int64 }
