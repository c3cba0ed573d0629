package sqlhealth

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/kerberos"
	"github.com/hypervigil/hypervigil/internal/lab/kdctest"
	"github.com/hypervigil/hypervigil/internal/lab/sspi"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

const (
	windowsSecret = "Correct-Horse-1"
	serverSPN     = "MSSQLSvc/sql01.corp.example:1433"
)

// accounts knows hv-sql, which has a login, and hv-other, which has none.
func accounts(t testing.TB, o sspi.Options) *sspi.Acceptor {
	t.Helper()
	if o.Keytab == nil {
		o.Password = func(user string) (string, bool) { return windowsSecret, user == "hv-sql" || user == "hv-other" }
	}
	o.Domain, o.Computer, o.Realm = "CORP", "SQL01", kdctest.Name
	a, err := sspi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// asNTLM makes a prober log in as a Windows account by NTLM.
func asNTLM(user, pw string) func(*Options) {
	return func(o *Options) {
		o.Target.Scheme, o.Target.Username = config.NTLM, user
		o.Target.Password = func() (config.Secret, error) { return config.NewSecret(pw), nil }
	}
}

// asKerberos makes it log in by Kerberos.
func asKerberos(k Tickets, spn string) func(*Options) {
	return func(o *Options) {
		o.Target.Scheme, o.Target.Username, o.Target.Password, o.Target.Tickets, o.Target.SPN = config.Kerberos, "", nil, k, spn
	}
}

// realm is a KDC that knows the instance and both accounts.
func realm(t *testing.T) (r *kdctest.Realm, keys []byte) {
	t.Helper()
	r = kdctest.Start(t)
	r.Add("hv-sql", windowsSecret)
	r.Add("hv-other", windowsSecret)
	keys, err := os.ReadFile(r.Keytab(serverSPN))
	if err != nil {
		t.Fatal(err)
	}
	return r, keys
}

// account keeps tickets.
func account(t testing.TB, user, configFile, pw string) *kerberos.Client {
	t.Helper()
	k, err := kerberos.New(kerberos.Options{
		Username: user, ConfigFile: configFile, Password: func() (string, error) { return pw, nil }, Logger: log.NewNopLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

func TestAWindowsAccountLogsIn(t *testing.T) {
	t.Parallel()
	r, keys := realm(t)
	k := account(t, "hv-sql@"+r.Name, r.Config, windowsSecret)
	for name, c := range map[string]struct {
		encrypt config.Encryption
		server  server
		as      func(*Options)
	}{
		"NTLM, TLS inside":             {config.Mandatory, server{integrated: accounts(t, sspi.Options{})}, asNTLM(`CORP\hv-sql`, windowsSecret)},
		"NTLM, TLS inside, bound":      {config.Mandatory, server{integrated: accounts(t, sspi.Options{Binding: sspi.Demanded})}, asNTLM(`CORP\hv-sql`, windowsSecret)},
		"NTLM, strict, TLS 1.3":        {config.Strict, server{integrated: accounts(t, sspi.Options{})}, asNTLM("hv-sql@corp.example", windowsSecret)},
		"NTLM, strict, TLS 1.2, bound": {config.Strict, server{tls12: true, integrated: accounts(t, sspi.Options{Binding: sspi.Demanded})}, asNTLM(`CORP\hv-sql`, windowsSecret)},
		"Kerberos, TLS inside, bound":  {config.Mandatory, server{integrated: accounts(t, sspi.Options{Keytab: keys, Binding: sspi.Demanded})}, asKerberos(k, serverSPN)},
		"Kerberos, strict, TLS 1.3":    {config.Strict, server{integrated: accounts(t, sspi.Options{Keytab: keys})}, asKerberos(k, serverSPN)},
		"Kerberos, both once more":     {config.Strict, server{integrated: accounts(t, sspi.Options{Keytab: keys})}, asKerberos(k, serverSPN)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, c.server).prober(t, c.encrypt, c.as)
			for range 2 { // a login is a new connection each time
				a := p.Availability(within(t, 5*time.Second))
				if !a.Up || a.Reason != dial.Answered || a.Phase != dial.PhaseQuery {
					t.Fatalf("Availability = %+v", a)
				}
				if a.Durations[dial.PhaseLogin] <= 0 {
					t.Errorf("no time was spent on the login: %v", a.Durations)
				}
			}
		})
	}
}

func TestEachWayOfNotGettingInIsTold(t *testing.T) {
	t.Parallel()
	r, keys := realm(t)
	silent := listen(t)
	configOf := func(address string) string {
		name := filepath.Join(t.TempDir(), "krb5.conf")
		if err := os.WriteFile(name, []byte("[realms]\n "+r.Name+" = {\n kdc = "+address+"\n }\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	gone := listen(t)
	gone.Close()
	ntlmServer, kerberosServer := accounts(t, sspi.Options{}), accounts(t, sspi.Options{Keytab: keys})
	good := account(t, "hv-sql@"+r.Name, r.Config, windowsSecret)
	for name, c := range map[string]struct {
		integrated *sspi.Acceptor
		as         func(*Options)
		number     int32
		says       string
	}{
		"NTLM, wrong password":          {ntlmServer, asNTLM(`CORP\hv-sql`, "wrong"), 18452, "untrusted domain"},
		"NTLM, unknown account":         {ntlmServer, asNTLM(`CORP\nobody`, windowsSecret), 18452, "untrusted domain"},
		"NTLM, no login":                {ntlmServer, asNTLM(`CORP\hv-other`, windowsSecret), 18456, "Login failed for user"},
		"NTLM where it is off":          {kerberosServer, asNTLM(`CORP\hv-sql`, windowsSecret), 18452, "untrusted domain"},
		"SQL Server's logins alone":     {nil, asNTLM(`CORP\hv-sql`, windowsSecret), 18452, "untrusted domain"},
		"Kerberos, wrong password":      {kerberosServer, asKerberos(account(t, "hv-sql", r.Config, "wrong"), serverSPN), 0, "wrong password or key"},
		"Kerberos, unknown account":     {kerberosServer, asKerberos(account(t, "nobody", r.Config, windowsSecret), serverSPN), 0, "unknown account"},
		"Kerberos, unknown service":     {kerberosServer, asKerberos(good, "MSSQLSvc/nowhere:1433"), 0, "unknown service name"},
		"Kerberos, no login":            {kerberosServer, asKerberos(account(t, "hv-other", r.Config, windowsSecret), serverSPN), 18456, "Login failed for user"},
		"Kerberos where it is off":      {ntlmServer, asKerberos(good, serverSPN), 18452, "untrusted domain"},
		"Kerberos, nobody at the KDC":   {kerberosServer, asKerberos(account(t, "hv-sql@"+r.Name, configOf(gone.Addr().String()), windowsSecret), serverSPN), 0, "KDC unreachable"},
		"Kerberos, a KDC that is hung":  {kerberosServer, asKerberos(account(t, "hv-sql@"+r.Name, configOf(silent.Addr().String()), windowsSecret), serverSPN), 0, "KDC silent"},
		"Kerberos, somebody who panics": {kerberosServer, asKerberos(waiting{}, serverSPN), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, server{integrated: c.integrated}).prober(t, config.Mandatory, c.as)
			const deadline = 2 * time.Second // enough for a KDC on a busy machine
			ctx := within(t, deadline)
			over := ended(ctx)
			a := p.Availability(ctx)
			if at := time.Now(); ctx.Err() != nil {
				// Twice the promised: this is one try, on a machine that may be busy.
				if late := at.Sub(<-over); late > 2*lateness {
					t.Errorf("it took %s longer than it may", late)
				}
			}
			if a.Up || a.Reason != dial.Auth || a.Phase != dial.PhaseLogin || a.ErrorNumber != c.number {
				t.Fatalf("Availability = %+v, want no more than that the proof was refused", a)
			}
			if text := a.Err.Error(); !strings.Contains(text, c.says) || strings.Contains(text, windowsSecret) {
				t.Errorf("the error is %q; want it to say %q, and no secret", text, c.says)
			}
		})
	}
}

// waiting is somebody who waits for tickets longer than he may.
type waiting struct{}

func (waiting) Token(ctx context.Context, _ string, _ []byte) ([]byte, error) {
	<-ctx.Done()
	time.Sleep(2 * grace) // no synchronisation: this is what is tested
	return nil, ctx.Err()
}
func (waiting) Judge(string, []byte) error { return errors.New("never asked") }

func TestARefusedPortIsSeenWhereNoKDCAnswers(t *testing.T) {
	t.Parallel()
	gone := listen(t)
	gone.Close()
	f := fixture{addr: gone.Addr().String()}
	p := f.prober(t, config.Mandatory, asKerberos(waiting{}, serverSPN))
	if a := p.Availability(within(t, 900*time.Millisecond)); a.Reason != dial.Refused {
		t.Errorf("Availability = %+v, want that the port is refused", a)
	}
}

func TestAServerThatHangsInTheHandshakeIsAHang(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]server{
		"before the challenge": {stage: func(ctx context.Context, s tdsserver.Stage) error {
			if s == tdsserver.LoginRead {
				<-ctx.Done()
			}
			return nil
		}},
		"after the last message": {handler: handler{login: func(ctx context.Context, _ tdsserver.Login) *tdsserver.Error {
			<-ctx.Done()
			return nil
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			s.integrated = accounts(t, sspi.Options{})
			wantHang(t, start(t, s).prober(t, config.Mandatory, asNTLM(`CORP\hv-sql`, windowsSecret)), dial.LoginTimeout, dial.PhaseLogin)
		})
	}
}

func TestASchemeIsCheckedBeforehand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Options)
		says   string
	}{
		"no scheme":                              {func(o *Options) { o.Target.Scheme = "" }, `scheme ""`},
		"a certificate":                          {func(o *Options) { o.Target.Scheme = config.Certificate }, "no logins by client certificate"},
		"NTLM without encryption":                {func(o *Options) { asNTLM("a", "b")(o); o.Target.Encrypt = config.Optional }, "only the login's first message"},
		"Kerberos without tickets":               {func(o *Options) { o.Target.Scheme = config.Kerberos }, "nobody who has tickets"},
		"a Windows account by name and password": {func(o *Options) { o.Target.Username = `CORP\hv-sql` }, "is a Windows account"},
	} {
		o := Options{Logger: log.NewNopLogger(), Target: Target{
			Scheme: config.Basic, Address: "sql01:1433", Username: "hypervigil", Encrypt: config.Strict,
			Password: func() (config.Secret, error) { return config.NewSecret(password), nil },
		}}
		c.change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: New = %v, want it to say %q", name, err, c.says)
		}
	}
}
