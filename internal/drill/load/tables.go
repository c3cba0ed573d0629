package load

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

// batch is how many rows one INSERT makes; SQL Server takes 1,000 (learn.microsoft.com, "Table value constructor").
const batch = 500

// Tables left by a drill that was killed are removed by the next one, once nobody can be using them any more. maxTables is
// far beyond what a database has.
const (
	leftAfter = 24 * time.Hour
	maxTables = 1_000_000
)

// product and mark are a product's code and a transaction's own, as wide as the column.
func product(n int) string { return fmt.Sprintf("P%09d", n) }
func mark(n int) string    { return fmt.Sprintf("S%09d", n) }

// remark is what a transaction leaves on a product.
func remark(n, seq int) string { return fmt.Sprintf("product %d #%d", n, seq) }

// Prepare makes the tables, after removing what drills of a day ago and more have left behind. Where it fails, it leaves
// nothing.
func (c *Client) Prepare(ctx context.Context) error {
	var begun atomic.Bool
	_, err := sqlhealth.Converse(ctx, c.o.Prober, c.patience(), func(_ context.Context, talk *sqlhealth.Conversation) (struct{}, error) {
		left, err := c.drills(talk)
		if err != nil {
			return struct{}{}, err
		}
		for _, table := range slices.DeleteFunc(left, func(name string) bool { return !c.old(name) }) {
			if _, err := talk.Do("DROP TABLE IF EXISTS " + c.full(table)); err != nil {
				return struct{}{}, err
			}
		}
		begun.Store(true)
		return struct{}{}, c.fill(talk)
	})
	if err != nil {
		err = c.in("make the tables in database "+c.o.Database, err)
		if !begun.Load() {
			return err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.o.Login+c.o.Statement)
		defer cancel()
		if again := c.Remove(ctx); again != nil {
			return fmt.Errorf("%w; and they may still be there: %w", err, again)
		}
		return err
	}
	c.prepared = true
	return nil
}

// Leftovers lists the tables of drills that are in the database, this one's among them: where a drill was killed, its own
// stay until another one finds them a day later.
func (c *Client) Leftovers(ctx context.Context) ([]string, error) {
	return persist(ctx, c, "list the tables in database "+c.o.Database, c.drills)
}

// drills lists the tables of drills.
func (c *Client) drills(talk *sqlhealth.Conversation) ([]string, error) {
	rows, err := talk.Ask("SELECT name FROM "+quote(c.o.Database)+".sys.tables", 1, maxTables)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, row := range rows {
		if name, ok := row[0].(string); ok && strings.HasPrefix(name, Prefix) {
			list = append(list, name)
		}
	}
	return list, nil
}

// old reports whether a table is of a drill that nobody can be in any more, by the time in its name. One that bears none
// is not ours to judge.
func (c *Client) old(table string) bool {
	stamp, _, _ := strings.Cut(strings.TrimPrefix(table, Prefix), "_")
	at, err := time.Parse(stampLayout, stamp)
	return err == nil && c.born.Sub(at) > leftAfter
}

// fill makes the tables and their products.
func (c *Client) fill(talk *sqlhealth.Conversation) error {
	for _, text := range []string{
		"CREATE TABLE " + c.a + " (product_code NCHAR(10) NOT NULL PRIMARY KEY, remark NVARCHAR(50) NULL)",
		"CREATE TABLE " + c.b + " (product_code NCHAR(10) NOT NULL PRIMARY KEY, product_name NVARCHAR(50) NULL)",
	} {
		if _, err := talk.Do(text); err != nil {
			return err
		}
	}
	for first := 1; first <= c.o.Rows; first += batch {
		var a, b []string
		for n := first; n < first+batch && n <= c.o.Rows; n++ {
			a = append(a, fmt.Sprintf("(N'%s', NULL)", product(n)))
			b = append(b, fmt.Sprintf("(N'%s', N'product %d')", product(n), n))
		}
		if _, err := talk.Do("INSERT INTO " + c.a + " VALUES " + strings.Join(a, ", ")); err != nil {
			return err
		}
		if _, err := talk.Do("INSERT INTO " + c.b + " VALUES " + strings.Join(b, ", ")); err != nil {
			return err
		}
	}
	return nil
}

// Remove drops the tables; it is no error where there are none. It tries until it succeeds or ctx ends: the instance may
// be starting.
func (c *Client) Remove(ctx context.Context) error {
	_, err := persist(ctx, c, "remove "+strings.Join(c.Tables(), " and "), func(talk *sqlhealth.Conversation) (struct{}, error) {
		for _, table := range c.Tables() {
			if _, err := talk.Do("DROP TABLE IF EXISTS " + table); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

// retryEvery is the time between two attempts at what must succeed in the end.
const retryEvery = 500 * time.Millisecond

// persist converses until it goes well once, or ctx ends; the error is then the last attempt's. An error that no waiting
// changes ends it at once.
func persist[T any](ctx context.Context, c *Client, what string, talk func(*sqlhealth.Conversation) (T, error)) (T, error) {
	for {
		v, err := sqlhealth.Converse(ctx, c.o.Prober, c.patience(), func(_ context.Context, conversation *sqlhealth.Conversation) (T, error) {
			return talk(conversation)
		})
		if err == nil {
			return v, nil
		}
		if permanent(err) || !wait(ctx, retryEvery) {
			return v, c.in(what, err)
		}
	}
}

// wait waits; it is false where ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
