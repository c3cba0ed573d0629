package sqlhealth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-kit/log"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/lab/sqlengine"
	"github.com/hypervigil/hypervigil/internal/lab/sspi"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// password is looked for in everything that comes out.
const password = "Gr8-hunter2;pwd='x'"

// model is an instance of the lab.
type model struct {
	phase atomic.Int32
	zone  *time.Location
	now   func() time.Time
	// more changes what the model shows.
	more func(*sqlengine.Snapshot)
}

func (m *model) Admit(account string) bool { return account == "hv-sql" }

func (m *model) Authenticate(user, pw string) bool { return user == "hypervigil" && pw == password }

// started is when every instance of these tests was started.
func started() time.Time { return time.Date(2026, 3, 1, 8, 0, 0, 120_000_000, time.UTC) }

func (m *model) Snapshot() sqlengine.Snapshot {
	zone, now := m.zone, started().Add(time.Hour)
	if zone == nil {
		zone = time.UTC
	}
	if m.now != nil {
		now = m.now()
	}
	s := sqlengine.Snapshot{
		Phase: sqlengine.Phase(m.phase.Load()), ServerName: "SQL01", MachineName: "SQL01", InstanceName: "MSSQLSERVER",
		Version: "16.0.4135.4", Edition: "Enterprise Edition (64-bit)", StartTime: started().In(zone), Now: now.In(zone),
		Databases: []sqlengine.Database{
			{ID: 1, Name: "master"},
			{ID: 2, Name: "tempdb"},
			{ID: 5, Name: "Shop", State: sqlengine.RecoveryPending, UserAccess: sqlengine.SingleUserOnly, ReadOnly: true, InStandby: true},
		},
	}
	if m.more != nil {
		m.more(&s)
	}
	return s
}

// handler is an engine whose answers a test can replace.
type handler struct {
	tdsserver.Handler
	login func(context.Context, tdsserver.Login) *tdsserver.Error
	query func(context.Context, *tdsserver.Session, tdsserver.Request) tdsserver.Response
}

func (h handler) Login(ctx context.Context, l tdsserver.Login) *tdsserver.Error {
	if h.login != nil {
		return h.login(ctx, l)
	}
	return h.Handler.Login(ctx, l)
}

func (h handler) Query(ctx context.Context, s *tdsserver.Session, r tdsserver.Request) tdsserver.Response {
	if h.query != nil {
		return h.query(ctx, s, r)
	}
	return h.Handler.Query(ctx, s, r)
}

// server is what a test can set; the zero value is a healthy SQL Server that offers encryption.
type server struct {
	model      *model
	encryption tdsserver.Encryption
	plain      bool // no certificate
	tls12      bool
	handler    handler
	stage      func(context.Context, tdsserver.Stage) error
	listener   net.Listener
	integrated *sspi.Acceptor
	dedicated  bool
}

// fixture is a running server and the certificate to trust.
type fixture struct {
	addr  string
	roots *x509.CertPool
}

// start runs a server until the test ends.
func start(t testing.TB, s server) fixture {
	t.Helper()
	if s.model == nil {
		s.model = &model{}
	}
	engine, err := sqlengine.New(s.model)
	if err != nil {
		t.Fatal(err)
	}
	s.handler.Handler = engine
	cfg, roots := certificate(t)
	if s.tls12 {
		cfg.MaxVersion = tls.VersionTLS12
	}
	if s.encryption == tdsserver.NotSupported {
		s.encryption = tdsserver.Offered
	}
	if s.plain {
		s.encryption, cfg = tdsserver.NotSupported, nil
	}
	srv, err := tdsserver.New(tdsserver.Options{
		Handler: s.handler, Logger: log.NewNopLogger(), Version: "16.0.4135.4", ServerName: "SQL01", Encryption: s.encryption, TLS: cfg, Stage: s.stage, Integrated: s.integrated, Dedicated: s.dedicated,
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.listener == nil {
		s.listener = listen(t)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, s.listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return fixture{s.listener.Addr().String(), roots}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// prober asks the fixture's server.
func (f fixture) prober(t testing.TB, encrypt config.Encryption, change ...func(*Options)) *Prober {
	t.Helper()
	o := Options{Logger: log.NewNopLogger(), Target: Target{
		Scheme:  config.Basic,
		Address: f.addr, Username: "hypervigil", Encrypt: encrypt, RootCAs: f.roots,
		Password: func() (config.Secret, error) { return config.NewSecret(password), nil },
	}}
	for _, c := range change {
		c(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// certificate is a self-signed one for localhost and 127.0.0.1.
func certificate(t testing.TB) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
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

// within gives a context that ends after d.
func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// newEngine is an engine over a healthy model.
func newEngine(t testing.TB) *sqlengine.Engine {
	t.Helper()
	e, err := sqlengine.New(&model{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}
