// Package remedy holds the rungs of the ladders: what each sends, in which order, and how it is verified. It is
// pure: a plan is computed from evidence; sending it is the driver's business.
package remedy

import (
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// Rung names a step of a ladder, as hypervigil.yml does.
type Rung string

// The rungs.
const (
	RestartService Rung = "restart_service"
	ResetVM        Rung = "reset_vm"
	LiveMigrate    Rung = "live_migrate"
	StartGroup     Rung = "start_group"
)

// Method is the one method that an action calls, named as the lab's counters and the records show it.
type Method string

// The methods.
const (
	StartService     Method = "Win32_Service.StartService"
	StopService      Method = "Win32_Service.StopService"
	TerminateProcess Method = "Win32_Process.Terminate"
)

// Command is one method call on one target, complete: nothing is looked up while it is sent. It holds no secret.
type Command struct {
	Method   Method        `json:"method"`
	VM       evidence.VM   `json:"target"`
	Instance string        `json:"sql_instance"`
	Service  string        `json:"service,omitempty"` // StartService, StopService: Win32_Service.Name
	PID      uint32        `json:"pid,omitempty"`     // TerminateProcess
	Created  time.Time     `json:"created,omitzero"`  // TerminateProcess: the process with this PID must be as old as this
	Cmdlet   string        `json:"cmdlet"`            // the line an operator would type for the same effect
	Timeout  time.Duration `json:"timeout"`           // of the one call
}

// Result is what came of sending one Command.
type Result struct {
	Sent      bool      `json:"sent"`              // bytes may have left; false only where it is certain that none did
	Answered  bool      `json:"answered"`          // the method's own return value came back
	Code      uint32    `json:"code"`              // the return value, where Answered
	Unknown   bool      `json:"unknown,omitempty"` // not Answered, and it may have been carried out or still be
	Failure   string    `json:"failure,omitempty"` // a dial.Reason where not Answered
	Detail    string    `json:"detail,omitempty"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
	LeftAt    time.Time `json:"left_at,omitzero"` // when the bytes left, where Answered
}

// Stale is the Failure of a command that was not sent because the read it rests on had grown too old.
const Stale = "stale"
