// Package sqlhealth asks one SQL Server whether a client can use it now: it logs in anew, asks one question, and says
// how far it came and what stood in the way.
//
//	p, err := sqlhealth.New(sqlhealth.Options{Target: sqlhealth.Target{Address: "sql01.corp.example:1433", …}})
//	a := p.Availability(ctx)
//	report, failures := p.DatabaseReport(ctx)
//
// The reports ask more, on a login of their own, and tell what they learnt also where a part is missing. A Stream keeps
// sp_server_diagnostics running and makes the health level of it.
//
// Every call returns when its context ends, or at most 100 ms later, whatever the peer does: it is the connection that
// is closed, so that no driver can wait on it. Nothing stays behind: no connection, and no goroutine but in the case
// that Abandoned counts. It is bounded: while the driver is stuck in several attempts there are no more of them, and
// the reason is dial.ProviderHung. go-mssqldb alone would wait for ever in three of the stages (issues #254 and #372),
// and up to five seconds more when a statement is cancelled.
//
// A server that asks to be routed elsewhere is not followed: it could send the credential to any host. A login is
// never sent in clear, not even where the server says that it cannot encrypt. The server's certificate is always
// verified. An address has a port: no SQL Server Browser is asked, but by an Admin for the port that changes with each start.
//
// A Prober is safe for concurrent use.
package sqlhealth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lockout"
)

// Target is one instance and how to log in to it.
type Target struct {
	Address string // host:port
	// Scheme is how the login is proven; nothing is tried instead of it. config.Basic is a SQL Server login by name and
	// password, config.NTLM and config.Kerberos are Windows accounts.
	Scheme   config.Scheme
	Username string
	// Password is called for each login, so that a changed file counts at once; not for Kerberos.
	Password func() (config.Secret, error)
	// Lockout holds back a password that was refused; nil holds nothing back.
	Lockout *lockout.Keeper
	// Tickets has the tickets for Kerberos, and SPN is the instance's name there.
	Tickets Tickets
	SPN     string
	Encrypt config.Encryption
	// RootCAs are the authorities to trust; the system's where nil.
	RootCAs *x509.CertPool
	// Names remembers what the address's name resolved to; nil remembers nothing.
	Names *dial.Names
	// ServerName is the name that the certificate must bear; the address's host where empty.
	ServerName string
}

// Options configure a Prober. Target and Logger are required.
type Options struct {
	Target Target
	Logger log.Logger
}

// Prober asks one instance.
type Prober struct {
	address   string
	password  func() (config.Secret, error)
	config    msdsn.Config // without a password
	names     *dial.Names
	lockout   *lockout.Keeper
	prove     prover // nil for a SQL Server login
	strict    bool
	logger    log.Logger
	abandoned atomic.Int64
	// certificates are those that the instance showed.
	certificates dial.Certificates
	// withoutStart is until when, in Unix nanoseconds, not to ask for the start time: the login may not read it.
	withoutStart atomic.Int64
}

// permissionRetry is how long a refused permission is not asked for again; it costs a round trip.
const permissionRetry = 10 * time.Minute

// appName is what SQL Server shows as the session's program_name.
const appName = "hypervigil"

// New checks the options. It resolves no name and reads no password.
func New(o Options) (*Prober, error) {
	if o.Logger == nil {
		return nil, errors.New("sql server: no logger")
	}
	t := o.Target
	host, portText, err := net.SplitHostPort(t.Address)
	if err != nil || host == "" {
		return nil, fmt.Errorf("sql server address %q: want host:port", t.Address)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("sql server address %q: want a port from 1 to 65535", t.Address)
	}
	if err := t.checkScheme(); err != nil {
		return nil, fmt.Errorf("sql server %s: %w", t.Address, err)
	}
	name := t.ServerName
	if name == "" {
		name = host
	}
	cfg := msdsn.Config{
		Host:     host,
		Port:     port,
		User:     t.Username,
		Database: "master", // a login whose own default database is away still gets in
		AppName:  appName,
		TLSConfig: &tls.Config{
			RootCAs:    t.RootCAs,
			ServerName: name,
			MinVersion: tls.VersionTLS12,
			// SQL Server wants each packet in one TLS record (go-mssqldb issue #166).
			DynamicRecordSizingDisabled: true,
		},
		HostInCertificateProvided: true,
		DisableRetry:              true,
		DialTimeout:               -1, // the context's
		Protocols:                 []string{"tcp"},
		Parameters:                map[string]string{},
		NoTraceID:                 true,
	}
	switch t.Encrypt {
	case config.Strict:
		cfg.Encryption = msdsn.EncryptionStrict
	case config.Mandatory:
		cfg.Encryption = msdsn.EncryptionRequired
	case config.Optional:
		cfg.Encryption = msdsn.EncryptionOff
	default:
		return nil, fmt.Errorf("sql server %s: encrypt %q, want strict, mandatory or optional", t.Address, t.Encrypt)
	}
	if t.Scheme != config.Basic {
		// The driver asks the authenticator of this name, and hands it the binding to the TLS connection.
		cfg.User, cfg.EpaEnabled = "", true
		cfg.Parameters[authenticatorParameter] = providerName
	}
	return &Prober{
		address:  t.Address,
		password: t.Password,
		config:   cfg,
		names:    t.Names,
		lockout:  t.Lockout,
		prove:    t.prover(),
		strict:   t.Encrypt == config.Strict,
		logger:   o.Logger,
	}, nil
}

