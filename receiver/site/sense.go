package site

import (
	"context"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// Sense reads what the background sampler wants to know of one virtual machine. It takes as long as ctx lets it: some of
// what it asks answers slowly, and nobody waits for it on the way to a decision.
func (s *Site) Sense(ctx context.Context, a evidence.Ask) evidence.Vitals {
	v := evidence.Vitals{VM: a.VM, Work: map[string]evidence.Reading[evidence.Work]{}}
	p, m, ok := s.find(a.VM)
	if !ok {
		return v
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	for _, q := range m.config.SQLServers {
		prober := m.servers[q.Instance]
		work.Go(func() {
			r := reading(ctx, func(ctx context.Context) (evidence.Work, error) {
				w, err := prober.Work(ctx)
				return workOf(w), err
			})
			mu.Lock()
			defer mu.Unlock()
			v.Work[q.Instance] = r
		})
	}
	work.Go(func() { m.listen(ctx) })
	work.Go(func() {
		v.Orderly = inGuest(ctx, m.reader, func(g *cluster.Guest, ctx context.Context) (cluster.Orderly, error) {
			return g.Orderly(ctx, a.EventsSince)
		})
	})
	work.Go(func() { v.Disks = p.disks(ctx, a) })
	work.Wait()
	return v
}

// disks reads what the owner counts of the virtual machine's disks, by its proven id.
func (p *place) disks(ctx context.Context, a evidence.Ask) evidence.Reading[cluster.DiskIO] {
	h, ok := p.hosts[a.Owner]
	if !ok || a.VMID == "" {
		return unread[cluster.DiskIO](time.Now().UTC(), dial.Other, "the owner or the id of the virtual machine is not known")
	}
	return reading(ctx, func(ctx context.Context) (cluster.DiskIO, error) { return h.DiskIO(ctx, a.VMID) })
}

func workOf(w sqlhealth.Work) evidence.Work {
	return evidence.Work{Oldest: w.Oldest, Rollbacks: w.Rollbacks, RollingBack: w.RollingBack, Backup: w.Backup, Restore: w.Restore}
}
