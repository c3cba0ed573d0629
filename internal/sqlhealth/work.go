package sqlhealth

import (
	"context"
	"time"
)

// Work is what a restart of the instance would break off.
type Work struct {
	// Oldest is the age of the oldest transaction that has generated log records in a database other than tempdb, which is
	// made anew at every start; 0 where there is none.
	Oldest time.Duration
	// Rollbacks are the transactions that are being rolled back, RollingBack the age of the oldest of them.
	Rollbacks   int
	RollingBack time.Duration
	Running
}

// The statements. States: learn.microsoft.com, "sys.dm_tran_database_transactions" (4 has generated log records, 5 has
// been prepared, 12 is being committed) and "sys.dm_tran_active_transactions" (7 is being rolled back). A transaction
// that only reads has nothing to undo.
const (
	writersText   = `SELECT database_transaction_begin_time FROM sys.dm_tran_database_transactions WHERE database_id <> 2 AND database_transaction_state IN (4, 5, 12)`
	rollbacksText = `SELECT transaction_begin_time FROM sys.dm_tran_active_transactions WHERE transaction_state = 7`
)

// Work logs in anew and asks what must not be interrupted. It answers all of it or nothing.
func (p *Prober) Work(ctx context.Context) (Work, error) {
	w, failures := report(ctx, p, []step[Work]{{"read what is open", func(s *session, add func(func(*Work))) error {
		now, err := s.circumstances()
		if err != nil {
			return err
		}
		out, err := s.work(now)
		if err != nil {
			return err
		}
		add(func(w *Work) { *w = out })
		return nil
	}}})
	if len(failures) > 0 {
		return Work{}, failures[0]
	}
	return w, nil
}

func (s *session) work(now circumstances) (Work, error) {
	running, err := s.running(now)
	if err != nil {
		return Work{}, err
	}
	out := Work{Running: *running}
	writers, err := all(s, writersText, 1, maxTransactions, func(r *record) time.Duration { return r.age(0, now) })
	if err != nil {
		return Work{}, err
	}
	for _, age := range writers {
		out.Oldest = max(out.Oldest, age)
	}
	rollbacks, err := all(s, rollbacksText, 1, maxTransactions, func(r *record) time.Duration { return r.age(0, now) })
	if err != nil {
		return Work{}, err
	}
	out.Rollbacks = len(rollbacks)
	for _, age := range rollbacks {
		out.RollingBack = max(out.RollingBack, age)
	}
	return out, nil
}

// age is how long ago a time of the instance's own clock was; NULL is no age.
func (r *record) age(i int, now circumstances) time.Duration {
	if r.values[i] == nil {
		return 0
	}
	return max(0, now.wall.Sub(r.time(i)))
}
