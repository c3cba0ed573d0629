package receiver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// metrics are the receiver's own: what it decided and how long each stage took.
type metrics struct {
	ledgerErrors prometheus.Counter
	denied       prometheus.Counter
	refused      *prometheus.CounterVec
	incidents    *prometheus.CounterVec
	open         *prometheus.GaugeVec
	commands     *prometheus.CounterVec
	readAge      prometheus.Histogram
	toCommand    prometheus.Histogram
	ready        prometheus.Gauge
	latched      *prometheus.GaugeVec
	brake        *prometheus.GaugeVec
	heartbeat    prometheus.Gauge
	watchdog     prometheus.Gauge
	silent       prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	const ns = "hypervigil"
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: ns, Name: name, Help: help}, labels)
	}
	m := &metrics{
		ledgerErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: ns, Name: "receiver_ledger_errors_total", Help: "Commits to the ledger that failed; while it cannot be written nothing is decided.",
		}),
		denied: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: ns, Name: "approvals_denied_total", Help: "Approvals that came without the proof of one of receiver.approvers.",
		}),
		refused:   counter("guard_refused_total", "Verdicts other than pass, counted once when they begin, by guard, outcome and reason.", "guard", "outcome", "reason"),
		incidents: counter("incidents_closed_total", "Incidents that ended, by fault class, final state and who healed them.", "fault", "state", "healed_by"),
		open:      gauge("incidents_open", "Open incidents by state.", "state"),
		commands:  counter("commands_issued_total", "Commands handed over to be sent, by method and result.", "method", "result"),
		readAge: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: ns, Name: "revalidation_window_seconds", Help: "Age of the oldest answer a command rested on when it was sent: the window in which the cluster could have moved.",
			Buckets: []float64{.005, .01, .025, .05, .1, .2, .3, .4, .5}, NativeHistogramBucketFactor: 1.1,
		}),
		toCommand: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: ns, Name: "incident_first_command_seconds", Help: "From an incident's opening to its first command.",
			Buckets: []float64{.1, .5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300}, NativeHistogramBucketFactor: 1.1,
		}),
		ready:   prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Name: "receiver_ready", Help: "1 when hold-off is over, the clusters were sampled and every binding is proven."}),
		latched: gauge("vm_latched", "1 while a failed action on this virtual machine waits to be acknowledged.", "cluster", "vm"),
		brake:   gauge("storm_brake_timestamp_seconds", "When the storm brake last saw a storm; 0 if never.", "cluster"),
		heartbeat: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: ns, Name: "receiver_heartbeat_timestamp_seconds", Help: "When the receiver last took a step; it takes one at every sample of a cluster, and none while its ledger cannot be written.",
		}),
		watchdog: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: ns, Name: "receiver_watchdog_timestamp_seconds", Help: "When Watchdog last came; 0 if never since the start.",
		}),
		silent: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: ns, Name: "receiver_dead_man_engaged", Help: "1 while Watchdog stays away and every cluster is therefore only observed.",
		}),
	}
	for _, p := range incident.Phases() {
		m.open.WithLabelValues(string(p))
	}
	// The reasons come with the verdicts; an empty one stands for none so far, so that each guard's counter exists.
	for _, g := range guard.All() {
		for _, o := range []guard.Outcome{guard.Hold, guard.Refuse, guard.Propose} {
			m.refused.WithLabelValues(g.ID, string(o), "")
		}
	}
	for _, method := range remedy.Methods() {
		for _, result := range []string{"answered", "unknown", "not_sent"} {
			m.commands.WithLabelValues(string(method.Method), result)
		}
	}
	r.MustRegister(m.ledgerErrors, m.denied, m.refused, m.incidents, m.open, m.commands, m.readAge, m.toCommand, m.ready, m.latched, m.brake, m.heartbeat, m.watchdog, m.silent)
	return m
}

// observe counts what a step changed.
func (m *metrics) observe(old, next *incident.State, now time.Time) {
	counts := map[incident.Phase]int{}
	for id, i := range next.Incidents {
		before := old.Incidents[id]
		if at := firstIssued(i); !at.IsZero() && firstIssued(before).IsZero() {
			m.toCommand.Observe(at.Sub(i.OpenedAt).Seconds())
		}
		if !i.Closed() {
			counts[i.Phase]++
			continue
		}
		if before.ID != "" && !before.Closed() {
			m.incidents.WithLabelValues(string(i.Fault), string(i.Phase), string(i.HealedBy)).Inc()
		}
	}
	m.heartbeat.Set(seconds(now))
	m.watchdog.Set(seconds(next.Heard))
	m.silent.Set(0)
	if next.Silent {
		m.silent.Set(1)
	}
	ready := 0.0
	if len(next.Ready(now)) == 0 {
		ready = 1
	}
	m.ready.Set(ready)
	for _, p := range incident.Phases() {
		m.open.WithLabelValues(string(p)).Set(float64(counts[p]))
	}
	for id, vm := range next.VMs {
		latched := 0.0
		if vm.Latched != "" {
			latched = 1
		}
		m.latched.WithLabelValues(id.Cluster, id.Name).Set(latched)
	}
	for name, c := range next.Clusters {
		m.brake.WithLabelValues(name).Set(seconds(c.Brake))
	}
}

// seconds is a moment as metrics tell it; 0 for none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1e3
}

// firstIssued is when the first command of an incident was handed over; zero where none was.
func firstIssued(i incident.Incident) time.Time {
	for _, a := range i.Actions {
		if !a.Issued.IsZero() {
			return a.Issued
		}
	}
	return time.Time{}
}

// commanded counts one Send effect and what came of it.
func (m *metrics) commanded(e incident.Send, r remedy.Result) {
	result := "unknown"
	switch {
	case !r.Sent:
		result = "not_sent"
	case r.Answered:
		result = "answered"
	}
	m.commands.WithLabelValues(string(e.Command.Method), result).Inc()
	if r.Sent {
		left := r.LeftAt
		if left.IsZero() {
			left = r.StartedAt
		}
		m.readAge.Observe((guard.MaxReadAge - e.NotAfter.Sub(left)).Seconds())
	}
}
