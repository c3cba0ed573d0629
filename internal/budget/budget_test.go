package budget_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/budget"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/generate"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/rules"
)

// given are Windows Server 2016's defaults.
func given() budget.Given {
	p := config.DefaultPolicy()
	p.InternalLevel = 3
	return budget.Given{
		Policy: p, GuestHeartbeat: 10 * time.Second,
		Info: cluster.Info{SameSubnetDelay: time.Second, SameSubnetThreshold: 10, ResiliencyDefaultPeriod: 240 * time.Second},
	}
}

// sources are the files that we ourselves generate.
func sources(t *testing.T, speed rules.Speed) budget.Sources {
	t.Helper()
	c := &config.Config{}
	c.Exporter.Modules = config.DefaultModules()
	for name, m := range c.Exporter.Modules {
		m.Name = name
	}
	c.Receiver.Webhook.TokenFile = "/etc/hypervigil/webhook.token"
	c.Receiver.Alertmanagers = []string{"http://127.0.0.1:9093"}
	s := budget.Sources{Modules: c.Exporter.Modules}
	var err error
	if s.Prometheus, err = generate.Prometheus(c, generate.Options{Speed: speed}); err != nil {
		t.Fatal(err)
	}
	if s.Alertmanager, err = generate.Alertmanager(c, generate.Options{Speed: speed}); err != nil {
		t.Fatal(err)
	}
	r, err := rules.Generate(speed)
	if err != nil {
		t.Fatal(err)
	}
	s.Rules = map[string][]byte{rules.File: r}
	return s
}

func reckon(t *testing.T, s budget.Sources, g budget.Given) map[evidence.Fault]budget.Class {
	t.Helper()
	chain, err := budget.Read(s)
	if err != nil {
		t.Fatal(err)
	}
	classes, err := chain.Reckon(g)
	if err != nil {
		t.Fatal(err)
	}
	all := map[evidence.Fault]budget.Class{}
	for _, c := range classes {
		all[c.Fault] = c
	}
	return all
}

// TestTheGeneratedChain reckons the stages that matter by hand.
func TestTheGeneratedChain(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for _, test := range []struct {
		speed rules.Speed
		fault evidence.Fault
		stage string
		want  budget.Span
	}{
		{rules.Fast, evidence.Service, "scrape", budget.Span{Typical: s / 2, Worst: s}},
		{rules.Fast, evidence.Service, "evaluation", budget.Span{Typical: s / 2, Worst: s}},
		{rules.Standard, evidence.Service, "scrape", budget.Span{Typical: 5 * s / 2, Worst: 5 * s}},
		{rules.Standard, evidence.Service, "evaluation", budget.Span{Typical: 5 * s / 2, Worst: 5 * s}},
		// A window of 3.5 s: the last good probe, up to a second old, must have left it.
		{rules.Fast, evidence.Hang, "confirmation", budget.Span{Best: 5 * s / 2, Typical: 5 * s / 2, Worst: 5 * s / 2}},
		{rules.Standard, evidence.Hang, "confirmation", budget.Span{Best: 17 * s / 2, Typical: 17 * s / 2, Worst: 17 * s / 2}},
		{rules.Standard, evidence.Network, "confirmation", budget.Span{Best: 65 * s / 2, Typical: 65 * s / 2, Worst: 65 * s / 2}},
		{rules.Standard, evidence.Guest, "notice", budget.Span{Best: 10 * s, Typical: 10 * s, Worst: 10 * s}},
		{rules.Standard, evidence.Guest, "scrape", budget.Span{Typical: 15 * s / 2, Worst: 15 * s}},
		{rules.Standard, evidence.Host, "notice", budget.Span{Best: 10 * s, Typical: 10 * s, Worst: 10 * s}},
		{rules.Standard, evidence.Host, "scrape", budget.Span{Typical: 15 * s / 2, Worst: 15 * s}},
		{rules.Fast, evidence.Host, "scrape", budget.Span{Typical: 5 * s / 2, Worst: 5 * s}},
		// Three sets, ten seconds apart; the first comes within ten seconds.
		{rules.Fast, evidence.Internal, "notice", budget.Span{Best: 20 * s, Typical: 25 * s, Worst: 30 * s}},
		// Four rounds that nobody answers, three waits of ten seconds between them; of those that answer a second at most.
		{rules.Fast, evidence.Hang, "guards", budget.Span{Best: 42 * s, Typical: 42*s + s/20, Worst: 43 * s}},
		{rules.Fast, evidence.Network, "guards", budget.Span{Best: 38 * s, Typical: 38*s + s/20, Worst: 39 * s}},
		{rules.Fast, evidence.Guest, "guards", budget.Span{Best: 68 * s, Typical: 68*s + s/20, Worst: 91 * s}},
		{rules.Fast, evidence.Guest, "evidence", budget.Span{Best: 4 * s, Typical: 4*s + s/20, Worst: 5 * s}},
		{rules.Fast, evidence.Hang, "evidence", budget.Span{Typical: s / 20, Worst: 5 * s}},
	} {
		t.Run(string(test.speed)+"/"+string(test.fault)+"/"+test.stage, func(t *testing.T) {
			t.Parallel()
			for _, stage := range reckon(t, sources(t, test.speed), given())[test.fault].Stages {
				if stage.Name == test.stage {
					if diff := cmp.Diff(test.want, stage.Span); diff != "" {
						t.Error(diff)
					}
					return
				}
			}
			t.Errorf("the class has no such stage")
		})
	}
}

