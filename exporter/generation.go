package exporter

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter/application"
	"github.com/hypervigil/hypervigil/exporter/guest"
	"github.com/hypervigil/hypervigil/exporter/hyperv"
	"github.com/hypervigil/hypervigil/exporter/mssql"
	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/reach"
	"github.com/hypervigil/hypervigil/exporter/wsfc"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
)

// sources are the peers of a configuration: one client for each, kept from probe to probe.
type sources struct {
	// hosts by cluster and node, guests by cluster and virtual machine, instances by cluster, virtual machine and
	// instance. A guest without an address is not there.
	hosts     map[[2]string]host
	guests    map[[2]string]guest.Source
	instances map[[3]string]mssql.Source
	// admins are the dedicated administrator connections of those instances that the inventory names one for.
	admins map[[3]string]mssql.AdminSource
	// urls asks the application of a cluster's virtual machine by its URL; there is none without a URL.
	urls map[[2]string]application.Getter
	// reach connects to an address as a client would.
	reach reach.Dialer
	// stale lists the names that are answered from memory; nil where nothing is remembered.
	stale func() []string
	// close ends every connection.
	close func() error
}

// host is what the hyperv and the wsfc probers ask of one node.
type host interface {
	hyperv.Source
	wsfc.Source
}

// opener makes the sources of a configuration. It connects to nothing.
type opener func(*config.Config, log.Logger) (*sources, error)

// target is one entry of the inventory as one prober sees it.
type target struct {
	prober  config.Prober
	name    string // as ?target= names it
	labels  prometheus.Labels
	descs   answerDescs
	session func() probe.Session
	entry   any // the part of the configuration that describes it, for ?debug=true
	// abandoned is how many of its connections are stuck behind the collectors' backs; nil where none can be.
	abandoned func() int
	// certificate is when what its peer showed in the last TLS handshake ends; nil where it makes no such connection
	// itself.
	certificate func() time.Time
}

// expirer is a source that knows what certificates its peer showed.
type expirer interface{ CertificateExpiry() time.Time }

var _ = []expirer{(*cluster.Host)(nil), (*cluster.Guest)(nil), mssql.Instance{}}

// certificateOf returns how to ask a source; nil where it does not know.
func certificateOf(source any) func() time.Time {
	if e, ok := source.(expirer); ok {
		return e.CertificateExpiry
	}
	return nil
}

// targetKey finds a target.
type targetKey struct {
	prober config.Prober
	name   string
}

// generation is one configuration with all that was made of it.
type generation struct {
	config  *config.Config
	loaded  time.Time
	sources *sources
	order   []*target // as the inventory has them
	targets map[targetKey]*target
	users   sync.WaitGroup
}

