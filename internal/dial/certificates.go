package dial

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync"
	"time"
)

// Certificates remembers when the certificates end that a peer showed in its last handshake, whether they were taken or
// not: an expired one is refused, and its end is what an operator then wants to know. Its zero value is ready. It is
// safe for concurrent use.
type Certificates struct {
	mu       sync.Mutex
	earliest time.Time
}

// Hook lets c see every connection that is made with the configuration, after its own verification and what
// VerifyConnection did before.
func (c *Certificates) Hook(config *tls.Config) {
	before := config.VerifyConnection
	config.VerifyConnection = func(s tls.ConnectionState) error {
		c.seen(s.PeerCertificates)
		if before != nil {
			return before(s)
		}
		return nil
	}
}

// Failed looks at the error of a handshake: where the peer's certificates were refused, they are in it.
func (c *Certificates) Failed(err error) {
	var refused *tls.CertificateVerificationError
	if errors.As(err, &refused) {
		c.seen(refused.UnverifiedCertificates)
	}
}

// Earliest is when the first of the certificates ends that the peer showed in its last handshake; zero before one.
func (c *Certificates) Earliest() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.earliest
}

func (c *Certificates) seen(chain []*x509.Certificate) {
	if len(chain) == 0 {
		return
	}
	earliest := chain[0].NotAfter
	for _, cert := range chain[1:] {
		if cert.NotAfter.Before(earliest) {
			earliest = cert.NotAfter
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.earliest = earliest
}
