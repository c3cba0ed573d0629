package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/guard"
)

// before and after are the guards that are no predicates: the intake's, and those of a command and what follows it.
var (
	before = []string{"G1", "G2", "G3", "G4"}
	after  = []string{"G9", "G24", "G25", "G26", "G27"}
)

var guardHeading = regexp.MustCompile(`(?m)^## (G\d+) (.+)$`)

func TestTheGuardsStandInTheirOrder(t *testing.T) {
	t.Parallel()
	page := read(t, "guards.md")
	want := slices.Clone(before)
	names := map[string]string{}
	for _, g := range guard.All() {
		want = append(want, g.ID)
		names[g.ID] = g.Name
	}
	want = append(want, after...)
	var got []string
	for _, h := range guardHeading.FindAllStringSubmatch(page, -1) {
		got = append(got, h[1])
		if name, ok := names[h[1]]; ok && h[2] != name {
			t.Errorf("guards.md calls %s %q, its name is %q", h[1], h[2], name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("guards of guards.md (-want +got):\n%s", diff)
	}
	for _, p := range pages(t) {
		for _, id := range regexp.MustCompile(`\bG\d+\b`).FindAllString(read(t, p), -1) {
			if !slices.Contains(want, id) {
				t.Errorf("%s names %s, which does not exist", p, id)
			}
		}
	}
}

// constants says under which guard each fixed number of a package stands; the empty one is the page's beginning. Of
// receiver/guard none may be missing.
var constants = map[string]map[string]string{
	"guard": {
		"failedHere": "G20", "reserveGiB": "G20", "protectedNetwork": "G11", "guestMargin": "G11",
		"maxSkew": "G6", "maxProofAge": "G33", "hostWait": "G12", "hostMargin": "G12", "lossMargin": "G12", "minSamples": "G13",
		"exitOK": "G31", "exitProcessAborted": "G31", "exitNeverStarted": "G31", "eventTerminated": "G31", "eventTerminatedRecovering": "G31",
		"lookBack": "G10", "movedSettle": "G10", "proofOfLifeRounds": "G8", "proofOfLifeSpan": "G8", "silentRounds": "G8", "guestSpan": "G8",
		"networkSpan": "G8", "unreadableBound": "G8", "minHang": "G8", "startsPer10Minutes": "G16", "startsPerHour": "G16", "MaxReadAge": "G9",
		"stormVMs": "G17", "stormPercent": "G17", "stormClean": "G17", "stormControls": "G17", "MaxSilence": "G29",
		"firstOperation": "G35", "lastOperation": "G35", "healthOK": "G35", "dumpCap": "G35", "workAge": "G35",
		"resourceSpan": "G8", "busyPercent": "G8", "pressurePercent": "G8", "slowLogin": "G8", "roomPercent": "G20",
		"balancesAlways": "G11", "balancerTime": "G11", "balancerMargin": "G11", "ErrorSets": "G8", "guestTransition": "G32", "orderlyAge": "G32",
		"ApprovalFor": "G23",
	},
	"incident": {
		"logins": "G26", "stallBound": "G26", "relapseBound": "G26", "reconcileEvery": "G25", "reconcileBound": "G25", "reconcileReads": "G25",
		"claimBound": "G9", "proveAgain": "G33", "holdBound": "",
	},
	"intake":  {"maxBody": "G1", "deadline": "G2", "deliveryWindow": "G5"},
	"remedy":  {"ServiceTimeout": "G24", "VMTimeout": "G24", "DumpTimeout": "G24", "LeastRun": "G9", "LeastResumed": "G9", "jobSettle": "G25"},
	"console": {"defaultPause": "G21"},
}

func TestTheGuardsNumbersAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	page := read(t, "guards.md")
	sections := map[string]string{"": page[:strings.Index(page, "\n## ")]}
	for _, h := range guardHeading.FindAllStringSubmatch(page, -1) {
		sections[h[1]] = words(section(t, page, h[0]))
	}
	says := func(id, what string, v number) {
		if !v.in(sections[id]) {
			t.Errorf("guards.md does not say under %q that %s is %s", id, what, v.forms()[0])
		}
	}
	for pkg, documented := range constants {
		found := numbers(t, filepath.Join(root, "receiver", pkg))
		for name, id := range documented {
			v, ok := found[name]
			if !ok {
				t.Errorf("receiver/%s has no constant %s", pkg, name)
				continue
			}
			says(id, pkg+"."+name, v)
		}
		if pkg != "guard" {
			continue
		}
		for name := range found {
			if _, ok := documented[name]; !ok {
				t.Errorf("guards.md does not say what receiver/guard's %s is", name)
			}
		}
	}
	l := config.DefaultLimits()
	for _, d := range []struct {
		id, name string
		v        number
	}{
		{"G6", "max_age", number{d: l.MaxAge}},
		{"G13", "hold_off", number{d: config.DefaultHoldOff}},
		{"G14", "cool_down", number{d: l.CoolDown}},
		{"G15", "service_restarts_per_hour", number{n: int64(l.ServiceRestartsPerHour)}},
		{"G15", "vm_restarts_per_6h", number{n: int64(l.VMRestartsPer6h)}},
		{"G15", "moves_per_6h", number{n: int64(l.MovesPer6h)}},
		{"G15", "actions_per_24h", number{n: int64(l.ActionsPer24h)}},
		{"G26", "hold", number{d: l.Hold}},
		{"G36", "max_undo", number{d: l.MaxUndo}},
	} {
		says(d.id, "the default of "+d.name, d.v)
		if !strings.Contains(sections[d.id], d.name) {
			t.Errorf("guards.md does not name %s under %s", d.name, d.id)
		}
	}
}

// number is a constant: a duration, or a count.
type number struct {
	n int64
	d time.Duration
}

// forms are the ways in which a reader may be told.
func (v number) forms() []string {
	if v.d == 0 {
		forms := []string{strconv.FormatInt(v.n, 10)}
		if v.n > 0 && v.n%(1<<20) == 0 {
			forms = append(forms, fmt.Sprintf("%d MiB", v.n>>20))
		}
		return forms
	}
	var forms []string
	for _, u := range []struct {
		size time.Duration
		name string
	}{{time.Second, "s"}, {time.Minute, "min"}, {time.Hour, "h"}, {time.Millisecond, "ms"}} {
		if v.d%u.size == 0 {
			forms = append(forms, fmt.Sprintf("%d %s", v.d/u.size, u.name))
		}
	}
	return forms
}

func (v number) in(text string) bool {
	return slices.ContainsFunc(v.forms(), func(form string) bool {
		return regexp.MustCompile(`(^|[^0-9.,])` + regexp.QuoteMeta(form) + `($|[^0-9a-z])`).MatchString(text)
	})
}

// sources parses a package without its tests.
func sources(t *testing.T, dir string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		t.Fatalf("%s holds no package", dir)
	}
	return files
}

