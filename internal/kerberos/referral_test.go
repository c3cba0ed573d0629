package kerberos

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/hypervigil/hypervigil/internal/lab/kdctest"
)

const (
	otherRealm = "RESOURCE.EXAMPLE"
	otherSPN   = "HTTP/hv1.resource.example"
)

// TestARealKDCSendsUsToAnotherRealm shows the way to a machine of another domain, with a KDC on each side of the trust.
func TestARealKDCSendsUsToAnotherRealm(t *testing.T) {
	t.Parallel()
	other := kdctest.StartTrusted(t, otherRealm)
	services := other.Keytab(otherSPN)
	r := kdctest.StartTrusting(t, other)
	r.Add("hv-reader", secret)
	c := client(t, Options{Username: "hv-reader", ConfigFile: r.Config, Password: password(secret)})
	token, err := c.Token(t.Context(), otherSPN, nil)
	if err != nil {
		t.Fatal(err)
	}
	if why := accepted(t, services, token); why != "" {
		t.Errorf("the service of the other realm refuses the token: %s", why)
	}
	for spn, want := range map[string]Cause{"HTTP/elsewhere.resource.example": UnknownService, "HTTP/elsewhere.corp.example": UnknownService} {
		_, err := c.Token(t.Context(), spn, nil)
		var k *Error
		if !errors.As(err, &k) || k.Cause != want || k.Service != spn {
			t.Errorf("Token for %s: %v, want %v", spn, err, want)
		}
	}
	// A realm that nobody can ask is told by its name.
	text, err := os.ReadFile(r.Config)
	if err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/krb5.conf"
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), other.Address, closedAddress(t), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = client(t, Options{Username: "hv-reader", ConfigFile: file, Password: password(secret)}).Token(t.Context(), otherSPN, nil)
	var k *Error
	if !errors.As(err, &k) || k.Cause != Unreachable || k.Service != otherSPN {
		t.Errorf("without the other realm's KDC: %v, want %v", err, Unreachable)
	}
}
