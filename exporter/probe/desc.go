package probe

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Catalog keeps each description once for all targets that have it: a thousand SQL Servers have a hundred metrics each,
// and to keep their names and help for every one of them took most of the exporter's memory. It is safe for concurrent
// use. It grows with what the probers know how to describe and not with the targets.
type Catalog struct {
	mu    sync.Mutex
	known map[string]*common
}

// NewCatalog returns an empty catalog.
func NewCatalog() *Catalog { return &Catalog{known: map[string]*common{}} }

// common is what a description says of every target's metric.
type common struct {
	name, help string
	desc       *prometheus.Desc // with the target's labels among the variable ones
	own        int              // how many labels a metric gives itself
	// order has the labels by their names, as an answer has them: what is below own is one of the metric's, in the order
	// in which it gives them, and the rest are the target's.
	order []int
	names []string // the metric's own, in the order in which it gives them
}

// describe returns the one description of that text.
func (c *Catalog) describe(name, help string, own []string, t *target) *common {
	all := slices.Concat(own, t.names)
	key := strings.Join(append([]string{name, help, strings.Join(t.names, "\xff")}, own...), "\xff")
	c.mu.Lock()
	defer c.mu.Unlock()
	if d, ok := c.known[key]; ok {
		return d
	}
	d := &common{name: name, help: help, desc: prometheus.NewDesc(name, help, all, nil), own: len(own), names: slices.Clone(own)}
	for i := range all {
		d.order = append(d.order, i)
	}
	slices.SortFunc(d.order, func(a, b int) int { return cmp.Compare(all[a], all[b]) })
	c.known[key] = d
	return d
}

// target are the labels that every series of one target carries, by their names. An answer holds the pairs themselves:
// nobody writes them.
type target struct {
	names, values []string
	pairs         []*dto.LabelPair
}

// Descs makes the descriptions of one target's metrics. Every one carries the target's own labels.
type Descs struct {
	catalog *Catalog
	target  *target
}

// NewDescs returns Descs for a target with these labels, which shares descriptions with those of the same catalog; with
// nobody where that is nil.
func NewDescs(c *Catalog, labels prometheus.Labels) Descs {
	if c == nil {
		c = NewCatalog()
	}
	t := &target{}
	for name := range labels {
		t.names = append(t.names, name)
	}
	slices.Sort(t.names)
	for i := range t.names {
		t.values = append(t.values, strings.ToValidUTF8(labels[t.names[i]], string(utf8.RuneError)))
		t.pairs = append(t.pairs, &dto.LabelPair{Name: &t.names[i], Value: &t.values[i]})
	}
	return Descs{c, t}
}

// New describes a metric of the target with further labels.
func (d Descs) New(name, help string, labels ...string) Desc {
	return Desc{d.catalog.describe(name, help, labels, d.target), d.target}
}

// Desc describes a metric of one target.
type Desc struct {
	common *common
	target *target
}
