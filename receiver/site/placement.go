package site

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// placement reads where the group may run: the cluster's word from two nodes, of which the first that gives it counts, and
// every node's word on itself. All of it is asked at the same time.
func (q *question) placement(ctx context.Context) evidence.Reading[evidence.Placement] {
	at := time.Now().UTC()
	nodes, tellers := q.place.nodes, q.place.tellers()
	told := make([]evidence.Reading[cluster.Placement], len(tellers))
	hosts := make([]evidence.Reading[evidence.Capacity], len(nodes))
	var memory evidence.Reading[uint64]
	var monitored evidence.Reading[bool]
	group := q.machine.config.GroupName()
	var work sync.WaitGroup
	for n, name := range tellers {
		work.Go(func() {
			told[n] = reading(ctx, func(ctx context.Context) (cluster.Placement, error) { return q.place.hosts[name].Placement(ctx, group) })
		})
	}
	for n, name := range nodes {
		work.Go(func() {
			hosts[n] = q.place.capacities.within(q.ask.MaxAge, name, func() evidence.Reading[evidence.Capacity] {
				return reading(ctx, func(ctx context.Context) (evidence.Capacity, error) { return capacity(ctx, q.place.hosts[name]) })
			})
		})
	}
	work.Go(func() { memory = q.memory(ctx) })
	work.Go(func() { monitored = q.monitored(ctx) })
	work.Wait()
	n := slices.IndexFunc(told, evidence.Reading[cluster.Placement].Known)
	if n < 0 {
		return unread[evidence.Placement](at, told[0].Failure, told[0].Detail)
	}
	p := evidence.Placement{Placement: told[n].Value, Memory: memory, Monitored: monitored, Hosts: make(map[string]evidence.Reading[evidence.Capacity], len(nodes))}
	for n, name := range nodes {
		p.Hosts[name] = hosts[n]
	}
	return evidence.Reading[evidence.Placement]{At: at, Value: p}
}

// tellers are the two nodes that are asked what is the same on all of them: the one that answered last and the next.
func (p *place) tellers() []string {
	p.mu.Lock()
	first := max(0, slices.Index(p.nodes, p.good))
	p.mu.Unlock()
	if len(p.nodes) == 1 {
		return p.nodes
	}
	return []string{p.nodes[first], p.nodes[(first+1)%len(p.nodes)]}
}

// uplinks are the owner's physical network adapters.
func (q *question) uplinks(ctx context.Context) evidence.Reading[[]cluster.Uplink] {
	h, ok := q.place.hosts[q.ask.Owner]
	if !ok {
		return unread[[]cluster.Uplink](time.Now().UTC(), dial.Other, "no owner is known yet")
	}
	return reading(ctx, h.Uplinks)
}

// capacity is what a node says of its memory, of the volumes that it sees and of its network adapters.
func capacity(ctx context.Context, h *cluster.Host) (evidence.Capacity, error) {
	var c evidence.Capacity
	os, err := h.OperatingSystem(ctx)
	if err != nil {
		return c, err
	}
	c.MemoryFree = os.MemoryFree
	if c.Volumes, err = h.SharedVolumes(ctx); err != nil {
		return c, err
	}
	c.Uplinks, err = h.Uplinks(ctx)
	return c, err
}

// memory is what the virtual machine needs: its owner tells what it has and what it begins with.
func (q *question) memory(ctx context.Context) evidence.Reading[uint64] {
	h, ok := q.place.hosts[q.ask.Owner]
	if !ok || q.ask.VMID == "" {
		return unread[uint64](time.Now().UTC(), dial.Other, "neither the owner nor the id of the virtual machine is known yet")
	}
	return reading(ctx, func(ctx context.Context) (uint64, error) {
		begins, err := h.StartupMemory(ctx, q.ask.VMID)
		if err != nil {
			return 0, err
		}
		vm, err := h.VirtualMachine(ctx, q.ask.VMID)
		return max(begins, vm.MemoryUsage), err
	})
}

// monitored is whether the cluster watches the network of one of the virtual machine's adapters: its owner tells. An adapter
// of which it does not tell leaves it unknown.
func (q *question) monitored(ctx context.Context) evidence.Reading[bool] {
	h, ok := q.place.hosts[q.ask.Owner]
	if !ok || q.ask.VMID == "" {
		return unread[bool](time.Now().UTC(), dial.Other, "neither the owner nor the id of the virtual machine is known yet")
	}
	return reading(ctx, func(ctx context.Context) (bool, error) {
		all, err := h.Settings(ctx)
		if err != nil {
			return false, err
		}
		n := slices.IndexFunc(all, func(s cluster.VMSettings) bool { return strings.EqualFold(s.ID, q.ask.VMID) })
		if n < 0 {
			return false, cluster.ErrNotFound
		}
		watched := false
		for _, a := range all[n].Adapters {
			if a.Monitored == nil {
				return false, errUntold
			}
			watched = watched || *a.Monitored
		}
		return watched, nil
	})
}

// errUntold says that Hyper-V has no word on an adapter's ClusterMonitored.
var errUntold = errors.New("an adapter does not tell whether the cluster watches it")
