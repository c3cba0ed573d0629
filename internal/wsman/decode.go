package wsman

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The namespaces of an answer. Prefixes vary; only these decide.
const (
	nsSOAP        = "http://www.w3.org/2003/05/soap-envelope"
	nsAddressing  = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	nsEnumeration = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
	nsWSMan       = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
	nsIdentity    = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
	nsFault       = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
	nsXSI         = "http://www.w3.org/2001/XMLSchema-instance"
)

// Identity is who a WS-Management service says it is.
type Identity struct {
	ProtocolVersion string
	ProductVendor   string
	ProductVersion  string
}

// message is a decoded answer. Which fields are set depends on the question.
type message struct {
	relatesTo string
	fault     *Fault
	identity  *Identity
	body      *Object // what Get or a method answered

	enumeration bool // an EnumerateResponse or PullResponse
	context     string
	end         bool
	items       []Object
}

// errAnswer says that the answer is XML, but not WS-Management.
var errAnswer = errors.New("not a WS-Management answer")

// decoder builds a message from a scanner.
type decoder struct {
	scanner
	width int // properties of the last object, the best guess for the next one
	// room is for the properties of the objects to come: one piece of memory for many of them, not one for each.
	room []property
}

// pageRows bounds for how many objects of a page memory is taken at once, on the word of the first of them: WinRM's pages
// have some thousands.
const pageRows = 4096

// decode reads one answer. It depends on namespaces and local names only, never on prefixes or order: Windows puts
// the items of an EnumerateResponse into another namespace than those of a PullResponse, and the context before or
// after the items.
func decode(answer string) (*message, error) {
	answer, err := toUTF8(answer)
	if err != nil {
		return nil, err
	}
	d := &decoder{scanner: scanner{src: answer}}
	m := &message{}
	if err := d.child(func() error { return d.envelope(m) }); err != nil {
		return nil, err
	}
	return m, nil // an empty Body, as Release and some methods answer, is an answer
}

// toUTF8 accepts UTF-8 with or without a mark, and UTF-16 with one; bytes that are not UTF-8 become U+FFFD.
func toUTF8(s string) (string, error) {
	var order binary.ByteOrder
	switch {
	case strings.HasPrefix(s, "\xef\xbb\xbf"):
		return strings.ToValidUTF8(s[3:], "\uFFFD"), nil
	case strings.HasPrefix(s, "\xff\xfe"):
		order = binary.LittleEndian
	case strings.HasPrefix(s, "\xfe\xff"):
		order = binary.BigEndian
	case utf8.ValidString(s):
		return s, nil
	default:
		return strings.ToValidUTF8(s, "\uFFFD"), nil
	}
	if len(s)%2 != 0 {
		return "", fmt.Errorf("%w: UTF-16 of %d bytes", errSyntax, len(s))
	}
	units := make([]uint16, 0, len(s)/2)
	for i := 2; i < len(s); i += 2 {
		units = append(units, order.Uint16([]byte(s[i:i+2])))
	}
	return string(utf16.Decode(units)), nil
}

// child handles the document's root: one element, read by f.
func (d *decoder) child(f func() error) error {
	k, err := d.next()
	if err != nil {
		return err
	}
	if k != start {
		return fmt.Errorf("%w: empty", errAnswer)
	}
	if err := f(); err != nil {
		return err
	}
	k, err = d.next()
	if err != nil {
		return err
	}
	if k != eof {
		return d.fail("content after the root element")
	}
	return nil
}

// each calls f at the start of every child of the element that just began, until its end. f must read its element
// to the end. Text between the children is returned.
func (d *decoder) each(f func() error) (chars string, err error) {
	for {
		k, err := d.next()
		if err != nil {
			return "", err
		}
		switch k {
		case start:
			if err := f(); err != nil {
				return "", err
			}
		case text:
			if chars == "" {
				chars = d.chars
			} else {
				chars += d.chars
			}
		case end:
			return chars, nil
		case eof:
			return "", d.fail("cut off")
		}
	}
}

// discard passes over the element that just began.
func (d *decoder) discard() error {
	_, err := d.each(d.discard)
	return err
}

