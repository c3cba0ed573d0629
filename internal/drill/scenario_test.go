package drill_test

import (
	"strings"
	"testing"

	"github.com/hypervigil/hypervigil/internal/drill"
)

func TestShippedScenariosAndTheTableFit(t *testing.T) {
	t.Parallel()
	scenarios, err := drill.Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	table, err := drill.Table()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, e := range table {
		rows[e.Fault] = true
	}
	for _, s := range scenarios {
		if !rows[s.Name] {
			t.Errorf("scenario %s has no row in expected.yml", s.Name)
		}
		delete(rows, s.Name)
	}
	for name := range rows {
		t.Errorf("expected.yml has rows of %s, and there is no such scenario", name)
	}
}

// TestAScenarioThatIsWrongSaysWhere: file, line, field, value, and what would be right.
func TestAScenarioThatIsWrongSaysWhere(t *testing.T) {
	t.Parallel()
	const good = "name: mine\ntitle: t\nclass: service\nvictim: {vm: SQL01}\nsteps:\n  - {at: 0s, fault: service-crash}\n"
	if _, err := drill.ParseScenario("mine.yml", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for old, test := range map[string]struct{ new, want string }{
		"class: service": {"class: sql", `mine.yml:3: class: "sql" is not allowed; use one of host, storage`},
		"at: 0s":         {"at: soon", `mine.yml:6: steps[0].at: "soon" is not a duration`},
		"title: t":       {"titel: t", `mine.yml:2: titel: unknown field; use`},
		"{vm: SQL01}":    {"{}", `mine.yml:4: victim.vm: is needed`},
		"name: mine":     {"name: My Own", `mine.yml:1: name: "My Own" has to be of small letters`},
	} {
		_, err := drill.ParseScenario("mine.yml", []byte(strings.Replace(good, old, test.new, 1)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("with %q for %q: %v, want %q", test.new, old, err, test.want)
		}
	}
}

func TestATableIsHeldToItsWords(t *testing.T) {
	t.Parallel()
	const good = "faults:\n  - fault: a\n    rows:\n      - {configurations: [host-cluster], acts: cluster, failovers_by_cluster: 1, outcome: healed, bound: 30s, because: b}\n"
	table, err := drill.ParseTable("t.yml", []byte(good))
	if err != nil || len(table) != 2 || table[1].Era != drill.EraToday {
		t.Fatalf("ParseTable = %+v, %v; want a row for each era", table, err)
	}
	for old, test := range map[string]struct{ new, want string }{
		"[host-cluster]":          {"[host-cluster, host-cluster]", "has a row already"},
		"failovers_by_cluster: 1": {"failovers_by_cluster: 1, failovers_by_us: 1", "two failovers for one fault are never expected"},
		"outcome: healed":         {"outcome: fine", `t.yml:4: faults[0].rows[0].outcome: "fine" is not allowed`},
		"bound: 30s, ":            {"", "how long it may take is needed"},
		", because: b":            {"", "faults[0].rows[0].because: is needed"},
	} {
		_, err := drill.ParseTable("t.yml", []byte(strings.Replace(good, old, test.new, 1)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("with %q for %q: %v, want %q", test.new, old, err, test.want)
		}
	}
}

// TestATrialIsJudged: each difference is named; none means that the row holds.
func TestATrialIsJudged(t *testing.T) {
	t.Parallel()
	down := 12.0
	trial := func() drill.Trial {
		return drill.Trial{
			Outcome: "healed", SQLDownSeconds: &down, Commands: []string{"Win32_Service.StartService"},
			Experiment: &drill.Experiment{Acts: drill.ByHypervigil},
		}
	}
	row := drill.Expected{Row: drill.Row{Acts: drill.ByHypervigil, Commands: map[string]int{drill.KindStartService: 1}, Outcome: "healed", Bound: 30e9, Because: "b"}}
	good := trial()
	if good.Judge(row); len(good.Failures) != 0 || good.Expected != "healed" || good.Bound == nil || *good.Bound != 30 {
		t.Errorf("a trial that holds: %+v", good.Experiment)
	}
	ended := func(at float64) func(*drill.Trial) {
		return func(t *drill.Trial) {
			t.SQLDownSeconds = nil
			t.Timeline = []drill.Moment{{AtSeconds: 1, Event: "acting"}, {AtSeconds: at, Event: "healed"}}
		}
	}
	served := trial()
	ended(29)(&served)
	if served.Judge(row); len(served.Failures) != 0 {
		t.Errorf("a SQL Server that served all the time: %q", served.Failures)
	}
	for want, change := range map[string]func(*drill.Trial){
		"came to its end after 31.0 s, the bound is 30s": ended(31),
		"outcome: refused, expected healed":              func(t *drill.Trial) { t.Outcome = "refused" },
		"failovers by the cluster: 1, expected 0":        func(t *drill.Trial) { t.FailoversByCluster = 1 },
		"failovers by us: 1, expected 0":                 func(t *drill.Trial) { t.FailoversCommanded = 1 },
		"commands: none, expected 1 start_service":       func(t *drill.Trial) { t.Commands = nil },
		"acts first: cluster, expected hypervigil":       func(t *drill.Trial) { t.Acts = drill.ByCluster },
		"SQL Server was down 31.0 s, the bound is 30s":   func(t *drill.Trial) { late := 31.0; t.SQLDownSeconds = &late },
		"nothing came within the bound of 30s":           func(t *drill.Trial) { t.SQLDownSeconds = nil },
	} {
		bad := trial()
		change(&bad)
		if bad.Judge(row); len(bad.Failures) != 1 || bad.Failures[0] != want {
			t.Errorf("failures %q, want %q", bad.Failures, want)
		}
	}
}
