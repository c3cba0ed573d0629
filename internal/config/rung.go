package config

import "slices"

// The rungs that this release knows, as ladders and Policy.Rungs name them.
const (
	RungRestartService  = "restart_service"
	RungShutdownRestart = "shutdown_restart"
	RungNMIRestart      = "nmi_restart"
	RungResetVM         = "reset_vm"
	RungLiveMigrate     = "live_migrate"
	RungMoveSave        = "move_save"
	RungMoveShutdown    = "move_shutdown"
	RungMoveTurnOff     = "move_turn_off"
	RungWhitePaper      = "white_paper"
	RungStartGroup      = "start_group"
)

// RungKind is what a rung acts on, and so which evidence it needs (guard G24): a restart of the virtual machine needs
// evidence that the guest is sick, a move evidence that the node is.
type RungKind string

// The kinds.
const (
	OnService RungKind = "service" // inside a guest that answers
	OnVM      RungKind = "vm"      // a restart or start of the virtual machine where it is
	OnNode    RungKind = "node"    // takes the virtual machine to another node
)

// RungKinds lists every kind.
func RungKinds() []RungKind { return []RungKind{OnService, OnVM, OnNode} }

// Rung is what a ladder must know about a rung. What it sends is receiver/remedy's, which has one for each of these.
type Rung struct {
	Name string
	Kind RungKind
	// Also is a second kind, of a rung that does two things; empty for all others. It counts against the budgets of both.
	Also RungKind
	// Faults are the fault classes whose ladders may have it: a rung is missing where it could not help or would do harm.
	Faults []string
	// After are those of Faults in whose ladders it may not come first: evidence that the node is sick, and not the guest,
	// comes of a rung that failed before (guard G24).
	After []string
	// Named rungs are never more than proposed until a policy's rungs name them (guard G23).
	Named bool
}

// unfit says why a ladder of this fault class may not have the rung, for whoever wrote one.
func (r Rung) unfit(fault string) string {
	switch {
	case r.Kind == OnNode && fault == "host":
		return "the cluster itself takes the virtual machine away from a node that is gone"
	case fault == "resource":
		return "a starved SQL Server serves, and only a live migration takes it to another node without ending that"
	case r.Kind == OnNode && r.Name == RungLiveMigrate:
		return "a live migration takes a sick guest along as it is"
	case r.Kind == OnNode && r.Also == "":
		return "a move needs evidence that the node is sick, and here the guest is"
	case r.Kind == OnService:
		return "what is wrong is outside SQL Server, whose service would be restarted in vain"
	case r.Name == RungStartGroup:
		return "the group is online, and there is nothing to start"
	case fault == "host":
		return "a virtual machine cannot be restarted on a node that is gone"
	case fault == "network":
		return "the guest is well, and its restart mends nothing outside it"
	case fault == "guest":
		return "a guest that does not answer cannot shut itself down"
	case fault == "internal":
		return "SQL Server answers, and is restarted by its service or with its guest in good order"
	}
	return "the guest answers, and a dump of its kernel shows nothing of SQL Server"
}

// knownRungs is every rung: the one place that keeps their names. Nothing is ever written to it.
var knownRungs = []Rung{
	{Name: RungRestartService, Kind: OnService, Faults: []string{"service", "hang", "internal"}},
	{Name: RungShutdownRestart, Kind: OnVM, Faults: []string{"service", "hang", "internal"}},
	{Name: RungNMIRestart, Kind: OnVM, Faults: []string{"hang", "guest"}},
	{Name: RungResetVM, Kind: OnVM, Faults: []string{"service", "hang", "guest"}},
	{Name: RungLiveMigrate, Kind: OnNode, Faults: []string{"resource", "network"}, Named: true},
	{Name: RungMoveSave, Kind: OnNode, Faults: []string{"network"}, Named: true},
	{Name: RungMoveShutdown, Kind: OnNode, Faults: []string{"network", "guest", "hang", "service"}, Named: true, After: []string{"guest", "hang", "service"}},
	{Name: RungMoveTurnOff, Kind: OnNode, Faults: []string{"network", "guest", "hang", "service"}, Named: true, After: []string{"guest", "hang", "service"}},
	{Name: RungWhitePaper, Kind: OnNode, Also: OnVM, Faults: []string{"service", "hang", "guest"}, Named: true},
	{Name: RungStartGroup, Kind: OnVM, Faults: []string{"host"}},
}

// KnownRungs lists every rung. Nothing may be written through what it gives away.
func KnownRungs() []Rung { return slices.Clone(knownRungs) }

// Acts reports whether the rung acts on that.
func (r Rung) Acts(on RungKind) bool { return r.Kind == on || r.Also == on }

// RungNamed finds a rung; ok is false for a name that is none.
func RungNamed(name string) (r Rung, ok bool) {
	// It is asked many times for each decision, and copies nothing but the one.
	for n := range knownRungs {
		if knownRungs[n].Name == name {
			return knownRungs[n], true
		}
	}
	return Rung{}, false
}

// Rungs lists every rung's name.
func Rungs() []string {
	var names []string
	for _, r := range knownRungs {
		names = append(names, r.Name)
	}
	return names
}

// rungsFor lists the rungs that a ladder of this fault class may have.
func rungsFor(fault string) []string {
	var names []string
	for _, r := range knownRungs {
		if slices.Contains(r.Faults, fault) {
			names = append(names, r.Name)
		}
	}
	return names
}

// afterAnother reports whether a rung may not come first in the ladder of a fault class.
func afterAnother(rung, fault string) bool {
	r, ok := RungNamed(rung)
	return ok && slices.Contains(r.After, fault)
}
