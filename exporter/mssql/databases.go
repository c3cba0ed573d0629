package mssql

import (
	"context"
	"errors"
	"strconv"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

type databaseDescs struct {
	state, stateCode, access, readOnly, standby probe.Desc
	fileState, fileSize, fileUsed               probe.Desc
	logSize, logUsed                            probe.Desc
	full, differential, log, running            probe.Desc
}

func newDatabaseDescs(d probe.Descs) databaseDescs {
	return databaseDescs{
		state:        d.New("mssql_database_state", "1 for the state that the database is in.", "database", "state"),
		stateCode:    d.New("mssql_database_state_code", "The state of the database as sys.databases numbers it: 0 online, 1 restoring, 2 recovering, 3 recovery pending, 4 suspect, 5 emergency, 6 offline, 7 copying, 10 offline secondary.", "database"),
		access:       d.New("mssql_database_user_access", "1 for who may use the database.", "database", "access"),
		readOnly:     d.New("mssql_database_read_only", "1 means that the database is set to read-only.", "database"),
		standby:      d.New("mssql_database_in_standby", "1 means that the database is a standby, read-only between restores of its log.", "database"),
		fileState:    d.New("mssql_database_file_state_code", "The state of the file as sys.master_files numbers it: 0 online, 1 restoring, 2 recovering, 3 recovery pending, 4 suspect, 6 offline, 7 defunct.", "database", "file"),
		fileSize:     d.New("mssql_database_file_size_bytes", "The size of the file.", "database", "file", "type"),
		fileUsed:     d.New("mssql_database_file_used_bytes", "How much of the file of rows is allocated to something.", "database", "file", "type"),
		logSize:      d.New("mssql_database_log_size_bytes", "The size of the database's log, all its files together.", "database"),
		logUsed:      d.New("mssql_database_log_used_ratio", "How much of the database's log is in use, from 0 to 1.", "database"),
		full:         d.New("mssql_backup_last_full_timestamp_seconds", "When the last full backup ended, in seconds since 1970; absent where there was none.", "database"),
		differential: d.New("mssql_backup_last_differential_timestamp_seconds", "When the last differential backup ended, in seconds since 1970; absent where there was none.", "database"),
		log:          d.New("mssql_backup_last_log_timestamp_seconds", "When the last backup of the log ended, in seconds since 1970; absent where there was none.", "database"),
		// Not by database: SQL Server tells the one that the session is in, which need not be the one that is backed up.
		running: d.New("mssql_backup_or_restore_running", "1 means that one is running on the instance.", "operation"),
	}
}

// databasesCollector tells how the databases stand: much to ask, and no decision about the instance waits for it.
func databasesCollector(o Options, d probe.Descs) probe.Collector {
	descs := newDatabaseDescs(d)
	return probe.Collector{Name: "databases", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		report, failures := o.Source.DatabaseReport(ctx)
		level.Debug(l).Log("msg", "databases read", "databases", len(report.Databases), "files", len(report.Files), "missing", len(failures))
		var s probe.Set
		databaseMetrics(&s, descs, report)
		return probe.Result{Metrics: s, Err: missing(failures)}
	}}
}

// missing is the error of a report that lacks something. The first failure gives the reason.
func missing(failures []*sqlhealth.Failure) error {
	errs := make([]error, 0, len(failures))
	for _, f := range failures {
		errs = append(errs, f)
	}
	return errors.Join(errs...)
}

// databaseStates are the states of sys.databases by their number.
var databaseStates = map[int64]string{
	0: "online", 1: "restoring", 2: "recovering", 3: "recovery_pending", 4: "suspect", 5: "emergency", 6: "offline", 7: "copying", 10: "offline_secondary",
}

// The members of the state sets, in the order of their numbers.
var (
	databaseStateSet = []string{"online", "restoring", "recovering", "recovery_pending", "suspect", "emergency", "offline", "copying", "offline_secondary", probe.Other}
	accessSet        = []string{"multi_user", "single_user", "restricted_user", probe.Other}
)

// member is the name of a number, probe.Other where it has none.
func member(of []string, n int64) string {
	if n >= 0 && n < int64(len(of)) {
		return of[n]
	}
	return probe.Other
}

// fileType is the name of sys.master_files.type.
func fileType(n int64) string {
	return member([]string{"rows", "log", "filestream", probe.Other, "fulltext"}, n)
}

func databaseMetrics(s *probe.Set, d databaseDescs, r sqlhealth.DatabaseReport) {
	names := make(map[int64]string, len(r.Databases))
	ids := make(map[string]bool, len(r.Databases))
	for _, db := range r.Databases {
		names[db.ID], ids[db.Name] = db.Name, true
		s.States(d.state, databaseStateSet, databaseStates[db.State], db.Name)
		s.Gauge(d.stateCode, float64(db.State), db.Name)
		s.States(d.access, accessSet, member(accessSet, db.UserAccess), db.Name)
		s.Bool(d.readOnly, db.ReadOnly, db.Name)
		s.Bool(d.standby, db.InStandby, db.Name)
	}
	fileMetrics(s, d, r, names)
	for _, l := range r.Logs {
		if !ids[l.Database] { // of a database that is hidden, or came since
			continue
		}
		s.Gauge(d.logSize, float64(l.Size), l.Database)
		if l.Size > 0 {
			s.Gauge(d.logUsed, float64(l.Used)/float64(l.Size), l.Database)
		}
	}
	for _, b := range r.Backups {
		if !ids[b.Database] { // of a database that is gone
			continue
		}
		switch b.Type {
		case "D":
			s.Time(d.full, b.Finished, b.Database)
		case "I":
			s.Time(d.differential, b.Finished, b.Database)
		case "L":
			s.Time(d.log, b.Finished, b.Database)
		}
	}
	if r.Running != nil {
		s.Bool(d.running, r.Running.Backup, "backup")
		s.Bool(d.running, r.Running.Restore, "restore")
	}
}

// fileMetrics tells the files. What a file of rows really holds counts, where the database could be asked, before what
// it was made with.
func fileMetrics(s *probe.Set, d databaseDescs, r sqlhealth.DatabaseReport, names map[int64]string) {
	type key struct{ database, file int64 }
	space := make(map[key]sqlhealth.Space, len(r.Space))
	for _, sp := range r.Space {
		space[key{sp.DatabaseID, sp.FileID}] = sp
	}
	for _, f := range r.Files {
		database, ok := names[f.DatabaseID]
		if !ok { // hidden, or came since
			continue
		}
		size := f.Size
		if sp, ok := space[key{f.DatabaseID, f.ID}]; ok {
			size = sp.Size
			s.Gauge(d.fileUsed, float64(sp.Used), database, f.Name, fileType(f.Type))
		}
		s.Gauge(d.fileState, float64(f.State), database, f.Name)
		s.Gauge(d.fileSize, float64(size), database, f.Name, fileType(f.Type))
		delete(space, key{f.DatabaseID, f.ID})
	}
	// Of files whose names could not be seen, the number has to do.
	for _, sp := range r.Space {
		if _, unnamed := space[key{sp.DatabaseID, sp.FileID}]; unnamed {
			file := "#" + strconv.FormatInt(sp.FileID, 10)
			s.Gauge(d.fileUsed, float64(sp.Used), names[sp.DatabaseID], file, "rows")
			s.Gauge(d.fileSize, float64(sp.Size), names[sp.DatabaseID], file, "rows")
		}
	}
}
