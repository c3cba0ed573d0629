package ctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"go.yaml.in/yaml/v3"

	"github.com/hypervigil/hypervigil/internal/budget"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
)

// addBudget adds "budget".
func addBudget(app *kingpin.Application, commands map[string]func() error, stdout io.Writer) {
	c := app.Command("budget", "Reckon the time from a fault to the first command, at best, typically and at worst, by each part of the chain, from the files that Prometheus and Alertmanager run with.")
	file := c.Flag("config", "Path of hypervigil.yml.").Default("hypervigil.yml").String()
	prometheus := c.Flag("prometheus", "Path of prometheus.yml; its rule_files are read too.").Default("prometheus.yml").String()
	alertmanager := c.Flag("alertmanager", "Path of alertmanager.yml.").Default("alertmanager.yml").String()
	policy := c.Flag("policy", "The policy whose waits count.").Default(config.StandardPolicy).String()
	// The defaults are Windows Server 2016's: SameSubnetDelay 1 s, SameSubnetThreshold 10, ResiliencyDefaultPeriod 240 s.
	delay := c.Flag("cluster.heartbeat-delay", "The cluster's SameSubnetDelay.").Default("1s").Duration()
	threshold := c.Flag("cluster.heartbeat-threshold", "The cluster's SameSubnetThreshold: so many missed heartbeats, and a node is down.").Default("10").Uint32()
	resiliency := c.Flag("cluster.resiliency", "The cluster's ResiliencyDefaultPeriod.").Default("240s").Duration()
	guest := c.Flag("guest.heartbeat", "How long a host still calls the heartbeat of a guest OK that died. An assumption, not Microsoft's word.").Default("10s").Duration()
	asJSON := c.Flag("json", "Print JSON; durations are nanoseconds.").Bool()
	commands[c.FullCommand()] = func() error {
		cfg, err := config.Load(*file)
		if err != nil {
			return err
		}
		p, ok := cfg.Receiver.Policies[*policy]
		if !ok {
			return fmt.Errorf("--policy: %s has no policy %q", *file, *policy)
		}
		sources, err := sourcesOf(*prometheus, *alertmanager)
		if err != nil {
			return err
		}
		sources.Modules = cfg.Exporter.Modules
		chain, err := budget.Read(sources)
		if err != nil {
			return err
		}
		classes, err := chain.Reckon(budget.Given{
			Policy: p, GuestHeartbeat: *guest,
			Info: cluster.Info{SameSubnetDelay: *delay, SameSubnetThreshold: *threshold, ResiliencyDefaultPeriod: *resiliency},
		})
		if err != nil {
			return err
		}
		if *asJSON {
			e := json.NewEncoder(stdout)
			e.SetIndent("", "  ")
			return e.Encode(classes)
		}
		return printBudget(stdout, classes)
	}
}

// sourcesOf reads the two files, and the rules that the first one names.
func sourcesOf(prometheus, alertmanager string) (s budget.Sources, err error) {
	if s.Prometheus, err = os.ReadFile(prometheus); err != nil {
		return s, err
	}
	if s.Alertmanager, err = os.ReadFile(alertmanager); err != nil {
		return s, err
	}
	var f struct {
		RuleFiles []string `yaml:"rule_files"`
	}
	if err := yaml.Unmarshal(s.Prometheus, &f); err != nil {
		return s, fmt.Errorf("%s: %w", prometheus, err)
	}
	s.Rules = map[string][]byte{}
	for _, pattern := range f.RuleFiles {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(prometheus), pattern)
		}
		files, err := filepath.Glob(pattern)
		if err != nil {
			return s, fmt.Errorf("%s: rule_files %q: %w", prometheus, pattern, err)
		}
		for _, file := range files {
			if s.Rules[file], err = os.ReadFile(file); err != nil {
				return s, err
			}
		}
	}
	if len(s.Rules) == 0 {
		return s, errors.New(prometheus + ": its rule_files name no file that exists")
	}
	return s, nil
}

// printBudget writes a table for each class.
func printBudget(w io.Writer, classes []budget.Class) error {
	for n, c := range classes {
		if n > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s: alert %s\n", c.Fault, c.Alert)
		rows := [][]string{{"", "best", "typical", "worst", "share", ""}}
		row := func(name string, s budget.Span, share, why string) {
			rows = append(rows, []string{"  " + name, brief(s.Best), brief(s.Typical), brief(s.Worst), share, why})
		}
		for _, s := range c.Stages {
			why := s.Why
			if s.Given {
				why += " (assumed)"
			}
			share := "-"
			if c.Total.Typical > 0 {
				share = fmt.Sprintf("%.0f %%", 100*float64(s.Typical)/float64(c.Total.Typical))
			}
			row(s.Name, s.Span, share, why)
		}
		row("total", c.Total, "", "")
		if err := table(w, rows); err != nil {
			return err
		}
		for _, note := range c.Notes {
			fmt.Fprintf(w, "  Note: %s.\n", note)
		}
	}
	out := &printer{w: w}
	out.line("")
	out.line("Where another alert of the same group fires already, or did until less than half a minute ago, Alertmanager waits for group_interval (%s) instead of group_wait.", classes[0].Again)
	return out.err
}

// brief writes a duration for a table: to 10 ms, as the parts are not known better.
func brief(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }
