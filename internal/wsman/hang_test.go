package wsman

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/wire"
)

// rawServer accepts connections and hands each to serve; it ends, with all of them, with the test.
type rawServer struct {
	id   identity
	port *wire.Port
}

// newRawServer starts one. serve must return when its connection is closed.
func newRawServer(t *testing.T, serve func(id identity, c net.Conn)) *rawServer {
	t.Helper()
	port, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{id: newIdentity(t), port: port}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		conns []net.Conn
	)
	wg.Go(func() {
		for {
			c, err := port.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				serve(s.id, c)
			})
		}
	})
	t.Cleanup(func() {
		_ = port.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return s
}

// client makes one for the server.
func (s *rawServer) client(t *testing.T, more ...string) *Client {
	t.Helper()
	return newClient(t, Options{
		Addresses: append([]string{s.port.Addr().String()}, more...), Scheme: Basic, Username: "reader",
		Password: func() (string, error) { return "secret", nil }, TLS: &tls.Config{RootCAs: s.id.pool},
	})
}

// afterRequest does the TLS handshake, reads one request, and goes on with f.
func afterRequest(f func(c net.Conn)) func(identity, net.Conn) {
	return func(id identity, c net.Conn) {
		secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{id.server}})
		req, err := http.ReadRequest(bufio.NewReader(secure))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		f(secure)
	}
}

// silent reads until the client is gone.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// trickle writes a byte every 20 ms.
func trickle(c net.Conn, s string) {
	for i := range len(s) {
		if _, err := c.Write([]byte{s[i]}); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond) // the pace is the fault
	}
	silent(c)
}

// head is an answer's HTTP head.
func head(length int) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml;charset=UTF-8\r\nContent-Length: %d\r\n\r\n", length)
}

// lateness is what a test allows beyond the deadline: two busy cores, not the client's doing.
const lateness = time.Second

// endsInTime fails the test where f outlives its deadline.
func endsInTime(t *testing.T, after time.Duration, f func(ctx context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	begun := time.Now()
	err := f(ctx)
	if took := time.Since(begun); took > after+lateness {
		t.Errorf("took %v, want %v", took, after)
	}
	return err
}

func TestEveryStageOfSilenceEndsAtTheDeadline(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		behaviour wire.Behaviour
		serve     func(identity, net.Conn)
		want      dial.Reason
		sent      bool
	}{
		"SYN unanswered":   {wire.Unanswered, nil, dial.TCPTimeout, false},
		"accepted, silent": {wire.Answering, func(_ identity, c net.Conn) { silent(c) }, dial.TLSTimeout, false},
		"hung machine":     {wire.Hung, func(_ identity, c net.Conn) { silent(c) }, dial.TLSTimeout, false},
		"TLS begun, silent": {wire.Answering, func(id identity, c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = c.Write([]byte{22, 3, 3, 0, 100, 2, 0}) // the first bytes of a ServerHello
			silent(c)
		}, dial.TLSTimeout, false},
		"silent after the request": {wire.Answering, afterRequest(silent), dial.QueryTimeout, true},
		"trickle of headers":       {wire.Answering, afterRequest(func(c net.Conn) { trickle(c, head(100000)) }), dial.QueryTimeout, true},
		"trickle of body": {wire.Answering, afterRequest(func(c net.Conn) {
			_, _ = io.WriteString(c, head(100000))
			trickle(c, fixtureIdentify)
		}), dial.QueryTimeout, true},
		"half an answer": {wire.Answering, afterRequest(func(c net.Conn) {
			_, _ = io.WriteString(c, head(len(fixtureIdentify))+fixtureIdentify[:100])
			silent(c)
		}), dial.QueryTimeout, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRawServer(t, tc.serve)
			if err := s.port.Set(tc.behaviour); err != nil {
				t.Fatal(err)
			}
			c := s.client(t)
			const deadline = 300 * time.Millisecond
			err := endsInTime(t, deadline, func(ctx context.Context) error {
				_, err := c.Identify(ctx)
				return err
			})
			if got := Reason(err); got != tc.want || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Identify = %v, reason %q, want %q", err, got, tc.want)
			}
			err = endsInTime(t, deadline, func(ctx context.Context) error {
				_, err := c.Invoke(ctx, Call{Namespace: "root/cimv2", Class: "Win32_Service", Method: "StartService"})
				return err
			})
			var e *Error
			if !errors.As(err, &e) || e.Cause != tc.want || e.Sent != tc.sent || e.Unknown() != tc.sent {
				t.Errorf("Invoke = %v, sent %v, want %q, sent %v", err, e != nil && e.Sent, tc.want, tc.sent)
			}
		})
	}
}

