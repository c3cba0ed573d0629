// Package sspi is the server's side of Windows' integrated authentication, for the lab's servers: NTLMv2, and Kerberos
// with a keytab, raw or in SPNEGO.
//
//	a, err := sspi.New(sspi.Options{Password: passwords, Domain: "CORP", Keytab: keytab, Binding: sspi.Supplied})
//	h := a.Handshake(binding)
//	reply, err := h.Accept(token)   // until h.User() is not empty, or err
//
// It refuses as Windows does: NTLM older than NTLMv2, an anonymous login, a message integrity code that is missing where
// the challenge had a timestamp, a ticket that has expired or that another has used, a clock that is five minutes off, and
// a binding to another connection. What it does not know: PACs, groups, delegation, sealing, SPNEGO's own integrity code.
//
// An Acceptor is safe for concurrent use, a Handshake is one connection's.
package sspi

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/jcmturner/gokrb5/v8/keytab"
)

// Bindings says what becomes of channel bindings.
type Bindings int

// The settings: WinRM's CbtHardeningLevel (MS-WSMV 2.2.4.34; Relaxed by default), and SQL Server's Extended Protection
// (learn.microsoft.com, "Connect to the Database Engine with Extended Protection").
const (
	// Supplied checks a binding that is there: WinRM's Relaxed, SQL Server's Allowed.
	Supplied Bindings = iota
	// Demanded wants one: WinRM's Strict, SQL Server's Required.
	Demanded
)

// String is the setting in small letters.
func (b Bindings) String() string {
	switch b {
	case Supplied:
		return "supplied"
	case Demanded:
		return "demanded"
	}
	return fmt.Sprintf("Bindings(%d)", int(b))
}

// Options are what an Acceptor needs: Password for NTLM, Keytab for Kerberos, one of them at least.
type Options struct {
	// Password returns an account's password by its name in small letters, without its domain.
	Password func(user string) (password string, ok bool)
	// Domain and Computer are the NetBIOS names in NTLM's challenge. An account of neither, or of no domain, is refused.
	Domain, Computer string
	// Keytab holds the keys of the service, by every name that a client may call it by.
	Keytab []byte
	// Realm is the one whose accounts are known.
	Realm   string
	Binding Bindings
}

// Acceptor judges handshakes.
type Acceptor struct {
	options Options
	keytab  *keytab.Keytab

	mu   sync.Mutex
	seen map[string]bool // authenticators, against replay
}

// errRefused is every refusal: like Windows, an Acceptor does not tell a client why.
var errRefused = errors.New("authentication refused")

// New checks the options.
func New(o Options) (*Acceptor, error) {
	a := &Acceptor{options: o, seen: map[string]bool{}}
	if o.Password == nil && len(o.Keytab) == 0 {
		return nil, errors.New("sspi: neither passwords nor a keytab")
	}
	if len(o.Keytab) > 0 {
		a.keytab = keytab.New()
		if err := a.keytab.Unmarshal(o.Keytab); err != nil {
			return nil, fmt.Errorf("sspi: keytab: %w", err)
		}
	}
	return a, nil
}

// Handshake begins one on a connection whose binding is applicationData; nil where there is nothing to bind to.
func (a *Acceptor) Handshake(applicationData []byte) *Handshake {
	return &Handshake{acceptor: a, binding: applicationData}
}

// Handshake is one connection's way to an account.
type Handshake struct {
	acceptor *Acceptor
	binding  []byte
	user     string

	negotiate, challenge []byte // NTLM's first two messages
	nonce                [8]byte
}

// User is who has proven himself, in small letters and without domain; empty until somebody has.
func (h *Handshake) User() string { return h.user }

// Accept takes the client's token and returns what to answer, if anything. After an error the connection has proven
// nothing, and the reply, where there is one, says why to a client of Kerberos.
func (h *Handshake) Accept(token []byte) (reply []byte, err error) {
	h.user = ""
	defer func() {
		// The library of Kerberos indexes into what it reads without looking.
		if r := recover(); r != nil {
			reply, err = nil, fmt.Errorf("%w: %v", errRefused, r)
		}
		if err != nil {
			h.user, h.challenge = "", nil
		}
	}()
	if bytes.HasPrefix(token, []byte(signature)) {
		if h.acceptor.options.Password == nil {
			return nil, fmt.Errorf("%w: NTLM is off", errRefused)
		}
		return h.ntlm(token)
	}
	if h.acceptor.keytab == nil {
		return nil, fmt.Errorf("%w: Kerberos is off", errRefused)
	}
	return h.kerberos(token)
}

// bound judges the hash of a binding that a client sent; zeros are none.
func (h *Handshake) bound(hash []byte, want [16]byte) error {
	switch {
	case bytes.Equal(hash, want[:]):
		return nil
	case len(hash) == 0 || bytes.Equal(hash, make([]byte, len(want))):
		if h.acceptor.options.Binding == Supplied || h.binding == nil {
			return nil
		}
		return fmt.Errorf("%w: not bound to the connection", errRefused)
	}
	return fmt.Errorf("%w: bound to another connection", errRefused)
}

// knows reports whether a domain of NTLM's is one of ours.
func (a *Acceptor) knows(domain string) bool {
	return domain == "" || strings.EqualFold(domain, a.options.Domain) || strings.EqualFold(domain, a.options.Computer)
}
