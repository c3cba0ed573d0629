package evidence

import "github.com/hypervigil/hypervigil/internal/cluster"

// Placement is what the choice of a destination rests on (G20): what the cluster says about where the group may run, how
// much memory the virtual machine needs, and what every node says of its own memory and volumes.
type Placement struct {
	cluster.Placement
	// Memory is what the virtual machine needs, in bytes: what it has now or what it begins with, whichever is more.
	Memory Reading[uint64]              `json:"memory"`
	Hosts  map[string]Reading[Capacity] `json:"hosts"` // by node
	// Monitored says that the cluster watches the network of one of its adapters, and moves it when that is lost (G11).
	Monitored Reading[bool] `json:"monitored"`
}

// Capacity is what one node says of itself.
type Capacity struct {
	MemoryFree uint64                 `json:"memory_free"` // bytes (Win32_OperatingSystem.FreePhysicalMemory)
	Volumes    []cluster.SharedVolume `json:"volumes"`     // the cluster's shared volumes as this node sees them
	Uplinks    []cluster.Uplink       `json:"uplinks"`     // its physical network adapters
}
