package dial

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestCertificates(t *testing.T) {
	t.Parallel()
	var (
		soon, late = time.Unix(1_700_000_000, 0), time.Unix(1_800_000_000, 0)
		ends       = func(at ...time.Time) []*x509.Certificate {
			var chain []*x509.Certificate
			for _, t := range at {
				chain = append(chain, &x509.Certificate{NotAfter: t})
			}
			return chain
		}
		refusal = errors.New("not today")
		config  = &tls.Config{VerifyConnection: func(tls.ConnectionState) error { return refusal }}
		c       Certificates
	)
	want := func(what string, at time.Time) {
		t.Helper()
		if got := c.Earliest(); !got.Equal(at) {
			t.Errorf("%s: %v, want %v", what, got, at)
		}
	}
	want("before a handshake", time.Time{})
	c.Hook(config)
	if err := config.VerifyConnection(tls.ConnectionState{PeerCertificates: ends(late, soon, late)}); !errors.Is(err, refusal) {
		t.Errorf("what was hooked before said %v", err)
	}
	want("an intermediate that ends first", soon)
	plain := &tls.Config{}
	c.Hook(plain)
	if err := plain.VerifyConnection(tls.ConnectionState{PeerCertificates: ends(late)}); err != nil {
		t.Error(err)
	}
	want("a new certificate", late)
	c.Failed(errors.New("refused"))
	c.Failed(nil)
	c.Failed(&tls.CertificateVerificationError{})
	want("a failure without certificates", late)
	c.Failed(fmt.Errorf("TLS Handshake failed: %w", &tls.CertificateVerificationError{UnverifiedCertificates: ends(soon, late), Err: refusal}))
	want("a certificate that was refused", soon)
}
