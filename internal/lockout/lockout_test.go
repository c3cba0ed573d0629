package lockout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errWrong = errors.New("HTTP 401")

// directory is an account with a lockout policy, as MS-SAMR 3.1.5.14.6 tells it.
type directory struct {
	password string
	bad      int
	at       time.Time
	tries    int
	locked   bool
}

// login tries a password.
func (d *directory) login(password string) bool {
	d.tries++
	if password == d.password && !d.locked {
		d.bad = 0
		return true
	}
	if time.Since(d.at) > 15*time.Minute {
		d.bad = 0
	}
	d.bad++
	d.at = time.Now()
	d.locked = d.locked || d.bad >= 5
	return false
}

// probe asks one peer as a probe does.
func probe(t *testing.T, k *Keeper, d *directory, peer, secret string) error {
	t.Helper()
	try, err := k.Try(t.Context(), peer, secret)
	if err != nil {
		return err
	}
	if d.login(secret) {
		try.Accepted()
		return nil
	}
	try.Refused(errWrong)
	return errWrong
}

func TestAWrongPasswordNeverLocksTheAccount(t *testing.T) {
	t.Parallel()
	for offset := range 20 { // minutes between the first tries of the two programs
		synctest.Test(t, func(t *testing.T) {
			d := &directory{password: "right"}
			first, other := New(Machine, log.NewNopLogger()), New(Machine, log.NewNopLogger())
			const step = 15 // seconds between two probes
			for second := 0; second < 6*3600; second += step {
				if err := probe(t, first, d, "SQL01", "wrong"); !errors.Is(err, errWrong) {
					t.Fatalf("a held back secret says %v, not what the server said", err)
				}
				if second >= offset*60 {
					_ = probe(t, other, d, "SQL01", "wrong")
				}
				time.Sleep(step * time.Second)
			}
			if d.locked || d.tries < 30 || d.tries > 40 {
				t.Errorf("offset %d min: locked %v after %d tries in six hours of two programs", offset, d.locked, d.tries)
			}
		})
	}
}

func TestAPasswordThatWasMendedCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &directory{password: "new"}
		k := New(Machine, log.NewNopLogger())
		for range 2 {
			if probe(t, k, d, "SQL01", "old") == nil || d.tries != 1 {
				t.Fatalf("the old password was tried %d times", d.tries)
			}
		}
		if err := probe(t, k, d, "SQL01", "new"); err != nil { // the file changed
			t.Errorf("a new password is held back: %v", err)
		}
		d.password = "other"
		if err := probe(t, k, d, "SQL01", "new"); err == nil {
			t.Fatal("a wrong password was accepted")
		}
		d.password = "new" // the server was mended
		began := time.Now()
		for probe(t, k, d, "SQL01", "new") != nil {
			time.Sleep(time.Second)
		}
		if took := time.Since(began); took > slot+least {
			t.Errorf("a mended server was seen after %s only", took)
		}
	})
}

func TestWhoWasRefusedByOneMachineGoesOnWithTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		good, sick := &directory{password: "right"}, &directory{}
		for _, scope := range []Scope{Machine, Domain} {
			k := New(scope, log.NewNopLogger())
			if err := probe(t, k, good, "HV1", "right"); err != nil {
				t.Fatal(err)
			}
			for range 120 { // two machines have lost their domain
				if probe(t, k, sick, "HV2", "right") == nil || probe(t, k, sick, "HV3", "right") == nil {
					t.Fatal("a sick machine lets us in")
				}
				time.Sleep(30 * time.Second)
			}
			if err := probe(t, k, good, "HV4", "right"); err != nil {
				t.Errorf("%v: the others are not asked any more: %v", scope, err)
			}
		}
	})
}

