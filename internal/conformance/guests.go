package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

func guestAssertions() []Assertion {
	return []Assertion{
		{
			Name: "guest_clock", Relies: "The guest's clock and ours differ by less than a minute: events are compared by time.", Source: "G8, G31",
			Guest: func(ctx context.Context, s *Site, g *guest) Finding {
				os, err := g.guest.OperatingSystem(ctx)
				if err != nil {
					return cannot(err)
				}
				s.mask.Alias(os.ComputerName, g.name)
				return clock(os)
			},
		},
		{
			Name: "uuid_order", Relies: "The guest's Win32_ComputerSystemProduct.UUID is the host's BIOSGUID, in either order of the first three fields.",
			Source: "UNVERIFIED which order: DSP0134 7.2.1 stores them little-endian, and software has read them both ways",
			Guest:  uuidOrder,
		},
		{
			Name: "services", Relies: "The instance's service is MSSQLSERVER or MSSQL$name, and Win32_Service.State is one of eight English words.",
			Source: "learn.microsoft.com, Win32_Service, State; not localised",
			Guest: func(ctx context.Context, s *Site, g *guest) Finding {
				var names []string
				for _, i := range g.vm.SQLServers {
					names = append(names, i.ServiceName())
				}
				services, err := g.guest.Services(ctx, names)
				if err != nil {
					return cannot(err)
				}
				var evidence []string
				words := []cluster.ServiceState{
					cluster.ServiceStopped, cluster.ServiceStartPending, cluster.ServiceStopPending, cluster.ServiceRunning,
					cluster.ServiceContinuePending, cluster.ServicePausePending, cluster.ServicePaused, cluster.ServiceUnknown,
				}
				for _, v := range services {
					evidence = append(evidence, fmt.Sprintf("State=%q StartMode=%q ExitCode=%d", v.State, v.StartMode, v.ExitCode))
					if !slices.Contains(words, v.State) {
						return fails(evidence, "a state that we do not know")
					}
				}
				if len(services) != len(names) {
					return fails(evidence, "%d of %d services were found: a right is missing, or the name is another", len(services), len(names))
				}
				return holds(evidence, "all are there")
			},
		},
		{
			Name: "service_events", Relies: "Events 7031, 7034 and 7036 of the System log tell how a service ended, by its names in InsertionStrings.",
			Source: "learn.microsoft.com, Service Stop Operations",
			Guest: func(ctx context.Context, _ *Site, g *guest) Finding {
				var evidence []string
				for _, i := range g.vm.SQLServers {
					events, err := g.guest.ServiceEvents(ctx, time.Now().Add(-24*time.Hour), i.ServiceName())
					if err != nil {
						return cannot(err)
					}
					for _, e := range events[:min(len(events), maxEvidence)] {
						evidence = append(evidence, fmt.Sprintf("EventCode=%d strings=%d", e.ID, len(e.Strings)))
					}
				}
				return holds(evidence, "the log can be read; %d events of the last day are about the instances", len(evidence))
			},
		},
		{
			Name: "guest_load", Relies: "Win32_PerfRawData_PerfOS_Processor and _System have what the guest's load is made of.", Source: "learn.microsoft.com, performance counter classes",
			Guest: func(ctx context.Context, _ *Site, g *guest) Finding {
				load, err := g.guest.Load(ctx)
				if err != nil {
					return cannot(err)
				}
				return holds([]string{fmt.Sprintf("%+v", load)}, "it can be read")
			},
		},
	}
}

// uuidOrder compares the two identifiers, and says in which order they are the same.
func uuidOrder(ctx context.Context, s *Site, g *guest) Finding {
	owner, _, resource, err := s.owner(ctx, g)
	if err != nil {
		return unseen("the owner is not known: %v", err)
	}
	vm, err := owner.host.VirtualMachine(ctx, resource.VMID)
	if err != nil {
		return cannot(err)
	}
	id, err := g.guest.Identity(ctx)
	if err != nil {
		return cannot(err)
	}
	s.mask.Alias(id.ComputerName, g.name)
	bare := func(s string) string { return strings.ToUpper(strings.Trim(s, "{}")) }
	switch {
	case !cluster.SameMachineID(vm.BIOSGUID, id.ProductUUID):
		return fails([]string{"BIOSGUID and UUID differ in both orders"}, "the guest at this address is another machine, or the identifiers are not what we take them for")
	case bare(vm.BIOSGUID) == bare(id.ProductUUID):
		return holds([]string{"order=same"}, "both write the bytes in the same order")
	}
	return holds([]string{"order=first three fields swapped"}, "the guest writes the first three fields the other way round")
}

