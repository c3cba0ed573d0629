package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

// How a session ends besides its connection's end.
const (
	// finish is how long a transaction under way may take when Run is to end, before it is given up.
	finish = 5 * time.Second
	// lostAfter is how long the port may be away until a session is given up that heard nothing of it: nobody resets a
	// connection to a machine that is off, and the operating system would wait for minutes.
	lostAfter = 5 * time.Second
	// pingEvery is how often a transaction that is held asks something, so that it notices its connection's end.
	pingEvery = time.Second
	// backOff is the least time between two logins.
	backOff = 100 * time.Millisecond
)

// errUnprepared says that there are no tables.
var errUnprepared = errors.New("load: Run before Prepare")

// Run runs transaction after transaction until ctx ends, and logs in again as often as that is needed. It returns when
// the last one has come to its end, at most 5 s after ctx and not in an error: what went wrong is counted.
func (c *Client) Run(ctx context.Context) error {
	if !c.prepared {
		return errUnprepared
	}
	c.mu.Lock()
	c.began = time.Now()
	c.mu.Unlock()
	var knocking sync.WaitGroup
	knocking.Go(func() { c.knock(ctx) })
	defer knocking.Wait()
	for ctx.Err() == nil {
		c.session(ctx)
		wait(ctx, max(c.o.Every, backOff))
	}
	c.mu.Lock()
	c.ended = time.Now()
	c.mu.Unlock()
	return nil
}

// session is one login and the transactions in it.
func (c *Client) session(ctx context.Context) {
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(finish, cut) })()
	c.mu.Lock()
	c.cut = cut
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cut = nil
	}()
	var in atomic.Bool
	_, err := sqlhealth.Converse(life, c.o.Prober, c.patience(), func(talking context.Context, talk *sqlhealth.Conversation) (struct{}, error) {
		in.Store(true)
		for ctx.Err() == nil {
			if err := c.transact(ctx, talking, talk); err != nil {
				return struct{}{}, err
			}
			select {
			case <-ctx.Done():
			case <-talking.Done():
				return struct{}{}, talking.Err()
			case <-time.After(c.o.Every):
			}
		}
		return struct{}{}, nil
	})
	if err != nil && !in.Load() && ctx.Err() == nil {
		c.end(c.begin(), failed, err) // nobody let us in
	}
}

// transact is one transaction: it reads, updates, leaves its mark, stays open, and commits.
func (c *Client) transact(ctx, talking context.Context, talk *sqlhealth.Conversation) error {
	seq := c.begin()
	n := 1 + seq%c.o.Rows
	update := fmt.Sprintf("UPDATE a SET remark = b.product_name + N' #%d' FROM %s AS a INNER JOIN %s AS b ON a.product_code = b.product_code", seq, c.a, c.b)
	touched := int64(c.o.Rows)
	if c.o.Shape == Short {
		update += " WHERE a.product_code = N'" + product(n) + "'"
		touched = 1
	}
	read := "SELECT product_name FROM " + c.b + " WHERE product_code = N'" + product(n) + "'"
	before := func() error {
		if _, err := talk.Do("BEGIN TRANSACTION"); err != nil {
			return err
		}
		if _, err := talk.Ask(read, 1, 1); err != nil {
			return err
		}
		if rows, err := talk.Do(update); err != nil {
			return err
		} else if rows != touched {
			return fmt.Errorf("%w: %d rows were updated, want %d", errShape, rows, touched)
		}
		if _, err := talk.Do(fmt.Sprintf("INSERT INTO %s VALUES (N'%s', NULL)", c.a, mark(seq))); err != nil {
			return err
		}
		for left := c.o.Hold; left > 0; left -= pingEvery {
			select {
			case <-ctx.Done():
				return ctx.Err() // not committed: the connection's end rolls it back
			case <-talking.Done():
				return talking.Err()
			case <-time.After(min(left, pingEvery)):
			}
			if _, err := talk.Ask(read, 1, 1); err != nil {
				return err
			}
		}
		return nil
	}
	if err := before(); err != nil {
		if ctx.Err() != nil {
			c.end(seq, failed, nil) // given up by us, which is no fault
			return context.Canceled
		}
		c.end(seq, failed, err)
		return err
	}
	// Before the bytes leave: from now on it may be there.
	c.end(seq, committing, nil)
	if _, err := talk.Do("COMMIT TRANSACTION"); err != nil {
		c.end(seq, unknown, err)
		return err
	}
	c.end(seq, acknowledged, nil)
	return nil
}

// errShape says that SQL Server did something else than it was asked to.
var errShape = errors.New("not what was asked for")

// begin gives a transaction its number, which no other one has.
func (c *Client) begin() (seq int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.transactions = append(c.transactions, transaction{underway, time.Now()})
	return len(c.transactions)
}

// end notes what became of a transaction.
func (c *Client) end(seq int, o outcome, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.transactions[seq-1] = transaction{o, time.Now()}
	if err != nil {
		c.errors[kind(err)]++
	}
}

// givenUp is the kind of an error that is ours: the connection was closed from this side.
const givenUp = "given_up"

// kind is what an error is counted under: SQL Server's number where it gave one, otherwise the reason in the words of
// probe_failure_reason.
func kind(err error) string {
	e, ok := errors.AsType[*sqlhealth.Error](err)
	switch {
	case ok && e.Number != 0:
		return fmt.Sprintf("error %d", e.Number)
	case errors.Is(err, context.Canceled):
		return givenUp
	case ok:
		return string(e.Reason)
	}
	return string(dial.Other)
}

// permanent reports whether no waiting changes an error: it is about our login or its permissions, SQL Server does
// something else than it was asked to, or the tables are not there (208).
func permanent(err error) bool {
	if errors.Is(err, errShape) {
		return true
	}
	const noSuchObject = 208
	e, ok := errors.AsType[*sqlhealth.Error](err)
	return ok && (e.Reason.Ours() && e.Reason != dial.DNS || e.Number == noSuchObject)
}
