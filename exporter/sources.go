package exporter

import (
	"errors"
	"fmt"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/exporter/application"
	"github.com/hypervigil/hypervigil/exporter/guest"
	"github.com/hypervigil/hypervigil/exporter/mssql"
	"github.com/hypervigil/hypervigil/exporter/reach"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
	"github.com/hypervigil/hypervigil/internal/targets"
)

// openSources makes a client for every host, guest and instance. They keep their connections from probe to probe, but
// for SQL Server: a fresh login is the question there, besides the stream of its diagnostics.
func openSources(c *config.Config, l log.Logger) (*sources, error) {
	t := targets.New(c, l)
	o := &opening{targets: t, sources: sources{
		hosts: map[[2]string]host{}, guests: map[[2]string]guest.Source{}, instances: map[[3]string]mssql.Source{},
		admins: map[[3]string]mssql.AdminSource{}, urls: map[[2]string]application.Getter{}, reach: reach.TCP(t.Names()),
	}}
	o.sources.close, o.sources.stale = o.close, o.targets.StaleNames
	for _, cl := range c.Clusters {
		if err := o.cluster(c, cl); err != nil {
			return nil, errors.Join(fmt.Errorf("cluster %s: %w", cl.Name, err), o.close())
		}
	}
	return &o.sources, nil
}

// opening collects what is open.
type opening struct {
	targets *targets.Targets
	sources sources
	closers []func() error
}

func (o *opening) close() error {
	var errs []error
	for _, c := range o.closers {
		errs = append(errs, c())
	}
	return errors.Join(append(errs, o.targets.Close())...)
}

func (o *opening) cluster(c *config.Config, cl *config.Cluster) error {
	winrm, err := o.targets.WinRM(cl.Reader, cl.TLS)
	if err != nil {
		return err
	}
	for _, n := range cl.Nodes {
		options, err := winrm.Options(targets.Machine{Name: n.Name, Addresses: n.Addresses, SPN: n.SPN})
		if err != nil {
			return err
		}
		h, err := cluster.NewHost(options)
		if err != nil {
			return err
		}
		o.closers = append(o.closers, h.Close)
		o.sources.hosts[[2]string{cl.Name, n.Name}] = h
	}
	for _, vm := range cl.VirtualMachines {
		if vm.Guest.Address != "" {
			options, err := winrm.Options(targets.Machine{Name: vm.Name, Addresses: []string{vm.Guest.Address}, SPN: vm.Guest.SPN})
			if err != nil {
				return err
			}
			g, err := cluster.NewGuest(options)
			if err != nil {
				return err
			}
			o.closers = append(o.closers, g.Close)
			o.sources.guests[[2]string{cl.Name, vm.Name}] = g
		}
		if a := vm.Application; a != nil && a.HTTP != "" {
			// The cluster's server name is WinRM's and does not carry over.
			client, err := (config.TLS{CAFile: cl.TLS.CAFile}).Client()
			if err != nil {
				return err
			}
			o.sources.urls[[2]string{cl.Name, vm.Name}] = application.NewGetter(client, o.targets.Names())
		}
		for _, s := range vm.SQLServers {
			p, err := o.targets.SQL(cl, s)
			if err != nil {
				return fmt.Errorf("SQL Server %s/%s: %w", vm.Name, s.Instance, err)
			}
			if s.Admin != nil {
				admin, err := o.targets.Admin(cl, s)
				if err != nil {
					return fmt.Errorf("SQL Server %s/%s: %w", vm.Name, s.Instance, err)
				}
				o.sources.admins[[3]string{cl.Name, vm.Name, s.Instance}] = admin
			}
			// The receiver judges a hang by the same time-out.
			stream := sqlhealth.NewStream(p, c.Receiver.Policies[vm.Policy].HealthCheckTimeout)
			o.closers = append(o.closers, stream.Close)
			o.sources.instances[[3]string{cl.Name, vm.Name, s.Instance}] = mssql.Instance{Prober: p, Stream: stream}
		}
	}
	return nil
}
