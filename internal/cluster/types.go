package cluster

import "time"

// NodeState is MSCluster_Node.State (CLUSTER_NODE_STATE, clusapi.h).
type NodeState int32

// The node states.
const (
	NodeUnknown NodeState = -1
	NodeUp      NodeState = 0
	NodeDown    NodeState = 1
	NodePaused  NodeState = 2
	NodeJoining NodeState = 3
)

// GroupState is MSCluster_ResourceGroup.State (CLUSTER_GROUP_STATE, clusapi.h).
type GroupState int32

// The group states.
const (
	GroupUnknown       GroupState = -1
	GroupOnline        GroupState = 0
	GroupOffline       GroupState = 1
	GroupFailed        GroupState = 2
	GroupPartialOnline GroupState = 3
	GroupPending       GroupState = 4
)

// ResourceState is MSCluster_Resource.State; its numbers are not the group's.
type ResourceState int32

// The resource states.
const (
	ResourceUnknown        ResourceState = -1
	ResourceInherited      ResourceState = 0
	ResourceInitializing   ResourceState = 1
	ResourceOnline         ResourceState = 2
	ResourceOffline        ResourceState = 3
	ResourceFailed         ResourceState = 4
	ResourcePending        ResourceState = 128
	ResourceOnlinePending  ResourceState = 129
	ResourceOfflinePending ResourceState = 130
)

// NodeStatus is the bit mask MSCluster_Node.StatusInformation (CLUSTER_NODE_STATUS, clusapi.h).
type NodeStatus uint32

// The node status bits.
const (
	NodeIsolated        NodeStatus = 0x1
	NodeQuarantined     NodeStatus = 0x2
	NodeDrainInProgress NodeStatus = 0x4
	NodeDrainCompleted  NodeStatus = 0x8
	NodeDrainFailed     NodeStatus = 0x10
	NodeAvoidPlacement  NodeStatus = 0x20
)

// GroupStatus is the bit mask MSCluster_ResourceGroup.StatusInformation.
type GroupStatus uint64

// The group status bits. OSHeartbeat and ApplicationReady are good signs.
const (
	GroupLocked                 GroupStatus = 0x1
	GroupPreempted              GroupStatus = 0x2
	GroupWaitingInQueueForMove  GroupStatus = 0x4
	GroupResourcesLacking       GroupStatus = 0x8
	GroupWaitingToStart         GroupStatus = 0x10
	GroupEmbeddedFailure        GroupStatus = 0x20
	GroupAntiAffinityConflict   GroupStatus = 0x40
	GroupNetworkFailure         GroupStatus = 0x80
	GroupUnmonitored            GroupStatus = 0x100
	GroupOSHeartbeat            GroupStatus = 0x200
	GroupApplicationReady       GroupStatus = 0x400
	GroupNotLocalDiskOwner      GroupStatus = 0x800
	GroupWaitingForDependencies GroupStatus = 0x1000
)

// GroupTypeVM is the GroupType of a virtual machine's group. Group names and captions may be anybody's words;
// the type is not localised.
const GroupTypeVM = 111

// Info is MSCluster_Cluster: the settings that guards wait by.
type Info struct {
	Name                    string        `json:"name"`
	FQDN                    string        `json:"fqdn,omitempty"`
	FunctionalLevel         uint32        `json:"functional_level"`
	SameSubnetDelay         time.Duration `json:"same_subnet_delay"`
	SameSubnetThreshold     uint32        `json:"same_subnet_threshold"`
	CrossSubnetDelay        time.Duration `json:"cross_subnet_delay"`
	CrossSubnetThreshold    uint32        `json:"cross_subnet_threshold"`
	ResiliencyDefaultPeriod time.Duration `json:"resiliency_default_period"`
	ResiliencyLevel         uint32        `json:"resiliency_level"`
	// AutoBalancerMode is 0 where the cluster moves no virtual machine for balance, 1 when a node joins, 2 always, and
	// AutoBalancerLevel 1 to 3 says how readily (learn.microsoft.com, "Virtual Machine Load Balancing deep-dive").
	AutoBalancerMode     uint32 `json:"auto_balancer_mode"`
	AutoBalancerLevel    uint32 `json:"auto_balancer_level"`
	QuorumType           int64  `json:"quorum_type"`
	WitnessDynamicWeight uint32 `json:"witness_dynamic_weight"`
}

// Node is MSCluster_Node.
type Node struct {
	Name          string     `json:"name"`
	State         NodeState  `json:"state"`
	Status        NodeStatus `json:"status"`
	DrainStatus   uint32     `json:"drain_status"`
	Weight        uint32     `json:"weight"`
	DynamicWeight uint32     `json:"dynamic_weight"`
}

