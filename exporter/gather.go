package exporter

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/hypervigil/hypervigil/exporter/probe"
)

// gather makes families of a probe's metrics, by name, and in each by the values of their labels. It does what a
// prometheus.Registry would, with no goroutines and channels in between: those cost a probe of one login a tenth of all
// that it takes. What cannot stand beside the rest is left out, and the error says so: a second metric with the same
// name and labels, or one of another type or help than the family's.
func gather(metrics []prometheus.Metric) ([]*dto.MetricFamily, error) {
	var errs []error
	byName := make(map[string]*dto.MetricFamily, 16)
	written := make([]dto.Metric, len(metrics))
	writer := probe.NewWriter(metrics)
	for i, metric := range metrics {
		m, ok := metric.(*probe.Metric)
		if !ok {
			errs = append(errs, fmt.Errorf("metric %s is not one of a prober's", metric.Desc()))
			continue
		}
		f := byName[*m.Name()]
		switch {
		case f == nil:
			f = &dto.MetricFamily{Name: m.Name(), Help: m.Help(), Type: m.Type().Enum()}
			byName[*m.Name()] = f
		case f.GetType() != m.Type() || f.GetHelp() != *m.Help():
			errs = append(errs, fmt.Errorf("metric %s was collected with another type or help before", *m.Name()))
			continue
		}
		writer.Write(m, &written[i])
		f.Metric = append(f.Metric, &written[i])
	}
	out := make([]*dto.MetricFamily, 0, len(byName))
	for _, f := range byName {
		slices.SortStableFunc(f.Metric, compareLabels)
		kept := f.Metric[:0]
		for _, m := range f.Metric {
			if len(kept) > 0 && compareLabels(kept[len(kept)-1], m) == 0 {
				errs = append(errs, fmt.Errorf("metric %s %v was collected before with the same labels", f.GetName(), m.GetLabel()))
				continue
			}
			kept = append(kept, m)
		}
		f.Metric = kept
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out, errors.Join(errs...)
}

// compareLabels orders metrics of one family as Prometheus' own client does: the fewer labels first, then by the labels'
// values in the order of their names. It is 0 only for the same labels.
func compareLabels(a, b *dto.Metric) int {
	if c := cmp.Compare(len(a.Label), len(b.Label)); c != 0 {
		return c
	}
	for i, l := range a.Label {
		if c := strings.Compare(l.GetValue(), b.Label[i].GetValue()); c != 0 {
			return c
		}
	}
	for i, l := range a.Label {
		if c := strings.Compare(l.GetName(), b.Label[i].GetName()); c != 0 {
			return c
		}
	}
	return 0
}
