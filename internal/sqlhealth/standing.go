package sqlhealth

import "context"

// Standing is what an instance can say of why it is as it is, before it is ended. A part that could not be seen is nil
// and has its Failure.
type Standing struct {
	Waits        []Wait
	Blocked      *Blocked
	Transactions *Transactions
	Work         *Work
}

// The parts of a Standing, as its Failures name them.
const (
	PartWaits        = "read the waits"
	PartBlocked      = "read who is blocked"
	PartTransactions = "read the transactions"
	PartWork         = "read what is open"
)

// Standing logs in anew and asks, in one session, what is waited for and what is open.
func (p *Prober) Standing(ctx context.Context) (Standing, []*Failure) {
	var now circumstances
	return report(ctx, p, []step[Standing]{
		{"read the permissions", func(s *session, _ func(func(*Standing))) (err error) {
			now, err = s.circumstances()
			return err
		}},
		{PartWaits, func(s *session, add func(func(*Standing))) error {
			list, err := s.waits()
			add(func(r *Standing) { r.Waits = list })
			return err
		}},
		{PartBlocked, func(s *session, add func(func(*Standing))) error {
			blocked, err := s.blocked(now)
			add(func(r *Standing) { r.Blocked = blocked })
			return err
		}},
		{PartTransactions, func(s *session, add func(func(*Standing))) error {
			open, err := s.transactions(now)
			add(func(r *Standing) { r.Transactions = open })
			return err
		}},
		{PartWork, func(s *session, add func(func(*Standing))) error {
			work, err := s.work(now)
			if err == nil {
				add(func(r *Standing) { r.Work = &work })
			}
			return err
		}},
	})
}

// Last is the set that came last, whenever that was; without Received where none did. It waits for nothing.
func (s *Stream) Last() Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}
