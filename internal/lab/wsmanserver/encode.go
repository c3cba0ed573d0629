package wsmanserver

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// shape is one of the two ways in which Windows writes an instance.
type shape int

// The shapes.
const (
	// shapeClass is an element of the class's own namespace with xsi:type: for SELECT *, Get and a class's URI.
	shapeClass shape = iota
	// shapeFragment is w:XmlFragment with properties in no namespace: for a projection.
	shapeFragment
)

// appendInstance writes one item.
func appendInstance(b []byte, namespace string, i Instance, columns []string) ([]byte, error) {
	if columns == nil {
		b = append(b, `<p:`...)
		b = append(b, i.Class...)
		b = append(b, ` xmlns:xsi="`+nsXSI+`" xmlns:p="`...)
		b = appendText(b, classURI(namespace, i.Class))
		b = append(b, `" xmlns:cim="`+nsCIM+`" xsi:type="p:`...)
		b = append(b, i.Class...)
		b = append(b, `_Type">`...)
		b, err := appendProperties(b, namespace, shapeClass, "p:", i.Properties)
		if err != nil {
			return nil, fmt.Errorf("class %s: %w", i.Class, err)
		}
		b = append(b, `</p:`...)
		b = append(b, i.Class...)
		return append(b, '>'), nil
	}
	b = append(b, `<w:XmlFragment xmlns:xsi="`+nsXSI+`" xmlns:w="`+nsWSMan+`">`...)
	var err error
	for _, p := range i.Properties {
		if !slices.ContainsFunc(columns, func(c string) bool { return strings.EqualFold(c, p.Name) }) {
			continue
		}
		if b, err = appendProperty(b, namespace, shapeFragment, "", p); err != nil {
			return nil, fmt.Errorf("class %s: %w", i.Class, err)
		}
	}
	return append(b, `</w:XmlFragment>`...), nil
}

