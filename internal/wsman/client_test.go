package wsman

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	kitlog "github.com/go-kit/log"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lockout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// identity is a certificate authority with one certificate for a server and one for a client.
type identity struct {
	pool   *x509.CertPool
	server tls.Certificate
	client tls.Certificate
}

// newIdentity makes one.
func newIdentity(t testing.TB) identity {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	caKey := key()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	issue := func(n int64, tmpl *x509.Certificate) tls.Certificate {
		k := key()
		tmpl.SerialNumber, tmpl.NotBefore, tmpl.NotAfter = big.NewInt(n), ca.NotBefore, ca.NotAfter
		der, err := x509.CreateCertificate(rand.Reader, tmpl, ca, &k.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	id := identity{pool: x509.NewCertPool()}
	id.pool.AddCert(root)
	id.server = issue(2, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}})
	id.client = issue(3, &x509.Certificate{Subject: pkix.Name{CommonName: "reader"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return id
}

// fakeServer answers by a function of the request and records what it got.
type fakeServer struct {
	*httptest.Server
	id identity

	mu       sync.Mutex
	requests []string // bodies
	conns    int
	answer   func(n int, body string) (status int, answer string)
}

// newFakeServer starts one; answer may be replaced before the first request.
func newFakeServer(t testing.TB, answer func(n int, body string) (int, string)) *fakeServer {
	t.Helper()
	s := &fakeServer{id: newIdentity(t), answer: answer}
	s.Server = httptest.NewUnstartedServer(s)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{s.id.server}, ClientCAs: s.id.pool, ClientAuth: tls.VerifyClientCertIfGiven}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			s.mu.Lock()
			s.conns++
			s.mu.Unlock()
		}
	}
	s.StartTLS()
	t.Cleanup(s.Server.Close)
	return s
}

// ServeHTTP checks what every request must be and answers it.
func (s *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	n := len(s.requests)
	s.requests = append(s.requests, string(body))
	s.mu.Unlock()
	user, password, ok := r.BasicAuth()
	mutual := len(r.TLS.PeerCertificates) > 0 && strings.HasSuffix(r.Header.Get("Authorization"), "/secprofile/https/mutual")
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/wsman" || r.Header.Get("Content-Type") != contentType:
		w.WriteHeader(http.StatusNotFound)
		return
	case !mutual && (!ok || user != "reader" || password != "secret"):
		w.Header().Add("WWW-Authenticate", "Negotiate")
		w.Header().Add("WWW-Authenticate", `Basic realm="WSMAN"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	status, answer := s.answer(n, string(body))
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer)
}

// count returns how many requests and connections there were.
func (s *fakeServer) count() (requests, conns int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests), s.conns
}

// addr is the server's host:port.
func (s *fakeServer) addr() string { return s.Listener.Addr().String() }

// options are those of a client that the server knows.
func (s *fakeServer) options(addresses ...string) Options {
	if addresses == nil {
		addresses = []string{s.addr()}
	}
	return Options{
		Addresses: addresses, Scheme: Basic, Username: "reader",
		Password: func() (string, error) { return "secret", nil },
		TLS:      &tls.Config{RootCAs: s.id.pool},
	}
}

// newClient makes a client and closes it with the test.
func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// always answers every request alike.
func always(status int, answer string) func(int, string) (int, string) {
	return func(int, string) (int, string) { return status, answer }
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, always(200, fixtureIdentify))
	id, err := newClient(t, s.options()).Identify(t.Context())
	if err != nil || id.ProductVendor != "Hypervigil lab" {
		t.Fatalf("Identify = %+v, %v", id, err)
	}
}

func TestEnumeratePagesAndKeepsTheConnection(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, func(n int, _ string) (int, string) { return 200, []string{fixtureFirst, fixturePage, fixtureLast}[n%3] })
	c := newClient(t, s.options())
	for range 2 {
		objects, err := c.All(t.Context(), `root\MSCluster`, "SELECT Name, State FROM MSCluster_ResourceGroup WHERE Name <> 'a' AND Type < 3")
		if err != nil {
			t.Fatal(err)
		}
		if len(objects) != 4 {
			t.Errorf("%d objects, want 4", len(objects))
		}
	}
	requests, conns := s.count()
	if requests != 6 || conns != 1 {
		t.Errorf("%d requests over %d connections, want 6 over 1", requests, conns)
	}
	for i, wants := range [][]string{
		{
			">http://schemas.microsoft.com/wbem/wsman/1/wmi/root/MSCluster/*<", "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements>",
			`Name &lt;&gt; &#39;a&#39; AND Type &lt; 3</w:Filter>`, ">512000<", "<w:OperationTimeout>PT58.",
		},
		{"<n:Pull><n:EnumerationContext>uuid:CONTEXT-1</n:EnumerationContext><n:MaxElements>32000</n:MaxElements></n:Pull>"},
		{"uuid:CONTEXT-2<"},
	} {
		for _, want := range wants {
			if !strings.Contains(s.requests[i], want) {
				t.Errorf("request %d lacks %s:\n%s", i, want, s.requests[i])
			}
		}
	}
}

