package conformance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
	"github.com/hypervigil/hypervigil/internal/targets"
)

// The environment variables that name real hosts. What is read is read with the readers of the configuration; what
// changes something is sent with the operator of the cluster.
const (
	EnvConfig      = "HYPERVIGIL_CONFORMANCE_CONFIG"
	EnvVictim      = "HYPERVIGIL_CONFORMANCE_CHANGE_VM"
	EnvVictimAgain = "HYPERVIGIL_CONFORMANCE_CHANGE_VM_AGAIN"
)

// Options say what may be done to a site besides reading. Logger is required.
type Options struct {
	Logger log.Logger
	// Victim and VictimAgain name the virtual machine, as cluster/vm, to which the changing assertions may be put. They
	// have to be the same.
	Victim, VictimAgain string
	// Patience is how long a changing assertion may take; ten minutes where it is zero.
	Patience time.Duration
}

// Site is a configuration's clusters, opened.
type Site struct {
	nodes     []*node
	guests    []*guest
	instances []*instance
	victim    *guest
	patience  time.Duration
	mask      *Mask
	closers   []func() error
}

type node struct {
	cluster, name string
	host          *cluster.Host
	// operator is the host with the operator's credential, nil where nothing may be changed.
	operator *cluster.Host
}

type guest struct {
	cluster, name string
	vm            *config.VirtualMachine
	guest         *cluster.Guest // nil where the inventory has no address
}

type instance struct {
	cluster, vm, name string
	prober            *sqlhealth.Prober
	guest             *guest
}

// Open makes the clients of every entry. It connects to nothing. Close closes them.
func Open(c *config.Config, o Options) (s *Site, err error) {
	s = &Site{patience: o.Patience, mask: &Mask{}}
	if s.patience == 0 {
		s.patience = 10 * time.Minute
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if o.Victim != o.VictimAgain {
		return s, fmt.Errorf("%s and %s differ; nothing is done", EnvVictim, EnvVictimAgain)
	}
	for name, cred := range c.Credentials {
		s.mask.Name("credential", name)
		s.mask.Name("account", cred.Username)
		if cred.Scheme == config.Certificate {
			continue
		}
		if secret, err := cred.Password(); err == nil {
			s.mask.Secret(secret.Reveal())
		}
	}
	t := targets.New(c, o.Logger)
	defer func() { s.closers = append(s.closers, t.Close) }() // after every client
	for _, cl := range c.Clusters {
		if err := s.add(t, cl, o); err != nil {
			return s, fmt.Errorf("cluster %s: %w", cl.Name, err)
		}
	}
	if o.Victim != "" && s.victim == nil {
		return s, fmt.Errorf("%s: %q is no cluster/vm of the inventory with an operator", EnvVictim, o.Victim)
	}
	return s, nil
}

func (s *Site) add(t *targets.Targets, cl *config.Cluster, o Options) error {
	s.mask.Name("cluster", cl.Name)
	reader, err := t.WinRM(cl.Reader, cl.TLS)
	if err != nil {
		return err
	}
	changes := func(vm string) bool { return o.Victim == cl.Name+"/"+vm && cl.Operator != "" }
	ours := false
	for _, vm := range cl.VirtualMachines {
		ours = ours || changes(vm.Name)
	}
	for _, n := range cl.Nodes {
		s.mask.Name("node", n.Name)
		for _, a := range n.Addresses {
			s.address(a)
		}
		s.service(n.SPN)
		machine := targets.Machine{Name: n.Name, Addresses: n.Addresses, SPN: n.SPN}
		options, err := reader.Options(machine)
		if err != nil {
			return err
		}
		h, err := cluster.NewHost(options)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, h.Close)
		entry := &node{cluster: cl.Name, name: n.Name, host: h}
		if ours {
			operator, err := t.WinRM(cl.Operator, cl.TLS)
			if err != nil {
				return err
			}
			if options, err = operator.Options(machine); err != nil {
				return err
			}
			if entry.operator, err = cluster.NewHost(options); err != nil {
				return err
			}
			s.closers = append(s.closers, entry.operator.Close)
		}
		s.nodes = append(s.nodes, entry)
	}
	for _, vm := range cl.VirtualMachines {
		s.mask.Name("vm", vm.Name)
		s.mask.Alias(vm.Group, vm.Name)
		s.mask.Alias(vm.VMName, vm.Name)
		g := &guest{cluster: cl.Name, name: vm.Name, vm: vm}
		if vm.Guest.Address != "" {
			s.address(vm.Guest.Address)
			s.service(vm.Guest.SPN)
			options, err := reader.Options(targets.Machine{Name: vm.Name, Addresses: []string{vm.Guest.Address}, SPN: vm.Guest.SPN})
			if err != nil {
				return err
			}
			if g.guest, err = cluster.NewGuest(options); err != nil {
				return err
			}
			s.closers = append(s.closers, g.guest.Close)
			s.guests = append(s.guests, g)
		}
		if changes(vm.Name) {
			s.victim = g
		}
		for _, i := range vm.SQLServers {
			s.mask.Name("instance", i.Instance)
			s.address(i.Address)
			s.service(i.SPN)
			p, err := t.SQL(cl, i)
			if err != nil {
				return err
			}
			s.instances = append(s.instances, &instance{cluster: cl.Name, vm: vm.Name, name: i.Instance, prober: p, guest: g})
		}
	}
	return nil
}

// address tells the mask of an address, and of its host alone.
func (s *Site) address(a string) {
	s.mask.Name("address", a)
	if host, _, err := net.SplitHostPort(a); err == nil {
		s.mask.Name("address", host)
	}
}

// service tells the mask of a name in Kerberos, and of its host alone.
func (s *Site) service(spn string) {
	if _, host, ok := strings.Cut(spn, "/"); ok {
		s.mask.Name("service", spn)
		s.address(host)
	}
}

// Close closes every client.
func (s *Site) Close() error {
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// owner finds the node that owns a virtual machine's group, its group and the resource of the machine itself, by the
// first node that answers.
func (s *Site) owner(ctx context.Context, g *guest) (*node, cluster.Group, cluster.Resource, error) {
	group := g.vm.Group
	if group == "" {
		group = g.vm.Name
	}
	var last error
	for _, n := range s.nodes {
		if n.cluster != g.cluster {
			continue
		}
		v, err := n.host.View(ctx)
		if err != nil {
			last = err
			continue
		}
		found, ok := v.Group(group)
		if !ok {
			return nil, found, cluster.Resource{}, errors.New("the cluster has no group of that name")
		}
		for _, r := range v.Resources {
			if r.Group != found.Name || r.VMID == "" {
				continue
			}
			for _, owner := range s.nodes {
				if owner.cluster == g.cluster && owner.name == found.Owner {
					return owner, found, r, nil
				}
			}
			return nil, found, r, errors.New("the owner is no node of the inventory")
		}
		return nil, found, cluster.Resource{}, errors.New("the group has no resource of a virtual machine")
	}
	return nil, cluster.Group{}, cluster.Resource{}, fmt.Errorf("no node tells its view: %w", last)
}
