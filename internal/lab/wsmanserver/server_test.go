package wsmanserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	nsCluster = "root/mscluster"
	uriGroup  = wmiBase + "root/MSCluster/MSCluster_ResourceGroup"
	uriStar   = wmiBase + "root/MSCluster/*"
)

// machine is a Provider made of a map, with a hook in front of it.
type machine struct {
	before func(ctx context.Context) error
	method func(params Parameters) (Output, error)

	mu      sync.Mutex
	classes map[string][]Instance // by namespace/class in lower case
}

func (m *machine) Instances(ctx context.Context, namespace, class string) ([]Instance, error) {
	if m.before != nil {
		if err := m.before(ctx); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all, ok := m.classes[namespace+"/"+strings.ToLower(class)]
	if ok {
		return all, nil
	}
	for key := range m.classes {
		if strings.HasPrefix(key, namespace+"/") {
			return nil, ErrUnknownClass
		}
	}
	return nil, fmt.Errorf("%s: %w", namespace, ErrUnknownNamespace)
}

func (m *machine) Invoke(ctx context.Context, namespace, class string, selectors Selectors, method string, params Parameters) (Output, error) {
	if _, err := m.Instances(ctx, namespace, class); err != nil {
		return Output{}, err
	}
	if m.method == nil || !strings.EqualFold(method, "Do") {
		return Output{}, ErrUnknownMethod
	}
	return m.method(params)
}

// group is a resource group as a test needs it.
func group(name string, state any) Instance {
	return Instance{Class: "MSCluster_ResourceGroup", Keys: []string{"Name"}, Properties: []Property{
		{"AntiAffinityClassNames", []string(nil)},
		{"Description", ""},
		{"GroupType", uint32(111)},
		{"Id", nil},
		{"IsCore", false},
		{"Name", name},
		{"OwnerNode", "HV1"},
		{"State", state},
	}}
}

// cluster is a machine with so many groups.
func cluster(groups int) *machine {
	m := &machine{classes: map[string][]Instance{
		nsCluster + "/mscluster_resourcegroup": {},
		nsCluster + "/mscluster_cluster": {
			{Class: "MSCluster_Cluster", Properties: []Property{{"Name", "hv-cl1"}}},
		},
		"root/cimv2/win32_service": {},
	}}
	var all []Instance
	for i := range groups {
		all = append(all, group(fmt.Sprintf("SQL%02d", i+1), int32(i%5-1)))
	}
	m.classes[nsCluster+"/mscluster_resourcegroup"] = all
	return m
}

// certificate makes a server's certificate and writes its authority to a file.
func certificate(t testing.TB) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// The library's own defaults would need years; a test needs minutes.
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// options are what a test's server needs.
func options(p Provider) Options {
	return Options{
		Logger: log.NewNopLogger(), Provider: p, TLS: &tls.Config{Certificates: []tls.Certificate{{}}},
		Authenticate:  func(u, p string) bool { return (u == "reader" || u == "operator") && p == "secret" },
		ProductVendor: "Hypervigil lab", ProductVersion: "OS: 10.0.20348 SP: 0.0 Stack: 3.0", Machine: "HV1",
	}
}

// server makes a server; change adjusts the options.
func server(t testing.TB, p Provider, change ...func(*Options)) *Server {
	t.Helper()
	o := options(p)
	for _, f := range change {
		f(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// envelope writes a request as a client does. header goes before the body as it is.
func envelope(action, uri, header, body string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="` + nsSOAP + `" xmlns:a="` + nsAddressing +
		`" xmlns:n="` + nsEnumeration + `" xmlns:w="` + nsWSMan + `"><s:Header><a:To>https://hv1:5986/wsman</a:To>` +
		`<w:ResourceURI s:mustUnderstand="true">` + uri + `</w:ResourceURI><a:ReplyTo><a:Address s:mustUnderstand="true">` +
		anonymous + `</a:Address></a:ReplyTo><a:Action s:mustUnderstand="true">` + action + `</a:Action>` +
		`<a:MessageID>uuid:1</a:MessageID><w:Locale xml:lang="en-US" s:mustUnderstand="false"/>` + header +
		`</s:Header><s:Body>` + body + `</s:Body></s:Envelope>`
}

// wql is the body of an optimised Enumerate.
func wql(query string) string {
	return `<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements><w:Filter Dialect="` + dialectWQL + `">` +
		string(appendText(nil, query)) + `</w:Filter></n:Enumerate>`
}

// pullBody is the body of a Pull; n < 1 says nothing of MaxElements.
func pullBody(context string, n int) string {
	b := `<n:Pull><n:EnumerationContext>` + context + `</n:EnumerationContext>`
	if n > 0 {
		b += fmt.Sprintf(`<n:MaxElements>%d</n:MaxElements>`, n)
	}
	return b + `</n:Pull>`
}

// selectors is a header.
func selectors(pairs ...string) string {
	b := `<w:SelectorSet>`
	for i := 0; i < len(pairs); i += 2 {
		b += `<w:Selector Name="` + pairs[i] + `">` + pairs[i+1] + `</w:Selector>`
	}
	return b + `</w:SelectorSet>`
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	raw    string
	body   *element // the first element of the SOAP body, or nil
	action string
}

// roundTrip sends one HTTP request to the handler, without sockets and TLS.
func roundTrip(t testing.TB, s *Server, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	s.handle(w, r)
	a := answer{status: w.Code, header: w.Header(), raw: w.Body.String()}
	if a.raw == "" {
		return a
	}
	root, err := parseXML(w.Body.Bytes())
	if err != nil || !root.is(nsSOAP, "Envelope") {
		t.Fatalf("the answer is no SOAP: %v\n%s", err, a.raw)
	}
	if h := root.child(nsSOAP, "Header").child(nsAddressing, "Action"); h != nil {
		a.action = h.trimmed()
	}
	if b := root.child(nsSOAP, "Body"); len(b.children) > 0 {
		a.body = b.children[0]
	}
	return a
}

// httpRequest makes a request as a WinRM client does.
func httpRequest(t testing.TB, user, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://hv1:5986/wsman", strings.NewReader(body))
	r.SetBasicAuth(user, "secret")
	r.Header.Set("Content-Type", "application/soap+xml;charset=UTF-8")
	return r
}

// send sends an envelope as the reader.
func send(t testing.TB, s *Server, body string) answer {
	t.Helper()
	return roundTrip(t, s, httpRequest(t, "reader", body))
}

// ok fails unless the answer is one of success.
func ok(t testing.TB, a answer) answer {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("HTTP %d, want 200\n%s", a.status, a.raw)
	}
	return a
}

// wantFault fails unless the answer is this fault.
func wantFault(t testing.TB, a answer, code Code, subcode string) {
	t.Helper()
	if a.status != http.StatusInternalServerError || a.body == nil || !a.body.is(nsSOAP, "Fault") {
		t.Fatalf("HTTP %d, want a fault\n%s", a.status, a.raw)
	}
	c := a.body.child(nsSOAP, "Code")
	got := ""
	if sub := c.child(nsSOAP, "Subcode"); sub != nil {
		got = sub.child(nsSOAP, "Value").trimmed()
	}
	detail := a.body.child(nsSOAP, "Detail").child(nsFault, "WSManFault")
	if detail == nil {
		t.Fatalf("the fault has no WSManFault\n%s", a.raw)
	}
	number, _ := detail.attr("", "Code")
	if want := fmt.Sprint(uint32(code)); number != want || got != subcode {
		t.Errorf("fault %s %s, want %s %s\n%s", got, number, subcode, want, a.raw)
	}
}

// names returns the items' Name properties, of any shape, and the context ("" at the end).
func names(t testing.TB, a answer) (out []string, context string, end bool) {
	t.Helper()
	for _, c := range a.body.children {
		switch c.name.Local {
		case "Items":
			for _, item := range c.children {
				for _, p := range item.children {
					if p.name.Local == "Name" {
						out = append(out, p.text())
					}
				}
			}
		case "EnumerationContext":
			context = c.trimmed()
		case "EndOfSequence":
			end = true
		}
	}
	return out, context, end
}

func TestNewRefusesWhatWouldBiteLater(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*Options){
		"no logger":         func(o *Options) { o.Logger = nil },
		"no provider":       func(o *Options) { o.Provider = nil },
		"no judge":          func(o *Options) { o.Authenticate = nil },
		"no TLS":            func(o *Options) { o.TLS = nil },
		"no certificate":    func(o *Options) { o.TLS = &tls.Config{} },
		"no vendor":         func(o *Options) { o.ProductVendor = "" },
		"unknown language":  func(o *Options) { o.Locale = "de-DE" },
		"negative quota":    func(o *Options) { o.MaxOperations = -1 },
		"too small a limit": func(o *Options) { o.MaxEnvelopeSize = 100 },
	} {
		o := options(cluster(0))
		spoil(&o)
		if s, err := New(o); err == nil {
			s.Close()
			t.Errorf("%s: New took it", name)
		}
	}
}

func TestHTTPIsAnsweredAsByWindows(t *testing.T) {
	t.Parallel()
	s := server(t, cluster(1))
	good := envelope(actionGet, uriGroup, selectors("Name", "SQL01"), "")
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		body   string
		want   int
	}{
		{"a good request", func(*http.Request) {}, good, 200},
		{"the path in capitals, with a query", func(r *http.Request) { r.URL.Path, r.URL.RawQuery = "/WSMAN", "PSVersion=7" }, good, 200},
		{"another path", func(r *http.Request) { r.URL.Path = "/wsman/x" }, good, 404},
		{"GET", func(r *http.Request) { r.Method = http.MethodGet }, good, 405},
		{"no credentials", func(r *http.Request) { r.Header.Del("Authorization") }, good, 401},
		{"a wrong password", func(r *http.Request) { r.SetBasicAuth("reader", "guess") }, good, 401},
		{"another scheme", func(r *http.Request) { r.Header.Set("Authorization", "Negotiate TlRMTVNT") }, good, 401},
		{"another type", func(r *http.Request) { r.Header.Set("Content-Type", "text/xml") }, good, 415},
		{"no type", func(r *http.Request) { r.Header.Del("Content-Type") }, good, 415},
		{"garbage", func(*http.Request) {}, "hello", 400},
		{"nothing", func(*http.Request) {}, "", 400},
		{"half an envelope", func(*http.Request) {}, good[:len(good)/2], 400},
		{"two documents", func(*http.Request) {}, good + "<x/>", 400},
		{"text behind the document", func(*http.Request) {}, good + "x", 400},
		{"a document type", func(*http.Request) {}, `<!DOCTYPE x><x/>`, 400},
		{"another document", func(*http.Request) {}, `<x/>`, 400},
		{"nesting without end", func(*http.Request) {}, strings.Repeat("<x>", 1000) + strings.Repeat("</x>", 1000), 400},
		{"too much", func(*http.Request) {}, good + strings.Repeat(" ", DefaultMaxEnvelopeSize), 413},
		{"UTF-16", func(r *http.Request) { r.Header.Set("Content-Type", "application/soap+xml;charset=UTF-16") }, good, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httpRequest(t, "reader", c.body)
			c.change(r)
			if a := roundTrip(t, s, r); a.status != c.want || (a.raw != "") != (c.want == 200 || c.want == 500) {
				t.Errorf("HTTP %d, want %d\n%s", a.status, c.want, a.raw)
			}
		})
	}
	r := httpRequest(t, "reader", good)
	r.Header.Del("Authorization")
	if got := roundTrip(t, s, r).header.Get("WWW-Authenticate"); got != `Basic realm="WSMAN"` {
		t.Errorf("WWW-Authenticate = %q", got)
	}
}