func TestEnumerateLeftEarlyIsReleased(t *testing.T) {
	t.Parallel()
	released := make(chan string, 1)
	s := newFakeServer(t, func(n int, body string) (int, string) {
		if n == 0 {
			return 200, fixtureFirst
		}
		released <- body
		return 200, envelope("")
	})
	c := newClient(t, s.options())
	for o, err := range c.Enumerate(t.Context(), "root/MSCluster", "SELECT Name FROM MSCluster_Node") {
		if o == nil || err != nil {
			t.Fatal(err)
		}
		break
	}
	if body := <-released; !strings.Contains(body, "<n:Release><n:EnumerationContext>uuid:CONTEXT-1<") {
		t.Errorf("want a Release, got %s", body)
	}
}

func TestEnumerateIsReleasedWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	released := make(chan string, 1)
	s := newFakeServer(t, nil)
	pulling, done := make(chan struct{}), make(chan struct{})
	s.answer = func(n int, body string) (int, string) {
		switch n {
		case 0:
			return 200, fixtureFirst
		case 1:
			close(pulling)
			<-done
			return 200, fixtureLast
		}
		released <- body
		return 200, envelope("")
	}
	defer close(done)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-pulling
		cancel()
	}()
	_, err := newClient(t, s.options()).All(ctx, "root/MSCluster", "SELECT Name FROM MSCluster_Node")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("All = %v, want %v", err, context.Canceled)
	}
	if body := <-released; !strings.Contains(body, "<n:Release>") {
		t.Errorf("want a Release, got %s", body)
	}
}

func TestEnumerateEndsOnNonsense(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"no context and no end": envelope(`<n:EnumerateResponse><n:EnumerationContext/></n:EnumerateResponse>`),
		"no enumeration":        fixtureIdentify,
		"pages without end":     envelope(`<n:PullResponse><n:EnumerationContext>x</n:EnumerationContext></n:PullResponse>`),
		"an empty body":         envelope(""),
		"HTML":                  "<html/>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t, always(200, answer))
			_, err := newClient(t, s.options()).All(t.Context(), "root/MSCluster", "SELECT Name FROM MSCluster_Node")
			if got := Reason(err); got != dial.Protocol {
				t.Errorf("Reason(%v) = %q, want %q", err, got, dial.Protocol)
			}
		})
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, always(200, envelope(`<p:Win32_Service xmlns:p="urn:x"><p:Name>MSSQL$A&amp;B</p:Name></p:Win32_Service>`)))
	o, err := newClient(t, s.options()).Get(t.Context(), "root/cimv2", "Win32_Service", Selector{"Name", "MSSQL$A&B"})
	if err != nil {
		t.Fatal(err)
	}
	if name, _, _ := o.Text("Name"); name != "MSSQL$A&B" || o.Class != "Win32_Service" {
		t.Errorf("Get = %s %q", o.Class, name)
	}
	if want := `<w:SelectorSet><w:Selector Name="Name">MSSQL$A&amp;B</w:Selector></w:SelectorSet>`; !strings.Contains(s.requests[0], want) {
		t.Errorf("request lacks %s:\n%s", want, s.requests[0])
	}
}

func TestGetOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, always(500, wsmanFault("DestinationUnreachable", "2150858752")))
	_, err := newClient(t, s.options()).Get(t.Context(), "root/cimv2", "Win32_Process", Selector{"Handle", "1"})
	var e *Error
	if !errors.As(err, &e) || e.Fault == nil || !e.Fault.NotFound() {
		t.Errorf("Get = %v, want a fault that says not found", err)
	}
}

