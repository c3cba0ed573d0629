package cluster

// NetworkState is MSCluster_Network.State (CLUSTER_NETWORK_STATE, clusapi.h).
type NetworkState int32

// The network states.
const (
	NetworkUnknown     NetworkState = -1
	NetworkUnavailable NetworkState = 0
	NetworkDown        NetworkState = 1
	NetworkPartitioned NetworkState = 2
	NetworkUp          NetworkState = 3
)

// InterfaceState is MSCluster_NetworkInterface.State (CLUSTER_NETINTERFACE_STATE, clusapi.h).
type InterfaceState int32

// The interface states.
const (
	InterfaceUnknown     InterfaceState = -1
	InterfaceUnavailable InterfaceState = 0
	InterfaceFailed      InterfaceState = 1
	InterfaceUnreachable InterfaceState = 2
	InterfaceUp          InterfaceState = 3
)

// NetworkRole is MSCluster_Network.Role (CLUSTER_NETWORK_ROLE, clusapi.h).
type NetworkRole uint32

// The network roles.
const (
	NetworkRoleNone    NetworkRole = 0
	NetworkRoleCluster NetworkRole = 1
	NetworkRoleClient  NetworkRole = 2
	NetworkRoleBoth    NetworkRole = 3
)

// Network is MSCluster_Network.
type Network struct {
	Name    string       `json:"name"`
	Address string       `json:"address,omitempty"`
	Role    NetworkRole  `json:"role"`
	State   NetworkState `json:"state"`
}

// NetworkInterface is MSCluster_NetworkInterface.
type NetworkInterface struct {
	Name    string         `json:"name"`
	Node    string         `json:"node"`
	Network string         `json:"network"`
	Adapter string         `json:"adapter,omitempty"`
	Address string         `json:"address,omitempty"`
	State   InterfaceState `json:"state"`
}

// VolumeFault is MSCluster_ClusterSharedVolume.FaultState (microsoft/wmi, pkg/cluster constants).
type VolumeFault uint32

// The fault states of a cluster shared volume.
const (
	VolumeFaultNone        VolumeFault = 0
	VolumeFaultRedirected  VolumeFault = 1
	VolumeFaultNoAccess    VolumeFault = 2
	VolumeFaultMaintenance VolumeFault = 4
)

// Partition is MSCluster_DiskPartition: a partition of one of the cluster's disks. Sizes are in bytes.
type Partition struct {
	Path       string `json:"path"`
	Label      string `json:"label,omitempty"`
	VolumeGUID string `json:"volume_guid,omitempty"` // without braces
	Size       uint64 `json:"size"`
	Free       uint64 `json:"free"`
}

// SharedVolume is MSCluster_ClusterSharedVolume.
type SharedVolume struct {
	Name       string      `json:"name"`
	VolumeName string      `json:"volume_name,omitempty"`
	Fault      VolumeFault `json:"fault"`
}
