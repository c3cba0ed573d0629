package lab

import (
	"context"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// Await returns when ok is true of the model, or with ctx's error: it looks once now, and again whenever something was due
// in the model or somebody has changed it. When it returns nil, every address behaves as the model says. ok must not keep
// the model.
func (l *Lab) Await(ctx context.Context, ok func(*model.Model) bool) error {
	for {
		is, changed, due := l.look(ok)
		if is {
			return nil
		}
		timer := time.NewTimer(due)
		select {
		case <-timer.C:
		case <-changed:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// look lets time pass to now and asks ok. changed is closed by the next change, due is how long until something happens by
// itself.
func (l *Lab) look(ok func(*model.Model) bool) (is bool, changed <-chan struct{}, due time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.model.Advance(time.Now())
	l.behave()
	due = time.Hour
	if at, some := l.model.Next(); some {
		due = max(0, time.Until(at))
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return ok(l.model), l.changed, due
}

// tell wakes whoever awaits; the caller holds the lock.
func (l *Lab) tell() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}