func newGeneration(c *config.Config, l log.Logger, open opener) (*generation, error) {
	s, err := open(c, l)
	if err != nil {
		return nil, err
	}
	g := &generation{config: c, loaded: time.Now(), sources: s, targets: map[targetKey]*target{}}
	catalog := probe.NewCatalog()
	for _, cl := range c.Clusters {
		g.addCluster(cl, catalog)
	}
	for _, t := range g.order {
		t.descs = newAnswerDescs(probe.NewDescs(catalog, t.labels))
		g.targets[targetKey{t.prober, t.name}] = t
	}
	if err := g.checkCollectors(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return g, nil
}

// addCluster lists the targets of one cluster, which share descriptions with those of the others.
func (g *generation) addCluster(cl *config.Cluster, catalog *probe.Catalog) {
	nodes := make(map[string]wsfc.Source, len(cl.Nodes))
	for _, n := range cl.Nodes {
		nodes[n.Name] = g.sources.hosts[[2]string{cl.Name, n.Name}]
	}
	prober := wsfc.New(wsfc.Options{Cluster: cl, Sources: nodes, Catalog: catalog})
	g.order = append(g.order, &target{
		prober: config.ProberWSFC, name: cl.Name, labels: wsfc.Labels(cl.Name), session: prober.Session, entry: cl,
	})
	for _, n := range cl.Nodes {
		g.order = append(g.order, &target{
			prober: config.ProberHyperV, name: cl.Name + "/" + n.Name, labels: hyperv.Labels(cl.Name, n.Name), entry: n,
			certificate: certificateOf(g.sources.hosts[[2]string{cl.Name, n.Name}]),
			session:     fixed(hyperv.Collectors(hyperv.Options{Source: g.sources.hosts[[2]string{cl.Name, n.Name}], Cluster: cl, Node: n.Name, Catalog: catalog})),
		})
	}
	for _, vm := range cl.VirtualMachines {
		if source, ok := g.sources.guests[[2]string{cl.Name, vm.Name}]; ok {
			g.order = append(g.order, &target{
				prober: config.ProberGuest, name: cl.Name + "/" + vm.Name, labels: guest.Labels(cl.Name, vm.Name), entry: vm,
				certificate: certificateOf(source),
				session:     fixed(guest.Collectors(guest.Options{Source: source, Reach: g.sources.reach, Cluster: cl.Name, VM: vm, Catalog: catalog})),
			})
		}
		if vm.Application != nil {
			g.order = append(g.order, &target{
				prober: config.ProberApplication, name: cl.Name + "/" + vm.Name, labels: application.Labels(cl.Name, vm.Name), entry: vm,
				session: fixed(application.Collectors(application.Options{
					Cluster: cl.Name, VM: vm, Reach: g.sources.reach, Get: g.sources.urls[[2]string{cl.Name, vm.Name}],
					Services: g.sources.guests[[2]string{cl.Name, vm.Name}], Catalog: catalog,
				})),
			})
		}
		for _, s := range vm.SQLServers {
			source := g.sources.instances[[3]string{cl.Name, vm.Name, s.Instance}]
			admin := g.sources.admins[[3]string{cl.Name, vm.Name, s.Instance}]
			g.order = append(g.order, &target{
				prober: config.ProberMSSQL, name: cl.Name + "/" + vm.Name + "/" + s.Instance, labels: mssql.Labels(cl.Name, vm.Name, s.Instance), entry: s,
				session:   fixed(mssql.Collectors(mssql.Options{Source: source, Admin: admin, Cluster: cl.Name, VM: vm.Name, Instance: s.Instance, Catalog: catalog})),
				abandoned: abandonedBy(source, admin), certificate: certificateOf(source),
			})
		}
	}
}

// abandonedBy counts the logins to an instance that are stuck, those on its dedicated administrator connection among them.
func abandonedBy(source mssql.Source, admin mssql.AdminSource) func() int {
	if admin == nil {
		return source.Abandoned
	}
	return func() int { return source.Abandoned() + admin.Abandoned() }
}

// fixed makes sessions of collectors that keep nothing from one to the next.
func fixed(collectors []probe.Collector) func() probe.Session {
	return func() probe.Session { return probe.Session{Collectors: collectors} }
}

// checkCollectors makes sure that the probers have the collectors that the configuration lets a module name.
func (g *generation) checkCollectors() error {
	for _, t := range g.order {
		var names []string
		for _, c := range t.session().Collectors {
			names = append(names, c.Name)
		}
		if want := t.prober.Collectors(); !slices.Equal(names, want) {
			return fmt.Errorf("the prober %s has the collectors %q, the configuration knows %q", t.prober, names, want)
		}
	}
	return nil
}

// addAbandoned adds what is stuck, by target.
func (g *generation) addAbandoned(to map[string]int) {
	for _, t := range g.order {
		if t.abandoned != nil {
			to[t.name] += t.abandoned()
		}
	}
}

// retire closes the generation once nobody uses it any more.
func (g *generation) retire() {
	g.users.Wait()
	g.close()
}

func (g *generation) close() { _ = g.sources.close() }
