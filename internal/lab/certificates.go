package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// Authority is a certificate authority made for one run, the lab's own or that of peers beside it. Its key never leaves
// the process. It is not safe for concurrent use.
type Authority struct {
	file string // the certificate, in PEM
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

const validFor = 30 * 24 * time.Hour

// NewAuthority makes an authority and writes its certificate, in PEM, into dir.
func NewAuthority(dir string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Hypervigil lab CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validFor),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "ca.pem")
	return &Authority{file: file, cert: cert, key: key, next: 2}, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}

// File is the path of the authority's certificate.
func (a *Authority) File() string { return a.file }

// Issue makes a server's certificate for a machine's name and for loopback.
func (a *Authority) Issue(name string) (*tls.Config, error) {
	return a.issue(name, time.Now().Add(validFor))
}

func (a *Authority) issue(name string, until time.Time) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a.next++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.next), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		DNSNames: []string{name, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, nil
}

// certificate is that of a machine of the lab: one that is valid, or one that was until an hour ago, as the model has it
// at each handshake.
func (l *Lab) certificate(name string, expired func(*model.Model) bool) (*tls.Config, error) {
	valid, err := l.ca.Issue(name)
	if err != nil {
		return nil, err
	}
	old, err := l.ca.issue(name, time.Now().Add(-time.Hour))
	if err != nil {
		return nil, err
	}
	config := valid.Clone()
	config.Certificates = nil
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		shown := valid
		l.with(func(m *model.Model) {
			if expired(m) {
				shown = old
			}
		})
		return &shown.Certificates[0], nil
	}
	return config, nil
}
