package sqlhealth

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
	"github.com/hypervigil/hypervigil/internal/lockout"
)

// TestHealthy asks a healthy server in every mode that both sides can agree on.
func TestHealthy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		server  server
		encrypt config.Encryption
		phases  []dial.Phase
	}{
		{"login only", server{}, config.Optional, nil},
		{"forced by the server", server{encryption: tdsserver.Required}, config.Optional, nil},
		{"mandatory", server{}, config.Mandatory, nil},
		{"strict, TLS 1.3", server{}, config.Strict, nil},
		{"strict, TLS 1.2", server{tls12: true}, config.Strict, nil},
		{"strict only", server{encryption: tdsserver.StrictOnly}, config.Strict, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var app atomic.Value
			m := &model{}
			tt.server.model = m
			tt.server.handler.login = func(_ context.Context, l tdsserver.Login) *tdsserver.Error {
				app.Store(l.AppName + " in " + l.Database)
				if !m.Authenticate(l.User, l.Password) {
					return &tdsserver.Error{Number: 18456, Class: 14}
				}
				return nil
			}
			p := start(t, tt.server).prober(t, tt.encrypt)
			got := p.Availability(within(t, 5*time.Second))
			if !got.Up || got.Reason != dial.Answered || got.Err != nil || got.State != StateRunning || got.Phase != dial.PhaseQuery {
				t.Fatalf("got %+v", got)
			}
			want := Info{
				Version: "16.0.4135.4", Edition: "Enterprise Edition (64-bit)", EngineEdition: 3,
				ServerName: "SQL01", MachineName: "SQL01", InstanceName: "MSSQLSERVER",
			}
			if diff := cmp.Diff(want, got.Info); diff != "" {
				t.Errorf("info (-want +got)\n%s", diff)
			}
			if !got.StartTime.Equal(started()) {
				t.Errorf("started %v, want %v", got.StartTime, started())
			}
			var total time.Duration
			for _, phase := range []dial.Phase{dial.PhaseDNS, dial.PhaseTCP, dial.PhasePrelogin, dial.PhaseTLS, dial.PhaseLogin, dial.PhaseQuery} {
				d, ok := got.Durations[phase]
				if !ok {
					t.Errorf("no duration of phase %v: %v", phase, got.Durations)
				}
				total += d
			}
			if whole := time.Since(got.At); total <= 0 || total > whole {
				t.Errorf("the phases took %v of %v", total, whole)
			}
			if app.Load() != "hypervigil in master" {
				t.Errorf("logged in as %v", app.Load())
			}
		})
	}
}

// TestStartTime shows that the start is a point in time whatever the guest's zone, the same in every probe, and also
// after the clocks have changed since.
func TestStartTime(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02 15:04:05.000", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tt := range []struct {
		name      string
		now, wall string
		up        time.Duration
		want      string
	}{
		{"UTC", "2026-03-01 09:00:00.007", "2026-03-01 08:00:00.120", time.Hour - 110*time.Millisecond, "2026-03-01 08:00:00.120"},
		{"east", "2026-03-01 09:00:00.000", "2026-03-01 13:45:00.120", time.Hour, "2026-03-01 08:00:00.120"},
		{"west", "2026-03-01 09:00:00.000", "2026-02-28 20:00:00.120", time.Hour, "2026-03-01 08:00:00.120"},
		{"before the clocks changed", "2026-07-01 08:00:00.000", "2026-03-01 09:00:00.500", 122*24*time.Hour - 3*time.Second, "2026-03-01 08:00:00.500"},
		{"clock set by days", "2026-03-05 09:00:00.000", "2026-03-01 08:00:00.000", time.Hour, "2026-03-05 08:00:00.000"},
	} {
		if got := startTime(at(tt.now), at(tt.wall), tt.up); !got.Equal(at(tt.want)) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}

	var now atomic.Int64
	m := &model{zone: time.FixedZone("", -int(3.5*3600)), now: func() time.Time {
		return started().Add(time.Duration(now.Add(1)) * 1234567 * time.Microsecond)
	}}
	p := start(t, server{model: m}).prober(t, config.Strict)
	for range 5 {
		if got := p.Availability(within(t, 5*time.Second)); !got.StartTime.Equal(started()) {
			t.Errorf("started %v, want %v (%v)", got.StartTime, started(), got.Err)
		}
	}
}

