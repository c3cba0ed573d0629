package kerberos

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/service"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/lab/kdctest"
)

func TestMain(m *testing.M) {
	// gokrb5's service side keeps a replay cache that runs for ever.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("time.Sleep"))
}

const (
	spn    = "HTTP/hv1.corp.example"
	secret = "Correct-Horse-1"
)

// client makes a client of a realm; it is closed at the end of the test.
func client(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Logger == nil {
		o.Logger = log.NewNopLogger()
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func password(p string) func() (string, error) { return func() (string, error) { return p, nil } }

func file(name string) func() ([]byte, error) {
	return func() ([]byte, error) { return os.ReadFile(name) }
}

// accepted has the service's side of the library judge a token.
func accepted(t *testing.T, keytabFile string, token []byte) string {
	t.Helper()
	kt, err := keytab.Load(keytabFile)
	if err != nil {
		t.Fatal(err)
	}
	var st spnego.SPNEGOToken
	if err := st.Unmarshal(token); err != nil {
		t.Fatal(err)
	}
	ok, _, status := spnego.SPNEGOService(kt, service.DecodePAC(false)).AcceptSecContext(&st)
	if !ok {
		return status.Error()
	}
	return ""
}

func TestARealKDCGivesTicketsForAPasswordAndAKeytab(t *testing.T) {
	t.Parallel()
	r := kdctest.Start(t)
	r.Add("hv-password", secret)
	services, own := r.Keytab(spn), r.Keytab("hv-keytab")
	for name, o := range map[string]Options{
		"password":          {Username: "hv-password@" + r.Name, ConfigFile: r.Config, Password: password(secret)},
		"the default realm": {Username: "hv-password", ConfigFile: r.Config, Password: password(secret)},
		"keytab":            {Username: "hv-keytab@" + r.Name, ConfigFile: r.Config, Keytab: file(own)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, o)
			if err := c.Keep(spn); err != nil {
				t.Fatal(err)
			}
			token, err := c.Token(t.Context(), spn, []byte("tls-server-end-point:x"))
			if err != nil {
				t.Fatal(err)
			}
			if why := accepted(t, services, token); why != "" {
				t.Errorf("the service refuses the token: %s", why)
			}
			again, err := c.Token(t.Context(), spn, nil)
			if err != nil || string(again) == string(token) {
				t.Errorf("a second token is the first one again, or %v", err)
			}
			if end, ok := c.Expires()[spn]; !ok || time.Until(end) < time.Hour {
				t.Errorf("the ticket is kept until %v", end)
			}
		})
	}
}

func TestEachRefusalOfARealKDCIsToldApart(t *testing.T) {
	t.Parallel()
	r := kdctest.Start(t)
	for _, n := range []string{"hv-reader", "hv-locked", "hv-expired"} {
		r.Add(n, secret)
	}
	r.Do("modprinc -allow_tix hv-locked")
	r.Do("modprinc -pwexpire yesterday hv-expired")
	services, other := r.Keytab(spn), r.Keytab("hv-other")
	refusing := kdcConfig(t, closedAddress(t))
	silent := kdcConfig(t, silentAddress(t))
	for name, c := range map[string]struct {
		options Options
		spn     string
		want    Cause
	}{
		"wrong password":        {Options{Username: "hv-reader", ConfigFile: r.Config, Password: password("wrong-" + secret)}, spn, WrongSecret},
		"unknown account":       {Options{Username: "nobody", ConfigFile: r.Config, Password: password(secret)}, spn, UnknownAccount},
		"locked account":        {Options{Username: "hv-locked", ConfigFile: r.Config, Password: password(secret)}, spn, LockedAccount},
		"expired password":      {Options{Username: "hv-expired", ConfigFile: r.Config, Password: password(secret)}, spn, ExpiredSecret},
		"unknown service":       {Options{Username: "hv-reader", ConfigFile: r.Config, Password: password(secret)}, "HTTP/elsewhere.corp.example", UnknownService},
		"another's keytab":      {Options{Username: "hv-reader", ConfigFile: r.Config, Keytab: file(other)}, spn, Misconfigured},
		"no keytab":             {Options{Username: "hv-reader", ConfigFile: r.Config, Keytab: file(r.Config)}, spn, Misconfigured},
		"a service's keytab":    {Options{Username: spn, ConfigFile: r.Config, Keytab: file(services)}, spn, 0},
		"nobody listens":        {Options{Username: "hv-reader@" + r.Name, ConfigFile: refusing, Password: password(secret)}, spn, Unreachable},
		"the KDC says nothing":  {Options{Username: "hv-reader@" + r.Name, ConfigFile: silent, Password: password(secret)}, spn, Silent},
		"a realm without a KDC": {Options{Username: "hv-reader@NOWHERE.INVALID", ConfigFile: r.Config, Password: password(secret)}, spn, Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := client(t, c.options)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := cl.Token(ctx, c.spn, nil)
			if c.options.Username == spn { // an account with a name of three parts is one like any other
				if err != nil {
					t.Error(err)
				}
				return
			}
			var k *Error
			if !errors.As(err, &k) || (k.Cause != c.want && !(name == "a realm without a KDC" && k.Cause == Silent)) {
				t.Fatalf("Token says %v, want %v", err, c.want)
			}
			if strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), c.spn) {
				t.Errorf("the error shows the secret, or not the service: %v", err)
			}
		})
	}
}

// closedAddress is one that refuses connections.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// silentAddress is one that accepts connections and says nothing.
func silentAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// kdcConfig is a krb5.conf with one KDC.
func kdcConfig(t *testing.T, address string) string {
	t.Helper()
	name := t.TempDir() + "/krb5.conf"
	text := "[libdefaults]\n default_realm = " + kdctest.Name + "\n[realms]\n " + kdctest.Name + " = {\n  kdc = " + address + "\n }\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestAKDCThatHangsIsBoundedByTheCallersDeadline(t *testing.T) {
	t.Parallel()
	c := client(t, Options{Username: "hv-reader", ConfigFile: kdcConfig(t, silentAddress(t)), Password: password(secret)})
	if err := c.Keep(spn); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		began := time.Now()
		_, err := c.Token(ctx, spn, nil)
		cancel()
		var k *Error
		if !errors.As(err, &k) || k.Cause != Silent || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Token says %v", err)
		}
		if took := time.Since(began); took > 550*time.Millisecond {
			t.Errorf("Token took %s, with a deadline of 50 ms", took)
		}
	}
}
