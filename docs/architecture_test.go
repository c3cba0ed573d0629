package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/hypervigil/hypervigil/"

// imported is one import of one file; both packages of ours are written without the module.
type imported struct {
	by, what string
	test     bool
	file     string
}

// imports reads every import of the repository, whatever its build tags.
func imports(t *testing.T) []imported {
	t.Helper()
	var all []imported
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "build" || strings.HasPrefix(d.Name(), ".") && d.Name() != root) {
			return fs.SkipDir
		}
		if filepath.Ext(file) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			what, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			all = append(all, imported{
				by: path.Dir(filepath.ToSlash(name)), what: strings.TrimPrefix(what, module), test: strings.HasSuffix(name, "_test.go"), file: name,
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// below reports whether a package is dir or stands below it.
func below(pkg string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") })
}

// pure are the packages that decide.
func pure() []string {
	return []string{"receiver/incident", "receiver/guard", "receiver/remedy", "receiver/evidence", "receiver/replay"}
}

// TestWhatDecidesAsksNoClock looks for the functions of package time that do more than compute.
func TestWhatDecidesAsksNoClock(t *testing.T) {
	t.Parallel()
	clock := []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"}
	for _, pkg := range pure() {
		for _, f := range sources(t, filepath.Join(root, pkg)) {
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, s.Sel.Name) {
						t.Errorf("%s calls time.%s", pkg, s.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	worldly := []string{"os", "io", "net", "syscall", "context", "sync", "math/rand", "crypto/rand", "log", "runtime", "database/sql", "github.com/go-kit/log"}
	// The packages whose work it is to know an outside library, by the library.
	only := map[string]string{
		"github.com/microsoft/go-mssqldb":           "internal/sqlhealth",
		"go.etcd.io/bbolt":                          "receiver/ledger",
		"github.com/prometheus/alertmanager/api/v2": "receiver/alertmanager",
	}
	seen := map[string]bool{}
	for _, i := range imports(t) {
		wrong := func(rule string) { t.Errorf("%s imports %s: %s", i.file, i.what, rule) }
		ours := below(i.what, "cmd", "exporter", "receiver", "rules", "internal")
		switch {
		case below(i.by, "exporter") && below(i.what, "receiver"), below(i.by, "receiver") && below(i.what, "exporter"):
			wrong("exporter and receiver never import each other")
		case !i.test && below(i.by, "internal/ctl", "internal/budget") && (slices.Contains(pure(), i.what) || i.what == "receiver/audit"):
			// hypervigilctl reckons with and plays again what the receiver decides, and proves its record.
		case !i.test && below(i.by, "internal") && !below(i.by, "internal/drill") && below(i.what, "exporter", "receiver"):
			wrong("internal packages know nothing of the programs")
		case ours && below(i.what, "cmd"):
			wrong("a program is no library")
		case !i.test && below(i.what, "internal/lab") && !below(i.by, "internal/lab", "internal/drill", "cmd/hypervigil-lab"):
			wrong("only tests, internal/drill and cmd/hypervigil-lab import the lab")
		case !i.test && below(i.what, "internal/lab") && (i.by == "internal/drill" || below(i.by, "internal/drill/onsite", "internal/drill/load", "internal/drill/render")):
			wrong("what hypervigilctl drills a real cluster with knows no lab")
		case !i.test && below(i.what, "rules/rulestest") && !below(i.by, "rules/rulestest"):
			wrong("only tests import rulestest")
		case !i.test && slices.Contains(pure(), i.by) && below(i.what, worldly...):
			wrong("Step and what it asks are pure")
		}
		for library, owner := range only {
			if below(i.what, library) {
				seen[library] = true
				// The bench measures us against the bare library.
				if !i.test && !below(i.by, owner, "internal/drill/bench") {
					wrong("only " + owner + " knows it")
				}
			}
		}
	}
	for library := range only {
		if !seen[library] {
			t.Errorf("nobody imports %s", library)
		}
	}
}

// TestTheArchitectureNamesThePackages keeps the table of packages whole.
func TestTheArchitectureNamesThePackages(t *testing.T) {
	t.Parallel()
	var named []string
	for _, r := range rows(section(t, read(t, "architecture.md"), "## Packages")) {
		for _, m := range code.FindAllStringSubmatch(r[0], -1) {
			named = append(named, m[1])
			if info, err := os.Stat(filepath.Join(root, m[1])); err != nil || !info.IsDir() {
				t.Errorf("architecture.md names %s, which is no folder", m[1])
			}
		}
	}
	for _, i := range imports(t) {
		if i.by != "docs" && !below(i.by, named...) {
			t.Errorf("architecture.md does not name %s", i.by)
		}
		// A folder is named for what is below it; what is below exporter and receiver is named itself.
		if !slices.Contains(named, i.by) && below(i.by, "exporter", "receiver") && strings.Count(i.by, "/") == 1 {
			t.Errorf("architecture.md does not name %s", i.by)
		}
	}
}
