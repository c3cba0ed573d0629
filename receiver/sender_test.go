package receiver

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNothingElseCanSendACommand reads the sources: what changes the world outside is reached along one way only,
// Step's Send effect, the driver, the site, and the typed command of package cluster.
func TestNothingElseCanSendACommand(t *testing.T) {
	t.Parallel()
	// Each name may be called in these files alone. The lab is the world, played or simulated, and answers to the same names.
	allowed := map[string][]string{
		"StartService":     {"receiver/site/command.go"},
		"StopService":      {"receiver/site/command.go"},
		"TerminateProcess": {"receiver/site/command.go"},
		"ResetVM":          {"receiver/site/command.go"},
		"InjectNMI":        {"receiver/site/command.go"},
		"RebootGuest":      {"receiver/site/command.go"},
		// The conformance suite restarts a machine that was named for it; no program contains it (see below).
		"Invoke": {"internal/cluster/command.go", "internal/cluster/group.go", "internal/conformance/changes.go"},
		"Do":     {"receiver/driver.go", "receiver/world.go"},
	}
	callers := map[string][]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))
		switch {
		case d.IsDir() && (rel == "internal/lab" || rel == "internal/drill/simulate" || rel == "build" || strings.HasPrefix(d.Name(), ".git")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, imported := range file.Imports {
			if strings.HasSuffix(strings.Trim(imported.Path.Value, `"`), "/internal/conformance") {
				t.Errorf("%s imports internal/conformance, whose commands no guard was asked about; only tests may", rel)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			s, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			name := s.Sel.Name
			if name == "Do" && len(call.Args) != 3 {
				return true // an HTTP client's or a sync.Once's
			}
			if _, watched := allowed[name]; watched && !slices.Contains(callers[name], rel) {
				callers[name] = append(callers[name], rel)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range allowed {
		got := callers[name]
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s is called in %v, want in %v alone", name, got, want)
		}
	}
}
