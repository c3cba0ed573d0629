package site

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// Sample asks every configured node of a cluster for its whole view.
func (s *Site) Sample(ctx context.Context, name string) map[string]evidence.Reading[cluster.View] {
	p, ok := s.clusters[name]
	if !ok {
		return nil
	}
	views := each(ctx, p.nodes, p.reader, func(ctx context.Context, h *cluster.Host) (cluster.View, error) { return h.View(ctx) })
	p.remember(views)
	return views
}

// reader is the client by which a node is read.
func (p *place) reader(node string) (*cluster.Host, bool) {
	h, ok := p.hosts[node]
	return h, ok
}

// remember keeps who owns what, for the sweep: of the first node in order that answered.
func (p *place) remember(views map[string]evidence.Reading[cluster.View]) {
	for _, n := range p.nodes {
		v := views[n]
		if !v.Known() {
			continue
		}
		owners := make(map[string]string, len(v.Value.Groups))
		for _, g := range v.Value.Groups {
			owners[g.Name] = g.Owner
		}
		p.mu.Lock()
		p.owners, p.good = owners, n
		p.mu.Unlock()
		return
	}
}

// owner is the owner of a group by the newest sample; empty where that does not tell.
func (p *place) owner(group string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.owners[group]
}

// IsLab asks every configured node who it is. It is true only where each says that it is the lab. A node that is
// silent now counts by what it said when it last answered: a fault under test must not make the lab a stranger, and a
// silent node takes no command. One that never answered is an error.
func (s *Site) IsLab(ctx context.Context, name string) (bool, error) {
	p, ok := s.clusters[name]
	if !ok {
		return false, fmt.Errorf("cluster %q is not in the inventory", name)
	}
	said := make([]error, len(p.nodes))
	var work sync.WaitGroup
	for n, node := range p.nodes {
		work.Go(func() {
			id, err := p.hosts[node].Identify(ctx)
			if said[n] = err; err != nil {
				return
			}
			p.mu.Lock()
			p.lab[node] = id.Lab()
			p.mu.Unlock()
		})
	}
	work.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var never []string
	for n, node := range p.nodes {
		lab, answered := p.lab[node]
		switch {
		case !answered:
			never = append(never, fmt.Sprintf("%s: %v", node, said[n]))
		case !lab:
			return false, nil
		}
	}
	if len(never) > 0 {
		return false, fmt.Errorf("who cluster %s is could not be asked of %s", name, strings.Join(never, "; "))
	}
	return true, nil
}
