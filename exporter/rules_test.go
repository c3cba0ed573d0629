package exporter_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/rules"
)

var (
	// selector is one of the exporter's metrics in a rule, with its matchers. Names with a colon are the rules' own, and
	// those of jobs stand in quotes.
	selector = regexp.MustCompile(`(?:^|[^\w:"])((?:probe|mssql|hyperv|wsfc|hypervigil_exporter|hypervigil_threshold)_\w+)(?:\{([^}]*)\})?(?:[^\w:"]|$)`)
	matcher  = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	label    = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// absent is what the rules select and a healthy lab does not have, and why.
var absent = map[string]string{
	`mssql_backup_last_differential_timestamp_seconds{}`: "the lab makes no differential backups",
	`mssql_server_info{is_clustered="true"}`:             "the lab has no failover cluster instance",
	`probe_success{exported_cluster!=""}`:                "only a Prometheus that renames labels has it",
}

// TestRulesReadWhatIsExported asks a healthy lab everything: each series that the rules select is there, with the labels
// that they select it by. A state set is there with all its members, so this holds for the states of a sick one too.
func TestRulesReadWhatIsExported(t *testing.T) {
	t.Parallel()
	spec := model.Default(still(nil))
	spec.AvailabilityGroups = []model.AvailabilityGroup{{Name: "AG1", Replicas: []string{"SQL01/MSSQLSERVER", "SQL02/MSSQLSERVER"}}}
	s := serveSpec(t, spec, lab.ConfigOptions{})
	exported := series(t, s.get(http.MethodGet, "/metrics", nil).Body.Bytes())
	performance := question{module: "hyperv_performance", target: hostWell.target} // twice: a ratio is of two readings
	for _, q := range []question{sqlWell, {module: "mssql_diagnostics", target: sqlWell.target}, {module: "mssql_databases", target: sqlWell.target}, {module: "hyperv_events", target: hostWell.target}, performance, performance, guestWell, hostWell, allUp} {
		all, _ := s.scrape(t, q.module, q.target, 30)
		for name, lines := range all {
			exported[name] = append(exported[name], lines...)
		}
	}
	for _, speed := range rules.Speeds() {
		file, err := rules.Generate(speed)
		if err != nil {
			t.Fatal(err)
		}
		read := 0
		for line := range strings.Lines(string(file)) {
			if strings.HasPrefix(strings.TrimSpace(line), "#") || strings.Contains(line, "runbook_url") || strings.Contains(line, "summary:") || strings.Contains(line, "description:") {
				continue
			}
			for _, found := range selector.FindAllStringSubmatch(line, -1) {
				read++
				name, matchers := found[1], matcher.FindAllStringSubmatch(found[2], -1)
				if absent[name+"{"+found[2]+"}"] != "" {
					continue
				}
				if !slices.ContainsFunc(exported[name], func(series string) bool { return matches(series, matchers) }) {
					t.Errorf("%s: nothing is exported that %s{%s} selects", speed, name, found[2])
				}
			}
		}
		if read < 20 {
			t.Errorf("%s: %d selectors found, want those of all rules", speed, read)
		}
	}
}

// matches reports whether a series has the labels that PromQL's matchers want; a label that is not there is empty.
func matches(series string, matchers [][]string) bool {
	labels := map[string]string{}
	for _, l := range label.FindAllStringSubmatch(series, -1) {
		labels[l[1]] = l[2]
	}
	for _, m := range matchers {
		has, value := labels[m[1]], m[3]
		equal := has == value
		if strings.HasSuffix(m[2], "~") {
			equal = regexp.MustCompile("^(?:" + value + ")$").MatchString(has)
		}
		if equal == strings.HasPrefix(m[2], "!") {
			return false
		}
	}
	return true
}
