// Package application probes something in a virtual machine besides SQL Server, by the signs that the inventory gives of
// it: a TCP port that takes connections, a URL that answers, a Windows service that runs.
//
//	collectors := application.Collectors(application.Options{Cluster: "hv-cl1", VM: vm, Reach: reach.TCP(names), Get: get, Services: guest})
//
// A sign that the inventory does not give has no series. The metrics belong to the layer of the virtual machine and are
// named hyperv_guest_application_*. Nothing is concluded from them here, and nothing is done about an application.
package application

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/reach"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
)

// Services tells the Windows services of the guest.
type Services interface {
	// Services returns those of the named services that exist.
	Services(ctx context.Context, names []string) ([]cluster.Service, error)
}

// Options say which virtual machine's application, and how it is asked. Services may be nil where no service is watched.
type Options struct {
	Cluster  string
	VM       *config.VirtualMachine // with an Application
	Reach    reach.Dialer
	Get      Getter
	Services Services
	// Catalog is what the targets share; nil where there is one.
	Catalog *probe.Catalog
}

// Labels are the labels that every series of the target carries.
func Labels(cluster, vm string) prometheus.Labels {
	return prometheus.Labels{"cluster": cluster, "vm": vm}
}

// Collectors returns the collectors tcp, http and windows_service.
func Collectors(o Options) []probe.Collector {
	d := probe.NewDescs(o.Catalog, Labels(o.Cluster, o.VM.Name))
	return []probe.Collector{tcpCollector(o, d), httpCollector(o, d), serviceCollector(o, d)}
}

// tcpCollector connects with half of the time there is: that nobody answers is an answer.
func tcpCollector(o Options, d probe.Descs) probe.Collector {
	state := d.New("hyperv_guest_application_tcp_state", "1 for what came of a TCP connection from the exporter to the application: connected is a listener, refused a guest that lives and has none.", "state")
	duration := d.New("hyperv_guest_application_tcp_duration_seconds", "How long the TCP connection to the application took, name resolution included.")
	return probe.Collector{Name: "tcp", Collect: func(ctx context.Context, _ log.Logger) probe.Result {
		if o.VM.Application.TCP == "" {
			return probe.Result{}
		}
		ctx, cancel := probe.Half(ctx)
		defer cancel()
		took, err := o.Reach(ctx, o.VM.Application.TCP)
		is, ok := reach.State(err)
		if !ok {
			return probe.Result{Err: err}
		}
		var s probe.Set
		s.States(state, reach.States, is)
		s.Seconds(duration, took)
		return probe.Result{Metrics: s}
	}}
}

// serviceCollector asks the guest for the service.
func serviceCollector(o Options, d probe.Descs) probe.Collector {
	installed := d.New("hyperv_guest_application_service_installed", "1 means that the guest has the application's service.", "service")
	state := d.New("hyperv_guest_application_service_state", "1 for the state that the application's service is in.", "service", "state")
	mode := d.New("hyperv_guest_application_service_start_mode", "1 for the way the application's service is started.", "service", "mode")
	exitCode := d.New("hyperv_guest_application_service_exit_code", "Windows' error code of how the application's service ended: 0 is a clean stop, 1067 a process that died.", "service")
	return probe.Collector{Name: "windows_service", Collect: func(ctx context.Context, _ log.Logger) probe.Result {
		name := o.VM.Application.WindowsService
		if name == "" {
			return probe.Result{}
		}
		found, err := o.Services.Services(ctx, []string{name})
		if err != nil {
			return probe.Result{Err: fmt.Errorf("read the application's service: %w", err)}
		}
		var s probe.Set
		has := len(found) > 0 && strings.EqualFold(found[0].Name, name)
		s.Bool(installed, has, name)
		if has {
			f := found[0]
			s.States(state, probe.ServiceStates, probe.Label(f.State), name)
			s.States(mode, probe.StartModes, probe.Label(f.StartMode), name)
			s.Gauge(exitCode, float64(f.ExitCode), name)
		}
		return probe.Result{Metrics: s}
	}}
}
