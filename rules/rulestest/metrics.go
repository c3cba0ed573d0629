package rulestest

import (
	"bytes"
	"context"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hypervigil/hypervigil/exporter"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver"
)

// The sources of metrics that are no prober's: what is on every answer of /probe, and each program's own /metrics.
const (
	SourceProbe    = "probe"
	SourceExporter = "exporter"
	SourceReceiver = "receiver"
)

// Metric is one metric that we export, with the label values that were seen.
type Metric struct {
	Source string // the prober's name, or one of the constants above
	Name   string
	Type   string // counter, gauge or histogram
	Help   string
	Labels map[string][]string // values sorted; empty where no series exists before something happens
}

// Metrics lists what the tree at root exports, by source and name: the collectors' metrics from their golden files,
// what is on every answer of /probe from an exporter, and the programs' own from their registries. Nothing that it
// starts outlives it.
func Metrics(t testing.TB, root string) []Metric {
	t.Helper()
	c := catalogue{}
	golden := 0
	err := filepath.WalkDir(filepath.Join(root, "exporter"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".prom" {
			return err
		}
		golden++
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		// exporter/<prober>/testdata/<case>.prom
		c.text(t, filepath.Base(filepath.Dir(filepath.Dir(path))), b)
		return nil
	})
	if err != nil || golden == 0 {
		t.Fatalf("read the exporter's golden files: %d found, %v", golden, err)
	}
	c.exporter(t)
	c.receiver(t)
	all := make([]Metric, 0, len(c))
	for _, name := range slices.Sorted(maps.Keys(c)) {
		all = append(all, *c[name])
	}
	slices.SortStableFunc(all, func(a, b Metric) int { return strings.Compare(a.Source, b.Source) })
	return all
}

// catalogue is the metrics by name.
type catalogue map[string]*Metric

func (c catalogue) metric(source, name, help string) *Metric {
	if strings.HasPrefix(name, "probe_") {
		source = SourceProbe // whichever prober's answer it was found in
	}
	m, ok := c[name]
	if !ok {
		m = &Metric{Source: source, Name: name, Help: help, Labels: map[string][]string{}}
		c[name] = m
	}
	return m
}

func (m *Metric) label(name string, values ...string) {
	known := m.Labels[name]
	for _, v := range values {
		if !slices.Contains(known, v) {
			known = append(known, v)
		}
	}
	slices.Sort(known)
	m.Labels[name] = known
}

func (c catalogue) family(source string, f *dto.MetricFamily) {
	m := c.metric(source, f.GetName(), f.GetHelp())
	m.Type = strings.ToLower(f.GetType().String())
	for _, s := range f.GetMetric() {
		for _, l := range s.GetLabel() {
			m.label(l.GetName(), l.GetValue())
		}
	}
}

// text reads metrics in Prometheus' text format.
func (c catalogue) text(t testing.TB, source string, b []byte) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("metrics of %s: %v", source, err)
	}
	for _, f := range families {
		c.family(source, f)
	}
}

var variableLabels = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "((?:[^"\\]|\\.)*)".*variableLabels: \{([^}]*)\}\}$`)

// registry reads a program's registry: its series, and what it describes although there is no series of it yet.
func (c catalogue) registry(t testing.TB, source string, r *prometheus.Registry) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		c.family(source, f)
	}
	described := make(chan *prometheus.Desc)
	go func() {
		defer close(described)
		r.Describe(described)
	}()
	for d := range described {
		parts := variableLabels.FindStringSubmatch(d.String())
		if parts == nil {
			t.Errorf("cannot read the description %s", d)
			continue
		}
		m := c.metric(source, parts[1], parts[2])
		if m.Type == "" {
			// promlint, which the programs' tests run, keeps _total for counters alone.
			m.Type = "gauge"
			if strings.HasSuffix(m.Name, "_total") {
				m.Type = "counter"
			}
		}
		for _, l := range strings.FieldsFunc(parts[3], func(r rune) bool { return r == ',' }) {
			m.label(l)
		}
	}
}

// probes has one of each prober's; nobody listens on port 1.
var probes = []struct {
	prober         config.Prober
	module, target string
}{
	{config.ProberMSSQL, "mssql_availability", "hv-cl1/SQL01/MSSQLSERVER"},
	{config.ProberMSSQL, "mssql_databases", "hv-cl1/SQL01/MSSQLSERVER"},
	{config.ProberHyperV, "hyperv", "hv-cl1/HV1"},
	{config.ProberWSFC, "wsfc", "hv-cl1"},
	{config.ProberGuest, "guest", "hv-cl1/SQL01"},
	{config.ProberApplication, "application", "hv-cl1/SQL01"},
}

// exporter starts an exporter, asks it about each target and reads its own metrics.
func (c catalogue) exporter(t testing.TB) {
	t.Helper()
	registry := prometheus.NewRegistry()
	e, err := exporter.New(exporter.Options{ConfigFile: configuration(t), Logger: log.NewNopLogger(), Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	for _, p := range probes {
		w := httptest.NewRecorder()
		query := url.Values{"module": {p.module}, "target": {p.target}}
		e.Handler().ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/probe?"+query.Encode(), nil))
		if w.Code != http.StatusOK {
			t.Fatalf("probe of %s: status %d: %s", p.target, w.Code, w.Body)
		}
		c.text(t, p.prober.String(), w.Body.Bytes())
	}
	c.registry(t, SourceExporter, registry)
}

// receiver opens a receiver and reads its own metrics; it runs nothing.
func (c catalogue) receiver(t testing.TB) {
	t.Helper()
	registry := prometheus.NewRegistry()
	// The one metric that cmd/hypervigil-receiver adds, besides those of Go and of the process.
	registry.MustRegister(version.NewCollector("hypervigil_receiver"))
	r, err := receiver.New(receiver.Options{ConfigFile: configuration(t), Logger: log.NewNopLogger(), Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	c.registry(t, SourceReceiver, registry)
}

// configuration writes a hypervigil.yml that both programs take.
func configuration(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("nobody's\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "hypervigil.yml")
	text := `
credentials:
  account: {username: account, password_file: SECRET}
clusters:
  - name: hv-cl1
    reader: account
    operator: account
    guest_operator: account
    nodes:
      - {name: HV1, addresses: ["127.0.0.1:1"]}
    virtual_machines:
      - name: SQL01
        guest: {address: "localhost:1"}
        application: {tcp: "127.0.0.1:1"}
        sql_servers:
          - {instance: MSSQLSERVER, address: "127.0.0.1:1", credential: account}
receiver:
  ledger: {path: LEDGER}
  webhook: {token_file: SECRET}
  alertmanagers: ["http://127.0.0.1:1"]
`
	text = strings.NewReplacer("SECRET", secret, "LEDGER", filepath.Join(dir, "ledger.db")).Replace(text)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
