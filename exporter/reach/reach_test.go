package reach

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTCP asks real sockets: one that listens, one that refuses, and one that answers no SYN.
func TestTCP(t *testing.T) {
	t.Parallel()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	want := map[string]string{open.Addr().String(): "connected"}
	behaviours := map[wire.Behaviour]string{wire.Refusing: "refused", wire.Unanswered: "timeout"}
	if runtime.GOOS != "linux" {
		delete(behaviours, wire.Unanswered)
	}
	for b, state := range behaviours {
		port, err := wire.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer port.Close()
		if err := port.Set(b); err != nil {
			t.Fatal(err)
		}
		want[port.Addr().String()] = state
	}
	for address, want := range want {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		took, err := TCP(nil)(ctx, address)
		cancel()
		if got, ok := State(err); got != want || !ok || took <= 0 {
			t.Errorf("State(TCP(%s)) = %q, %t after %s; want %q (%v)", address, got, ok, took, want, err)
		}
	}
}

// TestOurOwnTroubleIsNoState: a name that is not known says nothing about the peer.
func TestOurOwnTroubleIsNoState(t *testing.T) {
	t.Parallel()
	for _, err := range []error{&probe.Error{Why: dial.DNS, Err: errors.New("no such host")}, errors.New("no reason")} {
		if got, ok := State(err); ok {
			t.Errorf("State(%v) = %q, want none", err, got)
		}
	}
	for _, r := range dial.Reasons() {
		if got, ok := State(&probe.Error{Why: r, Err: errors.New("no")}); ok && !slices.Contains(States, got) {
			t.Errorf("State(%s) = %q, which is not in the set", r, got)
		}
	}
}
