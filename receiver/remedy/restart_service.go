package remedy

import (
	"fmt"
	"slices"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// restartService is the restart of one instance inside its guest. It is not counted as destructive: a dead service has
// nothing to lose any more, and one that is terminated for a hang is G35's and G36's by the command, not by the rung.
func restartService() Spec {
	return Spec{Rung: RestartService, plan: planRestartService}
}

// planRestartService brings the service of one instance back: a dead one is started; a hanging one's dependents are
// stopped, its process is terminated by PID and creation date, and it is started. The dependents that ran, and
// exactly those, are brought back: those that ran now, or, where they died with it, those of the baseline.
func planRestartService(c Case) ([]Command, error) {
	if c.Service == "" {
		return nil, fmt.Errorf("no instance to restart on %s", c.Subject.VM)
	}
	if !c.Round.Dependents.Known() {
		return nil, fmt.Errorf("the dependents of %s could not be listed: %s", c.Service, c.Round.Dependents.Failure)
	}
	var cmds, stops []Command
	back := slices.Clone(c.Baseline.Dependents)
	for _, d := range c.Round.Dependents.Value {
		running := d.State == cluster.ServiceRunning
		if running {
			stops = append(stops, c.command(StopService, d.Name))
		}
		if running && !slices.Contains(back, d.Name) {
			back = append(back, d.Name)
		}
	}
	switch c.Subject.Fault {
	case evidence.Service:
		// Dependents that survived the crash of what they depend on keep running; they are not touched.
		back = slices.DeleteFunc(back, func(name string) bool { return c.state(name) == cluster.ServiceRunning })
	case evidence.Hang, evidence.Internal:
		p := c.Round.Process
		if !p.Known() || p.Value.ID == 0 || p.Value.Created.IsZero() {
			return nil, fmt.Errorf("the process of %s is not known by PID and creation date", c.Service)
		}
		kill := c.command(TerminateProcess, "")
		kill.PID, kill.Created = p.Value.ID, p.Value.Created
		kill.Cmdlet = fmt.Sprintf("Invoke-Command -ComputerName %s { Stop-Process -Id %d -Force }", quote(c.Computer), kill.PID)
		cmds = append(append(cmds, stops...), kill)
	case evidence.Host, evidence.Storage, evidence.Network, evidence.Guest, evidence.Resource, evidence.Database:
		return nil, fmt.Errorf("fault class %s has no service to restart", c.Subject.Fault)
	}
	cmds = append(cmds, c.command(StartService, c.Service))
	for _, name := range back {
		if c.state(name) == "" {
			continue // it existed when the baseline was taken and does not now
		}
		cmds = append(cmds, c.command(StartService, name))
	}
	return cmds, nil
}

func (c Case) state(service string) cluster.ServiceState {
	for _, d := range c.Round.Dependents.Value {
		if d.Name == service {
			return d.State
		}
	}
	return ""
}

func (c Case) command(m Method, service string) Command {
	cmd := Command{Method: m, VM: c.Subject.VM, Instance: c.Subject.Instance, Service: service, Timeout: callTimeout}
	verb := "Start-Service"
	if m == StopService {
		verb = "Stop-Service"
	}
	cmd.Cmdlet = fmt.Sprintf("Invoke-Command -ComputerName %s { %s -Name %s }", quote(c.Computer), verb, quote(service))
	return cmd
}

// StartDependents are the starts of services that depend on an instance of SQL Server, after a restart of their virtual
// machine that does not bring them back.
func StartDependents(subject evidence.Subject, computer string, services []string) []Command {
	c := Case{Subject: subject, Computer: computer}
	cmds := make([]Command, 0, len(services))
	for _, name := range services {
		cmds = append(cmds, c.command(StartService, name))
	}
	return cmds
}
