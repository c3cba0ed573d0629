package wsmanserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/wire"
	"github.com/hypervigil/hypervigil/internal/peers"
)

// serve runs a server on a port of its own until the test ends. The second value is the authority's file.
func serve(t *testing.T, p Provider, change ...func(*Options)) (*Server, *wire.Port, string) {
	t.Helper()
	cert, ca := certificate(t)
	port, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server(t, p, append(change, func(o *Options) { o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} })...)
	served := make(chan error, 1)
	go func() { served <- s.Serve(port) }()
	t.Cleanup(func() {
		s.Close() // it closes the port too
		if err := <-served; err != nil {
			t.Errorf("Serve() = %v", err)
		}
	})
	return s, port, ca
}

// client is an HTTPS client that trusts the authority.
func client(t *testing.T, ca string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// post sends an envelope over the network.
func post(ctx context.Context, c *http.Client, port *wire.Port, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+port.Addr().String()+"/wsman", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth("reader", "secret")
	r.Header.Set("Content-Type", "application/soap+xml;charset=UTF-8")
	return c.Do(r)
}

func TestItServesHTTP11OverTLS(t *testing.T) {
	t.Parallel()
	_, port, ca := serve(t, cluster(2))
	c := client(t, ca)
	for range 2 { // the second on the same connection
		res, err := post(t.Context(), c, port, envelope(actionGet, uriGroup, selectors("Name", "SQL01"), ""))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 || res.ProtoMajor != 1 || res.Header.Get("Content-Type") != "application/soap+xml;charset=UTF-8" ||
			!strings.Contains(string(body), "<p:Name>SQL01</p:Name>") {
			t.Errorf("%s %s, %v\n%s", res.Proto, res.Status, err, body)
		}
	}
}

func TestAClientThatHangsUpEndsWhatItAskedFor(t *testing.T) {
	t.Parallel()
	m := cluster(1)
	asked, ended := make(chan struct{}), make(chan error, 1)
	m.before = func(ctx context.Context) error {
		close(asked)
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}
	_, port, ca := serve(t, m)
	ctx, hangUp := context.WithCancel(t.Context())
	go func() { <-asked; hangUp() }()
	if res, err := post(ctx, client(t, ca), port, envelope(actionEnumerate, uriStar, "", wql("select * from MSCluster_Cluster"))); err == nil {
		res.Body.Close()
		t.Error("there was an answer")
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the Provider's context ended with %v", err)
	}
}

func TestCloseEndsAHungProvider(t *testing.T) {
	t.Parallel()
	m := cluster(1)
	asked := make(chan struct{})
	m.before = func(ctx context.Context) error {
		close(asked)
		<-ctx.Done()
		return ctx.Err()
	}
	s, port, ca := serve(t, m)
	answered := make(chan error, 1)
	go func() {
		res, err := post(context.Background(), client(t, ca), port, envelope(actionEnumerate, uriStar, "", wql("select * from MSCluster_Cluster")))
		if err == nil {
			res.Body.Close()
		}
		answered <- err
	}()
	<-asked
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if err := <-answered; err == nil {
		t.Error("there was an answer")
	}
}

func TestAHungMachineIsSilentAndComesBack(t *testing.T) {
	t.Parallel()
	_, port, ca := serve(t, cluster(1))
	c := client(t, ca)
	get := envelope(actionGet, uriGroup, selectors("Name", "SQL01"), "")
	try := func(limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		res, err := post(ctx, c, port, get)
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
	if err := try(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := port.Set(wire.Hung); err != nil {
		t.Fatal(err)
	}
	if err := try(50 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a hung machine: %v, want silence to the deadline", err)
	}
	if err := port.Set(wire.Answering); err != nil {
		t.Fatal(err)
	}
	if err := try(20 * time.Second); err != nil {
		t.Errorf("after the boot: %v", err)
	}
}

// pywinrm reads all groups with a transport and an authentication that are not ours.
const pywinrm = `
import sys, xml.etree.ElementTree as ET
from winrm.protocol import Protocol
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError

endpoint, ca = sys.argv[1:3]
N = '{http://schemas.xmlsoap.org/ws/2004/09/enumeration}'
W = '{http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}'

def envelope(action, body):
    return ('<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
        ' xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><s:Header>'
        '<a:To>' + endpoint + '</a:To><w:ResourceURI s:mustUnderstand="true">http://schemas.microsoft.com/wbem/wsman/1/wmi/root/MSCluster/*</w:ResourceURI>'
        '<a:ReplyTo><a:Address s:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>'
        '<a:Action s:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2004/09/enumeration/' + action + '</a:Action>'
        '<w:MaxEnvelopeSize s:mustUnderstand="true">153600</w:MaxEnvelopeSize><a:MessageID>uuid:0A7A7A7A-0000-4000-8000-000000000001</a:MessageID>'
        '<w:Locale xml:lang="en-US" s:mustUnderstand="false"/><w:OperationTimeout>PT20S</w:OperationTimeout></s:Header>'
        '<s:Body>' + body + '</s:Body></s:Envelope>')

def connect(password):
    return Protocol(endpoint=endpoint, transport='ssl', username='reader', password=password,
        server_cert_validation='validate', ca_trust_path=ca)

p = connect('secret')
root = ET.fromstring(p.send_message(envelope('Enumerate', '<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements>'
    '<w:Filter Dialect="http://schemas.microsoft.com/wbem/wsman/1/WQL">select Name, State from MSCluster_ResourceGroup</w:Filter></n:Enumerate>')))
names = [e.text for e in root.iter('Name')]
while root.find('.//' + N + 'EndOfSequence') is None and root.find('.//' + W + 'EndOfSequence') is None:
    context = root.find('.//' + N + 'EnumerationContext').text
    root = ET.fromstring(p.send_message(envelope('Pull', '<n:Pull><n:EnumerationContext>' + context
        + '</n:EnumerationContext><n:MaxElements>2</n:MaxElements></n:Pull>')))
    names += [e.text for e in root.iter('Name')]
print(','.join(names))

try:
    p.send_message(envelope('Enumerate', '<n:Enumerate/>'))
except Exception as e:
    print(type(e).__name__, '2150858778' in str(e))
try:
    connect('guess').send_message(envelope('Enumerate', '<n:Enumerate/>'))
except InvalidCredentialsError as e:
    print('credentials rejected')
`

func TestPywinrmReadsTheGroups(t *testing.T) {
	t.Parallel()
	python := peers.Need(t, "python3:winrm")
	_, port, ca := serve(t, cluster(6))
	cmd := exec.CommandContext(t.Context(), python, "-W", "error::UserWarning", "-c", pywinrm, "https://"+port.Addr().String()+"/wsman", ca)
	// Neither a proxy nor a list of authorities of the machine's own shall have a say.
	cmd.Env = append(os.Environ(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "REQUESTS_CA_BUNDLE=", "CURL_CA_BUNDLE=")
	var trouble strings.Builder
	cmd.Stderr = &trouble
	out, err := cmd.Output()
	want := "SQL01,SQL02,SQL03,SQL04,SQL05,SQL06\nWinRMError True\ncredentials rejected\n"
	if err != nil || string(out) != want {
		t.Errorf("pywinrm says %q, %v; want %q\n%s", out, err, want, trouble.String())
	}
}
