// Package wsfc probes one failover cluster: what it says of itself, and whether its nodes agree about that.
//
//	prober := wsfc.New(wsfc.Options{Cluster: cl, Sources: hosts})
//	session := prober.Session() // for each probe
//
// The views collector asks every node for its own view, as far as nodes can disagree about it: the whole one, of the
// largest cluster, is read once and not from each of 64 nodes. Every other one asks the last node that answered well, and a
// second one after a quarter of the time where the first is silent: cluster for the view, which it shares with views,
// networks, volumes, witness and owners for what their names say. The relation of resources to their possible owners has
// a row for each pair of a resource and a node; owners belongs in a module of its own, which is asked seldom.
// Names of nodes, groups and virtual machines are Windows' names and compared without case; labels spell them as the
// inventory does.
package wsfc

import (
	"context"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
)

// Source is one node that is asked for its view, and for what the view leaves out.
type Source interface {
	View(ctx context.Context) (cluster.View, error)
	// Opinion reads of a view what nodes can disagree about, and only the groups that of wants.
	Opinion(ctx context.Context, of func(group string) bool) (cluster.View, error)
	networkSource
	volumeSource
	witnessSource
	ownerSource
}

// Options say which cluster, and how to reach its nodes.
type Options struct {
	Cluster *config.Cluster
	Sources map[string]Source // by the node's inventory name, all of them
	// Catalog is what the targets share; nil where there is one.
	Catalog *probe.Catalog
}

// Labels are the labels that every series of the target carries.
func Labels(cluster string) prometheus.Labels { return prometheus.Labels{"cluster": cluster} }

// Prober keeps what one probe leaves to the next: which node answered last.
type Prober struct {
	cluster *config.Cluster
	sources map[string]Source
	names   names
	descs   *descs

	mu   sync.Mutex
	last string // the node that answered well last
}

// New returns the prober of one cluster.
func New(o Options) *Prober {
	return &Prober{cluster: o.Cluster, sources: o.Sources, names: newNames(o.Cluster), descs: newDescs(probe.NewDescs(o.Catalog, Labels(o.Cluster.Name)))}
}

// Session returns the collectors of one probe. Cluster and views share the nodes' answers.
func (p *Prober) Session() probe.Session {
	r := newReader(p.sources)
	return probe.Session{Collectors: []probe.Collector{
		p.clusterCollector(r), p.viewsCollector(r), p.networksCollector(r), p.volumesCollector(r), p.witnessCollector(r), p.ownersCollector(r),
	}, Wait: r.wg.Wait}
}

// order lists the nodes, the one that answered well last first.
func (p *Prober) order() []string {
	p.mu.Lock()
	last := p.last
	p.mu.Unlock()
	nodes := make([]string, 0, len(p.cluster.Nodes))
	if _, ok := p.sources[last]; ok {
		nodes = append(nodes, last)
	}
	for _, n := range p.cluster.Nodes {
		if n.Name != last {
			nodes = append(nodes, n.Name)
		}
	}
	return nodes
}

func (p *Prober) remember(node string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = node
}

// names translates the cluster's names into the inventory's.
type names struct {
	nodes map[string]string                 // lower case to inventory
	vms   map[string]*config.VirtualMachine // by group, lower case and as the inventory spells it
}

func newNames(cl *config.Cluster) names {
	n := names{nodes: make(map[string]string, len(cl.Nodes)), vms: make(map[string]*config.VirtualMachine, len(cl.VirtualMachines))}
	for _, node := range cl.Nodes {
		n.nodes[strings.ToLower(node.Name)] = node.Name
	}
	for _, vm := range cl.VirtualMachines {
		n.vms[strings.ToLower(vm.GroupName())] = vm
	}
	for _, vm := range cl.VirtualMachines {
		n.vms[vm.GroupName()] = vm // as the cluster mostly spells it: thousands of names need not be converted
	}
	return n
}

// node spells a node as the inventory does; one that is not in it keeps the cluster's spelling.
func (n names) node(name string) string {
	if own, ok := n.nodes[strings.ToLower(name)]; ok {
		return own
	}
	return name
}

// group spells a group as the inventory does, and names its virtual machine; the name is empty where the group is not
// in the inventory.
func (n names) group(group string) (spelt, vm string) {
	own, ok := n.vms[group]
	if !ok {
		own, ok = n.vms[strings.ToLower(group)]
	}
	if ok {
		return own.GroupName(), own.Name
	}
	return group, ""
}

// vm returns the inventory name of a group's virtual machine, or nothing.
func (n names) vm(group string) string {
	_, vm := n.group(group)
	return vm
}

// answer is one node's view, or why there is none.
type answer = from[cluster.View]

// inventoried reports whether a group is that of a virtual machine in the inventory.
func (n names) inventoried(group string) bool { return n.vm(group) != "" }

// reader asks each node at most once within a probe for its whole view, and at most once for its opinion, whoever wants
// to know. A node that nobody waits for any more is
// left to the end of the probe's context; wg waits for all of them.
type reader struct {
	sources map[string]Source
	wg      sync.WaitGroup
	mu      sync.Mutex
	asked   map[string]*question // for the whole view
	opinion map[string]*question
}

// question is one node being asked; answer may be read once done is closed.
type question struct {
	done   chan struct{}
	answer answer
}

func newReader(sources map[string]Source) *reader {
	return &reader{sources: sources, asked: map[string]*question{}, opinion: map[string]*question{}}
}

// ask begins to ask a node for its whole view, unless somebody did. ctx is the probe's.
func (r *reader) ask(ctx context.Context, node string) *question {
	return r.begin(r.asked, node, func() (cluster.View, error) { return r.sources[node].View(ctx) })
}

// say begins to ask a node for its opinion about the groups that of wants, unless somebody did. ctx is the probe's.
func (r *reader) say(ctx context.Context, node string, of func(group string) bool) *question {
	return r.begin(r.opinion, node, func() (cluster.View, error) { return r.sources[node].Opinion(ctx, of) })
}

func (r *reader) begin(asked map[string]*question, node string, read func() (cluster.View, error)) *question {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q, ok := asked[node]; ok {
		return q
	}
	q := &question{done: make(chan struct{}), answer: answer{node: node}}
	asked[node] = q
	r.wg.Go(func() {
		defer close(q.done)
		q.answer.value, q.answer.err = read()
	})
	return q
}