func TestPeersThatEndTheConnection(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		serve func(identity, net.Conn)
		want  dial.Reason
		sent  bool
	}{
		"at once":           {func(identity, net.Conn) {}, dial.Protocol, false},
		"in the handshake":  {func(_ identity, c net.Conn) { _, _ = c.Read(make([]byte, 10)) }, dial.Protocol, false},
		"not TLS":           {func(_ identity, c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); silent(c) }, dial.TLS, false},
		"after the request": {afterRequest(func(net.Conn) {}), dial.Protocol, true},
		"inside the answer": {afterRequest(func(c net.Conn) { _, _ = io.WriteString(c, head(1000)+"<s:Env") }), dial.Protocol, true},
		"not HTTP":          {afterRequest(func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.6\r\n"); silent(c) }), dial.Protocol, true},
		"endless headers": {afterRequest(func(c net.Conn) {
			_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for err == nil {
				_, err = io.WriteString(c, strings.Repeat("X: y\r\n", 10000))
			}
		}), dial.Protocol, true},
		"endless interim answers": {afterRequest(func(c net.Conn) {
			var err error
			for err == nil {
				_, err = io.WriteString(c, strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000))
			}
		}), dial.Protocol, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newRawServer(t, tc.serve).client(t)
			err := endsInTime(t, 10*time.Second, func(ctx context.Context) error {
				_, err := c.Invoke(ctx, Call{Namespace: "root/cimv2", Class: "Win32_Service", Method: "StartService"})
				return err
			})
			var e *Error
			if !errors.As(err, &e) || e.Cause != tc.want || e.Sent != tc.sent {
				t.Errorf("Invoke = %v (%q, sent %v), want %q, sent %v", err, Reason(err), e != nil && e.Sent, tc.want, tc.sent)
			}
		})
	}
}

// answerTimes serves the first n requests of a connection and then does last.
func answerTimes(n int, requests *sync.Map, last func(c net.Conn)) func(identity, net.Conn) {
	return func(id identity, c net.Conn) {
		secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{id.server}})
		br := bufio.NewReader(secure)
		for i := 0; ; i++ {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return
			}
			requests.Store(fmt.Sprintf("%s/%d", c.RemoteAddr(), i), string(body))
			if i >= n {
				last(secure)
				return
			}
			answer := fixtureIdentify
			if _, err := io.WriteString(secure, head(len(answer))+answer); err != nil {
				return
			}
		}
	}
}

// size counts what a sync.Map holds.
func size(m *sync.Map) int {
	n := 0
	m.Range(func(any, any) bool { n++; return true })
	return n
}

func TestReadIsRepeatedOnceOnADeadKeptConnection(t *testing.T) {
	t.Parallel()
	var requests sync.Map
	c := newRawServer(t, answerTimes(1, &requests, func(net.Conn) {})).client(t)
	for i := range 3 {
		if _, err := c.Identify(t.Context()); err != nil {
			t.Fatalf("Identify %d: %v", i, err)
		}
	}
	// 1, then one that dies and its repetition, then the same again.
	if n := size(&requests); n != 5 {
		t.Errorf("%d requests, want 5", n)
	}
}

func TestReadIsNotRepeatedForEver(t *testing.T) {
	t.Parallel()
	var requests sync.Map
	c := newRawServer(t, answerTimes(0, &requests, func(net.Conn) {})).client(t)
	if _, err := c.Identify(t.Context()); Reason(err) != dial.Protocol {
		t.Errorf("Identify = %v, want a breach of protocol", err)
	}
	if n := size(&requests); n != 1 {
		t.Errorf("%d requests, want 1: the connection was fresh", n)
	}
}