// Group is MSCluster_ResourceGroup.
type Group struct {
	Name              string        `json:"name"`
	ID                string        `json:"id,omitempty"`
	Type              uint32        `json:"type"`
	State             GroupState    `json:"state"`
	Owner             string        `json:"owner"`
	Status            GroupStatus   `json:"status"`
	Priority          uint32        `json:"priority"`
	PersistentState   bool          `json:"persistent_state"`
	DefaultOwner      uint32        `json:"default_owner"`
	FailoverThreshold uint32        `json:"failover_threshold"`
	FailoverPeriod    time.Duration `json:"failover_period"`
	ResiliencyPeriod  time.Duration `json:"resiliency_period"` // 0 inherits the cluster's
	IsCore            bool          `json:"is_core"`
}

// ResourceStatus is the bit mask MSCluster_Resource.StatusInformation; its bits are not the group's for the same names.
type ResourceStatus uint64

// The resource status bits. OSHeartbeat and ApplicationReady are good signs.
const (
	ResourceLocked              ResourceStatus = 0x1
	ResourceEmbeddedFailure     ResourceStatus = 0x2
	ResourceInsufficientCPU     ResourceStatus = 0x4
	ResourceInsufficientMemory  ResourceStatus = 0x8
	ResourceInsufficientGeneric ResourceStatus = 0x10
	ResourceNetworkFailure      ResourceStatus = 0x20
	ResourceUnmonitored         ResourceStatus = 0x40
	ResourceOSHeartbeat         ResourceStatus = 0x80
	ResourceApplicationReady    ResourceStatus = 0x100
	ResourceNotLocalDiskOwner   ResourceStatus = 0x200
)

// Resource is MSCluster_Resource; what follows VMID only for Type "Virtual Machine".
type Resource struct {
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Group      string         `json:"group"`
	Owner      string         `json:"owner"`
	State      ResourceState  `json:"state"`
	Status     ResourceStatus `json:"status"`
	LastStatus uint64         `json:"last_operation_status_code"`
	// PersistentState is whether the cluster brings it online by itself; nil where the cluster did not say.
	PersistentState *bool `json:"persistent_state,omitempty"`

	VMID string `json:"vm_id,omitempty"`
	// CheckHeartbeat is not 0 where the cluster watches the guest's heartbeat; OfflineAction is what taking the resource
	// offline does to the machine: 0 turn off, 1 save, 2 shut down, 3 shut down by force (learn.microsoft.com,
	// "Virtual Machine Private Properties", "OfflineAction"). nil where the cluster did not say.
	CheckHeartbeat *uint32 `json:"check_heartbeat,omitempty"`
	OfflineAction  *uint32 `json:"offline_action,omitempty"`
}

// View is the cluster as one node sees it, read in one go. Nodes disagree during a partition; that is why a view
// says whose it is.
type View struct {
	By        string     `json:"by"`
	Info      Info       `json:"info"`
	Nodes     []Node     `json:"nodes"`
	Groups    []Group    `json:"groups"`
	Resources []Resource `json:"resources,omitempty"`
}

// Group returns the group of that name.
func (v View) Group(name string) (Group, bool) {
	for _, g := range v.Groups {
		if g.Name == name {
			return g, true
		}
	}
	return Group{}, false
}

// Node returns the node of that name.
func (v View) Node(name string) (Node, bool) {
	for _, n := range v.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return Node{}, false
}

// Votes is the quorum as this view shows it: the dynamic votes of nodes Up or Paused and of the witness against
// the majority of all. The formula is ours: needed = floor(total/2)+1.
func (v View) Votes() (current, needed uint32) {
	total := v.Info.WitnessDynamicWeight
	current = v.Info.WitnessDynamicWeight
	for _, n := range v.Nodes {
		total += n.DynamicWeight
		if n.State == NodeUp || n.State == NodePaused {
			current += n.DynamicWeight
		}
	}
	return current, total/2 + 1
}

// Heartbeat is Msvm_SummaryInformation.Heartbeat.
type Heartbeat uint16

// The heartbeat states; 0 stands for absent, as it is when the VM is off.
const (
	HeartbeatAbsent            Heartbeat = 0
	HeartbeatOK                Heartbeat = 2
	HeartbeatError             Heartbeat = 6
	HeartbeatNoContact         Heartbeat = 12
	HeartbeatLostCommunication Heartbeat = 13
)

// VMState is Msvm_ComputerSystem.EnabledState. Every value of 32768 and more that is not known beyond doubt is
// critical: Microsoft's pages disagree about their numbers.
type VMState uint16

// The states that decisions name.
const (
	VMUnknown  VMState = 0
	VMRunning  VMState = 2
	VMOff      VMState = 3
	VMStopping VMState = 4
	VMSaved    VMState = 6
	VMPaused   VMState = 9
	VMStarting VMState = 10
	VMReset    VMState = 11
)

