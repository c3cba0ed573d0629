package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// errNoGuest says that the inventory has no address of the guest.
var errNoGuest = errors.New("the inventory has no address of this guest")

// Read asks everything of a at the same time and returns when all has been answered or a.Timeout has passed. What was
// asked and not answered carries its failure; what was not asked stays zero.
func (s *Site) Read(ctx context.Context, a evidence.Ask) evidence.Round {
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	r := evidence.Round{Started: time.Now().UTC()}
	p, m, ok := s.find(a.VM)
	if !ok {
		// A reload took it out of the inventory while its incident was open: nothing is known of it any more.
		r.Finished = r.Started
		return r
	}
	q := &question{site: s, place: p, machine: m, ask: a, round: &r}
	q.all(ctx)
	r.Finished = time.Now().UTC()
	return r
}

// question is one round being read. Each of its goroutines writes fields of the round that are its own.
type question struct {
	site    *Site
	place   *place
	machine *machine
	ask     evidence.Ask
	round   *evidence.Round
	work    sync.WaitGroup
}

// wants reports whether one of the parts is asked for.
func (q *question) wants(parts ...evidence.Part) bool {
	return slices.ContainsFunc(parts, func(p evidence.Part) bool { return slices.Contains(q.ask.Parts, p) })
}

// all asks the parts in parallel.
func (q *question) all(ctx context.Context) {
	r := q.round
	if q.wants(evidence.PartAlert) {
		q.work.Go(func() { r.Alert = q.site.alertmanagers.Ask(ctx, q.ask.AlertLabels) })
	}
	if q.wants(evidence.PartGuest) {
		q.work.Go(func() { r.Guest = inGuest(ctx, q.guest(), (*cluster.Guest).Identity) })
	}
	if q.wants(evidence.PartHost) {
		q.work.Go(func() { r.Host = q.host(ctx) })
	}
	if q.wants(evidence.PartViews) {
		q.work.Go(func() { r.Views = q.views(ctx) })
	}
	if q.wants(evidence.PartUplinks) {
		q.work.Go(func() { r.Uplinks = q.uplinks(ctx) })
	}
	if q.wants(evidence.PartPlacement) {
		q.work.Go(func() { r.Placement = q.placement(ctx) })
	}
	if q.wants(evidence.PartLoads) {
		q.work.Go(func() { r.Loads = q.loads(ctx) })
	}
	if q.wants(evidence.PartActivity) {
		q.work.Go(func() { r.Activity = q.activity(ctx) })
	}
	if q.wants(evidence.PartMonitoring) {
		q.work.Go(func() { r.Monitoring = q.monitoring(ctx) })
	}
	if q.wants(evidence.PartDumps) {
		q.work.Go(func() {
			r.Dumps = inGuest(ctx, q.guest(), func(g *cluster.Guest, ctx context.Context) ([]cluster.Process, error) {
				return g.ProcessesNamed(ctx, sqlDumper)
			})
		})
	}
	if q.wants(evidence.PartSiblings) {
		q.work.Go(func() { r.Siblings = q.siblings(ctx) })
	}
	if q.wants(evidence.PartJob) && q.ask.Job != "" {
		q.work.Go(func() { r.Job = q.job(ctx) })
	}
	if q.wants(evidence.PartStartErrors) && q.ask.Service != "" {
		q.work.Go(func() {
			r.StartErrors = inGuest(ctx, q.guest(), func(g *cluster.Guest, ctx context.Context) ([]cluster.Event, error) {
				return g.StartErrors(ctx, q.ask.EventsSince, q.ask.Service)
			})
		})
	}
	if q.wants(evidence.PartSweep) {
		q.work.Go(func() { r.Sweep = q.sweep(ctx) })
	}
	if q.ask.Instance != evidence.NoInstance {
		q.instance(ctx)
	}
	q.work.Wait()
}

// instance asks about one instance of SQL Server and its service.
func (q *question) instance(ctx context.Context) {
	r := q.round
	server := q.machine.config.SQLServer(q.ask.Instance)
	if server == nil {
		return // taken out of the inventory meanwhile
	}
	service := server.ServiceName()
	if q.wants(evidence.PartLogin, evidence.PartDatabases) {
		prober := q.machine.servers[q.ask.Instance]
		q.work.Go(func() { r.Login = login(ctx, prober, q.wants(evidence.PartDatabases)) })
	}
	if stream := q.machine.streams[q.ask.Instance]; q.wants(evidence.PartDiagnostics) {
		q.work.Go(func() { r.Diagnostics = diagnostics(ctx, stream) })
	}
	if q.wants(evidence.PartService, evidence.PartProcess) {
		q.work.Go(func() { q.service(ctx, service) })
	}
	if q.wants(evidence.PartDependents) {
		q.work.Go(func() {
			r.Dependents = inGuest(ctx, q.guest(), func(g *cluster.Guest, ctx context.Context) ([]cluster.Service, error) {
				return g.Dependents(ctx, service)
			})
		})
	}
	if q.wants(evidence.PartEvents) {
		q.work.Go(func() {
			r.Events = inGuest(ctx, q.guest(), func(g *cluster.Guest, ctx context.Context) ([]cluster.Event, error) {
				return g.ServiceEvents(ctx, q.ask.EventsSince, service)
			})
		})
	}
}

