package tdsserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
)

// open opens a pool of go-mssqldb to the address. The driver takes a text of one word for a procedure's name, so the
// statements of these tests have two.
func open(t *testing.T, addr, params string, roots *x509.CertPool) *sql.DB {
	t.Helper()
	cfg, err := msdsn.Parse("sqlserver://monitor:pass-7x%3D%C3%A9@" + addr + "?dial+timeout=5&" + params)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.TLSConfig != nil && roots != nil {
		cfg.TLSConfig.RootCAs = roots
	}
	db := sql.OpenDB(mssql.NewConnectorConfig(cfg))
	t.Cleanup(func() { db.Close() })
	return db
}

func TestEncryption(t *testing.T) {
	t.Parallel()
	config, roots := certificate(t)
	for _, tt := range []struct {
		name   string
		server Encryption
		params string
		fails  string
	}{
		{"neither encrypts", NotSupported, "encrypt=disable", ""},
		{"client would, server cannot", NotSupported, "encrypt=optional", ""},
		{"client must, server cannot", NotSupported, "encrypt=mandatory", "server does not support encryption"},
		{"client must strictly, server cannot", NotSupported, "encrypt=strict", "TLS Handshake failed"},
		{"client cannot, server offers", Offered, "encrypt=disable", ""},
		{"login only", Offered, "encrypt=optional", ""},
		{"throughout", Offered, "encrypt=mandatory", ""},
		{"strict", Offered, "encrypt=strict", ""},
		{"client would, server must", Required, "encrypt=optional", ""},
		{"both must", Required, "encrypt=mandatory", ""},
		{"strict where the server must", Required, "encrypt=strict", ""},
		{"server only strict, client not", StrictOnly, "encrypt=mandatory", "EOF"},
		{"both strict", StrictOnly, "encrypt=strict", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var cfg *tls.Config
			if tt.server != NotSupported {
				cfg = config
			}
			var got Login
			addr := serve(t, Options{Encryption: tt.server, TLS: cfg, Handler: handlerFuncs{
				login: func(_ context.Context, l Login) *Error { got = l; return nil },
				query: func(_ context.Context, s *Session, r Request) Response {
					return Response{Results: []Result{{
						Columns: []Column{{"text", Type{Kind: NVarChar, Length: Max}}, {"spid", Type{Kind: SmallInt}}},
						Rows:    [][]any{{strings.Repeat(r.Text, 3000), int64(s.ID())}},
					}}}
				},
			}})
			db := open(t, addr, tt.params, roots)
			var text string
			var spid int
			err := db.QueryRowContext(t.Context(), "say æøå").Scan(&text, &spid)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Fatalf("query = %v, want an error with %q", err, tt.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Repeat("say æøå", 3000); text != want || spid != firstSPID {
				t.Errorf("got %d characters in session %d, want %d in %d", len(text), spid, len(want), firstSPID)
			}
			if got.User != "monitor" || got.Password != "pass-7x=é" {
				t.Errorf("login says user %q, password %q", got.User, got.Password)
			}
		})
	}
}

// TestForcedEncryption shows that a client which refuses encryption is told that it is required, and served if it
// gives in.
func TestForcedEncryption(t *testing.T) {
	t.Parallel()
	config, _ := certificate(t)
	addr := serve(t, Options{Encryption: Required, TLS: config, Handler: handlerFuncs{}})
	err := open(t, addr, "encrypt=disable", nil).PingContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("ping = %v, want a complaint about the certificate: the driver encrypts after all", err)
	}
}

