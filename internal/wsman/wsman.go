// Package wsman is a WS-Management client for Windows' WinRM: Identify, Get, Enumerate with WQL, Invoke, over HTTPS.
// It keeps connections, decodes answers into Objects, and tells by type why there is no answer (Error). It starts no
// shell, follows no redirect, uses no proxy, and never falls back from the configured authentication to another.
//
//	c, err := wsman.New(wsman.Options{Addresses: []string{"hv1.corp.example"}, Scheme: wsman.Basic, …})
//	defer c.Close()
//	for o, err := range c.Enumerate(ctx, "root/MSCluster", "SELECT Name, State FROM MSCluster_Node") { … }
//
// Every call ends at its context's deadline, at whatever stage the peer fell silent; without one it ends after
// DefaultTimeout. A Client is safe for concurrent use.
package wsman

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lockout"
)

// DefaultPort is WinRM's port for HTTPS.
const DefaultPort = "5986"

// DefaultTimeout bounds a call whose context has no deadline.
const DefaultTimeout = 60 * time.Second

// DefaultMaxBody bounds an answer. A page of MaxEnvelopeSize is counted by Windows in UTF-16 and stays far below.
const DefaultMaxBody = 4 << 20

// maxEnvelopeSize is what we ask of the server, WinRM's own default limit (MS-WSMV 2.2.4.42, MaxEnvelopeSizekb 500).
const maxEnvelopeSize = 512000

// maxElements is how many instances one page may hold, WinRM's own limit (MaxBatchItems).
const maxElements = 32000

// Options says whom to ask, and as whom.
type Options struct {
	// Addresses of the one machine, in order of preference: host, host:port or https://host[:port]/path. The last
	// one that answered is tried first.
	Addresses []string
	// Scheme is how we prove who we are. There is no default and no fallback.
	Scheme Scheme
	// Username and Password are for Basic and NTLM. Password is called for every request or new connection and its result
	// kept nowhere. NTLM's account is DOMAIN\user, user@domain, or user where it is the machine's own.
	Username string
	Password func() (string, error)
	// Lockout holds back a password that was refused, and Peer is what it knows the machine by: the first address where
	// empty. A nil Lockout holds nothing back.
	Lockout *lockout.Keeper
	Peer    string
	// Tickets has the tickets for Kerberos, and SPN is the machine's name there: ServiceName of its addresses where empty.
	Tickets Tickets
	SPN     string
	// TLS holds the authorities to trust (RootCAs), the name to expect (ServerName, the address's host where empty)
	// and, for Certificate, the client's certificate. nil trusts the system's authorities.
	TLS *tls.Config
	// Names remembers what the addresses' names resolved to; nil remembers nothing.
	Names *dial.Names
	// Turns bounds how many large answers are read at once; nil bounds nothing.
	Turns *Turns
	// MaxBody bounds an answer in bytes, headers included; DefaultMaxBody where 0.
	MaxBody int64
	// Logger is told at level debug what each call did. It may be nil.
	Logger log.Logger
}

// Client asks one machine.
type Client struct {
	endpoints []*endpoint
	auth      Authenticator
	names     *dial.Names
	maxBody   int64
	turns     *Turns
	logger    log.Logger
	// certificates are those that the machine showed.
	certificates dial.Certificates

	// parts are what bodies are read by, kept from one to the next: *[partSize]byte.
	parts sync.Pool

	mu     sync.Mutex
	good   int // index of the endpoint that answered last
	closed bool

	releases  sync.WaitGroup
	releasing chan struct{} // one slot per Release under way
	stop      context.CancelFunc
	running   context.Context // the life of the client, for what outlives a call
}

// endpoint is one address of the machine, with its kept connections.
type endpoint struct {
	address string // host:port
	url     *url.URL
	tls     *tls.Config
	pool    pool
}

// New checks the options and returns a Client. It connects to nothing.
func New(o Options) (*Client, error) {
	if len(o.Addresses) == 0 {
		return nil, errors.New("wsman: no address; want at least one")
	}
	auth, err := newAuthenticator(o)
	if err != nil {
		return nil, err
	}
	c := &Client{auth: auth, names: o.Names, maxBody: o.MaxBody, turns: o.Turns, logger: o.Logger, releasing: make(chan struct{}, 4)}
	if c.maxBody == 0 {
		c.maxBody = DefaultMaxBody
	}
	if c.maxBody < 0 {
		return nil, fmt.Errorf("wsman: maximum body %d; want a number of bytes, or 0 for %d", o.MaxBody, DefaultMaxBody)
	}
	if c.logger == nil {
		c.logger = log.NewNopLogger()
	}
	for _, a := range o.Addresses {
		e, err := newEndpoint(a, o.TLS, o.Scheme)
		if err != nil {
			return nil, err
		}
		c.certificates.Hook(e.tls)
		c.endpoints = append(c.endpoints, e)
	}
	c.running, c.stop = context.WithCancel(context.Background())
	return c, nil
}

