// Package generate writes the configuration of Prometheus and of Alertmanager that fits a hypervigil.yml. It reads
// nothing but its arguments and writes no file.
//
//	prometheus, err := generate.Prometheus(cfg, generate.Options{Speed: rules.Fast})
package generate

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/rules"
)

// The jobs whose names the rules and the dashboards know. A module's job bears the module's name.
const (
	ExporterJob = "hypervigil_exporter"
	ReceiverJob = "hypervigil_receiver"

	PrometheusJob   = "prometheus"
	AlertmanagerJob = "alertmanager"
)

// The programs' own listeners where an Options names none.
const (
	DefaultExporter = "http://127.0.0.1:9877"
	DefaultReceiver = "http://127.0.0.1:9878"
	defaultWebhook  = "127.0.0.1:9879"

	// DefaultPrometheus is where Prometheus itself listens, as it does unless it is told otherwise.
	DefaultPrometheus = "http://127.0.0.1:9090"
)

// webhookPath is the one path that the receiver's webhook listener knows.
const webhookPath = "/webhook"

// refresh is how often Prometheus asks for the inventory: a VM added to hypervigil.yml is watched after this time.
const refresh = 30 * time.Second

// Options say what a hypervigil.yml does not: where the programs are reached from Prometheus and Alertmanager.
type Options struct {
	Speed rules.Speed // Standard where empty
	// Exporter and Receiver are base URLs of the two programs' web listeners.
	Exporter string
	Receiver string
	// Prometheus is its own base URL: it watches itself.
	Prometheus string
	// Webhooks are the receivers' whole webhook URLs, https where the configuration gives the listener a certificate.
	Webhooks []string
	// TokenFile is the webhook's token on Alertmanager's machine; the configuration's own file where empty.
	TokenFile string
	// CAFile proves the programs' certificates; CertFile and KeyFile prove Alertmanager to the webhook. All are paths
	// on the machines of Prometheus and Alertmanager.
	CAFile, CertFile, KeyFile string
}

// complete fills in the defaults and checks what was given.
func (o *Options) complete(c *config.Config) error {
	if o.Speed == "" {
		o.Speed = rules.Standard
	}
	if o.Exporter == "" {
		o.Exporter = DefaultExporter
	}
	if o.Receiver == "" {
		o.Receiver = DefaultReceiver
	}
	if o.Prometheus == "" {
		o.Prometheus = DefaultPrometheus
	}
	if len(o.Webhooks) == 0 {
		scheme := "http"
		if c.Receiver.Webhook.TLS != nil {
			scheme = "https"
		}
		o.Webhooks = []string{scheme + "://" + defaultWebhook + webhookPath}
	}
	if o.TokenFile == "" {
		o.TokenFile = c.Receiver.Webhook.TokenFile
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return errors.New("a client certificate needs both its file and its key's file")
	}
	for _, u := range append([]string{o.Exporter, o.Receiver, o.Prometheus}, o.Webhooks...) {
		if _, err := parseURL(u); err != nil {
			return err
		}
	}
	for _, w := range o.Webhooks {
		if u, _ := parseURL(w); u.Path != webhookPath {
			return fmt.Errorf("webhook %q: the receiver answers only the path %s", w, webhookPath)
		}
	}
	return nil
}

func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		// The parse error repeats the address, which may hold a password.
		return nil, errors.New("an address is no URL; use http://host:port or https://host:port")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("%q is no address; use http://host:port or https://host:port", u.Redacted())
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, fmt.Errorf("%q: no user, password, query or fragment is taken in an address", u.Redacted())
	}
	return u, nil
}

// header stands above what is generated.
func header(program string, s rules.Speed) string {
	return fmt.Sprintf("# The configuration of %s for Hypervigil at the speed %q.\n# Made by \"hypervigilctl generate\" from hypervigil.yml.\n", program, s)
}

func marshal(head string, v any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(head)
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(v), e.Close()); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return b.Bytes(), nil
}

