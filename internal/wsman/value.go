package wsman

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Text returns a string property. ok is false where it is missing or NULL; an empty string is neither.
func (o *Object) Text(name string) (s string, ok bool, err error) {
	return o.plain(name, "a string")
}

// Texts returns an array of strings, nil where it is missing or NULL. One element looks like a scalar.
func (o *Object) Texts(name string) ([]string, error) {
	var out []string
	for v := range o.values(name) {
		if v.obj != nil || v.ref != nil {
			return nil, o.typeError(name, "strings", "an object")
		}
		out = append(out, v.text)
	}
	return out, nil
}

// Uint32 returns an unsigned property. -1 is taken for 4294967295: properties declared uint32 arrive as int32.
func (o *Object) Uint32(name string) (n uint32, ok bool, err error) {
	v, ok, err := o.integer(name, "an unsigned 32-bit number", math.MinInt32, math.MaxUint32)
	return uint32(v), ok, err // the wrap of negative numbers is the point
}

// Int32 returns a signed property. 4294967295 is taken for -1: a signed property may arrive unsigned.
func (o *Object) Int32(name string) (n int32, ok bool, err error) {
	v, ok, err := o.integer(name, "a 32-bit number", math.MinInt32, math.MaxUint32)
	return int32(v), ok, err // the wrap of large numbers is the point
}

// Uint16 returns an unsigned property of 16 bits.
func (o *Object) Uint16(name string) (n uint16, ok bool, err error) {
	v, ok, err := o.integer(name, "an unsigned 16-bit number", 0, math.MaxUint16)
	return uint16(v), ok, err // bounded by integer
}

// Uint16s returns an array of unsigned 16-bit numbers, nil where it is missing or NULL.
func (o *Object) Uint16s(name string) ([]uint16, error) {
	texts, err := o.Texts(name)
	if err != nil || texts == nil {
		return nil, err
	}
	out := make([]uint16, 0, len(texts))
	for _, s := range texts {
		n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
		if err != nil {
			return nil, o.typeError(name, "unsigned 16-bit numbers", s)
		}
		out = append(out, uint16(n))
	}
	return out, nil
}

// Uint64 returns an unsigned property of 64 bits; -1 is taken for all bits set.
func (o *Object) Uint64(name string) (n uint64, ok bool, err error) {
	const want = "an unsigned 64-bit number"
	s, ok, err := o.plain(name, want)
	if err != nil || !ok {
		return 0, false, err
	}
	s = strings.TrimSpace(s)
	if n, err = strconv.ParseUint(s, 10, 64); err == nil {
		return n, true, nil
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return uint64(i), true, nil // the wrap of negative numbers is the point
	}
	return 0, false, o.typeError(name, want, s)
}

// integer returns a whole number between least and most.
func (o *Object) integer(name, want string, least, most int64) (int64, bool, error) {
	s, ok, err := o.plain(name, want)
	if err != nil || !ok {
		return 0, false, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < least || n > most {
		return 0, false, o.typeError(name, want, s)
	}
	return n, true, nil
}

// Bool returns a boolean property.
func (o *Object) Bool(name string) (b, ok bool, err error) {
	const want = "true or false"
	s, ok, err := o.plain(name, want)
	if err != nil || !ok {
		return false, false, err
	}
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "1":
		return true, true, nil
	case "false", "0":
		return false, true, nil
	}
	return false, false, o.typeError(name, want, s)
}

// Time returns a datetime property in UTC; 1601-01-01, Windows' way to say never, is the zero time.
func (o *Object) Time(name string) (t time.Time, ok bool, err error) {
	const want = "a datetime"
	s, ok, err := o.plain(name, want)
	if err != nil || !ok {
		return time.Time{}, false, err
	}
	t, ok = parseTime(strings.TrimSpace(s))
	if !ok {
		return time.Time{}, false, o.typeError(name, want, s)
	}
	return t, true, nil
}

// Duration returns an interval property.
func (o *Object) Duration(name string) (d time.Duration, ok bool, err error) {
	const want = "an interval"
	s, ok, err := o.plain(name, want)
	if err != nil || !ok {
		return 0, false, err
	}
	d, ok = parseInterval(strings.TrimSpace(s))
	if !ok {
		return 0, false, o.typeError(name, want, s)
	}
	return d, true, nil
}

// Object returns an embedded instance, whether it came as elements or as CIM-XML in a string.
func (o *Object) Object(name string) (obj *Object, ok bool, err error) {
	const want = "an embedded instance"
	v, ok, err := o.scalar(name, want)
	if err != nil || !ok {
		return nil, false, err
	}
	switch {
	case v.obj != nil:
		return v.obj, true, nil
	case v.ref != nil:
		return nil, false, o.typeError(name, want, "a reference")
	case strings.TrimSpace(v.text) == "":
		return nil, false, nil // an embedded instance without properties and an empty string look the same
	}
	obj, err = decodeCIMXML(v.text)
	if err != nil {
		return nil, false, o.typeError(name, want, v.text)
	}
	return obj, true, nil
}

// Reference returns a reference property, whether it came as an endpoint reference or as an object path.
func (o *Object) Reference(name string) (ref *Reference, ok bool, err error) {
	const want = "a reference"
	v, ok, err := o.scalar(name, want)
	if err != nil || !ok {
		return nil, false, err
	}
	if v.ref != nil {
		return v.ref, true, nil
	}
	if v.obj == nil {
		if ref, ok := parsePath(v.text); ok {
			return ref, true, nil
		}
	}
	return nil, false, o.typeError(name, want, v.text)
}

