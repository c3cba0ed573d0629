package wsfc

import (
	"context"
	"fmt"
	"strconv"

	"github.com/go-kit/log"
	"golang.org/x/sync/errgroup"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// ownerSource tells who may own what.
type ownerSource interface {
	// PossibleOwners returns the nodes that may own each resource, by its name; PossibleOwnersOf those of these resources,
	// with one question for each.
	PossibleOwners(ctx context.Context) (map[string][]string, error)
	PossibleOwnersOf(ctx context.Context, resources []string) (map[string][]string, error)
	// PreferredOwners returns the preferred nodes of each group that prefers any, in order, by its name.
	PreferredOwners(ctx context.Context) (map[string][]string, error)
	// VMResources returns the virtual machines' resources: names and groups.
	VMResources(ctx context.Context) ([]cluster.Resource, error)
}

type ownerDescs struct{ count, possible, preferred probe.Desc }

func newOwnerDescs(_ probe.Descs, group func(name, help string, more ...string) probe.Desc) ownerDescs {
	return ownerDescs{
		count:     group("wsfc_group_possible_owners", "How many nodes may own the virtual machine. Only for virtual machines of the inventory."),
		possible:  group("wsfc_group_possible_owner", "1 for a node that may own the virtual machine; there is no series for the others. Only for virtual machines of the inventory that not every node may own.", "node"),
		preferred: group("wsfc_group_preferred_owner", "1 for a node that the group prefers; order 1 is the first choice. Only for virtual machines of the inventory that prefer any.", "node", "order"),
	}
}

// ownership is what one node says of who may own what.
type ownership struct {
	possible, preferred map[string][]string
	machines            []cluster.Resource
}

// mostOwnerRows is how many rows may be read for the sake of one question: 2 MB or so.
const mostOwnerRows = 2000

// ownersCollector tells which nodes may own the virtual machines of the inventory, and which they prefer. The cluster
// has one row for each pair of a resource and a node that may own it, a million of them in the largest one: where they
// are many, only those of our virtual machines are asked for.
func (p *Prober) ownersCollector(r *reader) probe.Collector {
	return probe.Collector{Name: "owners", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		a, err := hedged(ctx, l, r, p.order(), func(ctx context.Context, s Source) (o ownership, err error) {
			g, ctx := errgroup.WithContext(ctx)
			g.Go(func() (err error) { o.preferred, err = s.PreferredOwners(ctx); return err })
			g.Go(func() (err error) {
				if o.machines, err = s.VMResources(ctx); err != nil {
					return err
				}
				if ask := p.asked(o.machines); ask != nil {
					o.possible, err = s.PossibleOwnersOf(ctx, ask)
				} else {
					o.possible, err = s.PossibleOwners(ctx)
				}
				return err
			})
			return o, g.Wait()
		})
		if err != nil {
			return probe.Result{Err: fmt.Errorf("read who may own the virtual machines: %w", err)}
		}
		var s probe.Set
		p.ownerMetrics(&s, a.value)
		return probe.Result{Metrics: s}
	}}
}

// asked lists the resources that are asked about one by one; nil asks for all rows at once. A virtual machine has two
// resources, itself and its configuration, and a row of each for every node.
func (p *Prober) asked(machines []cluster.Resource) []string {
	if 2*len(machines)*len(p.cluster.Nodes) <= mostOwnerRows {
		return nil
	}
	ours := []string{}
	for i := range machines {
		if _, vm := p.names.group(machines[i].Group); vm != "" {
			ours = append(ours, machines[i].Name)
		}
	}
	return ours
}

func (p *Prober) ownerMetrics(s *probe.Set, o ownership) {
	d := p.descs.owners
	for i := range o.machines {
		r := &o.machines[i]
		group, vm := p.names.group(r.Group)
		if vm == "" {
			continue
		}
		nodes := o.possible[r.Name]
		s.Gauge(d.count, float64(len(nodes)), group, vm)
		if len(nodes) >= len(p.cluster.Nodes) {
			continue
		}
		for _, n := range nodes {
			s.Gauge(d.possible, 1, group, vm, p.names.node(n))
		}
	}
	for name, nodes := range o.preferred {
		group, vm := p.names.group(name)
		if vm == "" {
			continue
		}
		for i, n := range nodes {
			s.Gauge(d.preferred, 1, group, vm, p.names.node(n), strconv.Itoa(i+1))
		}
	}
}
