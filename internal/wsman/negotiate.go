package wsman

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/hypervigil/hypervigil/internal/channel"
	"github.com/hypervigil/hypervigil/internal/ntlm"
)

// What is read of a server that we have not proven ourselves to. Windows' largest token is 64 KiB (MaxTokenSize).
const (
	maxToken = 64 << 10
	maxBlank = 64 << 10 // the body of an answer to an empty request
)

// negotiate is the HTTP scheme under which NTLM and Kerberos go (RFC 4559). WinRM's service has it on by default,
// and Basic off (MS-WSMV 2.2.4.34).
const negotiate = "Negotiate"

// Tickets proves who we are by Kerberos.
type Tickets interface {
	// Token returns a token for the service, bound to the connection by applicationData where there is some.
	Token(ctx context.Context, spn string, applicationData []byte) ([]byte, error)
	// Judge reads the service's answer to a token: nil where it accepts it or says nothing.
	Judge(spn string, answer []byte) error
}

// ServiceName is the name that Kerberos knows a machine by: HTTP/host of its first address that is a name. Windows
// registers HOST/ for every computer, which stands for HTTP/ too (learn.microsoft.com, "SPN-Mappings attribute").
func ServiceName(addresses []string) (string, error) {
	for _, a := range addresses {
		host := strings.TrimPrefix(a, "https://")
		host, _, _ = strings.Cut(host, "/")
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.TrimSuffix(strings.ToLower(host), ".")
		if host != "" && net.ParseIP(stripZone(strings.Trim(host, "[]"))) == nil {
			return "HTTP/" + host, nil
		}
	}
	return "", fmt.Errorf("none of the addresses %q is a name, and Kerberos knows machines by name; give an SPN", addresses)
}

// authError says that we could not prove who we are. It never holds a secret.
type authError struct{ err error }

// Error is what lies behind it.
func (e *authError) Error() string { return e.err.Error() }

// Unwrap returns it.
func (e *authError) Unwrap() error { return e.err }

// refuse makes an authError.
func refuse(format string, args ...any) error { return &authError{fmt.Errorf(format, args...)} }

// bound proves one connection before the first request and sends the others without any proof: WinRM authenticates
// connections. It is used by one goroutine at a time.
type bound struct {
	prove func(ctx context.Context, ask exchangeToken) (*http.Response, error)
	done  bool
}

var _ Session = (*bound)(nil)

// exchangeToken sends a token with an empty request and returns the answer, whose body has been read and dropped.
type exchangeToken func(token []byte) (*http.Response, error)

// RoundTrip proves the connection where it is new, and sends the request. Its body does not leave before.
func (b *bound) RoundTrip(ctx context.Context, req *http.Request, send Send) (*http.Response, error) {
	if !b.done {
		resp, err := b.prove(ctx, func(token []byte) (*http.Response, error) { return sendToken(ctx, req, send, token) })
		if err != nil || resp.StatusCode < 200 || resp.StatusCode > 299 {
			return resp, err
		}
		if resp.Close {
			return nil, errors.New("the server closes the connection that it has authenticated")
		}
		b.done = true
	}
	return send(req)
}

// proven reports whether a session had proven its connection by itself.
func proven(s Session) bool {
	b, ok := s.(*bound)
	return ok && b.done
}

// sendToken is exchangeToken. An authenticated empty request is answered 200 without a body: pywinrm opens its sessions
// so (winrm/transport.py, setup_encryption).
func sendToken(ctx context.Context, req *http.Request, send Send, token []byte) (*http.Response, error) {
	blank := req.Clone(ctx)
	blank.Body, blank.GetBody, blank.ContentLength = http.NoBody, nil, 0
	blank.Header.Set("Authorization", negotiate+" "+base64.StdEncoding.EncodeToString(token))
	resp, err := send(blank)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	kept, err := io.ReadAll(io.LimitReader(resp.Body, maxBlank+1))
	if err != nil {
		return nil, err
	}
	if len(kept) > maxBlank {
		return nil, fmt.Errorf("the answer to an empty request has more than %d bytes", maxBlank)
	}
	resp.Body = io.NopCloser(bytes.NewReader(kept))
	return resp, nil
}

// offers are the schemes of a 401, and the token that comes with Negotiate, if one does.
func offers(resp *http.Response) (schemes string, negotiated bool, token []byte, err error) {
	values := resp.Header.Values("WWW-Authenticate")
	for _, v := range values {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(v), " ")
		scheme = strings.TrimSuffix(scheme, ",")
		if !strings.EqualFold(scheme, negotiate) {
			continue
		}
		negotiated = true
		if rest, _, _ = strings.Cut(strings.TrimSpace(rest), ","); rest == "" {
			continue
		}
		if base64.StdEncoding.DecodedLen(len(rest)) > maxToken {
			return "", true, nil, refuse("the server's token has more than %d bytes", maxToken)
		}
		if token, err = base64.StdEncoding.DecodeString(rest); err != nil {
			return "", true, nil, refuse("the server's token is no base64")
		}
	}
	return offered(values), negotiated, token, nil
}

