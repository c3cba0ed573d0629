package dial

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/wire"
)

// TestSilenceOfTheMachineIsNotSilenceOfTheProgram asks over an open connection: a machine that is gone acknowledges
// nothing, one whose program hangs acknowledges and says nothing.
func TestSilenceOfTheMachineIsNotSilenceOfTheProgram(t *testing.T) {
	t.Parallel()
	for behaviour, want := range map[wire.Behaviour]Reason{wire.Unanswered: TCPTimeout, wire.Hung: QueryTimeout} {
		t.Run(behaviour.String(), func(t *testing.T) {
			t.Parallel()
			port, err := wire.Listen("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer port.Close()
			accepted := make(chan net.Conn, 1)
			go func() {
				defer close(accepted)
				if c, err := port.Accept(); err == nil {
					accepted <- c
				}
			}()
			tr := NewTracker()
			client, err := tr.DialContext(t.Context(), "tcp", port.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			server := <-accepted
			defer server.Close()
			if err := port.Set(behaviour); err != nil {
				t.Fatal(err)
			}
			tr.Enter(PhaseQuery)
			ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
			defer cancel()
			stop := tr.Watch(ctx)
			defer stop()
			if _, err := client.Write([]byte("SELECT 1")); err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadFull(client, make([]byte, 1))
			if got := Classify(ctx, tr, err); got != want {
				t.Errorf("Classify(%v) = %q, want %q", err, got, want)
			}
		})
	}
}
