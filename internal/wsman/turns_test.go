package wsman

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
)

func TestTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns()
		all := cap(turns.free)
		ends := make([]func(), all)
		for i := range all {
			ends[i] = taken(t, turns, -1)
		}
		// What is small waits for nobody, and neither does who has no bound.
		taken(t, turns, largeAnswer-1)()
		taken(t, nil, -1)()

		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), longTurn/2)
		defer cancel()
		if _, err := turns.take(ctx, largeAnswer); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != longTurn/2 {
			t.Errorf("a turn too many: %v after %v, want the context's end", err, time.Since(began))
		}
		time.AfterFunc(time.Millisecond, ends[0])
		before := time.Now()
		last := taken(t, turns, largeAnswer)
		if waited := time.Since(before); waited != time.Millisecond {
			t.Errorf("waited for %v, want until another turn ended", waited)
		}
		ends[0]() // once is enough
		if got := len(turns.free); got != all {
			t.Errorf("%d turns taken, want %d", got, all)
		}
		// A peer that trickles holds nobody up for long.
		taken(t, turns, -1)()
		if waited := time.Since(began); waited != longTurn {
			t.Errorf("waited until %v after the turns began, want %v", waited, longTurn)
		}
		time.Sleep(longTurn)
		if got := len(turns.free); got != 0 {
			t.Errorf("%d turns count after a long time, want none", got)
		}
		for _, end := range append(ends, last) {
			end()
		}
		if got := len(turns.free); got != 0 {
			t.Errorf("%d turns taken at the end", got)
		}
	})
}

// taken takes a turn that must be had.
func taken(t *testing.T, turns *Turns, bytes int64) (end func()) {
	t.Helper()
	end, err := turns.take(t.Context(), bytes)
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// TestTurnsAreGivenBack asks for large answers, good and bad; the turn ends with the call and not when it has become long.
func TestTurnsAreGivenBack(t *testing.T) {
	t.Parallel()
	padding := "<!--" + strings.Repeat(" ", largeAnswer) + "-->"
	for name, tc := range map[string]struct {
		answer string
		want   dial.Reason
	}{
		"good":      {strings.Replace(fixtureIdentify, "<s:Body", padding+"<s:Body", 1), dial.Answered},
		"no XML":    {strings.Repeat("x", largeAnswer), dial.Protocol},
		"too large": {strings.Repeat("x", 4*largeAnswer), dial.Protocol},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newFakeServer(t, always(200, tc.answer)).options()
			o.MaxBody, o.Turns = 3*largeAnswer, NewTurns()
			c := newClient(t, o)
			for range cap(o.Turns.free) + 1 {
				if _, err := c.Identify(t.Context()); Reason(err) != tc.want {
					t.Fatalf("Identify = %v, want the reason %q", err, tc.want)
				}
			}
			if got := len(o.Turns.free); got != 0 {
				t.Errorf("%d turns taken after the answers", got)
			}
		})
	}
}