// offered lists the names of the schemes, for a reader; what stands behind a name may be a token.
func offered(values []string) string {
	var names []string
	for _, v := range values {
		name, _, _ := strings.Cut(strings.TrimSpace(v), " ")
		names = append(names, name)
	}
	if len(names) == 0 {
		return "no scheme"
	}
	return fmt.Sprintf("%.200s", strings.Join(names, ", "))
}

// windowsAccount is NTLM: the account's name and password, for a new handshake on each connection.
type windowsAccount struct{ secret }

var _ Authenticator = windowsAccount{}

// Session begins a handshake for a connection.
func (w windowsAccount) Session(state tls.ConnectionState) (Session, error) {
	binding := channel.ServerEndPoint(state)
	return &bound{prove: func(ctx context.Context, ask exchangeToken) (*http.Response, error) {
		return w.prove(ctx, binding, ask)
	}}, nil
}

// prove is the handshake: our first message, the server's challenge, our answer.
func (w windowsAccount) prove(ctx context.Context, binding []byte, ask exchangeToken) (*http.Response, error) {
	password, try, err := w.try(ctx)
	if err != nil {
		return nil, err
	}
	defer try.Done()
	h, err := ntlm.New(w.username, password)
	if err != nil {
		return nil, &authError{err}
	}
	first, err := h.Negotiate()
	if err != nil {
		return nil, &authError{err}
	}
	resp, err := ask(first)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusUnauthorized {
		if resp.StatusCode/100 == 2 {
			return nil, refuse("HTTP %d: the server takes anybody, without a proof, which scheme %s does not do", resp.StatusCode, NTLM)
		}
		return resp, nil
	}
	schemes, negotiated, challenge, err := offers(resp)
	switch {
	case err != nil:
		return nil, err
	case !negotiated:
		return nil, refuse("HTTP 401: the server does not offer %s, which scheme %s needs; it offers %s", negotiate, NTLM, schemes)
	case len(challenge) == 0:
		return nil, refuse("HTTP 401: the server offers %s and gives no challenge for scheme %s; NTLM may be off there", schemes, NTLM)
	case resp.Close:
		return nil, errors.New("the server closes the connection in the middle of the handshake")
	}
	last, err := h.Authenticate(challenge, binding)
	if err != nil {
		return nil, &authError{err}
	}
	if resp, err = ask(last); err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusUnauthorized {
		// Windows says no more on purpose: not whether it is the name, the password, the clock or the binding.
		refused := refuse("HTTP 401: the server refuses the account or its password (scheme %s)", NTLM)
		try.Refused(refused)
		return nil, refused
	}
	if answered(resp) {
		try.Accepted()
	}
	return resp, nil
}

// ticketed is Kerberos: tickets for one machine.
type ticketed struct {
	tickets Tickets
	spn     string
}

var _ Authenticator = ticketed{}

// Session binds a token to a connection.
func (t ticketed) Session(state tls.ConnectionState) (Session, error) {
	binding := channel.ServerEndPoint(state)
	return &bound{prove: func(ctx context.Context, ask exchangeToken) (*http.Response, error) {
		return t.prove(ctx, binding, ask)
	}}, nil
}

// prove is the handshake: one token, and what the server says of it.
func (t ticketed) prove(ctx context.Context, binding []byte, ask exchangeToken) (*http.Response, error) {
	token, err := t.tickets.Token(ctx, t.spn, binding)
	if err != nil {
		return nil, &authError{err}
	}
	resp, err := ask(token)
	if err != nil {
		return nil, err
	}
	schemes, negotiated, answer, err := offers(resp)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusUnauthorized {
		if !negotiated {
			return nil, refuse("HTTP 401: the server does not offer %s, which scheme %s needs; it offers %s", negotiate, Kerberos, schemes)
		}
		if err := t.tickets.Judge(t.spn, answer); err != nil {
			return nil, refuse("HTTP 401: %w", err)
		}
		return nil, refuse("HTTP 401: the server refuses the ticket for %s (scheme %s)", t.spn, Kerberos)
	}
	if resp.StatusCode/100 == 2 {
		if err := t.tickets.Judge(t.spn, answer); err != nil {
			return nil, &authError{err}
		}
	}
	return resp, nil
}
