package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/hypervigil/hypervigil/internal/peers"
	"github.com/hypervigil/hypervigil/rules"
	"github.com/hypervigil/hypervigil/rules/rulestest"
)

// dashboard is one as it lies in the tree: as it is read, and as the whole JSON.
type dashboard struct {
	Dashboard

	file string
	raw  any
}

func load(t *testing.T) []dashboard {
	t.Helper()
	files, err := filepath.Glob("*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboard found: %v", err)
	}
	var all []dashboard
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d := dashboard{file: f}
		if err := json.Unmarshal(b, &d.Dashboard); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if err := json.Unmarshal(b, &d.raw); err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

// queries lists the PromQL of a dashboard by the place where it stands, with the legend where there is one.
type query struct{ where, expr, legend string }

func (d dashboard) queries() []query {
	var all []query
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			all = append(all, query{d.file + ", panel " + p.Title, q.Expr, q.Legend})
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, query{d.file + ", annotation " + a.Name, a.Expr, ""})
	}
	return all
}

func TestEveryPanelSaysWhatItShows(t *testing.T) {
	t.Parallel()
	uids := map[string]string{}
	for _, d := range load(t) {
		if want := "hypervigil-" + strings.TrimSuffix(d.file, ".json"); d.UID != want {
			t.Errorf("%s: uid = %q, want %q", d.file, d.UID, want)
		}
		if other, ok := uids[d.UID]; ok {
			t.Errorf("%s and %s have one uid", d.file, other)
		}
		uids[d.UID] = d.file
		if d.Title == "" || d.Description == "" {
			t.Errorf("%s has no title or no description", d.file)
		}
		ids, titles := map[int]bool{}, map[string]bool{}
		for _, p := range d.Panels {
			name := fmt.Sprintf("%s, panel %d %q", d.file, p.ID, p.Title)
			if p.ID == 0 || ids[p.ID] {
				t.Errorf("%s: its id is not its own", name)
			}
			ids[p.ID] = true
			if len(p.Panels) > 0 {
				t.Errorf("%s: a row that is folded hides its panels from the tests", name)
			}
			if p.Type == "row" {
				continue
			}
			if p.FieldConfig == nil {
				t.Fatalf("%s has no fieldConfig", name)
			}
			if p.Title == "" || titles[p.Title] {
				t.Errorf("%s: its title is missing or not its own", name)
			}
			titles[p.Title] = true
			if !strings.HasSuffix(p.Description, ".") {
				t.Errorf("%s has no description that ends as a sentence: %q", name, p.Description)
			}
			if p.FieldConfig.Defaults.Unit == "" {
				t.Errorf("%s has no unit", name)
			}
			if !slices.Contains([]string{"stat", "state-timeline", "table", "timeseries"}, p.Type) {
				t.Errorf("%s: type %q is none of Grafana's own that we use", name, p.Type)
			}
			if len(p.Targets) == 0 {
				t.Errorf("%s asks for nothing", name)
			}
			refs := map[string]bool{}
			for _, q := range p.Targets {
				if q.RefID == "" || refs[q.RefID] {
					t.Errorf("%s: refId %q is missing or comes twice", name, q.RefID)
				}
				refs[q.RefID] = true
			}
		}
	}
}

