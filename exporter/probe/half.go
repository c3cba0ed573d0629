package probe

import (
	"context"
	"time"
)

// Half returns a context with half of the time that is left, for a question whose silence is an answer: the collector
// has time left to give it.
func Half(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}
