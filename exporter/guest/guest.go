// Package guest probes the operating system inside one virtual machine: whether it answers and can be reached, since
// when it runs, whether it is starved, how Windows sees the services of SQL Server and its Agent, and which errors SQL
// Server wrote into its log.
//
//	collectors := guest.Collectors(guest.Options{Source: guest, Cluster: "hv-cl1", VM: vm})
//
// Its metrics belong to the layer of the virtual machine and are named hyperv_guest_*.
package guest

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter/eventlog"
	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/reach"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
)

// Source is the guest that is asked.
type Source interface {
	OperatingSystem(ctx context.Context) (cluster.OperatingSystem, error)
	// Services returns those of the named services that exist.
	Services(ctx context.Context, names []string) ([]cluster.Service, error)
	Load(ctx context.Context) (cluster.GuestLoad, error)
	eventlog.Source
}

// Options say which guest, and which instances of SQL Server it has.
type Options struct {
	Source  Source
	Reach   reach.Dialer
	Cluster string
	VM      *config.VirtualMachine
	// Catalog is what the targets share; nil where there is one.
	Catalog *probe.Catalog
}

// Labels are the labels that every series of the target carries.
func Labels(cluster, vm string) prometheus.Labels {
	return prometheus.Labels{"cluster": cluster, "vm": vm}
}

// Collectors returns the guest's collectors. The events that were counted stay in them.
func Collectors(o Options) []probe.Collector {
	d := probe.NewDescs(o.Catalog, Labels(o.Cluster, o.VM.Name))
	return []probe.Collector{osCollector(o, d), servicesCollector(o, d), tcpCollector(o, d), loadCollector(o, d), eventsCollector(o, d)}
}

type osDescs struct{ up, info, boot, memoryTotal, memoryFree, commitLimit, commitFree probe.Desc }

func osCollector(o Options, d probe.Descs) probe.Collector {
	descs := osDescs{
		up:          d.New("hyperv_guest_up", "1 means that the guest's operating system answered a question; absent where nothing could be learnt about the guest."),
		info:        d.New("hyperv_guest_info", "1 always; the labels say which version and build of Windows the guest runs and which name it gives itself.", "version", "build", "computer_name"),
		boot:        d.New("hyperv_guest_boot_time_seconds", "When the guest was started, in seconds since 1970."),
		memoryTotal: d.New("hyperv_guest_memory_total_bytes", "Memory that the guest's operating system can use."),
		memoryFree:  d.New("hyperv_guest_memory_free_bytes", "Memory of the guest that nobody uses."),
		commitLimit: d.New("hyperv_guest_commit_limit_bytes", "Memory and page files of the guest together: what it can promise to its programs."),
		commitFree:  d.New("hyperv_guest_commit_free_bytes", "What of it is not promised yet; near 0 the guest is starved."),
	}
	return probe.Collector{Name: "os", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		var s probe.Set
		os, err := o.Source.OperatingSystem(ctx)
		if probe.Verdict(probe.Reason(err)) {
			s.Bool(descs.up, err == nil)
		}
		if err != nil {
			return probe.Result{Metrics: s, Err: fmt.Errorf("read the guest's operating system: %w", err)}
		}
		level.Debug(l).Log("msg", "guest answered", "computer_name", os.ComputerName, "version", os.Version)
		s.Gauge(descs.info, 1, os.Version, os.Build, os.ComputerName)
		s.Time(descs.boot, os.LastBoot)
		s.Gauge(descs.memoryTotal, float64(os.MemoryTotal))
		s.Gauge(descs.memoryFree, float64(os.MemoryFree))
		if os.CommitLimit > 0 {
			s.Gauge(descs.commitLimit, float64(os.CommitLimit))
			s.Gauge(descs.commitFree, float64(os.CommitFree))
		}
		return probe.Result{Metrics: s}
	}}
}

// fold is a name of Windows' to compare, which knows no case.
func fold(name string) string { return strings.ToLower(name) }

type serviceDescs struct{ installed, state, mode, exitCode, specificCode, pid probe.Desc }

// watched is a service that belongs to an instance of SQL Server.
type watched struct{ instance, name, role string }

func watchedServices(vm *config.VirtualMachine) []watched {
	var w []watched
	for _, s := range vm.SQLServers {
		w = append(w,
			watched{instance: s.Instance, name: s.ServiceName(), role: "engine"},
			watched{instance: s.Instance, name: s.AgentServiceName(), role: "agent"})
	}
	return w
}

func servicesCollector(o Options, d probe.Descs) probe.Collector {
	service := func(name, help string, more ...string) probe.Desc {
		return d.New(name, help, append([]string{"sql_instance", "service", "role"}, more...)...)
	}
	descs := serviceDescs{
		installed:    service("hyperv_guest_service_installed", "1 means that the guest has the service; role is engine for SQL Server itself and agent for its Agent."),
		state:        service("hyperv_guest_service_state", "1 for the state that the service is in.", "state"),
		mode:         service("hyperv_guest_service_start_mode", "1 for the way the service is started.", "mode"),
		exitCode:     service("hyperv_guest_service_exit_code", "Windows' error code of how the service ended: 0 is a clean stop, 1067 a process that died, 1066 a code of the service's own."),
		specificCode: service("hyperv_guest_service_specific_exit_code", "The service's own error code, where the exit code is 1066."),
		pid:          service("hyperv_guest_service_process_id", "The id of the service's process; 0 means that there is none."),
	}
	services := watchedServices(o.VM)
	names := make([]string, len(services))
	for i, w := range services {
		names[i] = w.name
	}
	return probe.Collector{Name: "services", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		if len(names) == 0 {
			return probe.Result{}
		}
		found, err := o.Source.Services(ctx, names)
		if err != nil {
			return probe.Result{Err: fmt.Errorf("read the guest's services: %w", err)}
		}
		level.Debug(l).Log("msg", "services read", "asked", len(names), "found", len(found))
		var s probe.Set
		serviceMetrics(&s, descs, services, found)
		return probe.Result{Metrics: s}
	}}
}

func serviceMetrics(s *probe.Set, d serviceDescs, services []watched, found []cluster.Service) {
	byName := make(map[string]*cluster.Service, len(found))
	for i := range found {
		byName[strings.ToLower(found[i].Name)] = &found[i]
	}
	for _, w := range services {
		labels := []string{w.instance, w.name, w.role}
		f, ok := byName[strings.ToLower(w.name)]
		s.Bool(d.installed, ok, labels...)
		if !ok {
			continue
		}
		s.States(d.state, probe.ServiceStates, probe.Label(f.State), labels...)
		s.States(d.mode, probe.StartModes, probe.Label(f.StartMode), labels...)
		s.Gauge(d.exitCode, float64(f.ExitCode), labels...)
		s.Gauge(d.specificCode, float64(f.SpecificCode), labels...)
		s.Gauge(d.pid, float64(f.ProcessID), labels...)
	}
}