func TestNoPanelLiesOnAnother(t *testing.T) {
	t.Parallel()
	for _, d := range load(t) {
		taken := map[[2]int]string{}
		for _, p := range d.Panels {
			g := p.GridPos
			if g.X < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
				t.Errorf("%s, panel %s: %+v is not within 24 columns", d.file, p.Title, g)
			}
			for x := g.X; x < g.X+g.W; x++ {
				for y := g.Y; y < g.Y+g.H; y++ {
					if other, ok := taken[[2]int{x, y}]; ok && other != p.Title {
						t.Errorf("%s: panels %s and %s lie on each other", d.file, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
		}
	}
}

// TestNothingBelongsToOneGrafana walks the whole JSON: every data source is the variable.
func TestNothingBelongsToOneGrafana(t *testing.T) {
	t.Parallel()
	for _, d := range load(t) {
		sources := 0
		var walk func(v any, path string)
		walk = func(v any, path string) {
			switch v := v.(type) {
			case map[string]any:
				for key, value := range v {
					if key == "datasource" {
						sources++
						m, _ := value.(map[string]any)
						if m["uid"] != "${datasource}" || m["type"] != "prometheus" {
							t.Errorf("%s: %s.datasource is %v, want the variable", d.file, path, value)
						}
					}
					walk(value, path+"."+key)
				}
			case []any:
				for i, value := range v {
					walk(value, fmt.Sprintf("%s[%d]", path, i))
				}
			}
		}
		walk(d.raw, "")
		if sources == 0 {
			t.Errorf("%s names no data source", d.file)
		}
		if m := d.raw.(map[string]any); m["id"] != nil {
			t.Errorf("%s carries the id of the Grafana it was exported from", d.file)
		}
		for _, p := range d.Panels {
			if p.Type == "row" {
				continue
			}
			for i, q := range p.Targets {
				if q.Expr == "" {
					t.Errorf("%s, panel %s, target %d has no expression", d.file, p.Title, i)
				}
			}
		}
	}
}

var (
	used      = regexp.MustCompile(`\$\{?([a-zA-Z_]+)`)
	inLegend  = regexp.MustCompile(`\{\{\s*([a-zA-Z_]+)\s*\}\}`)
	labelsOf  = regexp.MustCompile(`^label_values\((.*), ([a-z_]+)\)$`)
	metricsIn = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
)

func TestEveryVariableExistsAndIsUsed(t *testing.T) {
	t.Parallel()
	fleet, machine := []string{"datasource", "cluster"}, []string{"datasource", "cluster", "vm"}
	want := map[string][]string{
		"overview.json": fleet, "hyperv.json": fleet, "cluster.json": fleet, "incidents.json": fleet,
		"sql-server-vm.json": machine, "sql-server.json": machine, "chain.json": append(slices.Clone(fleet), "instance"),
	}
	for _, d := range load(t) {
		var names []string
		for _, v := range d.Templating.List {
			names = append(names, v.Name)
			if v.Name == "datasource" && (v.Type != "datasource" || v.Query != "prometheus") {
				t.Errorf("%s: the variable datasource is of type %q and asks for %v", d.file, v.Type, v.Query)
			}
		}
		if !slices.Equal(names, want[d.file]) {
			t.Errorf("%s has the variables %v, want %v", d.file, names, want[d.file])
		}
		found := map[string]bool{"datasource": true}
		for _, q := range d.queries() {
			for _, m := range used.FindAllStringSubmatch(q.expr, -1) {
				found[m[1]] = true
				if !strings.HasPrefix(m[1], "__") && !slices.Contains(names, m[1]) {
					t.Errorf("%s: there is no variable %s", q.where, m[1])
				}
			}
		}
		for _, n := range names {
			if !found[n] {
				t.Errorf("%s: nothing asks for the variable %s", d.file, n)
			}
		}
	}
}

// question is what a variable of the type query asks.
func (v Variable) question() string {
	m, _ := v.Query.(map[string]any)
	s, _ := m["query"].(string)
	return s
}

// recordings are the rules' own series.
func recordings(t *testing.T) []string {
	t.Helper()
	b, err := rules.Generate(rules.Standard)
	if err != nil {
		t.Fatal(err)
	}
	return rulestest.Recordings(t, b)
}

func TestEveryQueryNamesWhatIsExported(t *testing.T) {
	t.Parallel()
	known := rulestest.Load(t, "..")
	recorded := recordings(t)
	for _, d := range load(t) {
		for _, q := range d.queries() {
			for _, wrong := range known.Check(q.expr, recorded) {
				t.Errorf("%s: %s", q.where, wrong)
			}
			for _, m := range inLegend.FindAllStringSubmatch(q.legend, -1) {
				if !carries(known, q.expr, m[1]) {
					t.Errorf("%s: the legend shows %s, which no metric of %s has", q.where, m[1], q.expr)
				}
			}
		}
		for _, v := range d.Templating.List {
			if v.Type != "query" {
				continue
			}
			parts := labelsOf.FindStringSubmatch(v.Definition)
			if parts == nil {
				t.Errorf("%s: variable %s: %q is not label_values(metric, label)", d.file, v.Name, v.Definition)
				continue
			}
			for _, wrong := range known.Check(parts[1], recorded) {
				t.Errorf("%s: variable %s: %s", d.file, v.Name, wrong)
			}
			if !carries(known, parts[1], parts[2]) {
				t.Errorf("%s: variable %s: %s has no label %s", d.file, v.Name, parts[1], parts[2])
			}
			if v.question() != v.Definition {
				t.Errorf("%s: variable %s is defined as %q and asks for %v", d.file, v.Name, v.Definition, v.Query)
			}
		}
	}
}

// carries reports whether a metric of the expression has the label. Prometheus gives every series two.
func carries(known rulestest.Vocabulary, expr, label string) bool {
	if label == "job" || label == "instance" {
		return true
	}
	for _, name := range metricsIn.FindAllString(expr, -1) {
		if _, ok := known[name][label]; ok {
			return true
		}
	}
	return false
}

// TestPromtoolReadsEveryQuery writes the queries as rules, with the variables filled in as Grafana does.
func TestPromtoolReadsEveryQuery(t *testing.T) {
	t.Parallel()
	tool := os.Getenv("PROMTOOL")
	if tool == "" {
		tool = peers.Need(t, "promtool")
	}
	fill := strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$cluster", "hv-cl1", "$vm", "SQL01", "$instance", "127.0.0.1:9")
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	type group struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	}
	var file struct {
		Groups []group `yaml:"groups"`
	}
	for _, d := range load(t) {
		g := group{Name: d.file}
		for i, q := range d.queries() {
			expr := fill.Replace(q.expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s: a variable is left in %s", q.where, expr)
			}
			g.Rules = append(g.Rules, rule{fmt.Sprintf("dashboard:query%d:%s", i, strings.NewReplacer("-", "_", ".json", "").Replace(d.file)), expr})
		}
		file.Groups = append(file.Groups, g)
	}
	b, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), tool, "check", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, bytes.TrimSpace(out))
	}
}

// TestTheDashboardsLeadToEachOther follows their links.
func TestTheDashboardsLeadToEachOther(t *testing.T) {
	t.Parallel()
	all := load(t)
	links := regexp.MustCompile(`/d/([a-z-]+)`)
	for _, d := range all {
		b, err := json.Marshal(d.raw)
		if err != nil {
			t.Fatal(err)
		}
		found := links.FindAllSubmatch(b, -1)
		if len(found) == 0 {
			t.Errorf("%s leads to no other dashboard", d.file)
		}
		for _, m := range found {
			if !slices.ContainsFunc(all, func(o dashboard) bool { return o.UID == string(m[1]) }) {
				t.Errorf("%s leads to %s, which does not exist", d.file, m[1])
			}
		}
	}
}
