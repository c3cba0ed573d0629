package wsmanserver

import (
	"cmp"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// run applies a query to the instances of its class. A name that no instance knows makes the query invalid, as in
// WMI (WBEM_E_INVALID_QUERY); where there are no instances there is nothing to know it by.
func (q *query) run(all []Instance) ([]Instance, error) {
	if len(all) > 0 {
		for _, c := range q.columns {
			if !known(all, c) {
				return nil, wqlErrorf("class %s has no property %s", q.class, c)
			}
		}
		for _, c := range q.where {
			if !known(all, c.property) {
				return nil, wqlErrorf("class %s has no property %s", q.class, c.property)
			}
		}
	}
	if len(q.where) == 0 {
		return all, nil
	}
	var out []Instance
	for _, i := range all {
		ok, err := q.holds(i)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, i)
		}
	}
	return out, nil
}

// known reports whether any instance has the property.
func known(all []Instance, name string) bool {
	for _, i := range all {
		if _, ok := i.Property(name); ok {
			return true
		}
	}
	return false
}

// holds reports whether all conditions hold for an instance.
func (q *query) holds(i Instance) (bool, error) {
	all := true
	for _, c := range q.where {
		v, _ := i.Property(c.property)
		ok, err := c.holds(v)
		if err != nil {
			return false, err
		}
		all = all && ok
	}
	return all, nil
}

// holds reports whether the condition holds for a value. NULL satisfies no comparison but IS NULL.
func (c condition) holds(v any) (bool, error) {
	null := isNull(v)
	switch c.op {
	case opIsNull:
		return null, nil
	case opIsNotNull:
		return !null, nil
	case opEqual, opNotEqual, opLess, opGreater, opLessEqual, opGreaterEqual, opLike:
	}
	if null {
		return false, nil
	}
	if c.op == opLike {
		text, ok := v.(string)
		if !ok {
			return false, wqlErrorf("LIKE needs a string, and %s is none", c.property)
		}
		return like(text, c.literal.text)
	}
	order, err := compare(v, c.literal)
	if err != nil {
		return false, wqlErrorf("%s %s %s: %s", c.property, c.op, c.literal, err.Error())
	}
	switch c.op {
	case opEqual:
		return order == 0, nil
	case opNotEqual:
		return order != 0, nil
	case opLess:
		return order < 0, nil
	case opGreater:
		return order > 0, nil
	case opLessEqual:
		return order <= 0, nil
	case opGreaterEqual:
		return order >= 0, nil
	case opLike, opIsNull, opIsNotNull:
	}
	return false, nil
}

// String returns the literal for an error.
func (l literal) String() string {
	switch l.kind {
	case literalString:
		return strconv.Quote(l.text)
	case literalNumber:
		return l.text
	case literalBool:
		return strconv.FormatBool(l.truth)
	case literalNull:
		return "NULL"
	}
	return "?"
}

// isNull reports whether a value is NULL: nil, or a nil slice.
func isNull(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Slice && r.IsNil()
}

// errType says that a value and a literal cannot be compared.
var errType = wqlErrorf("the types do not fit")

// compare orders a value that is not NULL against a literal, coercing the literal to the value's type as WMI does
// (a quoted number for a number, 0 and 1 for a boolean; DMTF text for a datetime).
func compare(v any, l literal) (int, error) {
	switch v := v.(type) {
	case string:
		if l.kind != literalString && l.kind != literalNumber {
			return 0, errType
		}
		return cmp.Compare(strings.ToLower(v), strings.ToLower(l.text)), nil
	case bool:
		truth, ok := l.boolean()
		if !ok {
			return 0, errType
		}
		return cmp.Compare(ordinal(v), ordinal(truth)), nil
	case time.Time:
		t, ok := parseDMTF(l.text)
		if !ok || l.kind != literalString {
			return 0, errType
		}
		return wmiTime(v).Compare(t), nil
	case time.Duration:
		d, ok := parseInterval(l.text)
		if !ok || l.kind != literalString {
			return 0, errType
		}
		return cmp.Compare(v.Truncate(time.Microsecond), d), nil
	}
	have, ok := numberOf(v)
	if !ok {
		return 0, errType
	}
	want, ok := parseNumber(strings.TrimSpace(l.text))
	if !ok {
		return 0, errType
	}
	return have.compare(want), nil
}

// boolean reads a literal as a truth value.
func (l literal) boolean() (truth, ok bool) {
	switch l.kind {
	case literalBool:
		return l.truth, true
	case literalString, literalNumber:
		switch strings.ToLower(l.text) {
		case "true", "1":
			return true, true
		case "false", "0":
			return false, true
		}
	case literalNull:
	}
	return false, false
}

// ordinal orders false before true.
func ordinal(b bool) int {
	if b {
		return 1
	}
	return 0
}

// number is any CIM number: an integer of up to 64 bits and its sign, or a float.
type number struct {
	negative bool
	size     uint64
	float    float64
	isFloat  bool
}

// parseNumber reads a number as WQL writes it: decimal, 0x hexadecimal, or with a fraction.
func parseNumber(s string) (number, bool) {
	digits := strings.TrimPrefix(s, "+")
	digits, negative := strings.CutPrefix(digits, "-")
	base := 10
	if len(digits) > 2 && (digits[:2] == "0x" || digits[:2] == "0X") {
		digits, base = digits[2:], 16
	}
	if digits == "" || digits[0] == '+' || digits[0] == '-' {
		return number{}, false
	}
	if n, err := strconv.ParseUint(digits, base, 64); err == nil {
		return number{negative: negative && n != 0, size: n}, true
	}
	if !isDigit(digits[0]) || base == 16 || strings.ContainsAny(digits, "_xXpP") {
		return number{}, false
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return number{}, false
	}
	if negative {
		f = -f
	}
	return number{float: f, isFloat: true}, true
}

