package tdsserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"unicode/utf16"
)

// Login is what a client says of itself in LOGIN7 (MS-TDS 2.2.6.4). Printed, it shows no password.
type Login struct {
	TDSVersion uint32
	PacketSize int // as asked for; 0 leaves it to the server
	HostName   string
	User       string
	Password   string
	AppName    string
	ServerName string // the server as the client calls it
	Library    string
	Language   string
	Database   string // empty: the login's default
	ReadOnly   bool   // ApplicationIntent=ReadOnly
	RemoteAddr net.Addr
	// Windows says that User is a Windows account that has proven itself; there is no password.
	Windows bool

	integrated  bool
	sspi        []byte
	newPassword bool
	features    map[byte][]byte
}

// String names the user, the program and the machine.
func (l Login) String() string {
	return fmt.Sprintf("login of %q with %q from %q", l.User, l.AppName, l.HostName)
}

// GoString is String: %#v must not show the password either.
func (l Login) GoString() string { return l.String() }

// Features of the FeatureExt block (MS-TDS 2.2.6.4).
const (
	featureFedAuth = 0x02
	featureUTF8    = 0x0A
	featureEnd     = 0xFF
)

// The versions in LOGIN7, as a little-endian number.
const (
	// tds73A is the oldest version that this server speaks: SQL Server 2008's, the first with datetime2.
	tds73A = 0x730A0003
	tds74  = 0x74000004
	tds80  = 0x08000000
)

// loginHeader is the size of LOGIN7 before its variable part; maxLoginText what MS-TDS allows for each text, in
// UTF-16 units.
const (
	loginHeader  = 94
	maxLoginText = 128
)

// parseLogin reads a LOGIN7 message. Every offset is checked: SQL Server closes on a login that is "structurally
// invalid" (17832, in its own log), and so does the caller.
func parseLogin(b []byte) (Login, error) {
	if len(b) < loginHeader {
		return Login{}, fmt.Errorf("login: %d bytes, fewer than its header", len(b))
	}
	if n := binary.LittleEndian.Uint32(b); int64(n) != int64(len(b)) {
		return Login{}, fmt.Errorf("login: length says %d, message has %d", n, len(b))
	}
	l := Login{
		TDSVersion: binary.LittleEndian.Uint32(b[4:]),
		ReadOnly:   b[26]&0x20 != 0,
		integrated: b[25]&0x80 != 0,
	}
	if n := binary.LittleEndian.Uint32(b[8:]); n <= maxPacketSize {
		l.PacketSize = int(n)
	} else {
		l.PacketSize = maxPacketSize
	}
	for _, f := range []struct {
		at   int
		name string
		into *string
	}{
		{36, "host name", &l.HostName},
		{40, "user name", &l.User},
		{48, "application name", &l.AppName},
		{52, "server name", &l.ServerName},
		{60, "library name", &l.Library},
		{64, "language", &l.Language},
		{68, "database", &l.Database},
	} {
		raw, err := loginField(b, f.at, f.name)
		if err != nil {
			return Login{}, err
		}
		*f.into = decodeUTF16(raw)
	}
	password, err := loginField(b, 44, "password")
	if err != nil {
		return Login{}, err
	}
	l.Password = decodeUTF16(revealPassword(password))
	change, err := loginField(b, 86, "new password")
	if err != nil {
		return Login{}, err
	}
	l.newPassword = len(change) > 0
	if l.integrated {
		if l.sspi, err = loginSSPI(b); err != nil {
			return Login{}, err
		}
	}
	if b[27]&0x10 != 0 {
		if l.features, err = parseFeatures(b); err != nil {
			return Login{}, err
		}
	}
	return l, nil
}

// loginField is the text whose offset in bytes and length in UTF-16 units stand at b[at:].
func loginField(b []byte, at int, name string) ([]byte, error) {
	offset, units := int(binary.LittleEndian.Uint16(b[at:])), int(binary.LittleEndian.Uint16(b[at+2:]))
	if units > maxLoginText {
		return nil, fmt.Errorf("login: %s of %d characters, at most %d are allowed", name, units, maxLoginText)
	}
	if units == 0 {
		return nil, nil
	}
	if offset < loginHeader || offset+2*units > len(b) {
		return nil, fmt.Errorf("login: %s lies outside the message", name)
	}
	return b[offset : offset+2*units], nil
}

// loginSSPI is the first token of an integrated login: its length in bytes stands in 16 bits, or where those are all ones
// in the 32 bits further on (MS-TDS 2.2.6.4, cbSSPI and cbSSPILong).
func loginSSPI(b []byte) ([]byte, error) {
	offset, size := int64(binary.LittleEndian.Uint16(b[78:])), int64(binary.LittleEndian.Uint16(b[80:]))
	if long := int64(binary.LittleEndian.Uint32(b[90:])); size == 0xFFFF && long > 0 {
		size = long
	}
	if offset < loginHeader || offset+size > int64(len(b)) {
		return nil, errors.New("login: SSPI token lies outside the message")
	}
	return b[offset : offset+size], nil
}

// revealPassword undoes the scrambling of MS-TDS 2.2.6.4: nibbles swapped, then exclusive or with 0xA5.
func revealPassword(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		c ^= 0xA5
		out[i] = c<<4 | c>>4
	}
	return out
}

// parseFeatures reads the FeatureExt block, found through the offset that the extension field points to.
func parseFeatures(b []byte) (map[byte][]byte, error) {
	at := int(binary.LittleEndian.Uint16(b[56:]))
	if at < loginHeader || at+4 > len(b) {
		return nil, errors.New("login: extension lies outside the message")
	}
	rest := int64(binary.LittleEndian.Uint32(b[at:]))
	features := make(map[byte][]byte)
	for {
		if rest < loginHeader || rest >= int64(len(b)) {
			return nil, errors.New("login: list of features has no end")
		}
		id := b[rest]
		if id == featureEnd {
			return features, nil
		}
		if rest+5 > int64(len(b)) {
			return nil, fmt.Errorf("login: feature 0x%02x cut short", id)
		}
		size := int64(binary.LittleEndian.Uint32(b[rest+1:]))
		if rest+5+size > int64(len(b)) {
			return nil, fmt.Errorf("login: feature 0x%02x lies outside the message", id)
		}
		features[id] = b[rest+5 : rest+5+size]
		rest += 5 + size
	}
}

// encodeUTF16 is the text as TDS carries it: UTF-16, little-endian.
func encodeUTF16(s string) []byte {
	units := utf16.Encode([]rune(s))
	b := make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// decodeUTF16 reads UTF-16, little-endian; an odd last byte is ignored, an unpaired surrogate becomes U+FFFD.
func decodeUTF16(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}
