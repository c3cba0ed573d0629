package sspi

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/rc4"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	//lint:ignore SA1019 NTLM is made of it.
	"golang.org/x/crypto/md4"

	"github.com/hypervigil/hypervigil/internal/channel"
)

// The layout of NTLM's messages (MS-NLMP 2.2.1).
const (
	signature = "NTLMSSP\x00"

	typeNegotiate    = 1
	typeChallenge    = 2
	typeAuthenticate = 3

	authenticateSize = 88 // up to the end of the message integrity code
	micAt            = 72

	flagUnicode      = 1 << 0
	flagRequest      = 1 << 2 // the target's name is there
	flagSign         = 1 << 4
	flagNTLM         = 1 << 9
	flagAnonymous    = 1 << 11
	flagAlwaysSign   = 1 << 15
	flagDomain       = 1 << 16
	flagExtended     = 1 << 19
	flagTargetInfo   = 1 << 23
	flagVersion      = 1 << 25
	flag128          = 1 << 29
	flagKeyExchange  = 1 << 30
	challengeFlags   = flagUnicode | flagRequest | flagSign | flagNTLM | flagAlwaysSign | flagDomain | flagExtended | flagTargetInfo | flagVersion | flag128
	challengeHeader  = 56
	avEOL            = 0
	avComputer       = 1
	avDomain         = 2
	avFlags          = 6
	avTimestamp      = 7
	avBindings       = 10
	avFlagMIC        = 2
	responseOverhead = 16 + 28 // the proof, and the client's structure before its pairs (2.2.2.7)
)

var errMalformed = errors.New("malformed")

// ntlm goes one step: a challenge for the first message, a verdict for the last.
func (h *Handshake) ntlm(token []byte) ([]byte, error) {
	if len(token) < 16 {
		return nil, fmt.Errorf("%w: %w", errRefused, errMalformed)
	}
	switch kind := binary.LittleEndian.Uint32(token[8:]); {
	case kind == typeNegotiate:
		return h.challenged(token)
	case kind == typeAuthenticate && h.challenge != nil:
		user, err := h.authenticated(token)
		h.challenge = nil // one challenge, one answer
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errRefused, err)
		}
		h.user = user
		return nil, nil
	}
	return nil, fmt.Errorf("%w: NTLM's messages are out of order", errRefused)
}

// challenged makes the challenge (MS-NLMP 2.2.1.2), with the time, so that the client has to protect its answer's
// integrity.
func (h *Handshake) challenged(negotiate []byte) ([]byte, error) {
	if _, err := rand.Read(h.nonce[:]); err != nil {
		return nil, err
	}
	flags := uint32(challengeFlags) | binary.LittleEndian.Uint32(negotiate[12:])&flagKeyExchange
	name := encode(h.acceptor.options.Domain)
	const ticks, epoch = 100, 11644473600 // FILETIME: units of 100 ns since 1601 (MS-DTYP 2.3.3)
	now := binary.LittleEndian.AppendUint64(nil, uint64(time.Now().UnixNano()/ticks+epoch*int64(time.Second/ticks)))
	var info []byte
	for _, p := range []struct {
		id    uint16
		value []byte
	}{{avDomain, name}, {avComputer, encode(h.acceptor.options.Computer)}, {avTimestamp, now}, {avEOL, nil}} {
		info = binary.LittleEndian.AppendUint16(info, p.id)
		info = binary.LittleEndian.AppendUint16(info, uint16(len(p.value)))
		info = append(info, p.value...)
	}
	b := append([]byte(signature), typeChallenge, 0, 0, 0)
	b = appendField(b, len(name), challengeHeader)
	b = binary.LittleEndian.AppendUint32(b, flags)
	b = append(b, h.nonce[:]...)
	b = append(b, make([]byte, 8)...)
	b = appendField(b, len(info), challengeHeader+len(name))
	b = append(b, 10, 0, 0x7c, 0x4f, 0, 0, 0, 15) // Windows Server 2022: 10.0.20348, revision 15 (2.2.2.10)
	b = append(append(b, name...), info...)
	h.negotiate, h.challenge = bytes.Clone(negotiate), b
	return b, nil
}