func instanceAssertions() []Assertion {
	return []Assertion{
		{
			Name: "sql_login", Relies: "A login is answered with the identity of the instance, and sys.dm_os_sys_info can be read (VIEW SERVER STATE, or from 2022 on VIEW SERVER PERFORMANCE STATE).",
			Source: "learn.microsoft.com, SERVERPROPERTY, sys.dm_os_sys_info",
			Instance: func(ctx context.Context, s *Site, i *instance) Finding {
				a := i.prober.Availability(ctx)
				if !a.Up {
					return fails([]string{fmt.Sprintf("reason=%s phase=%s number=%d", a.Reason, a.Phase, a.ErrorNumber)}, "%v", a.Err)
				}
				s.mask.Alias(a.Info.MachineName, i.vm)
				evidence := []string{fmt.Sprintf("version=%s edition=%q engine_edition=%d clustered=%t hadr=%t", a.Info.Version, a.Info.Edition, a.Info.EngineEdition, a.Info.IsClustered, a.Info.IsHadrEnabled)}
				if a.StartTime.IsZero() {
					return fails(evidence, "the start time cannot be read: %v", a.Err)
				}
				return holds(evidence, "a client can log in")
			},
		},
		{
			Name: "sql_is_the_guest", Relies: "SERVERPROPERTY('MachineName') is the computer name that the guest gives itself.",
			Source: "learn.microsoft.com, SERVERPROPERTY; not so in a failover cluster instance",
			Instance: func(ctx context.Context, _ *Site, i *instance) Finding {
				a := i.prober.Availability(ctx)
				if !a.Up || i.guest.guest == nil {
					return unseen("the instance or the guest cannot be asked")
				}
				id, err := i.guest.guest.Identity(ctx)
				if err != nil {
					return cannot(err)
				}
				evidence := []string{fmt.Sprintf("same=%t clustered=%t", strings.EqualFold(id.ComputerName, a.Info.MachineName), a.Info.IsClustered)}
				if !strings.EqualFold(id.ComputerName, a.Info.MachineName) && !a.Info.IsClustered {
					return fails(evidence, "the names differ")
				}
				return holds(evidence, "they are one machine")
			},
		},
		{
			Name: "sql_diagnostics", Relies: "sp_server_diagnostics gives sets of five components to a login with the grants of permissions.sql.",
			Source:   "learn.microsoft.com, sp_server_diagnostics; UNVERIFIED that VIEW SERVER PERFORMANCE STATE is enough on 2022",
			Instance: diagnostics,
		},
		{
			Name: "sql_views", Relies: "The views of databases, performance, sessions, groups and members have the columns that we select.",
			Source: "learn.microsoft.com, system dynamic management views",
			Instance: func(ctx context.Context, _ *Site, i *instance) Finding {
				var evidence []string
				missing := 0
				note := func(what string, failures int) {
					evidence = append(evidence, fmt.Sprintf("%s: parts missing=%d", what, failures))
					missing += failures
				}
				_, d := i.prober.DatabaseReport(ctx)
				note("databases", len(d))
				_, p := i.prober.PerformanceReport(ctx)
				note("performance", len(p))
				_, e := i.prober.SessionReport(ctx)
				note("sessions", len(e))
				_, g := i.prober.GroupReport(ctx)
				note("availability groups", len(g))
				_, m := i.prober.MemberReport(ctx)
				note("cluster members", len(m))
				if missing > 0 {
					for _, f := range slices.Concat(d, p, e, g, m) {
						evidence = append(evidence, f.Error())
					}
					return fails(evidence, "%d parts cannot be read", missing)
				}
				return holds(evidence, "all can be read")
			},
		},
	}
}

// diagnostics waits for one set of the stream.
func diagnostics(ctx context.Context, _ *Site, i *instance) Finding {
	stream := sqlhealth.NewStream(i.prober, 0)
	h := stream.Health(ctx) // waits until half of the assertion's time is over
	if err := stream.Close(); err != nil {
		return fails(nil, "%v", err)
	}
	if h.Set.Received.IsZero() {
		return fails(nil, "no set came: %v", h.Err)
	}
	var evidence []string
	missing := 0
	for _, name := range []string{
		sqlhealth.ComponentSystem, sqlhealth.ComponentResource, sqlhealth.ComponentQueryProcessing, sqlhealth.ComponentIOSubsystem, sqlhealth.ComponentEvents,
	} {
		at := slices.IndexFunc(h.Set.Components, func(c sqlhealth.Component) bool { return strings.EqualFold(c.Name, name) })
		if at < 0 {
			missing++
			continue
		}
		c := h.Set.Components[at]
		evidence = append(evidence, fmt.Sprintf("%s: state=%d figures=%d", name, c.State, len(c.Values)))
		if v, ok := c.Values["oldestpendingtaskwaitingtime"]; ok {
			evidence = append(evidence, fmt.Sprintf("oldestPendingTaskWaitingTime=%g (its unit is not documented)", v))
		}
	}
	if missing > 0 {
		return fails(evidence, "%d of five components are missing", missing)
	}
	return holds(evidence, "a set came; level %d, known %t", h.Level, h.Known)
}
