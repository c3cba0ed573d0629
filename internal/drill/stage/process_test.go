package stage

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func startActor(t *testing.T, role string) (p *Process, url string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	at, err := freeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	p, err = StartProcess(t.TempDir(), role, self, []string{actAs + "=" + role}, at[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Stop()
		http.DefaultClient.CloseIdleConnections()
	})
	return p, "http://" + at[0]
}

func TestAProgramIsWaitedForAndStopped(t *testing.T) {
	t.Parallel()
	p, url := startActor(t, "slow")
	var out bytes.Buffer
	if err := p.WaitReady(t.Context(), &out, url+"/-/ready"); err != nil {
		t.Fatal(err)
	}
	if want := "waiting for slow: not ready: - hold_off ends in 2s"; !strings.Contains(out.String(), want) {
		t.Errorf("a wait of 2.5 s said %q, want %q", out.String(), want)
	}
	began := time.Now()
	p.Stop()
	select {
	case <-p.Done():
	default:
		t.Error("Stop returned before the program had ended")
	}
	if d := time.Since(began); d > stopGrace/2 {
		t.Errorf("the program took %s to stop", d)
	}
	p.Stop() // twice does no harm
}

func TestAProgramThatDoesNotListenIsKilled(t *testing.T) {
	t.Parallel()
	p, url := startActor(t, "stubborn")
	if err := p.WaitReady(t.Context(), &bytes.Buffer{}, url+"/-/ready"); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	select {
	case <-p.Done():
	default:
		t.Error("Stop returned before the program had ended")
	}
}

func TestAProgramThatEndsIsShownWithItsLog(t *testing.T) {
	t.Parallel()
	p, url := startActor(t, "broken")
	err := p.WaitReady(t.Context(), &bytes.Buffer{}, url+"/-/ready")
	for _, want := range []string{"broken ended by itself", "exit status 3", "the configuration is bad", p.Log} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("WaitReady = %v, want %q in it", err, want)
		}
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	p, url := startActor(t, "plain")
	if err := p.WaitReady(t.Context(), &bytes.Buffer{}, url+"/-/ready"); err != nil {
		t.Fatal(err)
	}
	why := errors.New("enough waited")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, why)
	defer cancel()
	if err := p.WaitReady(ctx, &bytes.Buffer{}, url+"/no-such-page"); !errors.Is(err, why) || !strings.Contains(err.Error(), "this is plain") {
		t.Errorf("WaitReady = %v, want %v and the log", err, why)
	}
}

func TestAProgramThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	if _, err := StartProcess(t.TempDir(), "ghost", "/no/such/program", nil); err == nil || !strings.Contains(err.Error(), "start ghost") {
		t.Errorf("StartProcess = %v, want it to name the program", err)
	}
	p := Ours(t.TempDir())
	if err := p.check(); err == nil || !strings.Contains(err.Error(), "hypervigil-exporter") || !strings.Contains(err.Error(), "make build") {
		t.Errorf("check = %v, want the program that is missing and what to do", err)
	}
}

func TestFreeAddressesAreLoopbackDistinctAndBelowTheEphemeralOnes(t *testing.T) {
	t.Parallel()
	list, err := freeAddresses(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, a := range list {
		host, port, err := net.SplitHostPort(a)
		n, _ := strconv.Atoi(port)
		if err != nil || host != "127.0.0.1" || n < firstPort || n > lastPort || seen[a] {
			t.Errorf("address %q", a)
		}
		seen[a] = true
	}
	if len(list) != 20 {
		t.Errorf("%d addresses, want 20", len(list))
	}
}
