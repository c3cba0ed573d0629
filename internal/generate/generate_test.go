package generate

import (
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/peers"
	"github.com/hypervigil/hypervigil/rules"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const example = `
credentials:
  sql-monitor: {username: hypervigil, password_env: SQL_PASSWORD}
  winrm-reader: {username: hv-reader, password_env: READER_PASSWORD}
clusters:
  - name: hv-cl1
    reader: winrm-reader
    nodes:
      - {name: HV1, addresses: [hv1.corp.example]}
    virtual_machines:
      - name: SQL01
        guest: {address: sql01.corp.example}
        sql_servers:
          - {instance: MSSQLSERVER, address: "sql01.corp.example:1433", credential: sql-monitor}
exporter:
  modules:
    mssql_slow: {prober: mssql, timeout: 3s}
receiver:
  webhook: {token_file: /etc/hypervigil/webhook.token, tls: {cert_file: w.pem, key_file: w.key}}
  alertmanagers: ["http://127.0.0.1:9093", "https://am2.corp.example:9093/alertmanager"]
`

func load(t *testing.T, yml string) *config.Config {
	t.Helper()
	c, err := config.Parse("hypervigil.yml", []byte(yml))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tool returns the path of an outside program: the environment's variable for it, or the one on PATH.
func tool(t *testing.T, variable, name string) string {
	t.Helper()
	if p := os.Getenv(variable); p != "" {
		return p
	}
	return peers.Need(t, name)
}

// cases are what is generated and compared with a golden file each.
var cases = map[string]Options{
	"standard": {},
	"fast": {
		Speed: rules.Fast, Exporter: "https://exporter.corp.example:9877", Receiver: "http://127.0.0.1:19878",
		Webhooks:  []string{"https://receiver-a.corp.example:9879/webhook", "https://receiver-b.corp.example:9879/webhook"},
		TokenFile: "/etc/alertmanager/token", CAFile: "/etc/hypervigil/ca.pem", CertFile: "/etc/alertmanager/am.pem", KeyFile: "/etc/alertmanager/am.key",
	},
}

func TestWhatIsGeneratedIsAsTheGoldenFilesSay(t *testing.T) {
	t.Parallel()
	c := load(t, example)
	for name, o := range cases {
		for file, generate := range map[string]func(*config.Config, Options) ([]byte, error){
			"prometheus." + name + ".yml": Prometheus, "alertmanager." + name + ".yml": Alertmanager,
		} {
			got, err := generate(c, o)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", file)
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got); go test ./internal/generate -update rewrites it:\n%s", file, diff)
			}
		}
	}
}

