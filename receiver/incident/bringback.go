package incident

import (
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// booted reports whether a command of ours booted the guest.
func (i *Incident) booted() bool {
	return slices.ContainsFunc(i.Actions, func(a Action) bool { return a.Command.Boots() && a.left() })
}

// bringBack plans, once SQL Server is healthy after a boot of ours, the start of what depended on it, ran before and is
// started by no boot: its start mode is manual. It belongs to the rung that ended it, and is not begun where it runs by
// then. It returns false where there is nothing to start.
func (st *stepper) bringBack(i *Incident) bool {
	vm, ok := st.s.inventory(i.VM)
	if i.BroughtBack || !ok || !i.underway() || !i.booted() || i.Phase == Escalated {
		return false
	}
	i.BroughtBack = true
	proof := st.s.VMs.of(i.VM).Proof
	newest := i.present()[0]
	var names []string
	for _, q := range vm.SQLServers {
		subject := i.Subject
		subject.Instance = q.Instance
		for _, cmd := range remedy.StartDependents(subject, proof.Binding.ComputerName, proof.Baseline[q.Instance].Manual) {
			i.Actions = append(i.Actions, Action{
				Number: len(i.Actions) + 1, Rung: newest.Rung, Command: cmd, State: Planned, Owner: st.owner(i), By: newest.By, Planned: newest.Planned,
			})
			names = append(names, cmd.Service)
		}
	}
	if len(names) == 0 {
		return false
	}
	st.enter(i, Acting, "SQL Server is healthy; what ran beside it before the restart and does not start by itself is started: "+strings.Join(names, ", ")+".")
	st.emit(Proceed{Incident: i.ID})
	return true
}
