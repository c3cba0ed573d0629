// Package lab is the simulated failover cluster as real servers: the model in internal/lab/model behind a
// WS-Management server for every host and guest and a TDS server for every SQL Server, each on a loopback port of its
// own, with a control over HTTP. Only tests, internal/drill/stage and cmd/hypervigil-lab use it.
//
//	l, err := lab.Start(lab.Options{Dir: dir, Logger: logger})
//	defer l.Close()
//	path, err := l.Config(lab.ConfigOptions{})
//
// A client sees what it would see: a dead service refuses connections, a dead host or a cut board answers no SYN, a
// hung guest accepts and says nothing. Its limits: durations of boots, moves and service starts are parameters
// (model.Profile); the cluster's rules are those that Hypervigil's decisions depend on; there is no load but that of the
// clients' own tables, no latency of a network and no storage. A Lab is safe for concurrent use.
package lab

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/lab/sqlengine"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
	"github.com/hypervigil/hypervigil/internal/lab/wire"
	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

// Vendor is the lab's ProductVendor in Identify: it says who it is, and limits weaker than their defaults count for
// nobody else.
const Vendor = "Hypervigil lab"

const (
	loopback   = "127.0.0.1:0"
	sqlVersion = "16.0.4135.4"
)

// Options are what a lab needs. Dir and Logger are required.
type Options struct {
	Spec   model.Spec // model.Default(model.Quick()) where it names no cluster
	Seed   uint64
	Dir    string // for the certificates
	Logger log.Logger
	Listen string // of the control; 127.0.0.1:0 where empty
	// Scheme is how whoever asks proves who he is, and no other way is open: Basic where empty, with SQL Server's own
	// logins, or NTLM or Kerberos for hosts, guests and SQL Servers alike. Kerberos has the realm for the last.
	Scheme   config.Scheme
	Kerberos *Kerberos
}

// Lab is a running lab.
type Lab struct {
	options  Options
	ca       *Authority
	accounts accounts

	mu      sync.Mutex // of the model
	model   *model.Model
	changed chan struct{} // closed by the next change; nil where nobody awaits one
	wake    chan struct{}

	endpoints []*endpoint
	controls  []net.Listener
	control   net.Listener
	server    *http.Server

	cancel context.CancelFunc
	work   sync.WaitGroup
	once   sync.Once
}

// endpoint is one address of the lab, and how it meets clients now.
type endpoint struct {
	name   string
	port   *wire.Port
	behave func(*model.Model) wire.Behaviour
	now    wire.Behaviour
	close  func()
}

