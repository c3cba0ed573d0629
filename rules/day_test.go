package rules

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// day is a healthy, busy cluster of the lab's model: what is done to it and when, sampled as Prometheus would at the standard
// speed, every probe and every scrape of it. What is random comes from one seed.
//
// Guests do not restart in it. One that does refuses connections while its SQL Server starts; SQLServerDown fires then,
// rightly by what can be seen from outside, and it is the receiver that leaves an orderly restart alone (G32). Patched are the
// hosts, as a cluster is: drained, without their cluster service for a while, and back.
type day struct {
	model  *model.Model
	random *rand.Rand
	from   time.Time
	faults map[string]string // what was injected and is not healed, by a name of the plan
	cut    bool              // the exporter's network
	broken string            // what of the plan could not be done
}

// errand is something that happens in a day.
type errand struct {
	at time.Duration
	do func(*day)
}

// The scrapes that a day loses besides those that are lost by chance.
const (
	lostByChance      = 0.003
	prometheusIsOff   = 9*time.Hour + 11*time.Minute
	prometheusBack    = prometheusIsOff + 40*time.Second
	exporterRestarts  = 15*time.Hour + 3*time.Minute
	exporterIsBack    = exporterRestarts + 20*time.Second
	monitoringIsCut   = 20*time.Hour + 30*time.Minute
	monitoringMended  = monitoringIsCut + 2*time.Minute
	drainTakes        = 5 * time.Minute
	patchTakes        = 12 * time.Minute
	backupsBegin      = 22 * time.Hour
	migrateEvery      = 37 * time.Minute
	balanceEvery      = 101 * time.Minute
	betweenTwoPatches = time.Hour
)

func newDay(t *testing.T) *day {
	t.Helper()
	profile := model.Paper()
	profile.Resiliency = 4 * time.Minute
	from := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
	m, err := model.New(model.Default(profile), from, 1)
	if err != nil {
		t.Fatal(err)
	}
	return &day{model: m, random: rand.New(rand.NewPCG(24, 1)), from: from, faults: map[string]string{}} //nolint:gosec // the same day each time
}

// begin injects something under a name, by which end heals it.
func (d *day) begin(name string, r model.Request) {
	in, err := d.model.Inject(r)
	if err != nil {
		d.broken = fmt.Sprintf("%s: %v", name, err)
	}
	d.faults[name] = in.ID
}

func (d *day) end(name string) {
	if !d.model.Heal(d.faults[name]) {
		d.broken = "nothing to heal of " + name
	}
}

// busy is the plan of the day.
func (d *day) busy() []errand {
	var plan []errand
	add := func(at time.Duration, do func(*day)) { plan = append(plan, errand{at, do}) }
	names := []string{"SQL01", "SQL02", "SQL03", "SQL04"}
	for n, at := 0, 11*time.Minute; at < 24*time.Hour; n, at = n+1, at+migrateEvery {
		if at > time.Hour && at < 4*time.Hour { // while hosts are patched nobody moves anything else
			continue
		}
		vm := names[n%len(names)]
		add(at, func(d *day) { d.begin("move of "+vm, model.Request{Fault: model.LiveMigration, VM: vm}) })
	}
	for n, at := 1, 4*time.Hour+29*time.Minute; at < 24*time.Hour; n, at = n+1, at+balanceEvery {
		vm := names[n%len(names)]
		add(at, func(d *day) { d.begin("balance "+vm, model.Request{Fault: model.Balancing, VM: vm}) })
	}
	for n, node := range d.model.Spec.Nodes {
		at := time.Hour + time.Duration(n)*betweenTwoPatches
		add(at, func(d *day) { d.begin("drain "+node, model.Request{Fault: model.Drain, Node: node}) })
		add(at+drainTakes, func(d *day) { d.begin("patch "+node, model.Request{Fault: model.ClusterServiceStop, Node: node}) })
		add(at+patchTakes, func(d *day) { d.end("patch " + node) })
		add(at+patchTakes+time.Minute, func(d *day) { d.end("drain " + node) })
	}
	for n, vm := range names {
		at := backupsBegin + time.Duration(n)*10*time.Minute
		add(at, func(d *day) { d.begin("backup of "+vm, model.Request{Fault: model.SQLBackup, VM: vm}) })
		add(at+8*time.Minute, func(d *day) { d.end("backup of " + vm) })
	}
	add(23*time.Hour, func(d *day) { d.begin("volume", model.Request{Fault: model.VolumeRedirected}) })
	add(23*time.Hour+10*time.Minute, func(d *day) { d.end("volume") })
	add(monitoringIsCut, func(d *day) { d.cut = true })
	add(monitoringMended, func(d *day) { d.cut = false })
	slices.SortStableFunc(plan, func(a, b errand) int { return int(a.at - b.at) })
	return plan
}

