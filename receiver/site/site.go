// Package site is the world as the receiver's driver meets it: it reads rounds of evidence, samples clusters, proves
// bindings, and sends the one command that it is handed. It decides nothing; what is asked and what is sent comes from
// receiver/incident.
//
//	s, err := site.New(site.Options{Config: cfg, Logger: logger})
//	defer s.Close()
//	round := s.Read(ctx, ask)
//
// Every call returns when its context ends, or at most 100 ms later, with what was answered by then. Reads use the
// cluster's reader; commands, and the read right before one, the operator of what they are sent to: the guest's, or the
// cluster's for its hosts and itself. A *Site is safe for concurrent use
// and never changes its configuration: a reload makes a new one.
package site

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
	"github.com/hypervigil/hypervigil/internal/targets"
	"github.com/hypervigil/hypervigil/receiver/alertmanager"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// Options are what a Site needs; all of it.
type Options struct {
	Config *config.Config // checked by CheckReceiver
	Logger log.Logger
}

// Site is the clients of one configuration.
type Site struct {
	config        *config.Config
	targets       *targets.Targets
	alertmanagers *alertmanager.Client
	clusters      map[string]*place
	closers       []func() error
}

// place is one cluster.
type place struct {
	name  string
	nodes []string // in the configuration's order
	hosts map[string]*cluster.Host
	// operators are the same nodes as the account of the commands.
	operators map[string]*cluster.Host
	vms       map[string]*machine
	gauges    map[string]*gauge // by node
	// What each node said of itself last, for questions that an older answer is good enough for.
	capacities answers[evidence.Capacity]
	loads      answers[evidence.Load]

	mu     sync.Mutex
	good   string            // the node that answered last
	owners map[string]string // group to owner, by the newest sample
	lab    map[string]bool   // what each node said of itself when it last answered
}

// machine is one virtual machine. Its guest's clients are nil where the inventory has no address of it.
type machine struct {
	config   *config.VirtualMachine
	reader   *cluster.Guest
	operator *cluster.Guest
	servers  map[string]*sqlhealth.Prober // by instance
	// streams keep what each instance's sp_server_diagnostics said last: one that hangs can no longer be asked.
	streams map[string]*sqlhealth.Stream
}

// StaleNames lists the hosts whose name server fails, and which are reached by the addresses that it gave last.
func (s *Site) StaleNames() []string { return s.targets.StaleNames() }

// New makes the clients; it connects to nothing.
func New(o Options) (*Site, error) {
	if o.Config == nil || o.Logger == nil {
		return nil, errors.New("site: Config and Logger are needed")
	}
	s := &Site{config: o.Config, targets: targets.New(o.Config, o.Logger), clusters: map[string]*place{}}
	if err := s.open(o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Site) open(o Options) (err error) {
	s.alertmanagers, err = alertmanager.New(alertmanager.Options{URLs: o.Config.Receiver.Alertmanagers, Logger: o.Logger, Names: s.targets.Names()})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, func() error { s.alertmanagers.Close(); return nil })
	for _, cl := range o.Config.Clusters {
		p, err := s.openCluster(cl)
		if err != nil {
			return fmt.Errorf("cluster %s: %w", cl.Name, err)
		}
		s.clusters[cl.Name] = p
	}
	return nil
}