func TestIdentifySaysWhoTheServerIs(t *testing.T) {
	t.Parallel()
	s := server(t, cluster(0))
	a := ok(t, send(t, s, `<s:Envelope xmlns:s="`+nsSOAP+`" xmlns:i="`+nsIdentity+`"><s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>`))
	if !a.body.is(nsIdentity, "IdentifyResponse") || a.action != "" {
		t.Fatalf("unexpected answer\n%s", a.raw)
	}
	for name, want := range map[string]string{
		"ProtocolVersion": nsWSMan, "ProductVendor": "Hypervigil lab", "ProductVersion": "OS: 10.0.20348 SP: 0.0 Stack: 3.0",
	} {
		if got := a.body.child(nsIdentity, name).text(); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestHeadersThatAreMissingOrNotUnderstoodAreFaults(t *testing.T) {
	t.Parallel()
	s := server(t, cluster(1))
	good := envelope(actionGet, uriGroup, selectors("Name", "SQL01"), "")
	with := func(h string) string {
		return envelope(actionGet, uriGroup, selectors("Name", "SQL01")+h, "")
	}
	without := func(from, to string) string { // cuts an element out
		start := strings.Index(good, from)
		end := strings.Index(good, to)
		return good[:start] + good[end+len(to):]
	}
	for _, c := range []struct {
		name, body string
		code       Code
		subcode    string
	}{
		{"an unknown header that must be understood", with(`<z:Z xmlns:z="urn:z" s:mustUnderstand="1"/>`), CodeMustUnderstand, ""},
		{"a locale that must be understood", with(`<w:Locale s:mustUnderstand="true"/>`), CodeLocaleUnsupported, "w:UnsupportedFeature"},
		{"fragment transfer", with(`<w:FragmentTransfer s:mustUnderstand="true">x</w:FragmentTransfer>`), CodeFragmentUnsupported, "w:UnsupportedFeature"},
		{"an option to comply with", with(`<w:OptionSet><w:Option Name="x" MustComply="true">1</w:Option></w:OptionSet>`), CodeOptionsUnsupported, "w:InvalidOptions"},
		{"too small an envelope", with(`<w:MaxEnvelopeSize>8191</w:MaxEnvelopeSize>`), CodeEnvelopeTooSmall, "w:EncodingLimit"},
		{"an envelope size of letters", with(`<w:MaxEnvelopeSize>big</w:MaxEnvelopeSize>`), CodeSchemaValidation, "w:SchemaValidationError"},
		{"a timeout of letters", with(`<w:OperationTimeout>soon</w:OperationTimeout>`), CodeInvalidTimeout, "w:SchemaValidationError"},
		{"an answer to elsewhere", with(`<a:ReplyTo><a:Address>http://elsewhere</a:Address></a:ReplyTo>`), CodeInvalidHeader, "a:InvalidMessageInformationHeader"},
		{"no action", without("<a:Action", "</a:Action>"), CodeMissingHeader, "a:MessageInformationHeaderRequired"},
		{"no message ID", without("<a:MessageID", "</a:MessageID>"), CodeMissingHeader, "a:MessageInformationHeaderRequired"},
		{"no To", without("<a:To>", "</a:To>"), CodeMissingHeader, "a:MessageInformationHeaderRequired"},
		{"no resource URI", without("<w:ResourceURI", "</w:ResourceURI>"), CodeInvalidResourceURI, "a:DestinationUnreachable"},
		{"no body", without("<s:Body>", "</s:Body>"), CodeInvalidBody, "w:InvalidBody"},
		{"no headers", `<s:Envelope xmlns:s="` + nsSOAP + `"><s:Body/></s:Envelope>`, CodeMissingHeader, "a:MessageInformationHeaderRequired"},
		{"SOAP 1.1", `<s:Envelope xmlns:s="` + nsSOAP11 + `"><s:Body/></s:Envelope>`, CodeVersionMismatch, ""},
		{"a shell", envelope(nsTransfer+"/Create", "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd", "", ""), CodeInvalidResourceURI, "a:DestinationUnreachable"},
		{"a selector without a name", envelope(actionGet, uriGroup, `<w:SelectorSet><w:Selector>x</w:Selector></w:SelectorSet>`, ""), CodeSchemaValidation, "w:SchemaValidationError"},
		{"Put", envelope(nsTransfer+"/Put", uriGroup, "", ""), CodeActionNotSupported, "a:ActionNotSupported"},
		{"Subscribe", envelope("http://schemas.xmlsoap.org/ws/2004/08/eventing/Subscribe", uriGroup, "", ""), CodeActionNotSupported, "a:ActionNotSupported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			wantFault(t, send(t, s, c.body), c.code, c.subcode)
		})
	}
	a := send(t, s, with(`<z:Z xmlns:z="urn:z" s:mustUnderstand="true"/>`))
	if !strings.Contains(a.raw, `<s:NotUnderstood qname="u:Z" xmlns:u="urn:z"/>`) || !strings.Contains(a.raw, "s:MustUnderstand") {
		t.Errorf("the fault does not name the header\n%s", a.raw)
	}
	ok(t, send(t, s, with(`<z:Z xmlns:z="urn:z"/><z:Z xmlns:z="urn:z" s:mustUnderstand="false"/>`)))
}

func TestGetNeedsExactlyTheKeys(t *testing.T) {
	t.Parallel()
	s := server(t, cluster(3))
	get := func(uri string, pairs ...string) answer {
		return send(t, s, envelope(actionGet, uri, selectors(pairs...), ""))
	}
	a := ok(t, get(uriGroup, "name", "sql02"))
	if got := a.body.child(uriGroup, "Name").text(); got != "SQL02" || a.action != actionGet+"Response" {
		t.Errorf("Name = %q, action %q", got, a.action)
	}
	ok(t, get(uriGroup, "Name", "SQL02", "__cimnamespace", `root\MSCluster`))
	wantFault(t, get(uriGroup, "Name", "SQL09"), CodeNotFound, "a:DestinationUnreachable")
	wantFault(t, get(uriGroup, "Name", "SQL02", "Nome", "SQL02"), CodeUnexpectedSelectors, "w:InvalidSelectors")
	wantFault(t, get(uriGroup, "Name", "SQL02", "NAME", "SQL02"), CodeDuplicateSelectors, "w:InvalidSelectors")
	wantFault(t, get(uriGroup, "Name", "SQL02", "__cimnamespace", "root/cimv2"), CodeInvalidSelectorValue, "w:InvalidSelectors")
	wantFault(t, get(uriGroup), CodeNotSingleton, "w:InvalidSelectors")
	wantFault(t, get(wmiBase+"root/MSCluster/MSCluster_Nod", "Name", "HV1"), CodeNotFound, "a:DestinationUnreachable")
	wantFault(t, get(wmiBase+"root/MSClusters/MSCluster_Node", "Name", "HV1"), CodeNotFound, "a:DestinationUnreachable")
	wantFault(t, get(uriStar, "Name", "HV1"), CodeInvalidResourceURI, "a:DestinationUnreachable")
	if a := ok(t, get(wmiBase+"root/MSCluster/MSCluster_Cluster")); a.body.name.Local != "MSCluster_Cluster" {
		t.Errorf("the singleton is a %s", a.body.name.Local)
	}
	wantFault(t, send(t, s, envelope(actionGet, uriGroup,
		`<w:SelectorSet><w:Selector Name="Name"><a:EndpointReference/></w:Selector></w:SelectorSet>`, "")), CodeInvalidSelectorValue, "w:InvalidSelectors")
}

func TestMissingKeysAreMissed(t *testing.T) {
	t.Parallel()
	m := cluster(0)
	i := group("SQL01", int32(0))
	i.Keys = []string{"Name", "GroupType"}
	m.classes[nsCluster+"/mscluster_resourcegroup"] = []Instance{i}
	s := server(t, m)
	wantFault(t, send(t, s, envelope(actionGet, uriGroup, selectors("Name", "SQL01"), "")), CodeMissingSelectors, "w:InvalidSelectors")
	ok(t, send(t, s, envelope(actionGet, uriGroup, selectors("Name", "SQL01", "GroupType", "111"), "")))
}

func TestAccessIsJudgedAndCallsAreRecorded(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var calls []Call
	m := cluster(1)
	m.method = func(Parameters) (Output, error) { return Output{}, nil }
	s := server(t, m, func(o *Options) {
		o.Authorize = func(c Call) bool { return c.User == "operator" || c.Operation != OperationInvoke }
		o.Record = func(c Call) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, c)
		}
	})
	do := envelope(uriGroup+"/Do", uriGroup, selectors("Name", "SQL01"), `<p:Do_INPUT xmlns:p="`+uriGroup+`"/>`)
	wantFault(t, send(t, s, do), CodeAccessDenied, "w:AccessDenied")
	ok(t, roundTrip(t, s, httpRequest(t, "operator", do)))
	ok(t, send(t, s, envelope(actionEnumerate, uriStar, "", wql("select Name from MSCluster_ResourceGroup"))))
	wantFault(t, send(t, s, envelope(actionGet, uriGroup, selectors("Name", "nobody"), "")), CodeNotFound, "a:DestinationUnreachable")
	if len(calls) != 3 {
		t.Fatalf("%d calls are recorded, want 3: %+v", len(calls), calls)
	}
	if c := calls[0]; c.Operation != OperationInvoke || c.Method != "Do" || c.User != "operator" || c.Namespace != nsCluster ||
		c.Class != "MSCluster_ResourceGroup" || len(c.Selectors) != 1 || c.At.IsZero() {
		t.Errorf("recorded %+v", c)
	}
	if c := calls[1]; c.Operation != OperationEnumerate || c.Query != "select Name from MSCluster_ResourceGroup" || c.Class != "MSCluster_ResourceGroup" {
		t.Errorf("recorded %+v", c)
	}
	if got := calls[2].Operation.String(); got != "Get" {
		t.Errorf("the third call is a %s", got)
	}
}

