package onsite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/load"
	"github.com/hypervigil/hypervigil/internal/targets"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// scene is what a drill asks and who it asks.
type scene struct {
	Options
	fault    fault
	scenario drill.Scenario
	targets  *targets.Targets
	load     *load.Client
	guest    eventLog // nil: the guest is not asked
	pings    *pings   // nil: nobody pings, and noPings says why
	noPings  error
	stopped  time.Time // when load and pings were told to end
	service  string    // of the instance
	closers  []func() error
}

// eventLog is the guest's, as *cluster.Guest reads it.
type eventLog interface {
	ServiceEvents(ctx context.Context, since time.Time, service string) ([]cluster.Event, error)
	StartErrors(ctx context.Context, since time.Time, service string) ([]cluster.Event, error)
}

var _ eventLog = (*cluster.Guest)(nil)

// open makes the clients. It connects to nothing.
func open(o Options) (*scene, error) {
	s := &scene{Options: o, targets: targets.New(o.Config, o.Logger)}
	s.closers = append(s.closers, s.targets.Close)
	err := s.open()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("drill on %s/%s: %w", o.Cluster, o.VM, err), s.close())
	}
	return s, nil
}

func (s *scene) open() error {
	var err error
	if s.fault, err = faultNamed(s.Fault); err != nil {
		return err
	}
	if s.scenario, err = s.fault.scenario(); err != nil {
		return err
	}
	cl, vm := s.Config.Cluster(s.Cluster), s.Config.VirtualMachine(s.Cluster, s.VM)
	server := *s.Config.SQLServer(s.Cluster, s.VM, s.Instance)
	s.service = server.ServiceName()
	if s.Load.Credential != "" {
		server.Credential = s.Load.Credential
	}
	prober, err := s.targets.SQL(cl, &server)
	if err != nil {
		return err
	}
	if s.load, err = load.New(load.Options{
		Prober: prober, Instance: s.Cluster + "/" + s.VM + "/" + s.Instance, Database: s.Load.Database, Shape: s.Load.Shape, Rows: s.Load.Rows, Hold: s.Load.Hold,
	}); err != nil {
		return err
	}
	if vm.Guest.Address == "" {
		return nil
	}
	// As the exporter asks: the reader's credential.
	account, err := s.targets.WinRM(cl.Reader, cl.TLS)
	if err != nil {
		return err
	}
	options, err := account.Options(targets.Machine{Name: vm.Name, Addresses: []string{vm.Guest.Address}, SPN: vm.Guest.SPN})
	if err != nil {
		return err
	}
	g, err := cluster.NewGuest(options)
	if err != nil {
		return err
	}
	s.guest = g
	s.closers = append(s.closers, g.Close)
	return nil
}

// close ends the clients, those first that came last.
func (s *scene) close() error {
	var errs []error
	for n := len(s.closers) - 1; n >= 0; n-- {
		errs = append(errs, s.closers[n]())
	}
	return errors.Join(errs...)
}

// look reads what the checks are about.
func (s *scene) look(ctx context.Context) facts {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	f := facts{
		subject:    evidence.Subject{VM: evidence.VM{Cluster: s.Cluster, Name: s.VM}, Instance: s.Instance, Fault: evidence.Fault(s.scenario.Class)},
		neverTouch: s.Config.NeverTouch(s.Cluster, s.VM),
		notReady:   s.Endpoints.Ready(ctx),
	}
	f.rescues, f.rescuesErr = s.Endpoints.Rescues(ctx)
	f.incidents, f.incidentsErr = s.Endpoints.Incidents(ctx)
	f.pauses, f.pausesErr = s.Endpoints.Pauses(ctx)
	f.probes, f.probesErr = s.Endpoints.Range(ctx, "probe_success"+drill.ProbeLabels(s.Cluster, s.VM, s.Instance), probesBack)
	return f
}