// content returns the trimmed text of the element that just began; its children are passed over.
func (d *decoder) content() (string, error) {
	s, err := d.each(d.discard)
	return strings.TrimSpace(s), err
}

// into reads the element's text into dst.
func (d *decoder) into(dst *string) error {
	s, err := d.content()
	*dst = s
	return err
}

// is reports whether the present element is the named one.
func (d *decoder) is(space, local string) bool { return d.local == local && d.space == space }

// envelope reads the whole answer.
func (d *decoder) envelope(m *message) error {
	if !d.is(nsSOAP, "Envelope") {
		return fmt.Errorf("%w: root element %.64s", errAnswer, d.local)
	}
	_, err := d.each(func() error {
		switch {
		case d.is(nsSOAP, "Header"):
			_, err := d.each(func() error {
				if d.is(nsAddressing, "RelatesTo") {
					return d.into(&m.relatesTo)
				}
				return d.discard()
			})
			return err
		case d.is(nsSOAP, "Body"):
			_, err := d.each(func() error { return d.bodyElement(m) })
			return err
		}
		return d.discard()
	})
	return err
}

// bodyElement reads one child of Body.
func (d *decoder) bodyElement(m *message) (err error) {
	switch {
	case d.is(nsSOAP, "Fault"):
		m.fault, err = d.fault()
	case d.is(nsEnumeration, "EnumerateResponse"), d.is(nsEnumeration, "PullResponse"):
		m.enumeration = true
		err = d.enumeration(m)
	case d.is(nsIdentity, "IdentifyResponse"):
		m.identity, err = d.identify()
	case m.body == nil:
		m.body = new(Object)
		err = d.object(m.body)
	default:
		err = d.discard()
	}
	return err
}

// identify reads an IdentifyResponse.
func (d *decoder) identify() (*Identity, error) {
	id := &Identity{}
	_, err := d.each(func() error {
		switch {
		case d.is(nsIdentity, "ProtocolVersion"):
			return d.into(&id.ProtocolVersion)
		case d.is(nsIdentity, "ProductVendor"):
			return d.into(&id.ProductVendor)
		case d.is(nsIdentity, "ProductVersion"):
			return d.into(&id.ProductVersion)
		}
		return d.discard()
	})
	return id, err
}

// enumeration reads an EnumerateResponse or PullResponse.
func (d *decoder) enumeration(m *message) error {
	_, err := d.each(func() error {
		switch {
		case d.is(nsEnumeration, "EnumerationContext"):
			return d.into(&m.context)
		case d.is(nsEnumeration, "EndOfSequence"), d.is(nsWSMan, "EndOfSequence"):
			m.end = true
			return d.discard()
		case d.is(nsEnumeration, "Items"), d.is(nsWSMan, "Items"):
			_, err := d.each(func() error { return d.item(m) })
			return err
		}
		return d.discard()
	})
	return err
}

// item reads one child of Items. w:Item wraps an object and its endpoint reference where both were asked for.
func (d *decoder) item(m *message) error {
	if d.is(nsWSMan, "Item") {
		_, err := d.each(func() error {
			if d.is(nsAddressing, "EndpointReference") {
				return d.discard()
			}
			return d.item(m)
		})
		return err
	}
	m.items = append(m.items, Object{})
	began := d.pos
	if err := d.object(&m.items[len(m.items)-1]); err != nil {
		return err
	}
	if len(m.items) == 1 {
		d.expect(m, d.pos-began)
	}
	return nil
}

// expect makes room for the other items of a page whose first one was so long: they are of one class, and much alike.
func (d *decoder) expect(m *message, length int) {
	rows := min((len(d.src)-d.pos)/max(length, 1)+1, pageRows)
	m.items = slices.Grow(m.items, rows)
	d.room = make([]property, 0, rows*d.width)
}

// object reads an instance, or the fragment of one that a projection leaves.
func (d *decoder) object(o *Object) error {
	if !d.is(nsWSMan, "XmlFragment") {
		o.Class = d.local
	}
	if d.width > cap(d.room) {
		d.room = make([]property, 0, d.width)
	}
	o.props = d.room[:0:d.width]
	_, err := d.each(func() error { return d.property(o) })
	if n := len(o.props); n <= d.width {
		o.props = o.props[:n:n]
		d.room = d.room[n:n:cap(d.room)]
	}
	d.width = len(o.props)
	return err
}