func TestTypes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 28, 23, 59, 58, 987_654_300, time.UTC)
	types := []Column{
		{"tinyint", Type{Kind: TinyInt}},
		{"smallint", Type{Kind: SmallInt}},
		{"int", Type{Kind: Int}},
		{"bigint", Type{Kind: BigInt}},
		{"bit", Type{Kind: Bit}},
		{"real", Type{Kind: Real}},
		{"float", Type{Kind: Float}},
		{"nvarchar", Type{Kind: NVarChar, Length: 20}},
		{"nvarchar(max)", Type{Kind: NVarChar, Length: Max}},
		{"varbinary", Type{Kind: VarBinary, Length: 4}},
		{"varbinary(max)", Type{Kind: VarBinary, Length: Max}},
		{"datetime", Type{Kind: DateTime}},
		{"date", Type{Kind: Date}},
		{"datetime2", Type{Kind: DateTime2, Scale: 7}},
		{"datetime2(3)", Type{Kind: DateTime2, Scale: 3}},
		{"datetimeoffset", Type{Kind: DateTimeOffset, Scale: 7}},
		{"decimal", Type{Kind: Decimal, Precision: 38, Scale: 4}},
		{"numeric", Type{Kind: Decimal, Precision: 5, Scale: 0}},
		{"uniqueidentifier", Type{Kind: UniqueIdentifier}},
		{"variant int", Type{Kind: Variant}},
		{"variant bigint", Type{Kind: Variant}},
		{"variant text", Type{Kind: Variant}},
		{"variant bit", Type{Kind: Variant}},
		{"variant float", Type{Kind: Variant}},
	}
	big1, _ := new(big.Rat).SetString("-12345678901234567890.5")
	values := []any{
		int64(255), int64(-32768), int64(-2147483648), int64(9223372036854775807), true, float64(1.5), float64(-2.25),
		"Ärger 😀", strings.Repeat("x", 9000),
		[]byte{1, 2},
		[]byte{},
		at, at, at, at, at.In(time.FixedZone("", 19800)), big1,
		new(big.Rat).SetInt64(-99999),
		UUID{0x0e, 0x98, 0x4c, 0x1a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
		int64(3), int64(1) << 40, "Enterprise", true, 0.5,
	}
	null := make([]any, len(types))
	addr := serve(t, Options{Handler: handlerFuncs{query: func(context.Context, *Session, Request) Response {
		return Response{Results: []Result{{Columns: types, Rows: [][]any{values, null}}}}
	}}})
	rows, err := open(t, addr, "encrypt=disable", nil).QueryContext(t.Context(), "select everything")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	want := append([]any{}, values...)
	want[11] = time.Date(2026, 2, 28, 23, 59, 58, 986_666_666, time.UTC) // in units of 1/300 s
	want[12] = time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC)
	want[14] = at.Truncate(time.Millisecond)
	want[16], want[17] = []byte("-12345678901234567890.5000"), []byte("-99999")
	want[18] = []byte{0x1a, 0x4c, 0x98, 0x0e, 2, 1, 4, 3, 5, 6, 7, 8, 9, 10, 11, 12}
	for _, want := range [][]any{want, null} {
		if !rows.Next() {
			t.Fatalf("no row, %v", rows.Err())
		}
		got, into := make([]any, len(types)), make([]any, len(types))
		for i := range got {
			into[i] = &got[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for i, c := range types {
			near := cmp.Comparer(func(a, b time.Time) bool { return a.Sub(b).Abs() < 4*time.Millisecond })
			if c.Type.Kind != DateTime {
				near = cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
			}
			if diff := cmp.Diff(want[i], got[i], near); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", c.Name, diff)
			}
		}
	}
	if rows.Next() || rows.Err() != nil {
		t.Errorf("more rows than two, or %v", rows.Err())
	}
}

