package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

// Result is what a run came to.
type Result struct {
	// Acknowledged commits were answered; Lost of them are not there any more, which must never be.
	Acknowledged, Lost int
	// Unknown commits were sent and not answered; Kept of them are there.
	Unknown, Kept int
	// Failed transactions were never committed; Ghosts of them are there all the same, which must never be.
	Failed, Ghosts int
	// Torn products do not bear the remark of the last transaction that is there and changed them: a part of it is
	// missing, which must never be.
	Torn int
	// Errors counts what went wrong, by SQL Server's number ("error 922") or the reason in the words of
	// probe_failure_reason.
	Errors map[string]int

	// LongestGap is the longest time without an acknowledged commit, between GapFrom and GapTo: from one to the next, or
	// from Run's begin, or to its end.
	LongestGap     time.Duration
	GapFrom, GapTo time.Time
	// LastAcknowledged is when the newest commit was acknowledged; zero where none was.
	LastAcknowledged time.Time
	// TCPLost is how long in all the port was not open to a client: from the first attempt that failed to the first that
	// succeeded again, give or take Options.KnockEvery.
	TCPLost time.Duration
}

// Tally is what is known without asking SQL Server: all of Result but for Lost, Kept, Ghosts and Torn.
func (c *Client) Tally() Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Result{Errors: map[string]int{}}
	for kind, n := range c.errors {
		r.Errors[kind] = n
	}
	last, until := c.began, c.ended
	if until.IsZero() {
		until = time.Now()
	}
	gap := func(to time.Time) {
		if d := to.Sub(last); !last.IsZero() && d > r.LongestGap {
			r.LongestGap, r.GapFrom, r.GapTo = d, last, to
		}
		last = to
	}
	for _, t := range c.transactions {
		switch t.outcome {
		case underway:
		case committing:
			if !c.ended.IsZero() { // the driver hangs in it
				r.Unknown++
			}
		case failed:
			r.Failed++
		case unknown:
			r.Unknown++
		case acknowledged:
			r.Acknowledged++
			r.LastAcknowledged = t.at
			gap(t.at)
		}
	}
	gap(until)
	for _, o := range c.outages {
		to := o.to
		if to.IsZero() {
			to = until
		}
		r.TCPLost += to.Sub(o.from)
	}
	return r
}

// page is how many marks are read at once.
const page = 1000

// kept is what is there: the marks of transactions, and how many products do not bear the remark that they must.
type kept struct {
	marks map[int]bool
	torn  int
}

// Verify counts what is there, after Run. It tries until it succeeds or ctx ends: the instance may still be starting.
func (c *Client) Verify(ctx context.Context) (Result, error) {
	r := c.Tally()
	c.mu.Lock()
	all := slices.Clone(c.transactions)
	c.mu.Unlock()
	found, err := persist(ctx, c, "verify", func(talk *sqlhealth.Conversation) (kept, error) {
		k := kept{marks: map[int]bool{}}
		for first := 1; first <= len(all); first += page {
			if err := c.marks(talk, first, k.marks); err != nil {
				return k, err
			}
		}
		var err error
		k.torn, err = c.torn(talk, len(all), k.marks)
		return k, err
	})
	if err != nil {
		return r, err
	}
	r.Torn = found.torn
	for i, t := range all {
		is := found.marks[i+1]
		switch t.outcome {
		case underway, failed:
			if is {
				r.Ghosts++
			}
		case committing, unknown:
			if is {
				r.Kept++
			}
		case acknowledged:
			if !is {
				r.Lost++
			}
		}
	}
	return r, nil
}

// marks reads one page of the marks that are there.
func (c *Client) marks(talk *sqlhealth.Conversation, first int, there map[int]bool) error {
	rows, err := talk.Ask(fmt.Sprintf("SELECT product_code FROM %s WHERE product_code >= N'%s' AND product_code <= N'%s'",
		c.a, mark(first), mark(first+page-1)), 1, page)
	if err != nil {
		return err
	}
	for _, row := range rows {
		var n int
		text, _ := row[0].(string)
		if _, err := fmt.Sscanf(strings.TrimSpace(text), "S%d", &n); err != nil {
			return fmt.Errorf("%w: a mark %q", errShape, text)
		}
		there[n] = true
	}
	return nil
}

// torn counts the products that do not bear the remark that they must.
func (c *Client) torn(talk *sqlhealth.Conversation, last int, there map[int]bool) (int, error) {
	if c.o.Shape == Long {
		for ; last > 0 && !there[last]; last-- {
			continue
		}
		where := "a.remark IS NOT NULL"
		if last > 0 {
			where = fmt.Sprintf("(a.remark IS NULL OR a.remark <> b.product_name + N' #%d')", last)
		}
		rows, err := talk.Ask(fmt.Sprintf("SELECT COUNT_BIG(*) FROM %s AS a INNER JOIN %s AS b ON a.product_code = b.product_code WHERE %s", c.a, c.b, where), 1, 1)
		if err != nil {
			return 0, err
		}
		if len(rows) == 1 {
			if n, ok := rows[0][0].(int64); ok {
				return int(n), nil
			}
		}
		return 0, fmt.Errorf("%w: no count", errShape)
	}
	want := map[string]string{}
	for n := 1; n <= c.o.Rows; n++ {
		want[product(n)] = ""
	}
	for seq := 1; seq <= last; seq++ {
		if n := 1 + seq%c.o.Rows; there[seq] {
			want[product(n)] = remark(n, seq)
		}
	}
	rows, err := talk.Ask(fmt.Sprintf("SELECT product_code, remark FROM %s WHERE product_code >= N'%s' AND product_code <= N'%s'",
		c.a, product(1), product(c.o.Rows)), 2, c.o.Rows)
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		code, ok := row[0].(string)
		if !ok {
			return 0, errors.Join(errShape, errors.New("a product without a code"))
		}
		text, _ := row[1].(string) // NULL: nobody changed it
		if want[code] == text {
			delete(want, code)
		}
	}
	return len(want), nil
}