// VirtualMachine is a VM as one Hyper-V host sees it (Msvm_SummaryInformation joined with Msvm_ComputerSystem and
// the realised Msvm_VirtualSystemSettingData).
type VirtualMachine struct {
	ID                string    `json:"id"` // Msvm_ComputerSystem.Name
	Name              string    `json:"name"`
	Host              string    `json:"host"` // the node that was asked
	State             VMState   `json:"state"`
	HealthState       uint16    `json:"health_state"`
	OperationalStatus []uint16  `json:"operational_status"`
	Heartbeat         Heartbeat `json:"heartbeat"`
	ApplicationHealth uint16    `json:"application_health"`
	ProcessorLoad     uint16    `json:"processor_load"` // percent, of its virtual processors
	Processors        uint16    `json:"processors"`     // virtual ones; 0 where Hyper-V does not say
	MemoryUsage       uint64    `json:"memory_usage"`   // bytes
	// MemoryAvailable is the share of its memory, in percent, that the guest has left over; less than 0 where it wants more
	// than it has. nil where Hyper-V does not say, as it does not without dynamic memory.
	MemoryAvailable *int32        `json:"memory_available,omitempty"`
	SmartPaging     bool          `json:"smart_paging"` // SwapFilesInUse: the host pages the guest's memory to a file of its own
	Uptime          time.Duration `json:"uptime"`
	LastStateChange time.Time     `json:"last_state_change,omitzero"`
	BIOSGUID        string        `json:"bios_guid,omitempty"`
}

// OperatingSystem is Win32_OperatingSystem.
type OperatingSystem struct {
	ComputerName string    `json:"computer_name"`
	Version      string    `json:"version"`
	Build        string    `json:"build"`
	LastBoot     time.Time `json:"last_boot"`
	LocalTime    time.Time `json:"local_time"`
	MemoryTotal  uint64    `json:"memory_total"` // bytes
	MemoryFree   uint64    `json:"memory_free"`  // bytes
	// CommitLimit is the memory and page files together, CommitFree what of it is not promised to anybody yet, in bytes
	// (TotalVirtualMemorySize, FreeVirtualMemory).
	CommitLimit uint64 `json:"commit_limit"`
	CommitFree  uint64 `json:"commit_free"`
}

// ServiceState is Win32_Service.State: Windows' own words, which are not localised.
type ServiceState string

// The states of Win32_Service.
const (
	ServiceStopped         ServiceState = "Stopped"
	ServiceStartPending    ServiceState = "Start Pending"
	ServiceStopPending     ServiceState = "Stop Pending"
	ServiceRunning         ServiceState = "Running"
	ServiceContinuePending ServiceState = "Continue Pending"
	ServicePausePending    ServiceState = "Pause Pending"
	ServicePaused          ServiceState = "Paused"
	ServiceUnknown         ServiceState = "Unknown"
)

// Service is Win32_Service.
type Service struct {
	Name         string       `json:"name"`
	State        ServiceState `json:"state"`
	StartMode    string       `json:"start_mode"` // Boot, System, Auto, Manual, Disabled
	ProcessID    uint32       `json:"pid"`
	ExitCode     uint32       `json:"exit_code"`
	SpecificCode uint32       `json:"service_specific_exit_code"`
}

// Process is Win32_Process; ID 0 means that there is no such process.
type Process struct {
	ID      uint32    `json:"pid"`
	Name    string    `json:"name"`
	Created time.Time `json:"created,omitzero"`
}

// Event is Win32_NTLogEvent.
type Event struct {
	Log     string    `json:"log"`
	ID      uint32    `json:"id"`
	Source  string    `json:"source"`
	At      time.Time `json:"at"`
	Strings []string  `json:"strings,omitempty"` // InsertionStrings; the message itself is localised
	Record  uint32    `json:"record,omitempty"`  // its number in the log, where it was asked for
	Data    []byte    `json:"data,omitempty"`    // what the source wrote beside the message, where it was asked for
}

// GuestIdentity is who a guest says it is.
type GuestIdentity struct {
	ComputerName string    `json:"computer_name"`
	ProductUUID  string    `json:"product_uuid"` // Win32_ComputerSystemProduct.UUID
	LastBoot     time.Time `json:"last_boot,omitzero"`
}

// ServiceCode is the return value of Win32_Service's methods (learn.microsoft.com, "StartService method of the
// Win32_Service class").
type ServiceCode uint32

// The codes that change what happens next.
const (
	ServiceSuccess           ServiceCode = 0
	ServiceDependentsRunning ServiceCode = 3
	ServiceNotActive         ServiceCode = 6 // the service has not been started
	ServiceRequestTimeout    ServiceCode = 7
	ServiceUnknownFailure    ServiceCode = 8
	ServiceAlreadyRunning    ServiceCode = 10
	ServiceDependencyDeleted ServiceCode = 12
	ServiceDependencyFailure ServiceCode = 13
	ServiceDisabled          ServiceCode = 14
	ServiceLogonFailure      ServiceCode = 15
)
