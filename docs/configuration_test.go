package docs

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/hypervigil/hypervigil/internal/config"
)

// least is a file with nothing in it that could be left out, besides what makes a list or a map have an entry.
const least = `
credentials:
  NAME: {username: account, password_file: /secret}
clusters:
  - name: hv-cl1
    reader: NAME
    nodes:
      - {name: HV1, addresses: [hv1.corp.example]}
    virtual_machines:
      - name: SQL01
        sql_servers:
          - {instance: MSSQLSERVER, address: "sql01.corp.example:1433", credential: NAME}
exporter:
  modules:
    NAME: {prober: mssql}
receiver:
  webhook: {token_file: /secret}
  alertmanagers: ["http://127.0.0.1:9093"]
  approvers: [{name: ada, token_file: /other}]
  policies:
    NAME: {}
`

// field is one field of hypervigil.yml as the code knows it.
type field struct {
	path  string // as configuration.md writes it
	value reflect.Value
	given bool // in least
}

// walk lists the fields below v, whose type decides what there is, and whose value is what least leads to. given is
// the part of least that is about v.
func walk(path string, v reflect.Value, given any) []field {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v = reflect.New(v.Type().Elem())
		}
		v = v.Elem()
	}
	join := func(name string) string {
		if path == "" {
			return name
		}
		return path + "." + name
	}
	switch {
	case v.Kind() == reflect.Struct:
		var all []field
		m, _ := given.(map[string]any)
		for i := range v.NumField() {
			if tag := v.Type().Field(i).Tag.Get("yaml"); tag != "" && tag != "-" {
				all = append(all, walk(join(tag), v.Field(i), m[tag])...)
			}
		}
		return all
	case v.Kind() == reflect.Map && v.Type().Elem().Kind() == reflect.Pointer:
		m, _ := given.(map[string]any)
		return walk(join("NAME"), v.MapIndex(reflect.ValueOf("NAME")), m["NAME"])
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Pointer:
		l, _ := given.([]any)
		return walk(path+"[]", v.Index(0), l[0])
	}
	return []field{{path, v, given != nil}}
}

func fields(t *testing.T) []field {
	t.Helper()
	c, err := config.Parse("hypervigil.yml", []byte(least))
	if err != nil {
		t.Fatal(err)
	}
	return walk("", reflect.ValueOf(c), tree(t))
}

func tree(t *testing.T) any {
	t.Helper()
	var given any
	if err := yaml.Unmarshal([]byte(least), &given); err != nil {
		t.Fatal(err)
	}
	return given
}

// TestEveryFieldIsDescribed compares the reference with the types that hypervigil.yml is decoded into.
func TestEveryFieldIsDescribed(t *testing.T) {
	t.Parallel()
	described := map[string][]string{}
	page := read(t, "configuration.md")
	for _, r := range rows(page) {
		if name := strings.Trim(r[0], "`"); strings.ContainsAny(name, ".[") {
			if described[name] != nil {
				t.Errorf("configuration.md describes %s twice", name)
			}
			described[name] = r[1:]
		}
	}
	for _, f := range fields(t) {
		d := described[f.path]
		if d == nil {
			t.Errorf("configuration.md does not describe %s", f.path)
			continue
		}
		delete(described, f.path)
		if f.path == "receiver.policies.NAME.ladders" {
			continue // a table of its own
		}
		if got, want := d[0], f.standard(); !want(got) {
			t.Errorf("configuration.md says that the default of %s is %s; the code has %v (in the least file: %t)", f.path, got, f.value, f.given)
		}
		for _, word := range allowed(f.value.Type()) {
			if !strings.Contains(d[1], "`"+word+"`") {
				t.Errorf("configuration.md does not say that %s may be %s", f.path, word)
			}
		}
	}
	for path := range described {
		t.Errorf("configuration.md describes %s, which does not exist", path)
	}
	for _, p := range config.Probers() {
		for _, c := range p.Collectors() {
			if !strings.Contains(page, "`"+c+"`") {
				t.Errorf("configuration.md does not name the collector %s", c)
			}
		}
	}
}

