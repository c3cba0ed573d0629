package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeNet answers for the resolver and for every address.
type fakeNet struct {
	addrs  []netip.Addr
	dnsErr error
	silent bool             // the resolver never answers
	dial   map[string]error // by address; nil connects, errSilence never answers
	dialed []string
}

var errSilence = errors.New("silence")

func (f *fakeNet) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	if f.silent {
		<-ctx.Done()
		return nil, &net.DNSError{Err: ctx.Err().Error(), Name: host, IsTimeout: true}
	}
	return f.addrs, f.dnsErr
}

func (f *fakeNet) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	f.dialed = append(f.dialed, address)
	err := f.dial[address]
	switch {
	case errors.Is(err, errSilence):
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	case err != nil:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	local, peer := net.Pipe()
	_ = peer.Close()
	return local, nil
}

func (f *fakeNet) tracker() *Tracker {
	t := NewTracker()
	t.resolver, t.dialer = f, f
	return t
}

func TestDialContextClassifies(t *testing.T) {
	t.Parallel()
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	const at, bt = "192.0.2.1:1433", "192.0.2.2:1433"
	for name, tc := range map[string]struct {
		net  fakeNet
		want Reason
		took time.Duration
	}{
		"name unknown":                {fakeNet{dnsErr: &net.DNSError{IsNotFound: true}}, DNS, 0},
		"name server silent":          {fakeNet{silent: true}, DNS, 4 * time.Second},
		"name without address":        {fakeNet{}, DNS, 0},
		"refused":                     {fakeNet{addrs: []netip.Addr{a}, dial: map[string]error{at: refused[0]}}, Refused, 0},
		"no route":                    {fakeNet{addrs: []netip.Addr{a}, dial: map[string]error{at: unreachable[0]}}, Unreachable, 0},
		"SYN unanswered":              {fakeNet{addrs: []netip.Addr{a}, dial: map[string]error{at: errSilence}}, TCPTimeout, 4 * time.Second},
		"kernel gave up on SYN":       {fakeNet{addrs: []netip.Addr{a}, dial: map[string]error{at: gone[0]}}, TCPTimeout, 0},
		"first silent, second well":   {fakeNet{addrs: []netip.Addr{a, b}, dial: map[string]error{at: errSilence}}, Answered, 2 * time.Second},
		"first refused, second well":  {fakeNet{addrs: []netip.Addr{a, b}, dial: map[string]error{at: refused[0]}}, Answered, 0},
		"first refused, then silence": {fakeNet{addrs: []netip.Addr{a, b}, dial: map[string]error{at: refused[0], bt: errSilence}}, TCPTimeout, 4 * time.Second},
		"first silent, then refused":  {fakeNet{addrs: []netip.Addr{a, b}, dial: map[string]error{at: errSilence, bt: refused[0]}}, TCPTimeout, 2 * time.Second},
		"no route, then refused":      {fakeNet{addrs: []netip.Addr{a, b}, dial: map[string]error{at: unreachable[0], bt: refused[0]}}, Refused, 0},
		"out of file descriptors":     {fakeNet{addrs: []netip.Addr{a}, dial: map[string]error{at: errors.New("too many open files")}}, Other, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
				defer cancel()
				tr := tc.net.tracker()
				defer tr.CloseAll()
				start := time.Now()
				_, err := tr.DialContext(ctx, "tcp", "sql01.corp.example:1433")
				if got := Classify(ctx, tr, err); got != tc.want {
					t.Errorf("Classify(%v) = %q, want %q", err, got, tc.want)
				}
				if took := time.Since(start); took != tc.took {
					t.Errorf("DialContext took %v, want %v", took, tc.took)
				}
			})
		})
	}
}