// property reads one child of an instance.
func (d *decoder) property(o *Object) error {
	name := d.local
	if null, ok := d.attr(nsXSI, "nil"); ok && (null == "true" || null == "1") {
		o.add(name, value{null: true})
		return d.discard()
	}
	class := ""
	if t, ok := d.attr(nsXSI, "type"); ok {
		_, local := split(t)
		class, ok = strings.CutSuffix(local, "_Type")
		if !ok {
			class = "" // a simple type, cim:cimString and the like
		}
	}
	v, err := d.value(class)
	if err != nil {
		return err
	}
	o.add(name, v)
	return nil
}

// value reads what a property's element holds; class is that of an embedded instance, where the element says it.
func (d *decoder) value(class string) (v value, err error) {
	var embedded *Object
	v.text, err = d.each(func() error {
		if d.space == nsAddressing {
			if v.ref == nil {
				v.ref = new(Reference)
			}
			return d.reference(v.ref)
		}
		if embedded == nil {
			embedded = &Object{Class: class}
		}
		return d.property(embedded)
	})
	switch {
	case err != nil:
		return value{}, err
	case v.ref != nil:
		v.text = ""
		return v, nil
	case embedded == nil:
		return v, nil
	}
	if class == "" && len(embedded.props) == 1 {
		p := embedded.props[0]
		switch {
		case p.value.obj != nil:
			// The property holds the instance's own element instead of being it.
			if p.value.obj.Class == "" {
				p.value.obj.Class = p.name
			}
			return p.value, nil
		case p.value.ref == nil && temporal(p.name):
			return p.value, nil
		}
	}
	return value{obj: embedded}, nil
}

// temporal reports whether an element of this name wraps a CIM datetime (DSP0230, 7.3): only the wrapper's content
// is the value.
func temporal(local string) bool {
	switch local {
	case "Datetime", "Date", "Time", "Interval":
		return true
	}
	return false
}

// reference reads one element of an endpoint reference, however it is wrapped.
func (d *decoder) reference(r *Reference) error {
	switch {
	case d.is(nsWSMan, "ResourceURI"):
		if err := d.into(&r.ResourceURI); err != nil {
			return err
		}
		r.Class = r.ResourceURI[strings.LastIndexByte(r.ResourceURI, '/')+1:]
		return nil
	case d.is(nsWSMan, "Selector"):
		name, _ := d.attr("", "Name")
		s, err := d.content() // a key that is itself a reference has no text
		r.Selectors = append(r.Selectors, Selector{name, s})
		return err
	}
	_, err := d.each(func() error { return d.reference(r) })
	return err
}

// decodeCIMXML reads an instance that came as CIM-XML (DSP0201) inside a string.
func decodeCIMXML(s string) (*Object, error) {
	d := &decoder{scanner: scanner{src: s}}
	o := &Object{}
	err := d.child(func() error {
		if d.local != "INSTANCE" {
			return fmt.Errorf("%w: root element %.64s", errAnswer, d.local)
		}
		o.Class, _ = d.attr("", "CLASSNAME")
		_, err := d.each(func() error { return d.cimProperty(o) })
		return err
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

// cimProperty reads PROPERTY, PROPERTY.ARRAY or PROPERTY.OBJECT; each VALUE below it is one value.
func (d *decoder) cimProperty(o *Object) error {
	if !strings.HasPrefix(d.local, "PROPERTY") {
		return d.discard()
	}
	name, _ := d.attr("", "NAME")
	var inner func() error
	found := false
	inner = func() error {
		switch d.local {
		case "VALUE":
			s, err := d.each(d.discard)
			o.add(name, value{text: s})
			found = true
			return err
		case "VALUE.NULL":
			return d.discard()
		}
		_, err := d.each(inner)
		return err
	}
	if _, err := d.each(inner); err != nil {
		return err
	}
	if !found {
		o.add(name, value{null: true})
	}
	return nil
}
