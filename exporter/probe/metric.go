package probe

import (
	"cmp"
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
	w := &Writer{}
	w.reserve([]*Metric{m})
	w.write(m, out)
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

// Compare orders metrics of one family as Prometheus' own client does: the fewer labels first, then by the labels' values in
// the order of their names. It is 0 only for the same labels.
func Compare(a, b *Metric) int {
	d := a.desc.common
	if a.desc == b.desc { // all but always: then the target's labels are the same
		for _, which := range d.order {
			if which < d.own {
				if c := strings.Compare(a.labels[which], b.labels[which]); c != 0 {
					return c
				}
			}
		}
		return 0
	}
	if c := cmp.Compare(len(d.order), len(b.desc.common.order)); c != 0 {
		return c
	}
	for _, of := range []func(*Metric, int) string{(*Metric).labelValue, (*Metric).labelName} {
		for i := range d.order {
			if c := strings.Compare(of(a, i), of(b, i)); c != 0 {
				return c
			}
		}
	}
	return 0
}

// labelName is the name of the i-th of all its labels in the order of their names, and labelValue its value.
func (m *Metric) labelName(i int) string {
	d := m.desc.common
	if which := d.order[i]; which >= d.own {
		return m.desc.target.names[which-d.own]
	}
	return d.names[d.order[i]]
}

func (m *Metric) labelValue(i int) string {
	d := m.desc.common
	if which := d.order[i]; which >= d.own {
		return m.desc.target.values[which-d.own]
	}
	return m.labels[d.order[i]]
}

// Labels are all its labels, for an error.
func (m *Metric) Labels() string {
	var b strings.Builder
	for i := range m.desc.common.order {
		fmt.Fprintf(&b, "%s=%q ", m.labelName(i), m.labelValue(i))
	}
	return strings.TrimSuffix(b.String(), " ")
}

// Writer writes metrics into the form in which they are answered, one family after the other in the same memory: in that
// form they take several times what they are made of, and an answer about a cluster has eighty thousand. Its zero value is
// ready. It is not for concurrent use.
type Writer struct {
	family   dto.MetricFamily
	list     []*dto.Metric
	metrics  []dto.Metric
	refs     []*dto.LabelPair
	pairs    []dto.LabelPair
	gauges   []dto.Gauge
	counters []dto.Counter
	// How much of each is in use.
	nrefs, npairs, ngauges, ncounters int
}

// Family writes a family of at least one metric, all of one name, help and type. It is good until the next call, and
// refers to the metrics.
func (w *Writer) Family(metrics []*Metric) *dto.MetricFamily {
	w.reserve(metrics)
	w.metrics = atLeast(w.metrics, len(metrics))
	w.list = w.list[:0]
	for i, m := range metrics {
		out := &w.metrics[i]
		out.Gauge, out.Counter = nil, nil
		w.write(m, out)
		w.list = append(w.list, out)
	}
	first := metrics[0]
	w.family.Name, w.family.Help, w.family.Type, w.family.Metric = first.Name(), first.Help(), first.Type().Enum(), w.list
	return &w.family
}

// reserve makes room for the metrics in place of those before.
func (w *Writer) reserve(metrics []*Metric) {
	refs, pairs, gauges, counters := 0, 0, 0, 0
	for _, m := range metrics {
		refs += len(m.desc.common.order)
		pairs += m.desc.common.own
		if m.counter {
			counters++
		} else {
			gauges++
		}
	}
	w.refs, w.pairs, w.gauges, w.counters = atLeast(w.refs, refs), atLeast(w.pairs, pairs), atLeast(w.gauges, gauges), atLeast(w.counters, counters)
	w.nrefs, w.npairs, w.ngauges, w.ncounters = 0, 0, 0, 0
}

// atLeast returns a slice with room for n; what was in it does not matter.
func atLeast[T any](s []T, n int) []T {
	if n <= len(s) {
		return s
	}
	return make([]T, n)
}

// write writes one metric for which there is room.
func (w *Writer) write(m *Metric, out *dto.Metric) {
	d, t := m.desc.common, m.desc.target
	own := w.pairs[w.npairs:][:d.own:d.own]
	w.npairs += d.own
	for i := range own {
		own[i].Name, own[i].Value = &d.names[i], &m.labels[i]
	}
	n := len(d.order)
	out.Label = w.refs[w.nrefs:][:n:n]
	w.nrefs += n
	for i, which := range d.order {
		if which < d.own {
			out.Label[i] = &own[which]
		} else {
			out.Label[i] = t.pairs[which-d.own]
		}
	}
	if m.counter {
		out.Counter = &w.counters[w.ncounters]
		w.ncounters++
		out.Counter.Value = &m.value
		return
	}
	out.Gauge = &w.gauges[w.ngauges]
	w.ngauges++
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