func TestInvoke(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, always(200, methodOutput("Win32_Process", "Terminate", "<p:ReturnValue>2</p:ReturnValue>")))
	c := newClient(t, s.options())
	r, err := c.Invoke(t.Context(), Call{
		Namespace: "root/cimv2", Class: "Win32_Process", Keys: []Selector{{"Handle", "1234"}}, Method: "Terminate",
		Arguments: []Argument{{"Reason", "1"}},
	})
	if err != nil || r.ReturnValue != 2 || !r.HasReturnValue {
		t.Fatalf("Invoke = %+v, %v", r, err)
	}
	for _, want := range []string{
		">http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_Process/Terminate</a:Action>",
		`<p:Terminate_INPUT xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_Process"><p:Reason>1</p:Reason></p:Terminate_INPUT>`,
		`<w:Selector Name="Handle">1234</w:Selector>`,
	} {
		if !strings.Contains(s.requests[0], want) {
			t.Errorf("request lacks %s:\n%s", want, s.requests[0])
		}
	}
	if _, err := c.Invoke(t.Context(), Call{Namespace: "root/cimv2", Class: "Win32_Process", Method: "x/><y"}); err == nil {
		t.Error("a method name that is XML was accepted")
	}
	if n, _ := s.count(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestInvokeAnotherMethodsAnswerIsRefused(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, always(200, methodOutput("Win32_Service", "StopService", "<p:ReturnValue>0</p:ReturnValue>")))
	_, err := newClient(t, s.options()).Invoke(t.Context(), Call{Namespace: "root/cimv2", Class: "Win32_Service", Method: "StartService"})
	var e *Error
	if !errors.As(err, &e) || e.Cause != dial.Protocol || !e.Unknown() {
		t.Errorf("Invoke = %v, want a breach of protocol with unknown outcome", err)
	}
}

func TestAnswersThatAreErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status  int
		answer  string
		want    dial.Reason
		unknown bool // of a method call
	}{
		"fault: access denied":       {500, wsmanFault("AccessDenied", "5"), dial.Permission, false},
		"fault: no such class":       {500, fixtureClassFault, dial.Namespace, false},
		"fault: provider timed out":  {500, wsmanFault("TimedOut", "2150858793"), dial.ProviderHung, true},
		"fault: some other":          {500, wsmanFault("InternalError", "2147749889"), dial.Other, true},
		"fault with 400":             {400, fixtureClassFault, dial.Namespace, false},
		"fault with 200":             {200, wsmanFault("AccessDenied", "5"), dial.Permission, false},
		"HTTP 500 without a fault":   {500, "", dial.Protocol, true},
		"HTTP 503 with HTML":         {503, "<html>Service Unavailable</html>", dial.Protocol, true},
		"HTTP 404":                   {404, "", dial.Protocol, true},
		"HTTP 403":                   {403, "", dial.Permission, false},
		"redirect":                   {302, "", dial.Protocol, true},
		"HTTP 500 with an answer":    {500, fixtureIdentify, dial.Protocol, true},
		"garbage":                    {200, "\x00\x01\x02", dial.Protocol, true},
		"answer to another question": {200, strings.Replace(fixtureLast, "</s:Header>", "<a:RelatesTo>uuid:0</a:RelatesTo></s:Header>", 1), dial.Protocol, true},
		"larger than allowed":        {200, strings.Repeat(" ", 1<<17), dial.Protocol, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t, always(tc.status, tc.answer))
			o := s.options()
			o.MaxBody = 1 << 16
			c := newClient(t, o)
			_, err := c.All(t.Context(), "root/cimv2", "SELECT Name FROM Win32_Service")
			if got := Reason(err); got != tc.want {
				t.Errorf("Reason(%v) = %q, want %q", err, got, tc.want)
			}
			_, err = c.Invoke(t.Context(), Call{Namespace: "root/cimv2", Class: "Win32_Service", Method: "StartService"})
			var e *Error
			if !errors.As(err, &e) || !e.Sent || e.Unknown() != tc.unknown {
				t.Errorf("Invoke = %v, want sent, unknown %v", err, tc.unknown)
			}
			if n, _ := s.count(); n != 2 {
				t.Errorf("%d requests, want 2: nothing is asked again", n)
			}
		})
	}
}

