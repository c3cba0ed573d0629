package sqlhealth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// DatabaseReport is how the databases of an instance stand. A part that could not be seen is empty, or nil, and has its
// Failure.
type DatabaseReport struct {
	Databases []Database
	Files     []File
	Space     []Space
	Logs      []Log
	Backups   []Backup
	Running   *Running
}

// File is a file of a database.
type File struct {
	DatabaseID, ID int64
	Name           string // its logical name
	Type           int64  // 0 rows, 1 log, 2 filestream, 4 full text
	State          int64  // 0 online, 1 restoring, 2 recovering, 3 recovery pending, 4 suspect, 6 offline, 7 defunct
	// Size is in bytes. Of tempdb's files it is what they are created with; Space has what they are.
	Size int64
}

// Space is how much of a file of rows is in use, in bytes.
type Space struct{ DatabaseID, FileID, Size, Used int64 }

// Log is how much of a database's log is in use, in bytes, all its files together.
type Log struct {
	Database   string
	Size, Used int64
}

// Backup is when the last backup of a type ended, for a database of that name.
type Backup struct {
	Database string
	Type     string // D full, I differential, L log
	Finished time.Time
}

// Running says what of what must not be interrupted is going on.
type Running struct{ Backup, Restore bool }

// pageSize is a page's, in bytes.
const pageSize = 8192

// The statements. Each reads one view, so that the instance joins nothing for us.
const (
	circumstancesText = `SELECT HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER STATE'), HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER PERFORMANCE STATE'), GETDATE(), GETUTCDATE()`
	filesText         = `SELECT database_id, file_id, name, type, state, size FROM sys.master_files ORDER BY database_id, file_id`
	spaceText         = `SELECT file_id, total_page_count, allocated_extent_page_count FROM %s.sys.dm_db_file_space_usage`
	logsText          = `SELECT object_name, counter_name, instance_name, cntr_value FROM sys.dm_os_performance_counters ` +
		`WHERE counter_name IN (N'Log File(s) Size (KB)', N'Log File(s) Used Size (KB)')`
	// Restoring a backup of another server's leaves a row with that server's name.
	backupsText = `SELECT database_name, type, time_zone, MAX(backup_finish_date) FROM msdb.dbo.backupset ` +
		`WHERE server_name = CAST(SERVERPROPERTY('ServerName') AS nvarchar(128)) AND type IN ('D', 'I', 'L') GROUP BY database_name, type, time_zone`
	runningText = `SELECT command FROM sys.dm_exec_requests WHERE command IN (N'BACKUP DATABASE', N'BACKUP LOG', N'RESTORE DATABASE', N'RESTORE LOG')`
)

// Limits of what is read, in rows. The first is SQL Server's own for the files of a database times a bold number of
// databases; the requests' is its limit of connections.
const (
	maxFiles    = 1 << 18
	maxCounters = 1 << 17
	maxRequests = 32767
	maxBackups  = 1 << 18
)

// DatabaseReport logs in anew and asks for everything about the databases, the most important first.
func (p *Prober) DatabaseReport(ctx context.Context) (DatabaseReport, []*Failure) {
	var list []Database
	var now circumstances
	return report(ctx, p, []step[DatabaseReport]{
		{"read the databases", func(s *session, add func(func(*DatabaseReport))) (err error) {
			list, err = s.databases()
			add(func(r *DatabaseReport) { r.Databases = list })
			return err
		}},
		{"read the permissions", func(s *session, _ func(func(*DatabaseReport))) (err error) {
			now, err = s.circumstances()
			return err
		}},
		{"read the files", func(s *session, add func(func(*DatabaseReport))) error {
			files, err := s.files()
			add(func(r *DatabaseReport) { r.Files = files })
			return err
		}},
		{"read the use of the logs", func(s *session, add func(func(*DatabaseReport))) error {
			logs, err := s.logs()
			add(func(r *DatabaseReport) { r.Logs = logs })
			return err
		}},
		{"read what is running", func(s *session, add func(func(*DatabaseReport))) error {
			running, err := s.running(now)
			add(func(r *DatabaseReport) { r.Running = running })
			return err
		}},
		{"read the use of the files", func(s *session, add func(func(*DatabaseReport))) error {
			return s.space(list, func(space []Space) { add(func(r *DatabaseReport) { r.Space = append(r.Space, space...) }) })
		}},
		// Last, because this table grows for ever where nobody cleans it.
		{"read the backups", func(s *session, add func(func(*DatabaseReport))) error {
			backups, err := s.backups(now)
			add(func(r *DatabaseReport) { r.Backups = backups })
			return err
		}},
	})
}

// circumstances are what the other answers have to be read with.
type circumstances struct {
	// seesAll is whether the login sees what others do; without it the views of requests and sessions show only its own,
	// and no error.
	seesAll bool
	wall    time.Time     // the instance's clock
	ahead   time.Duration // of UTC
}

func (s *session) circumstances() (circumstances, error) {
	rows, err := s.query(circumstancesText, 4, 1)
	if err != nil {
		return circumstances{}, err
	}
	if len(rows) != 1 {
		return circumstances{}, fmt.Errorf("%w: %d rows", errShape, len(rows))
	}
	r := record{values: rows[0]}
	c := circumstances{seesAll: r.number(0) == 1 || r.number(1) == 1, wall: r.time(2)}
	c.ahead = c.wall.Sub(r.time(3)).Round(15 * time.Minute)
	return c, r.err
}

