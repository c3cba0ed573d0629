package wsman

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	kitlog "github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/channel"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/kerberos"
	"github.com/hypervigil/hypervigil/internal/lab/kdctest"
	"github.com/hypervigil/hypervigil/internal/lab/sspi"
	"github.com/hypervigil/hypervigil/internal/lockout"
)

const (
	account     = `CORP\hv-reader`
	accountPass = "Correct-Horse-1"
	identified  = `<s:Envelope xmlns:s="` + nsSOAP + `"><s:Header/><s:Body><i:IdentifyResponse xmlns:i="` + nsIdentity +
		`"><i:ProductVendor>test</i:ProductVendor></i:IdentifyResponse></s:Body></s:Envelope>`
)

// seen is one request that a negotiating server got.
type seen struct {
	connection string
	scheme     string // of Authorization
	body       int    // bytes
	status     int
}

// negotiator is a server that authenticates connections, as WinRM does, and tells what it saw.
type negotiator struct {
	*httptest.Server
	id identity

	mu       sync.Mutex
	requests []seen
	forget   map[string]bool // connections whose proof counts no more
}

// requested returns what has come so far.
func (n *negotiator) requested() []seen {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]seen(nil), n.requests...)
}

// expire makes every connection of now need a new proof.
func (n *negotiator) expire() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.requests {
		n.forget[r.connection] = true
	}
}

type handshakeKey struct{}

// newNegotiator starts one. misbound has it check bindings against another certificate than the one that it shows, as
// it would where somebody relays.
func newNegotiator(t *testing.T, a *sspi.Acceptor, misbound bool) *negotiator {
	t.Helper()
	n := &negotiator{id: newIdentity(t), forget: map[string]bool{}}
	n.Server = httptest.NewUnstartedServer(http.HandlerFunc(n.serve))
	n.TLS = &tls.Config{Certificates: []tls.Certificate{n.id.server}}
	n.Config.ErrorLog = log.New(io.Discard, "", 0)
	n.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		binding := channel.ServerEndPoint(tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf(t, n.id.server)}})
		if misbound {
			binding = []byte("tls-server-end-point:another")
		}
		return context.WithValue(ctx, handshakeKey{}, a.Handshake(binding))
	}
	n.StartTLS()
	t.Cleanup(n.Close)
	return n
}

func (n *negotiator) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	h, _ := r.Context().Value(handshakeKey{}).(*sspi.Handshake)
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	status := http.StatusOK
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case scheme == "Negotiate":
		token, _ := base64.StdEncoding.DecodeString(text)
		reply, _ := h.Accept(token)
		if len(reply) > 0 {
			w.Header().Set("WWW-Authenticate", "Negotiate "+base64.StdEncoding.EncodeToString(reply))
		} else if h.User() == "" {
			w.Header().Set("WWW-Authenticate", "Negotiate")
		}
		if h.User() == "" {
			status = http.StatusUnauthorized
		}
	case h.User() == "" || n.forget[r.RemoteAddr]:
		w.Header().Set("WWW-Authenticate", "Negotiate")
		status = http.StatusUnauthorized
	}
	n.requests = append(n.requests, seen{r.RemoteAddr, scheme, len(body), status})
	w.WriteHeader(status)
	if status == http.StatusOK && len(body) > 0 {
		_, _ = io.WriteString(w, identified)
	}
}

