package wsmanserver

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestValuesAreWrittenAsCaptured(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 12, 17, 18, 55, 22, 702341_500, time.FixedZone("", 9*3600))
	for _, c := range []struct {
		value          any
		star, fragment string
	}{
		{nil, `<p:X xsi:nil="true"/>`, `<X xsi:nil="true"/>`},
		{"", `<p:X></p:X>`, `<X></X>`},
		{`a<b>&"c"` + "\r\x00\xff", `<p:X>a&lt;b&gt;&amp;&quot;c&quot;&#xD;` + "\uFFFD\uFFFD" + `</p:X>`, ""},
		{true, `<p:X>true</p:X>`, `<X>true</X>`},
		{int32(-1), `<p:X>-1</p:X>`, `<X>-1</X>`},
		{state(-1), `<p:X>-1</p:X>`, ""},
		{uint64(18446744073709551615), `<p:X>18446744073709551615</p:X>`, ""},
		{2.5, `<p:X>2.5</p:X>`, ""},
		{at, `<p:X><cim:Datetime>2025-12-17T09:55:22.702341Z</cim:Datetime></p:X>`, `<X><Datetime>2025-12-17T09:55:22.702341Z</Datetime></X>`},
		{at.Truncate(time.Second), `<p:X><cim:Datetime>2025-12-17T09:55:22Z</cim:Datetime></p:X>`, ""},
		{time.Time{}, `<p:X><cim:Datetime>1601-01-01T00:00:00Z</cim:Datetime></p:X>`, ""},
		{30 * time.Minute, `<p:X><cim:Interval>P0DT0H30M0S</cim:Interval></p:X>`, `<X><Interval>P0DT0H30M0S</Interval></X>`},
		{49*time.Hour + 1500*time.Millisecond, `<p:X><cim:Interval>P2DT1H0M1.5S</cim:Interval></p:X>`, ""},
		{-time.Second, `<p:X><cim:Interval>-P0DT0H0M1S</cim:Interval></p:X>`, ""},
		{[]string(nil), ``, ``},
		{[]string{}, ``, ``},
		{[]string{"a", "b"}, `<p:X>a</p:X><p:X>b</p:X>`, `<X>a</X><X>b</X>`},
		{[]uint16{2, 32774}, `<p:X>2</p:X><p:X>32774</p:X>`, ``},
		{[]byte{1, 255}, `<p:X>1</p:X><p:X>255</p:X>`, ``},
		{[]time.Time{{}}, `<p:X><cim:Datetime>1601-01-01T00:00:00Z</cim:Datetime></p:X>`, ``},
		{
			Reference{Class: "MSCluster_Node", Keys: Selectors{{"Name", `H"1`}}},
			`<p:X><a:Address>` + anonymous + `</a:Address><a:ReferenceParameters><w:ResourceURI>` + wmiBase +
				`root/n/MSCluster_Node</w:ResourceURI><w:SelectorSet><w:Selector Name="Name">H&quot;1</w:Selector></w:SelectorSet></a:ReferenceParameters></p:X>`, "",
		},
		{
			Instance{Class: "MSCluster_Property", Properties: []Property{{"VmID", "1-2"}, {"At", time.Time{}}}},
			`<p:X xmlns:p1="` + wmiBase + `root/n/MSCluster_Property" xmlns:cim="` + nsCIM + `" xsi:type="p1:MSCluster_Property_Type">` +
				`<p1:VmID>1-2</p1:VmID><p1:At><cim:Datetime>1601-01-01T00:00:00Z</cim:Datetime></p1:At></p:X>`,
			`<X xmlns:p1="` + wmiBase + `root/n/MSCluster_Property" xmlns:cim="` + nsCIM + `" xsi:type="p1:MSCluster_Property_Type">` +
				`<p1:VmID>1-2</p1:VmID><p1:At><cim:Datetime>1601-01-01T00:00:00Z</cim:Datetime></p1:At></X>`,
		},
		{
			[]Instance{{Class: "A", Properties: []Property{{"B", Instance{Class: "C", Properties: []Property{{"D", 1}}}}}}},
			`<p:X xmlns:p1="` + wmiBase + `root/n/A" xmlns:cim="` + nsCIM + `" xsi:type="p1:A_Type"><p1:B xmlns:p11="` + wmiBase +
				`root/n/C" xmlns:cim="` + nsCIM + `" xsi:type="p11:C_Type"><p11:D>1</p11:D></p1:B></p:X>`, "",
		},
	} {
		got, err := appendProperty(nil, "root/n", shapeClass, "p:", Property{"X", c.value})
		if err != nil || string(got) != c.star {
			t.Errorf("%#v is %s, %v; want %s", c.value, got, err, c.star)
		}
		if c.fragment == "" {
			continue
		}
		if got, err = appendProperty(nil, "root/n", shapeFragment, "", Property{"X", c.value}); err != nil || string(got) != c.fragment {
			t.Errorf("in a fragment %#v is %s, %v; want %s", c.value, got, err, c.fragment)
		}
	}
	if _, err := appendProperty(nil, "", shapeClass, "p:", Property{"X", struct{}{}}); err == nil {
		t.Error("a struct was written")
	}
}

