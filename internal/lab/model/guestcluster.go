package model

import (
	"fmt"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// GuestClusterSpec is SQL Server as the clustered resource of guests, a failover cluster instance: they share its disk, and
// it runs in one of them.
type GuestClusterSpec struct {
	Name     string   // of the virtual server: SERVERPROPERTY('MachineName'), and its address
	Instance string   // of SQL Server
	Guests   []string // virtual machines; the first owns it in the beginning, and its VMSpec has the instance
	// RestartThreshold is how often the resource is restarted where it is, within RestartPeriod, before its group fails over.
	RestartThreshold int
}

// GuestCluster is one of them: group, resource and disk, which move together.
type GuestCluster struct {
	GuestClusterSpec
	Owner string // virtual machine
	State cluster.GroupState

	members             []member
	restarts, failovers []time.Time
	life                int // distinguishes what was scheduled for an earlier owner or start
}

// member is the instance as it is installed in one of the guests.
type member struct {
	vm     *VM
	server *Server
}

// looksAlive is how often the cluster looks whether SQL Server's service runs, and restartPeriod the time that restarts are
// counted in (learn.microsoft.com, LooksAlivePollInterval, 5000 by default, and RestartPeriod, 900000). Between two looks
// a failure waits; here always for the whole interval.
const looksAlive = 5 * time.Second

// healthCheckTimeout is how long today's cluster waits for an answer of sp_server_diagnostics (learn.microsoft.com,
// "Configure HealthCheckTimeout Property Settings", 30000 by default). That of 2008 R2 asked SELECT @@SERVERNAME, every
// IsAlive ("Windows failover clustering overview", learn.microsoft.com/archive).
const healthCheckTimeout = 30 * time.Second

// GuestClustered makes every SQL Server of a cluster the clustered resource of two guests, as in the white paper's first
// configuration: beside each virtual machine with SQL Server stands another of its name with a B, on the next node. The
// hosts cluster nothing there: a virtual machine stays where it is.
//
// The resource fails over without a restart where it is: the white paper measured a failover for the stop of the service,
// so its resource cannot have been configured otherwise (the default is three restarts, learn.microsoft.com,
// RestartThreshold).
func (s Spec) GuestClustered() Spec {
	vms := slices.Clone(s.VMs)
	s.VMs, s.GuestClusters = nil, nil
	for _, v := range vms {
		v.Pinned = true
		s.VMs = append(s.VMs, v)
		if len(v.Instances) == 0 {
			continue
		}
		next := (slices.Index(s.Nodes, v.Node) + 1) % len(s.Nodes)
		second := VMSpec{Name: v.Name + "B", Group: v.Name + "B", Node: s.Nodes[next], Pinned: true}
		s.VMs = append(s.VMs, second)
		for n, instance := range v.Instances {
			s.GuestClusters = append(s.GuestClusters, GuestClusterSpec{
				Name: fmt.Sprintf("%s-CL%d", v.Name, n+1), Instance: instance, Guests: []string{v.Name, second.Name},
			})
		}
	}
	s.CheckHeartbeat = false
	return s
}

// cluster installs an instance in the guests of a cluster of theirs. Its services are started by nobody but the cluster.
func (m *Model) cluster(s GuestClusterSpec) error {
	g := &GuestCluster{GuestClusterSpec: s, State: cluster.GroupOnline}
	for n, name := range s.Guests {
		v := m.VM(name)
		if v == nil {
			return fmt.Errorf("guest cluster %s: virtual machine %q is not in the cluster", s.Name, name)
		}
		server := v.Server(s.Instance)
		switch {
		case n == 0 && (server == nil || s.Instance == ""):
			return fmt.Errorf("guest cluster %s: instance %q is not on %s", s.Name, s.Instance, name)
		case n == 0:
			g.Owner = name
		case server != nil:
			return fmt.Errorf("guest cluster %s: %s has an instance %s of its own", s.Name, name, s.Instance)
		default:
			server = m.install(v, s.Instance)
			for _, service := range []*Service{server.service, v.agent(server)} {
				service.State, service.PID = cluster.ServiceStopped, 0
			}
			server.Up = false
		}
		server.cluster = g
		server.service.StartMode, v.agent(server).StartMode = "Manual", "Manual"
		g.members = append(g.members, member{v, server})
	}
	if len(g.members) < 2 {
		return fmt.Errorf("guest cluster %s: two guests at least", s.Name)
	}
	m.GuestClusters = append(m.GuestClusters, g)
	return nil
}

// agent is the SQL Server Agent of an instance.
func (v *VM) agent(s *Server) *Service { return v.Dependents(s.service.Name)[0] }

// Clustered is the cluster of guests that an instance is a resource of; nil where it is none's.
func (s *Server) Clustered() *GuestCluster { return s.cluster }

// installed are the instance wherever it is installed: in one guest, or in each of the cluster that it is a resource of.
func (s *Server) installed() []*Server {
	if s.cluster == nil {
		return []*Server{s}
	}
	var list []*Server
	for _, n := range s.cluster.members {
		list = append(list, n.server)
	}
	return list
}

// guestClusters is how the failover of a cluster of guests is told from those of its virtual machine, where both are counted.
const guestClusters = "guest cluster "

// Counted reports whether a count among FailoversByCluster is one of this cluster of guests. A virtual machine with two
// instances stands for two of them.
func (g *GuestCluster) Counted(c Count) bool { return c.Detail == guestClusters+g.Name }

// Instance finds an instance by the virtual machine that it is known by: as it is installed there, or, where it is the
// resource of a cluster of guests, in the guest that owns it now. Both are nil where there is no such instance.
func (m *Model) Instance(vm, instance string) (*VM, *Server) {
	v := m.VM(vm)
	if v == nil {
		return nil, nil
	}
	s := v.Server(instance)
	if s == nil {
		return nil, nil
	}
	if s.cluster == nil {
		return v, s
	}
	owner := s.cluster.member(s.cluster.Owner)
	return owner.vm, owner.server
}

func (g *GuestCluster) member(vm string) member {
	return g.members[slices.IndexFunc(g.members, func(m member) bool { return m.vm.Name == vm })]
}

// Nodes lists the guests and whether each is a member of their cluster: it runs, and the others hear it.
func (g *GuestCluster) Nodes() map[string]bool {
	nodes := map[string]bool{}
	for _, m := range g.members {
		nodes[m.vm.Name] = m.lives()
	}
	return nodes
}

// lives reports whether a guest is a member: the guests hear each other over a network of their own.
func (n member) lives() bool { return n.vm.Guest == GuestRunning && n.vm.State == cluster.VMRunning }

// downs is called when an instance has ceased to serve. The cluster notices when it next looks: at the service, at what
// answers, or, where the whole guest is gone, at its heartbeat.
func (m *Model) downs(s *Server) {
	g := s.cluster
	if g == nil || g.State != cluster.GroupOnline || g.member(g.Owner).server != s {
		return
	}
	p := m.Spec.Profile
	wait := p.short(looksAlive)
	switch {
	case !g.member(g.Owner).lives():
		wait = p.HeartbeatDelay * time.Duration(p.HeartbeatThreshold)
	case s.Hung:
		wait = m.unanswered()
	}
	m.watch(g, wait, func() bool { return !s.Up })
}

// sickens is called when a component of sp_server_diagnostics has gone into error: today's cluster gets a set of it in a third
// of its time-out, and acts on the component system (learn.microsoft.com, "Failover policy for failover cluster instances",
// condition level 3, the default; resource is 4 and query_processing 5). That of 2008 R2 asked for nothing of the kind.
func (m *Model) sickens(s *Server) {
	if g := s.cluster; g != nil && s.Failing == Components()[0] && m.Spec.Era.Name != Era2008R2 {
		m.watch(g, m.Spec.Profile.short(healthCheckTimeout/3), func() bool { return s.Failing != "" })
	}
}

// unanswered is how long the cluster waits for an answer of SQL Server.
func (m *Model) unanswered() time.Duration {
	if m.Spec.Era.Name == Era2008R2 {
		return m.Spec.Profile.short(IsAlive)
	}
	return m.Spec.Profile.short(healthCheckTimeout)
}

// watch lets the resource fail after a while, if it is still online where it was and still ill.
func (m *Model) watch(g *GuestCluster, wait time.Duration, ill func() bool) {
	life := g.life
	m.after(wait, func() {
		if g.life == life && g.State == cluster.GroupOnline && ill() {
			m.fails(g)
		}
	})
}

// fails is what the cluster does about a resource that failed: it restarts it where it is, as often as that may be, then it
// fails the group over, as often as that may be (FailoverThreshold: one less than there are nodes, in six hours).
func (m *Model) fails(g *GuestCluster) {
	g.life++
	owner := g.member(g.Owner)
	recent := func(list []time.Time, within time.Duration) []time.Time {
		return slices.DeleteFunc(list, func(at time.Time) bool { return m.now.Sub(at) >= within })
	}
	if owner.lives() {
		m.guestLog(owner, EventResourceFailed, "SQL Server ("+g.Instance+")", g.Name, "SQL Server")
	}
	g.restarts = recent(g.restarts, RestartPeriod)
	if owner.lives() && len(g.restarts) < g.RestartThreshold {
		g.restarts = append(g.restarts, m.now)
		m.bring(g, 0)
		return
	}
	g.failovers = recent(g.failovers, failoverPeriod)
	to := slices.IndexFunc(g.members, func(n member) bool { return n.vm.Name != g.Owner && n.lives() && !n.vm.Starved.On })
	if to < 0 || len(g.failovers) >= len(g.members)-1 {
		g.State = cluster.GroupFailed
		for _, n := range g.members {
			if n.lives() {
				m.guestLog(n, EventGroupFailed, g.Name)
				m.guestLog(n, EventGroupGivenUp, g.Name)
			}
		}
		return
	}
	g.failovers, g.restarts = append(g.failovers, m.now), nil
	g.State = cluster.GroupPending
	m.release(owner)
	m.takes(g, g.members[to])
	m.bring(g, m.Spec.Profile.GuestFailover)
}

// takes makes a guest the owner. What the next start of SQL Server has to recover comes with the disk.
func (m *Model) takes(g *GuestCluster, to member) {
	counts := &g.members[0].vm.Counts
	counts.FailoversByCluster = append(counts.FailoversByCluster, Count{m.now, g.Owner + " to " + to.vm.Name, guestClusters + g.Name})
	from := g.member(g.Owner).server
	to.server.Undo, from.Undo = to.server.Undo+from.Undo, 0
	to.server.Slow, from.Slow = to.server.Slow+from.Slow, 0
	g.Owner = to.vm.Name
}

// release takes the resource offline where it was: SQL Server ends there, and the disk is let go.
func (m *Model) release(n member) {
	if !n.lives() {
		return
	}
	for _, s := range []*Service{n.vm.agent(n.server), n.server.service} {
		if s.State != cluster.ServiceStopped {
			m.kill(n.vm, s)
		}
	}
}

// bring takes the group online in its owner, after what the disk, the address and the name take to get there. SQL Server's
// resource is online when it serves; the agent and with it the group follow.
func (m *Model) bring(g *GuestCluster, after time.Duration) {
	g.State = cluster.GroupPending
	life := g.life
	n := g.member(g.Owner)
	again := func(do func()) func() {
		return func() {
			switch {
			case g.life != life:
			case !n.lives():
				m.fails(g)
			default:
				do()
			}
		}
	}
	m.after(after, again(func() {
		if n.server.service.State == cluster.ServiceRunning { // a restart of what runs and does not answer
			m.kill(n.vm, n.server.service)
		}
		if !m.logsOn(n.vm, n.server.service) {
			m.fails(g)
			return
		}
		m.start(n.vm, n.server.service, "guest cluster")
		m.after(m.Spec.Profile.ServiceStart, again(func() {
			m.start(n.vm, n.vm.agent(n.server), "guest cluster")
			m.after(m.Spec.Profile.ServiceStart/2, again(func() {
				g.State = cluster.GroupOnline
				m.starves(n.vm)
				if !n.server.Up {
					m.downs(n.server)
				}
			}))
		}))
	}))
}

// starves lets the cluster notice that a resource's guest has nothing left: what it asks SQL Server is not answered in
// time.
func (m *Model) starves(v *VM) {
	for _, g := range m.GuestClusters {
		if g.Owner == v.Name && v.Starved.On {
			m.watch(g, m.unanswered(), func() bool { return v.Starved.On })
		}
	}
}

// returned is a guest that has booted: it joins the cluster of guests, which starts what has no owner that lives.
func (m *Model) returned(v *VM) {
	for _, g := range m.GuestClusters {
		here := slices.ContainsFunc(g.members, func(n member) bool { return n.vm == v })
		owner := g.member(g.Owner)
		switch {
		case !here, owner.vm != v && owner.lives():
		case g.State == cluster.GroupFailed, owner.vm == v && !owner.server.Up:
			g.life++
			if g.Owner != v.Name {
				m.takes(g, g.member(v.Name))
			}
			m.bring(g, joinTime)
		}
	}
}

// guestLog writes into a guest's System log what its own cluster says.
func (m *Model) guestLog(n member, id uint32, strings ...string) {
	m.record(&n.vm.Events, Event{Log: "System", ID: id, Source: cluster.EventSourceCluster, Strings: strings})
}
