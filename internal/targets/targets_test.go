package targets

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/kdctest"
	"github.com/hypervigil/hypervigil/internal/lab/sspi"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
	"github.com/hypervigil/hypervigil/internal/servetest"
)

const kerberosFile = `
kerberos: {config_file: %[1]q}
credentials:
  windows: {username: hv-reader@CORP.EXAMPLE, keytab_file: %[2]q, scheme: kerberos}
clusters:
  - name: c1
    reader: windows
    tls: {ca_file: %[3]q}
    nodes: [{name: HV1, addresses: [127.0.0.1], spn: HTTP/hv1.corp.example}]
    virtual_machines:
      - name: SQL01
        guest: {address: sql01.corp.example}
        sql_servers: [{instance: MSSQLSERVER, address: %[4]q, spn: "MSSQLSvc/sql01.corp.example:1433", credential: windows, encrypt: strict}]
`

// letting is a SQL Server that lets in whoever has proven himself, and answers no question.
type letting struct{}

func (letting) Login(_ context.Context, l tdsserver.Login) *tdsserver.Error {
	if !l.Windows || l.User != "hv-reader" {
		return &tdsserver.Error{Number: 18456, State: 1, Class: 14, Message: "Login failed."}
	}
	return nil
}

func (letting) Query(context.Context, *tdsserver.Session, tdsserver.Request) tdsserver.Response {
	return tdsserver.Fail(&tdsserver.Error{Number: 208, State: 1, Class: 16, Message: "Invalid object name."})
}

// authority writes a certificate for loopback and returns it.
func authority(t *testing.T, file string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestTheFileLeadsToALoginByKerberos goes from hypervigil.yml with a keytab to a SQL Server that lets the account in.
func TestTheFileLeadsToALoginByKerberos(t *testing.T) {
	t.Parallel()
	r := kdctest.Start(t)
	own, ca := r.Keytab("hv-reader"), filepath.Join(t.TempDir(), "ca.pem")
	keys, err := os.ReadFile(r.Keytab("MSSQLSvc/sql01.corp.example:1433"))
	if err != nil {
		t.Fatal(err)
	}
	accept, err := sspi.New(sspi.Options{Keytab: keys, Realm: r.Name})
	if err != nil {
		t.Fatal(err)
	}
	server, err := tdsserver.New(tdsserver.Options{
		Handler: letting{}, Logger: log.NewNopLogger(), Version: "16.0.4135.4", Encryption: tdsserver.Offered,
		TLS: &tls.Config{Certificates: []tls.Certificate{authority(t, ca)}}, Integrated: accept,
	})
	if err != nil {
		t.Fatal(err)
	}
	address := servetest.Listen(t, server.Serve)
	c, err := config.Parse("hypervigil.yml", fmt.Appendf(nil, kerberosFile, r.Config, own, ca, address))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckExporter(); err != nil {
		t.Error(err)
	}
	targets := New(c, log.NewNopLogger())
	t.Cleanup(func() {
		if err := targets.Close(); err != nil {
			t.Error(err)
		}
	})
	cl := c.Clusters[0]
	reader, err := targets.WinRM(cl.Reader, cl.TLS)
	if err != nil {
		t.Fatal(err)
	}
	for want, m := range map[string]Machine{
		"HTTP/hv1.corp.example":   {Name: "HV1", Addresses: cl.Nodes[0].Addresses, SPN: cl.Nodes[0].SPN},
		"HTTP/sql01.corp.example": {Name: "SQL01", Addresses: []string{cl.VirtualMachines[0].Guest.Address}},
	} {
		if o, err := reader.Options(m); err != nil || o.SPN != want || o.Tickets == nil {
			t.Errorf("Options(%s) = %+v, %v, want the name %s", m.Name, o, err, want)
		}
	}
	p, err := targets.SQL(cl, cl.VirtualMachines[0].SQLServers[0])
	if err != nil {
		t.Fatal(err)
	}
	probe, end := context.WithTimeout(t.Context(), 10*time.Second)
	defer end()
	if a := p.Availability(probe); a.Phase != dial.PhaseQuery || a.ErrorNumber != 208 {
		t.Errorf("Availability = %+v, want that the account is let in and its question refused", a)
	}
}
