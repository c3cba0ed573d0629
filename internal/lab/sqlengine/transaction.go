package sqlengine

import (
	"context"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// transaction is BEGIN, COMMIT or ROLLBACK. The session counts how deep they are nested when the reply is written; until
// then env does.
type transaction struct{ change tdsserver.TransactionChange }

func (t transaction) run(env *environment) tdsserver.Result {
	switch t.change {
	case tdsserver.Unchanged:
	case tdsserver.Begin:
		if env.depth++; env.depth == 1 && env.session != nil {
			env.work = env.engine.disk.begin(env.session, env.Now)
		}
	case tdsserver.Commit:
		if env.depth == 0 {
			break // which the session refuses
		}
		if env.depth--; env.depth > 0 || env.session == nil {
			break
		}
		if env.Frozen && !env.engine.thawed(env.ctx) || !env.engine.disk.commit(env.session, env.work) {
			return tdsserver.Result{Error: killed()}
		}
		env.work = nil
	case tdsserver.Rollback:
		env.engine.disk.rollback(env.session, env.work)
		env.depth, env.work = 0, nil
	}
	return tdsserver.Result{Transaction: t.change}
}

var _ tdsserver.Transactions = (*Engine)(nil)

// Change implements tdsserver.Transactions.
func (e *Engine) Change(ctx context.Context, s *tdsserver.Session, c tdsserver.TransactionChange) *tdsserver.Error {
	snapshot := e.instance.Snapshot()
	switch snapshot.Phase {
	case Running, Paused, SingleUser, Starting:
	case ShuttingDown:
		return raise(6005, 14, "SHUTDOWN is in progress.")
	case Hung:
		<-ctx.Done()
		return killed()
	}
	if !e.disk.enter(snapshot.Run) {
		return killed()
	}
	switch c {
	case tdsserver.Unchanged:
	case tdsserver.Begin:
		e.disk.begin(s, snapshot.Now)
	case tdsserver.Commit:
		if snapshot.Frozen && !e.thawed(ctx) || !e.disk.commit(s, e.disk.of(s)) {
			return killed()
		}
	case tdsserver.Rollback:
		e.disk.rollback(s, e.disk.of(s))
	}
	return nil
}

// Ended implements tdsserver.Transactions: what a session leaves open is rolled back.
func (e *Engine) Ended(s *tdsserver.Session) { e.disk.rollback(s, e.disk.of(s)) }

// thawed waits while SQL Server's writes are frozen. It is false where the client did not wait, or SQL Server ended.
func (e *Engine) thawed(ctx context.Context) bool {
	const look = 50 * time.Millisecond
	for s := e.instance.Snapshot(); s.Frozen; s = e.instance.Snapshot() {
		if s.Phase == ShuttingDown {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(look):
		}
	}
	return true
}

// write runs a statement that writes: in the session's transaction where there is one, otherwise in one of its own that
// ends with it. A statement that fails changes nothing; a deadlock ends the whole transaction.
func (env *environment) write(do func(*work) (int64, *tdsserver.Error)) tdsserver.Result {
	if env.Frozen && !env.engine.thawed(env.ctx) {
		return tdsserver.Result{Error: killed()}
	}
	d, w := env.engine.disk, env.work
	if w == nil {
		w = d.begin(nil, env.Now)
	}
	n, failed := do(w)
	switch {
	case env.work == nil && failed != nil:
		d.rollback(nil, w)
		return tdsserver.Result{Error: failed}
	case env.work == nil:
		if !d.commit(nil, w) {
			return tdsserver.Result{Error: killed()}
		}
	case failed != nil && failed.Number == 1205:
		d.rollback(env.session, w)
		env.depth, env.work = 0, nil
		return tdsserver.Result{Error: failed, Transaction: tdsserver.Rollback}
	case failed != nil:
		return tdsserver.Result{Error: failed}
	}
	env.affected = max(0, n)
	if n < 0 {
		return tdsserver.Result{}
	}
	return tdsserver.Result{Counted: true, Affected: uint64(n)}
}

// uncounted is the number of rows of a statement that has none.
const uncounted = -1

// replace puts the next version of a table in the place of the present one.
func (env *environment) replace(w *work, name object, next *table, rows int) {
	env.engine.disk.write(w, name, next, rows, env.Now)
}