// Start starts a lab. Close stops it.
func Start(o Options) (*Lab, error) {
	if o.Dir == "" || o.Logger == nil {
		return nil, errors.New("lab: Dir and Logger are needed")
	}
	if o.Spec.Cluster == "" {
		o.Spec = model.Default(model.Quick())
	}
	if o.Listen == "" {
		o.Listen = loopback
	}
	if o.Scheme == "" {
		o.Scheme = config.Basic
	}
	if err := o.checkScheme(); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	m, err := model.New(o.Spec, time.Now(), o.Seed)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	m.CountLoads()
	ca, err := NewAuthority(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("lab: certificates: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Lab{options: o, ca: ca, accounts: newAccounts(), model: m, wake: make(chan struct{}, 1), cancel: cancel}
	if err := l.serve(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("lab: %w", err), l.Close())
	}
	l.work.Go(func() { l.run(ctx) })
	return l, nil
}

// serve opens every address.
func (l *Lab) serve(ctx context.Context) error {
	for _, n := range l.model.Nodes {
		p := &provider{node: n.Name, lab: l, tables: map[string]map[string]table{
			nsCluster: clusterTables(n.Name), nsHyperV: hypervTables(n.Name), nsWindows: hostTables(n.Name), nsNetwork: networkTables(n.Name),
		}, methods: merge(clusterMethods(), hypervMethods(n.Name))}
		behave := func(m *model.Model) wire.Behaviour {
			switch n := m.Node(n.Name); {
			case !n.Powered:
				return wire.Unanswered
			case n.Hung:
				return wire.Hung
			}
			return wire.Answering
		}
		expired := func(m *model.Model) bool { return m.Node(n.Name).Expired }
		if err := l.wsman(n.Name, p, behave, expired, l.accounts.operator); err != nil {
			return err
		}
	}
	for _, v := range l.model.VMs {
		p := &provider{lab: l, tables: map[string]map[string]table{nsWindows: guestTables(v.Name)}, methods: guestMethods(v.Name)}
		behave := func(m *model.Model) wire.Behaviour { return guestBehaviour(m, m.VM(v.Name)) }
		expired := func(m *model.Model) bool { return m.VM(v.Name).Expired }
		if err := l.wsman(v.Name, p, behave, expired, l.accounts.guest); err != nil {
			return err
		}
		for _, s := range v.Servers {
			if !known(v, s) {
				continue
			}
			if err := l.tds(ctx, v.Name, s.Instance); err != nil {
				return err
			}
		}
	}
	if vm := l.applicationVM(); vm != "" {
		if err := l.web(vm); err != nil {
			return err
		}
	}
	for range 2 {
		c, err := net.Listen("tcp", loopback)
		if err != nil {
			return err
		}
		l.controls = append(l.controls, c)
		l.work.Go(func() { acceptAll(c) })
	}
	var err error
	if l.control, err = net.Listen("tcp", l.options.Listen); err != nil {
		return err
	}
	l.server = &http.Server{Handler: l.handler(), ReadHeaderTimeout: 5 * time.Second}
	l.work.Go(func() {
		if err := l.server.Serve(l.control); !errors.Is(err, http.ErrServerClosed) {
			level.Error(l.options.Logger).Log("msg", "control ended", "err", err)
		}
	})
	return nil
}

func merge(maps ...map[string]map[string]method) map[string]map[string]method {
	all := map[string]map[string]method{}
	for _, m := range maps {
		for class, methods := range m {
			all[class] = methods
		}
	}
	return all
}

// acceptAll is a control outside the cluster: it accepts, and that is all that is asked of it.
func acceptAll(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.Close()
	}
}

// guestBehaviour is how a guest's own network meets a client.
func guestBehaviour(m *model.Model, v *model.VM) wire.Behaviour {
	switch {
	case !m.Reachable(v):
		return wire.Unanswered
	case v.Guest == model.GuestHung:
		return wire.Hung
	}
	return wire.Answering
}

// sqlBehaviour is how an instance's port meets a client: it refuses where the guest lives and the service does not.
func sqlBehaviour(m *model.Model, v *model.VM, s *model.Server) wire.Behaviour {
	switch b := guestBehaviour(m, v); {
	case b != wire.Answering:
		return b
	case s.Hung:
		return wire.Hung
	case !s.Up && s.Clustered() != nil && s.Clustered().State != cluster.GroupOnline:
		return wire.Unanswered // its address is offline with it
	case !s.Up:
		return wire.Refusing
	}
	return wire.Answering
}

// known reports whether an instance is known by a virtual machine: one of a cluster of guests by the first of them.
func known(v *model.VM, s *model.Server) bool {
	return s.Clustered() == nil || s.Clustered().Guests[0] == v.Name
}

func (l *Lab) wsman(name string, p *provider, behave func(*model.Model) wire.Behaviour, expired func(*model.Model) bool, operator account) error {
	port, err := wire.Listen(loopback)
	if err != nil {
		return err
	}
	certificate, err := l.certificate(name, expired)
	if err != nil {
		return err
	}
	negotiate, err := l.acceptor(name, l.accounts.reader, operator)
	if err != nil {
		return err
	}
	if negotiate != nil {
		// What a client binds its proof to is the one certificate that everybody is shown: here none ever expires.
		if certificate, err = l.ca.Issue(name); err != nil {
			return err
		}
	}
	o := wsmanserver.Options{
		Logger: log.With(l.options.Logger, "server", name), Provider: p, Negotiate: negotiate, TLS: certificate, Machine: name,
		ProductVendor: Vendor, ProductVersion: "OS: 10.0.20348 SP: 0.0 Stack: 3.0",
		// Reading and commanding are two accounts; the reader commands nothing.
		Authorize: func(c wsmanserver.Call) bool {
			return c.User == operator.user || c.Method == "" && c.User == l.accounts.reader.user
		},
	}
	if negotiate == nil {
		o.Authenticate = func(user, password string) bool {
			return l.accounts.reader.is(user, password) || operator.is(user, password)
		}
	}
	s, err := wsmanserver.New(o)
	if err != nil {
		return err
	}
	l.add(&endpoint{name: name, port: port, behave: behave, close: func() { s.Close() }})
	l.work.Go(func() {
		if err := s.Serve(port); err != nil {
			level.Error(l.options.Logger).Log("msg", "server ended", "server", name, "err", err)
		}
	})
	return nil
}