func TestAValueThatCIMDoesNotKnowIsTheProvidersFailure(t *testing.T) {
	t.Parallel()
	m := cluster(2)
	m.classes[nsCluster+"/mscluster_resourcegroup"][0].Properties[1].Value = make(chan int)
	s := server(t, m)
	wantFault(t, sendQuery(t, s, "select * from MSCluster_ResourceGroup"), 0x80041001, "w:InternalError")
	wantFault(t, send(t, s, envelope(actionGet, uriGroup, selectors("Name", "SQL01"), "")), 0x80041001, "w:InternalError")
	if len(s.sessions.busy) != 0 {
		t.Error("a place of the quota is lost")
	}
}

func TestSizesAreCountedInUTF16(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 0, "abc": 6, "仮想": 4, "é": 2, "\U0001F600": 4} {
		if got := utf16Bytes([]byte(text)); got != want {
			t.Errorf("%q has %d bytes, want %d", text, got, want)
		}
	}
}

func TestDurationsAreReadAsClientsWriteThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"PT60.000S": time.Minute, "PT20S": 20 * time.Second, "P0DT0H1M0S": time.Minute, "P1D": 24 * time.Hour, "PT0.5S": 500 * time.Millisecond,
		"PT1H30M": 90 * time.Minute,
	} {
		if got, ok := parseDuration(text); !ok || got != want {
			t.Errorf("%s is %s, %v; want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "P", "PT", "60", "PT60", "PTS", "PT-1S", "P1Y", "P1M", "PT1S1M", "PT1e3S", "PTNaNS", "PT1D", "PT99999999S", "T1S"} {
		if got, ok := parseDuration(text); ok {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

// invoke runs the method Do of a group with this input.
func invoke(t *testing.T, s *Server, input string) answer {
	t.Helper()
	return send(t, s, envelope(uriGroup+"/Do", uriGroup, selectors("Name", "SQL01"), `<p:Do_INPUT xmlns:p="`+uriGroup+`" xmlns:xsi="`+nsXSI+
		`" xmlns:cim="`+nsCIM+`">`+input+`</p:Do_INPUT>`))
}

func TestMethodsGetTheirParametersAndAnswer(t *testing.T) {
	t.Parallel()
	m := cluster(1)
	var got Parameters
	m.method = func(p Parameters) (Output, error) {
		got = p
		return Output{ReturnValue: uint32(4096), Properties: []Property{{"Job", Reference{Class: "Msvm_ConcreteJob", Keys: Selectors{{"InstanceID", "7"}}}}}}, nil
	}
	s := server(t, m)
	embedded := wmiBase + "root/MSCluster/MSCluster_Property"
	a := ok(t, invoke(t, s, `<p:NodeName>HV2</p:NodeName><p:Reason xsi:nil="true"/><p:Bytes>1</p:Bytes><p:Bytes>255</p:Bytes><p:Bytes>0</p:Bytes>`+
		`<p:At><cim:Datetime>2026-10-08T09:00:00Z</cim:Datetime></p:At><p:Force>true</p:Force><p:Empty></p:Empty>`+
		`<p:Ref><a:Address>x</a:Address><a:ReferenceParameters><w:ResourceURI>`+uriGroup+`</w:ResourceURI>`+selectors("Name", "SQL02")+`</a:ReferenceParameters></p:Ref>`+
		`<p:Ref2><a:EndpointReference><a:ReferenceParameters><w:ResourceURI>`+uriGroup+`</w:ResourceURI></a:ReferenceParameters></a:EndpointReference></p:Ref2>`+
		`<p:Set xmlns:e="`+embedded+`"><e:VmID>1</e:VmID></p:Set><p:Set xmlns:e="`+embedded+`"><e:VmID>2</e:VmID></p:Set>`))
	property := func(id string) Instance {
		return Instance{Class: "MSCluster_Property", Properties: []Property{{"VmID", id}}}
	}
	want := Parameters{
		{"NodeName", "HV2"},
		{"Reason", nil},
		{"Bytes", []string{"1", "255", "0"}},
		{"At", "2026-10-08T09:00:00Z"},
		{"Force", "true"},
		{"Empty", ""},
		{"Ref", Reference{Namespace: nsCluster, Class: "MSCluster_ResourceGroup", Keys: Selectors{{"Name", "SQL02"}}}},
		{"Ref2", Reference{Namespace: nsCluster, Class: "MSCluster_ResourceGroup"}},
		{"Set", []Instance{property("1"), property("2")}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	if a.action != uriGroup+"/DoResponse" || !a.body.is(uriGroup, "Do_OUTPUT") || a.body.child(uriGroup, "ReturnValue").text() != "4096" ||
		!strings.Contains(a.raw, `<w:Selector Name="InstanceID">7</w:Selector>`) {
		t.Errorf("answer %s\n%s", a.action, a.raw)
	}
	m.method = func(Parameters) (Output, error) { return Output{}, nil }
	if a := ok(t, invoke(t, s, "")); !a.body.is(uriGroup, "Do_OUTPUT") || len(a.body.children) != 0 {
		t.Errorf("a void method answered\n%s", a.raw)
	}
}

func TestParametersConvert(t *testing.T) {
	t.Parallel()
	p := Parameters{{"N", " 7 "}, {"Big", "70000"}, {"Null", nil}, {"List", []string{"1", "300"}}, {"B", "TRUE"}, {"Zero", "0"}}
	if n, ok, err := p.Uint("n", 16); n != 7 || !ok || err != nil {
		t.Errorf("Uint(n) = %d, %v, %v", n, ok, err)
	}
	for _, name := range []string{"Null", "None"} {
		if n, ok, err := p.Uint(name, 16); n != 0 || ok || err != nil {
			t.Errorf("Uint(%s) = %d, %v, %v; want nothing", name, n, ok, err)
		}
		if b, ok, err := p.Bool(name); b || ok || err != nil {
			t.Errorf("Bool(%s) = %v, %v, %v; want nothing", name, b, ok, err)
		}
	}
	for _, name := range []string{"Big", "List", "B"} {
		if _, _, err := p.Uint(name, 16); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Uint(%s): %v; want an error that names it", name, err)
		}
	}
	if b, ok, err := p.Bool("b"); !b || !ok || err != nil {
		t.Errorf("Bool(b) = %v, %v, %v", b, ok, err)
	}
	if b, ok, err := p.Bool("Zero"); b || !ok || err != nil {
		t.Errorf("Bool(Zero) = %v, %v, %v", b, ok, err)
	}
	if _, _, err := p.Bool("N"); err == nil {
		t.Error("Bool(N): 7 is a truth value")
	}
	if got, err := p.Bytes("N"); err != nil || cmp.Diff([]byte{7}, got) != "" {
		t.Errorf("Bytes(N) = %v, %v", got, err)
	}
	if got, err := p.Bytes("None"); err != nil || got != nil {
		t.Errorf("Bytes(None) = %v, %v", got, err)
	}
	if _, err := p.Bytes("List"); err == nil {
		t.Error("Bytes(List): 300 fits a byte")
	}
}

func TestWrongMethodCallsAreFaults(t *testing.T) {
	t.Parallel()
	m := cluster(1)
	calls := 0
	m.method = func(Parameters) (Output, error) { calls++; return Output{}, nil }
	s := server(t, m)
	one := selectors("Name", "SQL01")
	input := `<p:Do_INPUT xmlns:p="` + uriGroup + `"/>`
	for _, c := range []struct {
		name, action, uri, header, body string
		code                            Code
		subcode                         string
	}{
		{"no input", uriGroup + "/Do", uriGroup, one, "", CodeInvalidBody, "w:InvalidBody"},
		{"another method's input", uriGroup + "/Do", uriGroup, one, strings.ReplaceAll(input, "Do_", "Undo_"), CodeInvalidBody, "w:InvalidBody"},
		{"another class's input", uriGroup + "/Do", uriGroup, one, `<p:Do_INPUT xmlns:p="urn:x"/>`, CodeInvalidNamespace, "w:SchemaValidationError"},
		{"an unknown method", uriGroup + "/Undo", uriGroup, one, strings.ReplaceAll(input, "Do_", "Undo_"), CodeActionNotSupported, "a:ActionNotSupported"},
		{"another class's method", wmiBase + "root/x/Y/Do", uriGroup, one, input, CodeActionNotSupported, "a:ActionNotSupported"},
		{"no method", uriGroup + "/", uriGroup, one, input, CodeActionNotSupported, "a:ActionNotSupported"},
		{"a method of a star", uriStar + "/Do", uriStar, "", input, CodeActionNotSupported, "a:ActionNotSupported"},
		{"an instance that is not there", uriGroup + "/Do", uriGroup, selectors("Name", "x"), input, CodeNotFound, "a:DestinationUnreachable"},
		{"a wrong key", uriGroup + "/Do", uriGroup, selectors("Nome", "x"), input, CodeUnexpectedSelectors, "w:InvalidSelectors"},
		{"mixed parameters", uriGroup + "/Do", uriGroup, one, `<p:Do_INPUT xmlns:p="` + uriGroup + `"><p:A>1</p:A><p:A><p:B>1</p:B></p:A></p:Do_INPUT>`, CodeSchemaValidation, "w:SchemaValidationError"},
		{"too many parameters", uriGroup + "/Do", uriGroup, one, `<p:Do_INPUT xmlns:p="` + uriGroup + `">` + many(maxParameters+1) + `</p:Do_INPUT>`, CodeSchemaValidation, "w:SchemaValidationError"},
	} {
		wantFault(t, send(t, s, envelope(c.action, c.uri, c.header, c.body)), c.code, c.subcode)
	}
	if calls != 0 {
		t.Errorf("the method ran %d times", calls)
	}
	m.method = func(Parameters) (Output, error) {
		return Output{Properties: []Property{{"X", strings.Repeat("x", DefaultMaxEnvelopeSize)}}}, nil
	}
	wantFault(t, invoke(t, s, ""), CodeUnreportableSuccess, "w:EncodingLimit")
}

// many makes parameters with names of their own.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		name := strings.Repeat("a", 1+i/26) + string(rune('a'+i%26))
		b.WriteString("<" + name + "b" + ">1</" + name + "b" + ">")
	}
	return b.String()
}