// appendProperties writes all properties.
func appendProperties(b []byte, namespace string, sh shape, prefix string, all []Property) ([]byte, error) {
	var err error
	for _, p := range all {
		if b, err = appendProperty(b, namespace, sh, prefix, p); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// appendProperty writes one property. prefix holds the colon, or nothing.
func appendProperty(b []byte, namespace string, sh shape, prefix string, p Property) ([]byte, error) {
	// Faster than reflection, and most of what is ever sent.
	switch v := p.Value.(type) {
	case nil:
		b = append(append(append(b, '<'), prefix...), p.Name...)
		return append(b, ` xsi:nil="true"/>`...), nil
	case string:
		b = openTag(b, prefix, p.Name)
		b = appendText(b, v)
		return closeTag(b, prefix, p.Name), nil
	case []string:
		for _, s := range v {
			b = openTag(b, prefix, p.Name)
			b = appendText(b, s)
			b = closeTag(b, prefix, p.Name)
		}
		return b, nil
	}
	if r := reflect.ValueOf(p.Value); r.Kind() == reflect.Slice {
		var err error
		for k := range r.Len() {
			if b, err = appendSingle(b, namespace, sh, prefix, p.Name, r.Index(k).Interface()); err != nil {
				return nil, err
			}
		}
		return b, nil
	}
	return appendSingle(b, namespace, sh, prefix, p.Name, p.Value)
}

// appendSingle writes one value that is neither NULL nor an array.
func appendSingle(b []byte, namespace string, sh shape, prefix, name string, v any) ([]byte, error) {
	// In a fragment nothing has a namespace, the wrapper of dates neither (captured).
	cim := "cim:"
	if sh == shapeFragment {
		cim = ""
	}
	switch v := v.(type) {
	case string:
		b = appendText(openTag(b, prefix, name), v)
		return closeTag(b, prefix, name), nil
	case bool:
		b = strconv.AppendBool(openTag(b, prefix, name), v)
		return closeTag(b, prefix, name), nil
	case time.Time:
		b = openTag(openTag(b, prefix, name), cim, "Datetime")
		b = append(b, formatTime(v)...)
		return closeTag(closeTag(b, cim, "Datetime"), prefix, name), nil
	case time.Duration:
		b = openTag(openTag(b, prefix, name), cim, "Interval")
		b = append(b, formatInterval(v)...)
		return closeTag(closeTag(b, cim, "Interval"), prefix, name), nil
	case Reference:
		b = openTag(b, prefix, name)
		b = appendReference(b, namespace, v)
		return closeTag(b, prefix, name), nil
	case Instance:
		return appendEmbedded(b, namespace, prefix, name, v)
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		b = strconv.AppendInt(openTag(b, prefix, name), r.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		b = strconv.AppendUint(openTag(b, prefix, name), r.Uint(), 10)
	case reflect.Float32:
		b = strconv.AppendFloat(openTag(b, prefix, name), r.Float(), 'g', -1, 32)
	case reflect.Float64:
		b = strconv.AppendFloat(openTag(b, prefix, name), r.Float(), 'g', -1, 64)
	case reflect.String:
		b = appendText(openTag(b, prefix, name), r.String())
	case reflect.Bool:
		b = strconv.AppendBool(openTag(b, prefix, name), r.Bool())
	default:
		return nil, fmt.Errorf("property %s has a value of type %T, which CIM does not know", name, v)
	}
	return closeTag(b, prefix, name), nil
}

// appendEmbedded writes an embedded instance: the property's element has the type, its children a prefix of their
// own (MS-WSMV 2.2.4.20; nesting captured, prefixes inferred).
func appendEmbedded(b []byte, namespace, prefix, name string, i Instance) ([]byte, error) {
	inner := "p1"
	if prefix != "" {
		inner = strings.TrimSuffix(prefix, ":") + "1"
	}
	b = append(append(append(b, '<'), prefix...), name...)
	b = append(b, ` xmlns:`+inner+`="`...)
	b = appendText(b, classURI(namespace, i.Class))
	// A fragment declares no prefix for the wrapper of dates.
	b = append(b, `" xmlns:cim="`+nsCIM+`" xsi:type="`+inner+`:`...)
	b = append(b, i.Class...)
	b = append(b, `_Type">`...)
	b, err := appendProperties(b, namespace, shapeClass, inner+":", i.Properties)
	if err != nil {
		return nil, err
	}
	return closeTag(b, prefix, name), nil
}

// appendReference writes an endpoint reference; the prefixes a and w stand on the envelope.
func appendReference(b []byte, namespace string, r Reference) []byte {
	if r.Namespace != "" {
		namespace = r.Namespace
	}
	b = append(b, `<a:Address>`+anonymous+`</a:Address><a:ReferenceParameters><w:ResourceURI>`...)
	b = appendText(b, classURI(namespace, r.Class))
	b = append(b, `</w:ResourceURI><w:SelectorSet>`...)
	for _, s := range r.Keys {
		b = append(b, `<w:Selector Name="`...)
		b = appendText(b, s.Name)
		b = append(b, `">`...)
		b = appendText(b, s.Value)
		b = append(b, `</w:Selector>`...)
	}
	return append(b, `</w:SelectorSet></a:ReferenceParameters>`...)
}

// openTag writes a start tag without attributes.
func openTag(b []byte, prefix, name string) []byte {
	return append(append(append(append(b, '<'), prefix...), name...), '>')
}

// closeTag writes an end tag.
func closeTag(b []byte, prefix, name string) []byte {
	return append(append(append(append(b, '<', '/'), prefix...), name...), '>')
}

// appendText writes text for an element or an attribute. What XML 1.0 cannot carry becomes U+FFFD.
func appendText(b []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		var with string
		switch {
		case r == '&':
			with = "&amp;"
		case r == '<':
			with = "&lt;"
		case r == '>':
			with = "&gt;"
		case r == '"':
			with = "&quot;"
		case r == '\r':
			with = "&#xD;"
		case r < ' ' && r != '\t' && r != '\n', r == utf8.RuneError && n == 1, r == 0xFFFE, r == 0xFFFF:
			with = "\uFFFD"
		}
		if with != "" {
			b = append(append(b, s[from:i]...), with...)
			from = i + n
		}
		i += n
	}
	return append(b, s[from:]...)
}

// wmiTime returns the instant that WMI shows: the zero time stands for "never", 1601-01-01 (captured), and a
// datetime has microseconds.
func wmiTime(t time.Time) time.Time {
	if t.IsZero() {
		return time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return t.UTC().Truncate(time.Microsecond)
}

// formatTime writes a datetime with as many digits of the second as it has (captured).
func formatTime(t time.Time) string { return wmiTime(t).Format("2006-01-02T15:04:05.999999Z") }

// formatInterval writes an ISO 8601 duration as Windows does: P0DT0H30M0S.
func formatInterval(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	d = d.Truncate(time.Microsecond)
	days, rest := d/(24*time.Hour), d%(24*time.Hour)
	s := fmt.Sprintf("%sP%dDT%dH%dM%d", sign, days, rest/time.Hour, rest%time.Hour/time.Minute, rest%time.Minute/time.Second)
	if micro := rest % time.Second / time.Microsecond; micro != 0 {
		s += strings.TrimRight(fmt.Sprintf(".%06d", micro), "0")
	}
	return s + "S"
}

// keyText is how a key's value is written in a selector.
func keyText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case time.Time:
		return formatTime(v)
	case time.Duration:
		return formatInterval(v)
	}
	return fmt.Sprint(v)
}

// utf16Bytes returns the size that Windows counts against MaxEnvelopeSize: two bytes for each UTF-16 unit
// (captured: with 153600 the pages end between 75 and 76.8 KB of UTF-8).
func utf16Bytes(b []byte) int {
	n := 0
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			n, i = n+2, i+1
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		if n += 2; r > 0xFFFF {
			n += 2
		}
		i += size
	}
	return n
}
