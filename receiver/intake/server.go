package intake

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// The bounds of one connection. Alertmanager sends a header of some 200 bytes and a body at once, and comes again
// within minutes.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 15 * time.Second
	idleTimeout       = 5 * time.Minute
	maxHeader         = 16 << 10
)

// ServerOptions are what a Server needs. CertFile and KeyFile together make it speak TLS; ClientCAFile makes it
// verify the client certificates that are shown. Whether one must be shown is the Handler's to ask, so that who has
// none gets a 401.
type ServerOptions struct {
	Handler      http.Handler
	CertFile     string
	KeyFile      string
	ClientCAFile string
	Logger       log.Logger
}

func (o *ServerOptions) validate() error {
	switch {
	case o.Handler == nil:
		return errors.New("option Handler is missing")
	case o.Logger == nil:
		return errors.New("option Logger is missing")
	case (o.CertFile == "") != (o.KeyFile == ""):
		return errors.New("a certificate needs its key, and a key its certificate: cert_file and key_file go together")
	case o.ClientCAFile != "" && o.CertFile == "":
		return errors.New("client certificates need TLS: client_ca_file goes with cert_file and key_file")
	}
	return nil
}

// Server is the webhook's listener: HTTP/1 alone, no mux, bounded in every direction.
type Server struct {
	http  *http.Server
	certs *certificates // nil without TLS
	log   log.Logger
}

// NewServer reads the certificates and returns a server that does not listen yet. Changed certificates are read anew
// without a restart; those that cannot be read leave the old ones in use.
func NewServer(o ServerOptions) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("webhook listener: %w", err)
	}
	s := &Server{log: o.Logger}
	// HTTP/2 would bring nothing but more to defend.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler:           o.Handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		Protocols:         &protocols,
		// Else "OPTIONS *" is answered 200 without the handler.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     stdlog.New(log.NewStdlibAdapter(level.Debug(o.Logger)), "", 0),
	}
	if o.CertFile == "" {
		return s, nil
	}
	s.certs = &certificates{cert: o.CertFile, key: o.KeyFile, clientCA: o.ClientCAFile, log: o.Logger}
	if err := s.certs.load(); err != nil {
		return nil, fmt.Errorf("webhook listener: %w", err)
	}
	s.http.TLSConfig = &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return s.certs.current(), nil
		},
	}
	return s, nil
}

// Serve answers until Shutdown, and then returns nil. It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	level.Info(s.log).Log("msg", "webhook listening", "address", l.Addr().String(), "tls", s.certs != nil)
	var err error
	if s.certs == nil {
		if !loopback(l.Addr()) {
			level.Warn(s.log).Log("msg", "webhook without tls beyond loopback: its token can be read on the way", "address", l.Addr().String())
		}
		err = s.http.Serve(l)
	} else {
		err = s.http.ServeTLS(l, "", "")
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the webhook on %s: %w", l.Addr(), err)
}

// Shutdown stops listening and waits for the requests under way. Where ctx ends first, it cuts them off.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("stop the webhook's listener: %w", err), s.http.Close())
	}
	return nil
}

func loopback(a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// certificates are read from their files, again whenever one of those has changed.
type certificates struct {
	cert, key, clientCA string
	log                 log.Logger

	mu     sync.Mutex
	config *tls.Config
	stamp  string
}

func (c *certificates) files() []string {
	files := []string{c.cert, c.key}
	if c.clientCA != "" {
		files = append(files, c.clientCA)
	}
	return files
}

// stamps tells one state of the files from another.
func (c *certificates) stamps() string {
	all := ""
	for _, f := range c.files() {
		if info, err := os.Stat(f); err == nil {
			all += fmt.Sprintf("%d/%d ", info.ModTime().UnixNano(), info.Size())
		} else {
			all += "none "
		}
	}
	return all
}

// load reads the files. On an error the old configuration stays.
func (c *certificates) load() error {
	c.stamp = c.stamps() // before reading: a change meanwhile is seen the next time
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("read certificate %s and key %s: %w", c.cert, c.key, err)
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{pair},
		NextProtos:   []string{"http/1.1"},
	}
	if c.clientCA != "" {
		pem, err := os.ReadFile(c.clientCA)
		if err != nil {
			return fmt.Errorf("read the authority of the client certificates: %w", err)
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("read the authority of the client certificates: %s holds no certificate in PEM form", c.clientCA)
		}
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	c.config = config
	return nil
}

// current is the configuration of the next handshake.
func (c *certificates) current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stamps() == c.stamp {
		return c.config
	}
	if err := c.load(); err != nil {
		level.Error(c.log).Log("msg", "webhook certificates not read anew; the old ones stay in use", "err", err)
	} else {
		level.Info(c.log).Log("msg", "webhook certificates read anew")
	}
	return c.config
}
