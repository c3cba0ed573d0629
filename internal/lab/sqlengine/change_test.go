package sqlengine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
	"github.com/hypervigil/hypervigil/internal/servetest"
)

// worked is an instance whose service can be started anew, and which is told of work.
type worked struct {
	model

	mu   sync.Mutex
	pid  uint32
	rows []int
}

func (w *worked) Snapshot() Snapshot {
	s := w.model.Snapshot()
	s.Databases = append(s.Databases, Database{ID: 7, Name: "Drill"}, Database{ID: 8, Name: "Slow", State: Recovering})
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Run = w.pid
	return s
}

func (w *worked) Working(run uint32, rows int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if run == w.pid {
		w.rows = append(w.rows, rows)
	}
}

// restart is a new process.
func (w *worked) restart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pid += 4
}

// told is what it was told since the last call.
func (w *worked) told() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	rows := slices.Compact(w.rows)
	w.rows = nil
	return rows
}

// client is a server of an engine and a pool of one connection to it.
func client(t *testing.T, e *Engine) *sql.DB {
	t.Helper()
	srv, err := tdsserver.New(tdsserver.Options{Handler: e, Transactions: e, Logger: log.NewNopLogger(), Version: "16.0.4135.4", ServerName: "SQL01"})
	if err != nil {
		t.Fatal(err)
	}
	address := servetest.Listen(t, srv.Serve)
	connector, err := mssql.NewConnector("sqlserver://hypervigil:correct%20horse@" + address + "?encrypt=disable&database=Drill")
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// list runs a text and shows the rows of its last set, or the error's number.
func list(t *testing.T, on interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, text string,
) string {
	t.Helper()
	rows, err := on.QueryContext(t.Context(), text)
	if err != nil {
		return number(t, err)
	}
	defer rows.Close()
	var out []string
	for {
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			out = append(out, strings.TrimSuffix(fmt.Sprintln(values...), "\n"))
		}
		if !rows.NextResultSet() {
			break
		}
	}
	if err := rows.Err(); err != nil {
		return number(t, err)
	}
	return strings.Join(out, "|")
}

func number(t *testing.T, err error) string {
	t.Helper()
	var e mssql.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no error of SQL Server's", err)
	}
	return fmt.Sprint("error ", e.Number)
}