// TestAnswers shows what SQL Server's own refusals are taken for.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		number int32
		reason dial.Reason
		state  ServerState
	}{
		{18456, dial.Auth, StateRunning},
		{18470, dial.Auth, StateRunning},
		{18486, dial.Auth, StateRunning},
		{18487, dial.Auth, StateRunning},
		{17892, dial.Auth, StateRunning},
		{4060, dial.Permission, StateRunning},
		{17142, dial.Other, StatePaused},
		{17187, dial.Other, StateStarting},
		{18401, dial.Other, StateStarting},
		{18451, dial.Other, StateRestricted},
		{18461, dial.Other, StateRestricted},
		{17188, dial.Other, StateShuttingDown},
		{17809, dial.Other, StateExhausted},
		{12345, dial.Other, StateUnknown},
	} {
		f := start(t, server{handler: handler{login: func(context.Context, tdsserver.Login) *tdsserver.Error {
			return &tdsserver.Error{Number: tt.number, Class: 16, State: 1, Message: "So says SQL Server."}
		}}})
		got := f.prober(t, config.Mandatory).Availability(within(t, 5*time.Second))
		if got.Up || got.Reason != tt.reason || got.State != tt.state || got.ErrorNumber != tt.number || got.Phase != dial.PhaseLogin {
			t.Errorf("login error %d: %+v, want reason %q, state %v", tt.number, got, tt.reason, tt.state)
		}
		if got.Err == nil || !strings.Contains(got.Err.Error(), f.addr) || !strings.Contains(got.Err.Error(), "So says SQL Server.") {
			t.Errorf("login error %d tells %v", tt.number, got.Err)
		}
	}
	for number, want := range map[int32]dial.Reason{6005: dial.Other, 208: dial.Other, 229: dial.Permission, 297: dial.Permission} {
		f := start(t, server{handler: handler{query: func(context.Context, *tdsserver.Session, tdsserver.Request) tdsserver.Response {
			return tdsserver.Fail(&tdsserver.Error{Number: number, Class: 16, State: 1, Message: "No."})
		}}})
		got := f.prober(t, config.Mandatory).Availability(within(t, 5*time.Second))
		if got.Up || got.Reason != want || got.ErrorNumber != number || got.Phase != dial.PhaseQuery {
			t.Errorf("statement error %d: %+v, want reason %q", number, got, want)
		}
	}
}

// TestPermission shows that a login that may not see the start time is told so, and costs one round trip more only
// once.
func TestPermission(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	var engine tdsserver.Handler
	h := handler{}
	h.query = func(ctx context.Context, s *tdsserver.Session, r tdsserver.Request) tdsserver.Response {
		asked.Add(1)
		if strings.Contains(r.Text, "dm_os_sys_info") {
			return tdsserver.Fail(&tdsserver.Error{Number: 300, State: 1, Class: 14, Message: "VIEW SERVER STATE permission was denied on object 'server', database 'master'."})
		}
		return engine.Query(ctx, s, r)
	}
	engine = newEngine(t)
	p := start(t, server{handler: h}).prober(t, config.Strict)
	for i, want := range []int32{2, 3, 4} {
		got := p.Availability(within(t, 5*time.Second))
		if !got.Up || got.Reason != dial.Permission || got.ErrorNumber != 300 || got.Info.ServerName != "SQL01" || !got.StartTime.IsZero() ||
			got.Err == nil || !strings.Contains(got.Err.Error(), "VIEW SERVER STATE") {
			t.Errorf("probe %d: %+v", i, got)
		}
		if n := asked.Load(); n != want {
			t.Errorf("after probe %d: %d statements, want %d", i, n, want)
		}
	}
}