// write puts everything that belongs together into one folder, as an operator would.
func write(t *testing.T, c *config.Config, o Options) string {
	t.Helper()
	dir := t.TempDir()
	prometheus, err := Prometheus(c, o)
	if err != nil {
		t.Fatal(err)
	}
	alertmanager, err := Alertmanager(c, o)
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Generate(rules.Fast)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"prometheus.yml": prometheus, "alertmanager.yml": alertmanager, rules.File: set} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPromtoolAcceptsTheConfiguration(t *testing.T) {
	t.Parallel()
	promtool := tool(t, "PROMTOOL", "promtool")
	// The files that it names need not exist here; promtool looks for them without --syntax-only.
	dir := write(t, load(t, example), Options{Speed: rules.Fast})
	out, err := exec.CommandContext(t.Context(), promtool, "check", "config", filepath.Join(dir, "prometheus.yml")).CombinedOutput()
	if err != nil {
		t.Errorf("promtool check config: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "1 rule files found") {
		t.Errorf("promtool check config said:\n%s\nwant it to find the rules", out)
	}
	for name, o := range cases {
		dir := write(t, load(t, example), o)
		if out, err := exec.CommandContext(t.Context(), promtool, "check", "config", "--syntax-only", filepath.Join(dir, "prometheus.yml")).CombinedOutput(); err != nil {
			t.Errorf("%s: promtool check config: %v\n%s", name, err, out)
		}
	}
}

func TestAlertmanagerAcceptsTheConfigurationAndRoutesByIt(t *testing.T) {
	t.Parallel()
	amtool := tool(t, "AMTOOL", "amtool")
	file := filepath.Join(write(t, load(t, example), Options{}), "alertmanager.yml")
	if out, err := exec.CommandContext(t.Context(), amtool, "check-config", file).CombinedOutput(); err != nil {
		t.Fatalf("amtool check-config: %v\n%s", err, out)
	}
	for _, c := range []struct {
		name   string
		labels []string
		want   string
	}{
		{"an acting alert reaches the receiver and people", []string{"alertname=SQLServerDown", "cluster=hv-cl1", "vm=SQL01", "hypervigil=act"}, "hypervigil,people"},
		{"an alert that tells reaches people only", []string{"alertname=SQLServerUnreachable", "cluster=hv-cl1", "hypervigil=tell"}, "people"},
		{"somebody else's alert reaches people only", []string{"alertname=DiskFull"}, "people"},
		{"the watchdog wakes nobody", []string{"alertname=Watchdog", "hypervigil=watchdog"}, "hypervigil-watchdog"},
	} {
		out, err := exec.CommandContext(t.Context(), amtool, append([]string{"config", "routes", "test", "--config.file", file}, c.labels...)...).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
			t.Errorf("%s: routed to %q (%v), want %q", c.name, got, err, c.want)
		}
	}
}

// TestTheRouteIsWhatTheReceiverReliesOn pins the values that are correctness and not taste.
func TestTheRouteIsWhatTheReceiverReliesOn(t *testing.T) {
	t.Parallel()
	out, err := Alertmanager(load(t, example), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Route struct {
			Routes []struct {
				Matchers       []string
				GroupBy        []string `yaml:"group_by"`
				GroupWait      string   `yaml:"group_wait"`
				GroupInterval  string   `yaml:"group_interval"`
				RepeatInterval string   `yaml:"repeat_interval"`
			}
		}
		Receivers []struct {
			Name     string
			Webhooks []struct {
				URL          string
				SendResolved bool `yaml:"send_resolved"`
				MaxAlerts    int  `yaml:"max_alerts"`
				HTTP         struct {
					FollowRedirects *bool             `yaml:"follow_redirects"`
					Authorization   map[string]string `yaml:"authorization"`
				} `yaml:"http_config"`
			} `yaml:"webhook_configs"`
		}
	}
	if err := yaml.Unmarshal(out, &f); err != nil {
		t.Fatal(err)
	}
	act := f.Route.Routes[0]
	if got, want := act.Matchers, []string{`hypervigil="act"`}; !cmp.Equal(got, want) {
		t.Fatalf("the first route's matchers = %v, want %v", got, want)
	}
	// A node or an instance among them would split one machine's faults into groups that say different things.
	if got, want := act.GroupBy, []string{"cluster", "vm"}; !cmp.Equal(got, want) {
		t.Errorf("group_by = %v, want %v", got, want)
	}
	if act.GroupWait != "0s" || act.GroupInterval != "10s" || act.RepeatInterval != "1m" {
		t.Errorf("group_wait, group_interval, repeat_interval = %s, %s, %s, want 0s, 10s, 1m", act.GroupWait, act.GroupInterval, act.RepeatInterval)
	}
	hooks := 0
	for _, r := range f.Receivers {
		for _, h := range r.Webhooks {
			hooks++
			if h.HTTP.FollowRedirects == nil || *h.HTTP.FollowRedirects {
				t.Errorf("%s: follow_redirects is not off", r.Name)
			}
			if got := h.HTTP.Authorization["credentials_file"]; got != "/etc/hypervigil/webhook.token" {
				t.Errorf("%s: credentials_file = %q", r.Name, got)
			}
			if !h.SendResolved || h.MaxAlerts != 0 {
				t.Errorf("%s: send_resolved, max_alerts = %v, %d, want true, 0", r.Name, h.SendResolved, h.MaxAlerts)
			}
		}
	}
	if hooks != 2 {
		t.Errorf("%d webhooks, want 2", hooks)
	}
}

