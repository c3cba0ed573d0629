package tdsserver

import (
	"context"
	"database/sql"
	"errors"
	"testing"
)

// TestStream shows sets of rows that come as the handler gives them, the end of a stream, and an attention that cuts
// one short on a connection that can be used afterwards.
func TestStream(t *testing.T) {
	t.Parallel()
	sets := make(chan int64)
	ended := make(chan struct{}, 8)
	set := func(n int64) Result {
		return Result{Columns: []Column{{"n", Type{Kind: BigInt}}}, Rows: [][]any{{n}, {-n}}}
	}
	addr := serve(t, Options{Handler: handlerFuncs{query: func(_ context.Context, _ *Session, r Request) Response {
		first := set(0)
		if r.Text != "one set" {
			first.More = func(ctx context.Context) (Result, bool) {
				select {
				case n, ok := <-sets:
					return set(n), ok
				case <-ctx.Done():
					ended <- struct{}{}
					return Result{}, false
				}
			}
		}
		return Response{Results: []Result{first}}
	}}})
	db := open(t, addr, "encrypt=disable", nil)
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The driver tells the end of a set when it sees the next one, so the rows are counted.
	read := func(rows *sql.Rows, want int64) {
		t.Helper()
		for _, w := range []int64{want, -want} {
			var n int64
			if !rows.Next() {
				t.Fatalf("no row: %v", rows.Err())
			}
			if err := rows.Scan(&n); err != nil || n != w {
				t.Errorf("row = %d, %v, want %d", n, err, w)
			}
		}
	}
	for _, text := range []string{"go on", "procedure"} { // one word is a remote procedure call to the driver
		ctx, cancel := context.WithCancel(t.Context())
		rows, err := conn.QueryContext(ctx, text)
		if err != nil {
			t.Fatal(err)
		}
		read(rows, 0)
		for n := int64(1); n < 4; n++ {
			sets <- n // nothing of it was there before
			if rows.Next() || !rows.NextResultSet() {
				t.Fatalf("no set %d: %v", n, rows.Err())
			}
			read(rows, n)
		}
		cancel()
		<-ended
		if rows.NextResultSet(); rows.Err() != nil && !errors.Is(rows.Err(), context.Canceled) {
			t.Errorf("after the attention: %v", rows.Err())
		}
		rows.Close()
		var n int64
		if err := conn.QueryRowContext(t.Context(), "one set").Scan(&n); err != nil || n != 0 {
			t.Errorf("after the attention: %d, %v", n, err)
		}
	}
	close(sets)
	for _, text := range []string{"go on", "procedure"} {
		rows, err := conn.QueryContext(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		read(rows, 0)
		if rows.Next() || rows.NextResultSet() || rows.Err() != nil {
			t.Errorf("%s: a set after the last, or %v", text, rows.Err())
		}
		rows.Close()
	}
}
