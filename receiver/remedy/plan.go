package remedy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// The time-outs of one method call; what it sets going is waited for separately (ActionTimeout).
const (
	callTimeout = 10 * time.Second
	// ServiceTimeout bounds each step of a service restart (G24).
	ServiceTimeout = 90 * time.Second
)

// Case is what a plan is made from.
type Case struct {
	Subject  evidence.Subject
	Service  string // Win32_Service.Name of the instance
	Computer string // the guest's name, for the cmdlet lines
	Round    evidence.Round
	Baseline evidence.Baseline
}

// Plan lists the commands of a rung, in order, each one method call. It fails where the evidence does not say
// enough to name every command completely.
func Plan(rung Rung, c Case) ([]Command, error) {
	switch rung {
	case RestartService:
		return restartService(c)
	case ResetVM, LiveMigrate, StartGroup:
		return nil, fmt.Errorf("rung %s is proposed by this release and not sent", rung)
	}
	return nil, fmt.Errorf("rung %q is not known", rung)
}

// restartService brings the service of one instance back: a dead one is started; a hanging one's dependents are
// stopped, its process is terminated by PID and creation date, and it is started. The dependents that ran, and
// exactly those, are brought back: those that ran now, or, where they died with it, those of the baseline.
func restartService(c Case) ([]Command, error) {
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

// quote makes a PowerShell literal of s.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Cause is why a step failed, and so what may follow (G24).
type Cause string

// The causes. Only guest-bound evidence leads to a restart of the VM, only node-bound evidence to a move; a
// permanent one ends the ladder with a person.
const (
	Transient  Cause = "transient"
	GuestBound Cause = "guest_bound"
	NodeBound  Cause = "node_bound"
	Permanent  Cause = "permanent"
)

// Judge says why a command failed from its return value, in words for the operator. ok is true where the value
// means success, or that the work was already done.
func Judge(cmd Command, r Result) (cause Cause, why string, ok bool) {
	if !r.Answered {
		why := fmt.Sprintf("%s was not carried out: %s %s", cmd.Method, r.Failure, r.Detail)
		if r.Unknown || !dial.Reason(r.Failure).Ours() {
			return Transient, why, false
		}
		return Permanent, why, false // a password or a right: asking again does not help
	}
	if r.Code == 0 {
		return "", "", true
	}
	if cmd.Method == TerminateProcess {
		switch r.Code {
		case 2, 3:
			return Permanent, fmt.Sprintf("the operator's account may not terminate the process (return value %d)", r.Code), false
		}
		return GuestBound, fmt.Sprintf("%s returned %d", cmd.Method, r.Code), false
	}
	switch cluster.ServiceCode(r.Code) {
	case cluster.ServiceAlreadyRunning:
		return "", "", true
	case cluster.ServiceNotActive:
		if cmd.Method == StopService {
			return "", "", true // it was stopped already
		}
		return GuestBound, fmt.Sprintf("%s on %s returned %d", cmd.Method, cmd.Service, r.Code), false
	case cluster.ServiceDependencyDeleted, cluster.ServiceDependencyFailure:
		return Permanent, fmt.Sprintf("a service that %s depends on is missing or does not start (return value %d)", cmd.Service, r.Code), false
	case cluster.ServiceDisabled:
		return Permanent, fmt.Sprintf("%s is disabled (return value %d)", cmd.Service, r.Code), false
	case cluster.ServiceLogonFailure:
		return Permanent, fmt.Sprintf("the account of %s cannot log on: wrong or expired password (return value %d)", cmd.Service, r.Code), false
	case cluster.ServiceRequestTimeout, cluster.ServiceUnknownFailure:
		return Transient, fmt.Sprintf("%s did not answer the service control manager in time (return value %d)", cmd.Service, r.Code), false
	case cluster.ServiceDependentsRunning:
		return Transient, fmt.Sprintf("dependents of %s run (return value %d)", cmd.Service, r.Code), false
	case cluster.ServiceSuccess:
		return "", "", true
	}
	if r.Code == 2 {
		return Permanent, fmt.Sprintf("the operator's account may not do %s on %s (return value 2)", cmd.Method, cmd.Service), false
	}
	return GuestBound, fmt.Sprintf("%s on %s returned %d", cmd.Method, cmd.Service, r.Code), false
}

// Propose lists what an operator would type for a rung that this release does not send.
func Propose(rung Rung, group, vmID string) []string {
	switch rung {
	case ResetVM:
		return []string{fmt.Sprintf("Restart-VM -VM (Get-VM -Id %s) -Force", vmID)}
	case LiveMigrate:
		return []string{fmt.Sprintf("Move-ClusterVirtualMachineRole -Name %s -MigrationType Live", quote(group))}
	case StartGroup:
		return []string{fmt.Sprintf("Start-ClusterGroup -Name %s", quote(group))}
	case RestartService:
	}
	return nil
}