// appendField appends length, maximum and offset.
func appendField(b []byte, size, offset int) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(size))
	b = binary.LittleEndian.AppendUint16(b, uint16(size))
	return binary.LittleEndian.AppendUint32(b, uint32(offset))
}

// field reads what length and offset at b[at:] name.
func field(b []byte, at int) ([]byte, error) {
	size, offset := int64(binary.LittleEndian.Uint16(b[at:])), int64(binary.LittleEndian.Uint32(b[at+4:]))
	if offset+size > int64(len(b)) {
		return nil, errMalformed
	}
	return b[offset : offset+size], nil
}

// authenticated verifies the client's answer (MS-NLMP 3.3.2) and returns who it is.
func (h *Handshake) authenticated(b []byte) (string, error) {
	if len(b) < authenticateSize {
		return "", errMalformed
	}
	var parts [6][]byte // LM, NT, domain, user, workstation, session key
	for i := range parts {
		var err error
		if parts[i], err = field(b, 12+8*i); err != nil {
			return "", err
		}
	}
	nt, domain, user := parts[1], decode(parts[2]), decode(parts[3])
	flags := binary.LittleEndian.Uint32(b[60:])
	password, known := h.acceptor.options.Password(strings.ToLower(userOnly(user)))
	switch {
	case flags&flagAnonymous != 0 || user == "":
		return "", errors.New("anonymous")
	case len(nt) < responseOverhead+4:
		return "", fmt.Errorf("a response of %d bytes, older than NTLMv2's", len(nt))
	case !known || !h.acceptor.knows(domain):
		return "", fmt.Errorf("unknown account %q of %q", user, domain)
	}
	hash := mac(hashed(encode(password)), encode(strings.ToUpper(user)+domain))
	proof := mac(hash, h.nonce[:], nt[16:])
	if !hmac.Equal(proof, nt[:16]) {
		return "", errors.New("wrong password")
	}
	pairs, err := pairsOf(nt[responseOverhead:])
	if err != nil {
		return "", err
	}
	if err := h.bound(pairs[avBindings], channel.Hash(h.binding)); err != nil {
		return "", err
	}
	if f := pairs[avFlags]; len(f) != 4 || binary.LittleEndian.Uint32(f)&avFlagMIC == 0 {
		return "", errors.New("no message integrity code, which the challenge's timestamp demands")
	}
	key := mac(hash, proof)
	if flags&flagKeyExchange != 0 {
		c, err := rc4.NewCipher(key)
		if err != nil || len(parts[5]) != len(key) {
			return "", errMalformed
		}
		exported := make([]byte, len(key))
		c.XORKeyStream(exported, parts[5])
		key = exported
	}
	clean := bytes.Clone(b)
	clear(clean[micAt:authenticateSize])
	if !hmac.Equal(mac(key, h.negotiate, h.challenge, clean), b[micAt:authenticateSize]) {
		return "", errors.New("the message integrity code is wrong")
	}
	return strings.ToLower(userOnly(user)), nil
}

// userOnly takes the domain off a user principal name.
func userOnly(user string) string {
	name, _, _ := strings.Cut(user, "@")
	return name
}

// pairsOf reads target information.
func pairsOf(b []byte) (map[uint16][]byte, error) {
	out := map[uint16][]byte{}
	for len(b) >= 4 {
		id, size := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if id == avEOL {
			return out, nil
		}
		if b = b[4:]; size > len(b) {
			return nil, errMalformed
		}
		out[id], b = b[:size], b[size:]
	}
	return nil, errMalformed
}

// mac is HMAC-MD5 of all parts.
func mac(key []byte, parts ...[]byte) []byte {
	m := hmac.New(md5.New, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

// hashed is MD4.
func hashed(b []byte) []byte {
	m := md4.New()
	m.Write(b)
	return m.Sum(nil)
}

func encode(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func decode(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}
