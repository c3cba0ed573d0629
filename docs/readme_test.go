package docs

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/rules/rulestest"
)

// TestReadmeListsEveryAlert compares its table with the rules: names, severities and fault classes, in their order.
func TestReadmeListsEveryAlert(t *testing.T) {
	t.Parallel()
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert  string
				Labels map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(standardRules(t), &file); err != nil {
		t.Fatal(err)
	}
	var want, got [][]string
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				want = append(want, []string{"[" + r.Alert + "](docs/runbooks/" + r.Alert + ".md)", r.Labels["severity"], r.Labels["fault"]})
			}
		}
	}
	for _, r := range rows(section(t, read(t, filepath.Join(root, "README.md")), "## Alerts")) {
		got = append(got, r[:3])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alerts of README.md (-want +got):\n%s", diff)
	}
}

// TestReadmeBeginsWithMetricsThatExist compares its short table of metrics, labels included, with what is exported.
func TestReadmeBeginsWithMetricsThatExist(t *testing.T) {
	t.Parallel()
	known := rulestest.Load(t, root)
	table := rows(section(t, read(t, filepath.Join(root, "README.md")), "## Metrics"))
	if len(table) == 0 {
		t.Fatal("the table is empty")
	}
	for _, r := range table {
		name, labels, _ := strings.Cut(strings.Trim(r[0], "`}"), "{")
		if _, ok := known[name]; !ok {
			t.Errorf("README.md names %s, which nobody exports", name)
			continue
		}
		for _, l := range strings.Split(labels, ",") {
			if _, ok := known[name][l]; !ok {
				t.Errorf("README.md gives %s the label %s, which it does not have", name, l)
			}
		}
	}
}

// TestReadmeNamesTheListeners compares the addresses with the programs' flags.
func TestReadmeNamesTheListeners(t *testing.T) {
	t.Parallel()
	page := read(t, filepath.Join(root, "README.md"))
	for _, program := range []string{"hypervigil-exporter", "hypervigil-receiver"} {
		addresses := 0
		for _, f := range sources(t, filepath.Join(root, "cmd", program)) {
			ast.Inspect(f, func(n ast.Node) bool {
				l, ok := n.(*ast.BasicLit)
				if !ok || l.Kind != token.STRING || !strings.HasPrefix(l.Value, `"127.0.0.1:`) {
					return true
				}
				addresses++
				if a := strings.Trim(l.Value, `"`); !strings.Contains(page, a) {
					t.Errorf("README.md does not name %s of %s", a, program)
				}
				return true
			})
		}
		if addresses == 0 {
			t.Errorf("%s has no address of its own", program)
		}
	}
}

// TestReadmeProvesWithWhatExists looks for the packages that its commands name.
func TestReadmeProvesWithWhatExists(t *testing.T) {
	t.Parallel()
	proofs := section(t, read(t, filepath.Join(root, "README.md")), "## What proves it")
	found := regexp.MustCompile(`\./[a-z/]+`).FindAllString(proofs, -1)
	if len(found) == 0 {
		t.Fatal("no command names a package")
	}
	for _, p := range found {
		if _, err := os.Stat(filepath.Join(root, p)); err != nil {
			t.Errorf("README.md: %v", err)
		}
	}
}

// TestTheStatesOfAnIncidentExist checks the states that the pages speak of.
func TestTheStatesOfAnIncidentExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, p := range incident.Phases() {
		known[string(p)] = true
	}
	for _, p := range pages(t) {
		for _, m := range regexp.MustCompile("incident `([a-z]+)`|becomes `([a-z]+)`|ends in `([a-z]+)`").FindAllStringSubmatch(words(prose(read(t, p))), -1) {
			if state := m[1] + m[2] + m[3]; !known[state] {
				t.Errorf("%s: no incident is ever %q", p, state)
			}
		}
	}
}
