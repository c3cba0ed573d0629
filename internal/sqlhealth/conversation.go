package sqlhealth

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"
)

// Conversation is a login that lasts, for a client that does what an application does: one statement after the other, a
// transaction among them. It is for one goroutine.
type Conversation struct {
	session  *session
	attempt  *attempt
	life     context.Context //nolint:containedctx // the conversation's own, which its statements cannot outlive
	watchdog *time.Timer
	patience time.Duration
}

// Patience is how long an answer may take until the connection is closed.
type Patience struct {
	Login     time.Duration
	Statement time.Duration
}

// talked keeps what a talk itself returned apart from why there was none.
type talked struct{ error }

// Converse logs in anew to a prober's instance and calls talk, whose context ends with ctx or when an answer is overdue, and
// which must return then. The connection is closed at its end; what it left open is rolled back by SQL Server. What talk
// returns comes back, an error of its own as it is and without the value; every other error is an *Error.
//
// Where the driver does not notice that its connection was closed, talk may still be running behind the back of a call that
// has returned (Prober.Abandoned): it must write to nothing that its caller reads without a lock.
func Converse[T any](ctx context.Context, p *Prober, patience Patience, talk func(context.Context, *Conversation) (T, error)) (T, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	life := watched{ctx}
	watchdog := time.AfterFunc(patience.Login, func() { cancel(context.DeadlineExceeded) })
	defer watchdog.Stop()
	a := newAttempt(p)
	v, err := perform(life, a, func(s *session) (T, error) {
		watchdog.Stop()
		c := &Conversation{session: s, attempt: a, life: life, watchdog: watchdog, patience: patience.Statement}
		v, err := talk(life, c)
		if err != nil {
			err = talked{err}
		}
		return v, err
	})
	if err == nil {
		return v, nil
	}
	if t, ok := errors.AsType[talked](err); ok {
		return v, t.error
	}
	return v, a.judge(life, err)
}

// Do runs one statement, of at least two words, and returns how many rows it wrote. The error is an *Error; after one the
// conversation is at its end.
func (c *Conversation) Do(text string) (int64, error) {
	defer c.expect()()
	n, err := c.session.exec(text)
	if err != nil {
		return 0, c.attempt.judge(c.life, err)
	}
	return n, nil
}

// Ask runs one statement and returns its rows, at most so many. The error is an *Error; after one the conversation is at
// its end.
func (c *Conversation) Ask(text string, columns, most int) ([][]driver.Value, error) {
	defer c.expect()()
	rows, err := c.session.query(text, columns, most)
	if err != nil {
		return nil, c.attempt.judge(c.life, err)
	}
	return rows, nil
}

// expect begins to wait for an answer.
func (c *Conversation) expect() (answered func()) {
	c.attempt.progress.answered()
	c.watchdog.Reset(c.patience)
	return func() { c.watchdog.Stop() }
}

// exec runs one statement that gives no rows.
func (s *session) exec(text string) (int64, error) {
	stmt, err := s.conn.Prepare(text) // nothing is sent yet
	if err != nil {
		return 0, err
	}
	doer, ok := stmt.(driver.StmtExecContext)
	if !ok {
		return 0, errors.New("driver without StmtExecContext")
	}
	result, err := doer.ExecContext(context.Background(), nil)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
