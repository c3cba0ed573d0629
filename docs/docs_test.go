// Package docs holds no code: its tests keep the manual true to the programs. What a page says of a name, a number, a
// default or a command is compared with where that comes from.
//
// go test ./docs -update rewrites what is generated: metrics.md, and the faults of lab.md.
package docs

import (
	"bytes"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/ctl"
	"github.com/hypervigil/hypervigil/rules"
	"github.com/hypervigil/hypervigil/rules/rulestest"
)

var update = flag.Bool("update", false, "rewrite what is generated")

// root is the repository's.
const root = ".."

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// pages lists the manual's pages and the files of the root that are written for a reader, by path from here.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, name := range []string{"README.md", "CHANGELOG.md", "BENCHMARKS.md"} {
		all = append(all, filepath.Join(root, name))
	}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".md" {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// block is a fenced block of a page.
type block struct{ language, text string }

var (
	fence = regexp.MustCompile("(?ms)^ *```([a-z]*)\n(.*?)^ *```$")
	// code is inline code.
	code = regexp.MustCompile("`([^`\n]+)`")
)

func blocks(page string) []block {
	var all []block
	for _, m := range fence.FindAllStringSubmatch(page, -1) {
		all = append(all, block{m[1], m[2]})
	}
	return all
}

// prose is a page without its blocks.
func prose(page string) string { return fence.ReplaceAllString(page, "") }

// section returns what stands under a heading, to the next heading of its level or above.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	level := heading[:strings.Index(heading, " ")]
	_, rest, ok := strings.Cut(page, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("there is no heading %q", heading)
	}
	lines := strings.Split(rest, "\n")
	end := slices.IndexFunc(lines, func(l string) bool {
		hashes, _, ok := strings.Cut(l, " ")
		return ok && hashes != "" && strings.Trim(hashes, "#") == "" && len(hashes) <= len(level)
	})
	if end >= 0 {
		lines = lines[:end]
	}
	return strings.Join(lines, "\n")
}

// rows returns the cells of the tables in a text, without their heads.
func rows(text string) [][]string {
	var all [][]string
	for _, l := range strings.Split(text, "\n") {
		l = strings.TrimSpace(l)
		if !strings.HasPrefix(l, "|") {
			continue
		}
		if strings.Trim(l, "|- ") == "" {
			all = all[:max(0, len(all)-1)] // what stood above was the head
			continue
		}
		cells := strings.Split(strings.Trim(l, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all = append(all, cells)
	}
	return all
}

// words joins a text that is broken into lines.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(prose(read(t, p)), -1) {
			target := m[1]
			if strings.Contains(target, "://") {
				continue
			}
			file, at, _ := strings.Cut(target, "#")
			path := p
			if file != "" {
				path = filepath.Join(filepath.Dir(p), file)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %s leads nowhere: %v", p, target, err)
				continue
			}
			if at == "" {
				continue
			}
			found := false
			for _, h := range heading.FindAllStringSubmatch(prose(read(t, path)), -1) {
				found = found || anchor(h[1]) == at
			}
			if !found {
				t.Errorf("%s: %s: there is no such heading", p, target)
			}
		}
	}
}

func standardRules(t *testing.T) []byte {
	t.Helper()
	b, err := rules.Generate(rules.Standard)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEveryQueryNamesWhatIsExported checks the blocks that are marked as PromQL.
func TestEveryQueryNamesWhatIsExported(t *testing.T) {
	t.Parallel()
	known := rulestest.Load(t, root)
	recorded := rulestest.Recordings(t, standardRules(t))
	n := 0
	for _, p := range pages(t) {
		for _, b := range blocks(read(t, p)) {
			if b.language != "promql" {
				continue
			}
			n++
			for _, wrong := range known.Check(b.text, recorded) {
				t.Errorf("%s: %s: %s", p, words(b.text), wrong)
			}
		}
	}
	if n == 0 {
		t.Error("no page has a query")
	}
}

var flagged = regexp.MustCompile(`--[a-z][a-z.-]*`)

// TestEveryCommandIsUnderstood asks hypervigilctl about each command and flag that a page shows of it.
func TestEveryCommandIsUnderstood(t *testing.T) {
	t.Parallel()
	n := 0
	for _, p := range pages(t) {
		page := read(t, p)
		var lines []string
		for _, b := range blocks(page) {
			lines = append(lines, strings.Split(b.text, "\n")...)
		}
		for _, m := range code.FindAllStringSubmatch(words(prose(page)), -1) {
			lines = append(lines, m[1])
		}
		for _, l := range lines {
			l, ok := strings.CutPrefix(strings.TrimSpace(l), "hypervigilctl ")
			if !ok {
				continue
			}
			n++
			command := strings.Fields(l)[:1]
			if f := strings.Fields(l); (f[0] == "generate" || f[0] == "config") && len(f) > 1 {
				command = f[:2]
			}
			var help bytes.Buffer
			if code := ctl.Run(t.Context(), append(slices.Clone(command), "--help"), &help, io.Discard); code != 0 || !strings.Contains(help.String(), "usage: hypervigilctl "+strings.Join(command, " ")) {
				t.Errorf("%s: hypervigilctl does not know %q", p, strings.Join(command, " "))
				continue
			}
			for _, f := range flagged.FindAllString(l, -1) {
				if !strings.Contains(help.String(), f+"=") && !strings.Contains(help.String(), f+" ") && !strings.Contains(help.String(), f+"\n") {
					t.Errorf("%s: hypervigilctl %s has no flag %s", p, strings.Join(command, " "), f)
				}
			}
		}
	}
	if n == 0 {
		t.Error("no page shows a command")
	}
}

// TestTheExampleIsOneThatIsTested compares README's example with the file that internal/config's tests load.
func TestTheExampleIsOneThatIsTested(t *testing.T) {
	t.Parallel()
	tested := read(t, filepath.Join(root, "internal", "config", "testdata", "hypervigil.yml"))
	var examples []string
	for _, b := range blocks(read(t, filepath.Join(root, "README.md"))) {
		if b.language == "yaml" {
			examples = append(examples, b.text)
		}
	}
	if !slices.Contains(examples, tested) {
		t.Error("README.md does not show internal/config/testdata/hypervigil.yml as it is")
	}
	for _, e := range examples {
		if _, err := config.Parse("README.md", []byte(e)); err != nil {
			t.Errorf("an example of README.md is not valid: %v", err)
		}
	}
}
