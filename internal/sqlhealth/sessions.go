package sqlhealth

import (
	"context"
	"time"
)

// SessionReport is who waits for whom, and what is open. A part that could not be seen is nil and has its Failure.
type SessionReport struct {
	Blocked      *Blocked
	Transactions *Transactions
}

// Blocked are the requests that wait for what another session holds.
type Blocked struct {
	Requests int
	Longest  time.Duration // 0 where there is none
}

// Transactions are those that users have open.
type Transactions struct {
	Active int
	Oldest time.Duration // 0 where there is none
}

const (
	blockedText          = `SELECT session_id, blocking_session_id, wait_time FROM sys.dm_exec_requests WHERE blocking_session_id <> 0`
	userTransactionsText = `SELECT transaction_id FROM sys.dm_tran_session_transactions WHERE is_user_transaction = 1`
	transactionsText     = `SELECT transaction_id, transaction_begin_time FROM sys.dm_tran_active_transactions`
)

// maxTransactions is far more than one instance has open.
const maxTransactions = 1 << 20

// SessionReport logs in anew and asks what the sessions do to each other.
func (p *Prober) SessionReport(ctx context.Context) (SessionReport, []*Failure) {
	var now circumstances
	return report(ctx, p, []step[SessionReport]{
		{"read the permissions", func(s *session, _ func(func(*SessionReport))) (err error) {
			now, err = s.circumstances()
			return err
		}},
		{"read who is blocked", func(s *session, add func(func(*SessionReport))) error {
			blocked, err := s.blocked(now)
			add(func(r *SessionReport) { r.Blocked = blocked })
			return err
		}},
		{"read the transactions", func(s *session, add func(func(*SessionReport))) error {
			open, err := s.transactions(now)
			add(func(r *SessionReport) { r.Transactions = open })
			return err
		}},
	})
}

// The values of blocking_session_id that name no session but a transaction that nobody owns, or whose recovery is put
// off. Those below them are latches whose owner is not known, or not followed: not blocking. Source:
// learn.microsoft.com, "sys.dm_exec_requests".
const (
	orphanedTransaction = -2
	deferredTransaction = -3
)

func (s *session) blocked(now circumstances) (*Blocked, error) {
	if err := now.mustSeeAll(); err != nil {
		return nil, err
	}
	type wait struct {
		session, by int64
		long        time.Duration
	}
	waits, err := all(s, blockedText, 3, maxRequests, func(r *record) wait { return wait{r.number(0), r.number(1), r.milliseconds(2)} })
	if err != nil {
		return nil, err
	}
	out := &Blocked{}
	for _, w := range waits {
		if w.by == w.session || w.by < 0 && w.by != orphanedTransaction && w.by != deferredTransaction {
			continue
		}
		out.Requests++
		out.Longest = max(out.Longest, w.long)
	}
	return out, nil
}

// transactions are the users' with their age. Both times are of the instance's own clock; one that was set back since
// makes no age.
func (s *session) transactions(now circumstances) (*Transactions, error) {
	ids, err := all(s, userTransactionsText, 1, maxTransactions, func(r *record) int64 { return r.number(0) })
	if err != nil {
		return nil, err
	}
	users := make(map[int64]bool, len(ids))
	for _, id := range ids {
		users[id] = true
	}
	type open struct {
		id    int64
		begin time.Time
	}
	list, err := all(s, transactionsText, 2, maxTransactions, func(r *record) open { return open{r.number(0), r.time(1)} })
	if err != nil {
		return nil, err
	}
	out := &Transactions{Active: len(users)} // a bound session's is listed twice
	for _, t := range list {
		if users[t.id] {
			out.Oldest = max(out.Oldest, now.wall.Sub(t.begin))
		}
	}
	return out, nil
}