// standard returns the test of what a reader is told of the field's default.
func (f field) standard() func(string) bool {
	switch v := f.value.Interface().(type) {
	case time.Duration:
		return func(s string) bool {
			d, err := time.ParseDuration(strings.Trim(s, "`"))
			return err == nil && d == v
		}
	default:
		want := "none"
		switch {
		case f.given:
			want = "required"
		case !f.value.IsZero() && f.value.Kind() != reflect.Map:
			want = fmt.Sprintf("`%v`", v)
		}
		return func(s string) bool { return s == want }
	}
}

// allowed lists the values of a field's type, where it has a list.
func allowed(t reflect.Type) []string {
	strs := func(list any) []string {
		var all []string
		for i := range reflect.ValueOf(list).Len() {
			all = append(all, reflect.ValueOf(list).Index(i).String())
		}
		return all
	}
	switch t {
	case reflect.TypeFor[config.Scheme]():
		return strs(config.Schemes())
	case reflect.TypeFor[config.Encryption]():
		return strs(config.Encryptions())
	case reflect.TypeFor[config.Prober]():
		return strs(config.Probers())
	case reflect.TypeFor[config.Mode]():
		return strs(config.Modes())
	case reflect.TypeFor[map[string]config.Mode]():
		return config.Rungs()
	}
	return nil
}

// TestWhatIsRequiredIsRequired takes each field out of the least file.
func TestWhatIsRequiredIsRequired(t *testing.T) {
	t.Parallel()
	for _, f := range fields(t) {
		if !f.given {
			continue
		}
		given := tree(t)
		parts := strings.Split(strings.ReplaceAll(f.path, "[]", ".[]"), ".")
		at := given
		for _, p := range parts[:len(parts)-1] {
			if p == "[]" {
				at = at.([]any)[0]
			} else {
				at = at.(map[string]any)[p]
			}
		}
		delete(at.(map[string]any), parts[len(parts)-1])
		text, err := yaml.Marshal(given)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := config.Parse("hypervigil.yml", text); err == nil {
			t.Errorf("%s is said to be required; a file without it is taken", f.path)
		}
	}
}

var backticked = regexp.MustCompile("`([a-z_]+)`")

func inBackticks(s string) []string {
	var all []string
	for _, m := range backticked.FindAllStringSubmatch(s, -1) {
		all = append(all, m[1])
	}
	return all
}

// TestTheLaddersAreThoseOfTheCode asks the decoder about each rung for each fault class.
func TestTheLaddersAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	var classes []string
	defaults := map[string][]string{}
	for _, r := range rows(section(t, read(t, "configuration.md"), "### Ladders")) {
		class := strings.Trim(r[0], "`")
		classes = append(classes, class)
		if d := inBackticks(r[1]); d != nil {
			defaults[class] = d
		}
		for _, rung := range config.Rungs() {
			file := strings.Replace(least, "NAME: {}", fmt.Sprintf("NAME: {ladders: {%s: [%s]}}", class, rung), 1)
			_, err := config.Parse("hypervigil.yml", []byte(file))
			if known, _ := config.RungNamed(rung); slices.Contains(known.After, class) {
				file = strings.Replace(least, "NAME: {}", fmt.Sprintf("NAME: {ladders: {%s: [reset_vm, %s]}}", class, rung), 1)
				if err == nil {
					t.Errorf("the decoder takes %s as the first rung for %s", rung, class)
				}
				_, err = config.Parse("hypervigil.yml", []byte(file))
			}
			if said := slices.Contains(inBackticks(r[2]), rung); said != (err == nil) {
				t.Errorf("configuration.md allows %s for %s: %t; the decoder says: %v", rung, class, said, err)
			}
		}
	}
	if diff := cmp.Diff(config.FaultClasses(), classes); diff != "" {
		t.Errorf("fault classes of configuration.md (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(config.DefaultPolicy().Ladders, defaults); diff != "" {
		t.Errorf("default ladders of configuration.md (-want +got):\n%s", diff)
	}
}
