package hang

import (
	"context"
	"crypto/tls"
	"net"
	"sync"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/lab/sspi"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// serverHello is the beginning of one: a record of 100 bytes of which two come.
var serverHello = []byte{22, 3, 3, 0, 100, 2, 0} //nolint:gochecknoglobals // never written

// sqlServer is a SQL Server that hangs. With a trickle it would answer everything, were its line not slow.
type sqlServer struct {
	way    Way
	tls    *tls.Config
	accept *sspi.Acceptor // of Windows accounts; nil where it takes logins of its own
}

// serve hangs on one connection until the client is gone.
func (s sqlServer) serve(l *line) {
	if s.way == Accept {
		<-l.gone
		return
	}
	server, err := tdsserver.New(tdsserver.Options{
		Handler: silent{l}, Logger: log.NewNopLogger(), Version: "16.0.4135.4", ServerName: "HANG", Encryption: tdsserver.Offered, TLS: s.tls, Integrated: s.accept,
		Stage: func(_ context.Context, stage tdsserver.Stage) error {
			switch {
			case s.way == TLS && stage == tdsserver.TLSExpected, s.way == Login && stage == tdsserver.LoginRead:
				<-l.gone
			}
			return nil
		},
	})
	if err != nil {
		return // its options are constants; a peer that is not there fails the experiment by its reason
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-l.gone
		cancel()
	}()
	_ = server.Serve(ctx, &once{line: l, over: make(chan struct{})}) // it ends with its one connection
}

// silent lets everybody in and answers nothing, attentions no more than statements.
type silent struct{ line *line }

var _ tdsserver.Handler = silent{}

// Login implements tdsserver.Handler.
func (silent) Login(context.Context, tdsserver.Login) *tdsserver.Error { return nil }

// Query implements tdsserver.Handler.
func (s silent) Query(context.Context, *tdsserver.Session, tdsserver.Request) tdsserver.Response {
	<-s.line.gone
	return tdsserver.Response{HangUp: true}
}

// once is a listener with one connection.
type once struct {
	line *line
	mu   sync.Mutex
	used bool
	shut bool
	over chan struct{}
}

// Accept implements net.Listener.
func (o *once) Accept() (net.Conn, error) {
	o.mu.Lock()
	first := !o.used
	o.used = true
	o.mu.Unlock()
	if first {
		return o.line, nil
	}
	<-o.over
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (o *once) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.shut {
		o.shut = true
		close(o.over)
	}
	return nil
}

// Addr implements net.Listener.
func (o *once) Addr() net.Addr { return o.line.LocalAddr() }
