package evidence

import (
	"slices"
	"time"
)

// Part is one thing that a round can ask for.
type Part string

// The parts; each fills the field of Round that bears its name.
const (
	PartAlert      Part = "alert"
	PartLogin      Part = "login"
	PartDatabases  Part = "databases" // with PartLogin: the databases' states too
	PartService    Part = "service"
	PartDependents Part = "dependents"
	PartProcess    Part = "process"
	PartEvents     Part = "events"
	PartGuest      Part = "guest"
	PartHost       Part = "host"
	PartViews      Part = "views"
	PartSweep      Part = "sweep"
	PartActivity   Part = "activity"
	PartDumps      Part = "dumps"
	PartSiblings   Part = "siblings"
	PartUplinks    Part = "uplinks" // of the owner
	PartMonitoring Part = "monitoring"
	PartPlacement  Part = "placement" // before a move alone: it is not a small read
	PartJob        Part = "job"
	// PartStartErrors is asked where a service has not started: an event log may take seconds to be read.
	PartStartErrors Part = "start_errors"
	// PartDiagnostics is what the instance's stream of sp_server_diagnostics brought last.
	PartDiagnostics Part = "diagnostics"
	// PartLoads is how busy hosts are: performance counters, which may take seconds.
	PartLoads Part = "loads"
)

// Ask says what to read about one virtual machine, all of it in parallel and within Timeout.
type Ask struct {
	VM       VM            `json:"target"`
	Instance string        `json:"sql_instance"` // NoInstance: the parts about SQL Server and its service are not asked
	Parts    []Part        `json:"parts"`
	Timeout  time.Duration `json:"timeout"`
	// Owner is the node that PartHost asks; Group is the cluster group's name; VMID is Hyper-V's id where known
	// (otherwise the VM is found by its name).
	Owner string `json:"owner,omitempty"`
	VMID  string `json:"vm_id,omitempty"`
	// PID is the process that PartProcess asks for; 0 asks for the service's own.
	PID uint32 `json:"pid,omitempty"`
	// EventsSince bounds PartEvents and PartStartErrors by TimeGenerated.
	EventsSince time.Time `json:"events_since,omitzero"`
	// Service is the service that PartStartErrors asks about.
	Service string `json:"service,omitempty"`
	// Nodes limits PartViews to these nodes; empty asks every configured node. A node that is known to be dead would
	// hold a read up until its time-out, and a re-validation must be young.
	Nodes []string `json:"nodes,omitempty"`
	// Loads limits PartLoads to these nodes; empty asks every configured node.
	Loads []string `json:"loads,omitempty"`
	// MaxAge lets what a node said of itself to another question count here too, for so long: its memory, volumes, uplinks and
	// load. Zero: it is asked now. A rehearsal of a thousand virtual machines is no reason to ask a node a thousand times.
	MaxAge time.Duration `json:"max_age_ns,omitempty"`
	// AsOperator marks the read right before a command: the guest (with Via, that node) is asked as the account and on the connection that
	// the command will use, so that the connection is warm and a password that no longer works shows before.
	AsOperator bool `json:"as_operator,omitempty"`
	// Via is the node that a command was or, with AsOperator, is about to be sent to: what is read of it right before is read
	// as the account and on the connection that the command will use. Empty where the command goes to the guest.
	Via string `json:"via,omitempty"`
	// Job is the job of Hyper-V that PartJob asks Via for; empty: it is not asked.
	Job string `json:"job,omitempty"`
	// AlertLabels identify the incident's alert in Alertmanager.
	AlertLabels map[string]string `json:"alert_labels,omitempty"`
}

// Proof is the answer to one VM's binding and baseline read, made while all is well. Missing says what could not
// be proven; the binding counts only where it is empty.
type Proof struct {
	VM       VM                  `json:"target"`
	At       time.Time           `json:"at"`
	Binding  Binding             `json:"binding"`
	Baseline map[string]Baseline `json:"baseline"` // by instance
	Missing  []string            `json:"missing,omitempty"`
	// Differs says what was read and contradicts: the names do not mean one machine. It always counts.
	Differs []string `json:"differs,omitempty"`
}

// Whole reports whether a proof was made and lacks nothing.
func (p Proof) Whole() bool { return !p.At.IsZero() && len(p.Lacks()) == 0 }

// Lacks lists what contradicts and what could not be proven.
func (p Proof) Lacks() []string { return slices.Concat(p.Differs, p.Missing) }
