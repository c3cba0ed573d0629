package site

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// Prove follows the names of one virtual machine from its group to the SQL Servers inside and takes down what healthy
// looks like (G33, G26). Proof.Missing says, for an operator, what could not be proven; Step decides what that means.
func (s *Site) Prove(ctx context.Context, id evidence.VM) evidence.Proof {
	now := time.Now().UTC()
	proof := evidence.Proof{VM: id, At: now, Baseline: map[string]evidence.Baseline{}}
	p, m, ok := s.find(id)
	if !ok {
		proof.Missing = []string{"it is not in the inventory"}
		return proof
	}
	w := &prover{place: p, machine: m, proof: &proof}
	proof.Binding = evidence.Binding{At: now, Group: m.config.GroupName(), ServerNames: map[string]string{}, Names: evidence.NamesOf(m.config)}
	var guest cluster.GuestIdentity
	var work sync.WaitGroup
	work.Go(func() { w.hosted(ctx) })
	work.Go(func() { guest = w.guest(ctx) })
	// A guest address is what commands need; SQL Server is asked all the same, so that all that is missing is told at once.
	for _, q := range m.config.SQLServers {
		work.Go(func() { w.server(ctx, q.Instance, q.ServiceName()) })
	}
	work.Wait()
	b := &proof.Binding
	b.ComputerName, b.ProductUUID = guest.ComputerName, guest.ProductUUID
	if b.BIOSGUID != "" && b.ProductUUID != "" && !cluster.SameMachineID(b.BIOSGUID, b.ProductUUID) {
		w.differs("the guest at %s is another machine: its product UUID is %s, Hyper-V's BIOSGUID of %s is %s; check guest.address", m.config.Guest.Address, b.ProductUUID, m.config.Name, b.BIOSGUID)
	}
	w.compareNames()
	return proof
}

// prover collects one proof.
type prover struct {
	place   *place
	machine *machine

	mu       sync.Mutex
	proof    *evidence.Proof
	machines map[string]string // instance to SERVERPROPERTY('MachineName')
}

// missing notes what could not be proven.
func (w *prover) missing(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proof.Missing = append(w.proof.Missing, fmt.Sprintf(format, args...))
}

// differs notes what contradicts.
func (w *prover) differs(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proof.Differs = append(w.proof.Differs, fmt.Sprintf(format, args...))
}

// hosted goes from the group by the VM's id to its owner.
func (w *prover) hosted(ctx context.Context) {
	group := w.machine.config.GroupName()
	resource, err := w.place.ask(ctx, func(ctx context.Context, h *cluster.Host) (cluster.Resource, error) { return h.GroupVM(ctx, group) })
	switch {
	case err != nil:
		w.missing("no node tells which virtual machine group %q holds: %v", group, err)
		return
	case resource.VMID == "":
		w.missing("group %q has no virtual machine id (VmID) yet", group)
		return
	}
	h, ok := w.place.hosts[resource.Owner]
	if !ok {
		w.missing("owner %q of group %q is no node of the inventory", resource.Owner, group)
		return
	}
	vm, err := h.VirtualMachine(ctx, resource.VMID)
	switch {
	case err != nil:
		w.missing("owner %s does not tell of VM %s: %v", resource.Owner, resource.VMID, err)
		return
	case vm.BIOSGUID == "":
		w.missing("owner %s tells no BIOSGUID of VM %s", resource.Owner, resource.VMID)
		return
	}
	w.mu.Lock()
	w.proof.Binding.VMID, w.proof.Binding.BIOSGUID = resource.VMID, vm.BIOSGUID
	w.mu.Unlock()
}

// guest reads who the guest says it is.
func (w *prover) guest(ctx context.Context) cluster.GuestIdentity {
	id := inGuest(ctx, w.machine.reader, (*cluster.Guest).Identity)
	switch {
	case !id.Known():
		w.missing("the guest does not tell who it is: %s %s", id.Failure, id.Detail)
	case id.Value.ComputerName == "" || id.Value.ProductUUID == "":
		w.missing("the guest tells no computer name or no product UUID")
	}
	return id.Value
}