// tlsConfig is how a peer is proven, and we to it.
type tlsConfig struct {
	CAFile   string `yaml:"ca_file,omitempty"`
	CertFile string `yaml:"cert_file,omitempty"`
	KeyFile  string `yaml:"key_file,omitempty"`
}

// tlsFor returns the TLS settings for a URL; none for plain HTTP, or where the system's authorities will do.
func tlsFor(u *url.URL, t tlsConfig) *tlsConfig {
	if u.Scheme != "https" || t == (tlsConfig{}) {
		return nil
	}
	return &t
}

// The parts of prometheus.yml that we write (prometheus.io, "Configuration").
type (
	prometheusFile struct {
		Global        global         `yaml:"global"`
		RuleFiles     []string       `yaml:"rule_files"`
		Alerting      alerting       `yaml:"alerting"`
		ScrapeConfigs []scrapeConfig `yaml:"scrape_configs"`
	}
	global struct {
		ScrapeInterval     string `yaml:"scrape_interval"`
		EvaluationInterval string `yaml:"evaluation_interval"`
	}
	alerting struct {
		Alertmanagers []alertmanagerTarget `yaml:"alertmanagers,omitempty"`
	}
	alertmanagerTarget struct {
		Scheme        string         `yaml:"scheme"`
		PathPrefix    string         `yaml:"path_prefix,omitempty"`
		TLS           *tlsConfig     `yaml:"tls_config,omitempty"`
		StaticConfigs []staticConfig `yaml:"static_configs"`
	}
	staticConfig struct {
		Targets []string `yaml:"targets"`
	}
	scrapeConfig struct {
		JobName        string         `yaml:"job_name"`
		HonorLabels    bool           `yaml:"honor_labels,omitempty"`
		ScrapeInterval string         `yaml:"scrape_interval,omitempty"`
		ScrapeTimeout  string         `yaml:"scrape_timeout,omitempty"`
		MetricsPath    string         `yaml:"metrics_path,omitempty"`
		Scheme         string         `yaml:"scheme"`
		TLS            *tlsConfig     `yaml:"tls_config,omitempty"`
		HTTPSD         []httpSD       `yaml:"http_sd_configs,omitempty"`
		StaticConfigs  []staticConfig `yaml:"static_configs,omitempty"`
	}
	httpSD struct {
		URL             string     `yaml:"url"`
		RefreshInterval string     `yaml:"refresh_interval"`
		TLS             *tlsConfig `yaml:"tls_config,omitempty"`
	}
)