// rowsOf runs a text and gives the number of rows, or of the error.
func rowsOf(t *testing.T, on interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, text string,
) string {
	t.Helper()
	r, err := on.ExecContext(t.Context(), text)
	if err != nil {
		return number(t, err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(n)
}

// paper makes the white paper's two tables.
const paper = `CREATE TABLE dbo.A (product_code NCHAR(10) NOT NULL PRIMARY KEY, remark NVARCHAR(50) NULL)
CREATE TABLE Drill.dbo.B (product_code NCHAR(10) PRIMARY KEY, product_name NVARCHAR(50))
INSERT INTO A (product_code) VALUES (N'P1'), (N'P2'), (N'P3')
INSERT Drill..B VALUES (N'P1', N'bolt'), (N'P3', N'nut'), (N'P4', N'screw')`

func TestTables(t *testing.T) {
	t.Parallel()
	w := &worked{pid: 100}
	e, err := New(w)
	if err != nil {
		t.Fatal(err)
	}
	db := client(t, e)
	if got := rowsOf(t, db, paper); got != "6" {
		t.Fatalf("the tables: %s", got)
	}
	for _, tt := range []struct{ text, want string }{
		{"SELECT * FROM A", "P1         <nil>|P2         <nil>|P3         <nil>"},
		{"UPDATE a SET remark = b.product_name + N' #7' FROM A AS a INNER JOIN B AS b ON a.product_code = b.product_code SELECT @@ROWCOUNT", "2"},
		{"SELECT product_code, remark FROM dbo.A WHERE remark IS NOT NULL", "P1         bolt #7|P3         nut #7"},
		{"SELECT a.remark, b.product_name FROM A a JOIN B b ON b.product_code = a.product_code WHERE a.remark <> b.product_name", "bolt #7 bolt|nut #7 nut"},
		{"SELECT COUNT(*) FROM A a JOIN B b ON a.product_code < b.product_code", "5"}, // P1: P3, P4; P2: P3, P4; P3: P4
		{"SELECT product_code FROM A a JOIN B b ON a.product_code = b.product_code", "error 209"},
		{"SELECT name, type FROM sys.tables", "A U |B U "},
		{"SELECT name FROM master.sys.tables", ""},
		{"INSERT A VALUES (N'p1 ', N'the same key')", "error 2627"},
		{"INSERT A VALUES (N'12345678901', NULL)", "error 2628"},
		{"INSERT A VALUES (NULL, NULL)", "error 515"},
		{"INSERT A (remark) VALUES (N'no key')", "error 515"},
		{"INSERT A (product_code, size) VALUES (N'x', 1)", "error 207"},
		{"INSERT A (remark, remark) VALUES (N'x', N'y')", "error 264"},
		{"INSERT A VALUES (N'x')", "error 213"},
		{"INSERT A (product_code) VALUES (N'x', N'y')", "error 110"},
		{"INSERT A (product_code, remark) VALUES (N'x')", "error 109"},
		{"INSERT A SELECT * FROM B", "error 156"},
		{"INSERT C VALUES (1)", "error 208"},
		{"INSERT Slow.dbo.A VALUES (1)", "error 922"},
		{"SELECT * FROM Slow.dbo.A", "error 922"},
		{"UPDATE A SET product_code = N'one'", "error 2627"},
		{"UPDATE A SET remark = COUNT(*)", "error 157"},
		{"UPDATE x SET remark = 1 FROM A a", "error 208"},
		{"CREATE TABLE A (x int)", "error 2714"},
		{"CREATE TABLE other.A (x int)", "error 2760"},
		{"CREATE TABLE Z (x money)", "error 243"},
		{"CREATE VIEW v AS SELECT 1", "error 156"},
		{"DROP TABLE Z", "error 3701"},
		{"TRUNCATE TABLE A", "error 156"},
		{"DROP TABLE IF EXISTS Z SELECT COUNT(*) FROM A", "3"},
		{"DELETE FROM A WHERE product_code = N'P2' SELECT product_code FROM A", "P1        |P3        "},
		{"UPDATE A SET product_code = N'P9' WHERE remark = N'nut #7' SELECT product_code FROM A", "P1        |P9        "},
		{"DROP TABLE A, dbo.B SELECT COUNT(*) FROM sys.tables", "0"},
		{"SELECT * FROM A", "error 208"},
	} {
		if got := list(t, db, tt.text); got != tt.want {
			t.Errorf("%s\n got %q\nwant %q", tt.text, got, tt.want)
		}
	}
}

// TestTransactionsAndTheirEnd shows what is there after a commit, a rollback, the session's end, and the service's.
func TestTransactionsAndTheirEnd(t *testing.T) {
	t.Parallel()
	w := &worked{pid: 100}
	e, err := New(w)
	if err != nil {
		t.Fatal(err)
	}
	db, other := client(t, e), client(t, e)
	if got := rowsOf(t, db, paper); got != "6" {
		t.Fatalf("the tables: %s", got)
	}
	if diff := cmp.Diff([]int{0}, w.told()); diff != "" {
		t.Errorf("statements of their own leave nothing open (-want +got)\n%s", diff)
	}
	const (
		all  = "SELECT product_code FROM A"
		open = "SELECT database_id, database_transaction_state FROM sys.dm_tran_database_transactions WHERE database_id > 4"
	)
	begin := func() *sql.Tx {
		t.Helper()
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}

	tx := begin()
	want("insert", rowsOf(t, tx, "INSERT A VALUES (N'S1', NULL)"), "1")
	want("a statement that fails", rowsOf(t, tx, "INSERT A VALUES (N'S2', NULL), (N'S1', NULL)"), "error 2627")
	want("its own rows", list(t, tx, all), "P1        |P2        |P3        |S1        ")
	want("another's view", list(t, other, all), "P1        |P2        |P3        ")
	want("the transaction in the views", list(t, other, open), "7 4")
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	want("after a rollback", list(t, db, all), "P1        |P2        |P3        ")
	want("no transaction", list(t, other, open), "")
	if diff := cmp.Diff([]int{1, 0}, w.told()); diff != "" {
		t.Errorf("the work told (-want +got)\n%s", diff)
	}

	want("by statements", rowsOf(t, db, "BEGIN TRAN INSERT A VALUES (N'S3', NULL) COMMIT BEGIN TRAN DELETE A ROLLBACK"), "5")
	want("after them", list(t, other, all), "P1        |P2        |P3        |S3        ")

	want("left to the pool", rowsOf(t, db, "BEGIN TRAN DELETE A"), "4")
	_ = list(t, db, all) // resets the connection; its own claim of a transaction is another matter
	want("after the reset of a connection", rowsOf(t, other, "UPDATE A SET remark = N'x'"), "4")

	want("left open", rowsOf(t, db, "BEGIN TRAN BEGIN TRAN DELETE A COMMIT"), "4")
	want("open", list(t, other, "SELECT COUNT(*) FROM A"), "4")
	db.SetMaxIdleConns(0) // the connection is closed
	want("after the session's end", rowsOf(t, other, "UPDATE A SET remark = N'x'"), "4")

	tx = begin()
	want("insert before the crash", rowsOf(t, tx, "INSERT A VALUES (N'S4', NULL)"), "1")
	w.restart()
	w.told()
	want("after the crash", list(t, other, all), "P1        |P2        |P3        |S3        ")
	if err := tx.Commit(); err == nil {
		t.Error("a transaction from before the crash was committed after it")
	}
	want("after it was refused", list(t, other, all), "P1        |P2        |P3        |S3        ")
	want("the lock is free", rowsOf(t, other, "DELETE A"), "4")
	if got := w.told(); slices.ContainsFunc(got, func(n int) bool { return n != 0 }) {
		t.Errorf("the new run was told of work %v, want none", got)
	}
}

// TestLocks shows that a writer waits for another's end, that an attention ends the wait, and that of two who wait for
// each other one is told so.
func TestLocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, &model{})
		one, two := &tdsserver.Session{}, &tdsserver.Session{}
		run := func(ctx context.Context, s *tdsserver.Session, text string) tdsserver.Result {
			env := &environment{Snapshot: (&model{}).Snapshot(), engine: e, ctx: ctx, session: s, database: "tempdb", work: e.disk.of(s)}
			statements, failed := parse(text)
			if failed != nil {
				t.Fatal(failed)
			}
			return statements[0].run(env)
		}
		for _, text := range []string{"CREATE TABLE X (n int)", "CREATE TABLE Y (n int)"} {
			if r := run(t.Context(), one, text); r.Error != nil {
				t.Fatal(r.Error)
			}
		}
		e.disk.begin(one, time.Now())
		e.disk.begin(two, time.Now())
		run(t.Context(), one, "INSERT X VALUES (1)")
		run(t.Context(), two, "INSERT Y VALUES (2)")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r := run(ctx, two, "INSERT X VALUES (2)"); r.Error == nil || ctx.Err() == nil {
			t.Errorf("a table that another writes: %+v", r)
		}

		waited := make(chan tdsserver.Result, 1)
		go func() { waited <- run(t.Context(), one, "INSERT Y VALUES (1)") }()
		synctest.Wait()
		select {
		case r := <-waited:
			t.Fatalf("it did not wait: %+v", r)
		default:
		}
		r := run(t.Context(), two, "INSERT X VALUES (2)")
		if r.Error == nil || r.Error.Number != 1205 || r.Transaction != tdsserver.Rollback {
			t.Errorf("a deadlock: %+v", r)
		}
		if r := <-waited; r.Error != nil || r.Affected != 1 {
			t.Errorf("the other one: %+v", r)
		}
		if !e.disk.commit(one, e.disk.of(one)) {
			t.Error("the other one cannot commit")
		}
		if got := len(e.disk.read(nil, object{"tempdb", "y"}).rows); got != 1 {
			t.Errorf("%d rows, want the one of who went on", got)
		}
	})
}