func TestWrongPasswordIsAuthAndIsNotRepeated(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, always(200, fixtureIdentify))
	o := s.options(s.addr(), "localhost:"+s.addr()[strings.LastIndexByte(s.addr(), ':')+1:])
	o.Password = func() (string, error) { return "wrong-secret", nil }
	_, err := newClient(t, o).Identify(t.Context())
	if got := Reason(err); got != dial.Auth {
		t.Errorf("Reason(%v) = %q, want %q", err, got, dial.Auth)
	}
	if n, _ := s.count(); n != 1 {
		t.Errorf("%d requests, want 1: a refused password locks accounts", n)
	}
	if strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestUnreadablePasswordIsOurTrouble(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, always(200, fixtureIdentify))
	o := s.options()
	o.Password = func() (string, error) { return "", errors.New("open reader.pass: permission denied") }
	_, err := newClient(t, o).Identify(t.Context())
	var e *Error
	if !errors.As(err, &e) || e.Cause != dial.Auth || e.Sent {
		t.Errorf("Identify = %v, want auth and nothing sent", err)
	}
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, always(200, fixtureIdentify))
	o := s.options()
	o.Scheme, o.Username, o.Password = Certificate, "", nil
	o.TLS.Certificates = []tls.Certificate{s.id.client}
	if _, err := newClient(t, o).Identify(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.TLS = &tls.Config{RootCAs: s.id.pool}
	if _, err := New(o); err == nil {
		t.Error("scheme certificate without a certificate was accepted")
	}
}

func TestCertificateExpiry(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, always(200, fixtureIdentify))
	c := newClient(t, s.options())
	if got := c.CertificateExpiry(); !got.IsZero() {
		t.Errorf("before any handshake: %v", got)
	}
	for range 2 { // the second one resumes the session, or uses the same connection
		if _, err := c.Identify(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := x509.ParseCertificate(s.id.server.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := c.CertificateExpiry(); !got.Equal(leaf.NotAfter) {
		t.Errorf("CertificateExpiry = %v, want %v", got, leaf.NotAfter)
	}
	o := s.options()
	o.TLS.Time = func() time.Time { return leaf.NotAfter.Add(time.Second) }
	late := newClient(t, o)
	if _, err := late.Identify(t.Context()); Reason(err) != dial.TLS {
		t.Errorf("an expired certificate: %v, want tls", err)
	}
	if got := late.CertificateExpiry(); !got.Equal(leaf.NotAfter) {
		t.Errorf("an expired certificate ends %v, want %v", got, leaf.NotAfter)
	}
}

func TestServerCertificateIsChecked(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, always(200, fixtureIdentify))
	for name, cfg := range map[string]*tls.Config{
		"unknown authority": {RootCAs: x509.NewCertPool()},
		"another name":      {RootCAs: s.id.pool, ServerName: "hv2.corp.example"},
	} {
		o := s.options()
		o.TLS = cfg
		_, err := newClient(t, o).Identify(t.Context())
		var e *Error
		if !errors.As(err, &e) || e.Cause != dial.TLS || e.Sent {
			t.Errorf("%s: Identify = %v, want tls and nothing sent", name, err)
		}
	}
	if n, _ := s.count(); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := func() Options {
		return Options{Addresses: []string{"hv1"}, Scheme: Basic, Username: "u", Password: func() (string, error) { return "", nil }}
	}
	for name, tc := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"plain http":           {func(o *Options) { o.Addresses = []string{"http://hv1:5985/wsman"} }, "only https"},
		"the port of http":     {func(o *Options) { o.Addresses = []string{"hv1:5985"} }, "5985"},
		"no address":           {func(o *Options) { o.Addresses = nil }, "no address"},
		"an empty address":     {func(o *Options) { o.Addresses = []string{""} }, "want host"},
		"a path":               {func(o *Options) { o.Addresses = []string{"hv1/wsman"} }, "want host"},
		"a password in it":     {func(o *Options) { o.Addresses = []string{"https://u:pw@hv1"} }, "more than host"},
		"NTLM":                 {func(o *Options) { o.Scheme, o.Password = NTLM, nil }, "needs a username and a password"},
		"Kerberos":             {func(o *Options) { o.Scheme = Kerberos }, "needs somebody who has tickets"},
		"no scheme":            {func(o *Options) { o.Scheme = "" }, "want basic, ntlm, kerberos or certificate"},
		"no user":              {func(o *Options) { o.Username = "" }, "username"},
		"negative body":        {func(o *Options) { o.MaxBody = -1 }, "maximum body"},
		"too many colons":      {func(o *Options) { o.Addresses = []string{"a:b:c"} }, "want host"},
		"something unheard of": {func(o *Options) { o.Scheme = "digest" }, `"digest"`},
	} {
		o := good()
		tc.change(&o)
		_, err := New(o)
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: New = %v, want an error that says %q and holds no password", name, err, tc.want)
		}
	}
}