func TestInvokeIsNeverRepeated(t *testing.T) {
	t.Parallel()
	var requests sync.Map
	s := newRawServer(t, answerTimes(1, &requests, func(net.Conn) {}))
	c := s.client(t, s.port.Addr().String()) // a second address would be a second chance
	if _, err := c.Identify(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := c.Invoke(t.Context(), Call{Namespace: "root/cimv2", Class: "Win32_Service", Method: "StartService"})
	var e *Error
	if !errors.As(err, &e) || !e.Sent || !e.Unknown() {
		t.Errorf("Invoke = %v, want sent and unknown", err)
	}
	if n := size(&requests); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// TestInvokeAvoidsAConnectionThatWasClosed: the peer closed the kept connection before the call, so that the call
// goes out on a fresh one instead of ending with an unknown outcome.
func TestInvokeAvoidsAConnectionThatWasClosed(t *testing.T) {
	t.Parallel()
	var requests sync.Map
	closed := make(chan struct{})
	s := newRawServer(t, func(id identity, c net.Conn) {
		secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{id.server}})
		req, err := http.ReadRequest(bufio.NewReader(secure))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		requests.Store(c.RemoteAddr().String(), true)
		answer := methodOutput("Win32_Service", "StartService", "<p:ReturnValue>0</p:ReturnValue>")
		_, _ = io.WriteString(secure, head(len(answer))+answer)
		_ = secure.Close()
		closed <- struct{}{}
	})
	c := s.client(t)
	for range 2 {
		_, err := c.Invoke(t.Context(), Call{Namespace: "root/cimv2", Class: "Win32_Service", Method: "StartService"})
		if err != nil {
			t.Fatal(err)
		}
		<-closed
	}
	if n := size(&requests); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// TestWarmConnectionToADeadMachine: a kept connection to a machine that is gone tells as much as a new one would.
func TestWarmConnectionToADeadMachine(t *testing.T) {
	t.Parallel()
	for behaviour, want := range map[wire.Behaviour]dial.Reason{wire.Unanswered: dial.TCPTimeout, wire.Hung: dial.QueryTimeout} {
		t.Run(behaviour.String(), func(t *testing.T) {
			t.Parallel()
			var requests sync.Map
			s := newRawServer(t, answerTimes(10, &requests, silent))
			c := s.client(t)
			if _, err := c.Identify(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.port.Set(behaviour); err != nil {
				t.Fatal(err)
			}
			err := endsInTime(t, 900*time.Millisecond, func(ctx context.Context) error {
				_, err := c.Identify(ctx)
				return err
			})
			if got := Reason(err); got != want {
				t.Errorf("Identify = %v, reason %q, want %q", err, got, want)
			}
			// And back to life: nothing of the dead connections is left in the way.
			if err := s.port.Set(wire.Answering); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Identify(t.Context()); err != nil {
				t.Errorf("Identify of the machine that came back: %v", err)
			}
		})
	}
}

// TestSilentFirstAddressLeavesTimeForTheSecond also shows which of two failures is told.
func TestSilentFirstAddressLeavesTimeForTheSecond(t *testing.T) {
	t.Parallel()
	good := newFakeServer(t, always(200, fixtureIdentify))
	dead := newRawServer(t, nil)
	if err := dead.port.Set(wire.Unanswered); err != nil {
		t.Fatal(err)
	}
	address := dead.port.Addr().String()
	err := endsInTime(t, time.Second, func(ctx context.Context) error {
		_, err := newClient(t, good.options(address, good.addr())).Identify(ctx)
		return err
	})
	if err != nil {
		t.Errorf("Identify = %v", err)
	}
	err = endsInTime(t, 400*time.Millisecond, func(ctx context.Context) error {
		_, err := newClient(t, good.options(address, refusing(t))).Identify(ctx)
		return err
	})
	if got := Reason(err); got != dial.TCPTimeout {
		t.Errorf("one silent, one refusing: %v, reason %q, want %q: a refusal of a stale address is no proof of life", err, got, dial.TCPTimeout)
	}
}