// mustSeeAll is the error where the login does not; SQL Server gives none.
func (c circumstances) mustSeeAll() error {
	if c.seesAll {
		return nil
	}
	return fmt.Errorf("%w; grant it VIEW SERVER STATE, from SQL Server 2022 on VIEW SERVER PERFORMANCE STATE", errUnseen)
}

// files lists the files of every database.
func (s *session) files() ([]File, error) {
	rows, err := s.query(filesText, 6, maxFiles)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 { // there are always master's
		return nil, fmt.Errorf("%w: sys.master_files shows no row; grant VIEW ANY DEFINITION", errUnseen)
	}
	list := make([]File, 0, len(rows))
	for _, values := range rows {
		r := record{values: values}
		list = append(list, File{
			DatabaseID: r.number(0), ID: r.number(1), Name: r.text(2), Type: r.number(3), State: r.number(4), Size: r.number(5) * pageSize,
		})
		if r.err != nil {
			return nil, r.err
		}
	}
	return list, nil
}

// space asks each database that is online for the use of its files. One that cannot be opened just now is left out:
// its state is told elsewhere. One that the login may not open is left out too, and is the error at the end.
func (s *session) space(list []Database, found func([]Space)) error {
	var refused error
	for _, d := range list {
		if d.State != 0 {
			continue
		}
		rows, err := s.query(fmt.Sprintf(spaceText, quoteName(d.Name)), 3, maxDatabases)
		var server mssql.Error
		if errors.As(err, &server) && server.Class < fatalClass {
			switch {
			case server.Number == permissionNumber: // the same everywhere
				return err
			case !awayNow(server.Number) && refused == nil:
				refused = err
			}
			continue
		}
		if err != nil {
			return err
		}
		var space []Space
		for _, values := range rows {
			r := record{values: values}
			space = append(space, Space{DatabaseID: d.ID, FileID: r.number(0), Size: r.number(1) * pageSize, Used: r.number(2) * pageSize})
			if r.err != nil {
				return r.err
			}
		}
		found(space)
	}
	return refused
}

// awayNow reports whether the number says that a database cannot be opened for the state that it is in. Numbers:
// learn.microsoft.com, "Database Engine events and errors".
func awayNow(number int32) bool {
	switch number {
	case 911, // dropped since it was listed
		922, 924, 926, 927, 942, 945, // recovering, single user, suspect, restoring, offline, files inaccessible
		976, 978, 979, 982, 983: // a replica that may not be read
		return true
	}
	return false
}

// quoteName is a name as T-SQL takes it, whatever stands in it.
func quoteName(name string) string { return "[" + strings.ReplaceAll(name, "]", "]]") + "]" }

// logs asks the performance counters, which know every database's log.
func (s *session) logs() ([]Log, error) {
	rows, err := s.query(logsText, 4, maxCounters)
	if err != nil {
		return nil, err
	}
	var list []Log
	at := map[string]int{}
	for _, values := range rows {
		r := record{values: values}
		object, counter, name, value := r.name(0), r.name(1), r.name(2), r.number(3)*1024
		if r.err != nil {
			return nil, r.err
		}
		if !strings.HasSuffix(object, ":Databases") || name == "_Total" || value < 0 {
			continue
		}
		i, ok := at[name]
		if !ok {
			i, at[name] = len(list), len(list)
			list = append(list, Log{Database: name})
		}
		if strings.Contains(counter, "Used") {
			list[i].Used = value
		} else {
			list[i].Size = value
		}
	}
	return list, nil
}

// name is a text without the blanks that fill up an nchar.
func (r *record) name(i int) string { return strings.TrimRight(r.text(i), " ") }

// running looks for backups and restores.
func (s *session) running(now circumstances) (*Running, error) {
	if err := now.mustSeeAll(); err != nil {
		return nil, err
	}
	rows, err := s.query(runningText, 1, maxRequests)
	if err != nil {
		return nil, err
	}
	out := &Running{}
	for _, values := range rows {
		r := record{values: values}
		if strings.HasPrefix(r.text(0), "BACKUP") {
			out.Backup = true
		} else {
			out.Restore = true
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	return out, nil
}

// unknownZone is msdb.dbo.backupset.time_zone where SQL Server did not know it.
const unknownZone = 127

// backups reads when the last backups ended. time_zone is in quarters of an hour ahead of UTC at the time.
func (s *session) backups(now circumstances) ([]Backup, error) {
	rows, err := s.query(backupsText, 4, maxBackups)
	if err != nil {
		return nil, err
	}
	var list []Backup
	at := map[[2]string]int{}
	for _, values := range rows {
		if values[3] == nil {
			continue
		}
		r := record{values: values}
		b := Backup{Database: r.text(0), Type: r.name(1)}
		ahead := now.ahead
		if zone := r.number(2); values[2] != nil && zone != unknownZone {
			ahead = time.Duration(zone) * 15 * time.Minute
		}
		b.Finished = r.time(3).Add(-ahead)
		if r.err != nil {
			return nil, r.err
		}
		key := [2]string{b.Database, b.Type}
		if i, ok := at[key]; !ok {
			at[key] = len(list)
			list = append(list, b)
		} else if b.Finished.After(list[i].Finished) {
			list[i] = b
		}
	}
	return list, nil
}

var _ interface{ Reason() dial.Reason } = (*Failure)(nil)