// numbers evaluates a package's constants that are numbers.
func numbers(t *testing.T, dir string) map[string]number {
	t.Helper()
	found := map[string]number{}
	for _, f := range sources(t, dir) {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				s := s.(*ast.ValueSpec)
				for i, name := range s.Names {
					if i >= len(s.Values) {
						continue
					}
					if v, unit, ok := evaluate(s.Values[i]); ok && unit {
						found[name.Name] = number{d: time.Duration(v)}
					} else if ok {
						found[name.Name] = number{n: v}
					}
				}
			}
		}
	}
	return found
}

// evaluate computes a constant's value; unit says that it is a duration.
func evaluate(e ast.Expr) (v int64, unit, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		v, err := strconv.ParseInt(e.Value, 0, 64)
		return v, false, err == nil
	case *ast.ParenExpr:
		return evaluate(e.X)
	case *ast.SelectorExpr:
		units := map[string]time.Duration{"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour}
		d, ok := units[e.Sel.Name]
		return int64(d), true, ok
	case *ast.BinaryExpr:
		a, ua, oka := evaluate(e.X)
		b, ub, okb := evaluate(e.Y)
		if !oka || !okb {
			return 0, false, false
		}
		switch e.Op {
		case token.MUL:
			return a * b, ua || ub, true
		case token.SHL:
			return a << uint(b), ua, true
		}
	}
	return 0, false, false
}

// TestTheReasonsAreThoseOfTheCode checks the words that a verdict may say: they are labels and what an operator greps.
func TestTheReasonsAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, f := range sources(t, filepath.Join(root, "receiver", "guard")) {
		ast.Inspect(f, func(n ast.Node) bool {
			var words []ast.Expr
			switch n := n.(type) {
			case *ast.CallExpr:
				words = n.Args[:min(1, len(n.Args))]
			case *ast.ValueSpec: // a reason with a name
				words = n.Values
			}
			for _, w := range words {
				if l, ok := w.(*ast.BasicLit); ok && l.Kind == token.STRING {
					known[strings.Trim(l.Value, `"`)] = true
				}
			}
			return true
		})
	}
	page := read(t, "guards.md")
	for _, h := range guardHeading.FindAllStringSubmatch(page, -1) {
		text := words(section(t, page, h[0]))
		_, says, ok := strings.Cut(text, "**Says**:")
		if !ok {
			continue
		}
		says, _, _ = strings.Cut(says, "**Lifted by**")
		for _, m := range code.FindAllStringSubmatch(says, -1) {
			switch word := m[1]; {
			case slices.Contains([]string{"told", "heal_after"}, word):
			case !known[word]:
				t.Errorf("guards.md says that %s gives the reason %q; receiver/guard does not know it", h[1], word)
			}
		}
	}
}
