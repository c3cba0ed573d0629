package tdsserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/go-kit/log"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/servetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// handlerFuncs is a Handler of two functions; a missing one lets everybody in, or answers nothing.
type handlerFuncs struct {
	login func(context.Context, Login) *Error
	query func(context.Context, *Session, Request) Response
}

func (h handlerFuncs) Login(ctx context.Context, l Login) *Error {
	if h.login == nil {
		return nil
	}
	return h.login(ctx, l)
}

func (h handlerFuncs) Query(ctx context.Context, s *Session, r Request) Response {
	if h.query == nil {
		return Response{}
	}
	return h.query(ctx, s, r)
}

// serve runs a server for the test and returns its address.
func serve(t *testing.T, o Options) string {
	t.Helper()
	if o.Logger == nil {
		o.Logger = log.NewNopLogger()
	}
	if o.Version == "" {
		o.Version = "16.0.4135.4"
	}
	o.ServerName = "SQL01"
	srv, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return servetest.Listen(t, srv.Serve)
}

// certificate is a self-signed one for localhost and 127.0.0.1.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}