// Abandoned is how many attempts are running behind the back of a call that has returned: the driver did not notice
// that its connection was closed. It is 0 but for a fault in the driver.
func (p *Prober) Abandoned() int { return int(p.abandoned.Load()) }

// CertificateExpiry is when the first of the certificates ends that the instance showed in the last handshake; zero
// before one. Of a handshake that failed it knows under TDS 8.0 alone: in TDS 7.4 the driver keeps the certificates back.
func (p *Prober) CertificateExpiry() time.Time { return p.certificates.Earliest() }

// Availability is what one attempt found.
type Availability struct {
	// At is when the attempt began.
	At time.Time
	// Up is true if a client can log in and gets an answer.
	Up bool
	// Reason says why not. With Up it is dial.Answered, or dial.Permission where the login may not see when SQL Server
	// was started.
	Reason dial.Reason
	// State is what SQL Server said of itself, if it said anything: a refusal like "paused" is its own answer, and
	// neither a fault of the network nor of our credential. Its Reason is dial.Other.
	State ServerState
	// ErrorNumber is SQL Server's, where there was one.
	ErrorNumber int32
	// Phase is how far the attempt came, Durations how long it was in each phase it entered. In TDS 8.0 PhaseTLS comes
	// before PhasePrelogin.
	Phase     dial.Phase
	Durations map[dial.Phase]time.Duration
	// Info is set where Up is.
	Info Info
	// StartTime is when SQL Server was started; zero where it is not known. It is the same in every probe of one run.
	StartTime time.Time
	// Err is nil where Reason is dial.Answered. It never holds a password.
	Err error
}

// Info is who the instance says it is.
type Info struct {
	Version       string // four parts
	Edition       string
	EngineEdition int64
	ServerName    string // @@SERVERNAME, but for a renamed machine
	MachineName   string
	InstanceName  string // MSSQLSERVER for the default instance
	IsClustered   bool
	IsHadrEnabled bool
}

// Database is one database's state.
type Database struct {
	ID         int64
	Name       string
	State      int64  // 0 online … 10 offline secondary
	StateDesc  string // as SQL Server spells it: ONLINE, RECOVERY_PENDING …
	UserAccess int64  // 0 multi, 1 single, 2 restricted
	ReadOnly   bool
	InStandby  bool
}

// Availability logs in anew and asks who the instance is and when it was started, in one round trip after the login.
func (p *Prober) Availability(ctx context.Context) Availability {
	a := newAttempt(p)
	info, err := perform(ctx, a, func(s *session) (identity, error) {
		if a.began.UnixNano() >= p.withoutStart.Load() {
			id, err := s.identity(identityWithStart)
			if err == nil || !isPermission(err) {
				return id, err
			}
			p.withoutStart.Store(a.began.Add(permissionRetry).UnixNano())
			level.Info(p.logger).Log("msg", "start time of SQL Server not readable", "target", p.address, "err", err)
		}
		return s.identity(identityOnly)
	})
	out := Availability{At: a.began, Durations: a.durations(), Phase: a.progress.at(), Reason: dial.Answered}
	if err != nil {
		f := a.judge(ctx, err)
		out.Reason, out.State, out.ErrorNumber, out.Err = f.Reason, f.State, f.Number, f
		return out
	}
	out.Up, out.State, out.Info, out.StartTime = true, StateRunning, info.Info, info.start
	if info.start.IsZero() {
		out.Reason = dial.Permission
		out.Err = &Error{
			Target: p.address, Phase: dial.PhaseQuery, Reason: dial.Permission, Number: permissionNumber, State: StateRunning,
			text: "the login may not read sys.dm_os_sys_info; grant it VIEW SERVER STATE, from SQL Server 2022 on VIEW SERVER PERFORMANCE STATE",
		}
		out.ErrorNumber = permissionNumber
	}
	return out
}

// Databases logs in anew and lists the databases that the login may see, by ID. The error is an *Error.
func (p *Prober) Databases(ctx context.Context) ([]Database, error) {
	a := newAttempt(p)
	list, err := perform(ctx, a, (*session).databases)
	if err != nil {
		return nil, a.judge(ctx, err)
	}
	return list, nil
}

// Connect asks only whether the port accepts a connection, and closes it again.
func (p *Prober) Connect(ctx context.Context) dial.Reason {
	t := p.names.NewTracker()
	stop := t.Watch(ctx)
	defer stop()
	c, err := t.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return dial.Classify(ctx, t, err)
	}
	_ = c.Close()
	return dial.Answered
}
