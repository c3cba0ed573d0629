package exporter

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// family is what a description says of all metrics that it describes.
type family struct{ name, help string }

// describe finds the family of a description, which has no other way to tell it than its text. The descriptions of a
// target are made once; what was read of them is kept with it.
func (t *target) describe(d *prometheus.Desc) (*family, error) {
	if f, ok := t.families.Load(d); ok {
		return f.(*family), nil
	}
	f, err := parseDesc(d.String())
	if err != nil {
		return nil, err
	}
	t.families.Store(d, f)
	return f, nil
}

// parseDesc reads `Desc{fqName: "name", help: "text", …`.
func parseDesc(s string) (*family, error) {
	var f family
	rest := s
	for _, part := range []struct {
		before string
		into   *string
	}{{"Desc{fqName: ", &f.name}, {", help: ", &f.help}} {
		after, ok := strings.CutPrefix(rest, part.before)
		quoted, err := strconv.QuotedPrefix(after)
		if !ok || err != nil {
			return nil, fmt.Errorf("description %.200s is not understood", s)
		}
		if *part.into, err = strconv.Unquote(quoted); err != nil {
			return nil, fmt.Errorf("description %.200s is not understood: %w", s, err)
		}
		rest = after[len(quoted):]
	}
	return &f, nil
}

// gather makes families of a probe's metrics, by name, and in each by the values of their labels. It does what a
// prometheus.Registry would, with no goroutines and channels in between: those cost a probe of one login a tenth of all
// that it takes. What cannot stand beside the rest is left out, and the error says so: a second metric with the same
// name and labels, or one of another type or help than the family's.
func gather(t *target, metrics []prometheus.Metric) ([]*dto.MetricFamily, error) {
	var errs []error
	byName := make(map[string]*dto.MetricFamily, 16)
	written := make([]dto.Metric, len(metrics))
	for i, m := range metrics {
		d, err := t.describe(m.Desc())
		if err == nil {
			err = m.Write(&written[i])
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		kind, ok := typeOf(&written[i])
		f := byName[d.name]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("metric %s is neither gauge nor counter", d.name))
			continue
		case f == nil:
			f = &dto.MetricFamily{Name: &d.name, Help: &d.help, Type: kind.Enum()}
			byName[d.name] = f
		case f.GetType() != kind || f.GetHelp() != d.help:
			errs = append(errs, fmt.Errorf("metric %s was collected with another type or help before", d.name))
			continue
		}
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

// typeOf is the metric's type. The probers make gauges and counters.
func typeOf(m *dto.Metric) (dto.MetricType, bool) {
	switch {
	case m.Gauge != nil:
		return dto.MetricType_GAUGE, true
	case m.Counter != nil:
		return dto.MetricType_COUNTER, true
	}
	return dto.MetricType_UNTYPED, false
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