func TestTheTotalIsTheSumOfItsParts(t *testing.T) {
	t.Parallel()
	for fault, c := range reckon(t, sources(t, rules.Fast), given()) {
		var sum budget.Span
		for _, s := range c.Stages {
			if s.Best > s.Typical || s.Typical > s.Worst {
				t.Errorf("%s, %s: %v is not in order", fault, s.Name, s.Span)
			}
			sum.Best, sum.Typical, sum.Worst = sum.Best+s.Best, sum.Typical+s.Typical, sum.Worst+s.Worst
		}
		if sum != c.Total {
			t.Errorf("%s: the parts make %v, the total is %v", fault, sum, c.Total)
		}
	}
}

// TestWhatTheFilesSayCounts changes one setting at a time.
func TestWhatTheFilesSayCounts(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for _, test := range []struct {
		name   string
		fault  evidence.Fault
		change func(*budget.Sources, *budget.Given)
		more   time.Duration // at worst
	}{
		{"group_wait", evidence.Service, func(f *budget.Sources, _ *budget.Given) {
			f.Alertmanager = replace(t, f.Alertmanager, `group_by: [cluster, vm]
      group_wait: 0s`, `group_by: [cluster, vm]
      group_wait: 3s`)
		}, 3 * s},
		{"for", evidence.Service, func(f *budget.Sources, _ *budget.Given) {
			f.Rules[rules.File] = replace(t, f.Rules[rules.File], `    for: 0s
        labels: {fault: service`, `    for: 4s
        labels: {fault: service`)
		}, 4 * s},
		{"scrape_interval", evidence.Service, func(f *budget.Sources, _ *budget.Given) {
			f.Prometheus = replace(t, f.Prometheus, `  - job_name: mssql_availability
    honor_labels: true
    scrape_interval: 1s`, `  - job_name: mssql_availability
    honor_labels: true
    scrape_interval: 8s`)
		}, 7 * s},
		{"group interval", evidence.Service, func(f *budget.Sources, _ *budget.Given) {
			f.Rules[rules.File] = replace(t, f.Rules[rules.File], `- name: hypervigil-act
    interval: 1s`, `- name: hypervigil-act
    interval: 10s`)
		}, 9 * s},
		{"health_check_timeout", evidence.Hang, func(_ *budget.Sources, g *budget.Given) { g.Policy.HealthCheckTimeout = 45 * s }, 15 * s},
		{"heartbeat", evidence.Host, func(_ *budget.Sources, g *budget.Given) { g.Info.SameSubnetThreshold = 20 }, 20 * s},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f, g := sources(t, rules.Fast), given()
			before := reckon(t, f, g)[test.fault].Total.Worst
			test.change(&f, &g)
			if more := reckon(t, f, g)[test.fault].Total.Worst - before; more != test.more {
				t.Errorf("at worst it takes %s more, want %s", more, test.more)
			}
		})
	}
}

func replace(t *testing.T, b []byte, old, with string) []byte {
	t.Helper()
	if strings.Count(string(b), old) != 1 {
		t.Fatalf("%q is not in the file once", old)
	}
	return []byte(strings.Replace(string(b), old, with, 1))
}

