package intake

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// serve starts a server on a listener and stops it with the test.
func serve(t testing.TB, l net.Listener, o ServerOptions) {
	t.Helper()
	s, err := NewServer(o)
	if err != nil {
		t.Fatalf("NewServer() = %v, want no error", err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = s.Shutdown(ctx) // it may have to cut off those who hang on purpose
		if err := <-done; err != nil {
			t.Errorf("Serve() = %v, want no error after Shutdown", err)
		}
	})
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// plain starts a good handler behind a plain listener and returns its address.
func plain(t *testing.T) (*fixture, string) {
	t.Helper()
	f := start(t, ledger.NewMemory(), nil)
	l := listen(t)
	serve(t, l, ServerOptions{Handler: f.handler, Logger: log.NewLogfmtLogger(f.log)})
	return f, l.Addr().String()
}

// statuses sends raw bytes on a connection of its own and returns the status of every answer, 1xx included. An
// error is a connection that ended, or an answer that is no HTTP.
func statuses(address, raw string) ([]int, []http.Header, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, nil, err
	}
	go func() { // who sends too much is answered before he has ended
		_, _ = io.WriteString(conn, raw)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	method, _, _ := strings.Cut(raw, " ") // an answer to HEAD has no body
	var codes []int
	var headers []http.Header
	in := bufio.NewReader(conn)
	for {
		if _, err := in.Peek(1); err != nil {
			return codes, headers, nil //nolint:nilerr // the end of the answers
		}
		answer, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return codes, headers, err
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return codes, headers, err
		}
		_ = answer.Body.Close()
		codes = append(codes, answer.StatusCode)
		headers = append(headers, answer.Header)
	}
}

// forbidden reports whether a status is one that loses an alert for Alertmanager.
func forbidden(code int) bool { return code >= 300 && code < 400 || code == 429 || code == 200 }