// newEndpoint parses one address.
func newEndpoint(address string, base *tls.Config, scheme Scheme) (*endpoint, error) {
	u := &url.URL{Scheme: "https", Host: address, Path: "/wsman"}
	if strings.Contains(address, "://") {
		parsed, err := url.Parse(address)
		if err != nil {
			return nil, fmt.Errorf("wsman: address %q: want host, host:port or https://host:port/path", address)
		}
		if parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
			return nil, fmt.Errorf("wsman: address of host %q holds more than host, port and path", parsed.Host)
		}
		if parsed.Scheme != "https" {
			return nil, fmt.Errorf("wsman: address %q: only https is spoken, since %s would send credentials and data in clear; "+
				"want https://%s", address, parsed.Scheme, parsed.Host)
		}
		u = parsed
		if u.Path == "" || u.Path == "/" {
			u.Path = "/wsman"
		}
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		host, port = strings.Trim(u.Host, "[]"), DefaultPort
	}
	if host == "" || port == "" || strings.ContainsAny(host, "/@ ") || (strings.Contains(host, ":") && net.ParseIP(stripZone(host)) == nil) {
		return nil, fmt.Errorf("wsman: address %q: want host, host:port or https://host:port/path", address)
	}
	if port == "5985" {
		return nil, fmt.Errorf("wsman: address %q: 5985 is WinRM's port for plain http, which is not spoken; want %s", address, DefaultPort)
	}
	cfg := &tls.Config{}
	if base != nil {
		cfg = base.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = stripZone(host)
	}
	if cfg.MinVersion < tls.VersionTLS12 {
		cfg.MinVersion = tls.VersionTLS12
	}
	if cfg.ClientSessionCache == nil {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	}
	if scheme == Certificate {
		// HTTP.sys asks for the client's certificate by renegotiation, after it has seen the request, unless the
		// binding says otherwise; TLS 1.3 has none, and Go does not do its post-handshake authentication.
		cfg.Renegotiation = tls.RenegotiateOnceAsClient
		cfg.MaxVersion = tls.VersionTLS12
	}
	cfg.NextProtos = nil // HTTP/1.1: WinRM authenticates connections, and HTTP/2 shares them
	u.Host = net.JoinHostPort(host, port)
	return &endpoint{address: u.Host, url: u, tls: cfg}, nil
}

// stripZone removes the zone of a scoped IPv6 address.
func stripZone(host string) string {
	host, _, _ = strings.Cut(host, "%")
	return host
}

// Addresses returns the addresses as they are dialled.
func (c *Client) Addresses() []string {
	out := make([]string, 0, len(c.endpoints))
	for _, e := range c.endpoints {
		out = append(out, e.address)
	}
	return out
}

// CertificateExpiry is when the first of the certificates ends that the machine showed in the last handshake; zero before
// one.
func (c *Client) CertificateExpiry() time.Time { return c.certificates.Earliest() }

// Close closes the kept connections and ends what is still being cleaned up on the server. Calls under way end when
// their contexts do; later ones fail.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.releases.Wait()
	for _, e := range c.endpoints {
		e.pool.close()
	}
	return nil
}

// Error says which question to whom failed, and why.
type Error struct {
	Op      string // identify, enumerate MSCluster_Node, …
	Address string // host:port
	Cause   dial.Reason
	// Sent is false only where it is certain that no byte of the request left. See Unknown.
	Sent bool
	// Fault is the peer's answer, where it gave one.
	Fault *Fault
	Err   error
}

// Error names the machine and the operation.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s: %v", e.Address, e.Op, e.Err) }

// Unwrap returns what went wrong.
func (e *Error) Unwrap() error { return e.Err }

// Unknown reports whether the machine may have done what it was asked to, or may still be doing it: bytes left, and
// no answer says that it did not. Only a refusal that comes before the method runs says so: a credential or a right
// that was not enough, a class or instance that is not there. Any other fault may come after the deed.
func (e *Error) Unknown() bool {
	return e.Sent && e.Cause != dial.Auth && e.Cause != dial.Permission && e.Cause != dial.Namespace
}

// Reason classifies the failure.
func (e *Error) Reason() dial.Reason { return e.Cause }

// Reason returns why err came: Answered for nil, the reason of the *Error in it, otherwise Other. An answer that
// does not hold what was asked of it (*TypeError) is a breach of protocol.
func Reason(err error) dial.Reason {
	if err == nil {
		return dial.Answered
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Cause
	}
	var t *TypeError
	if errors.As(err, &t) || errors.Is(err, errSyntax) || errors.Is(err, errAnswer) {
		return dial.Protocol
	}
	return dial.Other
}