// acceptor makes one that knows the account.
func acceptor(t *testing.T, o sspi.Options) *sspi.Acceptor {
	t.Helper()
	if o.Keytab == nil {
		o.Password = func(user string) (string, bool) { return accountPass, user == "hv-reader" }
	}
	o.Domain, o.Computer, o.Realm = "CORP", "HV1", kdctest.Name
	a, err := sspi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ntlmClient makes a client of a server.
func ntlmClient(t *testing.T, address string, id identity, user, password string) *Client {
	t.Helper()
	return clientOf(t, Options{
		Addresses: []string{address}, Scheme: NTLM, Username: user, TLS: &tls.Config{RootCAs: id.pool},
		Password: func() (string, error) { return password, nil },
	})
}

func clientOf(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// address is where a test server listens.
func address(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "https://") }

// provesOnce checks that a client proves each connection once, with empty requests, before any body leaves, and uses it
// for what comes then; and that it proves itself anew where the server wants so.
func provesOnce(t *testing.T, n *negotiator, c *Client, handshake int) {
	t.Helper()
	identify := func() {
		t.Helper()
		if id, err := c.Identify(t.Context()); err != nil || id.ProductVendor != "test" {
			t.Fatalf("Identify = %v, %v", id, err)
		}
	}
	for range 3 {
		identify()
	}
	got := n.requested()
	if len(got) != handshake+3 {
		t.Fatalf("%d requests for a handshake of %d and three questions: %+v", len(got), handshake, got)
	}
	for i, r := range got {
		if r.connection != got[0].connection || (r.scheme != "") != (i < handshake) || (r.body == 0) != (i < handshake) {
			t.Errorf("request %d: %+v; want the handshake's empty and with a proof, the others neither, all on one connection", i, r)
		}
	}
	n.expire()
	identify()
	got = n.requested()[handshake+3:]
	if len(got) != 1+handshake+1 || got[0].status != http.StatusUnauthorized || got[1].connection == got[0].connection || got[len(got)-1].status != http.StatusOK {
		t.Errorf("after the proof had expired: %+v; want one 401, and a handshake on another connection", got)
	}
	n.expire()
	before := len(n.requested())
	if _, err := c.Invoke(t.Context(), Call{Namespace: "root/cimv2", Class: "Win32_Service", Method: "StartService"}); err != nil {
		t.Errorf("a method call after the proof had expired: %v", err)
	}
	done := 0
	for _, r := range n.requested()[before:] {
		if r.body > 0 && r.status == http.StatusOK {
			done++
		}
	}
	if done != 1 {
		t.Errorf("the method was called %d times, want once", done)
	}
}

func TestNTLMProvesAConnectionOnceBeforeAnyBody(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]sspi.Options{"bindings where supplied": {}, "bindings demanded": {Binding: sspi.Demanded}} {
		for _, user := range []string{account, "hv-reader", "HV-READER@corp.example", `HV1\hv-reader`} {
			t.Run(name+", "+user, func(t *testing.T) {
				t.Parallel()
				n := newNegotiator(t, acceptor(t, o), false)
				provesOnce(t, n, ntlmClient(t, address(n.Server), n.id, user, accountPass), 2)
			})
		}
	}
}