// parseTime reads an XML date and time with any number of decimals, or a DMTF datetime. A time without a zone is
// taken for UTC, as Windows writes it.
func parseTime(s string) (time.Time, bool) {
	var t time.Time
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02"} {
		var err error
		if t, err = time.Parse(layout, s); err == nil {
			break
		}
	}
	if t.IsZero() {
		var ok bool
		if t, ok = parseDMTF(s); !ok {
			return time.Time{}, false
		}
	}
	if t = t.UTC(); t.Equal(time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC)) { // FILETIME zero
		return time.Time{}, true
	}
	return t, true
}

// parseDMTF reads yyyymmddHHMMSS.mmmmmm±UUU, where UUU are minutes (DSP0004, 5.2.4).
func parseDMTF(s string) (time.Time, bool) {
	if len(s) != 25 || (s[21] != '+' && s[21] != '-') {
		return time.Time{}, false
	}
	t, err := time.Parse("20060102150405.000000", s[:21])
	if err != nil {
		return time.Time{}, false
	}
	minutes, err := strconv.ParseUint(s[22:], 10, 16)
	if err != nil {
		return time.Time{}, false
	}
	offset := time.Duration(minutes) * time.Minute
	if s[21] == '+' {
		offset = -offset
	}
	return t.Add(offset), true
}

// DMTF writes t as the literal that WQL compares a datetime with, in UTC.
func DMTF(t time.Time) string { return t.UTC().Format("20060102150405.000000") + "+000" }

// parseInterval reads an ISO 8601 duration of days and less, or a DMTF interval ddddddddHHMMSS.mmmmmm:000. Months
// and years have no length, and Windows does not send them but as 0.
func parseInterval(s string) (time.Duration, bool) {
	if len(s) == 25 && s[14] == '.' && s[21] == ':' {
		return parseDMTFInterval(s)
	}
	negative := strings.HasPrefix(s, "-")
	rest, ok := strings.CutPrefix(strings.TrimPrefix(s, "-"), "P")
	if !ok || rest == "" {
		return 0, false
	}
	var total float64 // seconds; exact to the microsecond for 285 years
	inTime, any := false, false
	for rest != "" {
		if rest[0] == 'T' && !inTime {
			inTime, rest = true, rest[1:]
			continue
		}
		i := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if i <= 0 {
			return 0, false
		}
		n, err := strconv.ParseFloat(rest[:i], 64)
		if err != nil {
			return 0, false
		}
		unit, known := intervalUnit(rest[i], inTime)
		if !known && n != 0 {
			return 0, false
		}
		total += n * unit
		rest, any = rest[i+1:], true
	}
	d := math.Round(total * 1e9)
	if !any || d > math.MaxInt64/2 {
		return 0, false
	}
	if negative {
		d = -d
	}
	return time.Duration(d), true
}

// intervalUnit returns the seconds of a unit; known is false for years and months.
func intervalUnit(unit byte, inTime bool) (seconds float64, known bool) {
	switch {
	case unit == 'D' && !inTime:
		return 24 * 3600, true
	case unit == 'W' && !inTime:
		return 7 * 24 * 3600, true
	case unit == 'H' && inTime:
		return 3600, true
	case unit == 'M' && inTime:
		return 60, true
	case unit == 'S' && inTime:
		return 1, true
	}
	return 0, false
}

// parseDMTFInterval reads ddddddddHHMMSS.mmmmmm:000.
func parseDMTFInterval(s string) (time.Duration, bool) {
	var n [5]uint64
	for i, f := range [...][2]int{{0, 8}, {8, 10}, {10, 12}, {12, 14}, {15, 21}} {
		v, err := strconv.ParseUint(s[f[0]:f[1]], 10, 64)
		if err != nil {
			return 0, false
		}
		n[i] = v
	}
	if n[0] > 100_000 { // more than an int64 of nanoseconds holds
		return 0, false
	}
	// each part is bounded by its digits
	return time.Duration(n[0])*24*time.Hour + time.Duration(n[1])*time.Hour + time.Duration(n[2])*time.Minute +
		time.Duration(n[3])*time.Second + time.Duration(n[4])*time.Microsecond, true
}

// parsePath reads a WMI object path: \\host\root\cimv2:Win32_Service.Name="MSSQLSERVER".
func parsePath(s string) (*Reference, bool) {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, `\\`) || strings.HasPrefix(strings.ToLower(s), "root") {
		_, rest, ok := strings.Cut(s, ":")
		if !ok {
			return nil, false
		}
		s = rest
	}
	class, keys, ok := strings.Cut(s, ".")
	if !ok || class == "" || strings.ContainsAny(class, `"=\/ `) {
		return nil, false
	}
	ref := &Reference{Class: class}
	for keys != "" {
		name, rest, ok := strings.Cut(keys, "=")
		if !ok || name == "" {
			return nil, false
		}
		var v string
		if strings.HasPrefix(rest, `"`) {
			v, rest, ok = unquote(rest)
			if !ok {
				return nil, false
			}
		} else if i := strings.IndexByte(rest, ','); i >= 0 {
			v, rest = rest[:i], rest[i:]
		} else {
			v, rest = rest, ""
		}
		ref.Selectors = append(ref.Selectors, Selector{name, v})
		if rest != "" && rest[0] != ',' {
			return nil, false
		}
		keys = strings.TrimPrefix(rest, ",")
	}
	return ref, len(ref.Selectors) > 0
}

// unquote reads a quoted string with backslash escapes and returns what follows it.
func unquote(s string) (v, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
			b.WriteByte(s[i])
		case '"':
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}
