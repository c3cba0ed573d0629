package wire

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestARefusingPortAnswersWithReset(t *testing.T) {
	t.Parallel()
	p := echo(t)
	c := dial(t, p)
	roundTrip(t, c)
	set(t, p, Refusing)
	mustBeReset(t, c)
	mustRefuse(t, p)
	set(t, p, Answering)
	roundTrip(t, dial(t, p))
}

func TestARefusingPortKeepsItsNumber(t *testing.T) {
	t.Parallel()
	p := echo(t)
	set(t, p, Refusing)
	if ln, err := net.Listen("tcp", p.Addr().String()); err == nil {
		ln.Close()
		t.Error("another listener took the number")
	} else if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listen = %v, want address in use", err)
	}
	if q, err := Listen(p.Addr().String()); err == nil {
		q.Close()
		t.Error("another port took the number")
	}
	// Nor does a client get it as its own: connected to itself it would see an open port.
	for range 50 {
		mustRefuse(t, p)
	}
}

// TestARefusingPortRefusesThoughAnotherHasItsSocket, as a child of this process has until it runs its own program.
func TestARefusingPortRefusesThoughAnotherHasItsSocket(t *testing.T) {
	t.Parallel()
	p := echo(t)
	child, err := p.ln.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := child.Close(); err != nil {
			t.Error(err)
		}
	})
	set(t, p, Refusing)
	mustRefuse(t, p)
	set(t, p, Answering)
	roundTrip(t, dial(t, p))
}

func TestAnUnansweredPortDropsSYNsAndFreezesWhatIsOpen(t *testing.T) {
	t.Parallel()
	p := echo(t)
	c := dial(t, p)
	roundTrip(t, c)
	set(t, p, Unanswered)
	mustNotAnswer(t, p)
	mustBeSilent(t, c)
	set(t, p, Answering)
	mustBeReset(t, c)
	roundTrip(t, dial(t, p))
}

func TestAClientThatWaitsLongEnoughIsServedAfterTheBoot(t *testing.T) {
	t.Parallel()
	p := echo(t)
	set(t, p, Unanswered)
	served := make(chan error, 1)
	go func() {
		c, err := net.DialTimeout("tcp", p.Addr().String(), patience)
		if err == nil {
			c.Close()
		}
		served <- err
	}()
	time.Sleep(quiet) // its first SYN must be lost; TCP sends the next after one second
	set(t, p, Answering)
	if err := <-served; err != nil {
		t.Errorf("connect = %v, want success with a later SYN", err)
	}
}

func TestNothingIsAcknowledgedWhileUnanswered(t *testing.T) {
	t.Parallel()
	p := echo(t)
	c := dial(t, p)
	roundTrip(t, c)
	set(t, p, Unanswered)
	if _, err := c.Write([]byte("lost")); err != nil {
		t.Fatal(err)
	}
	if n := unacknowledged(t, c); n != 4 {
		t.Errorf("%d bytes are unacknowledged, want 4", n)
	}
	set(t, p, Hung) // the machine's TCP is back, the server is not: the client's next repetition is acknowledged
	for end := time.Now().Add(patience); unacknowledged(t, c) != 0; {
		if time.Now().After(end) {
			t.Fatal("a hung machine's TCP does not acknowledge")
		}
		time.Sleep(5 * time.Millisecond)
	}
	mustBeSilent(t, c)
}

// unacknowledged returns how many sent bytes the peer's TCP has not acknowledged.
func unacknowledged(t *testing.T, c net.Conn) int {
	t.Helper()
	rc, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	cerr := rc.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }) // tcp(7)
	if err := errors.Join(cerr, err); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEveryBehaviourFollowsEveryOther(t *testing.T) {
	t.Parallel()
	for _, from := range []Behaviour{Answering, Refusing, Unanswered, Hung} {
		for _, to := range []Behaviour{Answering, Refusing, Unanswered, Hung} {
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				t.Parallel()
				p := echo(t)
				set(t, p, from)
				set(t, p, to)
				if got := p.Behaviour(); got != to {
					t.Errorf("Behaviour() = %s, want %s", got, to)
				}
				switch to {
				case Answering:
					roundTrip(t, dial(t, p))
				case Refusing:
					mustRefuse(t, p)
				case Unanswered:
					mustNotAnswer(t, p)
				case Hung:
					mustBeSilent(t, dial(t, p))
				}
			})
		}
	}
}

func TestAnIPv6PortBehavesToo(t *testing.T) {
	t.Parallel()
	p, err := Listen("[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 loopback here: %v", err)
	}
	defer p.Close()
	set(t, p, Refusing)
	mustRefuse(t, p)
	set(t, p, Unanswered)
	mustNotAnswer(t, p)
}

func TestAPortThatChangesUnderClientsEndsWell(t *testing.T) {
	t.Parallel()
	p := echo(t)
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := net.DialTimeout("tcp", p.Addr().String(), 5*time.Millisecond)
				if err != nil {
					continue
				}
				c.SetDeadline(time.Now().Add(5 * time.Millisecond))
				_, _ = c.Write([]byte("x"))
				_, _ = c.Read(make([]byte, 1))
				c.Close()
			}
		})
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		set(t, p, Behaviour(r.IntN(4)))
		time.Sleep(time.Millisecond)
	}
	close(stop)
	clients.Wait()
	set(t, p, Refusing)
	set(t, p, Answering)
	roundTrip(t, dial(t, p))
}