// tickets makes a client of a realm.
func tickets(t *testing.T, o kerberos.Options) *kerberos.Client {
	t.Helper()
	o.Logger = kitlog.NewNopLogger()
	k, err := kerberos.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

// keytab reads a file of keys.
func keytab(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const machineSPN = "HTTP/hv1.corp.example"

func TestKerberosProvesAConnectionOnceBeforeAnyBody(t *testing.T) {
	t.Parallel()
	r := kdctest.Start(t)
	r.Add("hv-reader", accountPass)
	services := keytab(t, r.Keytab(machineSPN))
	own := r.Keytab("hv-keytab")
	for name, o := range map[string]kerberos.Options{
		"password": {Username: "hv-reader@" + r.Name, ConfigFile: r.Config, Password: func() (string, error) { return accountPass, nil }},
		"keytab":   {Username: "hv-keytab@" + r.Name, ConfigFile: r.Config, Keytab: func() ([]byte, error) { return os.ReadFile(own) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNegotiator(t, acceptor(t, sspi.Options{Keytab: services, Binding: sspi.Demanded}), false)
			provesOnce(t, n, clientOf(t, Options{
				Addresses: []string{address(n.Server)}, Scheme: Kerberos, SPN: machineSPN, Tickets: tickets(t, o), TLS: &tls.Config{RootCAs: n.id.pool},
			}), 1)
		})
	}
}

// answering is a server that answers every request as it is told.
func answering(t *testing.T, answer http.HandlerFunc) (*httptest.Server, identity) {
	t.Helper()
	id := newIdentity(t)
	s := httptest.NewUnstartedServer(answer)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{id.server}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, id
}

// unauthorized answers 401 with these headers.
func unauthorized(offers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, o := range offers {
			w.Header().Add("WWW-Authenticate", o)
		}
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// fixed is somebody who has one token for everything.
type fixed struct{}

func (fixed) Token(context.Context, string, []byte) ([]byte, error) { return []byte("token"), nil }
func (fixed) Judge(_ string, answer []byte) error                   { return kerberos.Judge(answer) }

func TestEachWayOfNotProvingItIsToldAndNothingElseIsTried(t *testing.T) {
	t.Parallel()
	const basic = `Basic realm="WSMAN"`
	for name, c := range map[string]struct {
		scheme Scheme
		answer http.HandlerFunc
		reason dial.Reason
		says   []string
	}{
		"NTLM where only Basic is offered":       {NTLM, unauthorized(basic), dial.Auth, []string{"does not offer Negotiate", "scheme ntlm", "it offers Basic"}},
		"Kerberos where only Basic is offered":   {Kerberos, unauthorized(basic), dial.Auth, []string{"does not offer Negotiate", "scheme kerberos", "it offers Basic"}},
		"NTLM where nothing is offered":          {NTLM, unauthorized(), dial.Auth, []string{"it offers no scheme"}},
		"NTLM without a challenge":               {NTLM, unauthorized("Negotiate", "Kerberos", basic), dial.Auth, []string{"no challenge", "Negotiate, Kerberos, Basic"}},
		"NTLM with a challenge that is none":     {NTLM, unauthorized("Negotiate Z2FyYmFnZQ=="), dial.Auth, []string{"challenge is malformed"}},
		"NTLM with a token that is no base64":    {NTLM, unauthorized("Negotiate !"), dial.Auth, []string{"no base64"}},
		"NTLM with a challenge without end":      {NTLM, unauthorized("Negotiate " + strings.Repeat("A", 2*maxToken)), dial.Auth, []string{"more than"}},
		"NTLM where anybody is welcome":          {NTLM, func(w http.ResponseWriter, _ *http.Request) {}, dial.Auth, []string{"without a proof"}},
		"Kerberos with a ticket that is refused": {Kerberos, unauthorized("Negotiate", basic), dial.Auth, []string{"refuses the ticket for " + machineSPN}},
		"Kerberos with an answer that is none":   {Kerberos, unauthorized("Negotiate Z2FyYmFnZQ=="), dial.Auth, []string{"malformed answer"}},
		"NTLM where WinRM is forbidden":          {NTLM, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, dial.Permission, []string{"may not use WinRM"}},
		"Kerberos where the path is unknown":     {Kerberos, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, dial.Protocol, []string{"HTTP 404"}},
		"NTLM with a body without end": {NTLM, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write(make([]byte, maxBlank+1))
		}, dial.Protocol, []string{"empty request"}},
		"NTLM where the connection ends": {NTLM, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			w.Header().Add("WWW-Authenticate", "Negotiate "+base64.StdEncoding.EncodeToString([]byte("NTLMSSP\x00")))
			w.WriteHeader(http.StatusUnauthorized)
		}, dial.Protocol, []string{"in the middle of the handshake"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var schemes []string
			s, id := answering(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
				schemes = append(schemes, scheme)
				mu.Unlock()
				if body, err := io.ReadAll(r.Body); err != nil || len(body) > 0 {
					t.Errorf("a body of %d bytes left before anything was proven", len(body))
				}
				c.answer(w, r)
			})
			cl := clientOf(t, Options{
				Addresses: []string{address(s)}, Scheme: c.scheme, Username: account, TLS: &tls.Config{RootCAs: id.pool},
				Password: func() (string, error) { return accountPass, nil }, Tickets: fixed{}, SPN: machineSPN,
			})
			_, err := cl.Identify(t.Context())
			if Reason(err) != c.reason {
				t.Errorf("Identify = %v, reason %q, want %q", err, Reason(err), c.reason)
			}
			checkText(t, err, c.says...)
			mu.Lock()
			defer mu.Unlock()
			for _, scheme := range schemes {
				if scheme != "Negotiate" {
					t.Errorf("a request went out with %q", scheme)
				}
			}
		})
	}
}

// checkText checks what an error says, and that it has no secret and nothing unknown about it.
func checkText(t *testing.T, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%v; want it to say %q", err, s)
		}
	}
	if strings.Contains(err.Error(), accountPass) {
		t.Errorf("the error shows the secret: %v", err)
	}
	if e, ok := err.(*Error); !ok || e.Unknown() {
		t.Errorf("%v leaves open whether anything was done", err)
	}
}

func TestNTLMsRefusalsAreOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		user, password string
		misbound       bool
	}{
		"wrong password":  {account, "wrong", false},
		"unknown account": {`CORP\nobody`, accountPass, false},
		"unknown domain":  {`ELSEWHERE\hv-reader`, accountPass, false},
		"relayed":         {account, accountPass, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNegotiator(t, acceptor(t, sspi.Options{}), c.misbound)
			_, err := ntlmClient(t, address(n.Server), n.id, c.user, c.password).Identify(t.Context())
			if Reason(err) != dial.Auth {
				t.Errorf("Identify = %v, want %s", err, dial.Auth)
			}
			checkText(t, err, "refuses the account or its password")
			if got := n.requested(); len(got) != 2 {
				t.Errorf("%d requests; one try is one handshake: %+v", len(got), got)
			}
		})
	}
}