func TestDialContextTakesLiteralAddressAsItIs(t *testing.T) {
	t.Parallel()
	f := &fakeNet{silent: true}
	tr := f.tracker()
	defer tr.CloseAll()
	if _, err := tr.DialContext(t.Context(), "tcp", "[2001:db8::1]:5986"); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(f.dialed), "[[2001:db8::1]:5986]"; got != want {
		t.Errorf("dialed %s, want %s", got, want)
	}
}

func TestClassifyByPhaseAndType(t *testing.T) {
	t.Parallel()
	text := errors.New("TLS Handshake failed: connection refused, i/o timeout") // must not be read
	for name, tc := range map[string]struct {
		phase Phase
		err   error
		ended bool // the caller's deadline has passed
		want  Reason
	}{
		"nothing wrong":               {PhaseQuery, nil, true, Answered},
		"silence before TLS":          {PhasePrelogin, text, true, LoginTimeout},
		"silence in TLS":              {PhaseTLS, text, true, TLSTimeout},
		"silence at login":            {PhaseLogin, text, true, LoginTimeout},
		"silence after the question":  {PhaseQuery, text, true, QueryTimeout},
		"closed by ourselves":         {PhaseQuery, net.ErrClosed, true, QueryTimeout},
		"read deadline":               {PhaseLogin, os.ErrDeadlineExceeded, false, LoginTimeout},
		"refused, then deadline":      {PhaseTCP, fmt.Errorf("x: %w", refused[0]), true, Refused},
		"handshake of unknown make":   {PhaseTLS, text, false, TLS},
		"garbage after login":         {PhaseQuery, text, false, Protocol},
		"unknown authority":           {PhaseTLS, fmt.Errorf("x: %w", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), false, TLS},
		"bare hostname error":         {PhaseLogin, x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}, false, TLS},
		"alert":                       {PhaseTLS, &net.OpError{Op: "remote error", Err: text}, false, TLS},
		"not TLS":                     {PhaseTLS, tls.RecordHeaderError{}, false, TLS},
		"reset in TLS is not ours":    {PhaseTLS, fmt.Errorf("x: %w", reset[0]), false, Protocol},
		"closed in TLS is not ours":   {PhaseTLS, io.EOF, false, Protocol},
		"closed mid-answer":           {PhaseQuery, io.ErrUnexpectedEOF, false, Protocol},
		"nothing begun":               {PhaseNone, text, false, Other},
		"refusal and silence, joined": {PhaseTCP, errors.Join(refused[0], context.DeadlineExceeded), false, TCPTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if tc.ended {
				var cancel context.CancelFunc
				ctx, cancel = context.WithDeadline(ctx, time.Now().Add(-time.Second))
				defer cancel()
			}
			tr := NewTracker()
			tr.Enter(tc.phase)
			if got := Classify(ctx, tr, tc.err); got != tc.want {
				t.Errorf("Classify(%v in %v) = %q, want %q", tc.err, tc.phase, got, tc.want)
			}
		})
	}
}

func TestClassifyCancelledSaysNothingAboutThePeer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tr := NewTracker()
	tr.Enter(PhaseLogin)
	if got := Classify(ctx, tr, net.ErrClosed); got != Other {
		t.Errorf("Classify = %q, want %q", got, Other)
	}
	if got := Classify(t.Context(), nil, refused[0]); got != Refused {
		t.Errorf("Classify without a tracker = %q, want %q", got, Refused)
	}
}

// TestRefusedOnRealSockets shows that the operating system's own error is recognised.
func TestRefusedOnRealSockets(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	tr := NewTracker()
	_, err = tr.DialContext(t.Context(), "tcp", addr)
	if got := Classify(t.Context(), tr, err); got != Refused {
		t.Errorf("Classify(%v) = %q, want %q", err, got, Refused)
	}
}

// pair returns both ends of a loopback connection, the client's made by tr.
func pair(t *testing.T, tr *Tracker) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = tr.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
	})
	return client, server
}

