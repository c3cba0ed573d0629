package cluster

import (
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// fields reads one object's properties; the first that is not what it must be stays in err. Plain readers take NULL
// for the zero value; must readers take it for an error, because there zero would be a good sign that nobody gave.
type fields struct {
	object *wsman.Object
	err    error
}

// read keeps the first error and returns the value.
func read[T any](f *fields, get func(string) (T, bool, error), name string) (v T, ok bool) {
	v, ok, err := get(name)
	if err != nil && f.err == nil {
		f.err = err
	}
	return v, ok
}

// must is read of a property that may not be NULL.
func must[T any](f *fields, get func(string) (T, bool, error), name string) T {
	v, ok := read(f, get, name)
	if !ok && f.err == nil {
		f.err = &wsman.TypeError{Class: f.object.Class, Property: name, Want: "a value", Got: "NULL"}
	}
	return v
}

// optional is a property that may be missing, NULL or not what it should be, and costs nothing but itself then.
func optional[T any](get func(string) (T, bool, error), name string) *T {
	v, ok, err := get(name)
	if !ok || err != nil {
		return nil
	}
	return &v
}

// text copies the string: the object's own is a part of the whole answer and would keep it in memory.
func (f *fields) text(name string) string {
	s, _ := read(f, f.object.Text, name)
	return strings.Clone(s)
}

func (f *fields) mustText(name string) string { return strings.Clone(must(f, f.object.Text, name)) }

func (f *fields) texts(name string) []string {
	s, err := f.object.Texts(name)
	if err != nil && f.err == nil {
		f.err = err
	}
	for i := range s {
		s[i] = strings.Clone(s[i])
	}
	return s
}

// state reads a signed state; NULL is -1, which every one of the cluster's enumerations calls unknown.
func (f *fields) state(name string) int32 {
	n, ok := read(f, f.object.Int32, name)
	if !ok {
		return -1
	}
	return n
}

func (f *fields) uint16(name string) uint16 {
	n, _ := read(f, f.object.Uint16, name)
	return n
}

func (f *fields) uint16s(name string) []uint16 {
	n, err := f.object.Uint16s(name)
	if err != nil && f.err == nil {
		f.err = err
	}
	return n
}

func (f *fields) uint32(name string) uint32 {
	n, _ := read(f, f.object.Uint32, name)
	return n
}

func (f *fields) mustUint32(name string) uint32 { return must(f, f.object.Uint32, name) }

func (f *fields) uint64(name string) uint64 {
	n, _ := read(f, f.object.Uint64, name)
	return n
}

func (f *fields) mustUint64(name string) uint64 { return must(f, f.object.Uint64, name) }

func (f *fields) bool(name string) bool {
	b, _ := read(f, f.object.Bool, name)
	return b
}

func (f *fields) mustBool(name string) bool { return must(f, f.object.Bool, name) }

func (f *fields) time(name string) time.Time {
	t, _ := read(f, f.object.Time, name)
	return t
}

// count reads a number of units as a duration. A number that no duration holds is the longest there is.
func (f *fields) count(name string, unit time.Duration) time.Duration {
	return times(f.uint64(name), unit)
}

// mustCount is count of a property that may not be NULL.
func (f *fields) mustCount(name string, unit time.Duration) time.Duration {
	return times(f.mustUint64(name), unit)
}

// times multiplies without overflow.
func times(n uint64, unit time.Duration) time.Duration {
	const most = 1<<63 - 1
	if n > uint64(most/unit) {
		return most
	}
	return time.Duration(n) * unit // bounded above
}

// key returns a key of a reference property.
func (f *fields) key(property, name string) string {
	ref := must(f, f.object.Reference, property)
	if ref == nil {
		return ""
	}
	s, ok := ref.Selector(name)
	if !ok && f.err == nil {
		f.err = &wsman.TypeError{Class: f.object.Class, Property: property, Want: "a reference with " + name, Got: ref.Class}
	}
	return strings.Clone(s)
}

// guid takes the braces and blanks off an identifier.
func guid(s string) string { return strings.Trim(strings.TrimSpace(s), "{}") }