func TestKerberosRefusalsAreToldApart(t *testing.T) {
	t.Parallel()
	r := kdctest.Start(t)
	r.Add("hv-reader", accountPass)
	services := keytab(t, r.Keytab(machineSPN, "HTTP/hv2.corp.example"))
	other := keytab(t, r.Keytab("HTTP/hv3.corp.example"))
	pass := func(p string) func() (string, error) { return func() (string, error) { return p, nil } }
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	hung := filepath.Join(t.TempDir(), "krb5.conf")
	if err := os.WriteFile(hung, []byte("[realms]\n "+r.Name+" = {\n kdc = "+silent.Addr().String()+"\n }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spn, user, password string
		config              string
		keys                []byte
		misbound            bool
		says                string
	}{
		"wrong password":       {machineSPN, "hv-reader", "wrong", r.Config, services, false, "wrong password or key"},
		"unknown account":      {machineSPN, "nobody", accountPass, r.Config, services, false, "unknown account"},
		"unknown service":      {"HTTP/nowhere.corp.example", "hv-reader", accountPass, r.Config, services, false, "unknown service name"},
		"another's key":        {machineSPN, "hv-reader", accountPass, r.Config, other, false, "service name belongs to another account"},
		"relayed":              {machineSPN, "hv-reader", accountPass, r.Config, services, true, "refuses the ticket"},
		"the KDC says nothing": {machineSPN, "hv-reader@" + r.Name, accountPass, hung, services, false, "KDC silent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNegotiator(t, acceptor(t, sspi.Options{Keytab: c.keys}), c.misbound)
			cl := clientOf(t, Options{
				Addresses: []string{address(n.Server)}, Scheme: Kerberos, SPN: c.spn, TLS: &tls.Config{RootCAs: n.id.pool},
				Tickets: tickets(t, kerberos.Options{Username: c.user, ConfigFile: c.config, Password: pass(c.password)}),
			})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			began := time.Now()
			_, err := cl.Identify(ctx)
			if took := time.Since(began); took > 2100*time.Millisecond {
				t.Errorf("it took %s, with a deadline of 2 s", took)
			}
			if Reason(err) != dial.Auth {
				t.Errorf("Identify = %v, want %s: the machine itself is not to blame", err, dial.Auth)
			}
			checkText(t, err, c.says)
		})
	}
}

func TestServiceNameIsThatOfTheFirstName(t *testing.T) {
	t.Parallel()
	for want, addresses := range map[string][]string{
		"HTTP/hv1.corp.example": {"10.0.0.11", "HV1.corp.example:5986", "hv1-b"},
		"HTTP/hv2":              {"https://hv2/wsman"},
		"":                      {"10.0.0.11", "[2001:db8::1]:5986", "2001:db8::1"},
	} {
		got, err := ServiceName(addresses)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ServiceName(%q) = %q, %v, want %q", addresses, got, err, want)
		}
	}
	if _, err := New(Options{Addresses: []string{"10.0.0.11"}, Scheme: Kerberos, Tickets: fixed{}}); err == nil || !strings.Contains(err.Error(), "give an SPN") {
		t.Errorf("New with an address that is no name: %v", err)
	}
}

// leaf is a server's certificate.
func leaf(t *testing.T, c tls.Certificate) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestNTLMShowsARefusedPasswordOnce(t *testing.T) {
	t.Parallel()
	n := newNegotiator(t, acceptor(t, sspi.Options{}), false)
	keeper := lockout.New(lockout.Domain, kitlog.NewNopLogger())
	current := "wrong"
	c := clientOf(t, Options{
		Addresses: []string{address(n.Server)}, Scheme: NTLM, Username: account, Lockout: keeper, Peer: "HV1",
		Password: func() (string, error) { return current, nil }, TLS: &tls.Config{RootCAs: n.id.pool},
	})
	for range 3 {
		_, err := c.Identify(t.Context())
		if Reason(err) != dial.Auth {
			t.Fatalf("Identify = %v, want %s", err, dial.Auth)
		}
		checkText(t, err, "refuses the account or its password")
	}
	if got := n.requested(); len(got) != 2 {
		t.Errorf("%d requests; one try is one handshake: %+v", len(got), got)
	}
	current = accountPass
	if _, err := c.Identify(t.Context()); err != nil {
		t.Errorf("the right password is held back: %v", err)
	}
}
