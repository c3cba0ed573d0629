package sqlhealth

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// TestConverse shows one statement after the other on one login, and what ends it.
func TestConverse(t *testing.T) {
	t.Parallel()
	logins := 0
	f := start(t, server{handler: handler{login: func(context.Context, tdsserver.Login) *tdsserver.Error { logins++; return nil }}})
	p := f.prober(t, config.Mandatory)
	patience := Patience{Login: 5 * time.Second, Statement: 5 * time.Second}
	mine := errors.New("a reason of the talk's own")
	_, err := Converse(t.Context(), p, patience, func(_ context.Context, c *Conversation) (string, error) {
		if _, err := c.Do("CREATE TABLE tempdb..x (n int)"); err != nil {
			return "", err
		}
		if n, err := c.Do("INSERT tempdb..x VALUES (1), (2)"); err != nil || n != 2 {
			t.Errorf("INSERT = %d, %v; want 2 rows", n, err)
		}
		if rows, err := c.Ask("SELECT n FROM tempdb..x", 1, 2); err != nil || len(rows) != 2 || rows[1][0] != int64(2) {
			t.Errorf("SELECT = %v, %v", rows, err)
		}
		return "said", mine
	})
	if err != mine { //nolint:errorlint // as it is
		t.Errorf("Converse = %v, want the talk's own error", err)
	}
	said, err := Converse(t.Context(), p, patience, func(_ context.Context, c *Conversation) (int, error) {
		rows, err := c.Ask("SELECT n FROM tempdb..x", 1, 2)
		return len(rows), err
	})
	if err != nil || said != 2 {
		t.Errorf("Converse = %d, %v, want what the talk returned", said, err)
	}
	if logins != 2 {
		t.Errorf("%d logins, want one for each", logins)
	}
	_, err = Converse(t.Context(), p, patience, func(_ context.Context, c *Conversation) (int64, error) {
		return c.Do("INSERT tempdb..y VALUES (1)")
	})
	if e, ok := errors.AsType[*Error](err); !ok || e.Number != 208 || e.Phase != dial.PhaseQuery {
		t.Errorf("a table that is not there: %v", err)
	}
	wantNothingLeft(t, p)
}

// TestConverseWithNobody shows that an answer that is overdue ends it, in whichever stage, and what ends a hold.
func TestConverseWithNobody(t *testing.T) {
	t.Parallel()
	silent := start(t, server{handler: handler{query: func(ctx context.Context, _ *tdsserver.Session, r tdsserver.Request) tdsserver.Response {
		if strings.Contains(r.Text, "nothing") {
			<-ctx.Done()
		}
		return tdsserver.Response{}
	}}})
	p := silent.prober(t, config.Mandatory)
	talk := func(_ context.Context, c *Conversation) (int64, error) { return c.Do("SAY nothing") }
	_, err := Converse(t.Context(), p, Patience{Login: 5 * time.Second, Statement: 200 * time.Millisecond}, talk)
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != dial.QueryTimeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a statement without an answer: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Converse(ctx, p, Patience{Login: 5 * time.Second, Statement: 5 * time.Second}, func(life context.Context, c *Conversation) (struct{}, error) {
		if _, err := c.Do("SAY something"); err != nil {
			return struct{}{}, err
		}
		cancel()
		<-life.Done()
		return struct{}{}, life.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a talk that is given up: %v", err)
	}
	wantNothingLeft(t, p)

	mute := start(t, server{handler: handler{login: func(ctx context.Context, _ tdsserver.Login) *tdsserver.Error { <-ctx.Done(); return nil }}})
	p = mute.prober(t, config.Mandatory)
	_, err = Converse(t.Context(), p, Patience{Login: time.Second, Statement: time.Second}, talk)
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != dial.LoginTimeout {
		t.Errorf("a login without an answer: %v", err)
	}
	wantNothingLeft(t, p)
}
