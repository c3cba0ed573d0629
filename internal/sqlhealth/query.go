package sqlhealth

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"
)

// identity is who an instance is and since when.
type identity struct {
	Info
	start time.Time
}

// The question of Availability, with and without what needs a permission. One statement in one batch: after an error
// with more behind it the driver loses a goroutine (go-mssqldb issue #407).
const (
	identityColumns = `SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), CAST(SERVERPROPERTY('Edition') AS nvarchar(128)), ` +
		`CAST(SERVERPROPERTY('EngineEdition') AS int), CAST(SERVERPROPERTY('ServerName') AS nvarchar(128)), ` +
		`CAST(SERVERPROPERTY('MachineName') AS nvarchar(128)), CAST(SERVERPROPERTY('InstanceName') AS nvarchar(128)), ` +
		`CAST(SERVERPROPERTY('IsClustered') AS int), CAST(SERVERPROPERTY('IsHadrEnabled') AS int)`
	identityOnly      = identityColumns
	identityWithStart = identityColumns + `, SYSUTCDATETIME(), sqlserver_start_time, ms_ticks, sqlserver_start_time_ms_ticks FROM sys.dm_os_sys_info`
)

// Question is what Availability asks of an instance that lets it see when it was started.
const Question = identityWithStart

const databasesText = `SELECT CAST(database_id AS bigint), name, CAST(state AS bigint), state_desc, CAST(user_access AS bigint), ` +
	`is_read_only, is_in_standby FROM sys.databases ORDER BY database_id`

// maxDatabases is SQL Server's own limit for one instance.
const maxDatabases = 32767

// errShape says that an answer is not what was asked for.
var errShape = errors.New("answer of an unexpected shape")

// identity asks who the instance is.
func (s *session) identity(text string) (identity, error) {
	columns := 8
	if text == identityWithStart {
		columns = 12
	}
	rows, err := s.query(text, columns, 1)
	if err != nil {
		return identity{}, err
	}
	if len(rows) != 1 {
		return identity{}, fmt.Errorf("%w: %d rows", errShape, len(rows))
	}
	r := record{values: rows[0]}
	id := identity{Info: Info{
		Version: r.text(0), Edition: r.text(1), EngineEdition: r.number(2), ServerName: r.text(3), MachineName: r.text(4),
		InstanceName: r.text(5), IsClustered: r.number(6) == 1, IsHadrEnabled: r.number(7) == 1,
	}}
	if id.InstanceName == "" { // NULL for the default instance
		id.InstanceName = "MSSQLSERVER"
	}
	if columns == 12 {
		id.start = startTime(r.time(8), r.time(9), time.Duration(r.number(10)-r.number(11))*time.Millisecond)
	}
	return id, r.err
}

// startTime makes a point in time of sqlserver_start_time, which is on the wall clock of the guest as it was then.
// Counting back from now gives the point, give or take the tick; their difference, in quarters of an hour, is the
// offset of the guest's time zone at that time, and the wall clock less the offset does not waver.
func startTime(now, wall time.Time, up time.Duration) time.Time {
	counted := now.Add(-up)
	offset := wall.Sub(counted).Round(15 * time.Minute)
	if offset.Abs() > 14*time.Hour {
		return counted // the clock was set since
	}
	return wall.Add(-offset)
}

// databases lists the databases.
func (s *session) databases() ([]Database, error) {
	rows, err := s.query(databasesText, 7, maxDatabases)
	if err != nil {
		return nil, err
	}
	list := make([]Database, 0, len(rows))
	for _, values := range rows {
		r := record{values: values}
		list = append(list, Database{
			ID: r.number(0), Name: r.text(1), State: r.number(2), StateDesc: r.text(3), UserAccess: r.number(4), ReadOnly: r.flag(5), InStandby: r.flag(6),
		})
		if r.err != nil {
			return nil, r.err
		}
	}
	return list, nil
}

// query runs one statement and reads all that it gives, to the end whatever it is: a reader of the driver that is
// left alone waits for ever. More rows than most are an error.
func (s *session) query(text string, columns, most int) ([][]driver.Value, error) {
	stmt, err := s.conn.Prepare(text) // nothing is sent yet
	if err != nil {
		return nil, err
	}
	asker, ok := stmt.(driver.StmtQueryContext)
	if !ok {
		return nil, errors.New("driver without StmtQueryContext")
	}
	rows, err := asker.QueryContext(context.Background(), nil)
	if err != nil {
		return nil, err
	}
	var out [][]driver.Value
	width := len(rows.Columns())
	count := 0
	for {
		values := make([]driver.Value, len(rows.Columns()))
		err := rows.Next(values)
		if errors.Is(err, io.EOF) {
			// Behind the set asked for there should be none.
			more, ok := rows.(driver.RowsNextResultSet)
			if !ok || !more.HasNextResultSet() {
				break
			}
			if err := more.NextResultSet(); err != nil {
				break
			}
			count = most + 1
			continue
		}
		if err != nil {
			return nil, err
		}
		if count++; count <= most {
			out = append(out, values)
		}
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	if width != columns || count > most {
		return nil, fmt.Errorf("%w: %d columns and %d rows or more, want %d columns and at most %d rows", errShape, width, count, columns, most)
	}
	return out, nil
}

// record reads the values of a row; the first one of an unexpected type is kept as err.
type record struct {
	values []driver.Value
	err    error
}

func (r *record) wrong(i int) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: column %d is a %T", errShape, i+1, r.values[i])
	}
}

// text is a text; NULL is empty.
func (r *record) text(i int) string {
	switch v := r.values[i].(type) {
	case string:
		return v
	case nil:
	default:
		r.wrong(i)
	}
	return ""
}

// number is a whole number; NULL is 0.
func (r *record) number(i int) int64 {
	switch v := r.values[i].(type) {
	case int64:
		return v
	case nil:
	default:
		r.wrong(i)
	}
	return 0
}

// flag is a bit; NULL is false.
func (r *record) flag(i int) bool {
	switch v := r.values[i].(type) {
	case bool:
		return v
	case nil:
	default:
		r.wrong(i)
	}
	return false
}

// time is a point in time.
func (r *record) time(i int) time.Time {
	v, ok := r.values[i].(time.Time)
	if !ok {
		r.wrong(i)
	}
	return v
}
