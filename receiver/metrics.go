package receiver

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// metrics are the receiver's own: what it decided and how long each stage took.
type metrics struct {
	ledgerErrors prometheus.Counter
	denied       prometheus.Counter
	stages       *prometheus.HistogramVec
	escalations  *prometheus.CounterVec
	refused      *prometheus.CounterVec
	ignored      *prometheus.CounterVec
	incidents    *prometheus.CounterVec
	commands     *prometheus.CounterVec
	leftOut      *prometheus.CounterVec
	readAge      prometheus.Histogram
	toCommand    prometheus.Histogram
	heartbeat    prometheus.Gauge
	// state is the newest; nil before there is one. What can be read off it is, when somebody asks: a step costs the same
	// however much is open.
	state *atomic.Pointer[incident.State]
}

func newMetrics(r prometheus.Registerer) *metrics {
	const ns = "hypervigil"
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: name, Help: help}, labels)
	}
	m := &metrics{
		ledgerErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: ns, Name: "receiver_ledger_errors_total", Help: "Commits to the ledger that failed; while it cannot be written nothing is decided.",
		}),
		denied: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: ns, Name: "approvals_denied_total", Help: "Approvals that came without the proof of one of receiver.approvers.",
		}),
		stages:      newStages(),
		escalations: counter("incidents_escalated_total", "Incidents that were left to a person because what was tried, or waited for, did not help.", "fault"),
		refused:     counter("guard_refused_total", "Verdicts other than pass, counted once when they begin, by guard, outcome and reason.", "guard", "outcome", "reason"),
		ignored:     counter("alerts_ignored_total", "Firings and ends of alerts that nothing is done about, each delivery counted, by why.", "reason"),
		incidents:   counter("incidents_closed_total", "Incidents that ended, by fault class, final state and who healed them.", "fault", "state", "healed_by"),
		commands:    counter("commands_issued_total", "Commands handed over to be sent, by rung, method and result.", "rung", "method", "result"),
		leftOut:     counter("replay_steps_left_out_total", "Steps that are missing in the recording for a replay: behind, the disk was too slow; failed, it could not be written.", "reason"),
		readAge: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: ns, Name: "revalidation_window_seconds", Help: "Age of the oldest answer a command rested on when it was sent: the window in which the cluster could have moved.",
			Buckets: []float64{.005, .01, .025, .05, .1, .2, .3, .4, .5}, NativeHistogramBucketFactor: 1.1,
		}),
		toCommand: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: ns, Name: "incident_first_command_seconds", Help: "From an incident's opening to its first command.",
			Buckets: []float64{.1, .5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300}, NativeHistogramBucketFactor: 1.1,
		}),
		heartbeat: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: ns, Name: "receiver_heartbeat_timestamp_seconds", Help: "When the receiver last took a step; it takes one at every sample of a cluster, and none while its ledger cannot be written.",
		}),
		state: &atomic.Pointer[incident.State]{},
	}
	// The reasons come with the verdicts; an empty one stands for none so far, so that each guard's counter exists.
	for _, g := range guard.All() {
		for _, o := range []guard.Outcome{guard.Hold, guard.Refuse, guard.Propose} {
			m.refused.WithLabelValues(g.ID, string(o), "")
		}
	}
	m.refused.WithLabelValues("G9", string(guard.Refuse), "") // asked right before a command, and counted where it refuses
	for _, method := range remedy.Methods() {
		for _, result := range []string{"answered", "unknown", "not_sent"} {
			m.commands.WithLabelValues(string(remedy.RestartService), string(method.Method), result)
		}
	}
	for _, reason := range []string{leftBehind, leftFailed} {
		m.leftOut.WithLabelValues(reason)
	}
	for _, f := range evidence.Faults() {
		m.escalations.WithLabelValues(string(f))
	}
	r.MustRegister(m.ledgerErrors, m.denied, m.stages, m.escalations, m.refused, m.ignored, m.incidents, m.commands, m.leftOut, m.readAge, m.toCommand, m.heartbeat, newStateCollector(m.state.Load))
	return m
}

// observe counts what a step changed, by the records it wrote: they tell every change of substance, whatever else is open.
func (m *metrics) observe(old *incident.State, effects []incident.Effect, now time.Time) {
	for _, e := range effects {
		p, _ := e.(incident.Put)
		i, ok := p.Value.(incident.Incident)
		if !ok {
			continue
		}
		before, _ := old.Incidents.Get(i.ID)
		m.observeStages(before, i)
		if i.Phase == incident.Escalated && before.Phase != incident.Escalated {
			m.escalations.WithLabelValues(string(i.Fault)).Inc()
		}
		if at := firstIssued(i); !at.IsZero() && firstIssued(before).IsZero() {
			m.toCommand.Observe(at.Sub(i.OpenedAt).Seconds())
		}
		if i.Closed() && before.ID != "" && !before.Closed() {
			m.incidents.WithLabelValues(string(i.Fault), string(i.Phase), string(i.HealedBy)).Inc()
		}
	}
	m.heartbeat.Set(seconds(now))
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
	m.commands.WithLabelValues(string(e.Rung), string(e.Command.Method), result).Inc()
	if r.Sent {
		left := r.LeftAt
		if left.IsZero() {
			left = r.StartedAt
		}
		m.readAge.Observe((guard.MaxReadAge - e.NotAfter.Sub(left)).Seconds())
	}
}
