package sqlhealth

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
	"github.com/hypervigil/hypervigil/internal/lab/wire"
)

// admin asks a fixture's address, or another one.
func (f fixture) admin(t *testing.T, address, instance string) *Admin {
	t.Helper()
	if address == "" {
		address = f.addr
	}
	a, err := NewAdmin(Options{Logger: log.NewNopLogger(), Target: Target{
		Address: address, Scheme: config.Basic, Username: "hypervigil", Encrypt: config.Strict, RootCAs: f.roots,
		Password: func() (config.Secret, error) { return config.NewSecret(password), nil },
	}}, instance)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// holding is a stage at which a server answers nothing any more.
func holding(at tdsserver.Stage) func(context.Context, tdsserver.Stage) error {
	return func(ctx context.Context, s tdsserver.Stage) error {
		if s == at {
			<-ctx.Done()
		}
		return nil
	}
}

func TestWhatBecomesOfADedicatedAdministratorConnection(t *testing.T) {
	t.Parallel()
	closed, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed.Close() })
	if err := closed.Set(wire.Refusing); err != nil {
		t.Fatal(err)
	}
	number := func(n int32) server {
		return server{handler: handler{login: func(context.Context, tdsserver.Login) *tdsserver.Error {
			return &tdsserver.Error{Number: n, Class: 14, Message: "no"}
		}}}
	}
	for name, tt := range map[string]struct {
		server  server
		address string
		state   AdminState
		reason  dial.Reason
	}{
		"it answers":              {server{dedicated: true}, "", AdminAnswers, dial.Answered},
		"somebody else uses it":   {number(adminTaken), "", AdminTaken, dial.Answered},
		"it hangs up":             {server{stage: func(context.Context, tdsserver.Stage) error { return errors.New("taken") }}, "", AdminClosed, dial.Protocol},
		"nobody listens":          {server{}, closed.Addr().String(), AdminRefused, dial.Refused},
		"it says nothing":         {server{stage: holding(tdsserver.Accepted)}, "", AdminSilent, dial.TLSTimeout},
		"it does not log in":      {server{stage: holding(tdsserver.LoginRead)}, "", AdminSilent, dial.LoginTimeout},
		"our password is refused": {number(18456), "", AdminUnknown, dial.Auth},
		"SQL Server is starting":  {number(17187), "", AdminUnknown, dial.Other},
		"its name is unknown":     {server{}, "no-such-host.invalid:1434", AdminUnknown, dial.DNS},
		"no way leads there":      {server{}, "127.255.255.255:1434", AdminUnknown, dial.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t, tt.server).admin(t, tt.address, "SALES")
			got := a.AskAdmin(within(t, 2*time.Second))
			if got.State != tt.state || got.Reason != tt.reason || (got.Err != nil) != (tt.reason != dial.Answered) {
				t.Errorf("AskAdmin = %+v, want state %d and reason %q", got, tt.state, tt.reason)
			}
			if got.Err != nil && strings.Contains(got.Err.Error(), password) {
				t.Errorf("the error holds the password: %v", got.Err)
			}
		})
	}
}

// TestTheOneConnectionIsGivenBack: a person may need it in the next moment, and our next attempt does.
func TestTheOneConnectionIsGivenBack(t *testing.T) {
	t.Parallel()
	f := start(t, server{dedicated: true})
	ours, another := f.admin(t, "", "SALES"), f.admin(t, "", "SALES")
	for i := range 5 {
		for _, a := range []*Admin{ours, another} {
			// SQL Server sees the end of a connection a moment after we have closed it.
			got := AdminAnswer{State: AdminTaken}
			for ctx := within(t, 10*time.Second); got.State == AdminTaken && ctx.Err() == nil; {
				got = a.AskAdmin(ctx)
			}
			if got.State != AdminAnswers {
				t.Fatalf("attempt %d: %+v, want an answer", i, got)
			}
		}
	}
}

