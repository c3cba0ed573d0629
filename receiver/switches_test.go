package receiver_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/config"
)

// TestNoSwitchWeakensAGuardForEveryone lists every flag of the shipped receiver and every field of its configuration
// below receiver, with what keeps each from weakening a guard for everyone. Whoever adds one has to say it here.
func TestNoSwitchWeakensAGuardForEveryone(t *testing.T) {
	t.Parallel()
	flags := map[string]string{
		"config.file":            "which configuration; it is judged below",
		"config.check":           "decides nothing",
		"account":                "of the Windows service; who may act is Windows' and the credentials' business",
		"webhook.listen-address": "where alerts come in; G1 proves who sends them, whatever the address",
		"web.external-url":       "a name that people may use; it lets nobody past a proof",
	}
	if diff := cmp.Diff(keys(flags), receiverFlags(t)); diff != "" {
		t.Errorf("flags of hypervigil-receiver (-judged +found):\n%s", diff)
	}
	fields := map[string]string{
		"ledger.path": "where", "ledger.replay_bytes": "of a recording that decides nothing", "ledger.replay_age": "the same", "webhook.token_file": "G1 needs one proof at least", "webhook.token_env": "the same",
		"webhook.tls.cert_file": "the listener's", "webhook.tls.key_file": "the listener's", "webhook.tls.client_ca_file": "one proof more",
		"alertmanagers": "none: refused; none that answers: G7 holds", "controls": "fewer than two: G17 holds",
		"never_touch": "adds refusals", "approvers[].name": "each proves himself, and only plans that are offered are approved",
		"approvers[].token_file": "a proof", "approvers[].token_env": "a proof", "approvers[].certificate": "a proof",
		"retention.closed": "not below its default", "retention.closed_count": "what is over; guards keep what they ask in the virtual machine's record",
		"retention.closed_bytes": "the same", "retention.audit_bytes": "what is dropped is signed off",
		"hold_off":        "weaker than its default: every policy observes but on the lab",
		"sample_interval": "G13 counts samples and G10 holds without a history",
		"policies.*.mode": "of one policy", "policies.*.rungs.*": "of one policy and rung", "policies.*.ladders.*[]": "of one policy; validated by class",
		"policies.*.clean_stop.heal_after": "of one policy: what its owner wants of a clean stop", "policies.*.health_check_timeout": "weaker: lab only",
		"policies.*.internal_level":   "of one policy: its owner opts in to a class; every guard is asked all the same",
		"policies.*.limits.cool_down": "weaker: lab only", "policies.*.limits.settle": "weaker: lab only", "policies.*.limits.hold": "weaker: lab only",
		"policies.*.limits.service_restarts_per_hour": "weaker: lab only", "policies.*.limits.vm_restarts_per_6h": "weaker: lab only",
		"policies.*.limits.moves_per_6h": "weaker: lab only", "policies.*.limits.actions_per_24h": "weaker: lab only",
		"policies.*.limits.max_undo": "weaker: lab only", "policies.*.limits.max_age": "weaker: lab only",
	}
	found := schema(reflect.TypeFor[config.Receiver](), "")
	slices.Sort(found)
	if diff := cmp.Diff(keys(fields), found); diff != "" {
		t.Errorf("fields below receiver (-judged +found):\n%s", diff)
	}
}

// TestEveryLimitHasAWeakerSide: what is said to be lab only must be what WeakerThanDefault knows.
func TestEveryLimitHasAWeakerSide(t *testing.T) {
	t.Parallel()
	limits := reflect.TypeFor[config.Limits]()
	for n := range limits.NumField() {
		weak := false
		for _, by := range []int64{-1, 1} {
			p := config.DefaultPolicy()
			f := reflect.ValueOf(&p.Limits).Elem().Field(n)
			f.SetInt(f.Int() + by)
			weak = weak || len(p.WeakerThanDefault()) == 1
		}
		if !weak {
			t.Errorf("limits.%s: neither less nor more of it is weaker than its default", limits.Field(n).Tag.Get("yaml"))
		}
	}
	r := config.Default().Receiver
	if r.HoldOff--; len(r.WeakerThanDefault()) != 1 {
		t.Error("a shorter hold_off is not weaker than its default")
	}
}

func keys(m map[string]string) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// schema lists the paths of a configuration's values.
func schema(t reflect.Type, path string) []string {
	switch t.Kind() {
	case reflect.Pointer:
		return schema(t.Elem(), path)
	case reflect.Struct:
		var all []string
		for n := range t.NumField() {
			if tag := t.Field(n).Tag.Get("yaml"); tag != "" && tag != "-" {
				all = append(all, schema(t.Field(n).Type, strings.TrimPrefix(path+"."+tag, "."))...)
			}
		}
		return all
	case reflect.Map:
		return schema(t.Elem(), path+".*")
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Pointer || strings.Contains(path, "*") {
			return schema(t.Elem(), path+"[]")
		}
	}
	return []string{path}
}

// receiverFlags reads the flags that the program declares by itself; the others are exporter-toolkit's and the logger's.
func receiverFlags(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, dir := range []string{"../cmd/hypervigil-receiver", "../internal/program"} {
		found, err := filepath.Glob(dir + "/*.go")
		if err != nil || len(found) == 0 {
			t.Fatalf("files of %s: %v, %v", dir, found, err)
		}
		for _, f := range found {
			if !strings.HasSuffix(f, "_test.go") {
				files = append(files, f)
			}
		}
	}
	var flags []string
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if s, ok := call.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Flag" {
					if l, ok := call.Args[0].(*ast.BasicLit); ok {
						flags = append(flags, strings.Trim(l.Value, `"`))
					}
				}
			}
			return true
		})
	}
	slices.Sort(flags)
	return slices.Compact(flags)
}
