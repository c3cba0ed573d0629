// Package winservice runs a program as a Windows service and installs, starts, stops and removes that service. What can
// be decided without Windows is decided in functions without it: the states between the service control manager's
// requests and the program's end (Drive), the command line that is stored (CommandLine), which accounts need no password
// (Spec), the order of an installation and its undoing (Install). Only service_windows.go talks to the service control manager,
// and it has not been run on Windows by us: what it rests on is golang.org/x/sys and Microsoft's pages on services.
package winservice

import (
	"errors"
	"fmt"
)

// ErrNotWindows is the answer of every command on another system.
var ErrNotWindows = errors.New("services of this kind are for Windows; elsewhere let the system's own service manager start the program")

// ErrNoService means that the service is not installed.
var ErrNoService = errors.New("the service is not installed")

// State is what the service control manager knows a service to be in.
type State int

// The states that we report or wait for; a service of ours is never paused.
const (
	Other State = iota
	Stopped
	StartPending
	Running
	StopPending
)

// String returns the state's name.
func (s State) String() string {
	switch s {
	case Other:
		return "in another state"
	case Stopped:
		return "stopped"
	case StartPending:
		return "starting"
	case Running:
		return "running"
	case StopPending:
		return "stopping"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Control is what the service control manager asks of a running service.
type Control int

// The controls that we answer. ParamChange is what `sc.exe control NAME paramchange` sends, and reads the configuration
// again: Windows has no SIGHUP.
const (
	Interrogate Control = iota
	Stop
	Shutdown
	ParamChange
)

// Status is what a service reports of itself.
type Status struct {
	State State
	// CheckPoint grows while a state is pending, so that the manager sees that there is progress; 0 otherwise.
	CheckPoint uint32
}

// Manager is the service control manager with the event log, as the commands need it. Names are services' names.
type Manager interface {
	Create(Spec) error
	SetRecovery(name string, r Recovery) error
	AddEventSource(name string) error
	RemoveEventSource(name string) error
	Delete(name string) error
	Start(name string) error
	Stop(name string) error
	State(name string) (State, error)
}
