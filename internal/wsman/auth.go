package wsman

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
)

// Scheme is how we prove who we are.
type Scheme string

// The schemes. Basic sends its proof with every request, NTLM and Kerberos prove a connection once, and Certificate has
// TLS do it.
const (
	Basic       Scheme = "basic"
	NTLM        Scheme = "ntlm"
	Kerberos    Scheme = "kerberos"
	Certificate Scheme = "certificate"
)

// String returns the name that the configuration uses.
func (s Scheme) String() string { return string(s) }

// Authenticator makes the proof for a new connection: WinRM's schemes but Basic authenticate connections.
type Authenticator interface {
	// Session is told the connection's TLS state, to bind the proof to it (RFC 5929).
	Session(tls.ConnectionState) (Session, error)
}

// Session is the proof of one connection.
type Session interface {
	// RoundTrip sends req over the connection by send, as often as the scheme needs, and returns the final answer.
	// It may wrap the body (sealed messages); it must not send the body before it may.
	RoundTrip(ctx context.Context, req *http.Request, send Send) (*http.Response, error)
}

// Send sends one request over the session's connection and reads the answer's head.
type Send func(*http.Request) (*http.Response, error)

// newAuthenticator returns the authenticator of the options' scheme.
func newAuthenticator(o Options) (Authenticator, error) {
	switch o.Scheme {
	case Basic:
		if o.Username == "" || o.Password == nil {
			return nil, errors.New("wsman: scheme basic needs a username and a password")
		}
		return basic{o.Username, o.Password}, nil
	case Certificate:
		if o.TLS == nil || (len(o.TLS.Certificates) == 0 && o.TLS.GetClientCertificate == nil) {
			return nil, errors.New("wsman: scheme certificate needs a client certificate and its key")
		}
		return certificate{}, nil
	case NTLM:
		if o.Username == "" || o.Password == nil {
			return nil, errors.New("wsman: scheme ntlm needs a username and a password")
		}
		return windowsAccount{o.Username, o.Password}, nil
	case Kerberos:
		if o.Tickets == nil {
			return nil, errors.New("wsman: scheme kerberos needs somebody who has tickets")
		}
		spn := o.SPN
		if spn == "" {
			var err error
			if spn, err = ServiceName(o.Addresses); err != nil {
				return nil, fmt.Errorf("wsman: %w", err)
			}
		}
		return ticketed{o.Tickets, spn}, nil
	}
	return nil, fmt.Errorf("wsman: scheme %q; want %s, %s, %s or %s", string(o.Scheme), Basic, NTLM, Kerberos, Certificate)
}

// basic sends name and password with every request (RFC 7617); TLS keeps them secret.
type basic struct {
	username string
	password func() (string, error)
}

var (
	_ Authenticator = basic{}
	_ Session       = basic{}
)

// Session returns b: nothing belongs to the connection.
func (b basic) Session(tls.ConnectionState) (Session, error) { return b, nil }

// RoundTrip adds the credentials.
func (b basic) RoundTrip(_ context.Context, req *http.Request, send Send) (*http.Response, error) {
	password, err := b.password()
	if err != nil {
		return nil, &credentialError{err}
	}
	req.SetBasicAuth(b.username, password)
	return send(req)
}

// credentialError says that our own credential could not be read; it is nobody's fault but ours.
type credentialError struct{ err error }

// Error passes on what the credential's source says; it never holds the secret.
func (e *credentialError) Error() string { return "read credential: " + e.err.Error() }

// Unwrap returns the source's error.
func (e *credentialError) Unwrap() error { return e.err }

// certificate relies on the TLS client certificate; the header names the profile (DSP0226, C.3.4), without which
// WinRM answers 401.
type certificate struct{}

var (
	_ Authenticator = certificate{}
	_ Session       = certificate{}
)

// Session returns c: the proof is TLS's.
func (c certificate) Session(tls.ConnectionState) (Session, error) { return c, nil }

// RoundTrip adds the profile's name.
func (certificate) RoundTrip(_ context.Context, req *http.Request, send Send) (*http.Response, error) {
	req.Header.Set("Authorization", "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual")
	return send(req)
}
