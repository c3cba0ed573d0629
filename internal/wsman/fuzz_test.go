package wsman

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// seeds adds every fixture.
func seeds(f *testing.F) {
	f.Helper()
	for _, s := range []string{
		fixtureComplete, fixtureFirst, fixturePage, fixtureLast, fixtureEmbedded, fixtureReference, fixtureItem, fixtureIdentify,
		fixtureClassFault, fixtureWMIError, wsmanFault("TimedOut", "2150858793"), methodOutput("Win32_Service", "StartService", "<p:ReturnValue>0</p:ReturnValue>"),
		"", "<a/>", "\xff\xfe<\x00", "<a><![CDATA[x]]>&#13;\r\n<!-- c --><?p i?></a>", `<a xmlns="u" x:b="1" xmlns:x="v"><x:c xmlns:x=""/></a>`,
	} {
		f.Add(s)
	}
}

// FuzzDecode: whatever comes, decoding ends with a message or an error, and every accessor of what it made does too.
func FuzzDecode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, answer string) {
		m, err := decode(answer)
		if err != nil {
			if !errors.Is(err, errSyntax) && !errors.Is(err, errAnswer) {
				t.Fatalf("decode returned an error of no kind: %v", err)
			}
			return
		}
		objects := m.items
		if m.body != nil {
			objects = append(objects, *m.body)
		}
		for i := range objects {
			touch(&objects[i], 0)
		}
		if m.fault != nil {
			_, _, _ = m.fault.Error(), m.fault.Reason(), m.fault.NotFound()
		}
	})
}

// touch calls every accessor.
func touch(o *Object, depth int) {
	for _, name := range o.Names() {
		_, _, _ = o.Text(name)
		_, _ = o.Texts(name)
		_, _, _ = o.Uint16(name)
		_, _ = o.Uint16s(name)
		_, _, _ = o.Uint32(name)
		_, _, _ = o.Int32(name)
		_, _, _ = o.Uint64(name)
		_, _, _ = o.Bool(name)
		_, _, _ = o.Time(name)
		_, _, _ = o.Duration(name)
		_, _, _ = o.Reference(name)
		if in, ok, err := o.Object(name); err == nil && ok && depth < 3 {
			touch(in, depth+1)
		}
	}
}

// FuzzScan: where our scanner and encoding/xml both accept a document, they read the same.
func FuzzScan(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc string) {
		ours, err := scanAll(doc)
		if err != nil {
			return
		}
		theirs, err := standard(doc)
		if err != nil {
			return
		}
		if ours != theirs {
			t.Errorf("document %q\nours   %q\ntheirs %q", doc, ours, theirs)
		}
	})
}

// scanAll writes what our scanner reads.
func scanAll(doc string) (string, error) {
	x := scanner{src: doc}
	var b strings.Builder
	for {
		k, err := x.next()
		if err != nil {
			return "", err
		}
		switch k {
		case eof:
			return b.String(), nil
		case start:
			b.WriteString("\x00<" + x.space + " " + x.local)
			for _, a := range x.attrs {
				space := ""
				if a.prefix != "" {
					var ok bool
					if space, ok = x.lookup(a.prefix); !ok {
						return "", errSyntax
					}
				}
				v, err := x.resolve(a.raw)
				if err != nil {
					return "", err
				}
				b.WriteString("\x00@" + space + " " + a.local + "=" + v)
			}
			b.WriteString("\x00")
		case end:
			b.WriteString("\x00>" + x.space + " " + x.local + "\x00")
		case text:
			b.WriteString(x.chars)
		}
	}
}

// standard writes the same from encoding/xml.
func standard(doc string) (string, error) {
	d := xml.NewDecoder(strings.NewReader(doc))
	var b strings.Builder
	depth := 0
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			depth++
			b.WriteString("\x00<" + tok.Name.Space + " " + tok.Name.Local)
			for _, a := range tok.Attr {
				if a.Name.Space == "xmlns" || (a.Name.Space == "" && a.Name.Local == "xmlns") {
					continue
				}
				b.WriteString("\x00@" + a.Name.Space + " " + a.Name.Local + "=" + a.Value)
			}
			b.WriteString("\x00")
		case xml.EndElement:
			depth--
			b.WriteString("\x00>" + tok.Name.Space + " " + tok.Name.Local + "\x00")
		case xml.CharData:
			if depth > 0 {
				b.Write(tok)
			}
		}
	}
}
