package kerberos

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/jcmturner/gokrb5/v8/types"
)

// counting is a KDC that counts what it is asked, and fails as long as it is told to.
type counting struct {
	life time.Duration
	hang bool

	mu                 sync.Mutex
	err                error
	grantors, services int
}

func (k *counting) answer(ctx context.Context, count *int) (ticket, error) {
	k.mu.Lock()
	*count++
	err := k.err
	k.mu.Unlock()
	if k.hang {
		<-ctx.Done()
		return ticket{}, &Error{Cause: Silent, err: ctx.Err()}
	}
	now := time.Now()
	return ticket{begin: now, end: now.Add(k.life), present: err == nil}, err
}

func (k *counting) grantor(ctx context.Context) (ticket, error) { return k.answer(ctx, &k.grantors) }

func (k *counting) service(ctx context.Context, g ticket, _ string) (ticket, error) {
	t, err := k.answer(ctx, &k.services)
	if t.end.After(g.end) {
		t.end = g.end // as every KDC has it
	}
	return t, err
}

func (k *counting) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

func (k *counting) asked() (grantors, services int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.grantors, k.services
}

// kept makes a client of a counting KDC inside a bubble.
func kept(t *testing.T, k *counting) *Client {
	t.Helper()
	c := newClient(types.NewPrincipalName(1, "hv-reader"), "CORP.EXAMPLE", k, log.NewNopLogger())
	t.Cleanup(func() { c.Close() })
	if err := c.Keep(spn); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return c
}

// must returns the ticket, which is there without any wait.
func must(t *testing.T, c *Client) ticket {
	t.Helper()
	began := time.Now()
	got, err := c.get(t.Context(), spn)
	if err != nil {
		t.Fatalf("no ticket after %s: %v", time.Since(began), err)
	}
	if took := time.Since(began); took != 0 {
		t.Errorf("a ticket was waited for, for %s", took)
	}
	return got
}

func TestATicketIsRenewedAheadOfNeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &counting{life: 10 * time.Hour}
		c := kept(t, k)
		for range 7 * 24 { // a week in which nobody asks but once an hour
			got := must(t, c)
			if left := time.Until(got.end); left < 2*time.Hour {
				t.Fatalf("the ticket is good for %s more only, and no other was fetched", left)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
		}
		if g, s := k.asked(); g < 20 || g > 30 || s > 30 {
			t.Errorf("the KDC was asked %d and %d times in a week of tickets of 10 h", g, s)
		}
	})
}

func TestATicketOutlivesAKDCThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &counting{life: 9 * time.Hour}
		c := kept(t, k)
		k.fail(&Error{Cause: Unreachable})
		time.Sleep(8*time.Hour + 58*time.Minute)
		synctest.Wait()
		must(t, c)
		time.Sleep(3 * time.Minute) // past its end
		synctest.Wait()
		_, err := c.get(t.Context(), spn)
		var e *Error
		if !errors.As(err, &e) || e.Cause != Unreachable || e.Service != spn {
			t.Errorf("without a ticket and without a KDC: %v", err)
		}
		k.fail(nil)
		time.Sleep(2 * silentRetry)
		synctest.Wait()
		must(t, c)
	})
}

func TestAKDCThatSaidNoIsNotAskedAgainAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &counting{life: time.Hour, err: &Error{Cause: Refused}}
		c := kept(t, k)
		for range 600 { // ten minutes of a probe each second
			if _, err := c.get(t.Context(), spn); err == nil {
				t.Fatal("a ticket came from nowhere")
			}
			time.Sleep(time.Second)
		}
		if g, _ := k.asked(); g > 3 {
			t.Errorf("the KDC was asked %d times in ten minutes after it had said no", g)
		}
		k.fail(nil)
		time.Sleep(refusedRetry + 2*time.Second)
		synctest.Wait()
		must(t, c)
	})
}

func TestNobodyWaitsLongerThanHeMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &counting{life: time.Hour, hang: true}
		c := kept(t, k)
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := c.get(ctx, spn)
		if took := time.Since(began); took != 900*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %s: %v", took, err)
		}
		if err := c.Close(); err != nil || time.Since(began) != 900*time.Millisecond {
			t.Errorf("Close waits for a KDC that hangs: %v after %s", err, time.Since(began))
		}
		if _, err := c.get(t.Context(), spn); !errors.Is(err, errClosed) {
			t.Errorf("a closed client says %v", err)
		}
	})
}

func TestManyWhoAskTogetherAskTheKDCOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &counting{life: time.Hour}
		c := kept(t, k)
		c.Forget(spn)
		var work sync.WaitGroup
		for range 100 {
			work.Go(func() {
				if _, err := c.get(t.Context(), spn); err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
		if g, s := k.asked(); g != 1 || s != 2 {
			t.Errorf("the KDC was asked %d and %d times, want 1 and 2", g, s)
		}
	})
}

func TestNamesOfServicesAndAccountsAreChecked(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"HTTP/hv1": true, "MSSQLSvc/sql01.corp.example:1433": true,
		"": false, "HTTP": false, "HTTP/": false, "/hv1": false, "HTTP/hv1@CORP": false, "HTTP/a/b": false, "HTTP/h v": false,
	} {
		if got := CheckSPN(s) == nil; got != want {
			t.Errorf("CheckSPN(%q) = %v, want %v", s, got, want)
		}
	}
	file := kdcConfig(t, "127.0.0.1:88")
	for _, user := range []string{"", "@CORP.EXAMPLE", `CORP\hv-reader`, "a@b@c"} {
		if _, err := New(Options{Username: user, ConfigFile: file, Password: password("x"), Logger: log.NewNopLogger()}); err == nil {
			t.Errorf("New takes the account %q", user)
		}
	}
}
