package wsman

import (
	"fmt"
	"iter"
	"strings"
)

// Object is an instance of a WMI class, or as much of it as was asked for. A property that is not there and one
// that is NULL are the same to every accessor: WS-Management leaves NULL arrays out.
type Object struct {
	// Class is empty where the query was a projection: the answer does not say it then.
	Class string
	props []property
}

// property is one element of an object; an array is several with the same name.
type property struct {
	name  string
	value value
}

// value is one value: NULL, a text, an embedded object or a reference.
type value struct {
	null bool
	text string
	obj  *Object
	ref  *Reference
}

// Reference points to an instance: a class and its keys.
type Reference struct {
	ResourceURI string
	Class       string
	Selectors   []Selector
}

// Selector is one key of an instance.
type Selector struct{ Name, Value string }

// Selector returns the value of the key of that name; WMI's names do not mind case.
func (r *Reference) Selector(name string) (string, bool) {
	for _, s := range r.Selectors {
		if strings.EqualFold(s.Name, name) {
			return s.Value, true
		}
	}
	return "", false
}

// TypeError says that a property holds something else than was expected of it.
type TypeError struct {
	Class    string // empty for a projection
	Property string
	Want     string
	Got      string // the value, shortened
}

// Error names the property, its value and what would be right.
func (e *TypeError) Error() string {
	name := e.Property
	if e.Class != "" {
		name = e.Class + "." + e.Property
	}
	return fmt.Sprintf("property %s: want %s, have %q", name, e.Want, e.Got)
}

// typeError makes a TypeError about a value of o.
func (o *Object) typeError(name, want, got string) error {
	const most = 64
	if len(got) > most {
		got = strings.ToValidUTF8(got[:most], "") + "…"
	}
	return &TypeError{Class: o.Class, Property: name, Want: want, Got: got}
}

// Names returns the names of the properties that are there, NULL or not, in the answer's order.
func (o *Object) Names() []string {
	var names []string
	for i := range o.props {
		if i == 0 || o.props[i].name != o.props[i-1].name {
			names = append(names, o.props[i].name)
		}
	}
	return names
}

// Len returns how many values a property has: 0 where it is missing or NULL, 1 for a scalar.
func (o *Object) Len(name string) int {
	n := 0
	for range o.values(name) {
		n++
	}
	return n
}

// values returns the property's values that are not NULL. WMI's names do not mind case.
func (o *Object) values(name string) iter.Seq[*value] {
	return func(yield func(*value) bool) {
		for i := range o.props {
			p := &o.props[i]
			if !p.value.null && (p.name == name || strings.EqualFold(p.name, name)) && !yield(&p.value) {
				return
			}
		}
	}
}

// scalar returns the only value; ok is false where it is missing or NULL.
func (o *Object) scalar(name, want string) (v *value, ok bool, err error) {
	for w := range o.values(name) {
		if ok {
			return nil, false, o.typeError(name, want, "an array")
		}
		v, ok = w, true
	}
	return v, ok, nil
}

// plain returns the only value's text.
func (o *Object) plain(name, want string) (s string, ok bool, err error) {
	v, ok, err := o.scalar(name, want)
	if err != nil || !ok {
		return "", false, err
	}
	if v.obj != nil || v.ref != nil {
		return "", false, o.typeError(name, want, "an object")
	}
	return v.text, true, nil
}

// add appends a value; the decoder's.
func (o *Object) add(name string, v value) { o.props = append(o.props, property{name, v}) }