func (l *Lab) tds(ctx context.Context, vm, instance string) error {
	port, err := wire.Listen(loopback)
	if err != nil {
		return err
	}
	name := vm + "/" + instance
	certificate, err := l.certificate(vm, func(m *model.Model) bool { _, s := m.Instance(vm, instance); return s.Expired })
	if err != nil {
		return err
	}
	engine, err := sqlengine.New(&sqlInstance{lab: l, vm: vm, instance: instance})
	if err != nil {
		return err
	}
	integrated, err := l.acceptor(vm, l.accounts.sql)
	if err != nil {
		return err
	}
	s, err := tdsserver.New(tdsserver.Options{
		Integrated: integrated, Handler: engine, Transactions: engine, Logger: log.With(l.options.Logger, "server", name), Version: sqlVersion, ServerName: serverName(vm, instance),
		Encryption: tdsserver.Offered, TLS: certificate,
	})
	if err != nil {
		return err
	}
	l.add(&endpoint{name: name, port: port, close: func() { port.Close() }, behave: func(m *model.Model) wire.Behaviour {
		v, s := m.Instance(vm, instance)
		return sqlBehaviour(m, v, s)
	}})
	l.work.Go(func() {
		if err := s.Serve(ctx, port); err != nil {
			level.Error(l.options.Logger).Log("msg", "server ended", "server", name, "err", err)
		}
	})
	return nil
}

func (l *Lab) add(e *endpoint) { l.endpoints = append(l.endpoints, e) }

// With calls do with the model as it is now, which nobody else sees or changes meanwhile. do must not keep it.
func (l *Lab) With(do func(m *model.Model)) { l.with(do) }

