package wsman

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind is what the scanner found.
type kind int

const (
	eof   kind = iota
	start      // an element begins; an empty one is followed by its end
	end        // an element ends
	text       // character data, entities resolved
)

// maxDepth bounds nesting. Real answers nest about ten deep.
const maxDepth = 64

// attr is an attribute as it was written: the prefix not yet resolved, entities not yet replaced.
type attr struct{ prefix, local, raw string }

// binding is a namespace declaration in force for the elements at depth and below.
type binding struct {
	prefix, uri string
	depth       int
}

// scanner reads XML element by element. It works on a string and returns parts of it, so that a value costs nothing
// unless it holds an entity; what is returned keeps the whole answer alive. It knows what WS-Management needs: no
// document type, no entities but XML's own five.
type scanner struct {
	src string
	pos int

	open     []string // raw names of the open elements
	bindings []binding
	pending  bool // an empty element's end is still to be told

	// Of the element that start or end tells of.
	space, local string
	attrs        []attr
	// Of text.
	chars string
}

// errSyntax wraps what is wrong with the XML itself.
var errSyntax = errors.New("malformed XML")

// fail reports bad XML with its place.
func (x *scanner) fail(format string, args ...any) error {
	return fmt.Errorf("%w at byte %d: %s", errSyntax, x.pos, fmt.Sprintf(format, args...))
}

// next moves to the next start, end or text; comments and processing instructions are passed over. Text between
// two elements is told even where it is only white space.
func (x *scanner) next() (kind, error) {
	if x.pending {
		x.pending = false
		x.close()
		return end, nil
	}
	for x.pos < len(x.src) {
		if x.src[x.pos] != '<' {
			return x.characters()
		}
		rest := x.src[x.pos+1:]
		switch {
		case strings.HasPrefix(rest, "/"):
			return x.endTag()
		case strings.HasPrefix(rest, "!--"):
			if err := x.skip("<!--", "-->"); err != nil {
				return eof, err
			}
		case strings.HasPrefix(rest, "![CDATA["):
			return x.cdata()
		case strings.HasPrefix(rest, "!"):
			return eof, x.fail("a document type is not accepted")
		case strings.HasPrefix(rest, "?"):
			if err := x.skip("<?", "?>"); err != nil {
				return eof, err
			}
		default:
			return x.startTag()
		}
	}
	if len(x.open) > 0 {
		return eof, x.fail("element %s is not closed", x.open[len(x.open)-1])
	}
	return eof, nil
}

// skip passes over what stands between from and to, both included.
func (x *scanner) skip(from, to string) error {
	i := strings.Index(x.src[x.pos+len(from):], to)
	if i < 0 {
		return x.fail("%s without %s", from, to)
	}
	x.pos += len(from) + i + len(to)
	return nil
}

// cdata returns a CDATA section as text.
func (x *scanner) cdata() (kind, error) {
	const from, to = "<![CDATA[", "]]>"
	if len(x.open) == 0 {
		return eof, x.fail("text outside the envelope")
	}
	begin := x.pos + len(from)
	if err := x.skip(from, to); err != nil {
		return eof, err
	}
	x.chars = newlines(x.src[begin : x.pos-len(to)])
	return text, nil
}

// characters returns the text up to the next tag.
func (x *scanner) characters() (kind, error) {
	i := strings.IndexByte(x.src[x.pos:], '<')
	if i < 0 {
		i = len(x.src) - x.pos
	}
	raw := x.src[x.pos : x.pos+i]
	if len(x.open) == 0 {
		if strings.Trim(raw, " \t\r\n") != "" {
			return eof, x.fail("text outside the envelope")
		}
		x.pos += i
		return x.next()
	}
	s, err := x.resolve(raw)
	if err != nil {
		return eof, err
	}
	x.pos += i
	x.chars = s
	return text, nil
}

// startTag reads <name attributes> or <name attributes/>.
func (x *scanner) startTag() (kind, error) {
	if len(x.open) == 0 && x.local != "" {
		return eof, x.fail("a second root element")
	}
	if len(x.open) == maxDepth {
		return eof, x.fail("elements nest deeper than %d", maxDepth)
	}
	x.pos++
	raw, err := x.name()
	if err != nil {
		return eof, err
	}
	x.open = append(x.open, raw)
	x.attrs = x.attrs[:0]
	for {
		blank := x.blanks()
		if x.pos == len(x.src) {
			return eof, x.fail("element %s is cut off", raw)
		}
		switch x.src[x.pos] {
		case '>':
			x.pos++
			return start, x.enter(raw)
		case '/':
			if !strings.HasPrefix(x.src[x.pos:], "/>") {
				return eof, x.fail("want /> in element %s", raw)
			}
			x.pos += 2
			x.pending = true
			return start, x.enter(raw)
		}
		if !blank {
			return eof, x.fail("want a blank before the next attribute of %s", raw)
		}
		if err := x.attribute(); err != nil {
			return eof, err
		}
	}
}

// attribute reads name="value"; a namespace declaration comes into force at once.
func (x *scanner) attribute() error {
	raw, err := x.name()
	if err != nil {
		return err
	}
	x.blanks()
	if x.pos == len(x.src) || x.src[x.pos] != '=' {
		return x.fail("attribute %s has no value", raw)
	}
	x.pos++
	x.blanks()
	if x.pos == len(x.src) || (x.src[x.pos] != '"' && x.src[x.pos] != '\'') {
		return x.fail("value of attribute %s is not quoted", raw)
	}
	quote := x.src[x.pos]
	x.pos++
	i := strings.IndexByte(x.src[x.pos:], quote)
	if i < 0 {
		return x.fail("value of attribute %s is not closed", raw)
	}
	value := x.src[x.pos : x.pos+i]
	if strings.IndexByte(value, '<') >= 0 {
		return x.fail("value of attribute %s holds <", raw)
	}
	x.pos += i + 1
	prefix, local := split(raw)
	if prefix == "xmlns" || (prefix == "" && local == "xmlns") {
		uri, err := x.resolve(value)
		if err != nil {
			return err
		}
		if prefix == "" {
			local = ""
		}
		x.bindings = append(x.bindings, binding{local, uri, len(x.open)})
		return nil
	}
	x.attrs = append(x.attrs, attr{prefix, local, value})
	return nil
}