func TestADomainsAccountIsHeldBackEverywhere(t *testing.T) {
	t.Parallel()
	for name, proven := range map[string]bool{"never accepted": false, "changed in the domain": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := &directory{password: "new"}
				k := New(Domain, log.NewNopLogger())
				if proven {
					d.password = "old"
					if err := probe(t, k, d, "HV0", "old"); err != nil {
						t.Fatal(err)
					}
					d.password, d.tries = "new", 0
				}
				for range 2 * 60 {
					for n := range 64 {
						if err := probe(t, k, d, fmt.Sprintf("HV%d", n), "old"); !errors.Is(err, errWrong) {
							t.Fatalf("got %v", err)
						}
					}
					time.Sleep(time.Minute)
				}
				if d.locked {
					t.Errorf("64 machines locked the account, after %d tries", d.tries)
				}
				if err := probe(t, k, d, "HV7", "new"); err != nil {
					t.Errorf("the new password is held back: %v", err)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		// A machine's own account of one name is another account on each machine.
		k := New(Machine, log.NewNopLogger())
		for n := range 64 {
			d := &directory{}
			_ = probe(t, k, d, fmt.Sprintf("HV%d", n), "wrong")
			if d.tries != 1 {
				t.Fatalf("machine %d was tried %d times", n, d.tries)
			}
		}
	})
}

func TestManyWhoBeginTogetherTryOnce(t *testing.T) {
	t.Parallel()
	for _, scope := range []Scope{Machine, Domain} {
		synctest.Test(t, func(t *testing.T) {
			k := New(scope, log.NewNopLogger())
			var mu sync.Mutex
			var work sync.WaitGroup
			tries := 0
			for range 8 {
				work.Go(func() {
					try, err := k.Try(t.Context(), "SQL01", "wrong")
					if err != nil {
						return
					}
					mu.Lock()
					tries++
					mu.Unlock()
					time.Sleep(20 * time.Millisecond)
					try.Refused(errWrong)
				})
			}
			work.Wait()
			if tries != 1 {
				t.Errorf("%v: %d tries before the first answer", scope, tries)
			}
		})
	}
}

func TestASilentServerHoldsNobodyBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := New(Machine, log.NewNopLogger())
		hung, err := k.Try(t.Context(), "SQL01", "right")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		other, err := k.Try(t.Context(), "SQL01", "right")
		if took := time.Since(began); err != nil || took != patience {
			t.Errorf("another login waited %s: %v", took, err)
		}
		hung.Done()
		other.Accepted()
		other.Refused(errWrong) // too late: a try has one outcome
		began = time.Now()
		if _, err := k.Try(t.Context(), "SQL01", "right"); err != nil || time.Since(began) != 0 {
			t.Errorf("a proven secret waits %s: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience/2)
		defer cancel()
		if _, err := k.Try(ctx, "SQL02", "right"); err != nil {
			t.Fatal(err)
		}
		var held *Held
		if _, err := k.Try(ctx, "SQL02", "right"); !errors.As(err, &held) || !errors.Is(err, errPending) {
			t.Errorf("who ran out of time is told %v", err)
		}
	})
}

func TestAnOutcomeOfAnEarlierSecretDoesNotCount(t *testing.T) {
	t.Parallel()
	k := New(Domain, log.NewNopLogger())
	old, err := k.Try(t.Context(), "HV1", "old")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Try(t.Context(), "HV1", "new"); err != nil {
		t.Fatal(err)
	}
	old.Refused(errWrong)
	if _, err := k.Try(t.Context(), "HV1", "new"); err != nil {
		t.Errorf("the new secret pays for the old one: %v", err)
	}
}

func TestNoKeeperHoldsNothing(t *testing.T) {
	t.Parallel()
	var k *Keeper
	for range 3 {
		try, err := k.Try(t.Context(), "HV1", "wrong")
		if err != nil {
			t.Fatal(err)
		}
		try.Refused(errWrong)
	}
}

func TestTheTextTellsReasonAndMoment(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 39, 30, 0, time.UTC)
	if got, want := Next(at), time.Date(2026, 3, 1, 13, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("Next(%s) = %s, want %s", at, got, want)
	}
	if got, want := Next(at.Add(-time.Minute)), at.Add(30*time.Second); !got.Equal(want) {
		t.Errorf("Next = %s, want %s", got, want)
	}
	h := &Held{Err: errWrong, Until: at}
	for _, want := range []string{"HTTP 401", "2026-03-01T12:39:30Z", "unless the secret changes"} {
		if !strings.Contains(h.Error(), want) {
			t.Errorf("%q lacks %q", h.Error(), want)
		}
	}
}
