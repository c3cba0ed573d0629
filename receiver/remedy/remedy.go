// Package remedy holds the rungs of the ladders, one file each: what a rung sends, in which order; and the methods that
// their commands call, by kind: how long one may take, how its effect is read, why it fails. It is pure: a plan is
// computed from evidence; sending it is the driver's business.
//
// A new rung is an entry of config.KnownRungs (its name, its kind, its fault classes), a file here with its plan, and
// a line in specs. A new method is a line in methods, what receiver/guard asks right before it (G9), and the call in
// receiver/site.
package remedy

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// Rung names a step of a ladder, as hypervigil.yml does.
type Rung string

// The rungs.
const (
	RestartService  Rung = config.RungRestartService
	ShutdownRestart Rung = config.RungShutdownRestart
	NMIRestart      Rung = config.RungNMIRestart
	ResetVM         Rung = config.RungResetVM
	LiveMigrate     Rung = config.RungLiveMigrate
	MoveSave        Rung = config.RungMoveSave
	MoveShutdown    Rung = config.RungMoveShutdown
	MoveTurnOff     Rung = config.RungMoveTurnOff
	WhitePaper      Rung = config.RungWhitePaper
	StartGroup      Rung = config.RungStartGroup
)

// Command is one method call on one target, complete: nothing is looked up while it is sent. It holds no secret.
type Command struct {
	Method   Method      `json:"method"`
	VM       evidence.VM `json:"target"`
	Instance string      `json:"sql_instance"`
	// Node is the node that a host's or the cluster's method is sent to: the plan's owner for a host's.
	Node    string `json:"node,omitempty"`
	VMID    string `json:"vm_id,omitempty"`   // a host's methods: Msvm_ComputerSystem.Name
	Group   string `json:"group,omitempty"`   // the cluster's methods: MSCluster_ResourceGroup.Name
	From    string `json:"from,omitempty"`    // the cluster's methods: the owner that the plan was made for
	To      string `json:"to,omitempty"`      // moves: the node of destination
	How     How    `json:"how,omitempty"`     // moves: what becomes of the virtual machine
	Service string `json:"service,omitempty"` // StartService, StopService: Win32_Service.Name
	PID     uint32 `json:"pid,omitempty"`     // TerminateProcess
	// Created belongs to PID: the process with this number must be as old as this.
	Created time.Time `json:"created,omitzero"`
	// LeastRun is how long the virtual machine's present run must have lasted before this ends it, and what tells the run
	// after from the one before; zero: remedy.LeastRun.
	LeastRun time.Duration `json:"least_run,omitempty"`
	Cmdlet   string        `json:"cmdlet"`  // the line an operator would type for the same effect
	Timeout  time.Duration `json:"timeout"` // of the one call
}

// What says, beside the method, what the command is about.
func (c Command) What() string {
	switch {
	case c.Service != "":
		return c.Service
	case c.To != "":
		return c.Group + " to " + c.To
	case c.Group != "":
		return c.Group
	case c.VMID != "":
		return c.VMID + " on " + c.Node
	}
	return ""
}

// Boots reports whether the guest boots where the command comes to its effect.
func (c Command) Boots() bool {
	s, ok := c.Method.Spec()
	return ok && s.Boots || c.Method == MoveGroup && (c.How == Shutdown || c.How == TurnOff)
}

// Result is what came of sending one Command.
type Result struct {
	Sent     bool   `json:"sent"`     // bytes may have left; false only where it is certain that none did
	Answered bool   `json:"answered"` // the method's own return value came back
	Code     uint32 `json:"code"`     // the return value, where Answered
	// Job is the InstanceID of the CIM_ConcreteJob that the method began and did not wait for, where Answered.
	Job       string    `json:"job,omitempty"`
	Unknown   bool      `json:"unknown,omitempty"` // not Answered, and it may have been carried out or still be
	Failure   string    `json:"failure,omitempty"` // a dial.Reason where not Answered
	Detail    string    `json:"detail,omitempty"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
	LeftAt    time.Time `json:"left_at,omitzero"` // when the bytes left, where Answered
}

// Stale is the Failure of a command that was not sent because the read it rests on had grown too old.
const Stale = "stale"