// world is what the exporter sees of the model at the moment at which it is asked.
func (d *day) world() *world {
	w := &world{sql: map[string]at{}, hosts: map[string]at{}, vms: map[string]at{}, nodes: map[string]at{}, owners: map[string]at{}, groups: map[string]at{}}
	unlessCut := func(says func() string) at {
		return func(time.Duration) string {
			if d.cut {
				return string(dial.TCPTimeout)
			}
			return says()
		}
	}
	for _, n := range d.model.Nodes {
		w.hosts[n.Name] = unlessCut(func() string {
			if !n.Powered {
				return string(dial.TCPTimeout)
			}
			return ""
		})
		w.nodes[n.Name] = func(time.Duration) string {
			switch {
			case n.Status&cluster.NodeIsolated != 0:
				return "isolated"
			case n.State == cluster.NodeDown:
				return "down"
			case n.State == cluster.NodePaused:
				return "paused"
			}
			return "up"
		}
	}
	w.cluster = unlessCut(func() string { return "" })
	for _, v := range d.model.VMs {
		if len(v.Servers) == 0 {
			continue
		}
		for _, s := range v.Servers {
			w.sql[v.Name+"/"+s.Instance] = unlessCut(func() string {
				switch {
				case !d.model.Reachable(v):
					return string(dial.TCPTimeout)
				case s.Hung:
					return string(dial.LoginTimeout)
				case !s.Up:
					return string(dial.Refused)
				}
				return ""
			})
		}
		for n, node := range d.model.Nodes {
			before := d.model.Nodes[(n+len(d.model.Nodes)-1)%len(d.model.Nodes)].Name
			w.vms[node.Name+"/"+v.Name] = func(time.Duration) string {
				running := v.State == cluster.VMRunning
				switch {
				case d.model.Host(v) == node.Name && running && v.Heartbeat == cluster.HeartbeatOK:
					return "running ok"
				case d.model.Host(v) == node.Name && running:
					return "running lost_communication"
				case d.model.Host(v) == node.Name:
					return "off absent"
				case running && v.GroupState == cluster.GroupPending && d.model.Host(v) == before:
					return "starting no_contact" // a move is under way, and a second host reports the machine
				}
				return ""
			}
		}
		w.owners[v.Name] = func(time.Duration) string { return v.Owner }
		w.groups[v.Name] = func(time.Duration) string {
			switch v.GroupState {
			case cluster.GroupOnline:
				return "online"
			case cluster.GroupFailed:
				return "failed"
			case cluster.GroupPending:
				return "pending"
			case cluster.GroupOffline:
				return "offline"
			}
			return "partial_online"
		}
	}
	return w
}

// written is a series as promtool reads it, written while time passes.
type written struct {
	b     strings.Builder
	steps int // written so far
	last  string
	same  int
}

// put writes a value at a step; the steps since the last one have none.
func (s *written) put(step int, value string) {
	if step == s.steps && value == s.last {
		s.same++
		s.steps++
		return
	}
	s.flush()
	if gap := step - s.steps; gap > 0 {
		fmt.Fprintf(&s.b, "_x%d ", gap)
	}
	s.last, s.same, s.steps = value, 1, step+1
}

func (s *written) flush() {
	switch {
	case s.same == 0:
	case s.same == 1 || s.last == "stale":
		s.b.WriteString(strings.Repeat(s.last+" ", s.same))
	default:
		fmt.Fprintf(&s.b, "%s+0x%d ", s.last, s.same-1)
	}
	s.same = 0
}

// trace plays the plan and writes what Prometheus gets until the end. The slower targets' series have a value in one step of
// several, which promtool is told by repeating the rest: gaps.
func (d *day) trace(t *testing.T, timing Timing, plan []errand, end time.Duration) []input {
	t.Helper()
	step := timing.SQL
	all := map[string]*written{}
	put := func(name string, n int, value string) {
		s := all[name]
		if s == nil {
			s = &written{}
			all[name] = s
		}
		s.put(n, value)
	}
	read := named(t)
	targets := d.world().targets(timing)
	before := make([]scrape, len(targets))
	names := make([]map[string]string, len(targets)) // with job and instance, by series
	for n := range names {
		names[n] = map[string]string{}
	}
	for n := range int(end/step) + 1 {
		at := time.Duration(n) * step
		for len(plan) > 0 && plan[0].at <= at {
			d.model.Advance(d.from.Add(plan[0].at))
			plan[0].do(d)
			plan = plan[1:]
		}
		d.model.Advance(d.from.Add(at))
		if d.broken != "" {
			t.Fatalf("%v: %s", at, d.broken)
		}
		off := at >= prometheusIsOff && at < prometheusBack
		for k, target := range targets {
			if n%int(target.every/step) != 0 || off {
				continue
			}
			now := target.scrape(at)
			maps.DeleteFunc(now, func(series string, _ float64) bool { return !read[series[:strings.IndexByte(series, '{')]] })
			if d.random.Float64() < lostByChance || at >= exporterRestarts && at < exporterIsBack {
				now = nil
			}
			labelled := func(series string) string {
				name := names[k][series]
				if name == "" {
					name = strings.Replace(series, "{", fmt.Sprintf("{instance=%q,job=%q,", target.instance, target.job), 1)
					names[k][series] = name
				}
				return name
			}
			for series := range before[k] {
				if _, ok := now[series]; !ok {
					put(labelled(series), n, "stale")
				}
			}
			for series, v := range now {
				put(labelled(series), n, strconv.FormatFloat(v, 'g', -1, 64))
			}
			before[k] = now
		}
	}
	list := make([]input, 0, len(all))
	for name, s := range all {
		s.flush()
		list = append(list, input{name, strings.TrimSpace(s.b.String())})
	}
	slices.SortFunc(list, func(a, b input) int { return strings.Compare(a.Series, b.Series) })
	return list
}

