package remedy

import (
	"fmt"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// Spec is one rung.
type Spec struct {
	Rung Rung
	// Destructive rungs end a SQL Server that may still be at work, or the whole guest: what it has open is lost and has to
	// be recovered (G34 to G36).
	Destructive bool
	// plan lists the commands, in order, each one method call. It fails where the evidence does not say enough to name
	// every command completely. A rung without one is proposed and not sent.
	plan func(Case) ([]Command, error)
	// propose lists what an operator would type where no plan can be made.
	propose func(group, vmID string) []string
}

// known are the rungs: made once, for they are looked up many times for each decision, and never changed.
var known = specs()

// specs lists the rungs, in the order of config.KnownRungs.
func specs() []Spec {
	return []Spec{
		restartService(), shutdownRestart(), nmiRestart(), resetVM(), liveMigrate(), moveSave(), moveShutdown(), moveTurnOff(), whitePaper(), startGroup(),
	}
}

// SpecOf finds a rung; ok is false for a name that is none.
func SpecOf(r Rung) (s Spec, ok bool) {
	for n := range known {
		if known[n].Rung == r {
			return known[n], true
		}
	}
	return Spec{}, false
}

// Sent reports whether this release sends the rung; the others it proposes.
func (s Spec) Sent() bool { return s.plan != nil }

// Acts reports whether the rung acts on that: one that moves a virtual machine and restarts it acts on both.
func (r Rung) Acts(on config.RungKind) bool {
	k, ok := config.RungNamed(string(r))
	return ok && k.Acts(on)
}

// Kind says what the rung acts on; where that is two things, where it may go.
func (r Rung) Kind() config.RungKind {
	k, _ := config.RungNamed(string(r))
	return k.Kind
}

// Kills reports whether the rung, taken for a fault of this class, ends a SQL Server that may still be at work: every
// destructive rung does, and a service's restart that has to end a process first. A rung that nobody knows counts as one
// that does.
func (r Rung) Kills(f evidence.Fault) bool {
	s, ok := SpecOf(r)
	return !ok || s.Destructive || r == RestartService && f != evidence.Service
}

// Case is what a plan is made from.
type Case struct {
	Subject  evidence.Subject
	Service  string // Win32_Service.Name of the instance
	Computer string // the guest's name, for the cmdlet lines
	Owner    string // the node that owns the group now, by the newest round
	// Destination is the node that a move goes to, and empty where none was chosen (G20).
	Destination string
	VMID        string // Msvm_ComputerSystem.Name, by the proof of the binding
	Group       string // the cluster group's name
	Round       evidence.Round
	Baseline    evidence.Baseline
}

// Plan lists the commands of a rung, in order, each one method call. It fails where the evidence does not say
// enough to name every command completely.
func Plan(rung Rung, c Case) ([]Command, error) {
	s, ok := SpecOf(rung)
	switch {
	case !ok:
		return nil, fmt.Errorf("rung %q is not known", rung)
	case s.plan == nil:
		return nil, fmt.Errorf("rung %s is proposed by this release and not sent", rung)
	}
	return s.plan(c)
}

// Propose lists what an operator would type for a rung of which no plan can be made.
func Propose(rung Rung, group, vmID string) []string {
	s, ok := SpecOf(rung)
	if !ok || s.propose == nil {
		return nil
	}
	return s.propose(group, vmID)
}

// callTimeout bounds one method call; what it sets going is waited for separately (Method.Within).
const callTimeout = 10 * time.Second

// quote makes a PowerShell literal of s.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