func TestDatabases(t *testing.T) {
	t.Parallel()
	f := start(t, server{})
	got, err := f.prober(t, config.Strict).Databases(within(t, 5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	want := []Database{
		{ID: 1, Name: "master", StateDesc: "ONLINE"},
		{ID: 2, Name: "tempdb", StateDesc: "ONLINE"},
		{ID: 5, Name: "Shop", State: 3, StateDesc: "RECOVERY_PENDING", UserAccess: 1, ReadOnly: true, InStandby: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	wrong := f.prober(t, config.Strict, func(o *Options) { o.Target.Username = "nobody" })
	_, err = wrong.Databases(within(t, 5*time.Second))
	var e *Error
	if !errors.As(err, &e) || e.Reason != dial.Auth || e.Number != 18456 {
		t.Errorf("wrong login: %v, want an *Error of reason auth", err)
	}
}

// TestTrust shows that trouble with certificates and encryption is ours, and that a login never goes out in clear.
func TestTrust(t *testing.T) {
	t.Parallel()
	var wire recorder
	plain := start(t, server{plain: true, listener: &recording{Listener: listen(t), into: &wire}})
	offered := start(t, server{})
	for _, tt := range []struct {
		name    string
		fixture fixture
		encrypt config.Encryption
		change  func(*Options)
	}{
		{"unknown authority, mandatory", offered, config.Mandatory, func(o *Options) { o.Target.RootCAs = x509.NewCertPool() }},
		{"unknown authority, optional", offered, config.Optional, func(o *Options) { o.Target.RootCAs = x509.NewCertPool() }},
		{"unknown authority, strict", offered, config.Strict, func(o *Options) { o.Target.RootCAs = x509.NewCertPool() }},
		{"other name, mandatory", offered, config.Mandatory, func(o *Options) { o.Target.ServerName = "sql99.example" }},
		{"other name, strict", offered, config.Strict, func(o *Options) { o.Target.ServerName = "sql99.example" }},
		{"no encryption, mandatory", plain, config.Mandatory, func(*Options) {}},
		{"no encryption, optional", plain, config.Optional, func(*Options) {}},
	} {
		got := tt.fixture.prober(t, tt.encrypt, tt.change).Availability(within(t, 5*time.Second))
		if got.Up || got.Reason != dial.TLS {
			t.Errorf("%s: %+v, want reason tls", tt.name, got)
		}
	}
	if wire.contains(encodePassword(password)) {
		t.Error("the password went over the wire in clear")
	}
	named := offered.prober(t, config.Strict, func(o *Options) { o.Target.ServerName = "localhost" })
	if got := named.Availability(within(t, 5*time.Second)); !got.Up {
		t.Errorf("with the name that the certificate bears: %+v", got)
	}
}

// TestCertificateExpiry: an expired certificate is refused, is no verdict about SQL Server, and its end is known.
func TestCertificateExpiry(t *testing.T) {
	t.Parallel()
	f := start(t, server{})
	for _, encrypt := range []config.Encryption{config.Strict, config.Mandatory} {
		p := f.prober(t, encrypt)
		if got := p.CertificateExpiry(); !got.IsZero() {
			t.Errorf("%s: before any handshake: %v", encrypt, got)
		}
		if got := p.Availability(within(t, 5*time.Second)); !got.Up {
			t.Fatalf("%s: %+v", encrypt, got)
		}
		ends := p.CertificateExpiry()
		if left := time.Until(ends); left <= 0 || left > time.Hour {
			t.Errorf("%s: the certificate ends in %v, want an hour", encrypt, left)
		}
		late := f.prober(t, encrypt)
		late.config.TLSConfig.Time = func() time.Time { return ends.Add(time.Second) }
		if got := late.Availability(within(t, 5*time.Second)); got.Up || got.Reason != dial.TLS || got.State != StateUnknown {
			t.Errorf("%s: an expired certificate: %+v, want reason tls and nothing said of SQL Server", encrypt, got)
		}
		want := ends
		if encrypt == config.Mandatory {
			want = time.Time{} // the driver makes text of the error (tds.go of v1.11.2, "TLS Handshake failed: %v")
		}
		if got := late.CertificateExpiry(); !got.Equal(want) {
			t.Errorf("%s: an expired certificate ends %v, want %v", encrypt, got, want)
		}
		s := NewStream(late, 0)
		if h := s.Health(within(t, 5*time.Second)); h.Known || h.Err == nil || h.Err.Reason != dial.TLS {
			t.Errorf("%s: the health of an instance whose certificate expired: %+v, want no level", encrypt, h)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// encodePassword is the password as LOGIN7 carries it.
func encodePassword(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		for _, c := range []byte{byte(u), byte(u >> 8)} {
			out = append(out, (c<<4|c>>4)^0xA5)
		}
	}
	return out
}

// recorder keeps what a server reads.
type recorder struct {
	mu  sync.Mutex
	all []byte
}

func (r *recorder) contains(b []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Contains(r.all, b)
}

type recording struct {
	net.Listener
	into *recorder
}

func (l *recording) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &recordedConn{c, l.into}, err
}

type recordedConn struct {
	net.Conn
	into *recorder
}

func (c *recordedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.into.mu.Lock()
	defer c.into.mu.Unlock()
	c.into.all = append(c.into.all, b[:n]...)
	return n, err
}

// TestSecrets shows that the password is in nothing that comes out, even where the server sends it back.
func TestSecrets(t *testing.T) {
	t.Parallel()
	echo := start(t, server{handler: handler{login: func(_ context.Context, l tdsserver.Login) *tdsserver.Error {
		return &tdsserver.Error{Number: 18456, Class: 14, State: 1, Message: "Wrong password " + l.Password + " for " + l.User}
	}}})
	rows := start(t, server{handler: handler{query: func(_ context.Context, s *tdsserver.Session, _ tdsserver.Request) tdsserver.Response {
		return tdsserver.Fail(&tdsserver.Error{Number: 208, Class: 16, State: 1, Message: s.Login().Password})
	}}})
	var logged bytes.Buffer
	for _, f := range []fixture{echo, rows, {addr: "127.0.0.1:1"}, {addr: "no-such-host.invalid:1433"}} {
		for _, encrypt := range []config.Encryption{config.Strict, config.Mandatory, config.Optional} {
			p := f.prober(t, encrypt, func(o *Options) { o.Logger = log.NewLogfmtLogger(log.NewSyncWriter(&logged)) })
			got := p.Availability(within(t, 5*time.Second))
			_, err := p.Databases(within(t, 5*time.Second))
			if got.Up || err == nil {
				t.Errorf("%s: up", f.addr)
			}
			for _, out := range []string{fmt.Sprintf("%v %+v %#v %s", got, got, got, got.Err), fmt.Sprintf("%v %+v %#v", err, err, err), fmt.Sprintf("%+v %#v", p, p)} {
				if strings.Contains(out, password) || strings.Contains(out, "hunter2") {
					t.Errorf("the password shows in %s", out)
				}
			}
		}
	}
	if strings.Contains(logged.String(), "hunter2") {
		t.Errorf("the password was logged: %s", logged.String())
	}

	p := echo.prober(t, config.Strict, func(o *Options) {
		o.Target.Password = func() (config.Secret, error) { return config.Secret{}, errors.New("no such file") }
	})
	if got := p.Availability(within(t, 5*time.Second)); got.Reason != dial.Auth || !strings.Contains(got.Err.Error(), "no such file") {
		t.Errorf("without a password: %+v, want reason auth", got)
	}
}

// TestRouting shows that a server cannot send the credential to another one.
func TestRouting(t *testing.T) {
	t.Parallel()
	cfg, roots := certificate(t)
	cfg.NextProtos = []string{"tds/8.0"}
	elsewhere := listen(t)
	port := elsewhere.Addr().(*net.TCPAddr).Port
	l := tls.NewListener(listen(t), cfg)
	var served sync.WaitGroup
	served.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		read := func() {
			var header [8]byte
			if _, err := io.ReadFull(c, header[:]); err == nil {
				_, _ = io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint16(header[2:]))-8)
			}
		}
		write := func(payload []byte) {
			packet := []byte{packetReply, 1, 0, 0, 0, 0, 1, 0}
			binary.BigEndian.PutUint16(packet[2:], uint16(8+len(payload)))
			_, _ = c.Write(append(packet, payload...))
		}
		read()
		write([]byte{0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF, 16, 0, 0, 0, 0, 0, 4})
		read()
		host := []byte{'l', 0, 'o', 0, 'c', 0, 'a', 0, 'l', 0, 'h', 0, 'o', 0, 's', 0, 't', 0}
		route := []byte{0, byte(port), byte(port >> 8), byte(len(host) / 2), 0}
		route = append(route, host...)
		var reply []byte
		reply = append(reply, 0xAD, 10, 0, 1, 8, 0, 0, 0, 0, 16, 0, 0, 0) // LOGINACK
		reply = append(reply, 0xE3, byte(5+len(route)), 0, 20, byte(len(route)), 0)
		reply = append(reply, route...)
		reply = append(reply, 0, 0)
		reply = append(reply, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // DONE
		write(reply)
		_, _ = io.Copy(io.Discard, c)
	})
	got := fixture{l.Addr().String(), roots}.prober(t, config.Strict).Availability(within(t, 5*time.Second))
	if got.Up || got.Reason != dial.Protocol || !strings.Contains(got.Err.Error(), "routed") {
		t.Errorf("got %+v, want a refusal to be routed", got)
	}
	served.Wait()
	if err := elsewhere.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if c, err := elsewhere.Accept(); err == nil {
		c.Close()
		t.Error("the route was followed")
	}
}

// TestConcurrent shows that probes of one Prober do not disturb each other.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	f := start(t, server{})
	for _, encrypt := range []config.Encryption{config.Strict, config.Mandatory, config.Optional} {
		p := f.prober(t, encrypt)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if got := p.Availability(within(t, 10*time.Second)); !got.Up {
					t.Errorf("%s: %+v", encrypt, got)
				}
				if _, err := p.Databases(within(t, 10*time.Second)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	good := func() Options {
		return Options{Logger: log.NewNopLogger(), Target: Target{
			Scheme:  config.Basic,
			Address: "sql01:1433", Username: "u", Encrypt: config.Strict,
			Password: func() (config.Secret, error) { return config.Secret{}, nil },
		}}
	}
	if _, err := New(good()); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Options){
		"no logger":           func(o *Options) { o.Logger = nil },
		"want host:port":      func(o *Options) { o.Target.Address = "sql01" },
		"want a port":         func(o *Options) { o.Target.Address = "sql01:0" },
		"want a port from":    func(o *Options) { o.Target.Address = "sql01:ms-sql" },
		"no user name":        func(o *Options) { o.Target.Username = "" },
		"or no password":      func(o *Options) { o.Target.Password = nil },
		"a Windows account":   func(o *Options) { o.Target.Username = `CORP\u` },
		`encrypt "sometimes"`: func(o *Options) { o.Target.Encrypt = "sometimes" },
	} {
		o := good()
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want an error with %q", err, want)
		}
	}
}

// TestRefusedPasswordIsNotRepeated shows that SQL Server sees a wrong password once, and that nothing else holds one back.
func TestRefusedPasswordIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		number int32
		want   int64
	}{{18456, 1}, {18486, 1}, {18470, 3}, {18401, 3}, {17142, 3}, {4060, 3}} {
		var logins atomic.Int64
		f := start(t, server{handler: handler{login: func(context.Context, tdsserver.Login) *tdsserver.Error {
			logins.Add(1)
			return &tdsserver.Error{Number: tt.number, Class: 14, State: 1, Message: "Login failed."}
		}}})
		current := password
		p := f.prober(t, config.Strict, func(o *Options) {
			o.Target.Lockout = lockout.New(lockout.Machine, log.NewNopLogger())
			o.Target.Password = func() (config.Secret, error) { return config.NewSecret(current), nil }
		})
		first := p.Availability(within(t, 5*time.Second))
		for range 2 {
			got := p.Availability(within(t, 5*time.Second))
			if got.Reason != first.Reason || got.Phase != first.Phase || !strings.Contains(got.Err.Error(), "Login failed.") {
				t.Errorf("login error %d, again: %+v, want what was said first: %+v", tt.number, got, first)
			}
		}
		if n := logins.Load(); n != tt.want {
			t.Errorf("login error %d: %d logins of 3 arrived, want %d", tt.number, n, tt.want)
		}
		current = "changed"
		_ = p.Availability(within(t, 5*time.Second))
		if n := logins.Load(); n != tt.want+1 {
			t.Errorf("login error %d: a changed password did not arrive (%d logins)", tt.number, n)
		}
	}
}

// TestAHeldBackPasswordHidesNoDeadServer shows that a port that is refused is seen all the same.
func TestAHeldBackPasswordHidesNoDeadServer(t *testing.T) {
	t.Parallel()
	l := listen(t)
	f := start(t, server{listener: l, handler: handler{login: func(context.Context, tdsserver.Login) *tdsserver.Error {
		return &tdsserver.Error{Number: 18456, Class: 14, State: 1, Message: "Login failed."}
	}}})
	p := f.prober(t, config.Strict, func(o *Options) { o.Target.Lockout = lockout.New(lockout.Machine, log.NewNopLogger()) })
	for range 2 {
		if got := p.Availability(within(t, 5*time.Second)); got.Reason != dial.Auth {
			t.Fatalf("got %+v, want %s", got, dial.Auth)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := p.Availability(within(t, 5*time.Second)); got.Reason != dial.Refused {
		t.Errorf("a server that has died: %+v, want %s", got, dial.Refused)
	}
}
