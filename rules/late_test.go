package rules

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// TestAHangFiresWhateverThePhaseOfScrapesAndEvaluations: a probe that gets no answer reaches Prometheus most of a second
// after the time that its sample bears. An evaluation that falls before that must find enough in its window all the
// same, and an alert that fires must outlast a scrape that was lost on top of it.
func TestAHangFiresWhateverThePhaseOfScrapesAndEvaluations(t *testing.T) {
	t.Parallel()
	const (
		step = 100 * time.Millisecond
		end  = 40 * time.Second // the one evaluation that is looked at
		late = 950 * time.Millisecond
	)
	tool := promtool(t)
	for _, speed := range Speeds() {
		timing, err := speed.Timing()
		if err != nil {
			t.Fatal(err)
		}
		tests := unitTests{RuleFiles: []string{only(t, speed, []string{"SQLServerHung"})}, EvaluationInterval: Duration(timing.Evaluation)}
		for n := range 2 * int(timing.SQL/step) {
			phase, lost := time.Duration(n/2)*step, n%2 == 1
			values := slices.Repeat([]string{"_"}, int(end/step)+1)
			newest := time.Duration(0)
			for at := phase; at+late <= end; at += timing.SQL {
				values[at/step], newest = "1", at
			}
			name := "scraped " + Duration(phase) + " after the evaluation"
			if lost {
				values[newest/step] = "_"
				name += ", the newest one lost"
			}
			u := unitTest{Name: name, Interval: Duration(step)}
			for _, reason := range dial.Reasons() {
				v := strings.Join(values, " ")
				if reason != dial.LoginTimeout {
					v = strings.ReplaceAll(v, "1", "0")
				}
				u.Series = append(u.Series, input{series("probe_failure_reason", "cluster", "hv-cl1", "vm", "SQL01", "sql_instance", "MSSQLSERVER",
					"collector", "availability", "reason", string(reason)), v})
			}
			a := hung(Duration(SilentWindow(timing.SQL)), 0, 0)
			delete(a.labels, "alertname")
			u.Checks = []check{{EvalTime: Duration(end), Name: a.name, Alerts: []expected{{a.labels, a.annotations}}}}
			tests.Tests = append(tests.Tests, u)
		}
		tests.run(t, tool, speed.String())
	}
}