func TestRawRequests(t *testing.T) {
	t.Parallel()
	f, address := plain(t)
	good := body("group", "firing", received)
	const auth = "Authorization: Bearer the-right-token\r\n"
	post := func(target string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: receiver\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", target, auth, len(good), good)
	}
	head := func(line, headers string) string { return line + "\r\n" + headers + "\r\n" }
	const host = "Host: receiver\r\nConnection: close\r\n"
	chunks := func(n int, size int) string {
		return strings.Repeat(fmt.Sprintf("%x\r\n%s\r\n", size, strings.Repeat(" ", size)), n) + "0\r\n\r\n"
	}
	for _, test := range []struct {
		name string
		raw  string
		want int
	}{
		{"exact", post("/webhook"), 202},
		{"slash before", post("//webhook"), 404},
		{"slash behind", post("/webhook/"), 404},
		{"dots", post("/x/../webhook"), 404},
		{"dot", post("/./webhook"), 404},
		{"escaped letter", post("/%77ebhook"), 404},
		{"escaped slash", post("/%2fwebhook"), 404},
		{"escaped dots", post("/x/%2e%2e/webhook"), 404},
		{"capitals", post("/Webhook"), 404},
		{"query", post("/webhook?a=b"), 404},
		{"empty query", post("/webhook?"), 404},
		{"fragment", post("/webhook#a"), 404},
		{"parameter", post("/webhook;a=b"), 404},
		{"backslash", post(`\webhook`), 400},
		{"no slash", post("webhook"), 400},
		{"absolute form", post("http://receiver/webhook"), 404},
		{"absolute form of another host", post("http://elsewhere/webhook"), 404},
		{"asterisk", post("*"), 404},
		{"nothing", post(""), 400},
		{"control character", post("/web\x01hook"), 400},
		{"root", post("/"), 404},
		{"OPTIONS *", head("OPTIONS * HTTP/1.1", host), 404},
		{"OPTIONS", head("OPTIONS /webhook HTTP/1.1", host), 405},
		{"GET", head("GET /webhook HTTP/1.1", host+auth), 405},
		{"HEAD", head("HEAD /webhook HTTP/1.1", host+auth), 405},
		{"GET elsewhere", head("GET / HTTP/1.1", host), 404},
		{"post in small letters", head("post /webhook HTTP/1.1", host+auth), 405},
		{"CONNECT host", head("CONNECT receiver:443 HTTP/1.1", host), 404},
		{"CONNECT path", head("CONNECT /webhook HTTP/1.1", host), 405},
		{"method of strange characters", head("PO/ST /webhook HTTP/1.1", host), 400},
		{"no host", head("POST /webhook HTTP/1.1", "Connection: close\r\n"+auth), 400},
		{"two hosts", head("POST /webhook HTTP/1.1", host+"Host: other\r\n"+auth), 400},
		{"bad host", head("POST /webhook HTTP/1.1", "Host: a b\r\nConnection: close\r\n"+auth), 400},
		{"HTTP/1.0", strings.Replace(post("/webhook"), "HTTP/1.1\r\nHost: receiver", "HTTP/1.0", 1), 202},
		{"HTTP/1.0 without length", head("POST /webhook HTTP/1.0", auth) + good, 400},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 404},
		{"HTTP/3.0", head("POST /webhook HTTP/3.0", host), 505},
		{"HTTP/0.9", "GET /webhook\r\n\r\n", 400},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
		{"no credential", head("POST /webhook HTTP/1.1", host+"Content-Length: 5\r\n") + "12345", 401},
		{"no length", head("POST /webhook HTTP/1.1", host+auth), 400},
		{"length is no number", head("POST /webhook HTTP/1.1", host+auth+"Content-Length: many\r\n"), 400},
		{"two lengths", head("POST /webhook HTTP/1.1", host+auth+"Content-Length: 5\r\nContent-Length: 6\r\n") + "123456", 400},
		{"shorter than its length", head("POST /webhook HTTP/1.1", host+auth+"Content-Length: 500\r\n") + good, 400},
		{"length of a gigabyte", head("POST /webhook HTTP/1.1", host+auth+"Content-Length: 1073741824\r\n") + good, 413},
		{"chunks", head("POST /webhook HTTP/1.1", host+auth+"Transfer-Encoding: chunked\r\n") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(good), good), 202},
		{"chunks beyond the bound", head("POST /webhook HTTP/1.1", host+auth+"Transfer-Encoding: chunked\r\n") + chunks(2<<10, 1<<10), 413},
		{"chunks that are none", head("POST /webhook HTTP/1.1", host+auth+"Transfer-Encoding: chunked\r\n") + "zz\r\n", 400},
		{"chunks that end early", head("POST /webhook HTTP/1.1", host+auth+"Transfer-Encoding: chunked\r\n") + "5\r\n123", 400},
		{"other transfer encoding", head("POST /webhook HTTP/1.1", host+auth+"Transfer-Encoding: gzip\r\n"), 501},
		{"content encoding", head("POST /webhook HTTP/1.1", host+auth+"Content-Encoding: gzip\r\nContent-Length: 5\r\n") + "12345", 415},
		{"expectation of another kind", head("POST /webhook HTTP/1.1", host+auth+"Expect: miracles\r\nContent-Length: 5\r\n") + "12345", 417},
		{"header too long", head("POST /webhook HTTP/1.1", host+"A: "+strings.Repeat("a", maxHeader+8<<10)+"\r\n"), 431},
		{"line too long", head("POST /"+strings.Repeat("a", maxHeader+8<<10)+" HTTP/1.1", host), 431},
		{"websocket", head("GET /webhook HTTP/1.1", "Host: receiver\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"+auth), 405},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			codes, headers, err := statuses(address, test.raw)
			if err != nil || len(codes) == 0 || codes[0] != test.want {
				t.Fatalf("statuses = %v, %v, want %d first", codes, err, test.want)
			}
			for i, code := range codes {
				if forbidden(code) || headers[i].Get("Location") != "" {
					t.Errorf("status = %d with Location %q", code, headers[i].Get("Location"))
				}
			}
		})
	}
	t.Cleanup(func() {
		for _, n := range f.handed() {
			if n.GroupKey != "group" {
				t.Errorf("handed on: %+v", n)
			}
		}
	})
}

