package wsmanserver

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hypervigil/hypervigil/internal/lab/kdctest"
	"github.com/hypervigil/hypervigil/internal/lab/sspi"
	"github.com/hypervigil/hypervigil/internal/peers"
)

// negotiated is pywinrm by NTLM or Kerberos: the right account, and for NTLM a wrong password and a relayed binding.
const negotiated = `
import sys
from winrm.protocol import Protocol
from winrm.exceptions import InvalidCredentialsError

endpoint, ca, transport, user, password = sys.argv[1:6]
identify = ('<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">'
    '<s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>')

def ask(password, **more):
    p = Protocol(endpoint=endpoint, transport=transport, username=user, password=password, server_cert_validation='validate',
        ca_trust_path=ca, kerberos_hostname_override='hv1.corp.example', **more)
    for i in range(2): # the second over the same connection
        try:
            print('Hypervigil lab' in str(p.send_message(identify)))
        except InvalidCredentialsError:
            print('credentials rejected')

ask(password)
if transport == 'ntlm':
    ask('guess')
    ask(password, send_cbt=False)
`

// runPywinrm runs it and returns what it printed.
func runPywinrm(t *testing.T, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), peers.Need(t, "python3:winrm"), append([]string{"-c", negotiated}, args...)...)
	// Neither a proxy nor a list of authorities of the machine's own shall have a say.
	cmd.Env = append(append(os.Environ(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "REQUESTS_CA_BUNDLE=", "CURL_CA_BUNDLE="), env...)
	var trouble strings.Builder
	cmd.Stderr = &trouble
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("pywinrm: %v\n%s", err, trouble.String())
	}
	return string(out)
}

// negotiating is a server that takes NTLM and Kerberos, and no Basic.
func negotiating(t *testing.T, o sspi.Options) (endpoint, ca string) {
	t.Helper()
	o.Domain, o.Computer, o.Realm = "CORP", "HV1", kdctest.Name
	a, err := sspi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	_, port, ca := serve(t, cluster(1), func(o *Options) { o.Authenticate, o.Negotiate = nil, a })
	return "https://" + port.Addr().String() + "/wsman", ca
}

func TestPywinrmProvesItselfByNTLM(t *testing.T) {
	t.Parallel()
	endpoint, ca := negotiating(t, sspi.Options{
		Password: func(user string) (string, bool) { return "secret", user == "reader" }, Binding: sspi.Demanded,
	})
	got := runPywinrm(t, nil, endpoint, ca, "ntlm", `CORP\reader`, "secret")
	const rejected = "credentials rejected\ncredentials rejected\n"
	if want := "True\nTrue\n" + rejected + rejected; got != want {
		t.Errorf("pywinrm says %q, want %q", got, want)
	}
}

func TestPywinrmProvesItselfByKerberos(t *testing.T) {
	t.Parallel()
	peers.Need(t, "python3:requests_kerberos")
	kinit := peers.Need(t, "kinit")
	r := kdctest.Start(t)
	r.Add("reader", "secret")
	keys, err := os.ReadFile(r.Keytab("HTTP/hv1.corp.example"))
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"KRB5_CONFIG=" + r.Config, "KRB5CCNAME=FILE:" + filepath.Join(t.TempDir(), "cache")}
	login := exec.CommandContext(t.Context(), kinit, "reader")
	login.Env, login.Stdin = append(os.Environ(), env...), strings.NewReader("secret\n")
	if out, err := login.CombinedOutput(); err != nil {
		t.Fatalf("kinit: %v: %s", err, out)
	}
	endpoint, ca := negotiating(t, sspi.Options{Keytab: keys})
	if got := runPywinrm(t, env, endpoint, ca, "kerberos", "reader", ""); got != "True\nTrue\n" {
		t.Errorf("pywinrm says %q, want True twice", got)
	}
}

func TestWhatIsOfferedIsWhatIsOn(t *testing.T) {
	t.Parallel()
	endpoint, ca := negotiating(t, sspi.Options{Password: func(string) (string, bool) { return "", false }})
	c := client(t, ca)
	for _, authorization := range []string{"", "Basic cmVhZGVyOnNlY3JldA==", "Negotiate !", "Negotiate", "Kerberos YQ==", "Negotiate YQ=="} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/soap+xml;charset=UTF-8")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if got := strings.Join(res.Header.Values("WWW-Authenticate"), ", "); res.StatusCode != http.StatusUnauthorized || got != "Negotiate" {
			t.Errorf("with %q: HTTP %d, %q; want 401 and Negotiate alone", authorization, res.StatusCode, got)
		}
	}
}
