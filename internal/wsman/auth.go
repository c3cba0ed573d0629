package wsman

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hypervigil/hypervigil/internal/lockout"
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
		return basic{o.secret()}, nil
	case Certificate:
		if o.TLS == nil || (len(o.TLS.Certificates) == 0 && o.TLS.GetClientCertificate == nil) {
			return nil, errors.New("wsman: scheme certificate needs a client certificate and its key")
		}
		return certificate{}, nil
	case NTLM:
		if o.Username == "" || o.Password == nil {
			return nil, errors.New("wsman: scheme ntlm needs a username and a password")
		}
		return windowsAccount{o.secret()}, nil
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

// secret is an account's name and password, on the way to one machine.
type secret struct {
	username string
	password func() (string, error)
	lockout  *lockout.Keeper
	peer     string
}

// secret returns the options'.
func (o Options) secret() secret {
	s := secret{o.Username, o.Password, o.Lockout, o.Peer}
	if s.peer == "" {
		s.peer = o.Addresses[0]
	}
	return s
}

// try reads the password and asks whether it may be shown to the machine.
func (s secret) try(ctx context.Context) (string, *lockout.Try, error) {
	password, err := s.password()
	if err != nil {
		return "", nil, &credentialError{err}
	}
	t, err := s.lockout.Try(ctx, s.peer, password)
	if err != nil {
		return "", nil, &authError{err}
	}
	return password, t, nil
}

// basic sends name and password with every request (RFC 7617); TLS keeps them secret.
type basic struct{ secret }

var (
	_ Authenticator = basic{}
	_ Session       = basic{}
)

// Session returns b: nothing belongs to the connection.
func (b basic) Session(tls.ConnectionState) (Session, error) { return b, nil }

// RoundTrip adds the credentials.
func (b basic) RoundTrip(ctx context.Context, req *http.Request, send Send) (*http.Response, error) {
	password, try, err := b.try(ctx)
	if err != nil {
		return nil, err
	}
	defer try.Done()
	req.SetBasicAuth(b.username, password)
	resp, err := send(req)
	switch {
	case err != nil:
		return nil, err
	case answered(resp):
		try.Accepted()
	case resp.StatusCode == http.StatusUnauthorized && offersBasic(resp): // where the scheme is off, nobody looked at the password
		try.Refused(unauthorizedError(resp))
	}
	return resp, nil
}

// answered reports whether a status is one that WinRM itself gives, to somebody whom it knows: a result, or a fault.
func answered(resp *http.Response) bool {
	return resp.StatusCode/100 == 2 || resp.StatusCode == http.StatusInternalServerError
}

// offersBasic reports whether a 401 offers the scheme.
func offersBasic(resp *http.Response) bool {
	for _, v := range resp.Header.Values("WWW-Authenticate") {
		for _, one := range strings.Split(v, ",") { // several may stand in one header (RFC 9110, section 11.6.1)
			scheme, _, _ := strings.Cut(strings.TrimSpace(one), " ")
			if strings.EqualFold(scheme, "Basic") {
				return true
			}
		}
	}
	return false
}

// unauthorizedError is what a 401 says.
func unauthorizedError(resp *http.Response) error {
	return fmt.Errorf("HTTP 401: credential refused, or its scheme is off; the server offers %s", offered(resp.Header.Values("WWW-Authenticate")))
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