// enter resolves the name of the element that was just opened.
func (x *scanner) enter(raw string) error {
	prefix, local := split(raw)
	uri, ok := x.lookup(prefix)
	if !ok {
		return x.fail("prefix %s is not declared", prefix)
	}
	x.space, x.local = uri, local
	return nil
}

// endTag reads </name>, where the name can only be that of the innermost element.
func (x *scanner) endTag() (kind, error) {
	if len(x.open) == 0 {
		return eof, x.fail("an end of no element")
	}
	raw := x.open[len(x.open)-1]
	if !strings.HasPrefix(x.src[x.pos+2:], raw) {
		return eof, x.fail("want the end of element %s", raw)
	}
	x.pos += 2 + len(raw)
	x.blanks()
	if x.pos == len(x.src) || x.src[x.pos] != '>' {
		return eof, x.fail("want the end of element %s", raw)
	}
	x.pos++
	x.close()
	return end, nil
}

// close leaves the innermost element and its namespaces.
func (x *scanner) close() {
	raw := x.open[len(x.open)-1]
	prefix, local := split(raw)
	x.space, _ = x.lookup(prefix)
	x.local = local
	depth := len(x.open)
	x.open = x.open[:depth-1]
	n := len(x.bindings)
	for n > 0 && x.bindings[n-1].depth == depth {
		n--
	}
	x.bindings = x.bindings[:n]
}

// lookup returns the namespace of a prefix; the empty prefix has none until one is declared.
func (x *scanner) lookup(prefix string) (string, bool) {
	for i := len(x.bindings) - 1; i >= 0; i-- {
		if x.bindings[i].prefix == prefix {
			return x.bindings[i].uri, true
		}
	}
	if prefix == "xml" {
		return "http://www.w3.org/XML/1998/namespace", true
	}
	return "", prefix == ""
}

// attr returns the value of the present element's attribute; the namespace "" means an attribute without prefix.
func (x *scanner) attr(space, local string) (string, bool) {
	for _, a := range x.attrs {
		if a.local != local {
			continue
		}
		uri := ""
		if a.prefix != "" {
			uri, _ = x.lookup(a.prefix)
		}
		if uri != space {
			continue
		}
		v, err := x.resolve(a.raw)
		if err != nil {
			return "", false
		}
		return v, true
	}
	return "", false
}

// name reads a name as it is written, prefix included.
func (x *scanner) name() (string, error) {
	begin := x.pos
	for x.pos < len(x.src) && nameByte(x.src[x.pos]) {
		x.pos++
	}
	raw := x.src[begin:x.pos]
	prefix, local := split(raw)
	if local == "" || strings.Contains(local, ":") || (prefix == "" && strings.HasPrefix(raw, ":")) ||
		!nameStart(local[0]) || (prefix != "" && !nameStart(prefix[0])) {
		return "", x.fail("want a name, have %q", raw)
	}
	return raw, nil
}

// nameByte reports whether b may stand in a name. Bytes of a multi-byte character may: no name that matters to us
// has any, and none is compared but by its bytes.
func nameByte(b byte) bool {
	return nameStart(b) || b == '-' || b == '.' || b == ':' || (b >= '0' && b <= '9')
}

// nameStart reports whether b may begin a name.
func nameStart(b byte) bool {
	return b == '_' || b >= utf8.RuneSelf || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z')
}

// blanks passes over white space and reports whether there was any.
func (x *scanner) blanks() bool {
	begin := x.pos
	for x.pos < len(x.src) && strings.IndexByte(" \t\r\n", x.src[x.pos]) >= 0 {
		x.pos++
	}
	return x.pos > begin
}

// split parts a raw name into prefix and local name.
func split(raw string) (prefix, local string) {
	if i := strings.IndexByte(raw, ':'); i >= 0 {
		return raw[:i], raw[i+1:]
	}
	return "", raw
}

// newlines makes every line end \n, as XML demands of a reader.
func newlines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// resolve replaces the entities in s.
func (x *scanner) resolve(s string) (string, error) {
	s = newlines(s)
	i := strings.IndexByte(s, '&')
	if i < 0 {
		return s, nil
	}
	var b strings.Builder
	b.Grow(len(s))
	for i >= 0 {
		b.WriteString(s[:i])
		s = s[i+1:]
		j := strings.IndexByte(s, ';')
		if j < 0 {
			return "", x.fail("an entity is not closed")
		}
		r, ok := entity(s[:j])
		if !ok {
			return "", x.fail("entity &%.20s; is not known", s[:j])
		}
		b.WriteRune(r)
		s = s[j+1:]
		i = strings.IndexByte(s, '&')
	}
	b.WriteString(s)
	return b.String(), nil
}

// entity returns what a reference stands for. A reference to a character that XML forbids becomes U+FFFD: WMI
// strings may hold any UTF-16 unit, and one of them must not cost the whole list.
func entity(name string) (rune, bool) {
	switch name {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, ok := strings.CutPrefix(name, "#")
	base := 10
	if hex, isHex := strings.CutPrefix(digits, "x"); isHex {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if !ok || err != nil {
		return 0, false
	}
	if n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return utf8.RuneError, true
	}
	return rune(n), true
}