func TestConnCountsBytes(t *testing.T) {
	t.Parallel()
	tr := NewTracker()
	client, server := pair(t, tr)
	if _, err := client.Write([]byte("12345")); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Write([]byte("123")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if r, w := tr.ReadBytes(), tr.WrittenBytes(); r != 3 || w != 5 {
		t.Errorf("read %d, written %d, want 3 and 5", r, w)
	}
	if got := tr.Phase(); got != PhaseTLS {
		t.Errorf("phase = %v, want %v", got, PhaseTLS)
	}
}

func TestWatchClosesWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	tr := NewTracker()
	client, _ := pair(t, tr)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	stop := tr.Watch(ctx)
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read = %v, want %v", err, net.ErrClosed)
	}
	if stop() {
		t.Error("stop = true after the context ended")
	}
	if _, err := tr.DialContext(t.Context(), "tcp", "127.0.0.1:1"); err == nil {
		t.Error("a closed attempt dialled again")
	}
}

// interrupted is a context that has woken those who wait for its end, and was interrupted before it called those who asked
// to be called.
type interrupted struct {
	context.Context
	done chan struct{}
}

func (i interrupted) Done() <-chan struct{}             { return i.done }
func (interrupted) AfterFunc(func()) (stop func() bool) { return func() bool { return true } }

func (i interrupted) Err() error {
	select {
	case <-i.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestWatchClosesWhatAnEndedContextHasNotComeTo(t *testing.T) {
	t.Parallel()
	tr := NewTracker()
	_, server := pair(t, tr)
	ctx := interrupted{t.Context(), make(chan struct{})}
	stop := tr.Watch(ctx)
	close(ctx.done)
	if stop() {
		t.Error("stop = true although the context has ended")
	}
	if err := server.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %v: the connection is still open", err)
	}
}

func TestAdoptAfterCloseAllClosesTheConnection(t *testing.T) {
	t.Parallel()
	first, second := NewTracker(), NewTracker()
	nc, server := pair(t, first)
	client := nc.(*Conn)
	if !first.Release(client) {
		t.Fatal("Release = false for an open connection")
	}
	second.CloseAll()
	if err := second.Adopt(client); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Adopt = %v, want %v", err, net.ErrClosed)
	}
	if _, err := server.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
}

func TestReleasedConnectionSurvivesAndCountsForTheNextAttempt(t *testing.T) {
	t.Parallel()
	first, second := NewTracker(), NewTracker()
	nc, _ := pair(t, first)
	client := nc.(*Conn)
	if !first.Release(client) || first.Release(client) {
		t.Fatal("Release: want true once, then false")
	}
	first.CloseAll()
	if err := second.Adopt(client); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if f, s := first.WrittenBytes(), second.WrittenBytes(); f != 0 || s != 1 {
		t.Errorf("written: first %d, second %d, want 0 and 1", f, s)
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNet{addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
		tr := f.tracker()
		defer tr.CloseAll()
		if got := tr.Durations(); len(got) != 0 {
			t.Errorf("Durations before anything = %v", got)
		}
		if _, err := tr.DialContext(t.Context(), "tcp", "x:1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		tr.Enter(PhaseLogin)
		tr.Enter(PhaseTLS) // a step back is ignored
		time.Sleep(2 * time.Second)
		got := tr.Durations()
		if got[PhaseTLS] != time.Second || got[PhaseLogin] != 2*time.Second || len(got) != 4 {
			t.Errorf("Durations = %v, want dns 0, tcp 0, tls 1s, login 2s", got)
		}
	})
}

func TestReasonsAreTheMetricsLabels(t *testing.T) {
	t.Parallel()
	seen := make(map[Reason]bool)
	for _, r := range Reasons() {
		if r == Answered || seen[r] {
			t.Errorf("Reasons holds %q twice, or Answered", r)
		}
		seen[r] = true
	}
	for p := PhaseNone; p <= PhaseQuery; p++ {
		if !seen[p.timeout()] || !seen[p.failure()] {
			t.Errorf("%v classifies outside Reasons", p)
		}
	}
}