// TestParameters shows that each type a client sends arrives as itself.
func TestParameters(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 28, 23, 59, 58, 987_654_300, time.FixedZone("", -3600))
	var got Request
	addr := serve(t, Options{Handler: handlerFuncs{query: func(_ context.Context, _ *Session, r Request) Response {
		got = r
		return Response{Status: 7}
	}}})
	db := open(t, addr, "encrypt=disable", nil)
	args := []any{
		int64(-5), int32(7), int16(-3), byte(200), true, 2.5, float32(0.5), "text", strings.Repeat("y", 5000),
		[]byte{0, 1, 2},
		at,
		mssql.VarChar("narrow"),
		mssql.UniqueIdentifier{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		nil,
		sql.NullString{},
		mssql.DateTime1(at),
	}
	if _, err := db.ExecContext(t.Context(), "update nothing set x = @p1", args...); err != nil {
		t.Fatal(err)
	}
	want := []any{
		int64(-5), int64(7), int64(-3), int64(200), true, 2.5, 0.5, "text", strings.Repeat("y", 5000),
		[]byte{0, 1, 2},
		at,
		"narrow",
		UUID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		nil, nil, time.Date(2026, 2, 28, 23, 59, 58, 987_000_000, time.UTC),
	}
	if got.Text != "update nothing set x = @p1" || got.Procedure != "" || len(got.Params) != len(want) {
		t.Fatalf("got text %q, procedure %q, %d parameters", got.Text, got.Procedure, len(got.Params))
	}
	for i, p := range got.Params {
		if p.Name != "@p"+strconv.Itoa(i+1) {
			t.Errorf("parameter %d is named %q", i+1, p.Name)
		}
		if diff := cmp.Diff(want[i], p.Value); diff != "" {
			t.Errorf("parameter %d (-want +got)\n%s", i+1, diff)
		}
	}

	var status mssql.ReturnStatus
	if _, err := db.ExecContext(t.Context(), "sp_server_diagnostics", sql.Named("repeat_interval", 0), &status); err != nil {
		t.Fatal(err)
	}
	if got.Procedure != "sp_server_diagnostics" || len(got.Params) != 1 || got.Params[0].Name != "@repeat_interval" || status != 7 {
		t.Errorf("procedure call arrived as %+v, status %d", got, status)
	}

	out := 1
	_, err := db.ExecContext(t.Context(), "set @o = 2", sql.Named("o", sql.Out{Dest: &out}))
	wantNumber(t, err, 8162)
}

func wantNumber(t *testing.T, err error, number int32) mssql.Error {
	t.Helper()
	var e mssql.Error
	if !errors.As(err, &e) || e.Number != number {
		t.Errorf("got %v, want error %d", err, number)
	}
	return e
}

func TestErrors(t *testing.T) {
	t.Parallel()
	row := Result{Columns: []Column{{"n", Type{Kind: Int}}}, Rows: [][]any{{int64(1)}}}
	addr := serve(t, Options{Handler: handlerFuncs{query: func(_ context.Context, _ *Session, r Request) Response {
		switch r.Text {
		case "do error":
			return Fail(&Error{Number: 208, State: 1, Class: 16, Message: "Invalid object name 'x'.", Procedure: "p", Line: 3})
		case "error after rows":
			broken := row
			broken.Error = &Error{Number: 1205, State: 51, Class: 13, Message: "deadlock"}
			return Response{Results: []Result{broken}}
		case "do fatal":
			return Fail(&Error{Number: 9001, State: 1, Class: 21, Message: "The log is not available."})
		case "hang up":
			return Response{Results: []Result{row}, HangUp: true}
		case "do wrong":
			return Response{Results: []Result{{Columns: row.Columns, Rows: [][]any{{"one"}}}}}
		case "do info":
			return Response{Results: []Result{{Messages: []Error{{Number: 50000, Message: "hello"}}}, row, row}}
		}
		return Response{Results: []Result{row}}
	}}})
	db := open(t, addr, "encrypt=disable&disableretry=true", nil)
	db.SetMaxOpenConns(1)
	query := func(text string, args ...any) (int, error) {
		rows, err := db.QueryContext(t.Context(), text, args...)
		if err != nil {
			return 0, err
		}
		defer rows.Close()
		n := 0
		for rows.Next() || rows.NextResultSet() {
			n++
		}
		return n, rows.Err()
	}
	for _, args := range [][]any{nil, {1}} { // as a batch, and as a call
		_, err := query("do error", args...)
		e := wantNumber(t, err, 208)
		if e.Class != 16 || e.State != 1 || e.ServerName != "SQL01" || e.ProcName != "p" || e.LineNo != 3 || e.Message != "Invalid object name 'x'." {
			t.Errorf("error arrived as %+v", e)
		}
		_, err = query("error after rows", args...)
		wantNumber(t, err, 1205)
		if n, err := query("do ok", args...); n != 1 || err != nil {
			t.Errorf("after errors: %d rows, %v", n, err)
		}
		if n, err := query("do info", args...); n != 3 || err != nil {
			t.Errorf("two sets: %d rows and sets, %v, want 3", n, err)
		}
		_, err = query("do fatal", args...)
		wantNumber(t, err, 9001)
		if _, err := query("do ok", args...); err == nil {
			t.Error("the connection is still open after an error of class 21")
		}
		if _, err := query("hang up", args...); err == nil {
			t.Error("a message without an end was taken for a whole one")
		}
		_, err = query("do wrong", args...)
		wantNumber(t, err, 3624)
		if _, err := query("do ok", args...); err == nil {
			t.Error("the connection is still open after a failed assertion")
		}
	}
}