// service reads the service, and after it the process: which one is the service's is the service's to say.
func (q *question) service(ctx context.Context, name string) {
	s := inGuest(ctx, q.guest(), func(g *cluster.Guest, ctx context.Context) (cluster.Service, error) { return g.Service(ctx, name) })
	if q.wants(evidence.PartService) {
		q.round.Service = s
	}
	if !q.wants(evidence.PartProcess) {
		return
	}
	pid := q.ask.PID
	if pid == 0 && !s.Known() {
		q.round.Process = unread[cluster.Process](s.At, s.Failure, s.Detail)
		return
	}
	if pid == 0 {
		pid = s.Value.ProcessID
	}
	if pid == 0 { // the service has none, and Windows' process 0 is not one
		q.round.Process = evidence.Reading[cluster.Process]{At: s.At}
		return
	}
	q.round.Process = inGuest(ctx, q.guest(), func(g *cluster.Guest, ctx context.Context) (cluster.Process, error) { return g.Process(ctx, pid) })
}

// guest is the client by which the guest is asked.
func (q *question) guest() *cluster.Guest {
	if q.ask.AsOperator && q.ask.Via == "" {
		return q.machine.operator
	}
	return q.machine.reader
}

// inGuest asks a guest, if the inventory has its address.
func inGuest[T any](ctx context.Context, g *cluster.Guest, ask func(*cluster.Guest, context.Context) (T, error)) evidence.Reading[T] {
	return reading(ctx, func(ctx context.Context) (T, error) {
		if g == nil {
			var zero T
			return zero, errNoGuest
		}
		return ask(g, ctx)
	})
}

// node is the client by which a node is asked: the one of the command, where one is about to be sent to it.
func (q *question) node(name string) (*cluster.Host, bool) {
	hosts := q.place.hosts
	if q.ask.AsOperator && q.ask.Via != "" && name == q.ask.Via {
		hosts = q.place.operators
	}
	h, ok := hosts[name]
	return h, ok
}

// host reads the virtual machine as its owner sees it.
func (q *question) host(ctx context.Context) evidence.Reading[cluster.VirtualMachine] {
	h, ok := q.node(q.ask.Owner)
	if !ok {
		detail := "no owner is known yet"
		if q.ask.Owner != "" {
			detail = fmt.Sprintf("owner %s is not in the inventory", q.ask.Owner)
		}
		return unread[cluster.VirtualMachine](time.Now().UTC(), dial.Other, detail)
	}
	which := q.ask.VMID
	if which == "" {
		which = q.machine.config.HyperVName()
	}
	return reading(ctx, func(ctx context.Context) (cluster.VirtualMachine, error) { return h.VirtualMachine(ctx, which) })
}

// job reads what a command has begun on the node that it was sent to.
func (q *question) job(ctx context.Context) evidence.Reading[cluster.Job] {
	h, ok := q.node(q.ask.Via)
	if !ok {
		return unread[cluster.Job](time.Now().UTC(), dial.Other, fmt.Sprintf("node %s is not in the inventory", q.ask.Via))
	}
	return reading(ctx, func(ctx context.Context) (cluster.Job, error) { return h.Job(ctx, q.ask.Job) })
}

// views asks the nodes for their view of the virtual machine's group.
func (q *question) views(ctx context.Context) map[string]evidence.Reading[cluster.View] {
	nodes := q.ask.Nodes
	if len(nodes) == 0 {
		nodes = q.place.nodes
	}
	group := q.machine.config.GroupName()
	return each(ctx, nodes, q.node, func(ctx context.Context, h *cluster.Host) (cluster.View, error) { return h.GroupView(ctx, group) })
}

// each asks nodes for the same thing in parallel. A node that is not in the inventory (find tells) is not asked.
func each(ctx context.Context, nodes []string, find func(string) (*cluster.Host, bool), ask func(context.Context, *cluster.Host) (cluster.View, error)) map[string]evidence.Reading[cluster.View] {
	answers := make([]evidence.Reading[cluster.View], len(nodes))
	var work sync.WaitGroup
	for n, name := range nodes {
		if h, ok := find(name); ok {
			work.Go(func() {
				answers[n] = reading(ctx, func(ctx context.Context) (cluster.View, error) { return ask(ctx, h) })
			})
		}
	}
	work.Wait()
	views := make(map[string]evidence.Reading[cluster.View], len(nodes))
	for n, name := range nodes {
		if _, ok := find(name); ok {
			views[name] = answers[n]
		}
	}
	return views
}
