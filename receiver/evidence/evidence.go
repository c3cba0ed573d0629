// Package evidence holds what the receiver knows about a virtual machine at one moment: plain data, each reading
// with the moment of its question and its answer or the reason why there is none. It decides nothing and reads nothing.
//
// Every type marshals to the JSON that the API shows and the ledger keeps; times are UTC, durations nanoseconds.
package evidence

import (
	"maps"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
)

// Fault is a fault class. The order of Faults is the order of precedence on one virtual machine.
type Fault string

// The fault classes of the design; the first in this order leads, the others wait as explained by it.
const (
	Host     Fault = "host"
	Storage  Fault = "storage"
	Network  Fault = "network"
	Guest    Fault = "guest"
	Resource Fault = "resource"
	Hang     Fault = "hang"
	Internal Fault = "internal"
	Service  Fault = "service"
	Database Fault = "database"
)

// Faults lists the classes, leading first.
func Faults() []Fault {
	return []Fault{Host, Storage, Network, Guest, Resource, Hang, Internal, Service, Database}
}

// Known reports whether f is one of Faults.
func (f Fault) Known() bool { return slices.Contains(Faults(), f) }

// Silent reports whether the class shows itself by silence. A silent class needs the cluster's own detection
// time before anything may be concluded (G12); the others carry a proof of life made after the fault.
func (f Fault) Silent() bool { return f == Host || f == Network || f == Guest || f == Storage }

// VM names a virtual machine by its inventory names.
type VM struct {
	Cluster string `json:"cluster"`
	Name    string `json:"vm"`
}

func (v VM) String() string { return v.Cluster + "/" + v.Name }

// Subject is what an incident is about: inventory names, never the owner node. Instance is "-" where the fault
// is the virtual machine's and not one instance's.
type Subject struct {
	VM
	Instance string `json:"sql_instance"`
	Fault    Fault  `json:"fault"`
}

// NoInstance stands in Subject.Instance and in the alert's sql_instance label where no instance is meant.
const NoInstance = "-"

func (s Subject) String() string { return s.VM.String() + "/" + s.Instance + "/" + string(s.Fault) }

// Reading is one thing asked of the world. Failure is empty when it was answered; otherwise Value means nothing
// and the reading counts for nothing, neither for nor against.
type Reading[T any] struct {
	Value T `json:"value"`
	// At is when it was asked: whatever the answer says was so then or later, so that no reading is older than it seems.
	At      time.Time   `json:"at"`
	Failure dial.Reason `json:"failure,omitempty"`
	Detail  string      `json:"detail,omitempty"` // one line for the operator; never a secret
}

// Known reports whether the reading was made.
func (r Reading[T]) Known() bool { return r.Failure == dial.Answered && !r.At.IsZero() }

// Login is the receiver's own attempt to use SQL Server. Its Reading is known whenever the attempt says something
// about SQL Server, an unsuccessful one included; it is unknown when the trouble is ours (a password, a name).
type Login struct {
	Up     bool        `json:"up"`
	Reason dial.Reason `json:"reason,omitempty"` // why not up
	// Took is how long it took, from the name to the answer, where Up.
	Took        time.Duration `json:"took_ns,omitempty"`
	ErrorNumber int32         `json:"error_number,omitempty"`
	ServerName  string        `json:"server_name,omitempty"`
	MachineName string        `json:"machine_name,omitempty"`
	StartTime   time.Time     `json:"start_time,omitzero"`
	// Clustered and Hadr are SERVERPROPERTY('IsClustered') and ('IsHadrEnabled'); they count only where Up.
	Clustered bool `json:"clustered,omitempty"`
	Hadr      bool `json:"hadr,omitempty"`
	// Databases maps each database to its state_desc; nil when the list was not asked or not answered.
	Databases map[string]string `json:"databases,omitempty"`
}

// Alert is what Alertmanager says about the incident's alert now.
type Alert struct {
	Active     bool      `json:"active"` // on every reachable Alertmanager, neither silenced nor inhibited
	Suppressed bool      `json:"suppressed,omitempty"`
	StartsAt   time.Time `json:"starts_at,omitzero"` // the earliest; zero where no reachable one has the alert
	Reachable  int       `json:"reachable"`
	Asked      int       `json:"asked"`
}

// Sweep is G17's look around: who else is sick, and do controls outside the cluster answer.
type Sweep struct {
	Watched  []Sibling `json:"watched"` // every watched virtual machine of the cluster but the incident's own
	Controls []Control `json:"controls"`
}

