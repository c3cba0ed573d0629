package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// quiet is how long nothing must happen before a test believes in silence. Real sockets have no fake clock.
	quiet = 60 * time.Millisecond
	// patience is how long something may take that must happen.
	patience = 20 * time.Second
)

// echo opens a port with a server that sends back what it gets.
func echo(t *testing.T) *Port {
	t.Helper()
	p, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := p.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	var clients []net.Conn
	t.Cleanup(func() {
		for _, c := range clients {
			c.Close()
		}
		if err := p.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		serving.Wait()
	})
	return p
}

// set changes the behaviour.
func set(t *testing.T, p *Port, b Behaviour) {
	t.Helper()
	if err := p.Set(b); err != nil {
		t.Fatalf("Set(%s) = %v", b, err)
	}
}

// dial connects a client.
func dial(t *testing.T, p *Port) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", p.Addr().String(), patience)
	if err != nil {
		t.Fatalf("a client cannot connect to a port that is %s: %v", p.Behaviour(), err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// roundTrip proves that the server answers on c.
func roundTrip(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	defer c.SetDeadline(time.Time{})
	if _, err := c.Write([]byte("ping")); err != nil {
		t.Fatalf("write: %v", err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "ping" {
		t.Fatalf("echo = %q, %v; want ping", got, err)
	}
}

// mustBeSilent proves that a client that speaks gets neither byte nor FIN nor RST.
func mustBeSilent(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetDeadline(time.Now().Add(quiet))
	defer c.SetDeadline(time.Time{})
	if _, err := c.Write([]byte("anybody there?")); err != nil {
		t.Errorf("write to a frozen connection: %v; want the client's TCP to take it", err)
	}
	n, err := c.Read(make([]byte, 64))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read from a frozen connection = %d bytes, %v; want silence", n, err)
	}
}

// mustBeReset proves that the connection ended in an RST, not in a FIN.
func mustBeReset(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	for {
		_, err := c.Read(make([]byte, 64))
		if err == nil {
			continue // what came before the reset
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read = %v, want a reset", err)
		}
		return
	}
}

// mustRefuse proves that a client is refused.
func mustRefuse(t *testing.T, p *Port) {
	t.Helper()
	c, err := net.DialTimeout("tcp", p.Addr().String(), patience)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connect = %v, want refused", err)
	}
}

// mustNotAnswer proves that a client's SYN gets no answer at all.
func mustNotAnswer(t *testing.T, p *Port) {
	t.Helper()
	c, err := net.DialTimeout("tcp", p.Addr().String(), quiet)
	if err == nil {
		c.Close()
	}
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("connect = %v, want a time-out", err)
	}
}

func TestBehaviourNamesAreWords(t *testing.T) {
	t.Parallel()
	for b, want := range map[Behaviour]string{
		Answering: "answering", Refusing: "refusing", Unanswered: "unanswered", Hung: "hung", 7: "behaviour(7)",
	} {
		if got := b.String(); got != want {
			t.Errorf("Behaviour(%d).String() = %q, want %q", int(b), got, want)
		}
	}
}

func TestAnAnsweringPortServes(t *testing.T) {
	t.Parallel()
	p := echo(t)
	c := dial(t, p)
	roundTrip(t, c)
	set(t, p, Answering)
	roundTrip(t, c) // no change, no reset
}

func TestAHungPortAcceptsAndSaysNothing(t *testing.T) {
	t.Parallel()
	p := echo(t)
	before := dial(t, p)
	roundTrip(t, before)
	set(t, p, Hung)
	mustBeSilent(t, before)
	during := dial(t, p)
	mustBeSilent(t, during)
	set(t, p, Answering)
	mustBeReset(t, before)
	mustBeReset(t, during)
	roundTrip(t, dial(t, p))
}

func TestAHungPortAcceptsManyClientsThatNobodyServes(t *testing.T) {
	t.Parallel()
	p := echo(t)
	set(t, p, Hung)
	for range 64 {
		dial(t, p)
	}
	mustBeSilent(t, dial(t, p))
}

func TestNothingCanBeSetThatDoesNotExistOrOnAClosedPort(t *testing.T) {
	t.Parallel()
	p, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Set(Behaviour(9)); err == nil || p.Behaviour() != Answering {
		t.Errorf("Set(9) = %v, then %s; want an error and answering", err, p.Behaviour())
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Set(Hung); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Set on a closed port = %v, want net.ErrClosed", err)
	}
	if err := p.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close() = %v, want net.ErrClosed", err)
	}
	if _, err := p.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept on a closed port = %v, want net.ErrClosed", err)
	}
}

func TestListenNamesTheAddressItCannotHave(t *testing.T) {
	t.Parallel()
	p := echo(t)
	if q, err := Listen(p.Addr().String()); err == nil {
		q.Close()
		t.Error("two ports share one number")
	}
	if q, err := Listen("nonsense"); err == nil {
		q.Close()
		t.Error("Listen(nonsense) gave a port")
	}
}

func TestTheServersOwnDeadlinesHoldUntilItFreezes(t *testing.T) {
	t.Parallel()
	p, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dial(t, p)
	server, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server.SetDeadline(time.Now().Add(time.Millisecond))
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read = %v, want the server's deadline", err)
	}
	set(t, p, Hung)
	ended := make(chan error, 2)
	go func() { _, err := server.Read(make([]byte, 1)); ended <- err }()
	go func() { _, err := server.Write(make([]byte, 1)); ended <- err }()
	server.SetReadDeadline(time.Now().Add(time.Millisecond))
	server.SetWriteDeadline(time.Now().Add(time.Millisecond))
	select {
	case err := <-ended:
		t.Errorf("a frozen server's call ended: %v", err)
	case <-time.After(quiet):
	}
	set(t, p, Answering)
	for range 2 {
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("after the reset the server got %v, want net.ErrClosed", err)
		}
	}
}

func TestAServerThatClosesAFrozenConnectionSendsNoFIN(t *testing.T) {
	t.Parallel()
	p, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c := dial(t, p)
	server, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	set(t, p, Hung)
	if err := server.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if err := server.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close() = %v, want net.ErrClosed", err)
	}
	mustBeSilent(t, c)
	set(t, p, Answering)
	mustBeReset(t, c)
}

func TestAWriteUnderWayStopsWhenTheConnectionFreezes(t *testing.T) {
	t.Parallel()
	p, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dial(t, p) // a client that does not read
	server, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			_, err = server.Write(make([]byte, 1<<20))
		}
		ended <- err
	}()
	set(t, p, Hung)
	p.mu.Lock()
	conns := len(p.conns)
	p.mu.Unlock()
	if conns != 1 {
		t.Errorf("%d connections are filed, want 1", conns)
	}
	set(t, p, Answering)
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the server's write ended with %v, want net.ErrClosed", err)
	}
}

func TestCloseEndsWhatIsFrozenAndLeavesTheServerItsOwn(t *testing.T) {
	t.Parallel()
	p, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, p)
	server, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	unaccepted := dial(t, p)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	mustBeReset(t, unaccepted)
	if _, err := server.Write([]byte("still here")); err != nil {
		t.Errorf("the server's connection ended with the port: %v", err)
	}
	server.Close()
	if got, err := io.ReadAll(c); err != nil || string(got) != "still here" {
		t.Errorf("the client read %q, %v", got, err)
	}
	if n := len(p.conns); n != 0 {
		t.Errorf("%d connections are still filed", n)
	}
}
