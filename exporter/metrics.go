package exporter

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors/version"

	"github.com/hypervigil/hypervigil/internal/config"
)

// metrics are the exporter's own.
type metrics struct {
	reloadOK, reloadTime prometheus.Gauge
	inflight             *prometheus.GaugeVec
	probes               *prometheus.CounterVec
	duration             *prometheus.HistogramVec
	requests             *prometheus.CounterVec
	shared               prometheus.Counter
	abandonedTotal       prometheus.Counter
	gatherErrors         prometheus.Counter
}

// program is the prefix of the exporter's own metrics.
const program = "hypervigil_exporter"

// The results of hypervigil_exporter_probes_total.
const (
	resultSuccess = "success"
	resultFailure = "failure"
)

// newMetrics registers the exporter's own metrics, those of the caller's among them.
func newMetrics(r prometheus.Registerer, others ...prometheus.Collector) (*metrics, error) {
	m := &metrics{
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: program + "_config_last_reload_successful",
			Help: "1 means that the configuration file was taken the last time it was read.",
		}),
		reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: program + "_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration in use was read, in seconds since 1970.",
		}),
		inflight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: program + "_probe_inflight",
			Help: "Probes under way; kind is the prober.",
		}, []string{"kind"}),
		probes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: program + "_probes_total",
			Help: "Probes that have ended; a result of success means that every collector could see.",
		}, []string{"module", "result"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    program + "_probe_duration_seconds",
			Help:    "How long the probes took.",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.9, 1, 2, 4, 8},
		}, []string{"module"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: program + "_http_requests_total",
			Help: "Requests answered, by page and status.",
		}, []string{"handler", "code"}),
		shared: prometheus.NewCounter(prometheus.CounterOpts{
			Name: program + "_probes_shared_total",
			Help: "Scrapes that were given the answer of a probe already under way for the same target and module.",
		}),
		abandonedTotal: prometheus.NewCounter(prometheus.CounterOpts{
			Name: program + "_abandoned_queries_total",
			Help: "Collectors that did not end at their deadline and were left behind.",
		}),
		gatherErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: program + "_gather_errors_total",
			Help: "Answers from which a contradictory series was left out, such as that of a name which came twice.",
		}),
	}
	for _, c := range append([]prometheus.Collector{
		m.reloadOK, m.reloadTime, m.inflight, m.probes, m.duration, m.requests, m.shared, m.abandonedTotal, m.gatherErrors,
		version.NewCollector(program),
	}, others...) {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	for _, p := range config.Probers() {
		m.inflight.WithLabelValues(p.String())
	}
	for _, p := range pages {
		m.requests.WithLabelValues(p, "200")
	}
	return m, nil
}

// module makes a module's series exist before its first probe.
func (m *metrics) module(name string) {
	m.probes.WithLabelValues(name, resultSuccess)
	m.probes.WithLabelValues(name, resultFailure)
	m.duration.WithLabelValues(name)
}

// refused notes that the configuration file was not taken.
func (m *metrics) refused() { m.reloadOK.Set(0) }

// loaded notes that it was, and when.
func (m *metrics) loaded(at time.Time) {
	m.reloadOK.Set(1)
	m.reloadTime.Set(float64(at.UnixMilli()) / 1e3)
}

// probed notes a flight that has ended.
func (m *metrics) probed(f *flight) {
	f.mu.Lock()
	took, result := f.ended.Sub(f.start), resultSuccess
	for i := range f.outcomes {
		if f.outcomes[i].result.Err != nil {
			result = resultFailure
		}
	}
	f.mu.Unlock()
	m.probes.WithLabelValues(f.module.Name, result).Inc()
	m.duration.WithLabelValues(f.module.Name).Observe(took.Seconds())
}

// newStaleNames shows how many names of the present configuration are answered from memory.
func newStaleNames(count func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: program + "_stale_names",
		Help: "Names of targets that the name server does not resolve now, and which are reached by the addresses that it gave last.",
	}, count)
}

// staleNames counts the names of the present configuration that are answered from memory.
func (e *Exporter) staleNames() float64 {
	e.mu.Lock()
	g := e.present
	e.mu.Unlock()
	if g == nil || g.sources.stale == nil {
		return 0
	}
	return float64(len(g.sources.stale()))
}

// abandoned counts what hangs, by target: the collectors, and the logins to SQL Server whose collectors have given
// them up. Of those only the present configuration's.
func (e *Exporter) abandoned() map[string]int {
	out := e.flights.abandoned()
	e.mu.Lock()
	g := e.present
	e.mu.Unlock()
	if g != nil {
		g.addAbandoned(out)
	}
	return out
}

// abandonedCollector shows which targets hold what hangs. A target without any has no series, so that
// the series do not grow with the inventory; hypervigil_exporter_abandoned_queries_total is always there.
type abandonedCollector func() map[string]int

var _ prometheus.Collector = abandonedCollector(nil)

// abandonedDesc is never changed.
var abandonedDesc = prometheus.NewDesc(program+"_abandoned_queries",
	"Collectors, and logins to SQL Server, that run beyond their deadline, by target; a target without any has no series.", []string{"target"}, nil)

// Describe implements prometheus.Collector.
func (abandonedCollector) Describe(ch chan<- *prometheus.Desc) { ch <- abandonedDesc }

// Collect implements prometheus.Collector.
func (c abandonedCollector) Collect(ch chan<- prometheus.Metric) {
	for target, n := range c() {
		if n > 0 {
			ch <- prometheus.MustNewConstMetric(abandonedDesc, prometheus.GaugeValue, float64(n), target)
		}
	}
}