// with lets time pass to now, lets do look at or change the model, and makes every address behave accordingly.
func (l *Lab) with(do func(*model.Model)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.model.Advance(time.Now())
	do(l.model)
	l.behave()
	l.tell()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// behave sets each address to what the model says; the caller holds the lock.
func (l *Lab) behave() {
	for _, e := range l.endpoints {
		b := e.behave(l.model)
		if b == e.now {
			continue
		}
		if err := e.port.Set(b); err != nil {
			level.Error(l.options.Logger).Log("msg", "address does not behave", "address", e.name, "want", b, "err", err)
			continue
		}
		e.now = b
	}
}

// run lets the model's time pass with the clock.
func (l *Lab) run(ctx context.Context) {
	for {
		l.mu.Lock()
		l.model.Advance(time.Now())
		l.behave()
		at, ok := l.model.Next()
		l.mu.Unlock()
		wait := time.Hour
		if ok {
			wait = max(0, time.Until(at))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-l.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// Close stops every server and returns when all is quiet.
func (l *Lab) Close() error {
	var err error
	l.once.Do(func() {
		l.cancel()
		if l.server != nil {
			err = l.server.Close()
		}
		if l.control != nil {
			l.control.Close()
		}
		for _, c := range l.controls {
			c.Close()
		}
		for _, e := range l.endpoints {
			e.close()
		}
		l.work.Wait()
	})
	return err
}

// account is a user of the lab.
type account struct{ user, password string }

func (a account) is(user, password string) bool {
	return subtle.ConstantTimeCompare([]byte(user), []byte(a.user))&subtle.ConstantTimeCompare([]byte(password), []byte(a.password)) == 1
}

// sqlInstance is an instance of SQL Server as the engine asks for it.
type sqlInstance struct {
	lab          *Lab
	vm, instance string
}

var (
	_ sqlengine.Instance = (*sqlInstance)(nil)
	_ sqlengine.Worker   = (*sqlInstance)(nil)
)

// Working implements sqlengine.Worker.
func (s *sqlInstance) Working(run uint32, rows int) {
	s.lab.with(func(m *model.Model) {
		_, server := m.Instance(s.vm, s.instance)
		server.Working(run, rows)
	})
}

// Authenticate implements sqlengine.Instance.
func (s *sqlInstance) Authenticate(user, password string) bool {
	return s.lab.options.Scheme == config.Basic && s.lets() && s.lab.accounts.sql.is(user, password)
}

// Admit implements sqlengine.Instance.
func (s *sqlInstance) Admit(account string) bool {
	return s.lets() && account == s.lab.accounts.sql.user
}

// lets reports whether the instance lets its account in.
func (s *sqlInstance) lets() bool {
	refuses := false
	s.lab.with(func(m *model.Model) {
		_, server := m.Instance(s.vm, s.instance)
		refuses = server.Refuses
	})
	return !refuses
}

// Snapshot implements sqlengine.Instance.
func (s *sqlInstance) Snapshot() sqlengine.Snapshot {
	var out sqlengine.Snapshot
	s.lab.with(func(m *model.Model) {
		v, server := m.Instance(s.vm, s.instance)
		machine, nodes := s.vm, clusterNodes(server)
		if nodes != nil {
			machine = server.Clustered().Name
		}
		phase := sqlengine.Running
		switch {
		case server.Hung:
			phase = sqlengine.Hung
		case !server.Up:
			phase = sqlengine.ShuttingDown
		}
		up, list := m.Now().Sub(server.Started), databases(server)
		out = sqlengine.Snapshot{
			Phase: phase, Run: server.Service().PID, ServerName: serverName(machine, s.instance), MachineName: machine, ClusterNodes: nodes, Frozen: server.Frozen, InstanceName: s.instance, Version: sqlVersion,
			Edition: "Enterprise Edition (64-bit)", StartTime: server.Started, Now: m.Now(), Databases: list,
			Files: files(list, up), Backups: backups(list, m.Now()), Counters: counters(list, up), Waits: waits(up), Schedulers: schedulers(), MaxWorkers: 512,
			Diagnostics: diagnostics(server.Failing, m.Suffers(v)), Requests: requests(server), Transactions: transactions(server),
			Hadr: alwaysOn(m, s.vm+"/"+s.instance),
		}
	})
	return out
}

// clusterNodes are the guests of a clustered instance (learn.microsoft.com, sys.dm_os_cluster_nodes: 0 up, 1 down).
func clusterNodes(s *model.Server) []sqlengine.ClusterNode {
	g := s.Clustered()
	if g == nil {
		return nil
	}
	var list []sqlengine.ClusterNode
	members := g.Nodes()
	for _, name := range g.Guests {
		n := sqlengine.ClusterNode{Name: name, Owner: name == g.Owner, State: 1}
		if members[name] {
			n.State = 0
		}
		list = append(list, n)
	}
	return list
}

func serverName(vm, instance string) string {
	if instance == "MSSQLSERVER" {
		return vm
	}
	return vm + `\` + instance
}

// databases are the same on every instance: the system's, one in use, which may be damaged or SQL Server be recovering, and one that
// somebody took offline long ago.
func databases(of *model.Server) []sqlengine.Database {
	made := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	var list []sqlengine.Database
	for n, name := range []string{"master", "tempdb", "model", "msdb", "sales", "archive"} {
		d := sqlengine.Database{ID: n + 1, Name: name, CreateDate: made}
		switch {
		case name == "archive":
			d.State = sqlengine.Offline
		case name == "sales" && of.Suspect:
			d.State = sqlengine.Suspect
		case name == "sales" && of.Recovering:
			d.State = sqlengine.Recovering
		}
		list = append(list, d)
	}
	return list
}
