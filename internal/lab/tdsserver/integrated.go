package tdsserver

import (
	"context"
	"crypto/tls"

	"github.com/go-kit/log/level"
)

// maxTurns is how many tokens a client may send; NTLM takes two.
const maxTurns = 3

// untrusted is how SQL Server refuses a Windows account that it could not verify, whatever the reason.
func untrusted() *Error {
	return &Error{Number: 18452, State: 1, Class: 14, Message: "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication."}
}

// unique is the binding to a TLS connection that SQL Server's Extended Protection takes from go-mssqldb
// (integratedauth/channel_binding.go): tls-unique (RFC 5929, section 3), which TLS 1.3 does not have.
func unique(c *tls.Conn) []byte {
	s := c.ConnectionState()
	if s.Version > tls.VersionTLS12 || len(s.TLSUnique) == 0 {
		return nil
	}
	return append([]byte("tls-unique:"), s.TLSUnique...)
}

// integrate goes through the tokens of an integrated login; it does nothing for another.
func (c *conn) integrate(ctx context.Context, l *Login, messages <-chan message) *Error {
	if !l.integrated || c.server.opts.Integrated == nil {
		return nil // login refuses an account that has not proven itself
	}
	h, token := c.server.opts.Integrated.Handshake(c.unique), l.sspi
	for range maxTurns {
		reply, err := h.Accept(token)
		if err != nil {
			level.Debug(c.server.opts.Logger).Log("msg", "windows account refused", "remote", c.nc.RemoteAddr(), "err", err)
			return untrusted()
		}
		if h.User() != "" {
			// A last token would only be for a client that wants proof of us, which TLS has given it; go-mssqldb takes none
			// together with the welcome.
			l.User, l.Windows = h.User(), true
			return nil
		}
		var t tokens
		t.sized(tokenSSPI, func() { t.raw(reply...) })
		if err := c.send(t.buf); err != nil {
			return untrusted() // nobody hears it
		}
		select {
		case m, ok := <-messages:
			if !ok || m.kind != packetSSPI {
				return untrusted()
			}
			token = m.payload
		case <-ctx.Done():
			return untrusted()
		}
	}
	return untrusted()
}
