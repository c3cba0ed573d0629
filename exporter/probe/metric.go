package probe

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Metric is one value of a target. It is small, for an answer about a cluster has eighty thousand.
type Metric struct {
	desc    Desc
	counter bool
	value   float64
	labels  []string // its own, as its description has them
}

var _ prometheus.Metric = (*Metric)(nil)

// Desc implements prometheus.Metric.
func (m *Metric) Desc() *prometheus.Desc { return m.desc.common.desc }

// Write implements prometheus.Metric.
func (m *Metric) Write(out *dto.Metric) error {
	NewWriter([]prometheus.Metric{m}).Write(m, out)
	return nil
}

// Name is what the metric's family is called, and Help what it means. Nobody writes to them.
func (m *Metric) Name() *string { return &m.desc.common.name }

// Help is what the metric means.
func (m *Metric) Help() *string { return &m.desc.common.help }

// Type is what kind of a metric it is.
func (m *Metric) Type() dto.MetricType {
	if m.counter {
		return dto.MetricType_COUNTER
	}
	return dto.MetricType_GAUGE
}

// Writer writes many metrics into the form in which they are answered, with a handful of allocations for all of them.
// It is not for concurrent use.
type Writer struct {
	refs     []*dto.LabelPair
	pairs    []dto.LabelPair
	gauges   []dto.Gauge
	counters []dto.Counter
}

// NewWriter returns a Writer with room for those of the metrics that are of this package.
func NewWriter(metrics []prometheus.Metric) *Writer {
	refs, pairs, gauges, counters := 0, 0, 0, 0
	for _, m := range metrics {
		m, ok := m.(*Metric)
		if !ok {
			continue
		}
		refs += len(m.desc.common.order)
		pairs += m.desc.common.own
		if m.counter {
			counters++
		} else {
			gauges++
		}
	}
	return &Writer{make([]*dto.LabelPair, refs), make([]dto.LabelPair, pairs), make([]dto.Gauge, gauges), make([]dto.Counter, counters)}
}

// Write writes one of the Writer's metrics, each of them once. What is written refers to the metric.
func (w *Writer) Write(m *Metric, out *dto.Metric) {
	d, t := m.desc.common, m.desc.target
	own := w.pairs[:d.own:d.own]
	w.pairs = w.pairs[d.own:]
	for i := range own {
		own[i].Name, own[i].Value = &d.names[i], &m.labels[i]
	}
	n := len(d.order)
	out.Label = w.refs[:n:n]
	w.refs = w.refs[n:]
	for i, which := range d.order {
		if which < d.own {
			out.Label[i] = &own[which]
		} else {
			out.Label[i] = t.pairs[which-d.own]
		}
	}
	if m.counter {
		out.Counter = &w.counters[0]
		w.counters = w.counters[1:]
		out.Counter.Value = &m.value
		return
	}
	out.Gauge = &w.gauges[0]
	w.gauges = w.gauges[1:]
	out.Gauge.Value = &m.value
}

// Set collects metrics.
type Set []prometheus.Metric

// add adds a metric. Another number of labels than its description has is a mistake of the program and panics; what is
// not UTF-8 in a label, which no exposition format can carry, is replaced.
func (s *Set) add(d Desc, counter bool, v float64, labels []string) {
	if len(labels) != d.common.own {
		panic(fmt.Sprintf("metric %s has the labels %q and was given %d values", d.common.name, d.common.names, len(labels)))
	}
	for i := range labels {
		if !utf8.ValidString(labels[i]) {
			labels = slices.Clone(labels)
			labels[i] = strings.ToValidUTF8(labels[i], string(utf8.RuneError))
		}
	}
	*s = append(*s, &Metric{desc: d, counter: counter, value: v, labels: labels})
}

// Gauge adds a gauge. It keeps the labels.
func (s *Set) Gauge(d Desc, v float64, labels ...string) { s.add(d, false, v, labels) }

// Counter adds a counter. It keeps the labels.
func (s *Set) Counter(d Desc, v float64, labels ...string) { s.add(d, true, v, labels) }

// Bool adds a gauge of 1 or 0.
func (s *Set) Bool(d Desc, v bool, labels ...string) { s.Gauge(d, Float(v), labels...) }

// Seconds adds a gauge in seconds.
func (s *Set) Seconds(d Desc, v time.Duration, labels ...string) { s.Gauge(d, v.Seconds(), labels...) }

// Time adds a moment as seconds since 1970; a zero one is unknown and adds nothing.
func (s *Set) Time(d Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		s.Gauge(d, float64(t.UnixMicro())/1e6, labels...)
	}
}

// Other is the state that a state set shows for a value nobody told us about.
const Other = "other"

// States adds a state set: one series for each state, 1 for the present one. The state is the last label. states has
// to end in Other, which stands for every state that is not in it.
func (s *Set) States(d Desc, states []string, present string, labels ...string) {
	found := false
	for _, state := range states {
		is := state == present || state == Other && !found
		found = found || is
		s.Bool(d, is, append(labels[:len(labels):len(labels)], state)...)
	}
}
