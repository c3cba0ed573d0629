// Package rulestest knows which metrics, labels and states the programs really export, so that the tests of the rules,
// of the dashboards and of the manual notice a name that nobody sends. A wrong name in PromQL is no error to
// Prometheus: it is an alert that never fires. Only tests import it.
//
//	known := rulestest.Load(t, "..")
//	for _, wrong := range known.Check(expr, recorded) { … }
package rulestest

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Vocabulary holds the label values seen, by metric and label.
type Vocabulary map[string]map[string][]string

// closed are the labels whose values are a list of the program's; those of the others are the inventory's.
var closed = []string{
	"state", "flag", "reason", "collector", "phase", "subject", "slot", "mode", "role", "status", "result", "guard", "outcome",
	"method", "kind", "module", "handler", "alertstate", "component", "class", "use", "scope", "access", "operation",
}

// Closed reports whether the label's values are a list of the program's own.
func Closed(label string) bool { return slices.Contains(closed, label) }

// scraped are the labels that Prometheus itself adds to every series; exported_cluster where it did not expect cluster.
var scraped = []string{"job", "instance", "exported_cluster"}

// Load reads what the tree at root exports.
func Load(t testing.TB, root string) Vocabulary {
	t.Helper()
	// What Prometheus writes by itself of every scrape (prometheus.io, "Jobs and instances") and of every alert; a
	// target's labels are what /sd says of it.
	v := Vocabulary{
		"up":                      {"cluster": nil, "node": nil, "vm": nil, "sql_instance": nil},
		"scrape_duration_seconds": {"cluster": nil, "node": nil, "vm": nil, "sql_instance": nil},
		"scrape_samples_scraped":  {"cluster": nil, "node": nil, "vm": nil, "sql_instance": nil},
		"ALERTS":                  {"alertstate": {"firing", "pending"}, "alertname": nil, "cluster": nil, "node": nil, "vm": nil, "sql_instance": nil, "fault": nil, "severity": nil, "hypervigil": nil},
		"ALERTS_FOR_STATE":        {"alertname": nil, "cluster": nil, "vm": nil, "sql_instance": nil, "fault": nil, "severity": nil, "hypervigil": nil},
	}
	for _, m := range Metrics(t, root) {
		v[m.Name] = m.Labels
		if m.Type == "histogram" {
			v[m.Name+"_sum"], v[m.Name+"_count"], v[m.Name+"_bucket"] = m.Labels, m.Labels, m.Labels
		}
	}
	return v
}

// Recordings lists the recording rules of a file of rules.
func Recordings(t testing.TB, rules []byte) []string {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []struct{ Record string } }
	}
	if err := yaml.Unmarshal(rules, &file); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Record != "" {
				all = append(all, r.Record)
			}
		}
	}
	return all
}

var (
	selector = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	bare     = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	strs     = regexp.MustCompile(`"[^"]*"`)
	clauses  = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	// prefixes are those of every metric there is; whatever begins otherwise is PromQL's own word.
	prefixes = regexp.MustCompile(`^(mssql_|hyperv_|wsfc_|guest_|probe_|hypervigil_|windows_|go_|process_|up$|ALERTS)`)
)

// Check returns what an expression names that nobody exports: metrics, labels in their matchers, and values of labels
// whose values are ours. Names with a colon are recording rules; recorded lists those there are. A value that begins
// with a dollar is a dashboard's variable.
func (v Vocabulary) Check(expr string, recorded []string) []string {
	var wrong []string
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		known, ok := v[s[1]]
		if !ok {
			continue // said below
		}
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			wrong = append(wrong, match(s[1], known, m[1], m[2], m[3])...)
		}
	}
	rest := clauses.ReplaceAllString(strs.ReplaceAllString(expr, `""`), "")
	for _, name := range bare.FindAllString(selector.ReplaceAllString(rest, "$1"), -1) {
		switch {
		case strings.Contains(strings.Trim(name, ":"), ":"):
			if !slices.Contains(recorded, name) {
				wrong = append(wrong, name+": no such recording rule")
			}
		case prefixes.MatchString(name):
			if _, ok := v[name]; !ok {
				wrong = append(wrong, name+": no such metric is exported")
			}
		}
	}
	return wrong
}

// match says what is wrong with one matcher of a metric.
func match(metric string, known map[string][]string, label, operator, value string) (wrong []string) {
	if _, ok := known[label]; !ok {
		if slices.Contains(scraped, label) {
			return nil
		}
		return []string{metric + "{" + label + "}: no such label"}
	}
	// Where there is no series before something happens, there is nothing to compare with.
	if !Closed(label) || !slices.ContainsFunc(known[label], func(v string) bool { return v != "" }) {
		return nil
	}
	values := []string{value}
	if strings.HasSuffix(operator, "~") {
		values = strings.Split(value, "|")
	}
	for _, value := range values {
		if value != "" && !strings.HasPrefix(value, "$") && !slices.Contains(known[label], value) {
			wrong = append(wrong, metric+"{"+label+"="+value+"}: no such value is exported")
		}
	}
	return wrong
}
