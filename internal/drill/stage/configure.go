package stage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/rules"
)

// The files that a stage writes into its folder.
const (
	configFile       = "hypervigil.yml"
	prometheusFile   = "prometheus.yml"
	alertmanagerFile = "alertmanager.yml"
)

// What a stage overrides so that a reader need not wait for minutes. Only the lab gets away with limits that are
// weaker than the defaults.
const (
	speed              = rules.Fast
	holdOff            = 5 * time.Second
	hold               = 3 * time.Second
	healthCheckTimeout = 15 * time.Second
	healCleanStopAfter = 5 * time.Second

	// In a measurement the receiver starts anew for each trial, and is ready once it has sampled its cluster three times.
	measuredHoldOff = time.Second
	measuredSample  = 2 * time.Second
)

// commandLimit bounds one call of hypervigilctl or promtool.
const commandLimit = 20 * time.Second

// policy is the policy "standard" as the stage overrides it, in the form that lab.ConfigOptions wants.
func (o Options) policy() string {
	if o.Measured {
		return o.Policy
	}
	var b strings.Builder
	fmt.Fprintf(&b, "      health_check_timeout: %s\n", healthCheckTimeout)
	fmt.Fprintf(&b, "      limits: {hold: %s}\n", hold)
	if len(o.Rungs) > 0 {
		fmt.Fprintln(&b, "      rungs:")
	}
	for _, rung := range slices.Sorted(maps.Keys(o.Rungs)) {
		fmt.Fprintf(&b, "        %s: %s\n", rung, o.Rungs[rung])
	}
	if o.InternalLevel > 0 {
		fmt.Fprintf(&b, "      internal_level: %d\n", o.InternalLevel)
	}
	if o.HealCleanStop {
		fmt.Fprintf(&b, "      clean_stop: {heal_after: %s}\n", healCleanStopAfter)
	}
	return b.String()
}

// configure writes hypervigil.yml and lets hypervigilctl write the rest from it, as an operator would.
func (s *Stage) configure(ctx context.Context) error {
	dir := s.options.Dir
	o := lab.ConfigOptions{Dir: dir, Alertmanagers: s.Alertmanagers, LedgerPath: s.ledger(), HoldOff: holdOff, Policy: s.options.policy()}
	if s.options.Measured {
		o.HoldOff, o.Sample = measuredHoldOff, measuredSample
	}
	path, err := s.Lab.Config(o)
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	if s.Config, err = config.Load(path); err != nil {
		return err
	}
	s.TokenFile = s.Config.Receiver.Webhook.TokenFile
	webhook := s.options.Webhook
	if webhook == "" {
		webhook = s.Webhook
	}
	common := []string{"--config=" + path, "--speed=" + s.options.Speed.String(), "--out=" + dir}
	for _, args := range [][]string{
		{"generate", "rules"},
		{"generate", "prometheus", "--exporter.url=" + s.Endpoints.Exporter, "--receiver.url=" + s.Endpoints.Receiver, "--prometheus.url=" + s.Endpoints.Prometheus},
		{"generate", "alertmanager", "--webhook.url=" + webhook},
	} {
		if err := call(ctx, s.options.Programs.Ctl, append(args, common...)...); err != nil {
			return err
		}
	}
	if err := call(ctx, s.options.Programs.Promtool, "check", "config", filepath.Join(dir, prometheusFile)); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(dir, prometheusFile))
	if err != nil {
		return err
	}
	if s.jobs, err = quickJobs(text, s.options.Speed); err != nil {
		return err
	}
	s.say("hypervigilctl wrote the configurations of Prometheus and Alertmanager into %s; promtool finds no fault in Prometheus'", dir)
	if s.options.EditAlertmanager == nil {
		return nil
	}
	file := filepath.Join(dir, alertmanagerFile)
	if text, err = os.ReadFile(file); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(s.options.EditAlertmanager(string(text))), 0o600)
}

// call runs a program to its end.
func call(ctx context.Context, path string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	if out, err := exec.CommandContext(ctx, path, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(path), strings.Join(args, " "), err, out)
	}
	return nil
}

// quickJobs lists those of Prometheus' jobs that a fault is noticed by: what is scraped at the hosts' pace or faster.
// The others tell people things, and a first scrape of theirs may be a minute away.
func quickJobs(prometheus []byte, at rules.Speed) ([]string, error) {
	timing, err := at.Timing()
	if err != nil {
		return nil, err
	}
	type job struct {
		Name     string         `yaml:"job_name"`
		Interval model.Duration `yaml:"scrape_interval"`
	}
	var file struct {
		Global job   `yaml:"global"`
		Jobs   []job `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal(prometheus, &file); err != nil {
		return nil, fmt.Errorf("read the jobs of Prometheus: %w", err)
	}
	var list []string
	for _, j := range file.Jobs {
		if time.Duration(cmp.Or(j.Interval, file.Global.Interval)) <= timing.Host {
			list = append(list, j.Name)
		}
	}
	return list, nil
}
