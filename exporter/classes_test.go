package exporter_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	kitlog "github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
	"github.com/hypervigil/hypervigil/internal/lab/wire"
)

// failing are one guest and one SQL Server that cannot be asked for the same kind of reason.
type failing struct {
	reason dial.Reason
	winrm  string // address of the guest
	sql    string // address of the instance; empty where the protocol does not have it
	// up is what the gauges show: empty where the failure says nothing about the peer.
	up string
}

// unrouted is an address that the own stack refuses to connect to: the broadcast of the loopback network (Linux,
// tcp_v4_connect: ENETUNREACH for whatever is not unicast).
const unrouted = "127.255.255.255"

// Answers of WinRM, and the numbers of its faults (MS-WSMV 2.2.4.44 and Appendix A): access denied, and the operation that
// timed out because its provider did not answer.
const (
	soap = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration" ` +
		`xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><s:Header/><s:Body>%s</s:Body></s:Envelope>`
	faultDenied   = 5
	faultTimedOut = 2150858793
)

// sqlDenied is SQL Server's refusal of a SELECT (sys.messages 229).
const sqlDenied = 229

// winrmAnswering is a WS-Management service.
func winrmAnswering(t *testing.T, secure *tls.Config, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(answer)
	s.TLS = secure
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// fault answers with one of WinRM's.
func fault(number int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, soap, fmt.Sprintf(`<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>no</s:Text></s:Reason><s:Detail>`+
			`<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="%d" Machine="sql01"/></s:Detail></s:Fault>`, number))
	}
}

// engine answers logins and statements; nil lets in, and waits for the client to give up.
type engine struct {
	login *tdsserver.Error
	query *tdsserver.Error
}

var _ tdsserver.Handler = engine{}

func (e engine) Login(context.Context, tdsserver.Login) *tdsserver.Error { return e.login }

func (e engine) Query(ctx context.Context, _ *tdsserver.Session, _ tdsserver.Request) tdsserver.Response {
	if e.query != nil {
		return tdsserver.Fail(e.query)
	}
	<-ctx.Done()
	return tdsserver.Response{HangUp: true}
}

// sqlAnswering is a SQL Server.
func sqlAnswering(t *testing.T, secure *tls.Config, e engine) string {
	t.Helper()
	return sqlServing(t, secure, tdsserver.Options{Handler: e})
}

// sqlServing is one with options of the test's.
func sqlServing(t *testing.T, secure *tls.Config, o tdsserver.Options) string {
	t.Helper()
	o.Logger, o.Version, o.ServerName, o.Encryption, o.TLS = kitlog.NewNopLogger(), "16.0.4135.4", "SQL01", tdsserver.Offered, secure
	s, err := tdsserver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// talkative says something else than TLS or TDS to whoever comes, and hangs up.
func talkative(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "220 mail.corp.example ESMTP\r\n")
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// refusing is an address whose port nobody else gets meanwhile.
func refusing(t *testing.T) string {
	t.Helper()
	p, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if err := p.Set(wire.Refusing); err != nil {
		t.Fatal(err)
	}
	return p.Addr().String()
}

// authority makes one with certificates of its own.
func authority(t *testing.T) (ca *lab.Authority, server *tls.Config) {
	t.Helper()
	ca, err := lab.NewAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = ca.Issue("sql01.corp.example"); err != nil {
		t.Fatal(err)
	}
	return ca, server
}

// classes are every kind of failure that both protocols know. A hung provider is WinRM's alone: what it is for SQL Server,
// a driver that does not come back, has tests of its own (TestAbandoned of sqlhealth, TestHungCollector).
func classes(t *testing.T, secure *tls.Config) []failing {
	_, stranger := authority(t)
	refuse := tdsserver.Error{Number: 18456, State: 1, Class: 14, Message: "Login failed for user 'hypervigil'."}
	denied := tdsserver.Error{Number: sqlDenied, State: 5, Class: 14, Message: "The SELECT permission was denied on the object 'dm_os_sys_info'."}
	hangs := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server sees that the client gives up
		<-r.Context().Done()
	}
	return []failing{
		{dial.Refused, refusing(t), refusing(t), "0"},
		{dial.Unreachable, unrouted + ":5986", unrouted + ":1433", ""},
		{dial.DNS, "no-such-guest.invalid", "no-such-server.invalid:1433", ""},
		{dial.TLS, winrmAnswering(t, stranger, fault(faultDenied)), sqlAnswering(t, stranger, engine{}), ""},
		{dial.Auth, winrmAnswering(t, secure, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="WSMAN"`)
			w.WriteHeader(http.StatusUnauthorized)
		}), sqlAnswering(t, secure, engine{login: &refuse}), ""},
		{dial.Permission, winrmAnswering(t, secure, fault(faultDenied)), sqlAnswering(t, secure, engine{query: &denied}), ""},
		{dial.QueryTimeout, winrmAnswering(t, secure, hangs), sqlAnswering(t, secure, engine{}), "0"},
		{dial.ProviderHung, winrmAnswering(t, secure, fault(faultTimedOut)), "", "0"},
		{dial.Protocol, winrmAnswering(t, secure, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html>It works!</html>")
		}), talkative(t), "0"},
	}
}

// inquire makes an exporter of a configuration, whose modules have time.
func inquire(t *testing.T, config string) *site {
	t.Helper()
	s := &site{config: filepath.Join(t.TempDir(), "hypervigil.yml")}
	config += "exporter:\n  modules:\n    os: {prober: guest, collectors: [os], timeout: 1m}\n    mssql_availability: {timeout: 1m}\n" +
		"    admin: {prober: mssql, collectors: [admin_connection], timeout: 1m}\n"
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	s.Exporter, err = exporter.New(exporter.Options{ConfigFile: s.config, Logger: kitlog.NewLogfmtLogger(&s.seen), Registry: prometheus.NewPedanticRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// file writes one.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEachFailureIsToldByItsClass has a guest and a SQL Server for each class of failure, and looks at the reason that the
// probe gives, the only one, and whether it says anything about the peer: a wrong password is no SQL Server that is down.
func TestEachFailureIsToldByItsClass(t *testing.T) {
	t.Parallel()
	ca, secure := authority(t)
	all := classes(t, secure)
	password := file(t, "password", "Correct-Horse-1\n")
	config := fmt.Sprintf("credentials:\n  reader: {username: hypervigil, password_file: %q, scheme: basic}\n  sql: {username: hypervigil, password_file: %q}\n"+
		"clusters:\n  - name: classes\n    reader: reader\n    tls: {ca_file: %q}\n    nodes:\n      - {name: HV1, addresses: [hv1.invalid]}\n    virtual_machines:\n",
		password, password, ca.File())
	for _, f := range all {
		config += fmt.Sprintf("      - name: %s\n        guest: {address: %q}\n", f.reason, f.winrm)
		if f.sql != "" {
			config += fmt.Sprintf("        sql_servers:\n          - {instance: SQL, address: %q, credential: sql, encrypt: mandatory}\n", f.sql)
		}
	}
	s := inquire(t, config)
	for _, f := range all {
		timeout := 30.0
		if f.reason == dial.QueryTimeout {
			timeout = 3
		}
		t.Run("WinRM, "+string(f.reason), func(t *testing.T) {
			t.Parallel()
			got, _ := s.scrape(t, "os", "classes/"+string(f.reason), timeout)
			wantReason(t, got, f, "hyperv_guest_up")
		})
		if f.sql == "" {
			continue
		}
		t.Run("SQL Server, "+string(f.reason), func(t *testing.T) {
			t.Parallel()
			got, _ := s.scrape(t, "mssql_availability", "classes/"+string(f.reason)+"/SQL", timeout)
			wantReason(t, got, f, "mssql_up")
		})
	}
}

// wantReason compares the reasons that are 1, and the gauge of the peer.
func wantReason(t *testing.T, got map[string][]string, f failing, gauge string) {
	t.Helper()
	var reasons []string
	for _, line := range got["probe_failure_reason"] {
		if labels, ok := strings.CutSuffix(line, " 1"); ok {
			_, reason, _ := strings.Cut(labels, `reason="`)
			reason, _, _ = strings.Cut(reason, `"`)
			reasons = append(reasons, reason)
		}
	}
	if want := []string{string(f.reason)}; !slices.Equal(reasons, want) {
		t.Errorf("reasons = %q, want %q", reasons, want)
	}
	up := ""
	for _, line := range got[gauge] {
		up = line[strings.LastIndex(line, " ")+1:]
	}
	if up != f.up {
		t.Errorf("%s = %q, want %q (empty is absent)", gauge, up, f.up)
	}
}

// TestAClientCertificateProvesWhoAsks goes the whole way from the configuration's files to WinRM's profile for certificates
// (DSP0226, C.3.4): the guest takes nobody but who shows this one certificate, and nothing else is ever sent.
func TestAClientCertificateProvesWhoAsks(t *testing.T) {
	t.Parallel()
	ca, secure := authority(t)
	_, own := authority(t)
	secure.ClientAuth = tls.RequestClientCert
	const profile = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
	answer := fmt.Sprintf(soap, `<n:EnumerateResponse><n:EnumerationContext/><w:Items><w:XmlFragment><CSName>SQL01</CSName><Version>10.0.20348</Version>`+
		`<BuildNumber>20348</BuildNumber><LastBootUpTime><Datetime>2026-01-02T03:04:05Z</Datetime></LastBootUpTime>`+
		`<LocalDateTime><Datetime>2026-01-03T03:04:05Z</Datetime></LocalDateTime><TotalVisibleMemorySize>2048</TotalVisibleMemorySize>`+
		`<FreePhysicalMemory>1024</FreePhysicalMemory><TotalVirtualMemorySize>4096</TotalVirtualMemorySize><FreeVirtualMemory>2048</FreeVirtualMemory>`+
		`</w:XmlFragment></w:Items><w:EndOfSequence/></n:EnumerateResponse>`)
	address := winrmAnswering(t, secure, func(w http.ResponseWriter, r *http.Request) {
		shown := r.TLS.PeerCertificates
		if len(shown) == 0 || !slices.Equal(shown[0].Raw, own.Certificates[0].Certificate[0]) || r.Header.Get("Authorization") != profile {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, answer)
	})
	credential := func(c *tls.Config) string {
		key, err := x509.MarshalPKCS8PrivateKey(c.Certificates[0].PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("{scheme: certificate, cert_file: %q, key_file: %q}",
			file(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificates[0].Certificate[0]}))),
			file(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))))
	}
	_, another := authority(t)
	for name, c := range map[string]struct {
		shown *tls.Config
		want  failing
	}{
		"the one":     {own, failing{up: "1"}},
		"another one": {another, failing{reason: dial.Auth}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := inquire(t, fmt.Sprintf("credentials:\n  reader: %s\nclusters:\n  - name: certified\n    reader: reader\n    tls: {ca_file: %q}\n"+
				"    nodes:\n      - {name: HV1, addresses: [hv1.invalid]}\n    virtual_machines:\n      - {name: SQL01, guest: {address: %q}}\n", credential(c.shown), ca.File(), address))
			got, _ := s.scrape(t, "os", "certified/SQL01", 30)
			if c.want.reason == dial.Answered {
				if line := got["probe_success"]; len(line) != 1 || !strings.HasSuffix(line[0], " 1") {
					t.Errorf("probe_success = %q, reasons %q", line, present(got, "probe_failure_reason"))
				}
				return
			}
			wantReason(t, got, c.want, "hyperv_guest_up")
		})
	}
}
