package onsite

import (
	"fmt"
	"strings"

	"github.com/hypervigil/hypervigil/internal/drill"
)

// fault is one that a person can make: a scenario of the experiment, and what he does.
type fault struct {
	name string
	how  string // %s: the name of the service, or of the virtual machine, as of says
	of   func(*scene) string
}

func ofService(s *scene) string { return s.service }

func ofGroup(s *scene) string {
	return s.Config.VirtualMachine(s.Cluster, s.VM).HyperVName()
}

// faults are in the order of the damage that they do. The commands: learn.microsoft.com, "Stop-Process", "Stop-Service",
// "Debug-VM", "Disable-NetAdapter", and Sysinternals, "PsSuspend".
func faults() []fault {
	return []fault{
		{
			name: "service-crash", of: ofService,
			how: `in the guest, as an administrator: Stop-Process -Force -Id (Get-CimInstance Win32_Service -Filter "Name='%s'").ProcessId`,
		},
		{name: "service-stop", of: ofService, how: `in the guest, as an administrator: Stop-Service -Force -Name '%s'`},
		{
			name: "sql-hang", of: ofService,
			how: `in the guest, as an administrator: pssuspend (Get-CimInstance Win32_Service -Filter "Name='%s'").ProcessId`,
		},
		{
			name: "guest-crash", of: ofGroup,
			how: `on the host that owns it: Debug-VM -Name '%s' -InjectNonMaskableInterrupt -Force; the guest writes a dump and, by its own setting, starts again`,
		},
		{
			name: "lan-board", of: ofGroup,
			how: `on the host that owns %s: pull the cable of the virtual switch's uplink, or Disable-NetAdapter -Name UPLINK -Confirm:$false; every machine on that switch loses its network`,
		},
		{
			name: "host-power-off", of: ofGroup,
			how: `cut the power of the host that owns %s; every machine on it fails over`,
		},
	}
}

// Faults lists the names of what a person can be asked for.
func Faults() []string {
	var names []string
	for _, f := range faults() {
		names = append(names, f.name)
	}
	return names
}

func faultNamed(name string) (fault, error) {
	for _, f := range faults() {
		if f.name == name {
			return f, nil
		}
	}
	return fault{}, fmt.Errorf("drill: fault %q is not one that a person is asked for; use %s", name, strings.Join(Faults(), ", "))
}

// instruct is what the person does.
func (f fault) instruct(s *scene) string { return fmt.Sprintf(f.how, f.of(s)) }

// scenario is the experiment's scenario of the fault.
func (f fault) scenario() (drill.Scenario, error) {
	all, err := drill.Scenarios()
	if err != nil {
		return drill.Scenario{}, err
	}
	for _, s := range all {
		if s.Name == f.name {
			return s, nil
		}
	}
	return drill.Scenario{}, fmt.Errorf("drill: no scenario is called %s", f.name)
}