var metricName = regexp.MustCompile(`[a-z_]+`)

// named has every word of the acting rules, and so every metric that they read: the rest of what a scrape brings would
// only make promtool's work longer.
func named(t *testing.T) map[string]bool {
	t.Helper()
	words := map[string]bool{}
	for _, g := range load(t, Standard).Groups {
		if g.Name != "hypervigil-act" {
			continue
		}
		for _, r := range g.Rules {
			for _, word := range metricName.FindAllString(r.Expr, -1) {
				words[word] = true
			}
		}
	}
	return words
}

// The part of promtool's file of unit tests that asks a question.
type (
	asks struct {
		RuleFiles          []string  `yaml:"rule_files"`
		EvaluationInterval string    `yaml:"evaluation_interval"`
		Tests              []askTest `yaml:"tests"`
	}
	askTest struct {
		Name     string  `yaml:"name"`
		Interval string  `yaml:"interval"`
		Series   []input `yaml:"input_series"`
		Asks     []ask   `yaml:"promql_expr_test"`
	}
	ask struct {
		Expr    string         `yaml:"expr"`
		At      string         `yaml:"eval_time"`
		Answers []sampleWanted `yaml:"exp_samples"`
	}
	sampleWanted struct {
		Labels string  `yaml:"labels"`
		Value  float64 `yaml:"value"`
	}
)

// fired lists every acting alert that fired at any moment of a day.
const fired = `group by (alertname, vm, sql_instance) (count_over_time(ALERTS{alertstate="firing", hypervigil="act"}[1d]))`

// TestADayOfABusyClusterRaisesNoActingAlert, and the same day with one service that dies in it raises that one. Standard speed,
// every evaluation of it, by the acting rules: 17,281 times nineteen rules, which is most of a minute of one core. "make test"
// runs it beside what waits (internal/tools/verify names it).
func TestADayOfABusyClusterRaisesNoActingAlert(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a day takes most of a minute of one core")
	}
	timing, err := Standard.Timing()
	if err != nil {
		t.Fatal(err)
	}
	tool := promtool(t)
	const died = 2*time.Hour + 8*time.Minute + 3*time.Second // SQL02, while a host is being patched
	whole := newDay(t)
	sick := newDay(t)
	plan := append(sick.busy(), errand{died, func(d *day) { d.begin("death", model.Request{Fault: model.ServiceCrash, VM: "SQL02"}) }})
	slices.SortStableFunc(plan, func(a, b errand) int { return int(a.at - b.at) })
	file := asks{
		RuleFiles: []string{only(t, Standard, acting)}, EvaluationInterval: Duration(timing.Evaluation),
		Tests: []askTest{
			{
				Name: "a day", Interval: Duration(timing.SQL), Series: whole.trace(t, timing, whole.busy(), 24*time.Hour),
				Asks: []ask{
					{fired, Duration(24*time.Hour - timing.SQL), []sampleWanted{}},
					// The rules were evaluated and there was something to see.
					{`count(vm:probe_silent:ratio)`, Duration(24*time.Hour - timing.SQL), []sampleWanted{{"{}", 4}}},
				},
			},
			{
				Name: "the same day with a death in it", Interval: Duration(timing.SQL), Series: sick.trace(t, timing, plan, died+10*time.Minute),
				Asks: []ask{{fired, Duration(died.Truncate(timing.SQL) + 5*time.Minute), []sampleWanted{
					{`{alertname="SQLServerDown", sql_instance="MSSQLSERVER", vm="SQL02"}`, 1},
				}}},
			},
		},
	}
	judge(t, tool, file, "")
}
