package ntlm

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// challenge is a server's, with these pairs of target information.
func challenge(flags uint32, info ...byte) []byte {
	b := make([]byte, challengeSize, challengeSize+len(info))
	copy(b, signature)
	binary.LittleEndian.PutUint32(b[8:], typeChallenge)
	binary.LittleEndian.PutUint32(b[16:], challengeSize)
	binary.LittleEndian.PutUint32(b[20:], flags)
	copy(b[24:], "12345678")
	binary.LittleEndian.PutUint16(b[40:], uint16(len(info)))
	binary.LittleEndian.PutUint16(b[42:], uint16(len(info)))
	binary.LittleEndian.PutUint32(b[44:], challengeSize)
	return append(b, info...)
}

const usual = flagUnicode | flagTargetInfo

func TestAChallengeIsLookedAtBeforeItIsAnswered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		challenge []byte
		ok        bool
	}{
		"as usual":                    {challenge(usual, 0, 0, 0, 0), true},
		"with a timestamp":            {challenge(usual, 7, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0), true},
		"nothing":                     {nil, false},
		"cut short":                   {challenge(usual, 0, 0, 0, 0)[:40], false},
		"no Unicode":                  {challenge(flagTargetInfo, 0, 0, 0, 0), false},
		"an anonymous login":          {challenge(usual|flagAnonymous, 0, 0, 0, 0), false},
		"no target information":       {challenge(flagUnicode, 0, 0, 0, 0), false},
		"no end":                      {challenge(usual), false},
		"flags of one byte":           {challenge(usual, 7, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 6, 0, 1, 0, 9, 0, 0, 0, 0), false},
		"a pair longer than it all":   {challenge(usual, 1, 0, 200, 0), false},
		"bindings of the server's":    {challenge(usual, 10, 0, 0, 0, 0, 0, 0, 0), false},
		"a version that is not there": {challenge(usual | flagVersion), false},
		"too much":                    {append(challenge(usual, 0, 0, 0, 0), make([]byte, MaxChallenge)...), false},
	} {
		h, err := New(`CORP\hv-reader`, "secret")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Negotiate(); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Authenticate(c.challenge, []byte("tls-server-end-point:x")); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAccountIsTakenApartAndNobodyIsNone(t *testing.T) {
	t.Parallel()
	for account, want := range map[string][2]string{
		`CORP\hv-reader`: {"hv-reader", "CORP"}, "hv-reader@corp.example": {"hv-reader@corp.example", ""}, "hv-reader": {"hv-reader", ""},
	} {
		if user, domain := split(account); user != want[0] || domain != want[1] {
			t.Errorf("split(%q) = %q, %q, want %q", account, user, domain, want)
		}
	}
	for _, c := range [][2]string{{"", "secret"}, {`CORP\`, "secret"}, {"hv-reader", ""}} {
		if _, err := New(c[0], c[1]); err == nil {
			t.Errorf("New takes %q without complaint: it would log in as nobody", c)
		}
	}
}

// FuzzChallenge: no challenge makes the client panic or send its password, or anything but NTLMv2.
func FuzzChallenge(f *testing.F) {
	f.Add(challenge(usual, 0, 0, 0, 0))
	f.Add(challenge(0xffffffff&^flagAnonymous, 7, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 6, 0, 4, 0, 9, 0, 0, 0, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := New(`CORP\hv-reader`, "secret")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Negotiate(); err != nil {
			t.Fatal(err)
		}
		out, err := h.Authenticate(b, []byte("tls-server-end-point:x"))
		if err != nil {
			return
		}
		if bytes.Contains(out, []byte("s\x00e\x00c\x00r\x00e\x00t")) || bytes.Contains(out, []byte("secret")) {
			t.Error("the password went out")
		}
		if n := binary.LittleEndian.Uint16(out[20:]); n < 44 {
			t.Errorf("a response of %d bytes, which is older than NTLMv2's", n)
		}
	})
}
