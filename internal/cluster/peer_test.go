package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is a machine whose WMI is a table, behind the lab's WS-Management server.
type peer struct {
	address string
	pool    *x509.CertPool
	server  *wsmanserver.Server

	mu      sync.Mutex
	classes map[string][]wsmanserver.Instance // by namespace/class in lower case
	calls   []string                          // methods called
	invoke  func(key, method string) (any, error)
}

var _ wsmanserver.Provider = (*peer)(nil)

// Instances returns the table's rows.
func (p *peer) Instances(_ context.Context, namespace, class string) ([]wsmanserver.Instance, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rows, ok := p.classes[strings.ToLower(namespace+"/"+class)]
	if !ok {
		return nil, wsmanserver.ErrUnknownClass
	}
	return rows, nil
}

// Invoke records the call and answers as the test says.
func (p *peer) Invoke(_ context.Context, _, class string, keys wsmanserver.Selectors, method string, _ wsmanserver.Parameters) (wsmanserver.Output, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := ""
	if len(keys) > 0 {
		key = keys[0].Value
	}
	p.calls = append(p.calls, class+"."+method+" "+key)
	v, err := p.invoke(key, method)
	return wsmanserver.Output{ReturnValue: v}, err
}

// set replaces a class's rows.
func (p *peer) set(namespace, class string, rows ...wsmanserver.Instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.classes[strings.ToLower(namespace+"/"+class)] = rows
}

// row makes an instance of a class from names and values in turn.
func row(class, key string, pairs ...any) wsmanserver.Instance {
	i := wsmanserver.Instance{Class: class}
	if key != "" {
		i.Keys = []string{key}
	}
	for n := 0; n < len(pairs); n += 2 {
		i.Properties = append(i.Properties, wsmanserver.Property{Name: pairs[n].(string), Value: pairs[n+1]})
	}
	return i
}

// newPeer serves an empty table.
func newPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{classes: make(map[string][]wsmanserver.Instance)}
	p.serve(t, p)
	return p
}

// serve has the provider answer in the peer's name.
func (p *peer) serve(t *testing.T, provider wsmanserver.Provider) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	p.pool = x509.NewCertPool()
	p.pool.AddCert(leaf)
	p.server, err = wsmanserver.New(wsmanserver.Options{
		Logger: log.NewNopLogger(), Provider: provider, TLS: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		Authenticate:  func(u, pw string) bool { return u == "reader" && pw == "secret" },
		ProductVendor: LabVendor, ProductVersion: "OS: 10.0.20348 SP: 0.0 Stack: 3.0", Machine: "HV1",
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = p.server.Close()
		<-done
	})
}

// options are those that the peer accepts.
func (p *peer) options() Options {
	return Options{
		Name: "HV1", Addresses: []string{p.address}, Scheme: "basic", Username: "reader",
		Password: func() (string, error) { return "secret", nil }, TLS: &tls.Config{RootCAs: p.pool},
	}
}

// host returns a client for the peer as a host.
func (p *peer) host(t *testing.T) *Host {
	t.Helper()
	h, err := NewHost(p.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// guest returns a client for the peer as a guest.
func (p *peer) guest(t *testing.T) *Guest {
	t.Helper()
	g, err := NewGuest(p.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}