// server takes down what one healthy instance looks like.
func (w *prover) server(ctx context.Context, instance, service string) {
	l := login(ctx, w.machine.servers[instance], true)
	switch {
	case !l.Known() || !l.Value.Up:
		w.missing("SQL Server %s does not let us in: %s%s %s", instance, l.Failure, l.Value.Reason, l.Detail)
		return
	case l.Value.Databases == nil:
		w.missing("SQL Server %s: %s", instance, l.Detail)
		return
	}
	base := evidence.Baseline{
		At: l.At, Databases: l.Value.Databases, StartTime: l.Value.StartTime, Clustered: l.Value.Clustered, Hadr: l.Value.Hadr,
	}
	s := inGuest(ctx, w.machine.reader, func(g *cluster.Guest, ctx context.Context) (cluster.Service, error) { return g.Service(ctx, service) })
	if !s.Known() || s.Value.State != cluster.ServiceRunning {
		w.missing("service %s: %s%s %s", service, s.Failure, s.Value.State, s.Detail)
		return
	}
	dependents := inGuest(ctx, w.machine.reader, func(g *cluster.Guest, ctx context.Context) ([]cluster.Service, error) {
		return g.Dependents(ctx, service)
	})
	process := inGuest(ctx, w.machine.reader, func(g *cluster.Guest, ctx context.Context) (cluster.Process, error) {
		return g.Process(ctx, s.Value.ProcessID)
	})
	switch {
	case !dependents.Known():
		w.missing("the services that depend on %s: %s %s", service, dependents.Failure, dependents.Detail)
		return
	case !process.Known() || process.Value.ID == 0:
		w.missing("the process %d of %s: %s %s", s.Value.ProcessID, service, process.Failure, process.Detail)
		return
	}
	for _, d := range dependents.Value {
		if d.State == cluster.ServiceRunning {
			base.Dependents = append(base.Dependents, d.Name)
			if d.StartMode != "Auto" {
				base.Manual = append(base.Manual, d.Name)
			}
		}
	}
	base.PID, base.Created = process.Value.ID, process.Value.Created
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proof.Baseline[instance] = base
	w.proof.Binding.ServerNames[instance] = l.Value.ServerName
	if w.machines == nil {
		w.machines = map[string]string{}
	}
	w.machines[instance] = l.Value.MachineName
}

// compareNames makes sure that each instance runs on the guest: SERVERPROPERTY('MachineName') is its computer name. A
// listener's or an alias' address shows itself here.
func (w *prover) compareNames() {
	computer := w.proof.Binding.ComputerName
	for _, q := range w.machine.config.SQLServers {
		if name, ok := w.machines[q.Instance]; ok && computer != "" && !strings.EqualFold(name, computer) {
			w.differs("SQL Server at %s runs on %q, the guest calls itself %q; check the address of instance %s", q.Address, name, computer, q.Instance)
		}
	}
}

// ask asks the nodes one after the other, the one that answered last first, until one answers. Each gets its share of
// the time that is left, so that a dead one does not use it up.
func (p *place) ask(ctx context.Context, question func(context.Context, *cluster.Host) (cluster.Resource, error)) (cluster.Resource, error) {
	p.mu.Lock()
	order := []string{}
	if p.good != "" {
		order = append(order, p.good)
	}
	p.mu.Unlock()
	for _, n := range p.nodes {
		if len(order) == 0 || n != order[0] {
			order = append(order, n)
		}
	}
	var last error
	for n, node := range order {
		share := ctx
		if end, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			share, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(len(order)-n))
			defer cancel()
		}
		r, err := question(share, p.hosts[node])
		if err == nil {
			p.mu.Lock()
			p.good = node
			p.mu.Unlock()
			return r, nil
		}
		last = err
		if ctx.Err() != nil {
			break
		}
	}
	return cluster.Resource{}, last
}
