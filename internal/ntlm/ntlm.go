// Package ntlm is the client's side of NTLM for both protocols: always NTLMv2, always bound to the TLS connection where
// there is something to bind to. It speaks by github.com/bodgit/ntlmssp, which is asked only after the server's challenge
// has been looked at: the library trusts it more than a stranger's bytes deserve.
//
//	h, err := ntlm.New(`CORP\hv-reader`, password)
//	first, err := h.Negotiate()
//	last, err := h.Authenticate(challenge, channel.ServerEndPoint(state))
//
// A Handshake is used once, by one goroutine.
package ntlm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/bodgit/ntlmssp"
)

// MaxChallenge bounds the server's challenge in bytes. What it holds are names: a few hundred bytes of them.
const MaxChallenge = 16 << 10

// errChallenge says that the server's challenge is none.
var errChallenge = errors.New("the server's NTLM challenge is malformed")

// Handshake is one proof to one server.
type Handshake struct{ client *ntlmssp.Client }

// New begins a handshake. The account is DOMAIN\user, user@domain, or user for an account of the server's own.
func New(account, password string) (*Handshake, error) {
	user, domain := split(account)
	if user == "" || password == "" {
		return nil, errors.New("ntlm: no user name or no password") // the library would log in as nobody
	}
	// Level 3 sends NTLMv2 and nothing older, whatever the server asks for (MS-NLMP 3.1.1.1).
	c, err := ntlmssp.NewClient(ntlmssp.SetCompatibilityLevel(3), ntlmssp.SetDomain(domain), ntlmssp.SetUserInfo(user, password))
	if err != nil {
		return nil, fmt.Errorf("ntlm: %w", err)
	}
	return &Handshake{c}, nil
}

// split takes the domain off a down-level name. A user principal name goes as it is, without a domain (MS-NLMP 2.2.1.3
// leaves the name's form to the server; learn.microsoft.com, "User name formats").
func split(account string) (user, domain string) {
	if d, u, ok := strings.Cut(account, `\`); ok {
		return u, d
	}
	return account, ""
}

// Negotiate returns the first message.
func (h *Handshake) Negotiate() ([]byte, error) {
	b, err := h.client.Authenticate(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("ntlm: first message: %w", err)
	}
	return b, nil
}

// Authenticate answers the server's challenge, bound to the application data where there is some.
func (h *Handshake) Authenticate(challenge, applicationData []byte) (b []byte, err error) {
	if err := check(challenge); err != nil {
		return nil, err
	}
	var bindings *ntlmssp.ChannelBindings
	if len(applicationData) > 0 {
		bindings = &ntlmssp.ChannelBindings{ApplicationData: applicationData}
	}
	b, err = h.client.Authenticate(challenge, bindings)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errChallenge, err)
	}
	return b, nil
}

// The layout of a challenge (MS-NLMP 2.2.1.2) and of the pairs in its target information (2.2.2.1).
const (
	signature      = "NTLMSSP\x00"
	typeChallenge  = 2
	challengeSize  = 48 // up to the version, which may be missing
	versionSize    = 8
	flagUnicode    = 1 << 0
	flagAnonymous  = 1 << 11
	flagTargetInfo = 1 << 23
	flagVersion    = 1 << 25
	avEOL          = 0
	avFlags        = 6
	avTimestamp    = 7
	avBindings     = 10
)

// check refuses a challenge that the library would misread: the lengths of what it copies, and a set of flags without
// Unicode, in which names of ours would be garbled.
func check(b []byte) error {
	switch {
	case len(b) > MaxChallenge:
		return fmt.Errorf("%w: %d bytes, at most %d are read", errChallenge, len(b), MaxChallenge)
	case len(b) < challengeSize || string(b[:8]) != signature || binary.LittleEndian.Uint32(b[8:]) != typeChallenge:
		return errChallenge
	}
	flags := binary.LittleEndian.Uint32(b[20:])
	switch {
	case flags&flagUnicode == 0:
		return fmt.Errorf("%w: it does not take Unicode", errChallenge)
	case flags&flagAnonymous != 0:
		// The library would log in as nobody because the server wants it so.
		return fmt.Errorf("%w: it asks for an anonymous login", errChallenge)
	case flags&flagTargetInfo == 0:
		return fmt.Errorf("%w: it has no target information, which NTLMv2 needs", errChallenge)
	case flags&flagVersion != 0 && len(b) < challengeSize+versionSize:
		return errChallenge
	}
	if _, err := field(b, 12); err != nil {
		return err
	}
	info, err := field(b, 40)
	if err != nil {
		return err
	}
	for {
		if len(info) < 4 {
			return fmt.Errorf("%w: its target information has no end", errChallenge)
		}
		id, size := binary.LittleEndian.Uint16(info), int(binary.LittleEndian.Uint16(info[2:]))
		info = info[4:]
		if size > len(info) {
			return fmt.Errorf("%w: its target information is cut short", errChallenge)
		}
		switch {
		case id == avEOL:
			return nil
		case id == avFlags && size != 4, id == avTimestamp && size != 8, id == avBindings:
			return fmt.Errorf("%w: pair %d of its target information", errChallenge, id)
		}
		info = info[size:]
	}
}

// field returns the bytes that the length, maximum and offset at b[at:] name.
func field(b []byte, at int) ([]byte, error) {
	size, offset := int64(binary.LittleEndian.Uint16(b[at:])), int64(binary.LittleEndian.Uint32(b[at+4:]))
	if offset+size > int64(len(b)) {
		return nil, fmt.Errorf("%w: a field lies outside of it", errChallenge)
	}
	return b[offset : offset+size], nil
}
