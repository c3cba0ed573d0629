package load

import (
	"context"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// knockPatience is how long a connection may take until the port counts as lost: many times what one takes in one data
// centre, and less than the operating system's first repetition of a SYN, one second (RFC 6298, 2.1).
const knockPatience = 500 * time.Millisecond

// knock asks again and again whether the port is open, and keeps the time in which it was not: from the first attempt that
// failed to the first that succeeded again.
func (c *Client) knock(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		attempt, cancel := context.WithTimeout(ctx, knockPatience)
		reason := c.o.Prober.Connect(attempt)
		cancel()
		if ctx.Err() != nil {
			break // what was cut short says nothing
		}
		c.knocked(began, time.Now(), reason)
		wait(ctx, c.o.KnockEvery-time.Since(began))
	}
}

// knocked notes how an attempt went.
func (c *Client) knocked(began, ended time.Time, reason dial.Reason) {
	if reason.Ours() {
		return // a name that does not resolve says nothing of the port
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.outages)
	lost := n > 0 && c.outages[n-1].to.IsZero()
	switch {
	case reason == dial.Answered && lost:
		c.outages[n-1].to = ended
	case reason != dial.Answered && !lost:
		c.outages = append(c.outages, span{from: began})
	case reason != dial.Answered && ended.Sub(c.outages[n-1].from) >= lostAfter && c.cut != nil:
		c.cut()
	}
}
