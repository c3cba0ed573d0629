package budget

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	amlabels "github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/hypervigil/hypervigil/internal/config"
)

// Sources are the files that make the chain, as they are loaded.
type Sources struct {
	Prometheus   []byte
	Rules        map[string][]byte // by file name
	Alertmanager []byte
	// Modules are those of hypervigil.yml: they say what a job's module=… asks.
	Modules map[string]*config.Module
}

// Chain is what the files say, as far as time goes.
type Chain struct {
	jobs    []job
	alerts  []alert
	records map[string]record
	routes  route
	// webhooks tells which of Alertmanager's receivers have a webhook.
	webhooks map[string]bool
}

// job is a scrape job of a module of the exporter.
type job struct {
	name              string
	module            *config.Module
	interval, timeout time.Duration
}

func (j job) collectors() []string {
	if len(j.module.Collectors) > 0 {
		return j.module.Collectors
	}
	return j.module.Prober.Collectors()
}

// alert is an alerting rule that wakes the receiver.
type alert struct {
	name     string
	expr     parser.Expr
	wait     time.Duration // for
	labels   map[string]string
	group    string
	interval time.Duration // of the group
}

type record struct {
	expr     parser.Expr
	group    string
	interval time.Duration
}

// The defaults of Prometheus and Alertmanager where their files are silent (prometheus.io, "Configuration" and "Alerting
// configuration").
const (
	defaultInterval      = model.Duration(time.Minute)
	defaultTimeout       = model.Duration(10 * time.Second)
	defaultGroupWait     = model.Duration(30 * time.Second)
	defaultGroupInterval = model.Duration(5 * time.Minute)
)

