package kerberos

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/hypervigil/hypervigil/internal/lab/kdctest"
	"github.com/hypervigil/hypervigil/internal/lockout"
)

// refusingKDC answers every request with one error, and counts them.
func refusingKDC(t *testing.T, code int32) (address string, asked *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := messages.NewKRBError(types.NewPrincipalName(nametype.KRB_NT_SRV_INST, "krbtgt/"+kdctest.Name), kdctest.Name, code, "")
	answer, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	asked = new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			var head [4]byte
			if _, err := io.ReadFull(c, head[:]); err == nil {
				_, _ = io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(head[:])))
			}
			_, _ = c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String(), asked
}

func TestARefusedSecretIsNotShownToTheKDCAgain(t *testing.T) {
	t.Parallel()
	address, asked := refusingKDC(t, errorcode.KDC_ERR_PREAUTH_FAILED)
	var pass atomic.Value
	pass.Store("wrong")
	k, err := newKDC(Options{
		Username: "hv-reader", ConfigFile: kdcConfig(t, address), Lockout: lockout.New(lockout.Domain, log.NewNopLogger()),
		Password: func() (string, error) { return pass.Load().(string), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		_, err := k.grantor(t.Context())
		var e *Error
		if !errors.As(err, &e) || e.Cause != WrongSecret {
			t.Fatalf("grantor says %v, want %v", err, WrongSecret)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the KDC was asked %d times with one wrong password", n)
	}
	pass.Store("another")
	if _, err := k.grantor(t.Context()); err == nil {
		t.Error("a refusing KDC gave a ticket")
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the KDC was asked %d times with two passwords", n)
	}
}

func TestARefusalThatIsNotAboutTheSecretHoldsNothingBack(t *testing.T) {
	t.Parallel()
	address, asked := refusingKDC(t, errorcode.KDC_ERR_SVC_UNAVAILABLE)
	k, err := newKDC(Options{
		Username: "hv-reader", ConfigFile: kdcConfig(t, address), Lockout: lockout.New(lockout.Domain, log.NewNopLogger()),
		Password: password(secret),
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := k.grantor(t.Context()); err == nil {
			t.Fatal("a KDC that cannot serve gave a ticket")
		}
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("the KDC was asked %d times, want 3", n)
	}
}

func TestASecretThatWasMendedCountsWithinSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &counting{life: time.Hour, err: &Error{Cause: WrongSecret}}
		c := kept(t, k)
		if _, err := c.get(t.Context(), spn); err == nil {
			t.Fatal("a ticket came from nowhere")
		}
		k.fail(nil)
		time.Sleep(2*silentRetry + 2*time.Second)
		synctest.Wait()
		must(t, c)
	})
}
