package generate

import (
	"errors"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/rules"
)

// The names of Alertmanager's receivers.
const (
	receiverAct      = "hypervigil"
	receiverWatchdog = "hypervigil-watchdog"
	receiverPeople   = "people"
)

// webhookTimeout is more than the receiver ever needs to write a notification down, and less than group_interval.
const webhookTimeout = 5 * time.Second

// The parts of alertmanager.yml that we write (prometheus.io, "Alerting configuration").
type (
	alertmanagerFile struct {
		Route     route      `yaml:"route"`
		Inhibit   []inhibit  `yaml:"inhibit_rules"`
		Receivers []receiver `yaml:"receivers"`
	}
	inhibit struct {
		Source []string `yaml:"source_matchers,flow"`
		Target []string `yaml:"target_matchers,flow"`
		Equal  []string `yaml:"equal,omitempty,flow"`
	}
	route struct {
		Receiver       string   `yaml:"receiver"`
		Matchers       []string `yaml:"matchers,omitempty"`
		GroupBy        []string `yaml:"group_by,omitempty,flow"`
		GroupWait      string   `yaml:"group_wait,omitempty"`
		GroupInterval  string   `yaml:"group_interval,omitempty"`
		RepeatInterval string   `yaml:"repeat_interval,omitempty"`
		Continue       bool     `yaml:"continue,omitempty"`
		Routes         []route  `yaml:"routes,omitempty"`
	}
	receiver struct {
		Name           string    `yaml:"name"`
		WebhookConfigs []webhook `yaml:"webhook_configs,omitempty"`
	}
	webhook struct {
		URL          string     `yaml:"url"`
		SendResolved bool       `yaml:"send_resolved"`
		MaxAlerts    int        `yaml:"max_alerts"`
		Timeout      string     `yaml:"timeout"`
		HTTP         httpConfig `yaml:"http_config"`
	}
	httpConfig struct {
		// FollowRedirects is off: a redirected POST becomes a GET, and the alert is lost although it counts as
		// delivered.
		FollowRedirects bool           `yaml:"follow_redirects"`
		Authorization   *authorization `yaml:"authorization,omitempty"`
		TLS             *tlsConfig     `yaml:"tls_config,omitempty"`
	}
	authorization struct {
		CredentialsFile string `yaml:"credentials_file"`
	}
)

// tells is of every target of an inhibition: an acting alert is never one.
const tells = `hypervigil="tell"`

// inhibitions spare people what another alert says already. Alertmanager would keep back from the receiver too what they
// match, and with it the news that it is over, so each target is an alert that only tells.
func inhibitions() []inhibit {
	return []inhibit{
		// What is not asked, because nobody asks.
		{[]string{`alertname="HypervigilExporterDown"`}, []string{tells, `alertname=~"HypervigilProbesLost|HypervigilTargetsMissing|HypervigilClusterBlind|HypervigilCollectorBlind"`}, nil},
		{[]string{`alertname="HypervigilReceiverDown"`}, []string{tells, `alertname=~"HypervigilReceiverNotReady|HypervigilNotificationsMissing|HypervigilRescueNotReady"`}, nil},
		{[]string{`alertname="HypervigilClusterBlind"`}, []string{tells, `alertname="HypervigilCollectorBlind"`}, []string{"cluster"}},
		// What follows from a machine that is ill as a whole.
		{[]string{`hypervigil="act"`, `fault=~"host|network|guest"`}, []string{tells, `alertname=~"SQLServerUnreachable|SQLServerHealthWarning|SQLServerStopped|HypervigilCollectorBlind|HypervigilRescueNotReady"`}, []string{"cluster", "vm"}},
		{[]string{`hypervigil="act"`, `fault=~"service|hang|internal"`}, []string{tells, `alertname=~"SQLServerUnreachable|SQLServerHealthWarning|SQLServerStopped"`}, []string{"cluster", "vm", "sql_instance"}},
		{[]string{`alertname="ClusterVolumeLost"`}, []string{tells, `alertname="ClusterVolumeRedirected"`}, []string{"cluster", "volume"}},
		{[]string{`alertname="HypervigilIncidentEscalated"`}, []string{tells, `alertname="HypervigilIncidentProposed"`}, []string{"instance"}},
	}
}

const alertmanagerNotes = `#
# Acting alerts go to the receiver at once, one group for each virtual machine, and are repeated every minute, which heals
# whatever was lost on the way. No inhibition touches them: the receiver itself weighs one fault against another, and an
# inhibited alert would tell it that the fault is over. Never silence one while it is acted on; pause the receiver instead.
#
# "people" is for you: give it your pager's settings. It gets the acting alerts too.
`

// Alertmanager returns alertmanager.yml with the route that the receiver is made for.
func Alertmanager(c *config.Config, o Options) ([]byte, error) {
	if err := o.complete(c); err != nil {
		return nil, err
	}
	if o.TokenFile == "" && o.CertFile == "" {
		return nil, errors.New("the webhook takes nothing without a proof: the configuration names no receiver.webhook.token_file, so give the token's file or a client certificate for Alertmanager")
	}
	var hooks []webhook
	for _, w := range o.Webhooks {
		u, err := parseURL(w)
		if err != nil {
			return nil, err
		}
		h := webhook{
			URL: w, SendResolved: true, Timeout: rules.Duration(webhookTimeout),
			HTTP: httpConfig{TLS: tlsFor(u, tlsConfig{CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile})},
		}
		if o.TokenFile != "" {
			h.HTTP.Authorization = &authorization{CredentialsFile: o.TokenFile}
		}
		hooks = append(hooks, h)
	}
	f := alertmanagerFile{
		Route: route{
			Receiver: receiverPeople, GroupBy: []string{"alertname", "cluster"},
			GroupWait: "10s", GroupInterval: "1m", RepeatInterval: "4h",
			Routes: []route{
				{
					Receiver: receiverAct, Matchers: []string{`hypervigil="act"`}, GroupBy: []string{"cluster", "vm"},
					// repeat_interval is rounded up to a multiple of group_interval.
					GroupWait: "0s", GroupInterval: "10s", RepeatInterval: "1m",
					// On to the routes below, and so to people.
					Continue: true,
				},
				{
					Receiver: receiverWatchdog, Matchers: []string{`alertname="Watchdog"`},
					GroupWait: "0s", GroupInterval: "30s", RepeatInterval: "1m",
				},
				{Receiver: receiverPeople},
			},
		},
		Inhibit: inhibitions(),
		Receivers: []receiver{
			{Name: receiverPeople},
			{Name: receiverAct, WebhookConfigs: hooks},
			{Name: receiverWatchdog, WebhookConfigs: hooks},
		},
	}
	return marshal(header("Alertmanager", o.Speed)+alertmanagerNotes, f)
}