// Sibling is another watched virtual machine during a sweep.
type Sibling struct {
	VM     string      `json:"vm"`
	Owner  string      `json:"owner,omitempty"`
	Sick   bool        `json:"sick"` // no TCP connection to any of its SQL Servers
	Reason dial.Reason `json:"reason,omitempty"`
}

// Control is an address outside the cluster that proves our own network.
type Control struct {
	Address string      `json:"address"`
	OK      bool        `json:"ok"`
	Reason  dial.Reason `json:"reason,omitempty"`
}

// Round is everything read about a virtual machine (and one instance) in parallel. A field whose At is zero was
// not asked in this round.
type Round struct {
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`

	Alert Reading[Alert] `json:"alert"`
	Login Reading[Login] `json:"login"`
	// Service is SQL Server's own service; Dependents are the services that depend on it, running or not.
	Service    Reading[cluster.Service]   `json:"service"`
	Dependents Reading[[]cluster.Service] `json:"dependents"`
	// Process is the service's process (or the one of the plan); PID 0 in a known reading means: no such process.
	Process Reading[cluster.Process] `json:"process"`
	// Events are the guest's System events 7031, 7034, 7036 about the service, newest first.
	Events Reading[[]cluster.Event]         `json:"events"`
	Guest  Reading[cluster.GuestIdentity]   `json:"guest"`
	Host   Reading[cluster.VirtualMachine]  `json:"host"`  // the VM as its owner host sees it
	Views  map[string]Reading[cluster.View] `json:"views"` // each configured node's view of the cluster
	Sweep  Reading[Sweep]                   `json:"sweep"`
	// Activity is what the owner host does to the VM; Dumps are the guest's processes SqlDumper.exe; Siblings the logins of
	// the VM's other instances. They are asked where the rung could cut short what they show.
	Activity Reading[cluster.Activity]  `json:"activity,omitzero"`
	Dumps    Reading[[]cluster.Process] `json:"dumps,omitzero"`
	Siblings map[string]Reading[Login]  `json:"siblings,omitempty"`
	// Uplinks are the owner's physical network adapters.
	Uplinks Reading[[]cluster.Uplink] `json:"uplinks,omitzero"`
	// Monitoring is whether the cluster itself watches the guest's heartbeat.
	Monitoring Reading[cluster.HeartbeatMonitoring] `json:"monitoring,omitzero"`
	// Placement is where the group may run.
	Placement Reading[Placement]   `json:"placement,omitzero"`
	Job       Reading[cluster.Job] `json:"job,omitzero"` // what a command has begun on a host
	// StartErrors are the events that say why a service did not start, newest first.
	StartErrors Reading[[]cluster.Event] `json:"start_errors,omitzero"`
	// Diagnostics is what SQL Server last said of its own components on a connection that stands.
	Diagnostics Reading[Diagnostics] `json:"diagnostics,omitzero"`
	// Loads is how busy hosts are, by node.
	Loads map[string]Reading[Load] `json:"loads,omitempty"`
}

// KnownViews lists the views that were answered, in the order of their nodes' names: map order must decide nothing.
func (r Round) KnownViews() []Reading[cluster.View] {
	if len(r.Views) == 0 {
		return nil
	}
	known := make([]Reading[cluster.View], 0, len(r.Views))
	for _, node := range slices.Sorted(maps.Keys(r.Views)) {
		if v := r.Views[node]; v.Known() {
			known = append(known, v)
		}
	}
	return known
}

// Binding is the proof that the names of one virtual machine mean the same machine, made while it was healthy.
type Binding struct {
	At           time.Time         `json:"at"`
	Group        string            `json:"group"`
	VMID         string            `json:"vm_id"`
	BIOSGUID     string            `json:"bios_guid"`
	ProductUUID  string            `json:"product_uuid"`
	ComputerName string            `json:"computer_name"`
	ServerNames  map[string]string `json:"server_names"` // instance to SERVERPROPERTY('ServerName')
	// Names are the inventory's, as they were when this was proven.
	Names Names `json:"names"`
}

// Baseline is what healthy looked like: the goal of verification (G26) and of bringing dependents back.
type Baseline struct {
	At         time.Time         `json:"at"`
	Databases  map[string]string `json:"databases"`
	Dependents []string          `json:"dependents"` // names of the dependent services that ran
	// Manual are those of them that no boot starts: their start mode is not automatic.
	Manual    []string  `json:"manual,omitempty"`
	PID       uint32    `json:"pid"`
	Created   time.Time `json:"created,omitzero"`
	StartTime time.Time `json:"start_time,omitzero"`
	// Clustered and Hadr say who else controls the instance (G11).
	Clustered bool `json:"clustered,omitempty"`
	Hadr      bool `json:"hadr,omitempty"`
}