func TestWhatCannotWorkIsSaid(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*budget.Sources)
		want   string
	}{
		{"no job", func(f *budget.Sources) { f.Prometheus = []byte("scrape_configs: []\n") }, "no scrape job asks the exporter for a module"},
		{"unknown module", func(f *budget.Sources) { delete(f.Modules, "wsfc") }, `job wsfc asks for module "wsfc", which hypervigil.yml does not have`},
		{"no acting alert", func(f *budget.Sources) { f.Rules = map[string][]byte{"r": []byte("groups: []\n")} }, "nothing would ever wake the receiver"},
		{"bad expression", func(f *budget.Sources) {
			f.Rules = map[string][]byte{"r.yml": []byte("groups: [{name: g, rules: [{alert: A, expr: 'x ==', labels: {hypervigil: act, fault: service}}]}]\n")}
		}, "rules r.yml: group g, rule A"},
		{"foreign metric", func(f *budget.Sources) {
			f.Rules = map[string][]byte{"r.yml": []byte("groups: [{name: g, rules: [{alert: A, expr: 'x == 1', labels: {hypervigil: act, fault: service}}]}]\n")}
		}, "alert A: which job scrapes x cannot be told"},
		{"unknown fault", func(f *budget.Sources) {
			f.Rules = map[string][]byte{"r.yml": []byte("groups: [{name: g, rules: [{alert: A, expr: 'wsfc_x == 1', labels: {hypervigil: act, fault: rust}}]}]\n")}
		}, `label fault is "rust"`},
		{"offset", func(f *budget.Sources) {
			f.Rules = map[string][]byte{"r.yml": []byte("groups: [{name: g, rules: [{alert: A, expr: 'wsfc_x offset 5m == 1', labels: {hypervigil: act, fault: host}}]}]\n")}
		}, "cannot reckon with the offset of wsfc_x offset 5m"},
		{"no route", func(f *budget.Sources) {
			f.Alertmanager = []byte("route: {receiver: people}\nreceivers: [{name: people}]\n")
		}, "to no receiver with a webhook"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := sources(t, rules.Fast)
			test.change(&f)
			chain, err := budget.Read(f)
			if err == nil {
				_, err = chain.Reckon(given())
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want one with %q", err, test.want)
			}
		})
	}
}

// TestRoutesAndGroups reckons with what our own files do not have: a routing tree with several ways, a recording rule of
// another group, and an alert that is content with the sooner of two observers.
func TestRoutesAndGroups(t *testing.T) {
	t.Parallel()
	const s = time.Second
	f := sources(t, rules.Fast)
	f.Rules = map[string][]byte{"r.yml": []byte(`groups:
  - name: records
    interval: 7s
    rules: [{record: "a:b", expr: 'max(mssql_up == 0)'}]
  - name: alerts
    interval: 2s
    rules:
      - {alert: A, expr: '(a:b) or wsfc_x == 1 unless hyperv_y offset 1h', labels: {hypervigil: act, fault: service}}
`)}
	f.Alertmanager = []byte(`route:
  receiver: people
  group_wait: 9s
  routes:
    - {receiver: hook, matchers: ['fault="host"'], group_wait: 1s}
    - receiver: people
      matchers: ['hypervigil="act"']
      continue: true
      routes: [{receiver: hook, match: {fault: service}, group_wait: 6s, group_interval: 8s}]
    - {receiver: hook}
receivers: [{name: people}, {name: hook, webhook_configs: [{url: "http://127.0.0.1/webhook"}]}]
`)
	c := reckon(t, f, given())[evidence.Service]
	got := map[string]budget.Span{}
	for _, stage := range c.Stages {
		got[stage.Name] = stage.Span
	}
	if c.Again != 8*s {
		t.Errorf("group_interval is %s, want the innermost route's 8s", c.Again)
	}
	for name, want := range map[string]budget.Span{
		// mssql_up every second, its time-out of one, and seven for its rule's group are sooner than wsfc's five and five.
		"recording":  {Typical: 7 * s / 2, Worst: 7 * s},
		"evaluation": {Typical: s, Worst: 2 * s},
		"group_wait": {Best: 6 * s, Typical: 6 * s, Worst: 6 * s},
	} {
		if got[name] != want {
			t.Errorf("stage %s is %v, want %v", name, got[name], want)
		}
	}
}
