package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decoder walks a YAML tree into the final types. yaml.v3's own decoder stops describing a problem at the line, knows
// no path, and loses strictness inside a custom unmarshaller; here every value keeps its line for the checks that
// follow, and one problem does not hide the next.
type decoder struct {
	problems *problems
	visits   int
	empty    map[string]bool // fields that are named and have no value
	open     []*yaml.Node    // the nodes around the present one, against an alias that contains itself
}

// maxVisits bounds the nodes of one file, aliases expanded: 100,000 virtual machines fit, a bomb of aliases does not.
const maxVisits = 5_000_000

// defaulter is implemented by the types that have defaults; setDefaults is called on a new value before its fields
// are decoded.
type defaulter interface{ setDefaults() }

var durationType = reflect.TypeFor[time.Duration]()

// given reports whether the file gives the field a value.
func (d *decoder) given(path string) bool {
	_, ok := d.problems.lines[path]
	return ok && !d.empty[path]
}

// value decodes n into v. path is v's place in the file, as messages show it.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	// First of all, so that no problem below leaves a nil behind for the checks to trip over.
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
			if def, ok := v.Interface().(defaulter); ok {
				def.setDefaults()
			}
		}
		v = v.Elem()
	}
	if d.visits++; d.visits > maxVisits {
		if d.visits == maxVisits+1 {
			d.problems.add(path, n.Line, "the file has more than %d values once its aliases are expanded", maxVisits)
		}
		return
	}
	if n.Kind == yaml.AliasNode {
		if slices.Contains(d.open, n.Alias) {
			d.problems.add(path, n.Line, "the alias *%s contains itself", n.Value)
			return
		}
		n = n.Alias
	}
	d.problems.lines[path] = n.Line
	d.open = append(d.open, n)
	defer func() { d.open = d.open[:len(d.open)-1] }()

	if n.ShortTag() == "!!null" {
		d.empty[path] = true // a field without a value is a field not given
		return
	}
	switch {
	case v.Kind() == reflect.Struct:
		d.structure(n, v, path)
	case v.Kind() == reflect.Map:
		d.mapping(n, v, path)
	case v.Kind() == reflect.Slice:
		d.sequence(n, v, path)
	case v.Type() == durationType:
		if s, ok := d.scalar(n, path, "a duration such as 900ms, 30s or 15m"); ok {
			dur, err := time.ParseDuration(s)
			if err != nil {
				d.problems.add(path, n.Line, "%s is not a duration; use for example 900ms, 30s or 15m", quote(s))
				return
			}
			v.SetInt(int64(dur))
		}
	case v.Kind() == reflect.Int, v.Kind() == reflect.Int64:
		if s, ok := d.scalar(n, path, "a whole number"); ok {
			i, err := strconv.Atoi(s)
			if err != nil {
				d.problems.add(path, n.Line, "%s is not a whole number", quote(s))
				return
			}
			v.SetInt(int64(i))
		}
	case v.Kind() == reflect.String:
		if s, ok := d.scalar(n, path, "a single value"); ok {
			v.SetString(s)
		}
	}
}

func (d *decoder) scalar(n *yaml.Node, path, want string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		d.problems.add(path, n.Line, "has to be %s, not %s", want, kind(n))
		return "", false
	}
	return n.Value, true
}

// entries calls f for each key and value of a mapping, and reports keys that are no plain text or come twice.
func (d *decoder) entries(n *yaml.Node, path string, f func(key, value *yaml.Node, path string)) {
	if n.Kind != yaml.MappingNode {
		d.problems.add(path, n.Line, "has to be a mapping (name: value), not %s", kind(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			d.problems.add(path, key.Line, "merge keys (<<) are not supported; write the fields out")
			continue
		}
		if key.Kind != yaml.ScalarNode || key.Value == "" {
			d.problems.add(path, key.Line, "a key has to be plain text")
			continue
		}
		at := join(path, key.Value)
		if line, ok := seen[key.Value]; ok {
			d.problems.add(at, key.Line, "is given twice, the first time in line %d", line)
			continue
		}
		seen[key.Value] = key.Line
		f(key, value, at)
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	fields := map[string]reflect.Value{}
	var names []string
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag != "" && tag != "-" {
			fields[tag] = v.Field(i)
			names = append(names, tag)
		}
	}
	d.entries(n, path, func(key, value *yaml.Node, at string) {
		field, ok := fields[key.Value]
		if !ok {
			d.problems.add(at, key.Line, "%s", unknownField(key.Value, names))
			return
		}
		d.value(value, field, at)
	})
}

// unknownField says what is allowed instead. It never repeats the value: the likeliest unknown field is a secret
// written where a reference to one belongs.
func unknownField(name string, allowed []string) string {
	for _, secret := range []string{"password", "token"} {
		if name == secret && slices.Contains(allowed, secret+"_file") {
			return fmt.Sprintf("a secret does not stand in the file; use %s_file or %s_env", secret, secret)
		}
	}
	return "unknown field; use " + oneOf(allowed)
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	d.entries(n, path, func(key, value *yaml.Node, at string) {
		elem := reflect.New(v.Type().Elem()).Elem()
		if old := v.MapIndex(reflect.ValueOf(key.Value)); old.IsValid() && elem.Kind() == reflect.Pointer {
			elem.Set(old) // a built-in of that name is overridden field by field
		}
		d.value(value, elem, at)
		v.SetMapIndex(reflect.ValueOf(key.Value), elem)
	})
}

func (d *decoder) sequence(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.problems.add(path, n.Line, "has to be a list, not %s", kind(n))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(item, list.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(list)
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return "a single value"
	case yaml.AliasNode:
		return "an alias"
	case yaml.DocumentNode:
		return "a document"
	}
	return "something else"
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// oneOf writes "a, b or c".
func oneOf[T ~string](allowed []T) string {
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// quote shows a value from the file, shortened where it is long.
func quote(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}