func TestLoginRefused(t *testing.T) {
	t.Parallel()
	config, roots := certificate(t)
	addr := serve(t, Options{Encryption: Offered, TLS: config, Handler: handlerFuncs{login: func(context.Context, Login) *Error {
		return &Error{Number: 18456, State: 1, Class: 14, Message: "Login failed for user 'monitor'."}
	}}})
	for _, params := range []string{"encrypt=disable", "encrypt=optional", "encrypt=mandatory", "encrypt=strict"} {
		for range 20 { // a reset in place of the error would come and go
			wantNumber(t, open(t, addr, params, roots).PingContext(t.Context()), 18456)
		}
	}
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	var depth []int
	addr := serve(t, Options{Handler: handlerFuncs{query: func(_ context.Context, s *Session, r Request) Response {
		depth = append(depth, s.TransactionDepth())
		switch r.Text {
		case "do commit":
			return Response{Results: []Result{{Transaction: Commit}}}
		case "do rollback":
			return Response{Results: []Result{{Transaction: Rollback}}}
		}
		return Response{}
	}}})
	db := open(t, addr, "encrypt=disable", nil)
	exec := func(x interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
	}, text string,
	) error {
		_, err := x.ExecContext(t.Context(), text)
		return err
	}
	for _, end := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback} {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := exec(tx, "do inside"); err != nil {
			t.Errorf("statement in a transaction: %v", err)
		}
		if err := end(tx); err != nil {
			t.Error(err)
		}
		if err := exec(db, "do outside"); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]int{1, 0, 1, 0}, depth); diff != "" {
		t.Errorf("depths (-want +got)\n%s", diff)
	}
	wantNumber(t, exec(db, "do commit"), 3902)
	wantNumber(t, exec(db, "do rollback"), 3903)
}

// TestReset shows that a connection taken from a pool again is as new.
func TestReset(t *testing.T) {
	t.Parallel()
	addr := serve(t, Options{Handler: handlerFuncs{query: func(_ context.Context, s *Session, r Request) Response {
		if r.Text == "use model" {
			return Response{Results: []Result{{Database: "model"}}}
		}
		return Response{Results: []Result{{Columns: []Column{{"db", Type{Kind: NVarChar, Length: 128}}}, Rows: [][]any{{s.Database()}}}}}
	}}})
	db := open(t, addr, "encrypt=disable&database=msdb", nil)
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var now string
	if _, err := conn.ExecContext(t.Context(), "use model"); err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRowContext(t.Context(), "do where").Scan(&now); err != nil || now != "model" {
		t.Errorf("after use: %q, %v", now, err)
	}
	conn.Close()
	if err := db.QueryRowContext(t.Context(), "do where").Scan(&now); err != nil || now != "msdb" {
		t.Errorf("after the pool: %q, %v, want msdb", now, err)
	}
}

