package wsman

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// mustDecode decodes a fixture.
func mustDecode(t *testing.T, answer string) *message {
	t.Helper()
	m, err := decode(answer)
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	return m
}

func TestDecodeCompleteAnswer(t *testing.T) {
	t.Parallel()
	m := mustDecode(t, fixtureComplete)
	if !m.enumeration || !m.end || m.context != "" || len(m.items) != 1 {
		t.Fatalf("enumeration %v, end %v, context %q, %d items; want a complete answer with one", m.enumeration, m.end, m.context, len(m.items))
	}
	o := &m.items[0]
	if o.Class != "Win32_OperatingSystem" {
		t.Errorf("Class = %q", o.Class)
	}
	if s, ok, err := o.Text("csname"); s != "SQL01" || !ok || err != nil {
		t.Errorf("Text(csname) = %q, %v, %v; names do not mind case", s, ok, err)
	}
	if s, ok, err := o.Text("Description"); s != "" || !ok || err != nil {
		t.Errorf("Text(Description) = %q, %v, %v; an empty string is not NULL", s, ok, err)
	}
	for _, name := range []string{"CSDVersion", "NoSuchProperty"} {
		if _, ok, err := o.Text(name); ok || err != nil {
			t.Errorf("Text(%s) = %v, %v; NULL and missing are the same", name, ok, err)
		}
		if n := o.Len(name); n != 0 {
			t.Errorf("Len(%s) = %d", name, n)
		}
	}
	if b, ok, err := o.Bool("Distributed"); b || !ok || err != nil {
		t.Errorf("Bool(Distributed) = %v, %v, %v", b, ok, err)
	}
	if n, ok, err := o.Uint64("FreePhysicalMemory"); n != 43588 || !ok || err != nil {
		t.Errorf("Uint64(FreePhysicalMemory) = %d, %v, %v", n, ok, err)
	}
	for name, want := range map[string]time.Time{
		"LastBootUpTime": time.Date(2026, 4, 15, 16, 28, 43, 488171000, time.UTC),
		"LocalDateTime":  time.Date(2026, 4, 15, 20, 28, 20, 913000000, time.UTC),
		"InstallDate":    time.Date(2026, 3, 9, 2, 57, 32, 0, time.UTC),
		"LastBackup":     {},
	} {
		if got, ok, err := o.Time(name); !got.Equal(want) || !ok || err != nil || got.Location() != time.UTC {
			t.Errorf("Time(%s) = %v, %v, %v, want %v", name, got, ok, err, want)
		}
	}
	if d, ok, err := o.Duration("Delay"); d != 30*time.Minute || !ok || err != nil {
		t.Errorf("Duration(Delay) = %v, %v, %v", d, ok, err)
	}
	if u, _, err := o.Uint32("MaxNumberOfProcesses"); u != 1<<32-1 || err != nil {
		t.Errorf("Uint32 = %d, %v", u, err)
	}
	if i, _, err := o.Int32("MaxNumberOfProcesses"); i != -1 || err != nil {
		t.Errorf("Int32 = %d, %v; 4294967295 is -1", i, err)
	}
	if got, err := o.Texts("MUILanguages"); err != nil || !cmp.Equal(got, []string{"en-US", "ja-JP"}) {
		t.Errorf("Texts = %q, %v", got, err)
	}
	if got, err := o.Texts("CSName"); err != nil || !cmp.Equal(got, []string{"SQL01"}) {
		t.Errorf("Texts of one element = %q, %v", got, err)
	}
}

