package sspi

import (
	"os"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/kerberos"
	"github.com/hypervigil/hypervigil/internal/lab/kdctest"
	"github.com/hypervigil/hypervigil/internal/ntlm"
)

const (
	password = "Correct-Horse-1"
	spn      = "HTTP/hv1.corp.example"
)

func acceptor(t testing.TB, o Options) *Acceptor {
	t.Helper()
	if o.Keytab == nil {
		o.Password = func(user string) (string, bool) { return password, user == "hv-reader" }
	}
	o.Domain, o.Computer, o.Realm = "CORP", "HV1", kdctest.Name
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// login has a client of NTLM log in; spoil changes its last message.
func login(t testing.TB, h *Handshake, binding []byte, spoil func([]byte)) error {
	t.Helper()
	c, err := ntlm.New(`CORP\hv-reader`, password)
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.Negotiate()
	if err != nil {
		t.Fatal(err)
	}
	challenge, err := h.Accept(first)
	if err != nil || h.User() != "" {
		t.Fatalf("after the first message: %q, %v", h.User(), err)
	}
	last, err := c.Authenticate(challenge, binding)
	if err != nil {
		t.Fatal(err)
	}
	if spoil != nil {
		spoil(last)
	}
	_, err = h.Accept(last)
	if (err == nil) != (h.User() == "hv-reader") {
		t.Errorf("user %q with %v", h.User(), err)
	}
	return err
}

func TestNTLMIsVerified(t *testing.T) {
	t.Parallel()
	binding := []byte("tls-server-end-point:x")
	for name, c := range map[string]struct {
		options Options
		binding []byte
		spoil   func([]byte)
		ok      bool
	}{
		"bound":                        {Options{}, binding, nil, true},
		"not bound":                    {Options{}, nil, nil, true},
		"bound to another connection":  {Options{}, []byte("y"), nil, false},
		"bound where that is demanded": {Options{Binding: Demanded}, binding, nil, true},
		"not bound where it is":        {Options{Binding: Demanded}, nil, nil, false},
		"another integrity code":       {Options{}, binding, func(b []byte) { b[micAt]++ }, false},
		"other flags than were signed": {Options{}, binding, func(b []byte) { b[63] ^= 0x20 }, false},
		"an older response":            {Options{}, binding, func(b []byte) { b[20], b[21] = 24, 0 }, false},
		"anonymous":                    {Options{}, binding, func(b []byte) { b[61] |= flagAnonymous >> 8 }, false},
		"cut short":                    {Options{}, binding, func(b []byte) { b[22], b[24] = 0xff, 0xff }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := login(t, acceptor(t, c.options).Handshake(binding), c.binding, c.spoil)
			if (err == nil) != c.ok {
				t.Errorf("the login ends with %v", err)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Error("the password is told")
			}
		})
	}
	h := acceptor(t, Options{}).Handshake(nil)
	if _, err := h.Accept([]byte(signature + "\x03\x00\x00\x00" + strings.Repeat("x", 100))); err == nil {
		t.Error("a last message without a challenge is taken")
	}
}

func TestATicketIsTakenOnceAndOnItsConnection(t *testing.T) {
	t.Parallel()
	r := kdctest.Start(t)
	r.Add("hv-reader", password)
	keys, err := os.ReadFile(r.Keytab(spn))
	if err != nil {
		t.Fatal(err)
	}
	c, err := kerberos.New(kerberos.Options{
		Username: "hv-reader", ConfigFile: r.Config, Password: func() (string, error) { return password, nil }, Logger: log.NewNopLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	token := func(binding string) []byte {
		b, err := c.Token(t.Context(), spn, []byte(binding))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	a := acceptor(t, Options{Keytab: keys, Binding: Demanded})
	h := a.Handshake([]byte("x"))
	mine := token("x")
	if _, err := h.Accept(mine); err != nil || h.User() != "hv-reader" {
		t.Errorf("a good token: %q, %v", h.User(), err)
	}
	for name, b := range map[string][]byte{
		"a second time": mine, "bound elsewhere": token("y"), "not bound": token(""), "garbage": []byte("garbage"), "nothing": nil,
	} {
		if _, err := h.Accept(b); err == nil || h.User() != "" {
			t.Errorf("%s: %q, %v", name, h.User(), err)
		}
	}
}

// FuzzAccept: no token makes the lab's servers panic or lets anybody in.
func FuzzAccept(f *testing.F) {
	f.Add([]byte(signature + "\x01\x00\x00\x00\x07\x82\x08\xa2"))
	f.Add([]byte{0x60, 0x06, 0x06, 0x04, 0x2b, 0x06, 0x01, 0x05})
	f.Fuzz(func(t *testing.T, b []byte) {
		h := acceptor(t, Options{}).Handshake(nil)
		if _, err := h.Accept([]byte(signature + "\x01\x00\x00\x00\x07\x82\x08\xa2")); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Accept(b); err == nil && h.User() != "" {
			t.Errorf("%q is let in", h.User())
		}
	})
}
