package exporter

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/hypervigil/hypervigil/exporter/probe"
)

// families are the metrics of a probe by the names of their families, and in each by the values of their labels. No family
// is empty.
type families [][]*probe.Metric

// gather makes families of a probe's metrics. It does what a prometheus.Registry would, with no goroutines and channels in
// between: those cost a probe of one login a tenth of all that it takes. What cannot stand beside the rest is left out, and
// the error says so: a second metric with the same name and labels, or one of another type or help than the family's.
func gather(metrics []prometheus.Metric) (families, error) {
	var errs []error
	byName := make(map[string]int, 32)
	out := make(families, 0, 32)
	for _, metric := range metrics {
		m, ok := metric.(*probe.Metric)
		if !ok {
			errs = append(errs, fmt.Errorf("metric %s is not one of a prober's", metric.Desc()))
			continue
		}
		i, ok := byName[*m.Name()]
		switch {
		case !ok:
			byName[*m.Name()] = len(out)
			out = append(out, []*probe.Metric{m})
		case out[i][0].Type() != m.Type() || *out[i][0].Help() != *m.Help():
			errs = append(errs, fmt.Errorf("metric %s was collected with another type or help before", *m.Name()))
		default:
			out[i] = append(out[i], m)
		}
	}
	for i, f := range out {
		if len(f) == 1 {
			continue
		}
		slices.SortStableFunc(f, probe.Compare)
		kept := f[:1]
		for _, m := range f[1:] {
			if probe.Compare(kept[len(kept)-1], m) == 0 {
				errs = append(errs, fmt.Errorf("metric %s %s was collected before with the same labels", *m.Name(), m.Labels()))
				continue
			}
			kept = append(kept, m)
		}
		out[i] = kept
	}
	slices.SortFunc(out, func(a, b []*probe.Metric) int { return strings.Compare(*a[0].Name(), *b[0].Name()) })
	return out, errors.Join(errs...)
}

// write writes the families in a format of Prometheus' into w, by one family at a time: all of them at once in the form that
// Prometheus' encoders take would be most of the memory of an answer about a large cluster.
func (f families) write(w io.Writer, format expfmt.Format) error {
	enc := expfmt.NewEncoder(w, format)
	var one probe.Writer
	for _, metrics := range f {
		if err := enc.Encode(one.Family(metrics)); err != nil {
			return err
		}
	}
	if c, ok := enc.(expfmt.Closer); ok {
		return c.Close()
	}
	return nil
}