func TestWhatAProviderSaysBecomesWindowsFault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err     error
		code    Code
		subcode string
	}{
		{ErrAccessDenied, CodeWMIAccessDenied, "w:AccessDenied"},
		{fmt.Errorf("wrapped: %w", ErrUnknownInstance), CodeNotFound, "a:DestinationUnreachable"},
		{ErrUnknownMethod, CodeActionNotSupported, "a:ActionNotSupported"},
		{ErrInvalidParameter, CodeInvalidParameter, "w:InvalidParameter"},
		{&ProviderError{HRESULT: 0x8007139F, Message: "not in the state"}, 0x8007139F, "w:InternalError"},
		{errors.New("secret of the lab"), 0x80041001, "w:InternalError"},
		{&Fault{Code: CodeEndpointUnavailable, Subcode: "a:EndpointUnavailable", Receiver: true}, CodeEndpointUnavailable, "a:EndpointUnavailable"},
	} {
		m := cluster(1)
		m.method = func(Parameters) (Output, error) { return Output{}, c.err }
		s := server(t, m)
		a := send(t, s, envelope(uriGroup+"/Do", uriGroup, selectors("Name", "SQL01"), `<p:Do_INPUT xmlns:p="`+uriGroup+`"/>`))
		wantFault(t, a, c.code, c.subcode)
		if strings.Contains(a.raw, "secret of the lab") {
			t.Errorf("the Provider's own words reached the client\n%s", a.raw)
		}
	}
}