// Who waits for "100 Continue" gets it once his credential is known to be right, and not before.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	_, address := plain(t)
	good := body("group", "firing", received)
	for _, test := range []struct {
		token string
		want  []string
	}{
		{"the-right-token", []string{"100 Continue", "202 Accepted"}},
		{"wrong", []string{"401 Unauthorized"}},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "POST /webhook HTTP/1.1\r\nHost: receiver\r\nAuthorization: Bearer %s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", test.token, len(good)); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(conn)
		for _, want := range test.want {
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Status != want {
				t.Errorf("answer = %q with token %q, want %q", answer.Status, test.token, want)
			}
			if answer.StatusCode == 100 {
				if _, err := io.WriteString(conn, good); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// One connection serves request after request, as Alertmanager uses it.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	f, address := plain(t)
	raw := ""
	for i := range 3 {
		b := body(fmt.Sprint("group", i), "firing", received)
		raw += fmt.Sprintf("POST /webhook HTTP/1.1\r\nHost: receiver\r\nAuthorization: Bearer the-right-token\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
		raw += "GET /webhook HTTP/1.1\r\nHost: receiver\r\n\r\n"
	}
	codes, _, err := statuses(address, raw)
	if got := fmt.Sprint(codes); err != nil || got != "[202 405 202 405 202 405]" {
		t.Errorf("statuses = %s, %v, want [202 405 202 405 202 405]", got, err)
	}
	if len(f.handed()) != 3 {
		t.Errorf("%d handed on, want 3", len(f.handed()))
	}
}

// pipes is a listener without a network, so that time can be the bubble's.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) dial() net.Conn {
	a, b := net.Pipe()
	p.conns <- b
	return a
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func TestSlowSendersAreCutOff(t *testing.T) {
	t.Parallel()
	const head = "POST /webhook HTTP/1.1\r\nHost: receiver\r\nAuthorization: Bearer the-right-token\r\nContent-Length: 1000\r\n\r\n"
	for _, test := range []struct {
		name  string
		first string // at once
		drip  string // then a byte a second, repeated
		most  time.Duration
	}{
		{"nothing", "", "", readHeaderTimeout},
		{"a header by drops", "POST /webhook HTTP/1.1\r\nA: ", "a", readHeaderTimeout},
		{"a body by drops", head, " ", readTimeout},
		{"half a body", head + `{"version"`, "", readTimeout},
		{"a body by drops without a credential", strings.Replace(head, "right", "wrong", 1), " ", readTimeout},
		{"a chunk's length by drops", strings.Replace(head, "Content-Length: 1000", "Transfer-Encoding: chunked", 1), "0", readTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := start(t, ledger.NewMemory(), nil)
				l := newPipes()
				serve(t, l, ServerOptions{Handler: f.handler, Logger: log.NewNopLogger()})
				conn := l.dial()
				begun := time.Now()
				var wg sync.WaitGroup
				wg.Go(func() {
					_, err := io.WriteString(conn, test.first)
					for err == nil && test.drip != "" {
						time.Sleep(time.Second)
						_, err = io.WriteString(conn, test.drip)
					}
				})
				answer, _ := io.ReadAll(conn)
				// A second for the drop in between, half of one for the server's goodbye to a connection with unread bytes.
				if took := time.Since(begun); took > test.most+1500*time.Millisecond {
					t.Errorf("cut off after %s, want %s", took, test.most)
				}
				if strings.HasPrefix(string(answer), "HTTP/1.1 2") || strings.HasPrefix(string(answer), "HTTP/1.1 3") {
					t.Errorf("answer = %q", answer)
				}
				_ = conn.Close()
				wg.Wait()
				if len(f.handed()) != 0 {
					t.Errorf("handed on: %+v", f.handed())
				}
			})
		})
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, ledger.NewMemory(), nil)
		l := newPipes()
		serve(t, l, ServerOptions{Handler: f.handler, Logger: log.NewNopLogger()})
		conn := l.dial()
		defer conn.Close()
		go func() { _, _ = io.WriteString(conn, "GET /webhook HTTP/1.1\r\nHost: receiver\r\n\r\n") }()
		begun := time.Now()
		if _, err := io.ReadAll(conn); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took < 2*time.Minute || took > idleTimeout {
			t.Errorf("closed after %s, want later than Alertmanager's next repeat, and not after %s", took, idleTimeout)
		}
	})
}

// authority signs certificates of tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key = a.issue(t, name)
	return a
}