// numberOf returns a property's number.
func numberOf(v any) (number, bool) {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n := r.Int(); n < 0 {
			return number{negative: true, size: -uint64(n)}, true
		}
		return number{size: uint64(r.Int())}, true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return number{size: r.Uint()}, true
	case reflect.Float32, reflect.Float64:
		return number{float: r.Float(), isFloat: true}, true
	default:
		return number{}, false
	}
}

// compare orders two numbers; integers exactly.
func (n number) compare(m number) int {
	if n.isFloat || m.isFloat {
		return cmp.Compare(n.asFloat(), m.asFloat())
	}
	switch {
	case n.negative && !m.negative:
		return -1
	case !n.negative && m.negative:
		return 1
	case n.negative:
		return cmp.Compare(m.size, n.size)
	}
	return cmp.Compare(n.size, m.size)
}

// asFloat returns the number as a float.
func (n number) asFloat() float64 {
	switch {
	case n.isFloat:
		return n.float
	case n.negative:
		return -float64(n.size)
	}
	return float64(n.size)
}

// like reports whether text matches a pattern of %, _, [a-f], [=a-f] and [^a-f], without regard to case
// (learn.microsoft.com, "LIKE Operator" of WQL).
func like(text, pattern string) (bool, error) {
	sets, err := compileLike(strings.ToLower(pattern))
	if err != nil {
		return false, err
	}
	return matchLike([]rune(strings.ToLower(text)), sets), nil
}

// likeSet is one step of a pattern: many matches any run of characters, else ranges (or their opposite) match one.
type likeSet struct {
	many   bool
	not    bool
	ranges []likeRange // none and not: any character
}

// likeRange holds characters from lo to hi.
type likeRange struct{ lo, hi rune }

// compileLike reads a pattern.
func compileLike(pattern string) ([]likeSet, error) {
	var out []likeSet
	in := []rune(pattern)
	for i := 0; i < len(in); i++ {
		switch in[i] {
		case '%':
			if len(out) == 0 || !out[len(out)-1].many {
				out = append(out, likeSet{many: true})
			}
		case '_':
			out = append(out, likeSet{not: true})
		case '[':
			end := i + 1
			for end < len(in) && in[end] != ']' {
				end++
			}
			if end == len(in) || end == i+1 {
				return nil, wqlErrorf("the set in LIKE %q is empty or has no end", pattern)
			}
			set := likeSet{}
			body := in[i+1 : end]
			if len(body) > 1 && (body[0] == '^' || body[0] == '=') {
				set.not = body[0] == '^'
				body = body[1:]
			}
			for k := 0; k < len(body); k++ {
				r := likeRange{body[k], body[k]}
				if k+2 < len(body) && body[k+1] == '-' {
					r.hi = body[k+2]
					k += 2
				}
				set.ranges = append(set.ranges, r)
			}
			out = append(out, set)
			i = end
		default:
			out = append(out, likeSet{ranges: []likeRange{{in[i], in[i]}}})
		}
	}
	return out, nil
}

// matches reports whether the step takes the character.
func (s likeSet) matches(c rune) bool {
	for _, r := range s.ranges {
		if r.lo <= c && c <= r.hi {
			return !s.not
		}
	}
	return s.not
}

// matchLike matches with one way back, to the last %: linear in text times pattern.
func matchLike(text []rune, sets []likeSet) bool {
	t, p, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(sets) && sets[p].many:
			star, mark = p, t
			p++
		case p < len(sets) && sets[p].matches(text[t]):
			t++
			p++
		case star >= 0:
			mark++
			t, p = mark, star+1
		default:
			return false
		}
	}
	for p < len(sets) && sets[p].many {
		p++
	}
	return p == len(sets)
}

// parseDMTF reads a CIM datetime, yyyymmddhhmmss.mmmmmmsuuu with the offset in minutes (DSP0004 5.2.4). One with
// asterisks names no instant and cannot be compared.
func parseDMTF(s string) (time.Time, bool) {
	if len(s) != 25 || s[14] != '.' || (s[21] != '+' && s[21] != '-') || !digitsOnly(s[:14]+s[15:21]+s[22:]) {
		return time.Time{}, false
	}
	t, err := time.ParseInLocation("20060102150405.000000", s[:21], time.UTC)
	if err != nil {
		return time.Time{}, false
	}
	minutes, err := strconv.Atoi(s[22:])
	if err != nil {
		return time.Time{}, false
	}
	if s[21] == '-' {
		minutes = -minutes
	}
	return t.Add(-time.Duration(minutes) * time.Minute), true
}

// parseInterval reads a CIM interval, ddddddddhhmmss.mmmmmm:000 (DSP0004 5.2.4).
func parseInterval(s string) (time.Duration, bool) {
	if len(s) != 25 || s[14] != '.' || s[21:] != ":000" || !digitsOnly(s[:14]+s[15:21]) {
		return 0, false
	}
	at := func(from, to int) time.Duration {
		n, _ := strconv.Atoi(s[from:to])
		return time.Duration(n)
	}
	days := at(0, 8)
	if days > 100_000 { // more than a Duration holds
		return 0, false
	}
	return days*24*time.Hour + at(8, 10)*time.Hour + at(10, 12)*time.Minute + at(12, 14)*time.Second +
		at(15, 21)*time.Microsecond, true
}

// digitsOnly reports whether s is made of digits.
func digitsOnly(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}
