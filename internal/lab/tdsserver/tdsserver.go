// Package tdsserver speaks the server's side of the Tabular Data Stream protocol: TDS 7.3 and 7.4, plain or with
// TLS inside, and TDS 8.0 strict, in which TLS comes first. What is said over it, and every fault, is the Handler's.
//
//	srv, err := tdsserver.New(tdsserver.Options{Handler: h, Logger: logger, Version: "16.0.4135.4", TLS: cfg})
//	err = srv.Serve(ctx, listener)
//
// It understands PRELOGIN with every encryption setting; LOGIN7 with SQL Server authentication and, where there is an
// Options.Integrated, with NTLM and Kerberos, bound to the connection by tls-unique up to TLS 1.2; SQL batches; remote
// procedure calls by name and by number, of which it resolves sp_executesql, sp_prepare, sp_execute, sp_prepexec and
// sp_unprepare itself; the transaction manager's begin, commit, rollback and save; attention, answered by two
// messages as SQL Server does; reset of a connection; the negotiation of the packet size.
//
// What it refuses, each as SQL Server would refuse what it does not have:
//
//   - TDS before 7.3, packet types it does not know (bulk load, federated tokens), messages that are malformed
//     or larger than Options.MaxMessage, more connections than Options.MaxConnections: closed.
//   - integrated authentication that does not succeed: error 18452. Federated authentication and a change of the password at login: 18456.
//   - cursor procedures: error 2812. More than one call in a message: 4002, then closed.
//   - parameters of a type it does not read (table-valued, XML, CLR): error 8009. Output parameters other than the
//     handle of the prepare family: 8162.
//   - a savepoint is accepted and marks nothing: a rollback to one ends the transaction.
//   - distributed transactions: error 8501. MARS: PRELOGIN answers that there is none.
//
// A Server is safe for concurrent use; it may Serve several listeners.
package tdsserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/internal/lab/sspi"
)

// Handler decides what the server says. Its methods are called from a goroutine of each connection.
type Handler interface {
	// Login answers a login; nil lets it in. ctx ends when the client hangs up or the time for a login is over.
	Login(ctx context.Context, l Login) *Error
	// Query answers a request. ctx ends when the client sends an attention or hangs up; the response is then not
	// sent. A handler that goes on regardless is a server that ignores attentions.
	Query(ctx context.Context, s *Session, r Request) Response
}

// Transactions is told what becomes of a session's transaction outside of a statement. Only the outermost of nested ones
// counts.
type Transactions interface {
	// Change begins, commits or rolls back as the transaction manager's request or the reset of a connection says. An
	// error is the request's, and leaves the transaction as it was.
	Change(ctx context.Context, s *Session, c TransactionChange) *Error
	// Ended is called when the connection of a session that logged in is over.
	Ended(s *Session)
}

// Encryption is how the server is configured.
type Encryption int

// The settings. With a certificate, every one but NotSupported also accepts strict encryption.
const (
	// NotSupported has no certificate.
	NotSupported Encryption = iota
	// Offered encrypts as the client wishes: everything, the login only, or nothing. It is SQL Server's default.
	Offered
	// Required is SQL Server's "Force Encryption".
	Required
	// StrictOnly is SQL Server 2022's "Force Strict Encryption".
	StrictOnly
)

// Stage is a point of a connection's beginning at which a fault may be placed.
type Stage int

// The stages, in their order.
const (
	// Accepted: no byte has been read.
	Accepted Stage = iota
	// PreloginRead: PRELOGIN has been read and not answered.
	PreloginRead
	// TLSExpected: the client is about to begin TLS, or has begun it where strict.
	TLSExpected
	// LoginRead: LOGIN7 has been read.
	LoginRead
)

// String is the stage's name.
func (s Stage) String() string {
	switch s {
	case Accepted:
		return "accepted"
	case PreloginRead:
		return "prelogin read"
	case TLSExpected:
		return "tls expected"
	case LoginRead:
		return "login read"
	}
	return fmt.Sprintf("Stage(%d)", int(s))
}

// Options configure a Server. Handler, Logger and Version are required.
type Options struct {
	Handler Handler
	// Transactions is nil where nothing is kept.
	Transactions Transactions
	Logger       log.Logger
	// Version is the product's with two to four parts; PRELOGIN and the login's answer carry it.
	Version string
	// ServerName stands in messages, as @@SERVERNAME.
	ServerName string
	Encryption Encryption
	// TLS holds the certificate; nil with NotSupported. ALPN is set by the server.
	TLS *tls.Config
	// Integrated judges logins of Windows accounts; nil refuses them.
	Integrated *sspi.Acceptor
	// Stage, if given, is called at each stage of a beginning connection. It may block until ctx ends; an error
	// drops the connection.
	Stage func(ctx context.Context, s Stage) error
	// LoginTimeout bounds the time from the accept to the end of the login; 60 s where zero.
	LoginTimeout time.Duration
	// MaxMessage bounds a message in bytes, 1 MiB where zero; MaxConnections the connections at once, 1,000 where
	// zero.
	MaxMessage     int
	MaxConnections int
	// Dedicated makes it a dedicated administrator connection's port: one login at a time, and the next is refused by number.
	Dedicated bool
}

// Server is one SQL Server's network face.
type Server struct {
	opts    Options
	version [4]byte // major, minor, build high, build low

	mu    sync.Mutex
	spids map[uint16]bool
	taken bool // the one login of a dedicated server
}

// firstSPID is the first session that is a user's; those below are the system's.
const firstSPID = 51

// New checks the options.
func New(o Options) (*Server, error) {
	if o.Handler == nil {
		return nil, errors.New("tds server: no handler")
	}
	if o.Logger == nil {
		return nil, errors.New("tds server: no logger")
	}
	var major, minor, build int
	if _, err := fmt.Sscanf(o.Version, "%d.%d.%d", &major, &minor, &build); err != nil ||
		major < 0 || major > 255 || minor < 0 || minor > 255 || build < 0 || build > 65535 {
		return nil, fmt.Errorf("tds server: version %q, want major.minor.build", o.Version)
	}
	if (o.TLS == nil) != (o.Encryption == NotSupported) {
		return nil, errors.New("tds server: a TLS configuration and an encryption setting belong together")
	}
	if o.LoginTimeout == 0 {
		o.LoginTimeout = time.Minute
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = 1 << 20
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = 1000
	}
	return &Server{
		opts:    o,
		version: [4]byte{byte(major), byte(minor), byte(build >> 8), byte(build)},
		spids:   make(map[uint16]bool),
	}, nil
}

// Serve accepts connections until ctx ends; then it closes the listener and every connection, waits for their
// goroutines and returns nil. An error is the listener's.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	defer l.Close()
	for {
		nc, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept: %w", err)
		}
		spid, ok := s.reserve()
		if !ok {
			level.Warn(s.opts.Logger).Log("msg", "connection refused, too many are open", "limit", s.opts.MaxConnections)
			nc.Close()
			continue
		}
		conns.Go(func() {
			defer s.release(spid)
			if err := s.serveConn(ctx, nc, spid); err != nil {
				level.Debug(s.opts.Logger).Log("msg", "connection ended", "spid", spid, "remote", nc.RemoteAddr(), "err", err)
			}
		})
	}
}

// reserve takes the lowest free session ID, as SQL Server does.
func (s *Server) reserve() (uint16, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.spids) >= s.opts.MaxConnections {
		return 0, false
	}
	for id := uint16(firstSPID); ; id++ {
		if !s.spids[id] {
			s.spids[id] = true
			return id, true
		}
	}
}

func (s *Server) release(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.spids, id)
}