// issue makes a certificate signed by the authority, or by itself where there is none yet.
func (a *authority) issue(t *testing.T, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if a.cert == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
	} else {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func writePair(t *testing.T, cert *x509.Certificate, key *ecdsa.PrivateKey, certFile, keyFile string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, certFile, "CERTIFICATE", cert.Raw)
	writePEM(t, keyFile, "PRIVATE KEY", der)
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// try posts once on a connection of its own.
func try(address string, config *tls.Config, token string) (status int, peer *x509.Certificate, proto string, err error) {
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequest(http.MethodPost, "https://"+address+DefaultPath, strings.NewReader(body("group", "firing", received)))
	if err != nil {
		return 0, nil, "", err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, answer.TLS.PeerCertificates[0], answer.Proto, err
}

func TestTLSAndClientCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	cert, key := ours.issue(t, "receiver")
	file := func(name string) string { return filepath.Join(dir, name) }
	writePair(t, cert, key, file("cert.pem"), file("key.pem"))
	writePEM(t, file("ca.pem"), "CERTIFICATE", ours.cert.Raw)

	f := start(t, ledger.NewMemory(), func(_ *fixture, o *Options) { o.RequireClientCert = true })
	l := listen(t)
	serve(t, l, ServerOptions{
		Handler: f.handler, Logger: log.NewLogfmtLogger(f.log), CertFile: file("cert.pem"), KeyFile: file("key.pem"), ClientCAFile: file("ca.pem"),
	})
	client := func(a *authority) *tls.Config {
		config := &tls.Config{RootCAs: ours.pool()}
		if a != nil {
			cert, key := a.issue(t, "alertmanager")
			config.Certificates = []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}
		}
		return config
	}
	for _, test := range []struct {
		name  string
		cert  *authority
		token string
		want  int
	}{
		{"both", ours, "the-right-token", 202},
		{"certificate alone", ours, "", 401},
		{"token alone", nil, "the-right-token", 401},
		{"neither", nil, "", 401},
	} {
		status, _, proto, err := try(l.Addr().String(), client(test.cert), test.token)
		if err != nil || status != test.want || proto != "HTTP/1.1" {
			t.Errorf("%s: status = %d over %s, %v, want %d over HTTP/1.1", test.name, status, proto, err, test.want)
		}
	}
	// Go's client picks a certificate that the server names an authority of; this one insists.
	stranger := client(nil)
	strange, strangeKey := theirs.issue(t, "alertmanager")
	stranger.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &tls.Certificate{Certificate: [][]byte{strange.Raw}, PrivateKey: strangeKey}, nil
	}
	if status, _, _, err := try(l.Addr().String(), stranger, "the-right-token"); err == nil {
		t.Errorf("another authority's certificate: status = %d, want a handshake that fails", status)
	}
	old := client(ours)
	old.MaxVersion = tls.VersionTLS11
	if status, _, _, err := try(l.Addr().String(), old, "the-right-token"); err == nil {
		t.Errorf("TLS 1.1: status = %d, want a handshake that fails", status)
	}
}

func TestCertificatesAreReadAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, "ours")
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert, key := ca.issue(t, "first")
	writePair(t, cert, key, certFile, keyFile)
	f := start(t, ledger.NewMemory(), nil)
	l := listen(t)
	serve(t, l, ServerOptions{Handler: f.handler, Logger: log.NewLogfmtLogger(f.log), CertFile: certFile, KeyFile: keyFile})
	want := func(name string) {
		t.Helper()
		_, peer, _, err := try(l.Addr().String(), &tls.Config{RootCAs: ca.pool()}, "the-right-token")
		if err != nil || peer.Subject.CommonName != name {
			t.Errorf("certificate = %v, %v, want the %s", peer, err, name)
		}
	}
	want("first")
	cert, key = ca.issue(t, "second, with a longer name")
	writePair(t, cert, key, certFile, keyFile)
	want("second, with a longer name")
	if err := os.WriteFile(certFile, []byte("half a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	want("second, with a longer name")
	want("second, with a longer name")
	if n := strings.Count(f.log.String(), "not read anew"); n != 1 {
		t.Errorf("%d lines about the bad certificate, want 1:\n%s", n, f.log)
	}
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	want("second, with a longer name")
	cert, key = ca.issue(t, "third")
	writePair(t, cert, key, certFile, keyFile)
	want("third")
}

func TestNewServerRefusesWhatCannotServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, "ours")
	cert, key := ca.issue(t, "receiver")
	_, otherKey := ca.issue(t, "other")
	file := func(name string) string { return filepath.Join(dir, name) }
	writePair(t, cert, key, file("cert.pem"), file("key.pem"))
	writePair(t, cert, otherKey, file("cert2.pem"), file("otherkey.pem"))
	if err := os.WriteFile(file("text"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		change func(*ServerOptions)
		want   string
	}{
		{"no handler", func(o *ServerOptions) { o.Handler = nil }, "Handler"},
		{"no logger", func(o *ServerOptions) { o.Logger = nil }, "Logger"},
		{"certificate without key", func(o *ServerOptions) { o.KeyFile = "" }, "go together"},
		{"key without certificate", func(o *ServerOptions) { o.CertFile = "" }, "go together"},
		{"authority without certificate", func(o *ServerOptions) { o.CertFile, o.KeyFile, o.ClientCAFile = "", "", file("cert.pem") }, "client_ca_file"},
		{"missing certificate", func(o *ServerOptions) { o.CertFile = file("missing") }, file("missing")},
		{"another's key", func(o *ServerOptions) { o.KeyFile = file("otherkey.pem") }, "private key does not match"},
		{"missing authority", func(o *ServerOptions) { o.ClientCAFile = file("missing") }, file("missing")},
		{"authority that is none", func(o *ServerOptions) { o.ClientCAFile = file("text") }, "holds no certificate"},
	} {
		o := ServerOptions{Handler: http.NotFoundHandler(), Logger: log.NewNopLogger(), CertFile: file("cert.pem"), KeyFile: file("key.pem")}
		test.change(&o)
		if _, err := NewServer(o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: NewServer() = %v, want an error with %q", test.name, err, test.want)
		}
	}
}

