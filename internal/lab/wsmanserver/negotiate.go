package wsmanserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/internal/channel"
	"github.com/hypervigil/hypervigil/internal/lab/sspi"
)

// negotiate is the HTTP scheme of NTLM and Kerberos.
const negotiate = "Negotiate"

// connectionKey finds a connection's handshake in a request's context.
type connectionKey struct{}

// connection is what a connection has proven: HTTP.sys keeps it for the connection, and not for the request.
type connection struct {
	mu        sync.Mutex
	handshake *sspi.Handshake
}

// connected gives a new connection its handshake.
func (s *Server) connected(ctx context.Context, _ net.Conn) context.Context {
	if s.opts.Negotiate == nil {
		return ctx
	}
	return context.WithValue(ctx, connectionKey{}, &connection{handshake: s.opts.Negotiate.Handshake(binding(s.opts.TLS))})
}

// binding is what a token can be bound to: the certificate that every client is shown. Where the server chooses among
// several there is none.
func binding(c *tls.Config) []byte {
	if len(c.Certificates) != 1 || c.GetCertificate != nil || c.GetConfigForClient != nil || len(c.Certificates[0].Certificate) == 0 {
		return nil
	}
	cert, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
	if err != nil {
		return nil
	}
	return channel.Certificate(cert)
}

// authenticated says whose request it is. Where it is nobody's, the header says what is asked for.
func (s *Server) authenticated(w http.ResponseWriter, r *http.Request) (user string, ok bool) {
	if user, password, ok := r.BasicAuth(); ok && s.opts.Authenticate != nil && s.opts.Authenticate(user, password) {
		return user, true
	}
	c, _ := r.Context().Value(connectionKey{}).(*connection)
	if c == nil {
		s.offer(w, "")
		return "", false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme == "" && c.handshake.User() != "" {
		return c.handshake.User(), true
	}
	if !strings.EqualFold(scheme, negotiate) {
		s.offer(w, "")
		return "", false
	}
	token, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		s.offer(w, "")
		return "", false
	}
	reply, err := c.handshake.Accept(token)
	if err != nil {
		level.Debug(s.opts.Logger).Log("msg", "client refused", "remote", r.RemoteAddr, "err", err)
	}
	answer := base64.StdEncoding.EncodeToString(reply)
	if c.handshake.User() == "" {
		s.offer(w, answer)
		return "", false
	}
	if answer != "" {
		w.Header().Set("WWW-Authenticate", negotiate+" "+answer)
	}
	return c.handshake.User(), true
}

// offer lists the schemes, Negotiate first, with its token where there is one.
func (s *Server) offer(w http.ResponseWriter, token string) {
	if s.opts.Negotiate != nil {
		w.Header().Add("WWW-Authenticate", strings.TrimSuffix(negotiate+" "+token, " "))
	}
	if s.opts.Authenticate != nil {
		w.Header().Add("WWW-Authenticate", `Basic realm="WSMAN"`)
	}
}
