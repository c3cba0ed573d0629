package onsite

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// hosts is an echo that answers after a millisecond, but for the spans in which it is away.
type hosts struct {
	began time.Time
	away  [][2]time.Duration // since began
}

var errAway = errors.New("nobody is there")

func (h *hosts) Ask(ctx context.Context) error {
	now := time.Since(h.began)
	for _, span := range h.away {
		if now >= span[0] && now < span[1] {
			<-ctx.Done()
			return errAway
		}
	}
	pause(ctx, time.Millisecond)
	return ctx.Err()
}

func (h *hosts) Close() error { return nil }

func TestForHowLongPingsAreLost(t *testing.T) {
	t.Parallel()
	s := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	for name, test := range map[string]struct {
		away [][2]time.Duration
		// least and most: to a request and its patience.
		least, most time.Duration
		never       bool
	}{
		"never":                    {nil, 0, 0, false},
		"once":                     {[][2]time.Duration{{s(5), s(20)}}, s(14.9), s(15.6), false},
		"twice":                    {[][2]time.Duration{{s(5), s(7)}, {s(10), s(13)}}, s(4.8), s(6.2), false},
		"to the end":               {[][2]time.Duration{{s(25), s(99)}}, s(4.9), s(5.1), false},
		"from before it began":     {[][2]time.Duration{{0, s(99)}}, 0, 0, true},
		"late, and before the end": {[][2]time.Duration{{0, s(2)}, {s(20), s(22)}}, s(1.9), s(2.6), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPings(&hosts{began: time.Now(), away: test.away})
				ctx, cancel := context.WithTimeout(t.Context(), s(30))
				defer cancel()
				p.run(ctx)
				lost, err := p.result(time.Now())
				switch {
				case test.never && (lost != nil || !errors.Is(err, errAway)):
					t.Errorf("lost %v, %v; want it unknown, with the reason", lost, err)
				case !test.never && (err != nil || lost == nil || *lost < test.least || *lost > test.most):
					t.Errorf("lost %v, %v; want %s to %s", lost, err, test.least, test.most)
				}
			})
		})
	}
	if lost, err := newPings(nil).result(time.Now()); lost != nil || !errors.Is(err, errUnasked) {
		t.Errorf("without a request: %v, %v", lost, err)
	}
}

// TestAnEchoOfThisMachine asks the machine itself, where its system lets us.
func TestAnEchoOfThisMachine(t *testing.T) {
	t.Parallel()
	e, err := dialEcho(t.Context(), "127.0.0.1")
	if errors.Is(err, os.ErrPermission) {
		if !strings.Contains(err.Error(), "ping_group_range") {
			t.Errorf("%v does not say what would help", err)
		}
		t.Skip(err)
	}
	if err != nil {
		t.Skip(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := e.Ask(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
	s := e.(*socket)
	s.to = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1)} // TEST-NET-1: nobody is there (RFC 5737)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Ask(ctx); err == nil {
		t.Error("192.0.2.1 has answered")
	}
}
