package sqlhealth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/microsoft/go-mssqldb/integratedauth"
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/ntlm"
)

// Tickets proves who we are by Kerberos.
type Tickets interface {
	// Token returns a token for the service, bound to the connection by applicationData where there is some.
	Token(ctx context.Context, spn string, applicationData []byte) ([]byte, error)
	// Judge reads the service's answer to a token: nil where it accepts it or says nothing.
	Judge(spn string, answer []byte) error
}

// The driver finds an authenticator by a name in its parameters, and asks a provider that was registered under that name
// for it. Ours only passes on what stands in the configuration of the one attempt.
const (
	providerName           = "hypervigil"
	authenticatorParameter = "authenticator"
)

// init registers the provider. The driver keeps providers in a map without a lock, which may only be written to before
// the first connection.
func init() {
	err := integratedauth.SetIntegratedAuthenticationProvider(providerName, integratedauth.ProviderFunc(
		func(c msdsn.Config) (integratedauth.IntegratedAuthenticator, error) {
			p, ok := c.ProtocolParameters[providerName].(integratedauth.IntegratedAuthenticator)
			if !ok {
				return nil, errors.New("no authenticator in the configuration")
			}
			return p, nil
		}))
	if err != nil {
		panic(err) // two constants
	}
}

// checkScheme reports what is missing for the target's scheme.
func (t *Target) checkScheme() error {
	switch t.Scheme {
	case config.Basic, config.NTLM:
		if t.Username == "" || t.Password == nil {
			return errors.New("no user name or no password")
		}
		if t.Scheme == config.Basic && strings.Contains(t.Username, `\`) {
			return fmt.Errorf("user %q is a Windows account, want a SQL Server login", t.Username)
		}
	case config.Kerberos:
		if t.Tickets == nil || t.SPN == "" {
			return errors.New("nobody who has tickets, or no name of the service")
		}
	case config.Certificate:
		return errors.New("SQL Server has no logins by client certificate")
	default:
		return fmt.Errorf("scheme %q, want %s, %s or %s", t.Scheme, config.Basic, config.NTLM, config.Kerberos)
	}
	if t.Scheme != config.Basic && t.Encrypt == config.Optional {
		return fmt.Errorf("encrypt %s with the scheme %s, want %s or %s: only the login's first message would be encrypted",
			t.Encrypt, t.Scheme, config.Strict, config.Mandatory)
	}
	return nil
}

// prover makes the authenticator of one attempt, which must not wait longer than ctx.
type prover func(ctx context.Context, a *attempt) integratedauth.IntegratedAuthenticator

// prover returns the target's; nil for a SQL Server login.
func (t *Target) prover() prover {
	switch t.Scheme {
	case config.NTLM:
		user := t.Username
		return func(_ context.Context, a *attempt) integratedauth.IntegratedAuthenticator {
			return &windowsLogin{attempt: a, user: user}
		}
	case config.Kerberos:
		tickets, spn := t.Tickets, t.SPN
		return func(ctx context.Context, a *attempt) integratedauth.IntegratedAuthenticator {
			return &ticketLogin{attempt: a, ctx: ctx, tickets: tickets, spn: spn}
		}
	case config.Basic, config.Certificate:
	}
	return nil
}

// authError says that we could not prove who we are. It never holds a secret.
type authError struct{ err error }

// Error is what lies behind it.
func (e *authError) Error() string { return e.err.Error() }

// Unwrap returns it.
func (e *authError) Unwrap() error { return e.err }

// binding is the part of both authenticators that the driver tells what to bind to: SQL Server's Extended Protection
// takes the channel's own value up to TLS 1.2, and the driver has none for TLS 1.3 (integratedauth/channel_binding.go).
type binding struct{ applicationData []byte }

// SetChannelBinding is told of the connection's.
func (b *binding) SetChannelBinding(c *integratedauth.ChannelBindings) {
	b.applicationData = c.ApplicationData
}

// windowsLogin is NTLM: two messages of ours, and the server's challenge in between.
type windowsLogin struct {
	binding
	attempt   *attempt
	user      string
	handshake *ntlm.Handshake // nil before the first message and after the last
}

var (
	_ integratedauth.IntegratedAuthenticator = (*windowsLogin)(nil)
	_ integratedauth.AuthenticatorWithEPA    = (*windowsLogin)(nil)
)

// InitialBytes is the first message.
func (w *windowsLogin) InitialBytes() ([]byte, error) {
	w.attempt.progress.proving()
	h, err := ntlm.New(w.user, w.attempt.secret.Reveal())
	if err != nil {
		return nil, &authError{err}
	}
	b, err := h.Negotiate()
	if err != nil {
		return nil, &authError{err}
	}
	w.handshake = h
	return b, nil
}

// NextBytes answers the challenge.
func (w *windowsLogin) NextBytes(challenge []byte) ([]byte, error) {
	if w.handshake == nil {
		return nil, &authError{errors.New("the server goes on with a handshake that is over")}
	}
	b, err := w.handshake.Authenticate(challenge, w.applicationData)
	w.handshake = nil
	if err != nil {
		return nil, &authError{err}
	}
	return b, nil
}

// Free forgets the handshake.
func (w *windowsLogin) Free() { w.handshake = nil }

// ticketLogin is Kerberos: one token, and what the server says of it.
type ticketLogin struct {
	binding
	attempt *attempt
	ctx     context.Context // of the one attempt: the driver's interface passes none
	tickets Tickets
	spn     string
}

var (
	_ integratedauth.IntegratedAuthenticator = (*ticketLogin)(nil)
	_ integratedauth.AuthenticatorWithEPA    = (*ticketLogin)(nil)
)

// InitialBytes is the token. The connection is there already: whether the port is refused is known even where no KDC
// answers.
func (l *ticketLogin) InitialBytes() ([]byte, error) {
	l.attempt.progress.proving()
	l.attempt.waiting.Store(true)
	b, err := l.tickets.Token(l.ctx, l.spn, l.applicationData)
	if err != nil {
		return nil, &authError{err} // and still waiting: whoever judges before us must know
	}
	l.attempt.waiting.Store(false)
	return b, nil
}

// NextBytes reads the server's answer; there is nothing to say to it.
func (l *ticketLogin) NextBytes(answer []byte) ([]byte, error) {
	if err := l.tickets.Judge(l.spn, answer); err != nil {
		return nil, &authError{err}
	}
	return nil, nil
}

// Free has nothing to free: the tickets are everybody's.
func (l *ticketLogin) Free() {}