// ownJobs are those of the programs of the chain themselves: ours, Prometheus and the Alertmanagers. Those of one job that
// are not reached in one way (scheme, path) get a job of the same name and a number.
func ownJobs(c *config.Config, o Options) ([]scrapeConfig, error) {
	type program struct{ job, address string }
	programs := []program{{ExporterJob, o.Exporter}, {ReceiverJob, o.Receiver}, {PrometheusJob, o.Prometheus}}
	for _, a := range c.Receiver.Alertmanagers {
		programs = append(programs, program{AlertmanagerJob, a})
	}
	var jobs []scrapeConfig
	for _, p := range programs {
		u, err := parseURL(p.address)
		if err != nil {
			return nil, err
		}
		j := scrapeConfig{
			JobName: p.job, MetricsPath: path.Join("/", u.Path, "metrics"), Scheme: u.Scheme,
			TLS: tlsFor(u, tlsConfig{CAFile: o.CAFile}), StaticConfigs: []staticConfig{{Targets: []string{u.Host}}},
		}
		same := func(other scrapeConfig) bool {
			return strings.HasPrefix(other.JobName, p.job) && other.Scheme == j.Scheme && other.MetricsPath == j.MetricsPath
		}
		if n := slices.IndexFunc(jobs, same); n >= 0 {
			jobs[n].StaticConfigs[0].Targets = append(jobs[n].StaticConfigs[0].Targets, u.Host)
			continue
		}
		others := 0
		for _, other := range jobs {
			if strings.HasPrefix(other.JobName, p.job) {
				others++
			}
		}
		if others > 0 {
			j.JobName = fmt.Sprintf("%s_%d", p.job, others+1)
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// Prometheus returns prometheus.yml: a job for each module of the exporter, one for each program of the chain, the rules'
// file beside it, and the configuration's Alertmanagers.
func Prometheus(c *config.Config, o Options) ([]byte, error) {
	if err := o.complete(c); err != nil {
		return nil, err
	}
	timing, err := o.Speed.Timing()
	if err != nil {
		return nil, err
	}
	f := prometheusFile{
		Global: global{
			ScrapeInterval:     rules.Duration(timing.Self),
			EvaluationInterval: rules.Duration(timing.Evaluation),
		},
		RuleFiles: []string{rules.File},
	}
	for _, a := range c.Receiver.Alertmanagers {
		u, err := parseURL(a)
		if err != nil {
			return nil, fmt.Errorf("receiver.alertmanagers: %w", err)
		}
		f.Alerting.Alertmanagers = append(f.Alerting.Alertmanagers, alertmanagerTarget{
			Scheme: u.Scheme, PathPrefix: u.Path, TLS: tlsFor(u, tlsConfig{CAFile: o.CAFile}),
			StaticConfigs: []staticConfig{{Targets: []string{u.Host}}},
		})
	}
	exporter, err := parseURL(o.Exporter)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Exporter.Modules)) {
		f.ScrapeConfigs = append(f.ScrapeConfigs, moduleJob(c, name, exporter, timing, tlsConfig{CAFile: o.CAFile}))
	}
	own, err := ownJobs(c, o)
	if err != nil {
		return nil, err
	}
	f.ScrapeConfigs = append(f.ScrapeConfigs, own...)
	return marshal(header("Prometheus", o.Speed), f)
}

// moduleJob is the scrape job of one module. The exporter names its targets and their labels itself; a probe's own
// labels are the same, and honor_labels keeps them.
func moduleJob(c *config.Config, name string, exporter *url.URL, timing rules.Timing, t tlsConfig) scrapeConfig {
	m := c.Exporter.Modules[name]
	interval := every(m, timing)
	sd := *exporter
	sd.Path = path.Join("/", exporter.Path, "sd")
	sd.RawQuery = url.Values{"module": {name}}.Encode()
	return scrapeConfig{
		JobName: name, HonorLabels: true,
		ScrapeInterval: rules.Duration(interval),
		ScrapeTimeout:  rules.Duration(timeout(m, c.Exporter.TimeoutOffset, interval)),
		Scheme:         exporter.Scheme, TLS: tlsFor(exporter, t),
		HTTPSD: []httpSD{{URL: sd.String(), RefreshInterval: rules.Duration(refresh), TLS: tlsFor(exporter, t)}},
	}
}

// every is how often a module is scraped. Only the availability of SQL Server is asked at SQL Server's own pace;
// what else a prober of it asks costs more and is no faster news than the hosts'.
func every(m *config.Module, timing rules.Timing) time.Duration {
	if m.Background() {
		return background
	}
	switch m.Prober {
	case config.ProberMSSQL:
		if slices.Equal(m.Collectors, []string{"availability"}) {
			return timing.SQL
		}
		return timing.Host
	case config.ProberHyperV, config.ProberWSFC:
		return timing.Host
	case config.ProberGuest, config.ProberApplication:
		return timing.Guest
	}
	return timing.Host
}

// background is how often what no decision waits for is asked, at any speed.
const background = time.Minute

// timeout gives a module its own time-out and the exporter's offset, in whole seconds; it never outlasts the interval,
// since Prometheus refuses that, and the exporter then cuts its probe short by itself.
func timeout(m *config.Module, offset, interval time.Duration) time.Duration {
	t := m.Timeout + offset
	if rest := t % time.Second; rest != 0 {
		t += time.Second - rest
	}
	return min(t, interval)
}