func TestAddressesGetTheirPort(t *testing.T) {
	t.Parallel()
	o := Options{
		Addresses: []string{"hv1", "10.0.0.11:15986", "https://hv1.corp.example", "2001:db8::1", "[2001:db8::1]:5987", "https://hv1:443/wsman"},
		Scheme:    Basic, Username: "u", Password: func() (string, error) { return "", nil },
	}
	c := newClient(t, o)
	got, want := fmt.Sprint(c.Addresses()), "[hv1:5986 10.0.0.11:15986 hv1.corp.example:5986 [2001:db8::1]:5986 [2001:db8::1]:5987 hv1:443]"
	if got != want {
		t.Errorf("Addresses = %s, want %s", got, want)
	}
}

func TestSecondAddressIsTriedAndRemembered(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, always(200, fixtureIdentify))
	c := newClient(t, s.options(refusing(t), s.addr()))
	for range 2 {
		if _, err := c.Identify(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if c.good != 1 {
		t.Errorf("the good address is %d, want 1", c.good)
	}
	// It went away; the first is asked again, and both being gone is told.
	s.Server.Close()
	_, err := c.Identify(t.Context())
	if got := Reason(err); got != dial.Refused {
		t.Errorf("Reason(%v) = %q, want %q", err, got, dial.Refused)
	}
}

// refusing returns an address where nothing listens.
func refusing(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestClosedClient(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, always(200, fixtureIdentify))
	c := newClient(t, s.options())
	if _, err := c.Identify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Identify(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("Identify after Close = %v, want %v", err, errClosed)
	}
}

func TestConcurrentCallsDoNotMixAnswers(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, func(_ int, body string) (int, string) {
		_, rest, _ := strings.Cut(body, `Selector Name="Name">`)
		name, _, _ := strings.Cut(rest, "<")
		return 200, envelope(`<p:X xmlns:p="urn:x"><p:Name>` + name + `</p:Name></p:X>`)
	})
	c := newClient(t, s.options())
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 8 {
				want := fmt.Sprintf("%d-%d", i, j)
				o, err := c.Get(t.Context(), "root/cimv2", "Win32_Service", Selector{"Name", want})
				if err != nil {
					t.Error(err)
					return
				}
				if got, _, _ := o.Text("Name"); got != want {
					t.Errorf("got the answer of %s, want %s", got, want)
				}
			}
		})
	}
	wg.Wait()
	c.endpoints[0].pool.mu.Lock()
	kept := len(c.endpoints[0].pool.idle)
	c.endpoints[0].pool.mu.Unlock()
	if kept == 0 || kept > maxIdle {
		t.Errorf("%d connections kept, want 1 to %d", kept, maxIdle)
	}
}

func TestOperationTimeoutAndQuote(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]string{
		100 * time.Millisecond: "PT0.500S", time.Second: "PT0.900S", 4 * time.Second: "PT3.600S", time.Hour: "PT60.000S", -time.Second: "PT0.500S",
	} {
		if got := operationTimeout(left); got != want {
			t.Errorf("operationTimeout(%v) = %s, want %s", left, got, want)
		}
	}
	if got, want := Quote(`a'b\c`), `'a\'b\\c'`; got != want {
		t.Errorf("Quote = %s, want %s", got, want)
	}
}

func TestARefusedPasswordIsNotShownAgain(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, always(200, fixtureIdentify))
	o := s.options()
	current := "wrong-secret"
	o.Password = func() (string, error) { return current, nil }
	o.Lockout = lockout.New(lockout.Machine, kitlog.NewNopLogger())
	c := newClient(t, o)
	for range 3 {
		_, err := c.Identify(t.Context())
		var e *Error
		if !errors.As(err, &e) || e.Cause != dial.Auth || !strings.Contains(err.Error(), "HTTP 401") {
			t.Fatalf("Identify = %v, want auth", err)
		}
	}
	_, err := c.Invoke(t.Context(), Call{Namespace: "root/cimv2", Class: "Win32_Service", Method: "StartService"})
	var e *Error
	if !errors.As(err, &e) || e.Cause != dial.Auth || e.Sent || e.Unknown() {
		t.Errorf("Invoke = %v, want auth and nothing sent", err)
	}
	if n, _ := s.count(); n != 1 {
		t.Errorf("%d requests bore the wrong password, want 1", n)
	}
	current = "secret"
	if _, err := c.Identify(t.Context()); err != nil {
		t.Errorf("the right password is held back: %v", err)
	}
}