// TestOurAttemptsWaitForEachOther: two of ours at once would find the one connection taken by ourselves.
func TestOurAttemptsWaitForEachOther(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	asked := make(chan struct{}, 2)
	f := start(t, server{dedicated: true, handler: handler{login: func(ctx context.Context, _ tdsserver.Login) *tdsserver.Error {
		asked <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	}}})
	a := f.admin(t, "", "SALES")
	first := make(chan AdminAnswer, 1)
	go func() { first <- a.AskAdmin(within(t, time.Minute)) }()
	<-asked
	if got := a.AskAdmin(within(t, 50*time.Millisecond)); got.State != AdminUnknown || !errors.Is(got.Err, context.DeadlineExceeded) {
		t.Errorf("a second attempt during the first: %+v, want that it waits for its turn", got)
	}
	close(release)
	if got := <-first; got.State != AdminAnswers {
		t.Errorf("the first attempt: %+v", got)
	}
	if len(asked) != 0 {
		t.Error("both attempts logged in")
	}
}

// port is the fixture's.
func (f fixture) port(t *testing.T) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}

// browser answers each question with the answers in turn, the last one for good, and keeps what it was asked last.
func browser(t *testing.T, answers ...[]byte) (port string, asked <-chan string) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	questions, done := make(chan string, 100), make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 100)
		for i := 0; ; i++ {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			questions <- hex.EncodeToString(b[:n])
			if answer := answers[min(i, len(answers)-1)]; answer != nil {
				_, _ = c.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	_, port, _ = net.SplitHostPort(c.LocalAddr().String())
	return port, questions
}

func TestSQLServerBrowserKnowsThePort(t *testing.T) {
	t.Parallel()
	f := start(t, server{dedicated: true})
	number := f.port(t)
	a := f.admin(t, "127.0.0.1", "SALES")
	var asked <-chan string
	// Before SQL Server was started anew it had another port, where nobody listens now.
	a.browser, asked = browser(t, []byte{5, 6, 0, 1, 1, 0}, []byte{5, 6, 0, 1, byte(number), byte(number >> 8)})
	if got := a.AskAdmin(within(t, 5*time.Second)); got.State != AdminRefused {
		t.Errorf("at the old port: %+v, want refused", got)
	}
	if got := a.AskAdmin(within(t, 5*time.Second)); got.State != AdminAnswers {
		t.Errorf("at the new port: %+v, want an answer", got)
	}
	if got, want := <-asked, hex.EncodeToString([]byte("\x0f\x01SALES\x00")); got != want {
		t.Errorf("the Browser was asked %s, want %s", got, want)
	}
	silent := f.admin(t, "127.0.0.1", "SALES")
	silent.browser, _ = browser(t, nil)
	if got := silent.AskAdmin(within(t, 50*time.Millisecond)); got.State != AdminUnknown || got.Reason != dial.Other || !errors.Is(got.Err, context.DeadlineExceeded) {
		t.Errorf("without an answer of the Browser's: %+v, want that nothing is known", got)
	}
}

// TestADefaultInstanceHasAPortAsARule, which may have been another's when it was started.
func TestADefaultInstanceHasAPortAsARule(t *testing.T) {
	t.Parallel()
	f := start(t, server{dedicated: true})
	if a := f.admin(t, "sql01.corp.example", "MSSQLSERVER"); a.known == nil || a.known.address != "sql01.corp.example:1434" {
		t.Errorf("a default instance is asked at %+v, want the port 1434", a.known)
	}
	closed, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed.Close() })
	if err := closed.Set(wire.Refusing); err != nil {
		t.Fatal(err)
	}
	number := f.port(t)
	for name, tt := range map[string]struct {
		answer []byte
		want   AdminState
	}{
		"the Browser knows another": {[]byte{5, 6, 0, 1, byte(number), byte(number >> 8)}, AdminAnswers},
		"the Browser knows none":    {nil, AdminRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := f.admin(t, "127.0.0.1", "MSSQLSERVER")
			known, err := a.at(closed.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			a.known = known
			a.browser, _ = browser(t, tt.answer)
			if got := a.AskAdmin(within(t, 2*time.Second)); got.State != tt.want {
				t.Errorf("AskAdmin = %+v, want state %d", got, tt.want)
			}
		})
	}
}

func TestWhatIsNoAnswerOfTheBrowsers(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"nothing": {}, "too short": {5, 6, 0, 1, 1}, "too long": {5, 6, 0, 1, 1, 1, 1}, "another message": {4, 6, 0, 1, 1, 1},
		"another size": {5, 7, 0, 1, 1, 1}, "another version": {5, 6, 0, 2, 1, 1}, "no port": {5, 6, 0, 1, 0, 0},
	} {
		if port, err := readBrowser(b); err == nil {
			t.Errorf("%s: port %d, want none", name, port)
		}
	}
}
