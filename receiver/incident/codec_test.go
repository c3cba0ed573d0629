package incident

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/config"
)

// TestEveryEventHasACodec finds the types that carry a moment in the sources: a new event that kinds does not list would
// be recorded and could not be read.
func TestEveryEventHasACodec(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range s.Fields.List {
					if id, ok := field.Type.(*ast.Ident); ok && len(field.Names) == 0 && id.Name == "At" {
						want = append(want, spec.Name.Name)
					}
				}
			}
			return true
		})
	}
	var got []string
	for _, e := range kinds() {
		got = append(got, reflect.TypeOf(e).Name())
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-in the sources +with a codec):\n%s", diff)
	}
}

// fill sets every exported field, so that one that is lost shows.
func fill(v reflect.Value, depth int) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Date(2026, 11, 24, 12, 30, 15, 123456789, time.UTC)))
		return
	}
	if v.Type() == reflect.TypeFor[config.Config]() {
		v.Set(reflect.ValueOf(config.Default()).Elem())
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for n := range v.NumField() {
			if v.Type().Field(n).IsExported() {
				fill(v.Field(n), depth)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for n := range 2 {
			fill(v.Index(n), depth)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth)
		fill(value, depth)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("word")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1.5)
	default:
		panic("event with a " + v.Kind().String())
	}
}

// TestEventsComeBackAsTheyWere: every field of every event.
func TestEventsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds() {
		t.Run(reflect.TypeOf(kind).Name(), func(t *testing.T) {
			t.Parallel()
			v := reflect.New(reflect.TypeOf(kind)).Elem()
			for n := range v.NumField() {
				if v.Type().Field(n).Name != "At" {
					fill(v.Field(n), 0)
				}
			}
			v.FieldByName("At").Set(reflect.ValueOf(At(time.Date(2026, 11, 24, 13, 0, 0, 1, time.UTC))))
			e := v.Interface().(Event)
			b, err := MarshalEvent(e)
			if err != nil {
				t.Fatal(err)
			}
			got, err := UnmarshalEvent(b)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(e, got) {
				t.Errorf("event changed:\n%s\nwas %+v\nis  %+v", b, e, got)
			}
		})
	}
	if _, err := UnmarshalEvent([]byte(`{"type":"Rewound","event":{}}`)); err == nil || !strings.Contains(err.Error(), `"Rewound" is not known`) {
		t.Errorf("an unknown event: %v, want it named", err)
	}
}

// TestConfigurationsComeBackAsTheyWere: a recording begins with the one that it was made under.
func TestConfigurationsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	v := reflect.New(reflect.TypeFor[config.Receiver]()).Elem()
	fill(v, 0)
	want := config.Default()
	want.Receiver = v.Interface().(config.Receiver)
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := &config.Config{}
	if err := json.Unmarshal(b, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-was +is):\n%s", diff)
	}
}