func (s *Site) openCluster(cl *config.Cluster) (*place, error) {
	reader, err := s.targets.WinRM(cl.Reader, cl.TLS)
	if err != nil {
		return nil, err
	}
	operator, err := s.targets.WinRM(cl.Operator, cl.TLS)
	if err != nil {
		return nil, err
	}
	guestOperator, err := s.targets.WinRM(cl.GuestOperator, cl.TLS)
	if err != nil {
		return nil, err
	}
	p := &place{
		name: cl.Name, hosts: map[string]*cluster.Host{}, operators: map[string]*cluster.Host{}, vms: map[string]*machine{},
		owners: map[string]string{}, lab: map[string]bool{}, gauges: map[string]*gauge{},
	}
	for _, n := range cl.Nodes {
		if p.hosts[n.Name], err = s.openHost(reader, n); err != nil {
			return nil, err
		}
		if p.operators[n.Name], err = s.openHost(operator, n); err != nil {
			return nil, err
		}
		p.nodes = append(p.nodes, n.Name)
		p.gauges[n.Name] = &gauge{}
	}
	for _, vm := range cl.VirtualMachines {
		m := &machine{config: vm, servers: map[string]*sqlhealth.Prober{}, streams: map[string]*sqlhealth.Stream{}}
		if vm.Guest.Address != "" {
			if m.reader, err = s.openGuest(reader, vm); err != nil {
				return nil, err
			}
			if m.operator, err = s.openGuest(guestOperator, vm); err != nil {
				return nil, err
			}
		}
		for _, q := range vm.SQLServers {
			if m.servers[q.Instance], err = s.targets.SQL(cl, q); err != nil {
				return nil, fmt.Errorf("SQL Server %s/%s: %w", vm.Name, q.Instance, err)
			}
			stream := sqlhealth.NewStream(m.servers[q.Instance], s.config.Policy(vm).HealthCheckTimeout)
			s.closers = append(s.closers, stream.Close)
			m.streams[q.Instance] = stream
		}
		p.vms[vm.Name] = m
	}
	return p, nil
}

func (s *Site) openHost(a targets.Account, n *config.Node) (*cluster.Host, error) {
	o, err := a.Options(targets.Machine{Name: n.Name, Addresses: n.Addresses, SPN: n.SPN})
	if err != nil {
		return nil, err
	}
	h, err := cluster.NewHost(o)
	if err == nil {
		s.closers = append(s.closers, h.Close)
	}
	return h, err
}

func (s *Site) openGuest(a targets.Account, vm *config.VirtualMachine) (*cluster.Guest, error) {
	o, err := a.Options(targets.Machine{Name: vm.Name, Addresses: []string{vm.Guest.Address}, SPN: vm.Guest.SPN})
	if err != nil {
		return nil, err
	}
	g, err := cluster.NewGuest(o)
	if err == nil {
		s.closers = append(s.closers, g.Close)
	}
	return g, err
}

// Close closes the kept connections. Calls under way end at their contexts' deadlines.
func (s *Site) Close() error {
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c())
	}
	return errors.Join(append(errs, s.targets.Close())...)
}

// find returns a virtual machine and its cluster; ok is false for one that is not in the inventory.
func (s *Site) find(id evidence.VM) (*place, *machine, bool) {
	p, ok := s.clusters[id.Cluster]
	if !ok {
		return nil, nil, false
	}
	m, ok := p.vms[id.Name]
	return p, m, ok
}

// Alerts lists the alerts that ask to be acted on and are active in any Alertmanager that answers.
func (s *Site) Alerts(ctx context.Context) ([]alertmanager.Alert, error) {
	return s.alertmanagers.Acting(ctx)
}

// reading asks one thing. The question's moment is the reading's.
func reading[T any](ctx context.Context, ask func(context.Context) (T, error)) evidence.Reading[T] {
	at := time.Now().UTC()
	v, err := ask(ctx)
	if err != nil {
		return unread[T](at, reason(err), err.Error())
	}
	return evidence.Reading[T]{Value: v, At: at}
}

// unread is a reading that was not made.
func unread[T any](at time.Time, why dial.Reason, detail string) evidence.Reading[T] {
	return evidence.Reading[T]{At: at, Failure: why, Detail: detail}
}

// reason classifies an error; one is never taken for an answer.
func reason(err error) dial.Reason {
	var f *sqlhealth.Failure
	if errors.As(err, &f) && f.Reason() != dial.Answered {
		return f.Reason()
	}
	if r := cluster.Reason(err); r != dial.Answered {
		return r
	}
	return dial.Other
}
