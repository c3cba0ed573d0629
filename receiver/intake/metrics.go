package intake

import "github.com/prometheus/client_golang/prometheus"

// metrics are the webhook's own.
type metrics struct {
	notifications *prometheus.CounterVec
	alerts        *prometheus.CounterVec
	dropped       *prometheus.CounterVec
	truncated     prometheus.Counter
	bytes         prometheus.Counter
	duration      prometheus.Histogram
	last          prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	const prefix = "hypervigil_receiver_"
	m := &metrics{
		notifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "notifications_total",
			Help: "Requests to the webhook by result: accepted, duplicate, malformed, unauthorized, not_found, method_not_allowed, too_large, encoded, unavailable, panic.",
		}, []string{"result"}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "notification_alerts_total",
			Help: "Alerts in accepted notifications, repeats included, by their own status.",
		}, []string{"status"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "notification_alerts_dropped_total",
			Help: "Alerts in accepted notifications that were not kept: unknown status, labels beyond their bounds, a time that cannot be.",
		}, []string{"reason"}),
		truncated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: prefix + "notification_alerts_truncated_total",
			Help: "Alerts that Alertmanager kept back from accepted notifications because of max_alerts.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: prefix + "notification_bytes_total",
			Help: "Bytes of the bodies that were read whole.",
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    prefix + "notification_duration_seconds",
			Help:    "From a request's header to its answer, the write to the ledger included.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 10}, NativeHistogramBucketFactor: 1.1,
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: prefix + "last_notification_timestamp_seconds",
			Help: "When the last notification was accepted, repeats included; 0 if none was since the start.",
		}),
	}
	for _, result := range results() {
		m.notifications.WithLabelValues(result.String())
	}
	for _, status := range []Status{Firing, Resolved} {
		m.alerts.WithLabelValues(string(status))
	}
	for _, reason := range dropReasons() {
		m.dropped.WithLabelValues(string(reason))
	}
	for _, c := range []prometheus.Collector{m.notifications, m.alerts, m.dropped, m.truncated, m.bytes, m.duration, m.last} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// accepted counts what an accepted notification held.
func (m *metrics) accepted(n *Notification, dropped []dropReason) {
	for _, a := range n.Alerts {
		m.alerts.WithLabelValues(string(a.Status)).Inc()
	}
	for _, reason := range dropped {
		m.dropped.WithLabelValues(string(reason)).Inc()
	}
	m.truncated.Add(float64(n.TruncatedAlerts))
	m.last.Set(float64(n.At.UnixMilli()) / 1e3)
}
