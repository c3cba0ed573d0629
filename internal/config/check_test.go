package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// files makes a directory with a password, a certificate with its key, and a file that is neither.
func files(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"password":  []byte("hunter2\n"),
		"cert.pem":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		"key.pem":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		"nonsense":  []byte("nonsense"),
		"keytab":    {5, 2},
		"krb5.conf": []byte("[libdefaults]\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const checked = `
kerberos: {config_file: %[1]s/krb5.conf}
credentials:
  sql: {username: s, password_file: %[1]s/password}
  reader: {username: r, %[2]s}
  operator: {username: o, %[3]s}
clusters:
  - name: c1
    reader: reader
    operator: operator
    guest_operator: operator
    tls: {ca_file: %[1]s/%[4]s}
    nodes: [{name: N1, addresses: [n1]}]
    virtual_machines:
      - name: V1
        sql_servers: [{instance: A, address: "v1:1433", credential: sql}]
receiver:
  webhook: {token_file: %[1]s/password, tls: {cert_file: %[1]s/cert.pem, key_file: %[1]s/key.pem}}
  alertmanagers: [http://127.0.0.1:9093]
`

func TestChecksResolveOnlyWhatTheProgramUses(t *testing.T) {
	t.Parallel()
	dir := files(t)
	password, certificate := "password_file: "+dir+"/password", "scheme: certificate, cert_file: "+dir+"/cert.pem, key_file: "+dir+"/key.pem"
	for _, tc := range []struct {
		name, reader, operator, ca string
		exporter, receiver         string // part of the error, empty for none
	}{
		{"all is there", password, password, "cert.pem", "", ""},
		{"a certificate for the reader", certificate, password, "cert.pem", "", ""},
		{"no password of the operator: the exporter does not care", password, "password_file: " + dir + "/none", "cert.pem", "", `password of the credential "operator": open ` + dir + "/none"},
		{"no password of the reader", "password_file: " + dir + "/none", password, "cert.pem", `(used by the reader of the cluster c1)`, `password of the credential "reader"`},
		{"kerberos for the reader", "scheme: kerberos, keytab_file: " + dir + "/keytab", password, "cert.pem", "", ""},
		{"a keytab that is not there", "scheme: kerberos, keytab_file: " + dir + "/none", password, "cert.pem", `keytab of the credential "reader": open ` + dir + "/none", "keytab of the credential"},
		{"a keytab that is none", "scheme: kerberos, keytab_file: " + dir + "/password", password, "cert.pem", dir + "/password is no keytab", "is no keytab"},
		{"ntlm for the operator", password, "scheme: ntlm, password_file: " + dir + "/none", "cert.pem", "", `password of the credential "operator": open ` + dir + "/none"},
		{"a certificate that is none", "scheme: certificate, cert_file: " + dir + "/nonsense, key_file: " + dir + "/key.pem", password, "cert.pem", `certificate of the credential "reader"`, "certificate of"},
		{"an authority that is none", password, password, "nonsense", "holds no certificate in PEM form", "holds no certificate in PEM form"},
		{"an authority that is not there", password, password, "none", "read the certificate authority: open", "read the certificate authority: open"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse("f.yml", fmt.Appendf(nil, checked, dir, tc.reader, tc.operator, tc.ca))
			if err != nil {
				t.Fatal(err)
			}
			for _, check := range []struct {
				name string
				err  error
				want string
			}{{"CheckExporter", c.CheckExporter(), tc.exporter}, {"CheckReceiver", c.CheckReceiver(), tc.receiver}} {
				switch {
				case check.want == "" && check.err != nil:
					t.Errorf("%s() = %v", check.name, check.err)
				case check.want != "" && (check.err == nil || !strings.Contains(check.err.Error(), check.want)):
					t.Errorf("%s() = %v, want %q", check.name, check.err, check.want)
				}
				if check.err != nil && strings.Contains(check.err.Error(), "hunter2") {
					t.Errorf("%s() shows a password", check.name)
				}
			}
		})
	}
}

func TestCheckReceiverNeedsOperatorsAndASection(t *testing.T) {
	t.Parallel()
	dir := files(t)
	text := strings.ReplaceAll(fmt.Sprintf(checked, dir, "password_file: "+dir+"/password", "password_file: /x", "cert.pem"), "operator: operator\n", "\n")
	text = text[:strings.Index(text, "receiver:\n")]
	text = strings.ReplaceAll(text, "    guest_\n", "")
	c, err := Parse("f.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckExporter(); err != nil {
		t.Errorf("CheckExporter() = %v", err)
	}
	err = c.CheckReceiver()
	for _, want := range []string{"no receiver section", "the cluster c1 has no operator", "the cluster c1 has no guest_operator"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckReceiver() = %v, want %q", err, want)
		}
	}
}

// TestATokenIsOnePersons: a token that two share proves neither, and one that is the webhook's would let whoever sends
// alerts approve what comes of them.
func TestATokenIsOnePersons(t *testing.T) {
	t.Parallel()
	dir := files(t)
	for name, content := range map[string]string{"ada": "ada-knows-this", "bob": "ada-knows-this", "eve": "hunter2"} {
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf(checked, dir, "password_file: "+dir+"/password", "password_file: "+dir+"/password", "cert.pem")
	for approvers, want := range map[string]string{
		"{name: ada, token_file: DIR/ada}":                                      "",
		"{name: ada, token_file: DIR/ada}, {name: bob, token_file: DIR/bob}":    `the approver "bob" has the same token as the approver "ada"`,
		"{name: eve, token_file: DIR/eve}":                                      `the approver "eve" has the same token as the webhook`,
		"{name: max, token_file: DIR/none}":                                     `token of the approver "max": open`,
		"{name: max, certificate: max.corp.example}, {name: a, certificate: b}": "",
	} {
		c, err := Parse("f.yml", []byte(text+"  approvers: ["+strings.ReplaceAll(approvers, "DIR", dir)+"]\n"))
		if err != nil {
			t.Fatal(err)
		}
		err = c.CheckReceiver()
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", approvers, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", approvers, err, want)
		case err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ada-knows-this")):
			t.Errorf("%s: the error shows a token", approvers)
		}
	}
}

func TestTLSClient(t *testing.T) {
	t.Parallel()
	dir := files(t)
	c, err := TLS{CAFile: dir + "/cert.pem", ServerName: "n"}.Client()
	if err != nil || c.RootCAs == nil || c.ServerName != "n" || c.InsecureSkipVerify {
		t.Errorf("Client() = %+v, %v", c, err)
	}
	c, err = TLS{}.Client()
	if err != nil || c.RootCAs != nil {
		t.Errorf("Client() without an authority = %+v, %v; want the system's", c, err)
	}
	cl := &Cluster{TLS: TLS{CAFile: "a", ServerName: "winrm"}}
	if got, want := cl.SQLServerTLS(&SQLServer{}), (TLS{CAFile: "a"}); got != want {
		t.Errorf("SQLServerTLS() = %v, want %v", got, want)
	}
	if got, want := cl.SQLServerTLS(&SQLServer{TLS: &TLS{ServerName: "s"}}), (TLS{ServerName: "s"}); got != want {
		t.Errorf("SQLServerTLS() = %v, want %v", got, want)
	}
}