func TestDecodePages(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer  string
		context string
		end     bool
		names   []string
		states  []int32
	}{
		"first, context before the items": {fixtureFirst, "uuid:CONTEXT-1", false, []string{"SQL01"}, []int32{0}},
		"page, context after the items":   {fixturePage, "uuid:CONTEXT-2", false, []string{"a & b <c> A", "SQL03"}, []int32{-1, -1}},
		"last":                            {fixtureLast, "", true, []string{"SQL04"}, []int32{2}},
		"items beside their references":   {fixtureItem, "c", false, []string{"HV1"}, []int32{0}},
		"nothing at all":                  {envelope(`<n:EnumerateResponse><n:EnumerationContext/><w:Items/><w:EndOfSequence/></n:EnumerateResponse>`), "", true, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mustDecode(t, tc.answer)
			if !m.enumeration || m.context != tc.context || m.end != tc.end {
				t.Errorf("enumeration %v, context %q, end %v", m.enumeration, m.context, m.end)
			}
			var names []string
			var states []int32
			for i := range m.items {
				s, _, err := m.items[i].Text("Name")
				if err != nil {
					t.Error(err)
				}
				n, _, err := m.items[i].Int32("State")
				if err != nil {
					t.Error(err)
				}
				names, states = append(names, s), append(states, n)
			}
			if d := cmp.Diff(tc.names, names); d != "" {
				t.Errorf("names (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tc.states, states); d != "" {
				t.Errorf("states (-want +got):\n%s", d)
			}
		})
	}
}

func TestDecodeEmbeddedInstanceInEveryForm(t *testing.T) {
	t.Parallel()
	m := mustDecode(t, fixtureEmbedded)
	if len(m.items) != 3 {
		t.Fatalf("%d items, want 3", len(m.items))
	}
	for i := range m.items {
		name, _, _ := m.items[i].Text("Name")
		o, ok, err := m.items[i].Object("PrivateProperties")
		if err != nil || !ok {
			t.Errorf("%s: Object = %v, %v", name, ok, err)
			continue
		}
		if o.Class != "MSCluster_Property" {
			t.Errorf("%s: Class = %q", name, o.Class)
		}
		if s, ok, err := o.Text("VmID"); s != "6f9619ff-8b86-d011-b42d-00c04fc964ff" || !ok || err != nil {
			t.Errorf("%s: VmID = %q, %v, %v", name, s, ok, err)
		}
		if n, ok, err := o.Uint32("OfflineAction"); n != 1 || !ok || err != nil {
			t.Errorf("%s: OfflineAction = %d, %v, %v", name, n, ok, err)
		}
	}
	o, _, err := m.items[2].Object("PrivateProperties")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := o.Uint16s("Many"); err != nil || !cmp.Equal(got, []uint16{1, 2}) {
		t.Errorf("CIM-XML array = %v, %v", got, err)
	}
	if _, ok, err := o.Text("Nothing"); ok || err != nil {
		t.Errorf("CIM-XML property without a value = %v, %v, want NULL", ok, err)
	}
	if d := cmp.Diff([]string{"VmID", "Nothing", "Many", "OfflineAction"}, o.Names()); d != "" {
		t.Errorf("Names (-want +got):\n%s", d)
	}
}

func TestDecodeReferencesInEveryForm(t *testing.T) {
	t.Parallel()
	o := &mustDecode(t, fixtureReference).items[0]
	for name, want := range map[string]string{"Antecedent": "MSSQLSERVER", "Dependent": "SQLSERVERAGENT", "Path": `a"b,c`} {
		r, ok, err := o.Reference(name)
		if err != nil || !ok {
			t.Errorf("Reference(%s) = %v, %v", name, ok, err)
			continue
		}
		if got, ok := r.Selector("name"); got != want || !ok || r.Class != "Win32_Service" {
			t.Errorf("Reference(%s) = %s.Name=%q, want Win32_Service.Name=%q", name, r.Class, got, want)
		}
	}
}

func TestDecodeIdentify(t *testing.T) {
	t.Parallel()
	want := &Identity{nsWSMan, "Hypervigil lab", "OS: 10.0.20348 SP: 0.0 Stack: 3.0"}
	if d := cmp.Diff(want, mustDecode(t, fixtureIdentify).identity); d != "" {
		t.Errorf("identity (-want +got):\n%s", d)
	}
}

