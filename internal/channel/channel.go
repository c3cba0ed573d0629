// Package channel makes channel bindings: what ties a proof of identity to the TLS connection over which it goes, so that
// nobody who relays it to another server can use it there. WinRM demands one where its CbtHardeningLevel is Strict.
package channel

import (
	"crypto"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
)

// serverEndPoint is the prefix of this type of binding (RFC 5929, section 4).
const serverEndPoint = "tls-server-end-point:"

// ServerEndPoint returns the application data of the binding to the server's certificate, or nil where RFC 5929
// (section 4.1) defines none: there is no certificate, or its signature has no hash of its own.
func ServerEndPoint(s tls.ConnectionState) []byte {
	if len(s.PeerCertificates) == 0 {
		return nil
	}
	return Certificate(s.PeerCertificates[0])
}

// Certificate is ServerEndPoint for a certificate at hand.
func Certificate(cert *x509.Certificate) []byte {
	var sum []byte
	switch hashOf(cert.SignatureAlgorithm) {
	case crypto.SHA256:
		h := sha256.Sum256(cert.Raw)
		sum = h[:]
	case crypto.SHA384:
		h := sha512.Sum384(cert.Raw)
		sum = h[:]
	case crypto.SHA512:
		h := sha512.Sum512(cert.Raw)
		sum = h[:]
	default:
		return nil
	}
	return append([]byte(serverEndPoint), sum...)
}

// hashOf is the hash of a certificate's signature; MD5 and SHA-1 count as SHA-256 (RFC 5929, section 4.1).
func hashOf(a x509.SignatureAlgorithm) crypto.Hash {
	switch a {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.DSAWithSHA256, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS:
		return crypto.SHA256
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		return crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		return crypto.SHA512
	case x509.UnknownSignatureAlgorithm, x509.MD2WithRSA, x509.PureEd25519:
		return 0
	}
	return 0
}

// Hash is the MD5 of the bindings as GSS-API and NTLM carry it (RFC 4121, section 4.1.1.2; MS-NLMP 2.2.2.1): no
// addresses, and the application data. Of no data it is 16 zeros, which say that nothing is bound.
func Hash(applicationData []byte) [md5.Size]byte {
	if len(applicationData) == 0 {
		return [md5.Size]byte{}
	}
	b := make([]byte, 16, 20+len(applicationData)) // two addresses: a type and a length each, all zero
	b = binary.LittleEndian.AppendUint32(b, uint32(len(applicationData)))
	return md5.Sum(append(b, applicationData...))
}