func TestServeWarnsOfATokenInTheClear(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		address string
		warn    bool
	}{{"127.0.0.1:0", false}, {"0.0.0.0:0", true}} {
		var out lockedBuffer
		s, err := NewServer(ServerOptions{Handler: http.NotFoundHandler(), Logger: log.NewLogfmtLogger(&out)})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Shutdown(t.Context()); err != nil { // Serve then ends at once
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", test.address)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(l); err != nil {
			t.Errorf("Serve() = %v, want no error after Shutdown", err)
		}
		if got := strings.Contains(out.String(), "without tls"); got != test.warn {
			t.Errorf("%s: warned: %t, want %t: %s", test.address, got, test.warn, out.String())
		}
	}
}

type brokenListener struct{ net.Listener }

var errListener = errors.New("too many open files for good")

func (brokenListener) Accept() (net.Conn, error) { return nil, errListener }

func TestServeReturnsWhatEndsIt(t *testing.T) {
	t.Parallel()
	s, err := NewServer(ServerOptions{Handler: http.NotFoundHandler(), Logger: log.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(brokenListener{listen(t)}); !errors.Is(err, errListener) {
		t.Errorf("Serve() = %v, want %v", err, errListener)
	}
}

// FuzzRequestLine sends any request line and header line: no answer may be one that loses an alert.
func FuzzRequestLine(f *testing.F) {
	for _, line := range []string{
		"POST /webhook HTTP/1.1", "POST //webhook HTTP/1.1", "GET /webhook/ HTTP/1.1", "OPTIONS * HTTP/1.1", "CONNECT a:1 HTTP/1.1",
		"POST http://a/webhook HTTP/1.0", "PRI * HTTP/2.0", "POST /%77ebhook?x#y HTTP/1.1", "",
	} {
		f.Add(line, "Authorization: Bearer the-right-token", "{}")
		f.Add(line, "Expect: 100-continue", "x")
	}
	handler, err := New(Options{
		Token: goodToken, Commit: func(context.Context, []ledger.Op) error { return nil }, Store: ledger.NewMemory(),
		Accepted: func(Notification) {}, Logger: log.NewNopLogger(), Registerer: newRegistry(),
	})
	if err != nil {
		f.Fatal(err)
	}
	l := listen(f)
	serve(f, l, ServerOptions{Handler: handler, Logger: log.NewNopLogger()})
	f.Fuzz(func(t *testing.T, line, header, body string) {
		raw := fmt.Sprintf("%s\r\nHost: receiver\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n\r\n%s", line, len(body), header, body)
		codes, headers, err := statuses(l.Addr().String(), raw)
		if err != nil {
			t.Skip(err) // bytes that make the answer unreadable for this client, a HEAD for one
		}
		for i, code := range codes {
			if forbidden(code) || headers[i].Get("Location") != "" {
				t.Errorf("status = %d, Location %q, for %q", code, headers[i].Get("Location"), raw)
			}
			if code == 202 && !strings.HasPrefix(line, "POST /webhook ") && !strings.Contains(raw[1:], "POST /webhook ") {
				t.Errorf("accepted: %q", raw)
			}
		}
	})
}