func TestDecodeOtherEncodings(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]binary.AppendByteOrder{"little endian": binary.LittleEndian, "big endian": binary.BigEndian} {
		var b []byte
		for _, u := range utf16.Encode([]rune("\uFEFF" + fixtureIdentify)) {
			b = order.AppendUint16(b, u)
		}
		if m := mustDecode(t, string(b)); m.identity == nil || m.identity.ProductVendor != "Hypervigil lab" {
			t.Errorf("UTF-16 %s: identity %v", name, m.identity)
		}
	}
	if m := mustDecode(t, "\xef\xbb\xbf"+fixtureIdentify); m.identity == nil {
		t.Error("UTF-8 with a mark: no identity")
	}
	m := mustDecode(t, strings.Replace(fixtureLast, "SQL04", "SQL\xff04", 1))
	if s, _, _ := m.items[0].Text("Name"); s != "SQL\uFFFD04" {
		t.Errorf("broken UTF-8 = %q; one character must not cost the list", s)
	}
}

func TestDecodeRefusesWhatIsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer string
		want   error
	}{
		"empty":              {"", errAnswer},
		"text":               {"service unavailable", errSyntax},
		"HTML":               {"<html><body>hello</body></html>", errAnswer},
		"SOAP 1.1":           {`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"/>`, errAnswer},
		"cut off":            {fixturePage[:len(fixturePage)/2], errSyntax},
		"document type":      {`<!DOCTYPE x [<!ENTITY a "aaaa">]>` + fixtureIdentify, errSyntax},
		"unknown entity":     {strings.Replace(fixtureLast, "SQL04", "&nbsp;", 1), errSyntax},
		"undeclared prefix":  {strings.Replace(fixtureLast, "<Name>", "<q:Name>", 1), errSyntax},
		"wrong end":          {strings.Replace(fixtureLast, "</Name>", "</Nome>", 1), errSyntax},
		"second root":        {fixtureLast + fixtureLast, errSyntax},
		"text after it":      {fixtureLast + "x", errSyntax},
		"too deep":           {envelope(strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100)), errSyntax},
		"odd UTF-16":         {"\xff\xfe<", errSyntax},
		"unquoted attribute": {"<a b=c/>", errSyntax},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := decode(tc.answer); !errors.Is(err, tc.want) {
				t.Errorf("decode = %v, want %v", err, tc.want)
			}
		})
	}
}