// Read takes the chain out of its files. An error names the file and what is wrong in it.
func Read(s Sources) (*Chain, error) {
	c := &Chain{records: map[string]record{}}
	evaluation, err := c.readPrometheus(s.Prometheus, s.Modules)
	if err != nil {
		return nil, fmt.Errorf("prometheus configuration: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Rules)) {
		if err := c.readRules(s.Rules[name], evaluation); err != nil {
			return nil, fmt.Errorf("rules %s: %w", name, err)
		}
	}
	if len(c.alerts) == 0 {
		return nil, errors.New(`rules: no alert has the label hypervigil="act": nothing would ever wake the receiver`)
	}
	if err := c.readAlertmanager(s.Alertmanager); err != nil {
		return nil, fmt.Errorf("alertmanager configuration: %w", err)
	}
	return c, nil
}

// readPrometheus returns the evaluation interval of the groups that have none of their own.
func (c *Chain) readPrometheus(b []byte, modules map[string]*config.Module) (time.Duration, error) {
	var f struct {
		Global struct {
			ScrapeInterval     model.Duration `yaml:"scrape_interval"`
			ScrapeTimeout      model.Duration `yaml:"scrape_timeout"`
			EvaluationInterval model.Duration `yaml:"evaluation_interval"`
		} `yaml:"global"`
		ScrapeConfigs []struct {
			JobName        string              `yaml:"job_name"`
			ScrapeInterval model.Duration      `yaml:"scrape_interval"`
			ScrapeTimeout  model.Duration      `yaml:"scrape_timeout"`
			Params         map[string][]string `yaml:"params"`
			HTTPSD         []struct {
				URL string `yaml:"url"`
			} `yaml:"http_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal(b, &f); err != nil {
		return 0, err
	}
	for _, s := range f.ScrapeConfigs {
		names := s.Params["module"]
		for _, sd := range s.HTTPSD {
			if u, err := url.Parse(sd.URL); err == nil {
				names = append(names, u.Query()["module"]...)
			}
		}
		for _, name := range names {
			m, ok := modules[name]
			if !ok {
				return 0, fmt.Errorf("job %s asks for module %q, which hypervigil.yml does not have; it has %s",
					s.JobName, name, strings.Join(slices.Sorted(maps.Keys(modules)), ", "))
			}
			interval := first(s.ScrapeInterval, f.Global.ScrapeInterval, defaultInterval)
			c.jobs = append(c.jobs, job{
				name: s.JobName, module: m, interval: interval,
				timeout: min(interval, first(s.ScrapeTimeout, f.Global.ScrapeTimeout, defaultTimeout)),
			})
		}
	}
	if len(c.jobs) == 0 {
		return 0, errors.New("no scrape job asks the exporter for a module (module=… in the job's http_sd_configs URL or params)")
	}
	return first(f.Global.EvaluationInterval, defaultInterval), nil
}

func (c *Chain) readRules(b []byte, evaluation time.Duration) error {
	var f struct {
		Groups []struct {
			Name     string         `yaml:"name"`
			Interval model.Duration `yaml:"interval"`
			Rules    []struct {
				Record string            `yaml:"record"`
				Alert  string            `yaml:"alert"`
				Expr   string            `yaml:"expr"`
				For    model.Duration    `yaml:"for"`
				Labels map[string]string `yaml:"labels"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(b, &f); err != nil {
		return err
	}
	promql := parser.NewParser(parser.Options{})
	for _, g := range f.Groups {
		interval := first(g.Interval, model.Duration(evaluation))
		for _, r := range g.Rules {
			if r.Record == "" && r.Labels["hypervigil"] != "act" {
				continue
			}
			e, err := promql.ParseExpr(r.Expr)
			if err != nil {
				return fmt.Errorf("group %s, rule %s: %w", g.Name, r.Record+r.Alert, err)
			}
			if r.Record != "" {
				c.records[r.Record] = record{expr: e, group: g.Name, interval: interval}
				continue
			}
			c.alerts = append(c.alerts, alert{
				name: r.Alert, expr: e, wait: time.Duration(r.For), labels: r.Labels, group: g.Name, interval: interval,
			})
		}
	}
	return nil
}

// route is a node of Alertmanager's routing tree, as far as time goes.
type route struct {
	Receiver      string            `yaml:"receiver"`
	Matchers      []string          `yaml:"matchers"`
	Match         map[string]string `yaml:"match"`
	GroupWait     *model.Duration   `yaml:"group_wait"`
	GroupInterval *model.Duration   `yaml:"group_interval"`
	Continue      bool              `yaml:"continue"`
	Routes        []route           `yaml:"routes"`

	wait, interval model.Duration // its own or its parent's
}

func (c *Chain) readAlertmanager(b []byte) error {
	var f struct {
		Route     *route `yaml:"route"`
		Receivers []struct {
			Name     string `yaml:"name"`
			Webhooks []any  `yaml:"webhook_configs"`
		} `yaml:"receivers"`
	}
	if err := yaml.Unmarshal(b, &f); err != nil {
		return err
	}
	if f.Route == nil {
		return errors.New("it has no route")
	}
	c.routes = *f.Route
	c.webhooks = map[string]bool{}
	for _, r := range f.Receivers {
		c.webhooks[r.Name] = len(r.Webhooks) > 0
	}
	return nil
}

// route finds the route by which an alert with these labels comes to a webhook first: as Alertmanager does, the deepest
// matches, in order, and after one only where it says continue.
func (c *Chain) route(labels map[string]string) (route, error) {
	set := model.LabelSet{}
	for name, value := range labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	root := c.routes
	root.wait, root.interval = defaultGroupWait, defaultGroupInterval
	found, err := root.match(set)
	if err != nil {
		return route{}, err
	}
	var best *route
	for n := range found {
		if c.webhooks[found[n].Receiver] && (best == nil || found[n].wait < best.wait) {
			best = &found[n]
		}
	}
	if best == nil {
		return route{}, fmt.Errorf("alertmanager routes it to no receiver with a webhook (labels %v)", labels)
	}
	return *best, nil
}

func (r route) match(set model.LabelSet) ([]route, error) {
	for name, value := range r.Match {
		if string(set[model.LabelName(name)]) != value {
			return nil, nil
		}
	}
	for _, m := range r.Matchers {
		parsed, err := amlabels.ParseMatchers(m)
		if err != nil {
			return nil, fmt.Errorf("alertmanager's matcher %q: %w", m, err)
		}
		for _, p := range parsed {
			if !p.Matches(string(set[model.LabelName(p.Name)])) {
				return nil, nil
			}
		}
	}
	if r.GroupWait != nil {
		r.wait = *r.GroupWait
	}
	if r.GroupInterval != nil {
		r.interval = *r.GroupInterval
	}
	var all []route
	for _, child := range r.Routes {
		child.wait, child.interval = r.wait, r.interval
		if child.Receiver == "" {
			child.Receiver = r.Receiver
		}
		found, err := child.match(set)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
		if len(found) > 0 && !child.Continue {
			break
		}
	}
	if len(all) == 0 {
		return []route{r}, nil
	}
	return all, nil
}

// first is the first duration that is given.
func first(ds ...model.Duration) time.Duration {
	for _, d := range ds {
		if d != 0 {
			return time.Duration(d)
		}
	}
	return 0
}
