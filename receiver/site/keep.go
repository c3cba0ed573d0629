package site

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// standingTimeout bounds what is asked of SQL Server itself: one that does not log anybody in within this hangs, and a
// command waits.
const standingTimeout = 2 * time.Second

// listenTimeout is how long a background look stays with the stream of an instance: long enough to open it and to keep it
// open, and nothing waits for its answer.
const listenTimeout = 300 * time.Millisecond

// mostEvents is how many events of SQL Server or of the cluster are read; a log that is flooded is not.
const mostEvents = 2000

// listen keeps the streams of a virtual machine's instances open.
func (m *machine) listen(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	var work sync.WaitGroup
	for _, s := range m.streams {
		work.Go(func() { s.Health(ctx) })
	}
	work.Wait()
}

// Keep reads what a rung is about to destroy, all at the same time, and returns what was answered by the end of ctx.
func (s *Site) Keep(ctx context.Context, a evidence.Ask) evidence.Bundle {
	b := evidence.Bundle{Started: time.Now().UTC(), VM: a.VM, Instances: map[string]evidence.Standing{}}
	p, m, ok := s.find(a.VM)
	if !ok { // a reload took it out of the inventory
		b.Finished = b.Started
		return b
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	var services []string
	for _, q := range m.config.SQLServers {
		if a.Instance != evidence.NoInstance && a.Instance != q.Instance {
			continue
		}
		services = append(services, q.ServiceName())
		work.Go(func() {
			standing := m.standing(ctx, q.Instance)
			mu.Lock()
			defer mu.Unlock()
			b.Instances[q.Instance] = standing
		})
	}
	work.Go(func() {
		b.GuestEvents = eventsOf(services, func(name string) evidence.Reading[[]cluster.Event] {
			return inGuest(ctx, m.reader, func(g *cluster.Guest, ctx context.Context) ([]cluster.Event, error) {
				return g.ServiceEvents(ctx, a.EventsSince, name)
			})
		})
	})
	work.Go(func() {
		b.ServerEvents = eventsOf(services, func(name string) evidence.Reading[[]cluster.Event] {
			return inGuest(ctx, m.reader, func(g *cluster.Guest, ctx context.Context) ([]cluster.Event, error) {
				// SQL Server writes under its service's name.
				return g.Events(ctx, cluster.EventQuery{Log: "Application", Source: name, Since: a.EventsSince, Most: mostEvents})
			})
		})
	})
	p.keepHost(ctx, &work, a, m, &b)
	work.Wait()
	b.Finished = time.Now().UTC()
	return b
}

// keepHost asks the owner.
func (p *place) keepHost(ctx context.Context, work *sync.WaitGroup, a evidence.Ask, m *machine, b *evidence.Bundle) {
	h, ok := p.hosts[a.Owner]
	if !ok {
		now, detail := time.Now().UTC(), fmt.Sprintf("owner %q is not in the inventory", a.Owner)
		b.Host = unread[cluster.VirtualMachine](now, dial.Other, detail)
		b.Disks = unread[[]evidence.Disk](now, dial.Other, detail)
		b.ClusterEvents = unread[[]cluster.Event](now, dial.Other, detail)
		return
	}
	which := a.VMID
	if which == "" {
		which = m.config.HyperVName()
	}
	work.Go(func() {
		b.Host = reading(ctx, func(ctx context.Context) (cluster.VirtualMachine, error) { return h.VirtualMachine(ctx, which) })
	})
	work.Go(func() {
		b.Disks = reading(ctx, func(ctx context.Context) ([]evidence.Disk, error) {
			devices, err := h.StorageDevices(ctx)
			disks := make([]evidence.Disk, 0, len(devices))
			for _, d := range devices {
				disks = append(disks, evidence.Disk{Name: d.Name, Errors: d.Errors, Queue: d.Queue})
			}
			return disks, err
		})
	})
	work.Go(func() {
		b.ClusterEvents = reading(ctx, func(ctx context.Context) ([]cluster.Event, error) {
			return h.Events(ctx, cluster.EventQuery{Log: "System", Source: cluster.EventSourceCluster, Since: a.EventsSince, Most: mostEvents})
		})
	})
}

// eventsOf joins what is read of several services; one that could not be read is told and takes nothing from the others.
func eventsOf(services []string, read func(string) evidence.Reading[[]cluster.Event]) evidence.Reading[[]cluster.Event] {
	answers := make([]evidence.Reading[[]cluster.Event], len(services))
	var work sync.WaitGroup
	for n, name := range services {
		work.Go(func() { answers[n] = read(name) })
	}
	work.Wait()
	out := evidence.Reading[[]cluster.Event]{At: time.Now().UTC()}
	for n, r := range answers {
		if r.At.Before(out.At) {
			out.At = r.At
		}
		if !r.Known() && out.Failure == dial.Answered {
			out.Failure, out.Detail = r.Failure, services[n]+": "+r.Detail
		}
		out.Value = append(out.Value, r.Value...)
	}
	return out
}

// standing asks one instance, and adds what its stream brought last.
func (m *machine) standing(ctx context.Context, instance string) evidence.Standing {
	ctx, cancel := context.WithTimeout(ctx, standingTimeout)
	defer cancel()
	at := time.Now().UTC()
	v, failures := m.servers[instance].Standing(ctx)
	out := standingOf(at, v, failures)
	if last := m.streams[instance].Last(); !last.Received.IsZero() {
		out.Diagnostics.At = last.Received.UTC()
		for _, c := range last.Components {
			out.Diagnostics.Value = append(out.Diagnostics.Value, evidence.Component{Name: c.Name, State: int64(c.State), ErrorSets: c.ErrorSets, Figures: c.Values})
		}
	} else {
		out.Diagnostics = unread[[]evidence.Component](at, dial.Other, "sp_server_diagnostics has said nothing yet")
	}
	return out
}

// standingOf makes readings of the parts of an answer. What comes after a step that ended the session was not read for
// the same reason.
func standingOf(at time.Time, v sqlhealth.Standing, failures []*sqlhealth.Failure) evidence.Standing {
	why := func(part string) (dial.Reason, string) {
		for _, f := range failures {
			if f.Part == part {
				return f.Reason(), f.Error()
			}
		}
		if len(failures) > 0 {
			last := failures[len(failures)-1]
			return last.Reason(), last.Error()
		}
		return dial.Other, "it was not answered"
	}
	out := evidence.Standing{
		Waits:    evidence.Reading[[]evidence.Wait]{At: at},
		Sessions: evidence.Reading[evidence.Sessions]{At: at},
		Work:     evidence.Reading[evidence.Work]{At: at},
	}
	if v.Waits == nil {
		out.Waits.Failure, out.Waits.Detail = why(sqlhealth.PartWaits)
	}
	for _, w := range v.Waits {
		out.Waits.Value = append(out.Waits.Value, evidence.Wait{Type: w.Type, Tasks: w.Tasks, Time: w.Time})
	}
	switch {
	case v.Blocked == nil:
		out.Sessions.Failure, out.Sessions.Detail = why(sqlhealth.PartBlocked)
	case v.Transactions == nil:
		out.Sessions.Failure, out.Sessions.Detail = why(sqlhealth.PartTransactions)
	default:
		out.Sessions.Value = evidence.Sessions{
			Blocked: v.Blocked.Requests, LongestBlocked: v.Blocked.Longest,
			Transactions: v.Transactions.Active, OldestTransaction: v.Transactions.Oldest,
		}
	}
	if v.Work == nil {
		out.Work.Failure, out.Work.Detail = why(sqlhealth.PartWork)
	} else {
		out.Work.Value = workOf(*v.Work)
	}
	return out
}