func TestAccessorsTellWrongTypeFromNULL(t *testing.T) {
	t.Parallel()
	o := &mustDecode(t, envelope(`<n:PullResponse><n:Items>`+fragment(
		`<Text>x</Text><Neg>-1</Neg><Big>18446744073709551615</Big><Two>1</Two><Two>2</Two><Empty/><Pad> 7 </Pad>`+
			`<Obj><In>1</In><Out>2</Out></Obj><Nil xsi:nil="true">ignored<Deep/></Nil><Nil1 xsi:nil="1"/>`,
	)+
		`</n:Items><n:EndOfSequence/></n:PullResponse>`)).items[0]
	wrong := map[string]func() (bool, error){
		"Uint32(Text)":     func() (bool, error) { _, ok, err := o.Uint32("Text"); return ok, err },
		"Int32(Big)":       func() (bool, error) { _, ok, err := o.Int32("Big"); return ok, err },
		"Uint16(Neg)":      func() (bool, error) { _, ok, err := o.Uint16("Neg"); return ok, err },
		"Uint64(Text)":     func() (bool, error) { _, ok, err := o.Uint64("Text"); return ok, err },
		"Uint16s(Text)":    func() (bool, error) { _, err := o.Uint16s("Text"); return false, err },
		"Texts(Obj)":       func() (bool, error) { _, err := o.Texts("Obj"); return false, err },
		"Text(Two)":        func() (bool, error) { _, ok, err := o.Text("Two"); return ok, err },
		"Text(Obj)":        func() (bool, error) { _, ok, err := o.Text("Obj"); return ok, err },
		"Bool(Text)":       func() (bool, error) { _, ok, err := o.Bool("Text"); return ok, err },
		"Time(Text)":       func() (bool, error) { _, ok, err := o.Time("Text"); return ok, err },
		"Time(Empty)":      func() (bool, error) { _, ok, err := o.Time("Empty"); return ok, err },
		"Duration(Text)":   func() (bool, error) { _, ok, err := o.Duration("Text"); return ok, err },
		"Object(Text)":     func() (bool, error) { _, ok, err := o.Object("Text"); return ok, err },
		"Reference(Text)":  func() (bool, error) { _, ok, err := o.Reference("Text"); return ok, err },
		"Reference(Obj)":   func() (bool, error) { _, ok, err := o.Reference("Obj"); return ok, err },
		"Uint32(Empty)":    func() (bool, error) { _, ok, err := o.Uint32("Empty"); return ok, err },
		"Reference(Empty)": func() (bool, error) { _, ok, err := o.Reference("Empty"); return ok, err },
	}
	for name, f := range wrong {
		ok, err := f()
		var te *TypeError
		if ok || !errors.As(err, &te) || te.Want == "" {
			t.Errorf("%s = %v, %v, want a TypeError", name, ok, err)
		}
		if r := Reason(err); r != dial.Protocol {
			t.Errorf("Reason(%s) = %q, want %q", name, r, dial.Protocol)
		}
	}
	for _, name := range []string{"Nil", "Nil1", "Absent"} {
		if _, ok, err := o.Uint32(name); ok || err != nil {
			t.Errorf("Uint32(%s) = %v, %v, want nothing and no error", name, ok, err)
		}
	}
	if n, _, err := o.Uint64("Big"); n != 1<<64-1 || err != nil {
		t.Errorf("Uint64(Big) = %d, %v", n, err)
	}
	if n, _, err := o.Uint64("Neg"); n != 1<<64-1 || err != nil {
		t.Errorf("Uint64(Neg) = %d, %v", n, err)
	}
	if n, _, err := o.Uint32("Pad"); n != 7 || err != nil {
		t.Errorf("Uint32(Pad) = %d, %v", n, err)
	}
	if _, ok, err := o.Object("Empty"); ok || err != nil {
		t.Errorf("Object(Empty) = %v, %v", ok, err)
	}
}

func TestIntervalsAndTimes(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{
		"P0DT0H30M0S":               30 * time.Minute,
		"P1DT2H3M4.5S":              26*time.Hour + 3*time.Minute + 4500*time.Millisecond,
		"P0Y0M2D":                   48 * time.Hour,
		"PT0.250S":                  250 * time.Millisecond,
		"-PT1S":                     -time.Second,
		"00000001020304.500000:000": 26*time.Hour + 3*time.Minute + 4500*time.Millisecond,
	} {
		if got, ok := parseInterval(s); got != want || !ok {
			t.Errorf("parseInterval(%q) = %v, %v, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "P", "PT", "P1Y", "P1M", "1S", "PTS", "P1H", "PT1.5", "99999999020304.500000:000", "P99999999999D"} {
		if got, ok := parseInterval(s); ok {
			t.Errorf("parseInterval(%q) = %v, want none", s, got)
		}
	}
	at := time.Date(2026, 4, 17, 9, 22, 12, 500000000, time.UTC)
	if got, want := DMTF(at), "20260417092212.500000+000"; got != want {
		t.Errorf("DMTF = %s, want %s", got, want)
	}
	for _, s := range []string{"20260417092212.500000+000", "20260417112212.500000+120", "20260417082212.500000-060", "2026-04-17T09:22:12.5", "2026-04-17T11:22:12.5+02:00"} {
		if got, ok := parseTime(s); !got.Equal(at) || !ok {
			t.Errorf("parseTime(%q) = %v, %v, want %v", s, got, ok, at)
		}
	}
	for _, s := range []string{"", "yesterday", "20260417092212.500000*000", "2026041709221x.500000+000", "20260417092212.500000+0x0"} {
		if got, ok := parseTime(s); ok {
			t.Errorf("parseTime(%q) = %v, want none", s, got)
		}
	}
}
