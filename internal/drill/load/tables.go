package load

import (
	"context"
	"fmt"
	"strings"
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
	err := c.o.Prober.Converse(ctx, c.patience(), func(_ context.Context, talk *sqlhealth.Conversation) error {
		left, err := c.leftovers(talk)
		if err != nil {
			return err
		}
		for _, table := range left {
			if _, err := talk.Do("DROP TABLE IF EXISTS " + c.full(table)); err != nil {
				return err
			}
		}
		return c.fill(talk)
	})
	if err != nil {
		err = c.in("make the tables in database "+c.o.Database, err)
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

// leftovers lists the tables of drills that are over.
func (c *Client) leftovers(talk *sqlhealth.Conversation) ([]string, error) {
	rows, err := talk.Ask("SELECT name FROM "+quote(c.o.Database)+".sys.tables", 1, maxTables)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, row := range rows {
		name, ok := row[0].(string)
		if rest, ours := strings.CutPrefix(name, Prefix); ok && ours {
			stamp, _, _ := strings.Cut(rest, "_")
			if at, err := time.Parse(stampLayout, stamp); err == nil && c.born.Sub(at) > leftAfter {
				list = append(list, name)
			}
		}
	}
	return list, nil
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
	return c.persist(ctx, "remove "+strings.Join(c.Tables(), " and "), func(_ context.Context, talk *sqlhealth.Conversation) error {
		for _, table := range c.Tables() {
			if _, err := talk.Do("DROP TABLE IF EXISTS " + table); err != nil {
				return err
			}
		}
		return nil
	})
}

// retryEvery is the time between two attempts at what must succeed in the end.
const retryEvery = 500 * time.Millisecond

// persist converses until it goes well once, or ctx ends; the error is then the last attempt's. An error that
// no waiting changes ends it at once.
func (c *Client) persist(ctx context.Context, what string, talk func(context.Context, *sqlhealth.Conversation) error) error {
	for {
		err := c.o.Prober.Converse(ctx, c.patience(), talk)
		if err == nil {
			return nil
		}
		if permanent(err) || !wait(ctx, retryEvery) {
			return c.in(what, err)
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