func TestEveryModuleIsScrapedAtItsOwnPace(t *testing.T) {
	t.Parallel()
	type pace struct{ Every, Timeout string }
	for speed, want := range map[rules.Speed]map[string]pace{
		rules.Standard: {
			"mssql_availability": {"5s", "1s"}, "mssql_diagnostics": {"15s", "5s"}, "mssql_databases": {"1m", "21s"}, "mssql_performance": {"1m", "21s"}, "mssql_slow": {"15s", "4s"}, "hyperv": {"15s", "5s"}, "hyperv_performance": {"1m", "21s"}, "hyperv_events": {"1m", "21s"}, "wsfc": {"15s", "5s"}, "wsfc_owners": {"1m", "21s"}, "application": {"30s", "5s"}, "guest": {"30s", "5s"}, "guest_performance": {"1m", "21s"}, "guest_events": {"1m", "21s"},
		},
		rules.Fast: {
			"mssql_availability": {"1s", "1s"}, "mssql_diagnostics": {"5s", "5s"}, "mssql_databases": {"1m", "21s"}, "mssql_performance": {"1m", "21s"}, "mssql_slow": {"5s", "4s"}, "hyperv": {"5s", "5s"}, "hyperv_performance": {"1m", "21s"}, "hyperv_events": {"1m", "21s"}, "wsfc": {"5s", "5s"}, "wsfc_owners": {"1m", "21s"}, "application": {"15s", "5s"}, "guest": {"15s", "5s"}, "guest_performance": {"1m", "21s"}, "guest_events": {"1m", "21s"},
		},
	} {
		out, err := Prometheus(load(t, example), Options{Speed: speed})
		if err != nil {
			t.Fatal(err)
		}
		var f struct {
			ScrapeConfigs []struct {
				Job     string `yaml:"job_name"`
				Every   string `yaml:"scrape_interval"`
				Timeout string `yaml:"scrape_timeout"`
				Honor   bool   `yaml:"honor_labels"`
			} `yaml:"scrape_configs"`
		}
		if err := yaml.Unmarshal(out, &f); err != nil {
			t.Fatal(err)
		}
		got := map[string]pace{}
		for _, s := range f.ScrapeConfigs {
			if s.Honor {
				got[s.Job] = pace{s.Every, s.Timeout}
			}
		}
		maps.DeleteFunc(got, func(name string, _ pace) bool { _, ok := want[name]; return !ok })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: paces (-want +got):\n%s", speed, diff)
		}
	}
}

func TestTimeoutsAreWholeSecondsAndEndWithinTheInterval(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ module, interval, want time.Duration }{
		{900 * time.Millisecond, time.Second, time.Second},
		{900 * time.Millisecond, 5 * time.Second, time.Second},
		{901 * time.Millisecond, 5 * time.Second, 2 * time.Second},
		{4 * time.Second, 15 * time.Second, 5 * time.Second},
		{20 * time.Second, 15 * time.Second, 15 * time.Second},
	} {
		if got := timeout(&config.Module{Timeout: c.module}, 100*time.Millisecond, c.interval); got != c.want {
			t.Errorf("timeout(%v, %v) = %v, want %v", c.module, c.interval, got, c.want)
		}
	}
}

func TestWrongOptionsAreRefusedWithWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	noProof := strings.Replace(example, "token_file: /etc/hypervigil/webhook.token", "token_env: TOKEN", 1)
	for _, c := range []struct {
		name, yml string
		o         Options
		want      string
	}{
		{"an address without a scheme", example, Options{Exporter: "127.0.0.1:9877"}, "an address is no URL"},
		{"another scheme", example, Options{Exporter: "ftp://127.0.0.1"}, `"ftp://127.0.0.1" is no address; use http://host:port`},
		{"a password in an address", example, Options{Receiver: "http://u:secret@127.0.0.1:9878"}, "no user, password"},
		{"a webhook that would be answered 404", example, Options{Webhooks: []string{"http://127.0.0.1:9879/"}}, "answers only the path /webhook"},
		{"a certificate without its key", example, Options{CertFile: "am.pem"}, "both its file and its key's file"},
		{"an unknown speed", example, Options{Speed: "ludicrous"}, `unknown speed "ludicrous"`},
		{"no proof for the webhook", noProof, Options{}, "takes nothing without a proof"},
	} {
		c1 := load(t, c.yml)
		_, perr := Prometheus(c1, c.o)
		_, aerr := Alertmanager(c1, c.o)
		said := ""
		for _, err := range []error{perr, aerr} {
			if err != nil {
				said += err.Error() + "\n"
			}
		}
		if !strings.Contains(said, c.want) {
			t.Errorf("%s: %q, want it to contain %q", c.name, said, c.want)
		}
		if strings.Contains(said, "secret") {
			t.Errorf("%s: the error shows a password: %s", c.name, said)
		}
	}
}

// TestNoInhibitionTouchesAnActingAlert: the receiver takes an alert that Alertmanager keeps back for one that is over. Each
// side names alerts that there are.
func TestNoInhibitionTouchesAnActingAlert(t *testing.T) {
	t.Parallel()
	text, err := rules.Generate(rules.Standard)
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Groups []struct {
			Rules []struct {
				Alert  string
				Labels map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, g := range set.Groups {
		for _, r := range g.Rules {
			kinds[r.Alert] = r.Labels["hypervigil"]
		}
	}
	named := func(matchers []string) (names []string) {
		for _, m := range matchers {
			if _, list, ok := strings.Cut(m, "alertname"); ok {
				names = append(names, strings.Split(strings.Trim(list, `=~"`), "|")...)
			}
		}
		return names
	}
	for _, i := range inhibitions() {
		if len(i.Target) == 0 || i.Target[0] != tells {
			t.Errorf("an inhibition has the targets %v, want the alerts that tell and no others", i.Target)
		}
		for _, name := range named(i.Target) {
			if kinds[name] != "tell" {
				t.Errorf("%s is to be inhibited; it is %q, want an alert that tells", name, kinds[name])
			}
		}
		for _, name := range named(i.Source) {
			if kinds[name] == "" {
				t.Errorf("%s is to inhibit something, and is no alert", name)
			}
		}
	}
}

// TestEachProgramOfTheChainIsScraped: those of one kind share a job where they are reached in one way.
func TestEachProgramOfTheChainIsScraped(t *testing.T) {
	t.Parallel()
	c := load(t, strings.Replace(example, `["http://127.0.0.1:9093", `, `["http://127.0.0.1:9093", "http://127.0.0.1:9094", `, 1))
	text, err := Prometheus(c, Options{Prometheus: "http://127.0.0.1:19090/prom"})
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Jobs []struct {
			Name string                       `yaml:"job_name"`
			Path string                       `yaml:"metrics_path"`
			Sets []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, j := range f.Jobs {
		if len(j.Sets) > 0 {
			got[j.Name] = j.Path + " " + strings.Join(j.Sets[0].Targets, " ")
		}
	}
	want := map[string]string{
		ExporterJob: "/metrics 127.0.0.1:9877", ReceiverJob: "/metrics 127.0.0.1:9878", PrometheusJob: "/prom/metrics 127.0.0.1:19090",
		AlertmanagerJob: "/metrics 127.0.0.1:9093 127.0.0.1:9094", AlertmanagerJob + "_2": "/alertmanager/metrics am2.corp.example:9093",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