// TestCancel shows that an attention ends the handler's context and leaves the connection usable.
func TestCancel(t *testing.T) {
	t.Parallel()
	started := make(chan int, 2)
	addr := serve(t, Options{Handler: handlerFuncs{query: func(ctx context.Context, s *Session, r Request) Response {
		if r.Text == "do wait" {
			started <- s.ID()
			<-ctx.Done()
		}
		return Response{Results: []Result{{Columns: []Column{{"spid", Type{Kind: Int}}}, Rows: [][]any{{int64(s.ID())}}}}}
	}}})
	db := open(t, addr, "encrypt=disable", nil)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(ctx, "do wait")
		done <- err
	}()
	first := <-started
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled statement = %v", err)
	}
	var spid int
	if err := conn.QueryRowContext(t.Context(), "go on").Scan(&spid); err != nil || spid != first {
		t.Errorf("after an attention: session %d, %v, want %d", spid, err, first)
	}
}

// TestHangUp shows that a client that goes away ends the context of whatever it waited for.
func TestHangUp(t *testing.T) {
	t.Parallel()
	ended := make(chan string, 3)
	wait := func(ctx context.Context, what string) { <-ctx.Done(); ended <- what }
	for _, stage := range []string{"login", "query", "stream"} {
		started := make(chan struct{})
		addr := serve(t, Options{Handler: handlerFuncs{
			login: func(ctx context.Context, _ Login) *Error {
				if stage == "login" {
					close(started)
					wait(ctx, stage)
				}
				return nil
			},
			query: func(ctx context.Context, _ *Session, _ Request) Response {
				if stage == "stream" {
					return Response{Results: []Result{{Columns: []Column{{"n", Type{Kind: Int}}}, More: func(ctx context.Context) (Result, bool) {
						close(started)
						wait(ctx, stage)
						return Result{}, false
					}}}}
				}
				close(started)
				wait(ctx, stage)
				return Response{}
			},
		}})
		var nc net.Conn
		cfg, err := msdsn.Parse("sqlserver://a:b@" + addr + "?encrypt=disable")
		if err != nil {
			t.Fatal(err)
		}
		connector := mssql.NewConnectorConfig(cfg)
		connector.Dialer = dialFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
			var d net.Dialer
			nc, err = d.DialContext(ctx, network, addr)
			return nc, err
		})
		db := sql.OpenDB(connector)
		done := make(chan error, 1)
		go func() {
			_, err := db.ExecContext(t.Context(), "do wait")
			done <- err
		}()
		<-started
		nc.Close()
		if got := <-ended; got != stage {
			t.Errorf("%s ended, want %s", got, stage)
		}
		if err := <-done; err == nil {
			t.Errorf("%s on a closed connection succeeded", stage)
		}
		db.Close()
	}
}

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

func (f dialFunc) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return f(ctx, network, addr)
}

// TestStages shows that a hook can hold and drop at each stage, and that the time for a login bounds it.
func TestStages(t *testing.T) {
	t.Parallel()
	config, roots := certificate(t)
	for stage := Accepted; stage <= LoginRead; stage++ {
		for _, mode := range []string{"mandatory", "strict"} {
			for _, hold := range []bool{true, false} {
				t.Run(fmt.Sprintf("%v %s hold=%v", stage, mode, hold), func(t *testing.T) {
					t.Parallel()
					addr := serve(t, Options{
						Encryption: Offered, TLS: config, LoginTimeout: 50 * time.Millisecond,
						Handler: handlerFuncs{query: func(context.Context, *Session, Request) Response {
							t.Error("a request came through")
							return Response{}
						}},
						Stage: func(ctx context.Context, s Stage) error {
							if s != stage {
								return nil
							}
							if hold {
								<-ctx.Done()
							}
							return errors.New("no")
						},
					})
					if err := open(t, addr, "encrypt="+mode+"&disableretry=true", roots).PingContext(t.Context()); err == nil {
						t.Error("ping succeeded")
					}
				})
			}
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	addr := serve(t, Options{MaxConnections: 1, Handler: handlerFuncs{}})
	first := open(t, addr, "encrypt=disable", nil)
	if err := first.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := open(t, addr, "encrypt=disable&disableretry=true", nil).PingContext(t.Context()); err == nil {
		t.Error("a second connection was let in")
	}
}
