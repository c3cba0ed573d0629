package docs

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hypervigil/hypervigil/rules/rulestest"
)

// metricsHead stands above the tables.
const metricsHead = `# Metrics

What is exported, and nothing else: GO_TEST writes this page from the programs.

* Unit "0 or 1" is a yes or no, or the one state of a set that is present.
* A state set has a series for each state, 1 for the present one.
* What could not be seen is absent, which is neither good nor bad: SUCCESS says that it could not be seen, REASON why.
* Every series of a target carries the labels that the inventory gives it; Prometheus adds JOB and INSTANCE.
`

// inCode puts the names into the page's code spans, which a raw string cannot hold.
var inCode = strings.NewReplacer("GO_TEST", "`go test ./docs -update`", "SUCCESS", "`probe_collector_success`", "REASON", "`probe_failure_reason`",
	"JOB", "`job`", "INSTANCE", "`instance`")

// metricSections are the page's, in its order.
var metricSections = []struct{ source, title, about string }{
	{rulestest.SourceProbe, "Every answer of /probe", "The labels are those of the target that was asked."},
	{"mssql", "SQL Server", "Prober `mssql`, target `cluster/vm/instance`."},
	{"guest", "Guest", "Prober `guest`, target `cluster/vm`."},
	{"application", "Applications", "Prober `application`, target `cluster/vm`, of a virtual machine with an `application`. What the inventory does not give of it has no series."},
	{"hyperv", "Hyper-V host and virtual machines", "Prober `hyperv`, target `cluster/node`. Machines that are not inventoried have `vm_id` in place of `vm`, and only some of these. During a migration two hosts report one machine: `wsfc_group_owner_info` tells whose word counts."},
	{"wsfc", "Failover cluster", "Prober `wsfc`, target `cluster`."},
	{rulestest.SourceExporter, "The exporter itself", "On its own `/metrics`, besides those of Go and of the process."},
	{rulestest.SourceReceiver, "The receiver itself", "On its own `/metrics`, besides those of Go and of the process."},
}

// metricsPage writes metrics.md.
func metricsPage(t *testing.T) string {
	t.Helper()
	all := rulestest.Metrics(t, root)
	var b strings.Builder
	b.WriteString(inCode.Replace(metricsHead))
	written := 0
	for _, s := range metricSections {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", s.title, s.about)
		here, of := originsOf(t, s.source)
		from := ""
		if len(here) > 0 {
			b.WriteString("\n| collector | source | permission |\n|---|---|---|\n")
			for _, o := range here {
				fmt.Fprintf(&b, "| %s | %s | %s |\n", o.collectors, o.source, o.permission)
			}
			from = " collector |"
		}
		fmt.Fprintf(&b, "\n| metric | type | unit | labels |%s meaning |\n|---|---|---|---|%s---|\n", from, strings.Repeat("---|", min(1, len(here))))
		for _, m := range all {
			if m.Source != s.source {
				continue
			}
			collector := ""
			if len(here) > 0 {
				o, ok := of[m.Name]
				if !ok {
					t.Errorf("%s is made in no file of exporter/%s that has an origin", m.Name, s.source)
				}
				collector = " " + o.collectors + " |"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |%s %s |\n", m.Name, m.Type, unitOf(m), labelsOf(m), collector, strings.ReplaceAll(m.Help, "|", `\|`))
			written++
		}
	}
	if written != len(all) {
		t.Errorf("%d of %d metrics belong to no section of metrics.md", len(all)-written, len(all))
	}
	return b.String()
}

// labelsOf lists a metric's labels, the target's own first, with their values where those are a list of ours.
func labelsOf(m rulestest.Metric) string {
	target := []string{"cluster", "node", "vm", "vm_id", "sql_instance", "group"}
	var names []string
	for name := range m.Labels {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		rank := func(s string) int {
			if i := slices.Index(target, s); i >= 0 {
				return i
			}
			return len(target)
		}
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		values := slices.DeleteFunc(slices.Clone(m.Labels[name]), func(v string) bool { return v == "" })
		names[i] = "`" + name + "`"
		if rulestest.Closed(name) && len(values) > 0 {
			names[i] += ": " + strings.Join(values, ", ")
		}
	}
	return strings.Join(names, "; ")
}

func TestTheMetricsAreThoseOfThePrograms(t *testing.T) {
	t.Parallel()
	want := metricsPage(t)
	if *update {
		if err := os.WriteFile("metrics.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, "metrics.md"); got != want {
		t.Error("metrics.md is not what the programs export; run go test ./docs -update")
	}
}
